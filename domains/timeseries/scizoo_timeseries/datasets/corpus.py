"""Windows to pre-train a forecaster on: synthetic series, measured ones, and mixes of these."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np

from scizoo.data.records import Dataset, Licence, Record
from scizoo.errors import ConfigError, DataError
from scizoo.files import sha256_json
from scizoo_timeseries.datasets import embedded, measured
from scizoo_timeseries.series import Series
from scizoo_timeseries.synthetic import kernel_series, mix

_LEAST_KNOWN = 0.7  # share of known values of a measured window
#: statsmodels' sets that no named task tests on.
FREE_SETS = ("elnino", "elec_equip", "sunspots", "nile", "copper")


class ForecastCorpus(Dataset):
    """Windows of history and future, the same for a seed on every machine.

    Neither ETT nor M4 is among them, nor any series that a named task of this domain tests on, so that
    forecasts of those are zero-shot.

    Parameters
    ----------
    synthetic, mixed, real : int
        Windows of each kind.
    length : int
        Values of a window, the future included.
    ahead : int
        Values of it that are future.
    short : float
        Share of windows that are cut to a random shorter history.
    measured : sequence of str
        Measured series by their name in :mod:`scizoo_timeseries.datasets.measured`; they are fetched once.
    sets : sequence of str
        Data sets of statsmodels.
    seed : int
    cache : Path, optional
        Where fetched files are kept.
    max_rejected : float

    Raises
    ------
    ConfigError
        When a number or a name has no meaning.
    """

    licence = Licence("CC-BY-4.0 (measured series); synthetic series are free")
    citation = f"{measured.CITATION}; {embedded.CITATION}"

    def __init__(
        self,
        synthetic: int = 40_000,
        mixed: int = 15_000,
        real: int = 15_000,
        length: int = 576,
        ahead: int = 64,
        short: float = 0.25,
        measured: Sequence[str] = ("household", "appliances", "beijing", "traffic"),
        sets: Sequence[str] = FREE_SETS,
        seed: int = 0,
        cache: Path | None = None,
        max_rejected: float = 0.01,
    ):
        super().__init__(max_rejected=max_rejected)
        from scizoo_timeseries.datasets.measured import check_names

        if min(synthetic, mixed, real) < 0 or synthetic + mixed + real < 1 or not 1 <= ahead < length:
            raise ConfigError(
                f"data: synthetic={synthetic}, mixed={mixed}, real={real}, length={length}, ahead={ahead}",
                expected="some windows, and 1 <= ahead < length",
            )
        if not 0 <= short <= 1:
            raise ConfigError(f"data.short={short}", expected="a share from 0 to 1")
        for name in sets:
            if name not in FREE_SETS:
                raise ConfigError(
                    f"data.sets: '{name}' is not for pre-training.",
                    expected=f"some of {', '.join(FREE_SETS)}",
                )
        self.synthetic, self.mixed, self.real = synthetic, mixed, real
        self.length, self.ahead, self.short = length, ahead, short
        self.measured, self.sets = check_names(measured), tuple(sets)
        if (mixed or real) and not (self.measured or self.sets):
            raise ConfigError(
                "data.mixed and data.real need data.measured or data.sets.", remedy="set both to 0."
            )
        self.seed, self.cache = seed, cache

    @property
    def name(self) -> str:
        """The corpus, for messages and cards."""
        real = ", ".join((*self.measured, *self.sets))
        return "synthetic series" + (f" and measured ones ({real})" if self.mixed or self.real else "")

    def fingerprint(self) -> str:
        """Digest of the options and of the sources' own digests."""
        keys = ("synthetic", "mixed", "real", "length", "ahead", "short", "measured", "sets", "seed")
        sources = [measured.SOURCES[name].sha256 for name in self.measured]
        settings = {key: getattr(self, key) for key in keys}
        return sha256_json(
            {"class": "ForecastCorpus", "settings": settings, "sources": sources, "version": 1}
        )

    def records(self) -> Iterator[Record]:
        """Yield synthetic windows, then mixes, then measured ones."""
        for number in range(self.synthetic):
            rng = np.random.default_rng([self.seed, 0, number])
            values = kernel_series(rng, self.length)
            yield self._record(rng, values, f"synthetic-{number}", f"synthetic {number}", "synthetic")
        for number in range(self.mixed):
            rng = np.random.default_rng([self.seed, 1, number])
            windows = [self._window(rng)[1] for _ in range(int(rng.integers(2, 4)))]
            yield self._record(rng, mix(rng, windows), f"mixed-{number}", f"mixed {number}", "mixed")
        for number in range(self.real):
            rng = np.random.default_rng([self.seed, 2, number])
            name, values = self._window(rng)
            yield self._record(rng, values, f"measured-{number}", name, "measured")

    def _record(self, rng: np.random.Generator, values: np.ndarray, id: str, group: str, kind: str) -> Record:
        if rng.random() < self.short:
            # Short histories, whose first patch is not whole, are what many users have.
            values = values[-int(rng.integers(min(self.ahead + 16, self.length), self.length + 1)) :]
        stamps = np.arange(len(values), dtype=np.int64)
        series = Series(values, stamps, unique_id=id, origin=len(values) - self.ahead)
        return Record(id, series, None, group, {"kind": kind}, self.name)

    @cached_property
    def _pool(self) -> list[tuple[str, np.ndarray]]:
        """Every measured series that is long enough, by name."""
        found: list[tuple[str, np.ndarray]] = []
        for name in self.measured:
            found += list(measured.read_measured(name, self.cache))
        for name in self.sets:
            found += [(entry.series.unique_id, entry.series.values) for entry in embedded.read_set(name)]
        return found

    def measured_values(self) -> Iterator[np.ndarray]:
        """Yield the measured series whole, for a sketch of what the corpus holds."""
        if self.mixed or self.real:
            yield from (values for _, values in self._pool)

    @cached_property
    def _shares(self) -> np.ndarray:
        """How often each series is drawn: by the root of its length, so that long ones do not crowd it."""
        sizes = np.sqrt([len(values) for _, values in self._pool])
        return sizes / sizes.sum()

    def _window(self, rng: np.random.Generator) -> tuple[str, np.ndarray]:
        """Draw a window of a measured series; a series that is shorter stands at its end, unknown before."""
        for _ in range(100):
            name, values = self._pool[int(rng.choice(len(self._pool), p=self._shares))]
            if len(values) <= self.length:
                window = np.full(self.length, np.nan)
                window[self.length - len(values) :] = values
                return name, window
            start = int(rng.integers(0, len(values) - self.length + 1))
            window = values[start : start + self.length]
            known = np.isfinite(window)
            if known.mean() >= _LEAST_KNOWN and np.ptp(window[known]) > 0:
                return name, window.copy()
        raise DataError(
            f"{self.name}: no window of {self.length} values is known well enough.",
            remedy="lower data.length.",
        )
