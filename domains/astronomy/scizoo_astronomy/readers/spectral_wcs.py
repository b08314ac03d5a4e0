"""Spectra in FITS images, whose wavelengths are stated by the header: linear or log-linear."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from astropy.io import fits

from scizoo.data.records import RejectionLog
from scizoo.errors import DataError
from scizoo_astronomy.objects import Spectrum
from scizoo_astronomy.readers.entry import Entry, stem
from scizoo_astronomy.readers.fits import cards, find_hdu
from scizoo_astronomy.readers.pixels import SpectrumOptions, assemble, inverse_variance
from scizoo_astronomy.units import angstrom, no_unit, parse_unit, spectral_factor

_IVARS, _ERRORS = ("IVAR", "INVVAR", "WEIGHT"), ("ERR", "ERROR", "SIGMA", "STAT", "UNCERT", "NOISE")
_MASKS = ("MASK", "DQ", "BADPIX", "AND_MASK")


def read_wcs_spectra(
    hdus: fits.HDUList, path: Path, log: RejectionLog, options: SpectrumOptions
) -> Iterator[Entry[Spectrum]]:
    """Read the spectra of an image HDU: one, or one a row.

    The first axis is the spectral one. Errors come from HDUs called IVAR, or ERR and the like (STAT of the
    European Southern Observatory holds variances), masks from one called MASK or DQ; each of the shape of the
    flux.

    Raises
    ------
    DataError
        When there is no such HDU, its header states no wavelength, or a unit is missing.
    """
    if options.hdu is not None:
        chosen = find_hdu(hdus, options.hdu, path)
    else:
        chosen = next((h for h in hdus if getattr(h, "is_image", False) and h.data is not None), None)
    if chosen is None or chosen.data is None:
        raise DataError(f"{path} has a header but no spectrum.", expected="an HDU with a table or an image")
    flux = np.asarray(chosen.data, dtype=np.float64)
    flux = flux.reshape(-1, flux.shape[-1])
    header = chosen.header
    wavelength, unit, medium = wavelengths(header, flux.shape[1], path, options)
    flux_unit = (options.units or {}).get("flux") or header.get("BUNIT")
    if flux_unit is None:
        raise no_unit(f"{path.name}, HDU '{chosen.name or 'PRIMARY'}' (BUNIT)", "data.units.flux", "relative")
    where = f"{path.name}, its flux"
    spectral_factor(parse_unit(flux_unit, where, "data.units.flux"), wavelength, where, "data.units.flux")
    ivar, mask = None, None
    for hdu in hdus:
        if hdu is chosen or not getattr(hdu, "is_image", False) or hdu.data is None:
            continue
        beside = np.asarray(hdu.data).reshape(-1, np.shape(hdu.data)[-1])
        if beside.shape != flux.shape:
            continue
        if hdu.name in _IVARS:
            ivar = beside.astype(np.float64)
        elif hdu.name in _ERRORS:
            error = np.sqrt(beside) if hdu.name == "STAT" else beside
            ivar = inverse_variance(np.asarray(error, dtype=np.float64))
        elif hdu.name in _MASKS:
            mask = beside != 0
    told = cards(hdus[0].header, header)
    ra, dec = (told.get(name) for name in ("RA", "DEC"))
    place = (ra, dec) if isinstance(ra, float) and isinstance(dec, float) else (None, None)
    for row in range(len(flux)):
        id = stem(path.name) if len(flux) == 1 else f"{stem(path.name)}:{row}"
        source = path.name if len(flux) == 1 else f"{path.name}, row {row + 1}"
        errors = None if ivar is None else ivar[row]
        bad = None if mask is None else mask[row]
        try:
            value = assemble(
                wavelength,
                flux[row],
                errors,
                bad,
                unit,
                str(flux_unit),
                medium,
                to_vacuum=options.to_vacuum,
                ra=place[0],
                dec=place[1],
            )
        except ValueError as error:
            log.reject(source, id, str(error))
            continue
        yield Entry(id, value, {}, told, source)


def wavelengths(
    header: fits.Header, size: int, path: Path, options: SpectrumOptions
) -> tuple[np.ndarray, str, str]:
    """Compute the wavelength of each pixel from the header.

    Linear axes by CRVAL1, CRPIX1 and CD1_1 or CDELT1; logarithmic ones by CTYPE1 ``WAVE-LOG`` (Greisen et al.
    2006, A&A 446, 747) or, as IRAF writes them, by DC-FLAG 1 or CTYPE1 ``LOG-LAMBDA`` with log10 values.

    Returns
    -------
    wavelength : ndarray, shape (pixels,)
    unit : str
    medium : str
        ``air`` for CTYPE1 ``AWAV``, else as the options say.

    Raises
    ------
    DataError
        When the header states no wavelengths, or no unit of them.
    """
    step = header.get("CD1_1", header.get("CDELT1"))
    if "CRVAL1" not in header or not step:
        raise DataError(
            f"{path} has an image but no wavelengths: CRVAL1 and CDELT1 (or CD1_1) are missing or zero.",
            expected="a spectral WCS, a table, or arms (B_WAVELENGTH, B_FLUX)",
        )
    start, pixel = float(header["CRVAL1"]), np.arange(size) + 1.0 - float(header.get("CRPIX1", 1.0))
    kind = str(header.get("CTYPE1", "")).strip().upper()
    decimal = int(header.get("DC-FLAG", 0)) == 1 or kind.startswith(("LOG", "WAVE-LOG10"))
    if decimal:
        values = 10.0 ** (start + pixel * float(step))
    elif kind.endswith("-LOG"):
        values = start * np.exp(pixel * float(step) / start)
    else:
        values = start + pixel * float(step)
    unit = (options.units or {}).get("wavelength") or header.get("CUNIT1")
    if unit is None or not str(unit).strip():
        raise no_unit(f"{path.name}, its spectral axis (CUNIT1)", "data.units.wavelength", "Angstrom")
    where = f"{path.name}, its spectral axis"
    angstrom(values[:1], parse_unit(unit, where, "data.units.wavelength"), where, "data.units.wavelength")
    medium = "air" if kind.startswith("AWAV") else "vacuum" if kind.startswith("WAVE") else options.medium
    return values, str(unit), medium
