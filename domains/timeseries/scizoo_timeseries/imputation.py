"""Missing values filled by a reconstruction model, judged on values that are hidden on purpose."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from scizoo.data.records import RejectionLog
from scizoo.errors import ConfigError
from scizoo_timeseries.baselines import filled
from scizoo_timeseries.datasets.whole import WholeSeries
from scizoo_timeseries.reconstruct import check_reconstructs, reconstruct
from scizoo_timeseries.series import Series

if TYPE_CHECKING:
    import pandas as pd

    from scizoo.api import Model

log = logging.getLogger(__name__)

METHODS = ("model", "interpolation", "seasonal")


class Imputer:
    """Fills what is missing, and measures itself on hidden runs beside interpolation and the season before.

    Parameters
    ----------
    data : WholeSeries
    hide : float
        Share of the known values of each series that is hidden to judge by; 0 hides none.
    run : float
        Mean length of a hidden run, geometric.
    seed : int
    batch : int
        Stretches a forward pass.

    Raises
    ------
    ConfigError
        When a setting has no meaning.
    """

    def __init__(
        self, data: WholeSeries, hide: float = 0.1, run: float = 6.0, seed: int = 0, batch: int = 64
    ):
        if not 0 <= hide < 1 or run < 1 or batch < 1:
            raise ConfigError(
                f"predictor: hide={hide}, run={run}", expected="a share below 1, a length from 1 on"
            )
        self.data, self.hide, self.run, self.seed, self.batch = data, hide, run, seed, batch

    @property
    def rejections(self) -> RejectionLog:
        """The series that could not be used, and why."""
        return self.data.rejections

    def predict(self, model: Model) -> pd.DataFrame:
        """Fill every missing and every hidden value.

        Returns
        -------
        pandas.DataFrame
            A row a filled value: ``unique_id``, ``ds``, ``kind`` (missing or hidden), ``y`` (of hidden ones),
            and what the ``model``, linear ``interpolation`` and the ``seasonal`` naive method say. The log
            tells the mean absolute errors on hidden values, in units of each series' standard deviation.

        Raises
        ------
        ConfigError
            When the model does not reconstruct.
        """
        import pandas as pd

        check_reconstructs(model)
        whole: list[Series] = [record.input for record in self.data]
        rng = np.random.default_rng(self.seed)
        hidden = [hidden_runs(one.values, self.hide, self.run, rng) for one in whole]
        shown = [replace(one, values=np.where(mask, np.nan, one.values)) for one, mask in zip(whole, hidden)]
        said = reconstruct(model, shown, self.batch)
        frames = []
        for one, mask, given, estimate in zip(whole, hidden, shown, said):
            wanted = np.flatnonzero(np.isnan(given.values))
            frames.append(
                pd.DataFrame(
                    {
                        "unique_id": one.unique_id,
                        "ds": one.stamps[wanted],
                        "kind": np.where(mask[wanted], "hidden", "missing"),
                        "y": one.values[wanted],
                        "model": estimate[wanted],
                        "interpolation": filled(given.values)[wanted],
                        "seasonal": seasonal_fill(given.values, one.season)[wanted],
                    }
                )
            )
        table = pd.concat(frames, ignore_index=True)
        spread = {one.unique_id: float(np.nanstd(one.values)) for one in whole}
        for method, value in imputation_errors(table, spread).items():
            log.info("mean absolute error on hidden values, %s: %.4f standard deviations", method, value)
        return table


def hidden_runs(values: np.ndarray, share: float, run: float, rng: np.random.Generator) -> np.ndarray:
    """Choose known values to hide, in runs of geometric length; exactly ``round(share * known)`` of them."""
    known = np.isfinite(values)
    wanted = round(share * int(known.sum()))
    mask = np.zeros(len(values), dtype=bool)
    while int(mask.sum()) < wanted:
        start = int(rng.integers(0, len(values)))
        places = np.arange(start, min(start + int(rng.geometric(1 / run)), len(values)))
        places = places[known[places] & ~mask[places]]
        mask[places[: wanted - int(mask.sum())]] = True
    return mask


def seasonal_fill(values: np.ndarray, season: int) -> np.ndarray:
    """Fill each missing value by the nearest known one whole seasons away, else by interpolation."""
    found = values.copy()
    for missing in np.flatnonzero(np.isnan(values)):
        same = np.arange(missing % season, len(values), season)
        same = same[np.isfinite(values[same])]
        if len(same):
            found[missing] = values[same[np.abs(same - missing).argmin()]]
    return filled(found)


def imputation_errors(table: pd.DataFrame, spread: dict[str, float]) -> dict[str, float]:
    """Return the mean absolute error of each method on hidden values, in units of each series' deviation."""
    hidden = table[table["kind"] == "hidden"]
    unit = hidden["unique_id"].map(spread).to_numpy(dtype=float)
    good = unit > 0
    if not good.any():
        return {}
    return {
        method: float(((hidden[method] - hidden["y"]).abs().to_numpy()[good] / unit[good]).mean())
        for method in METHODS
    }
