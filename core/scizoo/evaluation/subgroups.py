"""The bias audit: is the model worse, less calibrated or less covered for some kind of record.

Each subgroup is tested against all other records together. The largest of many differences is large by
chance alone, so the p-values of all tests of the audit are corrected by Holm's method.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

import numpy as np
from scipy import stats

from scizoo.errors import ConfigError, did_you_mean
from scizoo.evaluation.calibration import calibration_error
from scizoo.evaluation.intervals import (
    Estimate,
    align,
    draw_seeds,
    estimate,
    estimate_function,
    group_weights,
    holm,
    percentile_interval,
    two_sided_p,
    weighted_mean,
)
from scizoo.evaluation.metrics import Metric, get_metric, replicate, score
from scizoo.evaluation.outputs import Outputs
from scizoo.evaluation.table import number

MISSING = "not known"
REST = "all other records"


@dataclass(frozen=True)
class Subgroup:
    """One subgroup of a column.

    Parameters
    ----------
    name : str
        A value of the column, or a band of its numbers.
    records, groups : int
    score : Estimate or None
        The metric; None where the subgroup is too small to judge.
    calibration : Estimate or None
        The calibration error, where there are probabilities.
    coverage : Estimate or None
        Of conformal sets or intervals, where they were measured.
    too_small : bool
    reason : str, optional
        Why it is not judged.
    """

    name: str
    records: int
    groups: int
    score: Estimate | None = None
    calibration: Estimate | None = None
    coverage: Estimate | None = None
    too_small: bool = False
    reason: str | None = None


@dataclass(frozen=True)
class Gap:
    """How a subgroup fares against all other records.

    Parameters
    ----------
    first, second : str
        The subgroup, and what it is held against.
    difference, low, high : float
        In the metric's unit, turned so that negative means that the subgroup fares worse.
    p_value, adjusted_p_value : float
        Of no difference, before and after Holm's correction over the whole audit.
    """

    first: str
    second: str
    difference: float
    low: float
    high: float
    p_value: float
    adjusted_p_value: float = math.nan

    @property
    def beyond_chance(self) -> bool:
        """Whether it stays significant at 5% after the correction and its interval leaves zero out."""
        return self.adjusted_p_value < 0.05 and (self.low > 0 or self.high < 0)


@dataclass(frozen=True)
class Column:
    """All subgroups of one column.

    Parameters
    ----------
    column : str
    rows : list of Subgroup
        In the order of bands, or the largest first.
    gap : Gap or None
        The worst gap: the lowest difference.
    gaps : list of Gap
        Every gap that was tested.
    """

    column: str
    rows: list[Subgroup]
    gap: Gap | None = None
    gaps: list[Gap] = field(default_factory=list)


@dataclass(frozen=True)
class SubgroupAudit:
    """The results by subgroup.

    Parameters
    ----------
    metric : Metric
    columns : list of Column
    skipped : dict of str to str
        Columns that have no subgroups to compare, and why.
    min_records, min_groups : int
        What a subgroup must have to be judged.
    tests : int
        Over how many gaps the p-values were corrected.
    """

    metric: Metric
    columns: list[Column]
    skipped: dict[str, str]
    min_records: int
    min_groups: int
    tests: int

    @property
    def worst(self) -> tuple[str, Gap] | None:
        """The column and gap of the lowest difference; those beyond chance come first."""
        found = [(one.column, gap) for one in self.columns for gap in one.gaps]
        return min(found, key=lambda pair: (not _harmed(pair[1]), pair[1].difference), default=None)

    @property
    def finding(self) -> str:
        """The audit in one sentence."""
        small = sum(row.too_small for one in self.columns for row in one.rows)
        tail = (
            f" {_counted(small, 'subgroup')} {'is' if small == 1 else 'are'} too small to judge."
            if small
            else ""
        )
        if self.worst is None:
            return f"No subgroups could be compared.{tail}"
        column, gap = self.worst
        words = (
            f"{abs(gap.difference):.3f} {self.metric.title} "
            f"[{number(gap.low)}, {number(gap.high)}], adjusted p {number(gap.adjusted_p_value)}"
        )
        if _harmed(gap):
            return f"For {column} {gap.first} the model is worse than for {gap.second}: by {words}.{tail}"
        if gap.difference < 0:
            over = f"over {_counted(self.tests, 'test')}"
            return f"No evidence of a gap: the widest, {column} {gap.first}, is {words} {over}.{tail}"
        return f"No subgroup fares worse than the other records.{tail}"

    def to_dict(self) -> dict[str, Any]:
        """Give the ``subgroups`` section of report.json."""
        metric = {"name": self.metric.name, "title": self.metric.title, "direction": self.metric.direction}
        return {
            "finding": self.finding,
            "columns": [
                {
                    "column": one.column,
                    "metric": metric,
                    "rows": [
                        {name: _known(value) for name, value in row.__dict__.items()} for row in one.rows
                    ],
                    "gap": None if one.gap is None else dict(one.gap.__dict__),
                    "gaps": [dict(gap.__dict__) for gap in one.gaps],
                }
                for one in self.columns
            ],
            "skipped": self.skipped or None,
            "correction": f"Holm, over {_counted(self.tests, 'test')}" if self.tests else None,
            "smallest_subgroup": f"{self.min_records} records in {_counted(self.min_groups, 'group')}",
        }


def audit_subgroups(
    outputs: Outputs | Sequence[Outputs],
    columns: Sequence[str] | None,
    metric: str | Metric,
    *,
    covered: np.ndarray | None = None,
    bands: int = 4,
    max_levels: int = 12,
    min_records: int = 30,
    min_groups: int = 5,
    resamples: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> SubgroupAudit:
    """Break the results down by columns of the records.

    Parameters
    ----------
    outputs : Outputs or sequence of Outputs
        Of one model on the test records, one entry a seed, with ``meta``. Calibration is that of the
        first seed.
    columns : sequence of str or None
        Columns of ``meta``; None takes all of them.
    metric : str or Metric
    covered : ndarray, shape (N,), optional
        Whether the conformal set or interval of each record of the first entry held the truth, as in
        :class:`scizoo.evaluation.conformal.Coverage`.
    bands : int
        Numbers are cut into so many bands of equal size.
    max_levels : int
        Of a column with more values the most frequent are kept, the rest make one subgroup.
    min_records, min_groups : int
        A smaller subgroup is named as too small, not judged. Where every record is a group of its own
        the records count.
    resamples, level, seed
        As in :func:`scizoo.evaluation.intervals.estimate`.

    Returns
    -------
    SubgroupAudit

    Raises
    ------
    ConfigError
        When the records have no column of that name.
    """
    runs = [outputs] if isinstance(outputs, Outputs) else align(*outputs)
    found = get_metric(metric, runs[0].kind)
    if covered is not None and len(covered) != len(runs[0]):
        raise ValueError(f"covered has {len(covered)} rows, the outputs have {len(runs[0])}")
    names = list(runs[0].meta) if columns is None else list(columns)
    for name in names:
        if name not in runs[0].meta:
            raise ConfigError(
                f"evaluation.subgroups: the records have no column '{name}'; "
                f"{did_you_mean(name, runs[0].meta)}"
            )
    bootstrap = _Bootstrap(runs, found, resamples, level, seed)
    made, skipped = [], {}
    for name in names:
        levels = subgroup_levels(runs[0].meta[name], bands=bands, max_levels=max_levels)
        if isinstance(levels, str):
            skipped[name] = levels
            continue
        masks = dict(levels)
        enough = {key: _enough(runs[0], mask, min_records, min_groups) for key, mask in masks.items()}
        rows = [bootstrap.row(key, mask, enough[key], covered) for key, mask in masks.items()]
        tried = [
            bootstrap.gap(key, mask)
            for key, mask in masks.items()
            if enough[key] is None and _enough(runs[0], ~mask, min_records, min_groups) is None
        ]
        gaps = [gap for gap in tried if gap is not None]
        if len(masks) == 2 and len(gaps) == 2:  # one test, seen from both sides
            worse = min(gaps, key=lambda gap: gap.difference)
            other = next(key for key in masks if key != worse.first)
            gaps = [replace(worse, second=other)]
        made.append(Column(name, rows, None, gaps))
    return SubgroupAudit(
        found, _corrected(made), skipped, min_records, min_groups, sum(len(one.gaps) for one in made)
    )


def _corrected(columns: list[Column]) -> list[Column]:
    """Correct the p-values over all columns at once, and name the worst gap of each."""
    adjusted = iter(holm([gap.p_value for one in columns for gap in one.gaps]).tolist())
    done = []
    for one in columns:
        gaps = [replace(gap, adjusted_p_value=next(adjusted)) for gap in one.gaps]
        worst = min(gaps, key=lambda gap: gap.difference, default=None)
        done.append(replace(one, gaps=gaps, gap=worst))
    return done


class _Bootstrap:
    """Draws the groups once for the whole audit, so that a subgroup and the rest are drawn together."""

    def __init__(self, runs: Sequence[Outputs], metric: Metric, resamples: int, level: float, seed: int):
        self.runs, self.metric = runs, metric
        self.options: dict[str, Any] = {"resamples": resamples, "level": level, "seed": seed}
        self.rng = np.random.default_rng(seed)
        self.weights = group_weights(runs[0].groups, resamples, self.rng)

    def row(self, name: str, mask: np.ndarray, small: str | None, covered: np.ndarray | None) -> Subgroup:
        """Judge one subgroup, or say why it cannot be."""
        part = self.runs[0].take(mask)
        size: dict[str, Any] = {"name": name, "records": len(part), "groups": len(np.unique(part.groups))}
        if small is not None:
            return Subgroup(**size, too_small=True, reason=small)
        result = estimate(self.metric, [run.take(mask) for run in self.runs], **self.options)
        calibration = coverage = None
        if part.probability is not None:
            calibration = calibration_error(part, **self.options)
        if covered is not None:
            known = mask & ~np.isnan(covered)
            held = weighted_mean(np.asarray(covered, dtype=float)[known])
            coverage = estimate_function(held, self.runs[0].groups[known], **self.options)
        return Subgroup(
            **size, score=result, calibration=calibration, coverage=coverage, reason=result.reason
        )

    def gap(self, name: str, mask: np.ndarray) -> Gap | None:
        """Test a subgroup against all other records; None where the metric has no value in either."""
        sides = [[run.take(side) for run in self.runs] for side in (mask, ~mask)]
        means = [float(np.mean([score(self.metric, run).value for run in runs])) for runs in sides]
        difference = self.metric.sign * (means[0] - means[1])
        if math.isnan(difference):
            return None
        tables = [
            np.stack([replicate(self.metric, run, self.weights[:, side]) for run in runs], axis=1)
            for runs, side in zip(sides, (mask, ~mask), strict=True)
        ]
        values = self.metric.sign * draw_seeds(tables[0] - tables[1], self.rng)
        low, high = percentile_interval(values, self.options["level"])
        groups = [len(np.unique(self.runs[0].groups[side])) for side in (mask, ~mask)]
        p_value = _t_test(difference, values[np.isfinite(values)], min(groups) - 1)
        return Gap(name, REST, difference, low, high, p_value)


def _t_test(difference: float, values: np.ndarray, freedom: int) -> float:
    """Give the p-value from the bootstrap's standard error and Student's distribution.

    Tail counts of a thousand replicates end at 0.002, which Holm's method over thirty subgroups would
    turn into 0.06 however wide the gap.
    """
    spread = float(values.std(ddof=1)) if len(values) > 1 else math.nan
    if not spread > 0:
        return two_sided_p(values)
    return float(2 * stats.t.sf(abs(difference) / spread, max(freedom, 1)))


def _enough(outputs: Outputs, mask: np.ndarray, min_records: int, min_groups: int) -> str | None:
    """Say why some records are too few to judge; None where they are enough."""
    records, groups = int(mask.sum()), len(np.unique(outputs.groups[mask]))
    if records < min_records:
        return f"{_counted(records, 'record')}: fewer than {min_records}"
    if groups < min_groups:
        return f"{_counted(groups, 'group')}: fewer than {min_groups}"
    return None


def subgroup_levels(
    column: np.ndarray, *, bands: int = 4, max_levels: int = 12
) -> list[tuple[str, np.ndarray]] | str:
    """Part the records by a column.

    Parameters
    ----------
    column : ndarray, shape (N,)
        Strings, booleans or numbers; strings that are all numbers count as numbers.
    bands, max_levels : int
        As in :func:`audit_subgroups`.

    Returns
    -------
    list of (str, ndarray of bool), or str
        Name and mask of each subgroup; or the reason why there are none to compare.
    """
    numbers = _numbers(column)
    if numbers is not None and len(np.unique(numbers[~np.isnan(numbers)])) > bands + 2:
        levels: list[tuple[str, np.ndarray]] | str = _banded(numbers, bands)
    else:
        levels = _named(column, max_levels)
    if isinstance(levels, str):
        return levels
    known = [name for name, _ in levels if name != MISSING]
    if not known:
        return "no record has a value"
    return levels if len(levels) > 1 else f"every record has the value {known[0]}"


def _numbers(column: np.ndarray) -> np.ndarray | None:
    if column.dtype.kind in "iuf":
        return column.astype(float)
    if column.dtype.kind != "U":
        return None
    try:  # tables give text
        return np.array([float(value) if value.strip() else math.nan for value in column.tolist()])
    except ValueError:
        return None


def _banded(numbers: np.ndarray, bands: int) -> list[tuple[str, np.ndarray]]:
    known = numbers[~np.isnan(numbers)]
    edges = np.unique(np.quantile(known, np.linspace(0, 1, bands + 1)[1:-1]))
    edges = edges[edges < known.max()]
    if not len(edges):  # nearly all records have the highest value
        edges = known[known < known.max()].max(keepdims=True)
    member = np.searchsorted(edges, numbers, side="left")
    texts = [_edge(edge) for edge in edges]
    names = [f"up to {texts[0]}", *(f"{a} to {b}" for a, b in pairwise(texts)), f"above {texts[-1]}"]
    absent = np.isnan(numbers)
    levels = [(name, (member == place) & ~absent) for place, name in enumerate(names)]
    return levels + ([(MISSING, absent)] if absent.any() else [])


def _edge(value: float) -> str:
    return f"{value:,.0f}" if value == round(value) else f"{value:.3g}"


def _named(column: np.ndarray, max_levels: int) -> list[tuple[str, np.ndarray]] | str:
    if column.dtype.kind == "b":
        texts = np.where(column, "yes", "no")
    elif column.dtype.kind in "iuf":
        texts = np.array([MISSING if math.isnan(value) else f"{value:g}" for value in column.astype(float)])
    else:
        texts = np.where(np.char.strip(column) == "", MISSING, column)
    values, counts = np.unique(texts, return_counts=True)
    if len(values) > max_levels and counts.max() < 0.02 * len(texts):
        return f"{len(values):,} different values, none of them frequent"
    order = sorted(range(len(values)), key=lambda place: (values[place] == MISSING, -counts[place]))
    kept = order if len(order) <= max_levels else order[: max_levels - 1]
    levels = [(str(values[place]), texts == values[place]) for place in kept]
    others = [values[place] for place in order if place not in set(kept)]
    if others:
        levels.append((f"{_counted(len(others), 'other value')}", np.isin(texts, others)))
    return levels


def _harmed(gap: Gap) -> bool:
    return gap.beyond_chance and gap.difference < 0


def _known(value: Any) -> Any:
    return value.to_dict() if isinstance(value, Estimate) else value


def _counted(count: int, what: str) -> str:
    return f"{count:,} {what}" if count == 1 else f"{count:,} {what}s"
