"""The pixels of a spectrum: how they are read, put in order and converted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from scizoo.errors import ConfigError, did_you_mean
from scizoo_astronomy.objects import Spectrum
from scizoo_astronomy.units import air_to_vacuum, angstrom, parse_unit, spectral_factor

ROLES = ("wavelength", "flux", "ivar", "error", "mask", "id", "ra", "dec")
MEASURED = ("wavelength", "flux")


@dataclass
class SpectrumOptions:
    """How spectra are read.

    Parameters
    ----------
    columns : mapping, optional
        Role to column: wavelength, flux, ivar or error, mask, id, ra, dec.
    units : mapping, optional
        Role (wavelength, flux) to unit, where the file does not say it or is wrong.
    names : sequence of str, optional
        Names of the columns, for text without a header line.
    hdu : int or str, optional
        Of FITS.
    id : str, optional
        The column that tells objects apart, in tables that have it; ``columns`` demands it.
    medium : {"vacuum", "air"}
        What wavelengths are measured in where the file does not say it.
    to_vacuum : bool
        Whether wavelengths in air are converted to vacuum.
    """

    columns: Mapping[str, str] | None = None
    units: Mapping[str, str] | None = None
    names: Sequence[str] | None = None
    hdu: int | str | None = None
    id: str | None = None
    medium: str = "vacuum"
    to_vacuum: bool = True

    def __post_init__(self) -> None:
        if self.medium not in ("vacuum", "air"):
            raise ConfigError(f"data.medium is '{self.medium}'.", expected="vacuum or air")
        for key, given, known in (
            ("columns", self.columns, ROLES),
            ("units", self.units, MEASURED),
        ):
            for role in given or {}:
                if role not in known:
                    raise ConfigError(f"data.{key}.{role} is unknown: {did_you_mean(role, known)}")
        self.units = {key: str(unit) for key, unit in (self.units or {}).items() if unit is not None}
        self.columns = {key: name for key, name in (self.columns or {}).items() if name is not None}


def inverse_variance(error: np.ndarray) -> np.ndarray:
    """Turn errors into inverse variances; an error that is not finite or zero says that nothing is known (0).

    Raises
    ------
    ValueError
        When an error is negative.
    """
    if (error < 0).any():
        place = int(np.flatnonzero(error < 0)[0])
        raise ValueError(f"the error of pixel {place} is negative ({error[place]:g})")
    good = np.isfinite(error) & (error > 0)
    return np.where(good, 1.0 / np.where(good, error, 1.0) ** 2, 0.0)


def assemble(
    wavelength: np.ndarray,
    flux: np.ndarray,
    ivar: np.ndarray | None,
    mask: np.ndarray | None,
    wavelength_unit: str,
    flux_unit: str,
    medium: str,
    *,
    to_vacuum: bool = True,
    ra: float | None = None,
    dec: float | None = None,
) -> Spectrum:
    """Convert to Angstrom, put in ascending order, convert the flux, and check.

    Raises
    ------
    ValueError
        When the spectrum cannot be used.
    """
    size = len(wavelength)
    for what, column in (("flux", flux), ("inverse variance", ivar), ("mask", mask)):
        if column is not None and len(column) != size:
            raise ValueError(f"the {what} has {len(column)} pixels, the wavelength {size}")
    place = angstrom(wavelength, parse_unit(wavelength_unit, "", ""), "", "")
    if not np.isfinite(place).all():
        raise ValueError("a wavelength is not finite")
    if len(place) > 1 and (np.diff(place) < 0).all():  # frequencies and energies run the other way
        place, flux = place[::-1], flux[::-1]
        ivar, mask = (None if a is None else a[::-1] for a in (ivar, mask))
    back = np.flatnonzero(np.diff(place) <= 0)
    if len(back):
        raise ValueError(
            f"wavelength goes from {place[back[0]]:.3f} to {place[back[0] + 1]:.3f} Angstrom at its pixel "
            f"{back[0] + 1}: not ascending; put the file in order and remove pixels that are there twice"
        )
    if ivar is not None and (ivar < 0).any():
        at = int(np.flatnonzero(ivar < 0)[0])
        raise ValueError(f"the inverse variance of pixel {at} is negative ({ivar[at]:g})")
    factor, unit = spectral_factor(parse_unit(flux_unit, "", ""), place, "", "")
    if medium == "air" and to_vacuum:
        place, medium = air_to_vacuum(place), "vacuum"
    if ivar is None:
        scaled = np.full(size, np.nan)
    else:
        scaled = np.nan_to_num(ivar, nan=0.0, posinf=0.0) / np.square(factor)
    if mask is None:
        mask = np.zeros(size, dtype=bool)
    return Spectrum(place, flux * factor, scaled, mask, unit, medium, None, ra, dec)
