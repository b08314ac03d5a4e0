"""What a report says: the sections that are computed from outputs alone."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from scizoo.data.records import Record
from scizoo.evaluation.calibration import (
    TemperatureScaling,
    VarianceScaling,
    calibration_error,
    interval_coverage,
    reliability,
)
from scizoo.evaluation.conformal import (
    ConformalClassifier,
    ConformalRegressor,
    Coverage,
    measure_intervals,
    measure_sets,
)
from scizoo.evaluation.conformal_forecasts import ConformalForecaster, measure_forecasts
from scizoo.evaluation.contenders import Result
from scizoo.evaluation.cost import Cost
from scizoo.evaluation.forecasts import (
    central_levels,
    coverage_by_level,
    coverage_by_step,
    error_by_step,
    errors,
    scaled_errors,
)
from scizoo.evaluation.intervals import PairedResult, estimate, holm, paired_difference
from scizoo.evaluation.map_report import map_calls, map_errors, worst_maps
from scizoo.evaluation.metrics import Metric, applicable, get_metric, score, two_classes, wanted_metrics
from scizoo.evaluation.operating import ThresholdRule, operating_points, with_thresholds
from scizoo.evaluation.outputs import Outputs
from scizoo.evaluation.ranked import rank_histogram, search_facts
from scizoo.evaluation.subgroups import audit_subgroups
from scizoo.evaluation.table import Row
from scizoo.evaluation.tuning import merit
from scizoo.evaluation.worst import worst_rows

_FEW = 20  # validation records below which nothing is fitted to them


@dataclass(frozen=True)
class Judged:
    """A contender with one label budget, over its seeds: a row of the report.

    Parameters
    ----------
    key, title, role : str
        As in :class:`~scizoo.evaluation.contenders.Contender`.
    labels : int or None
        Training records; None where they are not known, as of a finished checkpoint.
    seeds : tuple of int
    test, validation : tuple of Outputs
        One a seed; validation may be empty.
    costs : tuple of Cost
        One a seed.
    settings : mapping
        Of the first seed.
    search : mapping or None
        How it was tuned.
    """

    key: str
    title: str
    role: str
    labels: int | None
    seeds: tuple[int, ...]
    test: tuple[Outputs, ...]
    validation: tuple[Outputs, ...] = ()
    costs: tuple[Cost, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    search: Mapping[str, Any] | None = None

    @property
    def seed(self) -> int | None:
        """The seed whose outputs the figures show; None where it is not known."""
        return self.seeds[0] if self.seeds else None

    @classmethod
    def of(
        cls,
        results: Sequence[Result],
        search: Mapping[str, Any] | None = None,
        threshold: ThresholdRule | None = None,
    ) -> Judged:
        """Gather the results of one contender with one label budget, each with its own thresholds."""
        first = results[0]
        results = [decided(result, threshold) for result in results]
        return cls(
            first.contender.key,
            first.contender.title,
            first.contender.role,
            first.labels,
            tuple(result.seed for result in results),
            tuple(result.test for result in results),
            tuple(result.validation for result in results),
            tuple(result.cost for result in results),
            first.settings,
            search,
        )

    def merit(self, metric: str) -> float:
        """Give the metric on validation, mean over the seeds; the stand-in where it is undefined."""
        return float(np.mean([merit(metric, outputs)[1] for outputs in self.validation]))


def decided(result: Result, rule: ThresholdRule | None) -> Result:
    """Give a result whose decisions are made by thresholds that were chosen on its validation part."""
    validation, test = with_thresholds(rule, result.validation, result.test, validation=result.validation)
    return replace(result, validation=validation, test=test)


@dataclass(frozen=True)
class Settings:
    """How intervals are made.

    Parameters
    ----------
    resamples : int
    level : float
    coverage : float
        Of conformal sets and intervals.
    seed : int
        Of the bootstrap.
    metrics : tuple of str
        Further metrics of the table.
    threshold : ThresholdRule or None
        How thresholds are chosen on validation.
    """

    resamples: int = 1000
    level: float = 0.95
    coverage: float = 0.9
    seed: int = 0
    metrics: tuple[str, ...] = ()
    threshold: ThresholdRule | None = None

    @classmethod
    def from_config(cls, cfg: Mapping[str, Any]) -> Settings:
        """Read the ``evaluation`` group of a config."""
        group = dict(cfg.get("evaluation") or {})
        return cls(
            int(group.get("resamples") or 1000),
            float(group.get("level") or 0.95),
            float(group.get("coverage") or 0.9),
            metrics=tuple(str(name) for name in group.get("metrics") or ()),
            threshold=ThresholdRule.from_config(cfg),
        )

    @property
    def bootstrap(self) -> dict[str, Any]:
        """Keyword arguments of the functions that make intervals."""
        return {"resamples": self.resamples, "level": self.level, "seed": self.seed}


def chosen(judged: Sequence[Judged], metric: str, *roles: str) -> Judged | None:
    """Choose the best contender of some roles by its value on validation, never on test.

    Without validation outputs it is the first.
    """
    rivals = [one for one in judged if one.role in roles]
    if not rivals or not all(one.validation for one in rivals):
        return rivals[0] if rivals else None
    return max(rivals, key=lambda one: np.nan_to_num(one.merit(metric), nan=-math.inf))


def table_rows(judged: Sequence[Judged], metric: str, settings: Settings) -> tuple[list[Row], list[Metric]]:
    """Compute the table: every metric with its interval at the largest budget, the main one at each.

    Returns
    -------
    tuple of (list of Row, list of Metric)
        Rows by label budget, networks before baselines; the main metric first.
    """
    order = {"pretrained": 0, "scratch": 1, "baseline": 2, "floor": 3}
    most = max((one.labels or 0 for one in judged), default=0)
    main = get_metric(metric)
    every = wanted_metrics(main, judged[0].test[0], settings.metrics)
    rows = []
    for one in sorted(judged, key=lambda one: (one.labels or 0, order.get(one.role, 4))):
        wanted = applicable(every if (one.labels or 0) == most else [main], one.test[0])
        scores = {found.name: estimate(found, one.test, **settings.bootstrap) for found in wanted}
        rows.append(Row(one.title, scores, one.labels, one.role))
    return rows, every


def curves(judged: Sequence[Judged], rows: Sequence[Row], metric: str) -> list[dict[str, Any]]:
    """Give a learning curve for each contender: the main metric over label budgets.

    Parameters
    ----------
    judged : sequence of Judged
    rows : sequence of Row
        Of :func:`table_rows`, which hold the estimates.
    metric : str
    """
    found: dict[str, dict[str, Any]] = {}
    for one in judged:
        curve = found.setdefault(one.key, {"name": one.title, "key": one.key, "role": one.role, "points": []})
        row = next(row for row in rows if row.name == one.title and row.labels == one.labels)
        curve["points"].append({"labels": one.labels, **row.scores[metric].to_dict()})
    for curve in found.values():
        curve["points"].sort(key=lambda point: point["labels"] or 0)
    return list(found.values())


@dataclass(frozen=True)
class Comparison:
    """A pre-trained contender against another one, with one label budget.

    Parameters
    ----------
    labels : int or None
    first, second : Judged
    paired : PairedResult
    adjusted_p : float
        By Holm, over all comparisons of the report.
    headline : bool
        Whether both were the best of their kind on validation.
    """

    labels: int | None
    first: Judged
    second: Judged
    paired: PairedResult
    adjusted_p: float
    headline: bool

    def to_dict(self) -> dict[str, Any]:
        """Give the plain form for report.json."""
        return {
            "labels": self.labels,
            "first": self.first.title,
            "second": self.second.title,
            "role": self.second.role,
            "headline": self.headline,
            "adjusted_p_value": self.adjusted_p,
            **self.paired.to_dict(),
        }


def comparisons(judged: Sequence[Judged], metric: str, settings: Settings) -> list[Comparison]:
    """Compare every pre-trained contender with the best baseline and with scratch, at each budget.

    Where none is pre-trained, the new network is compared with the best baseline.

    Seeds are paired, since contenders with one seed saw the same labels, and groups of test records are
    drawn for both at once. The best baseline is chosen on validation; of forecasts the floor is among them.
    """
    made: list[tuple[int | None, Judged, Judged, PairedResult, bool]] = []
    role = "pretrained" if any(one.role == "pretrained" for one in judged) else "scratch"
    for labels in sorted({one.labels for one in judged}, key=lambda labels: labels or 0):
        here = [one for one in judged if one.labels == labels]
        best = chosen(here, metric, role)
        if here[0].test[0].kind == "forecast":  # the naive method is a rival in earnest, and often the best
            rivals = [chosen(here, metric, "baseline", "floor")]
        else:  # the floor stands in where a task has no baseline of its field
            rivals = [chosen(here, metric, "baseline") or chosen(here, metric, "floor")]
        rivals += [chosen(here, metric, "scratch")] if role == "pretrained" else []
        for first in here:
            for second in rivals:
                if first.role != role or second is None:
                    continue
                paired = first.seeds == second.seeds
                result = paired_difference(
                    metric, first.test, second.test, paired_seeds=paired, **settings.bootstrap
                )
                made.append((labels, first, second, result, first is best))
    adjusted = holm([one[3].p_value for one in made])
    return [
        Comparison(labels, first, second, result, float(p), headline)
        for (labels, first, second, result, headline), p in zip(made, adjusted, strict=True)
    ]


def calibration_section(one: Judged, settings: Settings) -> dict[str, Any] | None:
    """Judge how well a contender knows how sure it may be, before and after scaling on validation.

    The first seed is judged. Regression without a variance has nothing to judge, nor have forecasts without
    a central interval. Forecasts are not scaled; see :func:`conformal_coverage`.
    """
    test = one.test[0]
    if test.kind == "segmentation":
        return None
    validation = one.validation[0] if one.validation else None
    fits = validation is not None and len(validation) >= _FEW
    found: dict[str, Any]
    if test.kind == "retrieval":  # ranks say nothing of probabilities
        return None
    if test.kind == "forecast":
        if not central_levels(test.levels):
            return None
        found = {"before": {"coverage": coverage_by_level(test), "steps": coverage_by_step(test)}}
    elif test.kind == "regression":
        if test.variance is None:
            return None
        found = {"before": {"coverage": interval_coverage(test)}}
        if fits and validation is not None:
            scaling = VarianceScaling.fit(validation)
            found["variance_factor"] = scaling.state()["factor"]
            found["after"] = {"coverage": interval_coverage(scaling.apply(test))}
    else:
        found = {"before": _sureness(test, settings)}
        if fits and validation is not None:
            temperature = TemperatureScaling.fit(validation)
            found["temperature"] = temperature.temperature
            found["after"] = _sureness(temperature.apply(test), settings)
    return {"name": one.title, "labels": one.labels, "seed": one.seed, "kind": test.kind, **found}


def _sureness(outputs: Outputs, settings: Settings) -> dict[str, Any]:
    names = ("mean_brier",) if outputs.kind == "multilabel" else ("brier", "log_loss")
    return {
        "ece": calibration_error(outputs, **settings.bootstrap).to_dict(),
        "reliability": reliability(outputs, level=settings.level).to_dict(),
        **{name: score(name, outputs).value for name in names},
    }


def conformal_coverage(one: Judged, settings: Settings) -> Coverage | None:
    """Fit conformal sets or intervals on validation and measure them on test, overall and by group.

    They are fitted to the outputs of the first seed as they are, not to scaled ones: the validation part
    would be used twice. None where validation is missing or too small, for several labels at once, and for
    retrieval.
    """
    test = one.test[0]
    unsure = ("multilabel", "segmentation", "retrieval")
    if not one.validation or len(one.validation[0]) < _FEW or test.kind in unsure:
        return None
    validation = one.validation[0]
    options: dict[str, Any] = {"resamples": settings.resamples, "seed": settings.seed}
    if test.kind == "forecast":
        if not central_levels(test.levels):
            return None
        return measure_forecasts(ConformalForecaster(settings.coverage).fit(validation), test, **options)
    if test.kind == "regression":
        regressor = ConformalRegressor("absolute" if test.variance is None else "cqr", settings.coverage)
        return measure_intervals(regressor.fit(validation), test, **options)
    classifier = ConformalClassifier("aps", settings.coverage)
    classifier.fit(validation.require("probability"), validation.targets, validation.ids)
    return measure_sets(classifier, test, **options)


def conformal_section(one: Judged, coverage: Coverage | None) -> dict[str, Any] | None:
    """Give the ``conformal`` section of report.json."""
    if coverage is None:
        return None
    return {"name": one.title, "labels": one.labels, "seed": one.seed, **coverage.to_dict()}


def operating_section(one: Judged, settings: Settings) -> dict[str, Any] | None:
    """Give the ``operating`` section: AUROC by DeLong and decisions, of two classes or of each label.

    The first seed is judged. None for other tasks.
    """
    test = one.test[0]
    if test.kind != "multilabel" and not two_classes(test):
        return None
    found = operating_points(test, **settings.bootstrap)
    rule = None if settings.threshold is None else vars(settings.threshold)
    facts = {"name": one.title, "labels": one.labels, "seed": one.seed, "level": settings.level}
    return {**facts, "rule": rule, **found}


def subgroups_section(
    one: Judged, columns: Sequence[str], metric: str, coverage: Coverage | None, settings: Settings
) -> dict[str, Any] | None:
    """Break the results of a contender down by columns of the records; None where no column is named."""
    if not columns:
        return None
    covered = None if coverage is None else coverage.covered
    audit = audit_subgroups(one.test, list(columns), metric, covered=covered, **settings.bootstrap)
    return {"name": one.title, "labels": one.labels, **audit.to_dict()}


def errors_section(one: Judged, settings: Settings | None = None) -> dict[str, Any]:
    """Give what the first seed got wrong: confusions, residuals, counts a label, errors a step, or ranks."""
    test = one.test[0]
    found: dict[str, Any] = {"name": one.title, "labels": one.labels, "seed": one.seed, "kind": test.kind}
    if test.kind == "segmentation":
        return {**found, **map_errors(test, **(settings or Settings()).bootstrap)}
    if test.kind == "classification":
        count = test.require("probability").shape[1]
        matrix = np.zeros((count, count), dtype=int)
        np.add.at(matrix, (test.targets, test.predicted), 1)
        return {**found, "classes": list(test.classes), "matrix": matrix}
    if test.kind == "multilabel":
        known = ~np.isnan(test.targets)
        true, said = (test.targets == 1) & known, (test.predicted == 1) & known
        counts = {
            "right": (true & said).sum(axis=0),
            "missed": (true & ~said).sum(axis=0),
            "false": (~true & said & known).sum(axis=0),
        }
        return {**found, "classes": list(test.classes), **counts}
    if test.kind == "forecast":
        scaled = test.scale is not None
        return {
            **found,
            "steps": list(range(1, test.targets.shape[1] + 1)),
            "scaled": scaled,
        } | error_by_step(test)
    if test.kind == "retrieval":
        return found | rank_histogram(test)
    mean = test.require("mean")
    rows = np.linspace(0, len(test) - 1, min(len(test), 2000)).round().astype(int)  # enough for a figure
    return {**found, "classes": list(test.classes), "true": test.targets[rows], "predicted": mean[rows]}


def worst_mistakes(one: Judged, records: Mapping[str, Record], most: int) -> list[dict[str, Any]]:
    """Find the test records on which the first seed was wrong with most confidence.

    Parameters
    ----------
    one : Judged
    records : mapping of str to Record
        By id.
    most : int

    Returns
    -------
    list of dict
        ``id``, ``group``, ``true``, ``predicted``, ``confidence`` (or ``error``) and the record's ``meta``.
        Of a forecast ``predicted`` is a mapping: ``median`` [H], ``quantiles`` [H][Q] and their ``levels``.
        Of a segmentation ``map`` is the predicted map, of class numbers and as large as the truth.
    """
    test = one.test[0]
    if test.kind == "classification":
        probability = test.require("probability")
        rows, _ = worst_rows(test, most)
        names = test.classes or tuple(map(str, range(probability.shape[1])))
        facts = [
            {
                "true": names[test.targets[row]],
                "predicted": names[test.predicted[row]],
                "confidence": float(probability[row, test.predicted[row]]),
                "probability_of_true": float(probability[row, test.targets[row]]),
            }
            for row in rows
        ]
    elif test.kind == "multilabel":
        rows, columns = worst_rows(test, most)
        distance = np.abs(test.targets - test.require("probability"))
        facts = []
        for row, column in zip(rows, columns, strict=True):
            label = test.classes[column] if test.classes else str(column)
            truth = "" if test.targets[row, column] == 1 else "not "
            said = "" if test.predicted[row, column] == 1 else "not "
            facts.append(
                {
                    "true": f"{truth}{label}",
                    "predicted": f"{said}{label}",
                    "confidence": float(distance[row, column]),
                }
            )
    elif test.kind == "forecast":
        each = errors(test)
        size = np.nanmean(np.where(np.isnan(each).all(axis=1, keepdims=True), 0.0, each), axis=1)
        worth = np.nan_to_num(size if test.scale is None else scaled_errors(test), nan=-1.0)
        rows = np.argsort(-worth, kind="stable")[:most]
        quantiles, median = test.require("quantiles"), test.require("point")
        facts = [
            {
                "true": test.targets[row].tolist(),
                "predicted": {
                    "median": median[row].tolist(),
                    "quantiles": quantiles[row].tolist(),
                    "levels": list(test.levels),
                },
                "error": float(size[row]),
                "scaled_error": None if test.scale is None or worth[row] < 0 else float(worth[row]),
            }
            for row in rows
        ]
    elif test.kind == "segmentation":
        rows = worst_maps(test, most)
        facts = [map_calls(test, int(row)) for row in rows]
    elif test.kind == "retrieval":
        rows = np.argsort(-test.require("ranks")[:, 0], kind="stable")[:most]
        rows = rows[test.require("ranks")[rows, 0] > 1]
        facts = [search_facts(test, row, records) for row in rows]
    else:
        error = np.abs(test.targets - test.require("mean"))
        rows, _ = worst_rows(test, most)
        facts = [
            {
                "true": test.targets[row].tolist(),
                "predicted": test.require("mean")[row].tolist(),
                "error": error[row].tolist(),
            }
            for row in rows
        ]
    found = []
    for row, fact in zip(rows, facts, strict=True):
        record = records.get(str(test.ids[row]))
        meta = {name: value for name, value in (record.meta if record else {}).items() if _short(value)}
        found.append({"id": str(test.ids[row]), "group": str(test.groups[row]), **fact, "meta": meta})
    return found


def _short(value: Any) -> bool:
    return isinstance(value, int | float | bool | np.generic) or (isinstance(value, str) and len(value) < 80)


def cost_section(judged: Sequence[Judged]) -> list[dict[str, Any]]:
    """Say what each row cost: means over seeds, the tuning apart."""
    found = []
    for one in judged:
        if not one.costs:
            continue
        first = one.costs[0]
        trials = len((one.search or {}).get("trials") or [])
        found.append(
            {
                "name": one.title,
                "role": one.role,
                "labels": one.labels,
                "seconds": float(np.mean([cost.seconds for cost in one.costs])),
                "cpu_seconds": float(np.mean([cost.cpu_seconds for cost in one.costs])),
                "energy": float(np.mean([cost.energy for cost in one.costs])),
                "peak_memory": max(cost.peak_memory for cost in one.costs),
                "parameters": first.parameters,
                "trained_parameters": first.trained_parameters,
                "steps": one.settings.get("steps"),
                "trials": trials or None,
                "assumption": first.assumption,
            }
        )
    return found
