"""Values scaled and put into bins, a token each (Chronos, Ansari et al. 2024, arXiv 2403.07815)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np

from scizoo.data.ragged import Ragged
from scizoo.data.tokenizer import TokenTokenizer
from scizoo.errors import ConfigError, DataError
from scizoo.files import sha256_json
from scizoo_timeseries.series import as_series
from scizoo_timeseries.tokenizers.scaling import location_scale, stack


class BinnedTokenizer(TokenTokenizer):
    """One token a value: divided by the mean absolute value of the history, then the nearest bin.

    A missing value is ``[UNK]``. ``scale`` (n,) is kept beside the tokens; :meth:`decode` gives bin centres
    in units of it.

    Parameters
    ----------
    bins : int
        How many bins, 2 to 65,000; the field uses 256 to 4,096.
    limit : float
        Bins lie evenly from ``-limit`` up to ``limit``, which is left out; what lies beyond is in the last
        ones.
    length : int, optional
        Only the last so many values are encoded; all when not given.
    """

    def __init__(self, bins: int = 1024, limit: float = 16.0, length: int | None = 512):
        if not 2 <= bins <= 65_000 or limit <= 0 or (length is not None and length < 1):
            raise ConfigError(
                f"tokenizer: bins={bins}, limit={limit}, length={length}",
                expected="2 to 65000 bins, a limit above 0, a length from 1 on",
            )
        self.bins, self.limit, self.length = int(bins), float(limit), length
        self.step = 2 * self.limit / self.bins

    @cached_property
    def vocab(self) -> list[str]:
        """Special tokens, then the centre of every bin in words."""
        return [*self.SPECIAL, *(f"{centre:.6g}" for centre in self.centres)]

    @cached_property
    def centres(self) -> np.ndarray:
        """Centre of every bin, in units of the scale; 0 and 1 are among them."""
        return -self.limit + self.step * np.arange(self.bins)

    def settings(self) -> dict[str, Any]:
        """Return the plain settings with which the constructor gives this tokenizer again."""
        return {"bins": self.bins, "limit": self.limit, "length": self.length}

    def fingerprint(self) -> str:
        """Digest of the settings."""
        return sha256_json({"class": type(self).__qualname__, "settings": self.settings(), "version": 1})

    def encode(self, inputs: Sequence[Any]) -> dict[str, Ragged]:
        """Encode series of one channel.

        Returns
        -------
        dict of str to Ragged
            ``input_ids`` and ``scale``.

        Raises
        ------
        DataError
            When a series has several channels.
        """
        rows, origins = [], []
        for one in map(as_series, inputs):
            if one.channels != 1:
                raise DataError(
                    f"series '{one.unique_id}' has {one.channels} channels.",
                    expected="one value at each time",
                    remedy="split it into series of their own, or choose tokenizer=timeseries/patch16.",
                )
            values = one.values if self.length is None else one.values[-self.length :]
            rows.append(values)
            cut = len(one) - len(values)
            origins.append(len(values) if one.origin is None else max(0, one.origin - cut))
        ragged = stack(rows)
        lengths = ragged.lengths
        within = np.arange(len(ragged.values)) - np.repeat(ragged.offsets[:-1], lengths)
        history = within < np.repeat(np.array(origins, dtype=np.int64), lengths)
        _, scale = location_scale(ragged, history, "mean-abs")
        spread = np.repeat(scale[:, 0], lengths)
        scaled = ragged.values[:, 0] / spread
        known = np.isfinite(scaled)
        number = np.rint((np.where(known, scaled, 0.0) + self.limit) / self.step)
        first = len(self.SPECIAL)
        ids = np.where(known, first + np.clip(number, 0, self.bins - 1), self.unk_id).astype(np.int32)
        return {
            "input_ids": Ragged(ids, ragged.offsets),
            "scale": Ragged(spread.astype(np.float32), ragged.offsets),
        }

    def attribute(self, input: Any, scores: np.ndarray) -> np.ndarray:
        """Give a number a value (n, 1); NaN before the last ``length`` values."""
        found = np.full((len(as_series(input)), 1), np.nan)
        found[len(found) - len(scores) :, 0] = scores
        return found

    def decode(self, ids: Sequence[int]) -> np.ndarray:
        """Give bin centres in units of the scale; unknown values are NaN, other special tokens left out."""
        row = np.asarray(ids)
        first = len(self.SPECIAL)
        row = row[(row >= first) | (row == self.unk_id)]
        centres = np.full(len(row), np.nan)
        regular = row >= first
        centres[regular] = self.centres[row[regular] - first]
        return centres
