"""``scizoo evaluate TASK``: any fine-tuned checkpoint on any labelled file, with intervals."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from scizoo.checkpoints.store import resolve_ref
from scizoo.config import instantiate, to_plain
from scizoo.data.documents import DocumentTarget, documents_of
from scizoo.data.encoding import encode_records
from scizoo.data.maps import MapTarget
from scizoo.data.splits import PARTS, record_groups
from scizoo.data.targets import FutureTarget, MultiLabelTarget, RealTarget, record_names
from scizoo.data.task import open_dataset, read_records
from scizoo.errors import ConfigError, ScizooError, did_you_mean
from scizoo.evaluation.attribution import attribute_worst, attributions_wanted
from scizoo.evaluation.contenders import output_names
from scizoo.evaluation.corpora import corpus_sketches
from scizoo.evaluation.findings import Judged, Settings, operating_section
from scizoo.evaluation.floor import Floor
from scizoo.evaluation.intervals import estimate
from scizoo.evaluation.leakage import audit_strangers
from scizoo.evaluation.leaks import AuditSettings
from scizoo.evaluation.map_statistics import map_outputs
from scizoo.evaluation.metrics import class_metrics, default_metrics, get_metric, wanted_metrics
from scizoo.evaluation.outputs import Outputs, meta_columns
from scizoo.evaluation.ranks import Pairing, PoolSettings, rank_outputs, vector_scores
from scizoo.evaluation.report.render import write_report
from scizoo.evaluation.table import Row, rich_table
from scizoo.evaluation.worst import worst_rows
from scizoo.files import cache_dir, write_json
from scizoo.jobs.kinds import need_labels
from scizoo.jobs.predict import open_model
from scizoo.jobs.reporting import Report

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from scizoo.api import Model
    from scizoo.data.records import Record

log = logging.getLogger(__name__)


def run(cfg: DictConfig, run_dir: Path) -> dict[str, Any]:
    """Judge a checkpoint on labelled records; write ``metrics.json`` and the report.

    ``part`` chooses the part of the task's split that is judged. By default it is every record of the
    user's own file, and the test part of a task that brings its data.

    Parameters
    ----------
    cfg : DictConfig
        A composed config.
    run_dir : Path

    Returns
    -------
    dict
        The metrics.
    """
    plain = to_plain(cfg)
    need_labels(plain, "evaluate")
    model = open_model(plain)
    if model.checkpoint.target is None and model.kind != "forecast":
        raise ConfigError(
            f"{model.name} predicts no labels: its kind is {model.kind}.",
            expected="a fine-tuned checkpoint",
            remedy="fine-tune it first; `scizoo pretrain` states the quality of a language model.",
        )
    dataset = open_dataset(plain)
    records = read_records(dataset, run_dir)
    groups = record_groups(records).astype(str)
    own = bool((plain.get("data") or {}).get("path"))
    part = str(plain.get("part") or ("all" if own else "test"))
    if part not in (*PARTS, "all"):
        raise ConfigError(f"part={part} is unknown: {did_you_mean(part, (*PARTS, 'all'))}")
    if part != "all":
        split = instantiate(plain["split"]).split(records)
        rows = np.asarray(getattr(split, part))
        records, groups = [records[row] for row in rows], split.groups[rows].astype(str)
    pool = PoolSettings.from_config(plain)
    outputs = predict_outputs(model, records, groups, pool)
    if outputs.kind == "forecast":
        # The floor forecasts from each history; what it has to fit, it fits to nothing but these.
        outputs = Floor(plain, records, outputs.targets).forecast(records).beside(outputs)
    outputs = attributed(plain, model, outputs, records)
    outputs.save(run_dir / "outputs" / "test.parquet")
    settings = plain["evaluation"]
    wanted = (plain.get("task") or {}).get("metric")
    main = get_metric(wanted, outputs.kind) if wanted else default_metrics(outputs.kind)[0]
    metrics = wanted_metrics(main, outputs, settings.get("metrics") or ())
    judged = Judged("model", model.name, "pretrained", None, (), (outputs,))
    operating = operating_section(judged, Settings.from_config(plain))
    scores = {
        metric.name: estimate(
            metric,
            outputs,
            resamples=int(settings.get("resamples") or 1000),
            level=float(settings.get("level") or 0.95),
        )
        for metric in [*metrics, *class_metrics(outputs)]
    }
    write_json(
        run_dir / "metrics.json",
        {
            "checkpoint": model.name,
            "records": len(outputs),
            "labels": dict(Counter(map(str, outputs.targets.tolist())))
            if outputs.kind == "classification"
            else {},
            "metrics": {name: found.to_dict() for name, found in scores.items()},
            **({} if operating is None else {"operating": operating}),
        },
    )
    report = Report(
        cfg=plain,
        verb="evaluate",
        run_dir=run_dir,
        judged=[judged],
        records=records,
        dataset=dataset,
        metric=main.name,
        parts={part: {"records": len(records), "groups": len(set(groups.tolist()))}},
        split=f"{part} records",
        fingerprint=dataset.fingerprint(),
        leakage=leakage(plain, model, records, outputs),
    )
    write_report(run_dir, report.build())
    from rich.console import Console

    Console().print(
        rich_table([Row(model.name, scores)], list(scores)[:4], title=f"{len(outputs):,} records")
    )
    return {name: found.value for name, found in scores.items()}


def attributed(cfg: Mapping[str, Any], model: Model, outputs: Outputs, records: Sequence[Record]) -> Outputs:
    """Explain the worst mistakes; these records alone are encoded again, as they are."""
    most = attributions_wanted(cfg)
    if not most or outputs.kind not in ("classification", "multilabel", "regression"):
        return outputs
    checkpoint = model.checkpoint
    worst, _ = worst_rows(outputs, most)
    shown = [records[row] for row in worst]
    encoded = encode_records(shown, checkpoint.tokenizer, context=checkpoint.context, unique_ids=False)
    rows = np.full(len(outputs), -1)
    rows[worst] = np.arange(len(worst))
    parts = (checkpoint.backbone, checkpoint.head, checkpoint.tokenizer)
    return replace(outputs, attributions=attribute_worst(outputs, *parts, encoded, rows, records, most))


def leakage(
    cfg: Mapping[str, Any], model: Model, records: Sequence[Record], outputs: Outputs
) -> dict[str, Any]:
    """Measure how much of the records the checkpoint, and the one it came from, were trained on.

    Returns
    -------
    dict
        The ``leakage`` section of report.json.
    """
    described = AuditSettings.split_from(cfg.get("audit"))[1]
    refs = [str(model.checkpoint.path)]
    base = model.checkpoint.manifest.config.get("checkpoint")
    if base:
        try:
            resolve_ref(str(base))
            refs.append(str(base))
        except ScizooError as error:
            log.info("the corpus of %s is not compared with the records: %s", base, error.problem)
    corpora = {}
    if described.get("_target_"):
        corpora = corpus_sketches(refs, instantiate(described), cache_dir() / "sketches")
    found = audit_strangers(records, cfg, kind=outputs.kind, groups=outputs.groups, corpora=corpora)
    return found.to_dict()


def predict_outputs(
    model: Model, records: list[Record], groups: np.ndarray, pool: PoolSettings | None = None
) -> Outputs:
    """Let a loaded checkpoint predict labelled records; ``pool`` is what queries are ranked against.

    Raises
    ------
    DataError
        When a record has no label, or one that the checkpoint does not know.
    """
    target = model.checkpoint.target
    if model.kind == "forecast":
        return _forecast_outputs(model, records, groups)
    if isinstance(target, MapTarget):
        truth = target.encode([record.target for record in records], record_names(records))
        return map_outputs(target, records, groups, truth, enumerate(model.segment_numbers(records)))
    assert target is not None
    if isinstance(target, DocumentTarget):
        numbers = target.encode([record.target for record in records], record_names(records))
        pairing = Pairing.of(records)
        query = model.embed(records, side="query")
        document = model.embed(documents_of(records), side="document")
        scores = vector_scores(query, document, pairing)
        return rank_outputs(records, groups, numbers, scores, pool or PoolSettings(), pairing)
    if target.kind == "tokens":
        raise ConfigError(f"{model.name} labels positions; only records can be judged.")
    labels, names = [record.target for record in records], record_names(records)
    if isinstance(target, MultiLabelTarget) and target.uncertain is not None:
        encoded: Any = target.truth(labels, names)
    else:
        encoded = target.encode(labels, names)
    prediction = model.predict(records)
    regression = isinstance(target, RealTarget)
    assert isinstance(encoded, np.ndarray)
    return Outputs(
        ids=np.array([record.id for record in records], dtype=str),
        groups=groups,
        targets=target.decode(encoded) if regression else encoded,
        kind=target.kind,
        classes=tuple(output_names(target)),
        probability=None if regression else prediction.probability,
        thresholds=tuple(getattr(target, "thresholds", None) or ()),
        mean=prediction.mean if regression else None,
        variance=prediction.std**2 if regression and prediction.std is not None else None,
        meta=meta_columns([record.meta for record in records]),
    )


def _forecast_outputs(model: Model, records: list[Record], groups: np.ndarray) -> Outputs:
    """Forecast as far as the records' own futures reach, whatever the model was trained for."""
    target = FutureTarget()
    futures, names = [record.target for record in records], record_names(records)
    target.fit(futures, names)
    prediction = model.predict(records, horizon=target.horizon)
    return Outputs(
        ids=np.array([record.id for record in records], dtype=str),
        groups=groups,
        targets=target.encode(futures, names),
        kind="forecast",
        quantiles=prediction.quantiles,
        levels=tuple(prediction.levels),
        meta=meta_columns([record.meta for record in records]),
    )
