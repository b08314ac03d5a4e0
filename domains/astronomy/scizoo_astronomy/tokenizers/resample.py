"""Spectra onto a fixed grid of wavelengths."""

from __future__ import annotations

import numpy as np

#: Wavelengths of the vacuum, in Angstrom, below which air and vacuum are not told apart.
_SHORTEST_IN_AIR = 2000.0


def log_grid(low: float, high: float, pixels: int) -> np.ndarray:
    """Return the edges of pixels of equal width in log wavelength, shape (pixels + 1,), in Angstrom."""
    return np.logspace(np.log10(low), np.log10(high), pixels + 1)


def pixel_edges(wavelength: np.ndarray) -> np.ndarray:
    """Return the edges of pixels from their centres: half way between neighbours, shape (pixels + 1,)."""
    if len(wavelength) == 1:
        return wavelength[0] + np.array([-0.5, 0.5])
    middle = 0.5 * (wavelength[1:] + wavelength[:-1])
    return np.concatenate([[2 * wavelength[0] - middle[0]], middle, [2 * wavelength[-1] - middle[-1]]])


def air_to_vacuum(wavelength: np.ndarray) -> np.ndarray:
    """Convert wavelengths in standard air to vacuum, in Angstrom (Morton 2000, ApJS 130:403, as in VALD)."""
    s = (1e4 / wavelength) ** 2
    index = (
        1.0
        + 8.336624212083e-5
        + 2.408926869968e-2 / (130.1065924522 - s)
        + 1.599740894897e-4 / (38.92568793293 - s)
    )
    return np.where(wavelength > _SHORTEST_IN_AIR, wavelength * index, wavelength)


def resample(
    wavelength: np.ndarray,
    flux: np.ndarray,
    ivar: np.ndarray,
    edges: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Average a flux density over other pixels, each old pixel by its overlap and its inverse variance.

    Where the inverse variance is constant this conserves the flux: the integral over a new pixel is that of
    the old ones (Carnall 2017, arXiv 1705.05165). It costs four interpolations of running integrals,
    whatever the number of pixels.

    Parameters
    ----------
    wavelength : ndarray, shape (pixels,)
        Ascending centres.
    flux, ivar : ndarray, shape (pixels,)
        Finite; pixels that must not be used have an inverse variance of 0.
    edges : ndarray, shape (new + 1,)
        Of the new pixels.

    Returns
    -------
    flux : ndarray, shape (new,)
        0 where nothing is known.
    ivar : ndarray, shape (new,)
        Of the weighted mean, for independent errors.
    covered : ndarray, shape (new,)
        Share of each new pixel that usable old ones cover, 0 to 1.
    """
    old = pixel_edges(wavelength)
    width = np.diff(old)

    def integral(density: np.ndarray) -> np.ndarray:
        running = np.concatenate([[0.0], np.cumsum(density * width)])
        return np.diff(np.interp(edges, old, running))

    weight = integral(ivar)
    total = integral(ivar * flux)
    usable = integral((ivar > 0).astype(float))
    covered = np.clip(usable / np.diff(edges), 0.0, 1.0)
    known = covered > 1e-6
    safe = np.where(known & (weight > 0), weight, 1.0)
    mean = np.where(known, total / safe, 0.0)
    # The variance of a mean with weights w = ivar times overlap, of pixels with variance 1 / ivar: the
    # effective number of old pixels in a new one is its usable width over theirs.
    typical = integral(width * (ivar > 0)) / np.where(usable > 0, usable, 1.0)
    number = np.maximum(usable / np.where(typical > 0, typical, 1.0), 0.0)
    return mean, np.where(known, weight / np.where(usable > 0, usable, 1.0) * number, 0.0), covered
