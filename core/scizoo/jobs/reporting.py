"""The report of a job: its content as one plain dict, written as report.json and report.html."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from scizoo.config import instantiate
from scizoo.data.placement import nearest_map
from scizoo.data.records import Dataset, Record
from scizoo.data.task import TaskData
from scizoo.errors import ConfigError, did_you_mean
from scizoo.evaluation.corpora import corpus_sketches
from scizoo.evaluation.findings import (
    Comparison,
    Judged,
    Settings,
    calibration_section,
    chosen,
    comparisons,
    conformal_coverage,
    conformal_section,
    cost_section,
    curves,
    errors_section,
    operating_section,
    subgroups_section,
    table_rows,
    worst_mistakes,
)
from scizoo.evaluation.leakage import AuditSettings, LeakageError, audit_task
from scizoo.evaluation.metrics import get_metric
from scizoo.evaluation.operating import ThresholdRule
from scizoo.evaluation.plain import plain
from scizoo.evaluation.table import Row, table_section
from scizoo.evaluation.verdict import Verdict, headlines, verdict
from scizoo.evaluation.worst import mistakes_shown
from scizoo.files import cache_dir
from scizoo.jobs.facts import data_section, domain_of, draw_pictures, reproduce_section
from scizoo.jobs.media import attach_media

log = logging.getLogger(__name__)


@dataclass
class Report:
    """What a report is made from.

    Parameters
    ----------
    cfg : mapping
        The job's plain config.
    verb : str
    run_dir : Path
    judged : list of Judged
        What is judged; the first is the main one where nothing else decides.
    records : list of Record
        At least those of the test part.
    dataset : Dataset
    metric : str
    parts : mapping
        Records and groups of each part.
    split : str
        How it was split, in words.
    fingerprint : str
        Of the data.
    leakage, ood : mapping or None
        Sections made elsewhere.
    failed : list of dict
        Cells that are missing.
    """

    cfg: Mapping[str, Any]
    verb: str
    run_dir: Path
    judged: list[Judged]
    records: Sequence[Record]
    dataset: Dataset
    metric: str
    parts: Mapping[str, Any] = field(default_factory=dict)
    split: str = ""
    fingerprint: str = ""
    leakage: Mapping[str, Any] | None = None
    ood: Mapping[str, Any] | None = None
    failed: Sequence[Mapping[str, Any]] = ()
    rows: list[Row] = field(default_factory=list, init=False)
    compared: list[Comparison] = field(default_factory=list, init=False)

    @property
    def main(self) -> Judged:
        """The contender that the figures are about: the best one on validation with the most labels."""
        most = max(one.labels or 0 for one in self.judged)
        here = [one for one in self.judged if (one.labels or 0) == most]
        for roles in (("pretrained",), ("scratch",), ("baseline", "floor")):
            found = chosen(here, self.metric, *roles)
            if found is not None:
                return found
        return here[0]

    def build(self) -> dict[str, Any]:
        """Compute every section.

        Returns
        -------
        dict
            Plain values, as report.json holds them.
        """
        settings, main = Settings.from_config(self.cfg), self.main
        group = dict(self.cfg.get("evaluation") or {})
        self.rows, metrics = table_rows(self.judged, self.metric, settings)
        self.compared = comparisons(self.judged, self.metric, settings)
        coverage = conformal_coverage(main, settings)
        by_id = {record.id: record for record in self.records}
        mistakes = worst_mistakes(main, by_id, mistakes_shown(self.cfg))
        shown = [
            (one, by_id[one["id"]], picture_of(one, by_id[one["id"]]))
            for one in mistakes
            if one["id"] in by_id
        ]
        domain = domain_of(self.cfg)
        draw_pictures(domain, shown, main.test[0].attributions)
        attach_media(domain, shown)
        return plain(
            {
                "format_version": 1,
                "verb": self.verb,
                "task": self._task(),
                "data": data_section(self.dataset, self.split, self.parts, self.fingerprint),
                "main": {"name": main.title, "labels": main.labels, "seeds": main.seeds},
                "verdict": self._verdict(),
                "table": table_section(self.rows, metrics),
                "curves": curves(self.judged, self.rows, self.metric),
                "comparisons": self.compared,
                "calibration": calibration_section(main, settings),
                "conformal": conformal_section(main, coverage),
                "subgroups": subgroups_section(
                    main, group.get("subgroups") or [], self.metric, coverage, settings
                ),
                "ood": self.ood,
                "operating": operating_section(main, settings),
                "errors": errors_section(main, settings),
                "leakage": self.leakage,
                "mistakes": mistakes,
                "cost": cost_section(self.judged),
                "tuning": self._tuning(),
                "reproduce": reproduce_section(
                    self.cfg, self.run_dir, {seed for one in self.judged for seed in one.seeds}
                ),
                "failed": list(self.failed),
                "disclaimer": domain.disclaimer if domain else None,
            }
        )

    def _verdict(self) -> Verdict | None:
        """Say what the comparisons come to; None where a single checkpoint was judged."""
        if len(self.judged) == 1:
            return None
        train = dict(self.parts.get("train") or {})
        return verdict(headlines(self.compared, self.metric), total=train.get("records"))

    def _task(self) -> dict[str, Any]:
        task = dict(self.cfg.get("task") or {})
        metric = get_metric(self.metric)
        return {
            "name": task.get("name"),
            "summary": task.get("summary"),
            "domain": task.get("domain"),
            "kind": self.judged[0].test[0].kind,
            "metric": {"name": metric.name, "title": metric.title, "direction": metric.direction},
        }

    def _tuning(self) -> dict[str, Any]:
        tuning = dict(self.cfg.get("tuning") or {})
        return {
            "trials": int(tuning.get("trials") or 0),
            "search": tuning.get("search") or {},
            "fit": self.cfg.get("fit") or {},
            "contenders": [
                {
                    "name": one.title,
                    "labels": one.labels,
                    "settings": (one.search or {}).get("settings"),
                    "trials": (one.search or {}).get("trials") or [],
                    "note": (one.search or {}).get("note"),
                }
                for one in self.judged
                if one.search is not None
            ],
        }


def picture_of(mistake: dict[str, Any], record: Record) -> Any:
    """Give what a domain draws for a mistake: the prediction; a predicted map as large as the truth."""
    labels = mistake.pop("map", None)
    if labels is None:
        return mistake["predicted"]
    shape = np.shape(record.target)
    return labels if len(shape) != 2 else nearest_map(labels, (shape[0], shape[1]))


def audit(
    cfg: Mapping[str, Any], data: TaskData, checkpoints: Sequence[str], *, strict: bool
) -> dict[str, Any]:
    """Measure leakage between the parts, and of the test part into pre-training corpora.

    Parameters
    ----------
    cfg : mapping
        A composed config; read is ``audit``.
    data : TaskData
    checkpoints : sequence of str
    strict : bool
        Whether a leak beyond its tolerance stops the job; else it is told as a warning.

    Returns
    -------
    dict
        The ``leakage`` section of report.json.

    Raises
    ------
    LeakageError
        When the split leaks, ``strict`` holds, and the leak is not among ``audit.allow``.
    """
    described = AuditSettings.split_from(cfg.get("audit"))[1]
    corpora = {}
    if described.get("_target_") and checkpoints:
        corpora = corpus_sketches(checkpoints, instantiate(described), cache_dir() / "sketches")
    found = audit_task(data, cfg, corpora)
    try:
        found.check()
    except LeakageError as error:
        if strict:
            raise
        log.warning("%s", error.problem)
    return found.to_dict()


def check_metrics(cfg: Mapping[str, Any]) -> None:
    """Refuse a metric or a threshold rule that does not fit the task, before anything is trained.

    Raises
    ------
    ConfigError
        With what there is.
    """
    task = dict(cfg.get("task") or {})
    kind = str(task.get("kind"))
    for name in [task.get("metric"), *((cfg.get("evaluation") or {}).get("metrics") or ())]:
        if name:
            get_metric(str(name), kind)
    if ThresholdRule.from_config(cfg) is not None and kind not in ("classification", "multilabel"):
        raise ConfigError(
            f"evaluation.threshold is for classes and labels, not for a {kind} task.",
            remedy="set evaluation.threshold=null.",
        )


def check_subgroups(cfg: Mapping[str, Any], records: Sequence[Record]) -> None:
    """Refuse a column of ``evaluation.subgroups`` that the records lack, before anything is trained.

    Raises
    ------
    ConfigError
        With the nearest columns.
    """
    columns = dict.fromkeys(str(name) for record in records for name in record.meta)
    for name in (cfg.get("evaluation") or {}).get("subgroups") or []:
        if name not in columns:
            near = did_you_mean(str(name), columns)
            raise ConfigError(f"evaluation.subgroups: the records have no column '{name}'; {near}")
