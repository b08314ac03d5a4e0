"""Build the checkpoint that a domain ships: pre-train it, measure it, write it into the domain's package.

    python tools/build_checkpoint.py genomics/dna-tiny
    python tools/build_checkpoint.py genomics/dna-tiny --run RUN_DIRECTORY --results RUN_DIRECTORY ...

The first form pre-trains by the recipe of that name. The second takes a finished pre-training, and puts
the figures that ``scizoo finetune`` or ``scizoo compare`` runs measured on the card.
"""

from __future__ import annotations

import argparse
import csv
import json
import shlex
import subprocess
import sys
from dataclasses import fields, replace
from pathlib import Path

import yaml
from omegaconf import OmegaConf

from scizoo import plugins
from scizoo.checkpoints.card import Figure
from scizoo.checkpoints.format import load_checkpoint, save_checkpoint, verify
from scizoo.checkpoints.manifest import portable
from scizoo.config import compose, to_plain
from scizoo.data.splits import PretrainingPart
from scizoo.data.task import open_dataset
from scizoo.evaluation.corpora import sketch_corpus
from scizoo.evaluation.metrics import get_metric
from scizoo.jobs.cards import make_card, reference_inputs
from scizoo.jobs.pretrain import training_data

LARGEST = 5_000_000  # bytes; a wheel with several checkpoints must stay small


def main() -> int:
    """Parse the command line and build."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("name", help="recipe and checkpoint, e.g. genomics/dna-tiny")
    parser.add_argument("--run", type=Path, help="a finished run of `scizoo pretrain`; default: make one")
    parser.add_argument(
        "--results", type=Path, nargs="*", default=[], help="runs that measured the checkpoint"
    )
    parser.add_argument(
        "overrides", nargs="*", help="key=value for the pre-training, or data.path=... of a finished one"
    )
    options = parser.parse_intermixed_args()
    run = options.run or pretrain(options.name, options.overrides)
    destination = shipped_folder(options.name)
    write(run, destination, options.results, options.overrides)
    size = sum(item.stat().st_size for item in destination.rglob("*") if item.is_file())
    print(verify(destination))
    print(f"{destination}: {size / 1e6:.2f} MB")
    if size > LARGEST:
        print(f"too large: a shipped checkpoint may have {LARGEST / 1e6:.0f} MB", file=sys.stderr)
        return 1
    return 0


def pretrain(name: str, overrides: list[str]) -> Path:
    """Run the recipe and return its run directory."""
    command = [sys.executable, "-m", "scizoo", "pretrain", name, *overrides]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return Path(done.stdout.strip().splitlines()[-1])


def shipped_folder(name: str) -> Path:
    """Give the folder inside the domain's package."""
    domain, _, short = name.partition("/")
    face = plugins.domains()[domain]
    package = plugins.package_dir(face.package)
    assert package is not None
    return package / face.checkpoints[short]


def write(run: Path, destination: Path, results: list[Path], overrides: list[str]) -> None:
    """Write the checkpoint of a run with the figures of others into the package."""
    source = load_checkpoint(run / "checkpoint")
    manifest = source.manifest
    # A checkpoint does not keep where on this machine its corpus lay.
    config = to_plain(OmegaConf.merge(manifest.config, OmegaConf.from_dotlist(overrides)))
    dataset = open_dataset(config)
    if dataset.fingerprint() != manifest.data.get("fingerprint"):
        raise SystemExit(f"{dataset.name} is not what {run} was trained on; name it by data.path=...")
    # The sketch is of the training part, by the recipe's audit as it is now.
    audit = to_plain(compose("pretrain", manifest.name)).get("audit")
    sketch = sketch_corpus(audit, PretrainingPart(dataset, config.get("split")))
    measured = [replace(figure, data=portable(dataset.name)) for figure in read_figures(run)]
    measured += [figure for folder in results for figure in read_figures(folder)]
    save_checkpoint(
        destination,
        backbone=source.backbone,
        head=source.head,
        tokenizer=source.tokenizer,
        context=source.context,
        augment=manifest.config.get("augment"),
        card=make_card(
            manifest.config,
            name=manifest.name,
            summary=manifest.summary,
            training_data=[training_data(dataset, manifest.data.get("records"))],
            command=f"python tools/build_checkpoint.py {manifest.name}",
        ),
        domain=manifest.domain,
        sketch=sketch,
        reference_inputs=reference_inputs(manifest.domain, dataset),
        figures=measured,
        config={**manifest.config, "audit": audit},
        data=manifest.data,
        seeds=manifest.seeds,
        dtype=manifest.config["recipe"].get("dtype"),
        overwrite=True,
    )


def read_figures(run: Path) -> list[Figure]:
    """Read what a run measured: a comparison's tables, or the card figures of a run's checkpoint."""
    if (run / "cells.csv").exists():
        return compared_figures(run)
    known = {field.name for field in fields(Figure)}
    raw = json.loads((run / "checkpoint" / "metrics.json").read_text(encoding="utf-8"))["figures"]
    found, chosen = [], chosen_data(run)
    for one in raw:
        plain = {key: tuple(value) if isinstance(value, list) else value for key, value in one.items()}
        figure = Figure(**{key: value for key, value in plain.items() if key in known})
        found.append(replace(figure, data=", ".join([figure.data, *chosen])))
    return found


def compared_figures(run: Path) -> list[Figure]:
    """Give the main metric of the pre-trained rows of a comparison, beside scratch and the best baseline.

    Of several label budgets the largest is taken; the domain's page shows the learning curve. The best
    baseline is the one that is best on test, the strictest choice against the model.
    """
    report = json.loads((run / "report.json").read_text(encoding="utf-8"))
    config = yaml.safe_load((run / "config.yaml").read_text(encoding="utf-8"))
    metric = get_metric(str(config["task"]["metric"]))
    with (run / "metrics.csv").open(newline="", encoding="utf-8") as stream:
        rows = [row for row in csv.DictReader(stream) if row["metric"] == metric.name]
    path = config["data"].get("path")
    words = [str(config["task"]["name"]) + (f": {Path(path).name}" if path else ""), *chosen_data(run)]
    data = ", ".join(words)
    figures = []
    most = max((row["labels"] for row in rows), key=int)
    for row in (row for row in rows if row["role"] == "pretrained" and row["labels"] == most):
        same = [other for other in rows if other["labels"] == row["labels"]]
        scratch = next((other for other in same if other["role"] == "scratch"), None)
        rivals = [other for other in same if other["role"] == "baseline"]
        best = max(rivals, key=lambda other: metric.sign * float(other["value"]), default=None)
        figures.append(
            Figure(
                metric=metric.name,
                value=float(row["value"]),
                interval=bounds(row),
                level=float(row["level"]),
                data=f"{data}, {int(row['labels']):,} labels, {row['contender'].partition(' ')[2]}",
                split=f"{report['data']['split']}; test part",
                seeds=tuple(config["seeds"]),
                records=int(row["records"]),
                baseline=None if best is None else float(best["value"]),
                baseline_name=None if best is None else best["contender"],
                baseline_interval=None if best is None else bounds(best),
                scratch=None if scratch is None else float(scratch["value"]),
                scratch_interval=None if scratch is None else bounds(scratch),
            )
        )
    return figures


def chosen_data(run: Path) -> list[str]:
    """Give what the command of a run chose of the data beside their path, such as ``horizon 96``."""
    words = shlex.split((run / "command.txt").read_text(encoding="utf-8"))
    chosen = (word[len("data.") :].partition("=") for word in words if word.startswith("data."))
    return [f"{key} {value}" for key, _, value in chosen if key != "path"]


def bounds(row: dict[str, str]) -> tuple[float, float]:
    """Give the interval of a row of metrics.csv."""
    return float(row["low"]), float(row["high"])


if __name__ == "__main__":
    sys.exit(main())
