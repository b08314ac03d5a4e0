"""``scizoo generate TASK|CHECKPOINT``: records that a causal language model writes."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from scizoo import plugins
from scizoo.api import load
from scizoo.config import to_plain
from scizoo.data.task import open_dataset, read_records
from scizoo.data.tokenizer import TokenTokenizer
from scizoo.errors import ConfigError
from scizoo.evaluation.generation import Scorer
from scizoo.jobs.facts import domain_of
from scizoo.jobs.generation import make_scorer
from scizoo.jobs.media import FileSettings, write_record_files
from scizoo.jobs.predict import write_table
from scizoo.models.sampling import Drawn, Sampling, decode, draw, starts_of
from scizoo.training.build import make_context
from scizoo.training.generative import check_generator

if TYPE_CHECKING:
    import pandas as pd
    from omegaconf import DictConfig

log = logging.getLogger(__name__)


def run(cfg: DictConfig, run_dir: Path) -> dict[str, Any]:
    """Let a checkpoint write ``samples.count`` records, of each prompt where there are any.

    Parameters
    ----------
    cfg : DictConfig
        A composed config.
    run_dir : Path

    Returns
    -------
    dict
        How many rows were written, and where.
    """
    plain = to_plain(cfg)
    sampling = Sampling.from_config(plain.get("samples"))
    scorer, files = make_scorer(plain), FileSettings.from_config(plain.get("files"))
    if not plain.get("checkpoint"):
        raise ConfigError(
            "checkpoint must be given.",
            expected="a causal language model: a name, path or URL",
            remedy="add checkpoint=RUN_DIRECTORY/checkpoint; `scizoo list checkpoints` shows what there is.",
        )
    on_cpu = str((plain.get("trainer") or {}).get("accelerator")) == "cpu"
    model = load(str(plain["checkpoint"]), device="cpu" if on_cpu else "auto")
    objective, tokenizer = check_generator(model.checkpoint)
    writers = files.writers(domain_of(plain) or plugins.domains().get(model.checkpoint.manifest.domain))
    names, prompts = read_prompts(plain, run_dir, scorer)
    if prompts:
        log.info("%d records of each prompt; prompts: %d", sampling.count, len(prompts))
    context = make_context(plain.get("context"), model.checkpoint.context)
    starts = starts_of(tokenizer, context, prompts, sampling)
    drawn = draw(
        model.checkpoint.backbone,
        objective,
        tokenizer,
        context,
        sampling,
        starts=starts,
        seed=int(plain.get("seed") or 0),
    )
    values = written(tokenizer, scorer, drawn, prompts, starts)
    lost = sum(value is None for value in values)
    if lost:
        log.warning("%d of %d samples stand for no record; their text is empty.", lost, len(values))
    table = sample_table(drawn, ["" if value is None else scorer.text(value) for value in values], names)
    ids = [str(name) for name in table["id"]]
    found = write_record_files(run_dir / "samples", writers, ids, values, files.most)
    for ending, paths in found.items():
        table[ending] = paths
    path = write_table(run_dir / str(plain.get("output") or "samples.csv"), table)
    log.info("%d records in %s", len(table), path)
    return {"samples": str(path), "rows": len(table), "undecodable": lost}


def written(
    tokenizer: TokenTokenizer,
    scorer: Scorer,
    drawn: Drawn,
    prompts: list[Any],
    starts: list[np.ndarray],
) -> list[Any | None]:
    """Give what was drawn as the field's objects, each after its prompt; None where it stands for none."""
    values = []
    for row, place in zip(drawn.rows, drawn.prompts.tolist(), strict=True):
        found = None
        if prompts:
            given = int((starts[place] >= len(tokenizer.SPECIAL)).sum())
            found = scorer.complete(prompts[place], decode(tokenizer, row[given:]))
        values.append(decode(tokenizer, row) if found is None else found)
    return values


def read_prompts(cfg: dict[str, Any], run_dir: Path, scorer: Scorer) -> tuple[list[str], list[Any]]:
    """Read what the records begin with: ``prompt``, or the records of ``data.path``, with their names."""
    if cfg.get("prompt") is not None:
        if not isinstance(cfg["prompt"], str):
            raise ConfigError(
                f"prompt={cfg['prompt']} is no text.", remedy="put it in quotes of its own: \"prompt='...'\"."
            )
        return ["prompt"], [scorer.read(cfg["prompt"])]
    if not (cfg.get("data") or {}).get("path"):
        return [], []
    records = read_records(open_dataset(cfg), run_dir)
    given = [scorer.prompt(record.input) for record in records]
    prompts = [record.input if one is None else one for record, one in zip(records, given, strict=True)]
    return [record.id for record in records], prompts


def sample_table(drawn: Drawn, texts: list[str], names: list[str]) -> pd.DataFrame:
    """Lay samples out as a table: id, text, log-likelihood per token, and how it was written."""
    import pandas as pd

    count = len(texts) // max(1, len(names))
    ids = [f"{name}-{number + 1}" for name in names or ["sample"] for number in range(count)]
    columns: dict[str, Any] = {
        "id": ids,
        "text": texts,
        "log_likelihood_per_token": drawn.per_token,
        "tokens": drawn.tokens,
        "finished": drawn.finished,
    }
    if names:
        columns["prompt"] = [names[place] for place in drawn.prompts]
    return pd.DataFrame(columns)
