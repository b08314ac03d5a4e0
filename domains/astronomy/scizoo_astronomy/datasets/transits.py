"""Simulated light curves of a transit survey: planets, background eclipsing binaries, and neither."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from scizoo.data.records import Licence, Record
from scizoo.errors import ConfigError
from scizoo_astronomy.datasets.base import AstronomyDataset
from scizoo_astronomy.datasets.binaries import two_gaussians
from scizoo_astronomy.objects import LightCurve
from scizoo_astronomy.reconstruct import generator

CLASSES = ("transit", "eclipse", "quiet")
_LIMB = (0.4, 0.25)  # quadratic limb darkening of a Sun-like star in a red band (Claret & Bloemen 2011)


def transit_depth(distance: np.ndarray, ratio: float, limb: Sequence[float] = _LIMB) -> np.ndarray:
    """Compute the share of a star's light that a small planet covers.

    The covered area times the brightness of the disc where the planet stands, limb darkened quadratically:
    the small-planet approximation of Mandel & Agol 2002 (ApJ 580, L171, section 5), good to a few percent of
    the depth for radius ratios up to 0.1.

    Parameters
    ----------
    distance : ndarray
        Between the centres of planet and star, in stellar radii.
    ratio : float
        Radius of the planet, in stellar radii.
    limb : pair of float
        Coefficients u1 and u2 of the quadratic law.

    Returns
    -------
    ndarray
        0 outside of a transit.
    """
    away = np.abs(np.asarray(distance, dtype=np.float64))
    area = np.zeros_like(away)
    inside, partial = away <= 1 - ratio, (away > 1 - ratio) & (away < 1 + ratio)
    area[inside] = np.pi * ratio**2
    between = away[partial]
    # The lens in which two discs overlap.
    planet = np.arccos(np.clip((between**2 + ratio**2 - 1) / (2 * between * ratio), -1, 1))
    star = np.arccos(np.clip((between**2 + 1 - ratio**2) / (2 * between), -1, 1))
    corner = np.sqrt(np.clip(4 * between**2 - (1 + between**2 - ratio**2) ** 2, 0, None)) / 2
    area[partial] = ratio**2 * planet + star - corner
    # Where only the planet's inner edge is on the disc, the light is that of the middle of what it covers.
    place = np.where(partial, (away - ratio + 1) / 2, away)
    slant = 1 - np.sqrt(np.clip(1 - np.clip(place, 0, 1) ** 2, 0, 1))
    brightness = 1 - limb[0] * slant - limb[1] * slant**2
    return area * brightness / (np.pi * (1 - limb[0] / 3 - limb[1] / 6))


class SimulatedTransits(AstronomyDataset):
    """Light curves as a space mission takes them of one field, told apart by what dims the star.

    ``transit``: a planet on a circular orbit. ``eclipse``: an eclipsing binary behind the star whose light
    dilutes it, the usual false positive; its two eclipses are deep and shallow, or wide. ``quiet``: neither.
    All stars have spots (a quasi-periodic signal) and white noise; one gap interrupts the observations. They
    serve to try detection; no score on them says anything about a survey.

    Parameters
    ----------
    count : int
        How many, a third of each class.
    days : float
        From the first to the last observation; 27.4 is one sector of TESS.
    cadence : float
        Hours between two observations.
    noise : (float, float)
        Least and most white noise of an observation, relative to the star's light; evenly in its logarithm.
    spots : float
        Largest amplitude of the spots, relative to the star's light.
    signal_to_noise : (float, float)
        Least and most of all dimmed observations together; evenly in its logarithm.
    seed : int
    max_rejected : float

    Raises
    ------
    ConfigError
        When a number has no meaning.
    """

    licence = Licence("Apache-2.0")
    citation = "drawn from the small-planet model of Mandel & Agol (2002) ApJ 580, L171"

    def __init__(
        self,
        *,
        count: int = 1500,
        days: float = 27.4,
        cadence: float = 2.0,
        noise: Sequence[float] = (2e-4, 2e-3),
        spots: float = 0.01,
        signal_to_noise: Sequence[float] = (7.0, 50.0),
        seed: int = 0,
        max_rejected: float = 0.01,
    ):
        super().__init__(max_rejected=max_rejected)
        (quiet, loud), (low, high) = map(float, noise), map(float, signal_to_noise)
        if count < 3 or days < 5 or not 0 < cadence <= 6 or spots < 0 or not 0 < quiet <= loud or low > high:
            raise ConfigError(
                f"data: count={count}, days={days}, cadence={cadence}, noise={[quiet, loud]}, spots={spots}, "
                f"signal_to_noise={[low, high]}",
                expected="count from 3, days from 5, cadence up to 6 hours, the pairs ascending and above 0",
            )
        self.count, self.days, self.cadence = int(count), float(days), float(cadence)
        self.noise, self.spots, self.signal_to_noise = (quiet, loud), float(spots), (low, high)
        self.seed = int(seed)

    @property
    def name(self) -> str:
        """What is read, for messages and cards."""
        return f"{self.count:,} simulated light curves of a transit survey"

    def settings(self) -> dict[str, Any]:
        """Return the options that change the records."""
        names = ("count", "days", "cadence", "noise", "spots", "signal_to_noise", "seed")
        return {name: getattr(self, name) for name in names}

    def fingerprint(self) -> str:
        """Digest of the options."""
        return self._digest("drawn")

    def records(self) -> Iterator[Record]:
        """Yield the light curves; each is drawn from the seed and its number alone."""
        for number in range(self.count):
            target, id = CLASSES[number % len(CLASSES)], f"star-{number}"
            curve, truth = self._curve(target, generator(id, self.seed))
            yield Record(id, curve, target, None, truth, f"simulated star {number}")

    def _curve(self, target: str, draw: np.random.Generator) -> tuple[LightCurve, dict[str, Any]]:
        time = np.arange(0.0, self.days, self.cadence / 24)
        gap = draw.uniform(0.4, 0.6) * self.days
        time = time[np.abs(time - gap) > draw.uniform(0.2, 0.6)]
        noise = float(np.exp(draw.uniform(*np.log(self.noise))))
        flux = 1.0 + _spots(time, draw, self.spots) + draw.normal(0.0, noise, len(time))
        truth: dict[str, Any] = {"noise": noise, "orbit": None, "depth": 0.0, "signal_to_noise": 0.0}
        if target != "quiet":
            period = float(np.exp(draw.uniform(np.log(1.0), np.log(self.days / 2.5))))
            shape = (_planet if target == "transit" else _binary)(time, period, draw)
            wanted = float(np.exp(draw.uniform(*np.log(self.signal_to_noise))))
            # The strength of the signal is drawn, so that no class is easier to see than another.
            size = wanted * noise / float(np.sqrt((shape**2).sum()))
            flux = flux - size * shape
            truth |= {"orbit": period, "depth": float(size * shape.max()), "signal_to_noise": wanted}
        curve = LightCurve(time, flux, np.full(len(time), noise), "TESS", "", "relative days")
        return curve, truth


def _spots(time: np.ndarray, draw: np.random.Generator, largest: float) -> np.ndarray:
    """Draw the brightness of a spotted, turning star: three harmonics whose heights drift."""
    turn, light = draw.uniform(3.0, 25.0), np.zeros(len(time))
    for harmonic in (1, 2, 3):
        drift = 1 + 0.3 * np.sin(2 * np.pi * time / draw.uniform(15, 40) + draw.uniform(0, 2 * np.pi))
        light += drift * np.sin(2 * np.pi * harmonic * time / turn + draw.uniform(0, 2 * np.pi)) / harmonic**2
    return largest * draw.uniform() ** 2 * light / np.abs(light).max()


def _planet(time: np.ndarray, period: float, draw: np.random.Generator) -> np.ndarray:
    """Return the dimming by a planet, up to a factor; at least one observation lies in a transit."""
    ratio, impact = draw.uniform(0.02, 0.12), draw.uniform(0.0, 0.8)
    axis = 4.2 * period ** (2 / 3)  # in stellar radii, of a star like the Sun (Kepler's third law)
    first = time[int(draw.integers(len(time)))]
    angle = 2 * np.pi * (time - first) / period
    front = np.cos(angle) > 0
    distance = np.hypot(axis * np.sin(angle), impact * np.cos(angle))
    return transit_depth(np.where(front, distance, 2.0), ratio)


def _binary(time: np.ndarray, period: float, draw: np.random.Generator) -> np.ndarray:
    """Return the dimming by a background binary, up to a factor: two eclipses, unlike in depth or wide."""
    phase = (time - time[int(draw.integers(len(time)))]) / period
    width = draw.uniform(0.012, 0.05)
    second = draw.uniform(0.1, 0.8)
    return two_gaussians(phase, (1.0, second), (width, width), 0.5 + draw.normal(0, 0.03), 0.0)
