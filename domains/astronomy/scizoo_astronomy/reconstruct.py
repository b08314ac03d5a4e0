"""Light curves from catalogue parameters: Fourier shapes, observing nights and photometric noise.

What comes out are reconstructions: real shapes, periods and brightnesses, drawn times and drawn noise.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np

_GRID = np.linspace(0.0, 1.0, 200, endpoint=False)
#: Day (HJD - 2450000) of mid-season and length of the season in days, by field.
_SEASONS = {"BLG": (2075.0, 260.0), "LMC": (2264.0, 270.0), "SMC": (2205.0, 270.0), "GD": (2015.0, 240.0)}
_FIRST, _LAST = 2070.0, 4955.0  # OGLE-III observed from June 2001 to May 2009
_MIDNIGHT = 0.70  # of Las Campanas, as a part of the Julian day


@dataclass(frozen=True)
class Mode:
    """One periodicity of a star, as OGLE tabulates it.

    Parameters
    ----------
    period : float
        Days.
    amplitude : float
        Peak to peak, in magnitudes.
    epoch : float, optional
        HJD - 2450000 of maximum light.
    r21, phi21, r31, phi31 : float, optional
        Amplitude ratios and phase differences (radians) of the harmonics; NaN where there are none.
    """

    period: float
    amplitude: float
    epoch: float = 0.0
    r21: float = np.nan
    phi21: float = np.nan
    r31: float = np.nan
    phi31: float = np.nan

    @property
    def has_shape(self) -> bool:
        """Whether the full decomposition is known."""
        return bool(np.isfinite([self.r21, self.phi21, self.r31, self.phi31]).all())


def fourier_shape(phase: np.ndarray, mode: Mode) -> np.ndarray:
    """Compute the shape of a mode: magnitudes about a mean of zero, peak to peak 1, maximum light at phase 0.

    Cosine series ``m = sum_k A_k cos(2 pi k phase + phi_k)`` with ``R_k1 = A_k / A_1`` and
    ``phi_k1 = phi_k - k phi_1`` (Simon & Lee 1981, ApJ 248, 291; for OGLE-III Soszynski et al. 2008, AcA 58,
    163). Harmonics that are not tabulated are zero: higher ones than the third are never.

    Parameters
    ----------
    phase : ndarray
    mode : Mode

    Returns
    -------
    ndarray, of the shape of ``phase``
        Small (negative) is bright.
    """
    ratios = (1.0, *np.nan_to_num([mode.r21, mode.r31]))
    phases = (0.0, *np.nan_to_num([mode.phi21, mode.phi31]))

    def series(at: np.ndarray) -> np.ndarray:
        angle = 2 * np.pi * at[..., None] * np.arange(1, 4)
        return (np.asarray(ratios) * np.cos(angle + np.asarray(phases))).sum(axis=-1)

    grid = series(_GRID)
    return series(np.asarray(phase) + _GRID[grid.argmin()]) / np.ptp(grid)


def observing_times(draw: np.random.Generator, count: int, field: str) -> np.ndarray:
    """Draw the times of observations of a field: in its seasons, at night, at most one a night.

    Parameters
    ----------
    draw : Generator
    count : int
    field : str
        Begins with BLG, LMC, SMC or GD.

    Returns
    -------
    ndarray of float64, shape (count,)
        HJD - 2450000, ascending.
    """
    centre, length = _SEASONS.get(field[:3].rstrip("0123456789."), _SEASONS["LMC"])
    nights = np.arange(_FIRST, _LAST)
    away = np.abs((nights - centre + 182.6) % 365.25 - 182.6)
    seen = nights[away < length / 2]
    chosen = np.sort(draw.choice(seen, size=min(count, len(seen)), replace=False))
    return chosen + _MIDNIGHT + draw.uniform(-0.15, 0.15, len(chosen))


def photometric_error(magnitude: np.ndarray) -> np.ndarray:
    """Give the error of a point of a brightness.

    A floor of 4 mmag and a term that grows with faintness, 10 mmag at I = 17 and 0.1 mag at I = 20: like the
    scatter plots of OGLE-III (Udalski et al. 2008, AcA 58, 69), not fitted to them.
    """
    return np.hypot(0.004, 0.010 * 10 ** ((np.asarray(magnitude) - 17.0) / 3.0))


def generator(id: str, seed: int) -> np.random.Generator:
    """Return the source of chance of one star: the same whatever other stars are read."""
    digest = hashlib.blake2b(f"{seed}:{id}".encode(), digest_size=8).digest()
    return np.random.default_rng(int.from_bytes(digest, "big"))


def observe(
    mean: float, modes: list[Mode], field: str, draw: np.random.Generator, points: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Observe a star.

    Parameters
    ----------
    mean : float
        Mean magnitude.
    modes : list of Mode
        Their light adds up.
    field : str
    draw : Generator
    points : (int, int)
        Fewest and most points, both included.

    Returns
    -------
    time, magnitude, error : ndarray of float64, shape (points,)
    """
    time = observing_times(draw, int(draw.integers(points[0], points[1] + 1)), field)
    bright = np.full(len(time), mean)
    for mode in modes:
        bright += mode.amplitude * fourier_shape((time - mode.epoch) / mode.period, mode)
    error = photometric_error(bright)
    return time, bright + draw.normal(0.0, error), error
