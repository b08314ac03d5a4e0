"""Measure speed as ratios in one run: command start-up, training against a bare loop, tokenizers.

    python tools/bench.py [--out FOLDER] [PART ...]

Writes ``bench.json`` and prints one table. Absolute figures belong to the machine they were measured on.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from scizoo.files import write_json

Rows = list[dict[str, Any]]


def main() -> int:
    """Run the parts that were asked for."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("parts", nargs="*", help=f"of {', '.join(PARTS)}; default: all")
    parser.add_argument("--out", type=Path, default=Path("runs/bench"))
    options = parser.parse_args()
    wrong = [part for part in options.parts if part not in PARTS]
    if wrong:
        parser.error(f"no part '{wrong[0]}'; there are {', '.join(PARTS)}")
    rows: Rows = []
    for part in options.parts or PARTS:
        print(f"measuring {part} ...", file=sys.stderr)
        rows += PARTS[part]()
    options.out.mkdir(parents=True, exist_ok=True)
    write_json(options.out / "bench.json", rows)
    show(rows)
    return 0


def show(rows: Rows) -> None:
    """Print the rows as one table."""
    from rich.console import Console
    from rich.table import Table

    table = Table("what", "value", "unit", "ratio", "to")
    for row in rows:
        ratio = "" if row.get("ratio") is None else f"{row['ratio']:.2f}"
        table.add_row(row["what"], f"{row['value']:,.3g}", row["unit"], ratio, row.get("to", ""))
    Console().print(table)


def start_up() -> Rows:
    """Time light commands in fresh processes, against a bare Python."""
    commands = {
        "python -c pass": [sys.executable, "-c", "pass"],
        "scizoo --help": [sys.executable, "-m", "scizoo", "--help"],
        "scizoo list": [sys.executable, "-m", "scizoo", "list"],
        "scizoo info genomics/taxonomy": [sys.executable, "-m", "scizoo", "info", "genomics/taxonomy"],
    }
    times = {name: median(lambda command=command: quietly(command), 7) for name, command in commands.items()}
    bare = times["python -c pass"]
    return [
        {"what": name, "value": seconds, "unit": "s", "ratio": seconds / bare, "to": "python -c pass"}
        for name, seconds in times.items()
    ]


def quietly(command: list[str]) -> None:
    """Run a command without its output."""
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def median(run: Callable[[], object], repeats: int) -> float:
    """Give the median wall-clock time of several runs, after one that does not count."""
    run()
    found = []
    for _ in range(repeats):
        start = time.perf_counter()
        run()
        found.append(time.perf_counter() - start)
    return statistics.median(found)


def training() -> Rows:
    """Train the same model on the same batches by the core and by a bare loop, in turn."""
    import torch

    core, bare = [], []
    for _ in range(3):
        core.append(train_with_core())
        bare.append(train_bare())
    tokens = STEPS * BATCH * LENGTH
    ours, theirs = statistics.median(core), statistics.median(bare)
    name = f"masked LM, {BATCH} x {LENGTH} tokens a step, bf16, {torch.get_num_threads()} threads"
    return [
        {"what": f"bare PyTorch loop: {name}", "value": tokens / theirs, "unit": "tokens/s"},
        {
            "what": "scizoo's trainer: the same",
            "value": tokens / ours,
            "unit": "tokens/s",
            "ratio": theirs / ours,
            "to": "bare loop",
        },
    ]


STEPS, BATCH, LENGTH, VOCABULARY = 30, 32, 192, 260


def build() -> tuple[Any, Any]:
    """Build the model that both train."""
    import torch

    from scizoo.models.objectives import MaskedLM
    from scizoo.models.transformers_backbone import TransformersBackbone

    torch.manual_seed(0)
    size = {
        "hidden_size": 128,
        "num_hidden_layers": 4,
        "num_attention_heads": 2,
        "intermediate_size": 256,
        "global_attn_every_n_layers": 1,
    }
    backbone = TransformersBackbone.from_config("modernbert", size, VOCABULARY, 0, LENGTH)
    return backbone, MaskedLM(backbone.hidden_size, VOCABULARY).bind(backbone)


def batches() -> list[dict[str, Any]]:
    """Make random batches, the same for both."""
    import torch

    draw = torch.Generator().manual_seed(0)
    mask = torch.ones(BATCH, LENGTH, dtype=torch.long)
    return [
        {
            "input_ids": torch.randint(5, VOCABULARY, (BATCH, LENGTH), generator=draw),
            "attention_mask": mask,
            "index": torch.arange(BATCH),
        }
        for _ in range(STEPS)
    ]


OPTIMIZER = {"_target_": "torch.optim.AdamW", "lr": 1e-3, "weight_decay": 0.01}
SCHEDULE = {"name": "cosine", "warmup": 0.1}


def train_with_core() -> float:
    """Train with the LightningModule and the assembled trainer; return the seconds of the steps."""
    from torch.utils.data import DataLoader

    from scizoo.training.module import ScizooModule
    from scizoo.training.trainer import build_trainer

    backbone, head = build()
    module = ScizooModule(backbone, head, optimizer=OPTIMIZER, schedule=SCHEDULE)
    with tempfile.TemporaryDirectory() as folder:
        cfg = {
            "trainer": {"accelerator": "cpu", "max_steps": STEPS, "gradient_clip_val": 1.0},
            "precision": "bf16-mixed",
            "logger": {},
            "callbacks": {"checkpoint": False, "learning_rate": False},
        }
        trainer = build_trainer(cfg, folder, monitor=None)
        data = DataLoader(batches(), batch_size=None)  # each item is a batch already
        start = time.perf_counter()
        trainer.fit(module, data)
        return time.perf_counter() - start


def train_bare() -> float:
    """Train with the shortest loop that does the same arithmetic; return the seconds of the steps."""
    import torch

    from scizoo.training.optim import build_optimizer
    from scizoo.training.schedule import Schedule

    backbone, head = build()
    optimizer = build_optimizer(backbone, head, OPTIMIZER)
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, Schedule.from_config(SCHEDULE, STEPS))
    parameters = [*backbone.parameters(), *head.parameters()]
    draw = torch.Generator().manual_seed(0)
    data = batches()
    backbone.train()
    start = time.perf_counter()
    for batch in data:
        prepared = head.prepare(batch, draw)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            loss = head.loss(head(backbone(prepared), prepared), prepared)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        scheduler.step()
        optimizer.zero_grad()
    return time.perf_counter() - start


def beside(speeds: dict[str, float], others: Iterable[str], unit: str = "MB/s") -> Rows:
    """Give each speed with its ratio to that of each other one."""
    return [
        {"what": name, "value": speed, "unit": unit, "ratio": speed / speeds[other], "to": other}
        for other in others
        for name, speed in speeds.items()
        if name != other
    ]


def tokenizers() -> Rows:
    """Measure the genomics tokenizers beside the Rust BPE and a plain Python loop."""
    from bench_tokenizers import BPE, LOOP, speeds_of

    return beside(speeds_of(), (BPE, LOOP))


def code_tokenizers() -> Rows:
    """Measure the tokenizers of source code beside the Rust library and a loop in Python."""
    from bench_code_tokenizers import LOOP, RUST, speeds_of

    return beside(speeds_of(), (RUST, LOOP))


def abc() -> Rows:
    """Measure the tokenizers of ABC notation beside a plain Python loop."""
    from bench_music import LOOP, speeds_of

    return beside(speeds_of(), (LOOP,))


def smiles() -> Rows:
    """Measure the SMILES tokenizer beside ``re.findall`` a string."""
    from bench_smiles import LOOP, speeds_of

    return beside(speeds_of(), (LOOP,))


def series() -> Rows:
    """Measure the tokenizers of time series and light curves beside NumPy called once a series."""
    from bench_series import LOOPS, speeds_of

    speeds = speeds_of()
    pairs = [{name: speeds[name], loop: speeds[loop]} for name, loop in LOOPS.items()]
    return [row for pair, loop in zip(pairs, LOOPS.values()) for row in beside(pair, (loop,), "M/s")]


PARTS: dict[str, Callable[[], Rows]] = {
    "start_up": start_up,
    "training": training,
    "tokenizers": tokenizers,
    "code_tokenizers": code_tokenizers,
    "abc": abc,
    "smiles": smiles,
    "series": series,
}

if __name__ == "__main__":
    sys.exit(main())
