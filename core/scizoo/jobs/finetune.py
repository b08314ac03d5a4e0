"""``scizoo finetune TASK``: a fitted checkpoint, beside the same model from scratch and the baselines."""

from __future__ import annotations

import csv
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scizoo.checkpoints.card import Figure
from scizoo.checkpoints.format import save_checkpoint
from scizoo.config import to_plain
from scizoo.data.documents import RETRIEVAL
from scizoo.data.targets import TargetEncoder
from scizoo.data.task import TaskData, read_task
from scizoo.evaluation.cells import data_digest
from scizoo.evaluation.contenders import Arena, Result, contenders
from scizoo.evaluation.corpora import sketch_corpus
from scizoo.evaluation.cost import duration
from scizoo.evaluation.findings import Judged, Settings, decided, operating_section
from scizoo.evaluation.intervals import Estimate, estimate
from scizoo.evaluation.metrics import class_metrics, get_metric, wanted_metrics
from scizoo.evaluation.operating import ThresholdRule
from scizoo.evaluation.report.render import write_report
from scizoo.evaluation.table import Row, rich_table
from scizoo.evaluation.uncertainty import FEW, fit_uncertainty
from scizoo.files import atomic_path, cache_dir, write_json
from scizoo.jobs import generation
from scizoo.jobs.cards import check_reference, make_card, reference_for
from scizoo.jobs.facts import describe
from scizoo.jobs.kinds import is_generation
from scizoo.jobs.pretrain import training_data
from scizoo.jobs.reporting import Report, audit, check_metrics, check_subgroups
from scizoo.models.forecast_heads import RollOutHead
from scizoo.models.retrieval import DualEncoder

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from scizoo.checkpoints.uncertainty import UncertaintyState

log = logging.getLogger(__name__)


def run(cfg: DictConfig, run_dir: Path) -> dict[str, Any]:
    """Fine-tune, judge on the test part, and write the checkpoint.

    Parameters
    ----------
    cfg : DictConfig
        A composed config.
    run_dir : Path

    Returns
    -------
    dict
        The main metric of each contender on test, and on validation under ``objective``.
    """
    plain = to_plain(cfg)
    if is_generation(plain):
        return generation.run(plain, run_dir)
    check_metrics(plain)
    if plain["task"]["kind"] == RETRIEVAL:
        check_reference(plain, str(plain["task"]["name"]).partition("/")[0])
    data = read_task(plain, run_dir)
    describe(data)
    check_subgroups(plain, data.part("test"))
    leakage = audit(plain, data, [str(plain["checkpoint"])] if plain.get("checkpoint") else [], strict=False)
    rule = ThresholdRule.from_config(plain)
    arena = Arena(plain, data, run_dir, cache_dir() / "tokens")
    everyone = contenders(plain)
    results = []
    for number, contender in enumerate(everyone, start=1):
        log.info("[%d/%d] %s", number, len(everyone), contender.title)
        result = decided(arena.run(contender, seed=int(plain["seed"])), rule)
        result.save(run_dir / "outputs")
        results.append(result)
    scores = judge(results, arena.metric, plain["evaluation"])
    main = results[0]
    settings = Settings.from_config(plain)
    operating = operating_section(Judged.of([main]), settings)
    write_metrics(run_dir, results, scores, data, operating)
    uncertainty = uncertainty_of(arena, main, settings.coverage)
    save(plain, run_dir, data, main, figures(results, scores, data, plain), uncertainty)
    report = Report(
        cfg=plain,
        verb="finetune",
        run_dir=run_dir,
        judged=[Judged.of([result]) for result in results],
        records=data.part("test"),
        dataset=data.dataset,
        metric=arena.metric,
        parts=data.counts(),
        split=data.split.method,
        fingerprint=data_digest(data),
        leakage=leakage,
    )
    write_report(run_dir, report.build())
    show(results, scores, arena.metric, str(plain["task"]["name"]))
    summary = {f"test/{key}": found[arena.metric].value for key, found in scores.items()}
    return {**summary, "objective": estimate(arena.metric, main.validation, resamples=2).value}


def judge(
    results: Sequence[Result], metric: str, settings: Mapping[str, Any]
) -> dict[str, dict[str, Estimate]]:
    """Compute every metric of every contender on the test part, with intervals over groups."""
    found: dict[str, dict[str, Estimate]] = {}
    for result in results:
        metrics = wanted_metrics(metric, result.test, settings.get("metrics") or ())
        found[result.contender.key] = {
            one.name: estimate(
                one,
                result.test,
                resamples=int(settings.get("resamples") or 1000),
                level=float(settings.get("level") or 0.95),
            )
            for one in [*metrics, *class_metrics(result.test)]
        }
    return found


def write_metrics(
    run_dir: Path,
    results: Sequence[Result],
    scores: Mapping[str, Mapping[str, Estimate]],
    data: TaskData,
    operating: Mapping[str, Any] | None = None,
) -> None:
    """Write ``metrics.json`` and ``metrics.csv``."""
    rows = [
        {
            "contender": result.contender.key,
            "title": result.contender.title,
            "role": result.contender.role,
            "metric": name,
            **found.to_dict(),
        }
        for result in results
        for name, found in scores[result.contender.key].items()
    ]
    write_json(
        run_dir / "metrics.json",
        {
            "task": data.name,
            "split": {"method": data.split.method, "parts": data.counts()},
            "contenders": [
                {
                    "key": result.contender.key,
                    "title": result.contender.title,
                    "role": result.contender.role,
                    "seed": result.seed,
                    "labels": result.labels,
                    "settings": result.settings,
                    "cost": result.cost.to_dict(),
                }
                for result in results
            ],
            "metrics": rows,
            **({} if operating is None else {"operating": operating}),
        },
    )
    with atomic_path(run_dir / "metrics.csv") as path, path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def figures(
    results: Sequence[Result],
    scores: Mapping[str, Mapping[str, Estimate]],
    data: TaskData,
    cfg: Mapping[str, Any],
) -> list[Figure]:
    """Give the card's figures: the first contender beside scratch and the best baseline on validation."""
    main = results[0]
    metric = next(iter(scores[main.contender.key]))
    scratch = next((r for r in results[1:] if r.contender.role == "scratch"), None)
    rivals = [r for r in results if r.contender.role == "baseline"]
    sign = get_metric(metric).sign
    best = max(rivals, key=lambda r: sign * estimate(metric, r.validation, resamples=2).value, default=None)

    def about(result: Result | None, name: str) -> tuple[float | None, tuple[float, float] | None]:
        if result is None or name not in scores[result.contender.key]:
            return None, None
        found = scores[result.contender.key][name]
        return found.value, (found.low, found.high)

    made = []
    of_classes = {one.name for one in class_metrics(main.test)}
    for name, found in scores[main.contender.key].items():
        if name in of_classes:
            continue
        baseline, scratched = about(best, name), about(scratch, name)
        made.append(
            Figure(
                metric=name,
                value=found.value,
                interval=(found.low, found.high),
                level=found.level,
                data=data.name,
                split=f"{data.split.method}; test part",
                seeds=(main.seed,),
                records=found.records,
                baseline=baseline[0],
                baseline_interval=baseline[1],
                baseline_name=best.contender.title if best else None,
                scratch=scratched[0],
                scratch_interval=scratched[1],
            )
        )
    return made


def uncertainty_of(arena: Arena, result: Result, coverage: float) -> UncertaintyState | None:
    """Fit on the validation part what predictions of this network need to say how sure they are."""
    # Quantiles say it themselves; maps have none, and a rank is no probability.
    if result.validation.kind in ("forecast", "segmentation", "retrieval"):
        return None
    state = None
    if len(result.validation) >= FEW:
        state = fit_uncertainty(result.validation, arena.embeddings(result, "validation"), coverage=coverage)
    if state is None:
        log.warning(
            "Fewer than %d labelled validation records: the checkpoint keeps no calibration, and gives no "
            "sets, intervals or out-of-distribution flags.",
            FEW,
        )
    return state


def with_limits(target: TargetEncoder, thresholds: Sequence[float]) -> TargetEncoder:
    """Give a target encoder that decides by thresholds, for the checkpoint."""
    return (
        type(target).from_state({**target.state(), "thresholds": list(thresholds)}) if thresholds else target
    )


def save(
    cfg: Mapping[str, Any],
    run_dir: Path,
    data: TaskData,
    result: Result,
    measured: Sequence[Figure],
    uncertainty: UncertaintyState | None = None,
) -> Path:
    """Write the fitted checkpoint into the run directory."""
    assert result.fitted is not None and result.parts is not None
    parts, head = result.parts, result.fitted.head
    base = parts.checkpoint.manifest if parts.checkpoint and result.contender.role == "pretrained" else None
    name = str(cfg["task"]["name"])
    backbone = result.fitted.backbone
    return save_checkpoint(
        run_dir / "checkpoint",
        backbone=backbone.query if isinstance(backbone, DualEncoder) else backbone,
        document=parts.document,
        head=head.inner if isinstance(head, RollOutHead) else head,
        tokenizer=parts.tokenizer,
        context=parts.context,
        target=with_limits(data.target, result.validation.thresholds),
        augment=cfg.get("augment"),
        uncertainty=uncertainty,
        sketch=sketch_corpus(cfg.get("audit"), data.part("train")),
        card=make_card(
            cfg,
            name=name,
            summary=f"{cfg['task']['summary']} ({result.contender.title})",
            training_data=[] if result.contender.untrained else [training_data(data.dataset, result.labels)],
            command=(run_dir / "command.txt").read_text(encoding="utf-8").strip(),
            base=base.name if base else None,
            base_licence=base.licence if base else None,
        ),
        domain=name.partition("/")[0],
        reference_inputs=reference_for(parts, name.partition("/")[0], data.part("test")),
        figures=measured,
        config=cfg,
        data={
            "name": data.dataset.name,
            "fingerprint": data.dataset.fingerprint(),
            "records": result.labels,
        },
        seeds=[result.seed],
    )


def show(
    results: Sequence[Result], scores: Mapping[str, Mapping[str, Estimate]], metric: str, title: str
) -> None:
    """Print the one table: every contender, its metrics with intervals, its time."""
    from rich.console import Console

    names = [metric, *(name for name in list(scores[results[0].contender.key]) if name != metric)][:3]
    rows = [
        Row(
            name=result.contender.title,
            scores=scores[result.contender.key],
            role=result.contender.role,
            extra={"time": duration(result.cost.seconds)},
        )
        for result in results
    ]
    Console().print(rich_table(rows, names, title=f"{title}: test part"))
