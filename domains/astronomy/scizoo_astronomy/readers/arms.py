"""Spectra in several arms, as DESI writes them: ``B_WAVELENGTH``, ``B_FLUX``, ``B_IVAR``, ``B_MASK``, ..."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
from astropy.io import fits

from scizoo.data.records import RejectionLog
from scizoo.errors import DataError
from scizoo_astronomy.objects import Spectrum
from scizoo_astronomy.readers.columns import from_table
from scizoo_astronomy.readers.entry import Entry, stem
from scizoo_astronomy.units import angstrom, no_unit, parse_unit, spectral_factor

_SAME = 1e-3  # Angstrom: pixels of two arms nearer than this are one pixel


def is_multi_arm(hdus: fits.HDUList) -> bool:
    """Whether a file has arms."""
    return bool(_arms(hdus))


def _arms(hdus: fits.HDUList) -> list[str]:
    names = {hdu.name for hdu in hdus}
    arms = [hdu.name.removesuffix("_WAVELENGTH") for hdu in hdus if hdu.name.endswith("_WAVELENGTH")]
    return [arm for arm in arms if f"{arm}_FLUX" in names]


def read_arms(
    hdus: fits.HDUList, path: Path, log: RejectionLog, units: Mapping[str, str]
) -> Iterator[Entry[Spectrum]]:
    """Read the spectra of a file with arms; where arms overlap, pixels are averaged by inverse variance.

    Parameters
    ----------
    hdus : HDUList
    path : Path
    log : RejectionLog
        Told of spectra without a usable pixel.
    units : mapping
        ``wavelength`` and ``flux``, where they are not those of BUNIT.

    Yields
    ------
    Entry
        Columns of FIBERMAP are its fields. An object that was observed several times is named with the
        exposure too, and all its spectra name it in ``fields["TARGETID"]``.
    """
    arms = _arms(hdus)
    read = [_arm(hdus, arm, path, units) for arm in arms]
    count = {len(flux) for _, flux, _, _, _ in read}
    if len(count) > 1:
        raise DataError(
            f"{path}: its arms {', '.join(arms)} have different numbers of spectra: {sorted(count)}."
        )
    rows = _fibermap(hdus, path, count.pop())
    for row, (id, fields) in enumerate(rows):
        source = f"{path.name}, spectrum {row}"
        pieces = [(wave, flux[row], ivar[row], mask[row]) for wave, flux, ivar, mask, _ in read]
        ra, dec = (fields.get(name) for name in ("TARGET_RA", "TARGET_DEC"))
        try:
            merged = merge(pieces)
            value = Spectrum(*merged, read[0][4], "vacuum", None, ra, dec)  # type: ignore[arg-type]
        except ValueError as error:
            log.reject(source, id, str(error))
            continue
        yield Entry(id, value, fields, {}, source)


def _arm(
    hdus: fits.HDUList, arm: str, path: Path, units: Mapping[str, str]
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, str]:
    def unit(what: str, role: str) -> str:
        stated = units.get(role) or hdus[f"{arm}_{what}"].header.get("BUNIT")
        if stated is None:
            raise no_unit(f"{path.name}, HDU '{arm}_{what}'", f"data.units.{role}", "Angstrom or the like")
        return str(stated)

    where = f"{path.name}, HDU '{arm}_"
    wave = angstrom(
        np.asarray(hdus[f"{arm}_WAVELENGTH"].data, dtype=np.float64),
        parse_unit(unit("WAVELENGTH", "wavelength"), f"{where}WAVELENGTH'", "data.units.wavelength"),
        f"{where}WAVELENGTH'",
        "data.units.wavelength",
    )
    flux_unit = parse_unit(unit("FLUX", "flux"), f"{where}FLUX'", "data.units.flux")
    factor, name = spectral_factor(flux_unit, wave, f"{where}FLUX'", "data.units.flux")
    flux = np.atleast_2d(np.asarray(hdus[f"{arm}_FLUX"].data, dtype=np.float64))
    if flux.shape[1] != len(wave):
        raise DataError(f"{where}FLUX' has {flux.shape[1]} pixels, its wavelength {len(wave)}.")
    known = {hdu.name for hdu in hdus}
    ivar = np.atleast_2d(hdus[f"{arm}_IVAR"].data) if f"{arm}_IVAR" in known else np.ones_like(flux)
    mask = (
        np.atleast_2d(hdus[f"{arm}_MASK"].data) != 0 if f"{arm}_MASK" in known else np.zeros(flux.shape, bool)
    )
    return wave, flux * factor, np.asarray(ivar, dtype=np.float64) / np.square(factor), mask, name


def _fibermap(hdus: fits.HDUList, path: Path, count: int) -> list[tuple[str, dict[str, object]]]:
    if "FIBERMAP" not in {hdu.name for hdu in hdus}:
        return [(f"{stem(path.name)}:{row}", {}) for row in range(count)]
    from astropy.table import Table

    table = from_table(Table.read(hdus, hdu="FIBERMAP"), path.name)
    if len(table) != count or "TARGETID" not in table.data:
        raise DataError(f"{path}: FIBERMAP has {len(table)} rows for {count} spectra, or no TARGETID.")
    targets = [str(target) for target in table.data["TARGETID"].tolist()]
    several = len(set(targets)) < count
    exposures = table.data.get("EXPID")
    rows = []
    for row, target in enumerate(targets):
        fields = {name: column[row].item() for name, column in table.data.items() if column.ndim == 1}
        again = f"{target}-{exposures[row]}" if several and exposures is not None else target
        rows.append((again, {**fields, "TARGETID": target}))
    return rows


def merge(
    pieces: list[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]],
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Join arms into one spectrum.

    Parameters
    ----------
    pieces : list of (wavelength, flux, ivar, mask)

    Returns
    -------
    wavelength, flux, ivar, mask : ndarray
        Ascending; pixels at the same wavelength are averaged by inverse variance over the unmasked ones.
    """
    wave, flux, ivar, mask = (np.concatenate(parts) for parts in zip(*pieces))
    order = np.argsort(wave, kind="stable")
    wave, flux, ivar, mask = wave[order], flux[order], ivar[order], mask[order]
    weight = np.where(mask | ~np.isfinite(flux) | ~np.isfinite(ivar), 0.0, np.maximum(ivar, 0.0))
    pixel = np.concatenate([[0], np.cumsum(np.diff(wave) > _SAME)])
    total = np.bincount(pixel, weight)
    first = np.searchsorted(pixel, np.arange(len(total)))
    joined = np.bincount(pixel, weight * np.nan_to_num(flux))
    mean = np.where(total > 0, joined / np.where(total > 0, total, 1.0), flux[first])
    return wave[first], mean, total, np.bincount(pixel, ~mask) == 0
