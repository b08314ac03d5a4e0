"""What a fine-tuning of a task of generation leaves behind: samples, metrics, checkpoint, report."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scizoo.checkpoints.card import Figure
from scizoo.checkpoints.format import save_checkpoint
from scizoo.data.task import TaskData
from scizoo.evaluation.cells import data_digest
from scizoo.evaluation.corpora import sketch_corpus
from scizoo.evaluation.generation import Scorer
from scizoo.evaluation.intervals import Estimate
from scizoo.evaluation.likelihood import NLL_TOKEN
from scizoo.evaluation.plain import plain
from scizoo.evaluation.table import rich_table
from scizoo.evaluation.writers import Written
from scizoo.evaluation.written import Findings, shown_samples
from scizoo.files import atomic_path, write_json
from scizoo.jobs.cards import make_card, reference_inputs
from scizoo.jobs.facts import data_section, domain_of, draw_pictures, reproduce_section
from scizoo.jobs.media import FileSettings, attach_media, write_record_files
from scizoo.jobs.pretrain import training_data


@dataclass(frozen=True)
class Work:
    """A finished fine-tuning, for the writers of its files.

    Parameters
    ----------
    cfg : mapping
    run_dir : Path
    data : TaskData
    written : list of Written
        The main contender first, real records last.
    scorer : Scorer
    findings : Findings
    """

    cfg: Mapping[str, Any]
    run_dir: Path
    data: TaskData
    written: Sequence[Written]
    scorer: Scorer
    findings: Findings


def write_samples(work: Work) -> Path:
    """Write ``samples.csv``: a row a record that a contender wrote, whole or not at all.

    Of the first contender's records the first ones become the domain's files too, where it writes any.
    """
    path, folder = work.run_dir / "samples.csv", work.run_dir / "samples"
    files = _record_files(work, folder)
    try:
        with atomic_path(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as stream:
            csv.writer(stream).writerows(_sample_rows(work, files))
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)  # files without the table that names them help no one
        raise
    return path


def _sample_rows(work: Work, files: Mapping[str, Sequence[str]]) -> Iterator[list[Any]]:
    figures = work.findings.figures
    columns = list(dict.fromkeys(name for one in figures.values() for name in per_sample(one)))
    yield ["id", "contender", "text", "log_likelihood_per_token", "tokens", "finished", *columns, *files]
    for one in work.written:
        if one.drawn is None:
            continue
        values = per_sample(figures[one.contender.key])
        for number, value in enumerate(one.generated.inputs):
            yield [
                f"{one.contender.key}-{number + 1}",
                one.contender.title,
                "" if value is None else work.scorer.text(value),
                f"{one.drawn.per_token[number]:.6g}",
                int(one.drawn.tokens[number]),
                "true" if one.drawn.finished[number] else "false",
                *(_cell(values[name][number]) if name in values else "" for name in columns),
                *(found[number] if one is work.written[0] else "" for found in files.values()),
            ]


def _record_files(work: Work, folder: Path) -> dict[str, list[str]]:
    main, settings = work.written[0], FileSettings.from_config(work.cfg.get("files"))
    values = main.generated.inputs
    names = [f"{main.contender.key}-{number + 1}" for number in range(len(values))]
    writers = settings.writers(domain_of(work.cfg))
    return write_record_files(folder, writers, names, values, settings.most)


def per_sample(figures: Mapping[str, Any]) -> dict[str, Any]:
    """Keep the figures that have a value for each sample."""
    return {name: figure.values for name, figure in figures.items() if figure.values is not None}


def _cell(value: float) -> str:
    return "" if value != value else f"{value:.6g}"


def write_metrics(work: Work) -> None:
    """Write ``metrics.json`` and ``metrics.csv``."""
    rows = [
        {
            "contender": one.contender.key,
            "title": one.contender.title,
            "role": one.contender.role,
            "metric": name,
            **found.to_dict(),
        }
        for one in work.written
        for name, found in work.findings.scores[one.contender.key].items()
    ]
    write_json(
        work.run_dir / "metrics.json",
        {
            "task": work.data.name,
            "split": {"method": work.data.split.method, "parts": work.data.counts()},
            "samples": work.cfg.get("samples"),
            "verdict": work.findings.plain_verdict(),
            "contenders": [
                {
                    "key": one.contender.key,
                    "title": one.contender.title,
                    "role": one.contender.role,
                    "seed": one.seed,
                    "settings": one.settings,
                    "cost": None if one.cost is None else one.cost.to_dict(),
                }
                for one in work.written
            ],
            "metrics": [plain(row) for row in rows],
        },
    )
    with (
        atomic_path(work.run_dir / "metrics.csv") as path,
        path.open("w", newline="", encoding="utf-8") as file,
    ):
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def save(work: Work) -> Path:
    """Write the first contender's model as a checkpoint, with its figures beside its rivals'."""
    main, cfg, data = work.written[0], work.cfg, work.data
    assert main.fitted is not None and main.parts is not None
    parts = main.parts
    base = parts.checkpoint.manifest if parts.checkpoint and main.contender.role == "pretrained" else None
    name = str(cfg["task"]["name"])
    return save_checkpoint(
        work.run_dir / "checkpoint",
        backbone=main.fitted.backbone,
        head=main.fitted.objective,
        tokenizer=parts.tokenizer,
        context=parts.context,
        augment=cfg.get("augment"),
        sketch=sketch_corpus(cfg.get("audit"), data.part("train")),
        card=make_card(
            cfg,
            name=name,
            summary=f"{cfg['task']['summary']} ({main.contender.title})",
            training_data=[training_data(data.dataset, len(data.rows("train")))],
            command=(work.run_dir / "command.txt").read_text(encoding="utf-8").strip(),
            base=base.name if base else None,
            base_licence=base.licence if base else None,
        ),
        domain=name.partition("/")[0],
        reference_inputs=reference_inputs(name.partition("/")[0], data.part("test")),
        figures=card_figures(work),
        config=cfg,
        data={
            "name": data.dataset.name,
            "fingerprint": data.dataset.fingerprint(),
            "records": len(data.rows("train")),
        },
        seeds=[main.seed],
    )


def card_figures(work: Work) -> list[Figure]:
    """Give the card's figures: the first contender beside scratch and the best baseline on validation."""
    main, scores = work.written[0], work.findings.scores
    scratch = next((one for one in work.written[1:] if one.contender.role == "scratch"), None)
    best = work.findings.best_baseline

    def about(one: Written | None, name: str) -> tuple[float | None, tuple[float, float] | None]:
        found: Estimate | None = None if one is None else scores[one.contender.key].get(name)
        if found is None or found.value != found.value:
            return None, None
        return found.value, (found.low, found.high)

    made = []
    for name, found in scores[main.contender.key].items():
        if found.value != found.value:
            continue
        baseline, fresh = about(best, name), about(scratch, name)
        made.append(
            Figure(
                metric=name,
                value=found.value,
                interval=(found.low, found.high),
                level=found.level,
                data=work.data.name,
                split=f"{work.data.split.method}; test part"
                + ("" if name.startswith("nll") else f", {found.records:,} records written"),
                seeds=(main.seed,),
                records=found.records,
                baseline=baseline[0],
                baseline_interval=baseline[1],
                baseline_name=best.contender.title if best else None,
                scratch=fresh[0],
                scratch_interval=fresh[1],
            )
        )
    return made


def report(work: Work, leakage: Mapping[str, Any]) -> dict[str, Any]:
    """Compute the content of the report."""
    cfg, findings, data = work.cfg, work.findings, work.data
    task, main = dict(cfg.get("task") or {}), work.written[0]
    domain = domain_of(cfg)
    shown, records = shown_samples(
        main, work.scorer, findings.figures, int((cfg.get("evaluation") or {}).get("shown") or 0)
    )
    valid = [(entry, record, None) for entry, record in zip(shown, records) if record]
    draw_pictures(domain, valid)
    attach_media(domain, valid)
    metric = findings.metrics[0]
    return {
        "format_version": 1,
        "verb": "finetune",
        "task": {
            "name": task.get("name"),
            "summary": task.get("summary"),
            "domain": task.get("domain"),
            "kind": "generation",
            "metric": {"name": metric.name, "title": metric.title, "direction": metric.direction},
        },
        "data": data_section(data.dataset, data.split.method, data.counts(), data_digest(data)),
        "main": {"name": main.contender.title, "labels": None, "seeds": [main.seed]},
        "verdict": findings.plain_verdict(),
        "table": findings.table(),
        "comparisons": findings.comparisons,
        "leakage": leakage,
        "samples": {
            "name": main.contender.title,
            "count": len(main.generated),
            "settings": dict(cfg.get("samples") or {}),
            "shown": shown,
        },
        "cost": [
            {
                "name": one.contender.title,
                "role": one.contender.role,
                "labels": None,
                **one.cost.to_dict(),
                "steps": one.settings.get("steps"),
            }
            for one in work.written
            if one.cost is not None
        ],
        "reproduce": reproduce_section(cfg, work.run_dir, [main.seed]),
        "failed": [],
        "disclaimer": domain.disclaimer if domain else None,
    }


def show(work: Work) -> None:
    """Print the table: likelihood, the main figure and what tells copies from new records."""
    from rich.console import Console

    findings = work.findings
    known = work.written[0].likelihood.get("test")
    unit = None if known is None else known.unit_metric()
    per = [] if unit is None else [unit[0]]
    first = dict.fromkeys([NLL_TOKEN, *per, findings.main, "validity", "uniqueness", "novelty"])
    metrics = [metric for metric in findings.metrics if metric.name in first]
    Console().print(rich_table(findings.rows, metrics, title=f"{work.data.name}: {findings.samples}"))
