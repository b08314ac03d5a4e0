"""Patches of a scaled series (PatchTST, Nie et al. 2023, arXiv 2211.14730), with what is known beside it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import islice
from typing import Any, ClassVar

import numpy as np

from scizoo.data.ragged import Ragged
from scizoo.data.tokenizer import Tokenizer
from scizoo.errors import ConfigError, DataError
from scizoo.files import sha256_json
from scizoo_timeseries.series import Series, as_series
from scizoo_timeseries.tokenizers.calendar import NAMES, calendar_features
from scizoo_timeseries.tokenizers.scaling import SCALINGS, location_scale, running_scale, stack


class PatchTokenizer(Tokenizer):
    """Cuts series into patches that end with the series; each patch is one position.

    ``values`` (n, F) and ``observed`` (n, F, bool) hold first the patch, channel after
    channel, then the patch of each named covariate, then the calendar. Past covariates stand with their
    patch; what is known in advance (future covariates, the calendar) stands one patch early, so that a
    position sees what is known of the patch that it is to predict. ``loc`` and ``scale`` (n,) or (n, C) are
    those of the history, the same at every position: ``values * scale + loc`` are the original units. Missing
    values and the padding before the first patch are 0 and not observed.

    Parameters
    ----------
    patch : int
        Values of a patch, P.
    length : int, optional
        Only the last so many values of the history are encoded; all when not given.
    scaling : {"standard", "mean-abs", "none"}
        See :func:`~scizoo_timeseries.tokenizers.scaling.location_scale`.
    statistics : {"history", "running"}
        Of what location and scale are: of the whole history, or at each position of all up to it, as models
        need that are trained at every position (:func:`~scizoo_timeseries.tokenizers.scaling.running_scale`;
        standard scaling only).
    warm : int
        First patches that share their running statistics.
    clip : float
        Scaled values are kept within plus or minus this.
    channels : int, optional
        Channels of every series, C; learnt from the training inputs when not given.
    past, future : sequence of str
        Covariates that are encoded, by name.
    calendar : bool
        Whether the calendar of the first step of the following patch is encoded.
    """

    main_input: ClassVar[str] = "values"

    def __init__(
        self,
        patch: int = 16,
        length: int | None = 512,
        scaling: str = "standard",
        statistics: str = "history",
        warm: int = 4,
        clip: float = 20.0,
        channels: int | None = None,
        past: Sequence[str] = (),
        future: Sequence[str] = (),
        calendar: bool = False,
    ):
        if patch < 1 or (length is not None and length < patch) or clip <= 0:
            raise ConfigError(
                f"tokenizer: patch={patch}, length={length}, clip={clip}",
                expected="patch from 1 on, length no shorter than a patch, clip above 0",
            )
        if scaling not in SCALINGS:
            raise ConfigError(f"tokenizer.scaling={scaling}", expected=", ".join(SCALINGS))
        if (
            statistics not in ("history", "running")
            or warm < 1
            or (statistics, scaling) == ("running", "mean-abs")
        ):
            raise ConfigError(
                f"tokenizer: statistics={statistics}, scaling={scaling}, warm={warm}",
                expected="statistics history or running (with scaling standard), warm from 1 on",
            )
        self.patch, self.length, self.scaling, self.clip = patch, length, scaling, float(clip)
        self.statistics, self.warm = statistics, warm
        self.channels, self.calendar = channels, bool(calendar)
        self.past, self.future = tuple(past), tuple(future)

    def settings(self) -> dict[str, Any]:
        """Return the plain settings with which the constructor gives this tokenizer again."""
        return {
            "patch": self.patch,
            "length": self.length,
            "scaling": self.scaling,
            "statistics": self.statistics,
            "warm": self.warm,
            "clip": self.clip,
            "channels": self.channels,
            "past": list(self.past),
            "future": list(self.future),
            "calendar": self.calendar,
        }

    def fingerprint(self) -> str:
        """Digest of the settings."""
        return sha256_json({"class": type(self).__qualname__, "settings": self.settings(), "version": 1})

    def train(self, inputs: Iterable[Any]) -> None:
        """Learn how many channels series have, from the first input."""
        if self.channels is None:
            for one in islice(inputs, 1):
                self.channels = as_series(one).channels

    @property
    def features(self) -> int:
        """Values a position, F."""
        beside = len(self.past) + len(self.future)
        return self.patch * ((self.channels or 1) + beside) + len(NAMES) * self.calendar

    def input_sizes(self) -> dict[str, int]:
        """Return the width of the patches, for a new backbone."""
        return {"features": self.features}

    def encode(self, inputs: Sequence[Any]) -> dict[str, Ragged]:
        """Encode series.

        Parameters
        ----------
        inputs : sequence of Series or ndarray

        Returns
        -------
        dict of str to Ragged
            ``values``, ``observed`` (n, F); ``loc``, ``scale`` (n,) or (n, C).

        Raises
        ------
        DataError
            When a series has other channels or lacks a covariate.
        """
        series = [self._checked(as_series(one)) for one in inputs]
        channels = self.channels or (series[0].channels if series else 1)
        kept = [one if self.length is None else _last(one, self.length) for one in series]
        padding = [-len(one) % self.patch for one in kept]
        rows = stack([_padded(one.values, pad) for one, pad in zip(kept, padding)])
        lengths = rows.lengths
        counts = lengths // self.patch
        if self.statistics == "running":
            loc, scale = running_scale(rows, self.patch, self.warm)
            size = np.full(len(loc), self.patch)
        else:
            loc, scale = location_scale(rows, _history(kept, padding, rows), self.scaling)
            size = lengths
        scaled = (rows.values - np.repeat(loc, size, axis=0)) / np.repeat(scale, size, axis=0)
        columns = [self._patches(scaled)]
        for name in self.past:
            columns.append(self._covariate(kept, padding, name, ahead=False))
        for name in self.future:
            columns.append(self._covariate(kept, padding, name, ahead=True))
        if self.calendar:
            columns.append(_stacked([self._calendar(one, pad) for one, pad in zip(kept, padding)]))
        values = np.concatenate(columns, axis=1) if len(kept) else np.empty((0, self.features))
        observed = np.isfinite(values)
        offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)

        def each(numbers: np.ndarray) -> Ragged:
            wide = numbers[:, 0] if channels == 1 else numbers
            spread = wide if self.statistics == "running" else np.repeat(wide, counts, axis=0)
            return Ragged(spread.astype(np.float32), offsets)

        clipped = np.clip(np.where(observed, values, 0.0), -self.clip, self.clip)
        return {
            "values": Ragged(clipped.astype(np.float32), offsets),
            "observed": Ragged(observed, offsets),
            "loc": each(loc),
            "scale": each(scale),
        }

    def attribute(self, input: Any, scores: np.ndarray) -> np.ndarray:
        """Give a number a value and channel (n, C); NaN where it was not read.

        What covariates and the calendar added is left out.
        """
        series = as_series(input)
        channels = self.channels or series.channels
        origin = len(series) if series.origin is None else series.origin
        cut = 0 if self.length is None else max(0, origin - self.length)
        own = scores[:, : self.patch * channels].reshape(len(scores), channels, self.patch)
        values = own.transpose(0, 2, 1).reshape(-1, channels)
        padding = -(len(series) - cut) % self.patch
        found = np.full((len(series), channels), np.nan)
        found[cut:] = values[padding:]
        return found

    def _checked(self, series: Series) -> Series:
        if self.channels is not None and series.channels != self.channels:
            raise DataError(
                f"series '{series.unique_id}' has {series.channels} channels, "
                f"the model takes {self.channels}.",
                expected=f"{self.channels} values at each time",
                remedy="split it into series of their own, or train a new model: checkpoint=null.",
            )
        for kind, names in (("past", self.past), ("future", self.future)):
            lacking = [name for name in names if name not in getattr(series, kind)]
            if lacking:
                raise DataError(
                    f"series '{series.unique_id}' lacks the {kind} covariate '{lacking[0]}'.",
                    remedy=f"name its column in data.{kind}, or leave it out of tokenizer.{kind}.",
                )
        return series

    def _patches(self, rows: np.ndarray) -> np.ndarray:
        """Fold (total, C) into (patches, C * P), channel after channel."""
        folded = rows.reshape(-1, self.patch, rows.shape[1]).transpose(0, 2, 1)
        return folded.reshape(len(folded), -1)

    def _covariate(
        self, kept: Sequence[Series], padding: Sequence[int], name: str, ahead: bool
    ) -> np.ndarray:
        """Scale a covariate over its history and fold it; `ahead` moves it one patch early."""
        shift = self.patch if ahead else 0
        columns = []
        for one, pad in zip(kept, padding):
            column = np.asarray((one.future if ahead else one.past)[name], dtype=np.float64)
            whole = np.full(pad + len(one) + shift, np.nan)
            known = column[: len(one) + shift]
            whole[pad : pad + len(known)] = known
            past = known[: len(one)][np.isfinite(known[: len(one)])]
            center, spread = (float(past.mean()), float(past.std())) if len(past) else (0.0, 0.0)
            columns.append(((whole - center) / (spread if spread > 0 else 1.0))[shift:])
        return self._patches(stack(columns).values)

    def _calendar(self, series: Series, pad: int) -> np.ndarray:
        """Return the calendar of the first step after each patch, (patches, 6)."""
        ends = np.arange(self.patch, pad + len(series) + 1, self.patch) - pad
        if not np.issubdtype(series.stamps.dtype, np.datetime64) or series.freq is None:
            return np.full((len(ends), len(NAMES)), np.nan)
        stamps = np.concatenate([series.stamps, series.next_stamps(1)])
        return calendar_features(stamps[ends])


def _history(kept: Sequence[Series], padding: Sequence[int], rows: Ragged) -> np.ndarray:
    """Tell which values may enter location and scale: those before the origin of their series."""
    origin = [pad + (len(one) if one.origin is None else one.origin) for one, pad in zip(kept, padding)]
    within = np.arange(len(rows.values)) - np.repeat(rows.offsets[:-1], rows.lengths)
    return within < np.repeat(np.array(origin, dtype=np.int64), rows.lengths)


def _last(series: Series, length: int) -> Series:
    """Keep the last values of the history, and all that follow its origin where it has one."""
    first = (len(series) if series.origin is None else series.origin) - length
    if first <= 0:
        return series
    ahead = max((len(column) - len(series) for column in series.future.values()), default=0)
    cut = series.window(first, len(series), ahead)
    return cut if series.origin is None else replace(cut, origin=length)


def _padded(values: np.ndarray, pad: int) -> np.ndarray:
    if not pad:
        return values
    return np.concatenate([np.full((pad, *values.shape[1:]), np.nan), values])


def _stacked(rows: Sequence[np.ndarray]) -> np.ndarray:
    return np.concatenate(rows) if rows else np.empty((0, len(NAMES)))
