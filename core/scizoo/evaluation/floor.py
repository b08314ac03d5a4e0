"""The floor of a forecasting task: the naive method that errors are scaled by and told relative to.

How long a season is only the domain knows, so a task names its floor in the config (``floor``): a baseline
with ``predict_quantiles(records, levels)``, such as the values a season ago, and ``error_scale(records)``,
the mean absolute difference between values a season apart in each history (Hyndman and Koehler 2006).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from scizoo.config import instantiate
from scizoo.data.records import Record
from scizoo.errors import ConfigError, TrainingError
from scizoo.evaluation.outputs import Outputs


@dataclass(frozen=True)
class FloorForecast:
    """What the floor says of some records.

    Parameters
    ----------
    scale : ndarray, shape (N,)
        NaN or 0 where a history has none.
    naive : ndarray, shape (N, H)
        Its point forecast.
    """

    scale: np.ndarray
    naive: np.ndarray

    def take(self, rows: np.ndarray) -> FloorForecast:
        """Give some rows."""
        return FloorForecast(self.scale[rows], self.naive[rows])

    def beside(self, outputs: Outputs) -> Outputs:
        """Give outputs of the same records with what is needed to scale their errors."""
        return replace(outputs, scale=self.scale, naive=self.naive)


class Floor:
    """The floor of a task, fitted once.

    Parameters
    ----------
    cfg : mapping
        A composed config; read is ``floor``.
    records : sequence of Record
        Of the training part.
    targets : ndarray, shape (records, H)

    Raises
    ------
    ConfigError
        When the config names no floor, or one without the two methods.
    """

    def __init__(self, cfg: Mapping[str, Any], records: Sequence[Record], targets: np.ndarray):
        self.method = instantiate(floor_settings(cfg))
        for name in ("fit", "predict_quantiles", "error_scale"):
            if not callable(getattr(self.method, name, None)):
                raise ConfigError(
                    f"floor: {type(self.method).__name__} has no method {name}.",
                    expected="fit, predict_quantiles(records, levels) and error_scale(records)",
                )
        self.horizon = targets.shape[1]
        self.method.fit(records, targets, None)
        self._known: dict[tuple[str, ...], FloorForecast] = {}

    def forecast(self, records: Sequence[Record]) -> FloorForecast:
        """Let the floor forecast; the same records are not computed again.

        Raises
        ------
        TrainingError
            When it gives arrays of the wrong shape.
        """
        key = tuple(record.id for record in records)
        if key not in self._known:
            found = FloorForecast(
                np.asarray(self.method.error_scale(records), dtype=float),
                np.asarray(self.method.predict_quantiles(records, (0.5,)), dtype=float)[..., 0],
            )
            if found.scale.shape != (len(records),) or found.naive.shape != (len(records), self.horizon):
                raise TrainingError(
                    f"the floor {type(self.method).__name__} gave a scale of the shape {found.scale.shape} "
                    f"and a forecast of {found.naive.shape}.",
                    expected=f"({len(records)},) and ({len(records)}, {self.horizon})",
                )
            self._known[key] = found
        return self._known[key]


def floor_settings(cfg: Mapping[str, Any]) -> dict[str, Any]:
    """Give the config of a forecasting task's floor.

    Raises
    ------
    ConfigError
        When there is none.
    """
    if not cfg.get("floor"):
        raise ConfigError(
            "floor is not given: a forecasting task names the naive method that errors are told relative to.",
            expected="floor._target_, such as the domain's seasonal naive method",
        )
    return dict(cfg["floor"])


def forecast_levels(cfg: Mapping[str, Any]) -> tuple[float, ...]:
    """Give the levels at which all contenders of a task are judged: those of its head, else deciles."""
    from scizoo.models.quantiles import DECILES, check_levels

    return tuple(check_levels((cfg.get("head") or {}).get("quantiles") or DECILES))
