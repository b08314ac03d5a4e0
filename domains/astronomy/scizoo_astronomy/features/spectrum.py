"""Features of spectra: fluxes on a common grid, and the strengths of spectral lines."""

from __future__ import annotations

import numpy as np

from scizoo_astronomy.objects import Spectrum


def resample(spectrum: Spectrum, grid: np.ndarray) -> np.ndarray:
    """Average a spectrum over cells of a grid, weighted by inverse variance where it is known.

    Parameters
    ----------
    spectrum : Spectrum
    grid : ndarray of float64, shape (cells + 1,)
        Edges in Angstrom, ascending.

    Returns
    -------
    ndarray of float64, shape (cells,)
        In units of the spectrum's median absolute flux; NaN in cells without a usable pixel.
    """
    known = np.isfinite(spectrum.ivar).any()
    good = ~spectrum.mask & ((spectrum.ivar > 0) | (not known))
    wavelength, flux = spectrum.wavelength[good], spectrum.flux[good]
    weight = spectrum.ivar[good] if known else np.ones(len(flux))
    cell = np.searchsorted(grid, wavelength, side="right") - 1
    inside = (cell >= 0) & (cell < len(grid) - 1)
    total = np.bincount(cell[inside], weight[inside], minlength=len(grid) - 1)
    joined = np.bincount(cell[inside], (weight * flux)[inside], minlength=len(grid) - 1)
    mean = np.where(total > 0, joined / np.where(total > 0, total, 1.0), np.nan)
    scale = np.nanmedian(np.abs(mean)) if np.isfinite(mean).any() else 1.0
    return mean / (scale if scale > 0 else 1.0)


def log_grid(low: float, high: float, cells: int) -> np.ndarray:
    """Return edges of cells equally wide in the logarithm of wavelength, where a redshift is a shift."""
    return np.exp(np.linspace(np.log(low), np.log(high), cells + 1))


def continuum_removed(flux: np.ndarray, width: int = 31) -> np.ndarray:
    """Divide off the running median of ``width`` cells, shape kept; cells without a flux are 0.

    What is left are lines: emission above 0, absorption below.
    """
    from scipy.ndimage import median_filter

    filled = np.where(np.isfinite(flux), flux, np.nanmedian(flux) if np.isfinite(flux).any() else 0.0)
    smooth = median_filter(filled, size=width, mode="nearest")
    floor = 0.05 * np.median(np.abs(smooth)) + 1e-12
    return np.where(np.isfinite(flux), (filled - smooth) / np.maximum(np.abs(smooth), floor), 0.0)


def line_features(spectrum: Spectrum, grid: np.ndarray, strongest: int = 4) -> np.ndarray:
    """Measure colours, and the strongest emission and absorption lines wherever they stand.

    Parameters
    ----------
    spectrum : Spectrum
    grid : ndarray
        Edges of cells, as of :func:`log_grid`.
    strongest : int
        How many lines of each sort.

    Returns
    -------
    ndarray of float64, shape (8 + 4 * strongest,)
        Eight fluxes of broad bands; then for emission and for absorption the logarithms of the wavelengths,
        in ascending order, and the heights in units of the scatter.
    """
    flux = resample(spectrum, grid)
    with np.errstate(all="ignore"):
        bands = np.array(
            [np.nanmedian(part) if np.isfinite(part).any() else np.nan for part in np.array_split(flux, 8)]
        )
    lines = continuum_removed(flux)
    scatter = 1.4826 * np.median(np.abs(lines - np.median(lines))) + 1e-12
    centres = 0.5 * (np.log(grid[1:]) + np.log(grid[:-1]))
    found: list[float] = list(np.arcsinh(bands))
    for sign in (1.0, -1.0):
        left, places, heights = sign * lines / scatter, [], []
        for _ in range(strongest):
            top = int(left.argmax())
            places.append(float(centres[top]))
            heights.append(float(left[top]))
            left[max(0, top - 5) : top + 6] = -np.inf
        order = np.argsort(places)
        found += [places[k] for k in order] + [float(np.arcsinh(heights[k])) for k in order]
    return np.array(found)
