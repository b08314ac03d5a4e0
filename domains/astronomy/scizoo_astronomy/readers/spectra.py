"""One-dimensional spectra: FITS of several kinds, and tables of every format."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from scizoo.data.records import RejectionLog
from scizoo.errors import DataError, did_you_mean
from scizoo_astronomy.objects import Spectrum
from scizoo_astronomy.readers.arms import is_multi_arm, read_arms
from scizoo_astronomy.readers.columns import Columns, read_columns
from scizoo_astronomy.readers.entry import Entry, stem
from scizoo_astronomy.readers.fits import opened
from scizoo_astronomy.readers.opening import file_format
from scizoo_astronomy.readers.pixels import (
    MEASURED,
    ROLES,
    SpectrumOptions,
    assemble,
    inverse_variance,
)
from scizoo_astronomy.readers.spectral_wcs import read_wcs_spectra
from scizoo_astronomy.units import (
    FLUX_NAME,
    angstrom,
    no_unit,
    parse_unit,
    spectral_factor,
)

SPECTRUM_SUFFIXES = tuple(
    ending + packed
    for ending in (
        *(".fits", ".fit", ".fts", ".vot", ".votable", ".xml", ".ecsv"),
        *(".csv", ".tsv", ".dat", ".txt", ".parquet", ".pq"),
    )
    for packed in ("", ".gz", ".bz2")
)
#: Which rows of a table are one object: one of them, all, or those at some positions.
Rows = int | slice | np.ndarray
_NAMES: dict[str, tuple[str, ...]] = {
    "wavelength": ("wavelength", "wave", "lambda", "lam", "wl", "loglam", "wavelength_air", "spectral_axis"),
    "flux": ("flux", "flux_density", "spectrum", "intensity", "f_lambda", "flam", "fnu"),
    "ivar": ("ivar", "flux_ivar", "invvar", "weight"),
    "error": ("error", "err", "flux_err", "flux_error", "sigma", "uncertainty", "e_flux", "fluxerr"),
    "mask": ("mask", "and_mask", "flag", "flags", "dq", "quality"),
    "id": ("object_id", "objectid", "source_id", "specobjid", "targetid", "id"),
    "ra": ("ra", "raj2000", "target_ra"),
    "dec": ("dec", "decl", "dej2000", "target_dec"),
}


def read_spectra(
    path: Path, log: RejectionLog, options: SpectrumOptions | None = None
) -> Iterator[Entry[Spectrum]]:
    """Read the spectra of a file.

    FITS files may have arms (``B_WAVELENGTH``, ``B_FLUX``, ``B_IVAR``, ``B_MASK``, ..., as DESI writes them),
    a table with a row a pixel (as SDSS writes it) or a row a spectrum, or an image with a spectral WCS. Other
    tables have a row a pixel, of one object or (with a column of ids) of many; Parquet may have a row a
    spectrum.

    Parameters
    ----------
    path : Path
    log : RejectionLog
        Told of each spectrum that cannot be used.
    options : SpectrumOptions, optional

    Raises
    ------
    DataError
        When the file as a whole cannot be read, or its columns or units are not known.
    """
    options = options or SpectrumOptions()
    if file_format(path) == "fits" and options.hdu is None:
        with opened(path) as hdus:
            if is_multi_arm(hdus):
                yield from read_arms(hdus, path, log, options.units or {})
                return
            if not any(hasattr(hdu, "columns") for hdu in hdus):
                yield from read_wcs_spectra(hdus, path, log, options)
                return
    elif file_format(path) == "fits":
        with opened(path) as hdus:
            number = int(str(options.hdu)) if str(options.hdu).isdigit() else str(options.hdu)
            if number in hdus and not hasattr(hdus[number], "columns"):
                yield from read_wcs_spectra(hdus, path, log, options)
                return
    named = [(options.columns or {}).get("id"), options.id]
    text = [*_NAMES["id"], *(name for name in named if name)]
    table = read_columns(path, log, hdu=options.hdu, names=options.names, text=text)
    yield from table_spectra(table, log, options)


def table_spectra(table: Columns, log: RejectionLog, options: SpectrumOptions) -> Iterator[Entry[Spectrum]]:
    """Read the spectra of a table: all rows one object, rows grouped by an id, or a row an object."""
    found = _find(table, options)
    units = _units(table, found, options)
    nested = table.data[found["flux"]]
    if nested.dtype == object or nested.ndim > 1:
        names = table.data[found["id"]] if "id" in found else None
        groups: Iterator[tuple[str, Rows]] = (
            (f"{stem(table.name)}:{row}" if names is None else str(names[row]), row)
            for row in range(len(table))
        )
    elif "id" in found:
        ids = table.data[found["id"]]
        unique, first = np.unique(ids, return_index=True)
        groups = (
            (str(unique[g]), np.flatnonzero(ids == unique[g])) for g in np.argsort(first, kind="stable")
        )
    else:
        groups = iter([(stem(table.name), slice(None))])
    for id, rows in groups:
        source = f"{table.name}, row {rows + 1}" if isinstance(rows, int) else table.name
        try:
            value = _spectrum(table, found, units, rows, options)
        except ValueError as error:
            log.reject(source, id, str(error))
            continue
        fields = _fields(table, found, rows)
        if options.id == found.get("id") is not None:
            fields[str(options.id)] = id
        yield Entry(id, value, fields, table.header, source)


def _find(table: Columns, options: SpectrumOptions) -> dict[str, str]:
    lowered = {name.lower(): name for name in table.names}
    found: dict[str, str] = {}
    for role in ROLES:
        named = (options.columns or {}).get(role)
        if role == "id" and named is None and options.id in table.data:
            named = options.id
        if named is not None:
            if named not in table.data:
                raise DataError(
                    f"{table.name} has no column '{named}' (data.columns.{role}): "
                    + did_you_mean(named, table.names),
                    expected="one of its columns: " + ", ".join(table.names),
                )
            found[role] = named
            continue
        column = next((lowered[name] for name in _NAMES[role] if name in lowered), None)
        if column is not None:
            found[role] = column
    for role in ("wavelength", "flux"):
        if role not in found:
            raise DataError(
                f"{table.name} has no column that is known to be the {role}.",
                expected=f"one of {', '.join(_NAMES[role])}; it has {', '.join(table.names)}",
                remedy=f"name it: data.columns.{role}=COLUMN",
            )
    return found


def _is_sdss(table: Columns) -> bool:
    """SDSS spec files state no units; its data model does: log10(Angstrom) in vacuum, 1e-17 erg/s/cm2/A."""
    return {"loglam", "flux", "ivar", "and_mask"} <= {name.lower() for name in table.names}


def _units(table: Columns, found: dict[str, str], options: SpectrumOptions) -> dict[str, str]:
    known = {"wavelength": "Angstrom", "flux": FLUX_NAME} if _is_sdss(table) else {}
    units: dict[str, str] = {}
    for role in MEASURED:
        column = found[role]
        unit = (options.units or {}).get(role) or table.units.get(column) or known.get(role)
        if unit is None:
            example = "Angstrom" if role == "wavelength" else f"'{FLUX_NAME}' (or Jy, ct, relative)"
            raise no_unit(f"{table.name}, column '{column}'", f"data.units.{role}", example)
        if role == "wavelength" and column.lower() == "loglam" and "log" in unit.lower():
            unit = "Angstrom"  # log10(Angstrom)
        units[role] = unit
    named = {role: f"{table.name}, column '{found[role]}'" for role in MEASURED}
    angstrom(
        np.ones(1),
        parse_unit(units["wavelength"], named["wavelength"], "data.units.wavelength"),
        named["wavelength"],
        "data.units.wavelength",
    )
    spectral_factor(
        parse_unit(units["flux"], named["flux"], "data.units.flux"),
        np.ones(1) * 5000.0,
        named["flux"],
        "data.units.flux",
    )
    return units


def _cells(table: Columns, column: str, rows: Rows) -> np.ndarray:
    cells = table.data[column]
    picked = np.asarray(
        cells if cells.ndim == 1 and cells.dtype != object and isinstance(rows, int) else cells[rows]
    )
    try:
        return picked.astype(np.float64).reshape(-1)
    except (TypeError, ValueError) as error:
        raise ValueError(f"column '{column}' holds what is no number") from error


def _spectrum(
    table: Columns, found: dict[str, str], units: dict[str, str], rows: Rows, options: SpectrumOptions
) -> Spectrum:
    raw = _cells(table, found["wavelength"], rows)
    if found["wavelength"].lower() == "loglam":
        raw = 10.0**raw
    medium = "air" if found["wavelength"].lower().endswith("_air") else options.medium
    ivar = _cells(table, found["ivar"], rows) if "ivar" in found else None
    if ivar is None and "error" in found:
        ivar = inverse_variance(_cells(table, found["error"], rows))
    mask = _cells(table, found["mask"], rows) != 0 if "mask" in found else None
    place: dict[str, float | None] = {}
    for role in ("ra", "dec"):
        if role in found:
            cells = np.asarray(table.data[found[role]][rows], dtype=float).reshape(-1)
            place[role] = float(cells[0]) if np.isfinite(cells[0]) else None
    return assemble(
        raw,
        _cells(table, found["flux"], rows),
        ivar,
        mask,
        units["wavelength"],
        units["flux"],
        medium,
        to_vacuum=options.to_vacuum,
        **place,
    )


def _fields(table: Columns, found: dict[str, str], rows: Rows) -> dict[str, object]:
    used, fields = set(found.values()), {}
    for name, column in table.data.items():
        if name in used or column.dtype == object or column.ndim > 1:
            continue
        cells = np.atleast_1d(column[rows])
        if len(cells) and (cells == cells[0]).all():
            fields[name] = cells[0].item()
    return fields
