"""Anomaly scores: how far each value lies from what a model, trained without labels, expects of it."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import numpy as np

from scizoo.data.records import Record, RejectionLog
from scizoo.errors import ConfigError
from scizoo_timeseries.baselines import filled
from scizoo_timeseries.datasets.whole import WholeSeries
from scizoo_timeseries.reconstruct import check_reconstructs, reconstruct
from scizoo_timeseries.series import Series

if TYPE_CHECKING:
    import pandas as pd

    from scizoo.api import Model

log = logging.getLogger(__name__)

_FOLDS, _RUN = 4, 8  # of reconstruction: every fourth run of eight values is hidden in turn
_MAD = 1.4826  # makes the median absolute deviation of normal residuals their standard deviation


class AnomalyScores:
    """Scores of every value, with a threshold from the calibration part.

    A forecaster's score is the distance to the median forecast in units of the 80% interval; a reconstruction
    model's is the distance to what it says of the value when it is hidden, in units of the spread of such
    distances in the calibration part. Beside it stands the score of the seasonal naive forecast.

    Parameters
    ----------
    data : WholeSeries
    calibration : float
        Share of each series, from its beginning on, that sets the threshold; it should be normal.
    quantile : float
        Of the calibration scores of a series, above which a value counts as anomalous.
    block : int
        Steps that are forecast at once.
    window : int
        Scores are averaged over so many values, for anomalies that last; 1 leaves points.
    batch : int
        Windows a forward pass.

    Raises
    ------
    ConfigError
        When a setting has no meaning.
    """

    def __init__(
        self,
        data: WholeSeries,
        calibration: float = 0.5,
        quantile: float = 0.99,
        block: int = 8,
        window: int = 1,
        batch: int = 64,
    ):
        if not 0 < calibration < 1 or not 0 < quantile < 1 or min(block, window, batch) < 1:
            raise ConfigError(
                f"predictor: calibration={calibration}, quantile={quantile}, block={block}, window={window}",
                expected="shares between 0 and 1, block and window from 1 on",
            )
        self.data, self.calibration, self.quantile = data, calibration, quantile
        self.block, self.window, self.batch = block, window, batch

    @property
    def rejections(self) -> RejectionLog:
        """The series that could not be used, and why."""
        return self.data.rejections

    def predict(self, model: Model) -> pd.DataFrame:
        """Score every value.

        Returns
        -------
        pandas.DataFrame
            ``unique_id``, ``ds``, ``y``, ``expected``, ``score``, ``naive_score``, ``threshold``,
            ``anomaly``, ``part`` (calibration or test) and, where the data have one, ``label``. With labels
            the log tells the area under the ROC curve and the average precision on the test part.

        Raises
        ------
        ConfigError
            When the model neither forecasts nor reconstructs.
        """
        import pandas as pd

        records = list(self.data)
        if model.kind != "forecast":
            check_reconstructs(model)
        frames = [self._frame(model, record) for record in records]
        table = pd.concat(frames, ignore_index=True)
        for name, value in detection_metrics(table).items():
            log.info("%s on the test part: %.4f", name, value)
        return table

    def _frame(self, model: Model, record: Record) -> pd.DataFrame:
        import pandas as pd

        series: Series = record.input
        cut = int(self.calibration * len(series))
        if model.kind == "forecast":
            expected, spread = self._forecasts(model, series)
        else:
            expected, spread = self._hidden_in_turn(model, series), None
        score = self._score(series.values, expected, spread, cut)
        lag = series.season if len(series) > 2 * series.season else 1
        before = np.concatenate([np.full(lag, np.nan), filled(series.values)[:-lag]])
        naive = self._score(series.values, before, None, cut)
        known = score[:cut][np.isfinite(score[:cut])]
        threshold = float(np.quantile(known, self.quantile)) if len(known) else float("nan")
        columns: dict[str, Any] = {
            "unique_id": series.unique_id,
            "ds": series.stamps,
            "y": series.values,
            "expected": expected,
            "score": score,
            "naive_score": naive,
            "threshold": threshold,
            "anomaly": np.nan_to_num(score, nan=-np.inf) > threshold,
            "part": np.where(np.arange(len(series)) < cut, "calibration", "test"),
        }
        if record.target is not None:
            columns["label"] = np.nan_to_num(record.target)
        return pd.DataFrame(columns)

    def _forecasts(self, model: Model, series: Series) -> tuple[np.ndarray, np.ndarray]:
        """Return the median forecast of each value from those before its block, and the width of the 80%."""
        values = series.values
        starts = np.arange(self.block, len(values), self.block)
        windows = [series.window(max(0, start - 1024), start) for start in starts.tolist()]
        usable = [number for number, one in enumerate(windows) if np.isfinite(one.values).sum() > 1]
        expected, width = np.full(len(values), np.nan), np.full(len(values), np.nan)
        if not usable:
            return expected, width
        chosen = [windows[number] for number in usable]
        said = model.predict(chosen, self.batch, horizon=self.block, levels=[0.1, 0.5, 0.9]).quantiles
        assert said is not None  # forecasts are quantiles
        for row, number in enumerate(usable):
            start = int(starts[number])
            stop = min(start + self.block, len(values))
            expected[start:stop] = said[row, : stop - start, 1]
            width[start:stop] = (said[row, :, 2] - said[row, :, 0])[: stop - start]
        return expected, width

    def _hidden_in_turn(self, model: Model, series: Series) -> np.ndarray:
        """Return what the model says of each value when the run it stands in is hidden."""
        from dataclasses import replace

        turn = (np.arange(len(series)) // _RUN) % _FOLDS
        shown = [
            replace(series, values=np.where(turn == fold, np.nan, series.values)) for fold in range(_FOLDS)
        ]
        said = reconstruct(model, shown, self.batch)
        return np.choose(turn, said)

    def _score(
        self, values: np.ndarray, expected: np.ndarray, spread: np.ndarray | None, cut: int
    ) -> np.ndarray:
        """Return distances in units of the spread, averaged over the window; NaN where nothing is known."""
        distance = np.abs(values - expected)
        known = distance[:cut][np.isfinite(distance[:cut])]
        usual = _MAD * float(np.median(known)) if len(known) else float("nan")
        least = 1e-9 * max(float(np.nanmax(np.abs(values))), 1e-300)
        unit = np.maximum(usual if np.isfinite(usual) else 0.0, least)
        score = distance / (unit if spread is None else np.maximum(spread, least))
        if self.window == 1:
            return score
        weight = np.isfinite(score).astype(float)
        kernel = np.ones(self.window)
        many = np.convolve(weight, kernel, mode="same")
        sums = np.convolve(np.nan_to_num(score), kernel, mode="same")
        return np.where(many > 0, sums / np.maximum(many, 1), np.nan)


def detection_metrics(table: pd.DataFrame) -> dict[str, float]:
    """Judge the scores of the test part by its labels; empty where there are none of both kinds.

    Returns
    -------
    dict of str to float
        Area under the ROC curve and average precision, of the model and of the seasonal naive score.
    """
    from sklearn.metrics import average_precision_score, roc_auc_score

    if "label" not in table:
        return {}
    test = table[(table["part"] == "test") & table["score"].notna() & table["naive_score"].notna()]
    truth = test["label"].to_numpy() > 0.5
    if truth.all() or not truth.any():
        return {}
    found = {}
    for name, column in (("the model", "score"), ("seasonal naive", "naive_score")):
        found[f"AUROC of {name}"] = float(roc_auc_score(truth, test[column]))
        found[f"average precision of {name}"] = float(average_precision_score(truth, test[column]))
    return found
