"""The report of a job: its content as one plain dict, written as report.json and report.html."""

from __future__ import annotations

import base64
import io
import logging
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from scizoo import plugins
from scizoo.checkpoints.manifest import portable, portable_text
from scizoo.config import get_class, instantiate
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
    subgroups_section,
    table_rows,
    worst_mistakes,
)
from scizoo.evaluation.leakage import AuditSettings, LeakageError, audit_task
from scizoo.evaluation.metrics import get_metric
from scizoo.evaluation.plain import plain
from scizoo.evaluation.table import Row, table_section
from scizoo.evaluation.verdict import Verdict, headlines, verdict
from scizoo.files import cache_dir

log = logging.getLogger(__name__)

_VERSIONED = ("scizoo", "torch", "lightning", "transformers", "peft", "scikit-learn", "numpy", "optuna")


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
        mistakes = worst_mistakes(main, by_id, int(group.get("mistakes") or 6))
        self._draw(mistakes, by_id)
        return plain(
            {
                "format_version": 1,
                "verb": self.verb,
                "task": self._task(),
                "data": self._data(),
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
                "errors": errors_section(main),
                "leakage": self.leakage,
                "mistakes": mistakes,
                "cost": cost_section(self.judged),
                "tuning": self._tuning(),
                "reproduce": self._reproduce(),
                "failed": list(self.failed),
                "disclaimer": self._domain.disclaimer if self._domain else None,
            }
        )

    def _verdict(self) -> Verdict | None:
        """Say what the comparisons come to; None where a single checkpoint was judged."""
        if len(self.judged) == 1:
            return None
        train = dict(self.parts.get("train") or {})
        return verdict(headlines(self.compared, self.metric), total=train.get("records"))

    @property
    def _domain(self) -> Any:
        task = dict(self.cfg.get("task") or {})
        return plugins.domains().get(str(task.get("domain") or "").partition("/")[0])

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

    def _data(self) -> dict[str, Any]:
        terms = self.dataset.licence
        return {
            "name": portable(self.dataset.name),
            "licence": terms.name,
            "citation": self.dataset.citation,
            "split": self.split,
            "parts": self.parts,
            "fingerprint": self.fingerprint,
            "rejected": len(self.dataset.rejections.rejected),
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

    def _reproduce(self) -> dict[str, Any]:
        command = self.run_dir / "command.txt"
        words = command.read_text(encoding="utf-8").strip() if command.exists() else ""
        domain = str((self.cfg.get("task") or {}).get("domain") or "")
        return {
            "command": portable_text(words),
            "seeds": sorted({seed for one in self.judged for seed in one.seeds}),
            "versions": _versions() | ({f"scizoo-{domain}": plugins.version(domain)} if domain else {}),
            "machine": f"{platform.system()} {platform.machine()}, Python {platform.python_version()}",
            "config": portable({key: value for key, value in self.cfg.items() if value is not None}),
        }

    def _draw(self, mistakes: list[dict[str, Any]], records: Mapping[str, Record]) -> None:
        """Let the domain draw each mistake; a picture that fails does not lose the report."""
        domain = self._domain
        if domain is None or not domain.picture:
            return
        draw = get_class(domain.picture, key=f"the picture of {domain.name}")
        for mistake in mistakes:
            record = records.get(mistake["id"])
            if record is None:
                continue
            try:
                mistake["picture"] = picture(draw, record, mistake["predicted"])
            except Exception as error:  # a plugin's drawing may fail in any way
                log.warning("record '%s' could not be drawn: %s: %s", record.id, type(error).__name__, error)


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


def picture(draw: Any, record: Record, prediction: Any) -> str:
    """Draw a record as a data URI of a PNG file.

    Parameters
    ----------
    draw : callable
        ``draw(axes, record, prediction)`` of a domain.
    record : Record
    prediction : Any
        In words or as a number; of a forecast a mapping with ``median`` [H], ``quantiles`` [H][Q] and
        ``levels``.

    Returns
    -------
    str
        ``data:image/png;base64,...``.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5, 2.4), layout="constrained")
    draw(figure.subplots(), record, prediction)
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=110, metadata={"Software": None})
    return "data:image/png;base64," + base64.b64encode(stream.getvalue()).decode("ascii")


def _versions() -> dict[str, str]:
    found = {}
    for name in _VERSIONED:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
