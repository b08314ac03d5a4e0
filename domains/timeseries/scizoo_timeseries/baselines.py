"""Statistical forecasts: seasonal naive, and AutoETS, Theta and AutoARIMA by statsforecast.

Each is fitted to the history of each window alone, as the field does; the training part gives the horizon
only.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.special import ndtri

from scizoo.data.records import Record
from scizoo.errors import TrainingError
from scizoo.evaluation.baseline import Baseline
from scizoo_timeseries.series import Series, seasonal_scale

log = logging.getLogger(__name__)


def filled(values: np.ndarray) -> np.ndarray:
    """Fill missing values by linear interpolation, at the ends by the nearest one."""
    known = np.isfinite(values)
    if known.all():
        return values
    places = np.arange(len(values))
    return np.interp(places, places[known], values[known]) if known.any() else np.zeros(len(values))


class LocalForecaster(Baseline):
    """A method that is fitted to one history at a time.

    A subclass implements :meth:`quantiles_of`. A history on which the method fails is forecast by seasonal
    naive, and the log says how many were.
    """

    learns = False  # from other series than the one that is forecast
    length: int | None
    season: int | None

    def fit(
        self, records: Sequence[Record], targets: np.ndarray, groups: np.ndarray | None = None
    ) -> LocalForecaster:
        """Note the horizon; see the core's Baseline."""
        self.horizon_ = int(np.asarray(targets).shape[1])
        return self

    def quantiles_of(self, values: np.ndarray, season: int, levels: np.ndarray) -> np.ndarray:
        """Forecast one history without missing values; (horizon, levels)."""
        raise TypeError(f"{type(self).__name__} lacks quantiles_of")

    def predict_quantiles(self, records: Sequence[Record], levels: Sequence[float]) -> np.ndarray:
        """Forecast every window.

        Parameters
        ----------
        records : sequence of Record
        levels : sequence of float
            Quantile levels between 0 and 1, ascending.

        Returns
        -------
        ndarray of float64, shape (records, horizon, levels)
            Ascending in the last axis.
        """
        wanted = np.asarray(levels, dtype=np.float64)
        found = np.empty((len(records), self.horizon_, len(wanted)))
        failed = 0
        for row, record in enumerate(records):
            series: Series = record.input
            values = filled(series.values)
            season = self.season or series.season
            if self.length is not None:
                values = values[-self.length :]
            flat = float(np.ptp(values)) == 0.0
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    one = (
                        np.full((self.horizon_, len(wanted)), values[-1])
                        if flat
                        else self.quantiles_of(values, season, wanted)
                    )
                if not np.isfinite(one).all():
                    raise TrainingError("its forecast is not finite")
            except Exception as error:  # an optimiser of the library may fail in any way on one history
                failed += 1
                log.debug("%s on '%s': %s", type(self).__name__, record.id, error)
                one = seasonal_naive(values, season, self.horizon_, wanted)
            found[row] = np.sort(one, axis=1)
        if failed:
            log.warning(
                "%s failed on %d of %d histories, which are forecast by seasonal naive.",
                self.title,
                failed,
                len(records),
            )
        return found

    def predict(self, records: Sequence[Record]) -> np.ndarray:
        """Give the median, (records, horizon)."""
        return self.predict_quantiles(records, [0.5])[:, :, 0]


def seasonal_naive(values: np.ndarray, season: int, horizon: int, levels: np.ndarray) -> np.ndarray:
    """Repeat the last season; normal intervals that widen with each season (Hyndman and Athanasopoulos, 5.5).

    Parameters
    ----------
    values : ndarray, shape (T,)
        Without missing values.
    season, horizon : int
    levels : ndarray
        Quantile levels.

    Returns
    -------
    ndarray, shape (horizon, levels)
    """
    lag = season if len(values) > season else 1
    steps = np.arange(horizon)
    point = values[len(values) - lag :][steps % lag] if len(values) >= lag else np.full(horizon, values[-1])
    residuals = values[lag:] - values[:-lag]
    sigma = float(np.sqrt(np.mean(residuals**2))) if len(residuals) else 0.0
    widths = sigma * np.sqrt(steps // lag + 1.0)
    return point[:, None] + widths[:, None] * ndtri(levels)[None]


class SeasonalNaive(LocalForecaster):
    """The value one season before: the floor that every forecast must beat.

    Parameters
    ----------
    season : int, optional
        Steps of a season; that of each series when not given.
    length : int, optional
        Only the last so many values of a history are used.
    """

    title = "seasonal naive"

    def __init__(self, season: int | None = None, length: int | None = None):
        self.season, self.length = season, length

    def quantiles_of(self, values: np.ndarray, season: int, levels: np.ndarray) -> np.ndarray:
        """Forecast one history; see :func:`seasonal_naive`."""
        return seasonal_naive(values, season, self.horizon_, levels)

    def error_scale(self, records: Sequence[Record]) -> np.ndarray:
        """Return the mean absolute seasonal difference of each history, (records,); NaN where there is none.

        A window knows that of the history before its first value too: ``meta["scale"]``.
        """
        found = []
        for record in records:
            series: Series = record.input
            known = record.meta.get("scale") if self.season is None else None
            found.append(
                seasonal_scale(series.values, self.season or series.season) if known is None else float(known)
            )
        return np.array(found)


class _StatsForecast(LocalForecaster):
    """A model of statsforecast; its interval of level L gives the quantiles (1 - L) / 2 and (1 + L) / 2."""

    def __init__(self, season: int | None = None, length: int | None = None):
        self.season, self.length = season, length

    def _model(self, season: int) -> Any:
        raise TypeError(f"{type(self).__name__} lacks a model")

    def quantiles_of(self, values: np.ndarray, season: int, levels: np.ndarray) -> np.ndarray:
        """Forecast one history."""
        # Two whole seasons are the least from which a season can be estimated.
        season = season if len(values) >= 2 * season else 1
        widths = [round(float(abs(2 * level - 1) * 100), 6) for level in levels]
        asked = sorted({width for width in widths if width > 0})
        out = self._model(season).forecast(y=values, h=self.horizon_, level=asked or None)
        keys = [
            "mean" if width == 0 else f"{'lo' if level < 0.5 else 'hi'}-{width}"
            for level, width in zip(levels, widths)
        ]
        return np.stack([np.asarray(out[key], dtype=np.float64) for key in keys], axis=1)


class AutoETS(_StatsForecast):
    """Exponential smoothing with error, trend and season chosen by AICc (Hyndman et al. 2008).

    Parameters
    ----------
    season : int, optional
        Steps of a season; that of each series when not given.
    length : int, optional
        Only the last so many values of a history are used, for speed.
    """

    title = "AutoETS"

    def _model(self, season: int) -> Any:
        from statsforecast.models import AutoETS as Model

        # Like R's ets, the library does not estimate seasons of more than 24 steps.
        return Model(season_length=season if season <= 24 else 1)


class Theta(_StatsForecast):
    """The dynamic optimised Theta model (Fiorucci et al. 2016).

    Parameters
    ----------
    season, length
        As of :class:`AutoETS`.
    """

    title = "Theta (dynamic, optimised)"

    def _model(self, season: int) -> Any:
        from statsforecast.models import DynamicOptimizedTheta as Model

        return Model(season_length=season)


class AutoARIMA(_StatsForecast):
    """Seasonal ARIMA, its orders chosen stepwise by AICc (Hyndman and Khandakar 2008).

    Parameters
    ----------
    season, length
        As of :class:`AutoETS`.
    approximation : bool
        Whether orders are compared by conditional sums of squares, which is faster.
    """

    title = "AutoARIMA"

    def __init__(self, season: int | None = None, length: int | None = None, approximation: bool = True):
        self.season, self.length, self.approximation = season, length, approximation

    def _model(self, season: int) -> Any:
        from statsforecast.models import AutoARIMA as Model

        return Model(season_length=season, approximation=self.approximation)
