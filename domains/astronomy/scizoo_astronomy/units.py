"""Units: read, checked against what a column must be, and converted; never assumed.

What the objects hold: days; magnitudes or fluxes as measured (flux densities in nJy); Angstrom; spectral flux
densities in 1e-17 erg / (s cm2 Angstrom), or as measured where they are counts or relative.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from astropy import units as u
from astropy.units import UnitBase

from scizoo.errors import DataError

#: How people write what astropy spells otherwise.
_SPELLINGS = {
    "days": "d",
    "mjd": "d",
    "jd": "d",
    "hjd": "d",
    "bjd": "d",
    "e-/s": "electron / s",
    "e/s": "electron / s",
    "electrons/s": "electron / s",
    "mags": "mag",
    "magnitude": "mag",
    "abmag": "mag(AB)",
    "angstroms": "Angstrom",
    "aa": "Angstrom",
    "microns": "micron",
    "counts": "ct",
    "dn": "adu",
    "degrees": "deg",
    "relative": "",
    "none": "",
    "dimensionless": "",
    "arbitrary": "",
}
FLUX_DENSITY = u.Unit("1e-17 erg / (s cm2 Angstrom)")
FLUX_NAME = "1e-17 erg / (s cm2 Angstrom)"
_COUNTS = (u.electron, u.adu, u.ct, u.photon, u.DN)


class UnitError(DataError):
    """A column has no unit, one that is not understood, or one of something else."""


def parse_unit(text: Any, column: str, key: str) -> UnitBase:
    """Read a unit as files and people write it.

    Parameters
    ----------
    text : str or Unit
    column : str
        For the message: ``"column 'flux'"``.
    key : str
        The config key that states a unit, for the message.

    Raises
    ------
    UnitError
        When astropy does not know it.
    """
    if isinstance(text, UnitBase):
        if isinstance(text, u.UnrecognizedUnit):
            text = str(text)
        else:
            return text
    plain = str(text).strip()
    plain = _SPELLINGS.get(plain.lower(), plain)
    for style in (None, "fits", "vounit", "cds"):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", u.UnitsWarning)
                return u.Unit(plain) if style is None else u.Unit(plain, format=style)
        except (ValueError, TypeError):
            continue
    raise UnitError(
        f"{column} has the unit '{text}', which is not understood.",
        expected="a unit as astropy.units writes it, such as d, mag, nJy, Angstrom, erg / (s cm2 Angstrom)",
        remedy=f"correct the file, or state it: {key}=UNIT",
    )


def factor_between(unit: UnitBase, other: UnitBase) -> float:
    """Return what numbers in one unit are multiplied with to be in another."""
    factor = float(unit.to(other))
    power = float(f"1e{round(np.log10(factor))}")
    return power if abs(factor / power - 1) < 1e-12 else factor  # powers of ten without float noise


def no_unit(column: str, key: str, example: str) -> UnitError:
    """Return the error for a column whose unit nobody stated."""
    return UnitError(
        f"{column} has no unit, neither in the file nor in the config.",
        expected="a unit; none is ever assumed",
        remedy=f"state it: {key}={example}",
    )


def _wrong(column: str, unit: Any, expected: str, key: str) -> UnitError:
    return UnitError(
        f"{column} is in '{unit}', which is {_kind(unit)}.",
        expected=expected,
        remedy=f"name the right column, or correct the unit ({key}).",
    )


def _kind(unit: Any) -> str:
    kind = str(getattr(unit, "physical_type", "unknown"))
    return "of no known kind" if kind == "unknown" else f"a {kind}"


def days(values: np.ndarray, unit: UnitBase, column: str, key: str) -> np.ndarray:
    """Convert times to days.

    Raises
    ------
    UnitError
        When the unit is none of time.
    """
    if not unit.is_equivalent(u.day):
        raise _wrong(column, unit, "a time: d, s or yr", key)
    return np.asarray(values, dtype=np.float64) * factor_between(unit, u.day)


def is_magnitude(unit: UnitBase) -> bool:
    """Whether a unit is a magnitude, of whatever system."""
    return unit == u.mag or isinstance(unit, u.MagUnit)


def brightness_unit(unit: UnitBase, column: str, key: str) -> tuple[float, str]:
    """Check that a unit is one of a magnitude or flux.

    Returns
    -------
    factor : float
        What values are multiplied with.
    name : str
        The unit they then have: ``"mag"``, ``"nJy"`` for flux densities, or as it was.

    Raises
    ------
    UnitError
        When it is of something else, such as a time.
    """
    if is_magnitude(unit):
        return 1.0, str(unit)
    if isinstance(unit, u.function.FunctionUnitBase):
        raise _wrong(column, unit, "a magnitude or a flux", key)
    if unit.is_equivalent(u.nJy):
        return factor_between(unit, u.nJy), "nJy"
    if _is_flux(unit):
        return 1.0, unit.to_string() if unit != u.dimensionless_unscaled else ""
    raise _wrong(column, unit, "a magnitude or a flux: mag, nJy, electron / s, erg / (s cm2), relative", key)


def _is_flux(unit: UnitBase) -> bool:
    if unit.is_equivalent(u.dimensionless_unscaled):
        return True
    energies = (u.W / u.m**2, u.W / u.m**3, u.W, u.photon / u.s / u.m**2, u.K)
    if any(unit.is_equivalent(other) for other in energies):
        return True
    return any(unit.is_equivalent(one) or unit.is_equivalent(one / u.s) for one in _COUNTS)


def angstrom(values: np.ndarray, unit: UnitBase, column: str, key: str) -> np.ndarray:
    """Convert wavelengths, frequencies or photon energies to Angstrom.

    Raises
    ------
    UnitError
        When the unit is of something else.
    """
    if not unit.is_equivalent(u.AA, equivalencies=u.spectral()):
        raise _wrong(column, unit, "a wavelength, frequency or energy: Angstrom, nm, micron, Hz, eV", key)
    plain = np.asarray(values, dtype=np.float64)
    if unit.is_equivalent(u.AA):
        return plain * factor_between(unit, u.AA)
    return (plain * unit).to_value(u.AA, equivalencies=u.spectral())


def spectral_factor(
    unit: UnitBase, wavelength: np.ndarray, column: str, key: str
) -> tuple[np.ndarray | float, str]:
    """Check the unit of a spectrum's flux.

    Parameters
    ----------
    unit : Unit
    wavelength : ndarray, shape (pixels,)
        Angstrom: a density per frequency becomes one per wavelength.

    Returns
    -------
    factor : float or ndarray, shape (pixels,)
        What the flux is multiplied with, and the inverse variance divided by twice.
    name : str
        The unit the flux then has.

    Raises
    ------
    UnitError
        When it is none of a flux, counts or relative.
    """
    if isinstance(unit, u.function.FunctionUnitBase) or is_magnitude(unit):
        raise _wrong(column, unit, "a linear flux, not a magnitude", key)
    per_wavelength = u.spectral_density(wavelength * u.AA)
    if unit.is_equivalent(FLUX_DENSITY):
        return factor_between(unit, FLUX_DENSITY), FLUX_NAME
    if unit.is_equivalent(u.Jy):
        return np.ones(len(wavelength)) * (1.0 * unit).to_value(FLUX_DENSITY, per_wavelength), FLUX_NAME
    if _is_flux(unit):
        return 1.0, "" if unit == u.dimensionless_unscaled else unit.to_string()
    raise _wrong(
        column, unit, "a flux density, counts or a relative flux: erg / (s cm2 Angstrom), Jy, ct", key
    )


def air_to_vacuum(wavelength: np.ndarray) -> np.ndarray:
    """Convert wavelengths in standard air to vacuum, in Angstrom; those below 2000 are in vacuum already.

    The inverse of Morton (2000, ApJS 130, 403) by N. Piskunov, as VALD gives it; good to 1e-4 Angstrom.
    """
    s2 = (1e4 / np.asarray(wavelength, dtype=np.float64)) ** 2
    index = (
        1
        + 0.00008336624212083
        + 0.02408926869968 / (130.1065924522 - s2)
        + 0.0001599740894897 / (38.92568793293 - s2)
    )
    return np.where(wavelength >= 2000.0, wavelength * index, wavelength)
