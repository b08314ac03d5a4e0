"""Classification by random convolutions and ridge regression: the field's fast and strong baseline."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import Any

import numpy as np
from scipy.optimize import minimize_scalar

from scizoo.data.records import Record
from scizoo.errors import DataError
from scizoo.evaluation.baseline import Baseline
from scizoo_timeseries.baselines import filled
from scizoo_timeseries.series import as_series

_TAPS = 9
_KERNELS = np.array(list(combinations(range(_TAPS), 3)))  # the 84 kernels with three weights of 2, six of -1
_BATCH = 256


def to_cube(inputs: Sequence[Any], length: int | None = None) -> np.ndarray:
    """Lay series out as (records, C, T): missing values filled, shorter ones padded with their last value.

    Raises
    ------
    DataError
        When series have different channels.
    """
    series = [as_series(one) for one in inputs]
    channels = {one.channels for one in series}
    if len(channels) > 1:
        raise DataError(
            f"series have {sorted(channels)} channels.", expected="the same number in every series"
        )
    longest = length or max(len(one) for one in series)
    cube = np.empty((len(series), next(iter(channels), 1), longest))
    for row, one in enumerate(series):
        values = one.values[:, None] if one.values.ndim == 1 else one.values
        for channel in range(values.shape[1]):
            whole = filled(values[:longest, channel])
            cube[row, channel, : len(whole)] = whole
            cube[row, channel, len(whole) :] = whole[-1]
    return cube


class RandomConvolutions:
    """Shares of positive values after dilated convolutions with 84 fixed kernels and data-driven biases.

    MiniRocket (Dempster et al. 2021, arXiv 2012.08791), which follows ROCKET (Dempster et al. 2020, arXiv
    1910.13051): the kernels are fixed, dilations grow in powers of two to the length of the series, biases
    are quantiles of the output on random training series. Of several channels each kernel sums a random
    subset.

    Parameters
    ----------
    features : int
        How many features, about.
    seed : int
    """

    def __init__(self, features: int = 4000, seed: int = 0):
        self.features, self.seed = features, seed

    def fit(self, cube: np.ndarray) -> RandomConvolutions:
        """Choose dilations, channels and biases from training series (N, C, T)."""
        rng = np.random.default_rng(self.seed)
        count, channels, length = cube.shape
        most = max(0, int(np.log2(max(1, (length - 1) / (_TAPS - 1)))))
        dilations = [2**power for power in range(most + 1)]
        biases = max(1, self.features // (len(_KERNELS) * len(dilations)))
        levels = ((np.arange(biases) + 1) * (np.sqrt(5) + 1) / 2) % 1  # a low-discrepancy sequence
        self.plan_: list[tuple[int, np.ndarray, np.ndarray]] = []
        for dilation in dilations:
            weights = np.zeros((len(_KERNELS), channels))
            for kernel in range(len(_KERNELS)):
                many = int(2 ** rng.uniform(0, np.log2(channels + 1)))
                weights[kernel, rng.choice(channels, size=max(1, min(many, channels)), replace=False)] = 1
            samples = cube[rng.integers(0, count, size=min(count, 16))]
            outputs = self._outputs(samples, dilation, weights)
            flat = outputs.transpose(1, 0, 2).reshape(len(_KERNELS), -1)
            self.plan_.append((dilation, weights, np.quantile(flat, levels, axis=1).T))
        return self

    def _outputs(self, cube: np.ndarray, dilation: int, weights: np.ndarray) -> np.ndarray:
        """Convolve (N, C, T) with every kernel; (N, 84, T)."""
        reach = dilation * (_TAPS // 2)
        padded = np.pad(cube, ((0, 0), (0, 0), (reach, reach)))
        length = cube.shape[2]
        taps = np.stack([padded[:, :, tap * dilation : tap * dilation + length] for tap in range(_TAPS)])
        if cube.shape[1] == 1:
            one = taps[:, :, 0]
            base = -one.sum(axis=0)
            return np.stack([base + 3 * one[list(k)].sum(axis=0) for k in _KERNELS], axis=1)
        base = -taps.sum(axis=0)
        rows = [
            np.einsum("nct,c->nt", base + 3 * taps[list(k)].sum(axis=0), weights[number])
            for number, k in enumerate(_KERNELS)
        ]
        return np.stack(rows, axis=1)

    def transform(self, cube: np.ndarray) -> np.ndarray:
        """Return the shares of positive values, (N, features)."""
        parts = []
        for start in range(0, len(cube), _BATCH):
            some = cube[start : start + _BATCH]
            columns = []
            for dilation, weights, biases in self.plan_:
                outputs = self._outputs(some, dilation, weights)
                for place in range(biases.shape[1]):
                    columns.append((outputs > biases[None, :, place, None]).mean(axis=2))
            parts.append(np.concatenate(columns, axis=1))
        return np.concatenate(parts)


class ConvolutionRidge(Baseline):
    """Random convolutions with a ridge classifier; probabilities by a temperature fitted on left-out records.

    Parameters
    ----------
    features : int
        Features of :class:`RandomConvolutions`, about.
    normalise : bool
        Whether each series is first shifted and scaled to mean 0 and variance 1.
    seed : int
    """

    title = "random convolutions with ridge (MiniRocket)"

    def __init__(self, features: int = 4000, normalise: bool = True, seed: int = 0):
        self.features, self.normalise, self.seed = features, normalise, seed

    def _cube(self, records: Sequence[Record], length: int | None = None) -> np.ndarray:
        cube = to_cube([record.input for record in records], length)
        if not self.normalise:
            return cube
        spread = cube.std(axis=2, keepdims=True)
        return (cube - cube.mean(axis=2, keepdims=True)) / np.where(spread > 0, spread, 1.0)

    def fit(
        self, records: Sequence[Record], targets: np.ndarray, groups: np.ndarray | None = None
    ) -> ConvolutionRidge:
        """Learn from labelled series; the penalty is chosen by leave-one-out errors."""
        from sklearn.linear_model import RidgeCV
        from sklearn.preprocessing import StandardScaler

        cube = self._cube(records)
        self.length_ = cube.shape[2]
        self.convolutions_ = RandomConvolutions(self.features, self.seed).fit(cube)
        self.scaler_ = StandardScaler()
        x = self.scaler_.fit_transform(self.convolutions_.transform(cube))
        self.classes_, numbers = np.unique(np.asarray(targets).astype(int), return_inverse=True)
        coded = np.where(np.eye(len(self.classes_))[numbers] > 0, 1.0, -1.0)
        self.ridge_ = RidgeCV(alphas=np.logspace(-3, 4, 10), store_cv_results=True).fit(x, coded)
        place = int(np.argmin(np.abs(self.ridge_.alphas - self.ridge_.alpha_)))
        errors = np.reshape(self.ridge_.cv_results_, (len(x), len(self.classes_), -1))[:, :, place]
        # The errors are squared; what was predicted for a record that was left out lies on one side or the
        # other.
        left_out = coded * (1 - np.sqrt(errors))
        self.sharpness_ = _sharpness(left_out, numbers)
        return self

    def predict_proba(self, records: Sequence[Record]) -> np.ndarray:
        """Return probabilities, (records, classes of ``classes_``)."""
        x = self.scaler_.transform(self.convolutions_.transform(self._cube(records, self.length_)))
        return _softmax(self.sharpness_ * self.ridge_.predict(x).reshape(len(records), -1))


def _softmax(scores: np.ndarray) -> np.ndarray:
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def _sharpness(scores: np.ndarray, numbers: np.ndarray) -> float:
    """Choose the inverse temperature with the least log loss."""

    def loss(log_sharpness: float) -> float:
        chosen = _softmax(np.exp(log_sharpness) * scores)[np.arange(len(numbers)), numbers]
        return float(-np.log(np.maximum(chosen, 1e-9)).mean())

    return float(np.exp(minimize_scalar(loss, bounds=(-2.0, 3.0), method="bounded").x))
