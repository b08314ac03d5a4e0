"""Conformal intervals of forecasts: central intervals widened, step by step, by errors on validation.

The promise holds when the futures to come are like those of the validation part. Series drift, so the
coverage is measured on test and reported as measured.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from scizoo.evaluation.conformal import Coverage, conformal_quantile, coverage_of
from scizoo.evaluation.forecasts import central_levels
from scizoo.evaluation.outputs import Outputs


@dataclass
class ConformalForecaster:
    """Intervals that hold the value of each step ahead with a chosen probability.

    Conformalised quantile regression (Romano, Patterson and Candès 2019) for each step by itself, as
    Stankeviciute, Alaa and van der Schaar 2021 do for forecasts. Margins are in units of each record's scale,
    so that series of any size share them.

    Parameters
    ----------
    coverage : float
        Of each step; not of all steps of a record at once.

    Attributes
    ----------
    margin : ndarray, shape (H,)
    base : float
        Coverage of the predicted interval that is widened or narrowed.
    """

    coverage: float = 0.9
    method: str = "cqr, step by step"
    margin: np.ndarray = field(default_factory=lambda: np.empty(0), init=False)
    base: float = field(default=math.nan, init=False)

    def fit(self, outputs: Outputs) -> ConformalForecaster:
        """Calibrate on validation outputs.

        Raises
        ------
        ValueError
            When their levels hold no central interval.
        """
        self.base = min(
            (level for level, *_ in central_levels(outputs.levels)),
            key=lambda level: (abs(level - self.coverage), -level),
            default=math.nan,
        )
        low, high = self._predicted(outputs)
        beyond = np.maximum(low - outputs.targets, outputs.targets - high) / _scale(outputs)[:, None]
        self.margin = np.array([conformal_quantile(step, self.coverage) for step in beyond.T])
        return self

    def _predicted(self, outputs: Outputs) -> tuple[np.ndarray, np.ndarray]:
        for level, low, high in central_levels(outputs.levels):
            if level == self.base:
                quantiles = outputs.require("quantiles")
                return quantiles[..., low], quantiles[..., high]
        raise ValueError(f"the levels {outputs.levels} hold no central interval to widen")

    def intervals(self, outputs: Outputs) -> tuple[np.ndarray, np.ndarray]:
        """Give lower and upper ends (N, H) in the series' own units; records without a scale have none."""
        if not len(self.margin):
            raise ValueError("fit comes first")
        low, high = self._predicted(outputs)
        change = self.margin * _scale(outputs)[:, None]
        middle = (low + high) / 2
        return np.minimum(low - change, middle), np.maximum(high + change, middle)


def _scale(outputs: Outputs) -> np.ndarray:
    if outputs.scale is None:
        return np.ones(len(outputs))
    return np.where(outputs.scale > 0, outputs.scale, np.nan)


def measure_forecasts(
    conformal: ConformalForecaster,
    outputs: Outputs,
    *,
    min_records: int = 10,
    resamples: int = 1000,
    seed: int = 0,
) -> Coverage:
    """Measure the coverage and width of a forecaster's intervals on test outputs.

    Parameters
    ----------
    conformal : ConformalForecaster
        Fitted on validation.
    outputs : Outputs
    min_records, resamples, seed
        As in :func:`scizoo.evaluation.conformal.measure_sets`.

    Returns
    -------
    Coverage
        Of a record, the share of its known steps that lay inside; widths in units of the records' scale.
    """
    low, high = conformal.intervals(outputs)
    scale = _scale(outputs)
    known = ~np.isnan(outputs.targets) & ~np.isnan(scale)[:, None]
    count = known.sum(axis=1)
    held = (known & (outputs.targets >= low) & (outputs.targets <= high)).sum(axis=1)
    covered = np.where(count > 0, held / np.maximum(count, 1), np.nan)
    width = ((high - low) / scale[:, None]).mean(axis=1)
    unit = "the records' own units" if outputs.scale is None else "the scale of each history"
    return coverage_of(outputs, covered, width, unit, conformal, min_records, resamples, seed)
