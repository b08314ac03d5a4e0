"""Simulated eclipsing binaries, for pre-training beside catalogues that hold none."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from scizoo.data.records import Licence, Record
from scizoo.errors import ConfigError
from scizoo_astronomy.datasets.base import AstronomyDataset
from scizoo_astronomy.objects import LightCurve
from scizoo_astronomy.reconstruct import generator, observing_times, photometric_error

_FIELDS = ("BLG", "LMC", "SMC")


def two_gaussians(
    phase: np.ndarray, depths: Sequence[float], widths: Sequence[float], second: float, ellipsoidal: float
) -> np.ndarray:
    """Compute the light curve of an eclipsing binary in magnitudes, 0 outside of eclipses.

    Two Gaussian eclipses and the cosine of tidally deformed stars: the model by which Mowlavi et al. 2017
    (A&A 606, A92) describe the eclipsing binaries of Gaia.

    Parameters
    ----------
    phase : ndarray
        0 is the middle of the first eclipse.
    depths, widths : pair of float
        Of the two eclipses, in magnitudes, and their standard deviations in phase.
    second : float
        Phase of the second eclipse; 0.5 on a circular orbit.
    ellipsoidal : float
        Peak to peak of the cosine, in magnitudes.
    """
    light = 0.5 * ellipsoidal * np.cos(4 * np.pi * phase)
    for depth, width, middle in zip(depths, widths, (0.0, second)):
        away = np.mod(phase - middle + 0.5, 1.0) - 0.5
        light = light + depth * np.exp(-0.5 * (away / width) ** 2)
    return light


class SimulatedBinaries(AstronomyDataset):
    """I-band light curves of eclipsing binaries drawn from a seed: detached, deformed and in contact.

    Times and errors are drawn as for the reconstructed stars of OGLE-III. The period that half of them state
    is half of the orbit's, as a periodogram finds it.

    Parameters
    ----------
    count : int
        How many.
    points : (int, int)
        Fewest and most observations.
    give_period : bool
        Whether models may look at a period.
    seed : int
    max_rejected : float
    """

    licence = Licence("Apache-2.0")
    citation = "drawn from the two-Gaussian model of Mowlavi et al. (2017) A&A 606, A92"

    def __init__(
        self,
        count: int = 5000,
        points: Sequence[int] = (40, 160),
        give_period: bool = True,
        seed: int = 0,
        max_rejected: float = 0.01,
    ):
        super().__init__(max_rejected=max_rejected)
        low, high = points
        if count < 1 or not 2 <= low <= high:
            raise ConfigError(
                f"data.count={count}, data.points={list(points)}",
                expected="at least one, 2 <= fewest <= most",
            )
        self.count, self.points = int(count), (int(low), int(high))
        self.give_period, self.seed = bool(give_period), int(seed)

    @property
    def name(self) -> str:
        """What is read, for messages and cards."""
        return "simulated eclipsing binaries"

    def settings(self) -> dict[str, Any]:
        """Return the options that change the records."""
        return {name: getattr(self, name) for name in ("count", "points", "give_period", "seed")}

    def fingerprint(self) -> str:
        """Digest of the options."""
        return self._digest("drawn")

    def records(self) -> Iterator[Record]:
        """Yield the binaries."""
        for number in range(self.count):
            id = f"binary-{number}"
            yield Record(id, self._curve(generator(id, self.seed)), None, None, {"type": "ECL"}, self.name)

    def _curve(self, draw: np.random.Generator) -> LightCurve:
        # How much of their Roche lobes the stars fill: 0 far apart, 1 in contact.
        filling = float(draw.uniform())
        period = 10 ** draw.uniform(-0.6, 0.0 if filling > 0.8 else 2.0)
        ellipsoidal = 0.5 * filling**2 * draw.uniform(0.3, 1.0)
        width = 0.01 + 0.05 * filling * draw.uniform(0.5, 1.0)
        first = draw.uniform(0.1, 0.9)
        second = first * (draw.uniform(0.8, 1.0) if filling > 0.8 else draw.uniform(0.05, 1.0))
        eccentric = draw.normal(0.0, 0.05) if filling < 0.4 else 0.0
        field = _FIELDS[int(draw.integers(len(_FIELDS)))]
        time = observing_times(draw, int(draw.integers(self.points[0], self.points[1] + 1)), field)
        phase = time / period + draw.uniform()
        widths = (width, width * draw.uniform(0.8, 1.25))
        light = two_gaussians(phase, (first, second), widths, 0.5 + eccentric, ellipsoidal)
        light += draw.uniform(12.5, 18.5)
        error = photometric_error(light)
        stated = period * (0.5 if draw.uniform() < 0.5 else 1.0)
        value = light + draw.normal(0.0, error)
        return LightCurve(
            time, value, error, "I", "mag", "hjd-2450000", "utc", stated if self.give_period else None
        )
