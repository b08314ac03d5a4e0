"""Which column is what: the layouts of light-curve tables that are recognised, and the user's own words."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

from scizoo.errors import ConfigError, DataError, did_you_mean
from scizoo_astronomy.readers.columns import Columns
from scizoo_astronomy.units import no_unit

#: What a light curve is made of; the keys of ``data.columns`` and ``data.units``.
ROLES = ("time", "value", "error", "band", "id", "quality", "ra", "dec", "period")
_MEASURED = ("time", "value", "error")


@dataclass(frozen=True)
class Layout:
    """Where a table has what, and what its documentation says of units that the file leaves out.

    Parameters
    ----------
    name : str
    columns : mapping of str to tuple of str
        Role to the names it may have; case does not count.
    units : mapping of str to str
        Role to the unit, for columns that state none.
    time_format, time_scale : str
        As in :class:`~scizoo_astronomy.objects.LightCurve`.
    band : str
        Of every point, where no column says it.
    band_names : mapping of str to str
        What codes of the band column mean.
    required : tuple of str
        Columns by which the layout is recognised.
    """

    name: str
    columns: Mapping[str, tuple[str, ...]]
    units: Mapping[str, str]
    time_format: str = "mjd"
    time_scale: str = ""
    band: str = ""
    band_names: Mapping[str, str] = ()  # type: ignore[assignment]
    required: tuple[str, ...] = ()


_SKY = {"ra": ("ra", "raj2000", "ra_obj"), "dec": ("dec", "decl", "dej2000", "dec_obj")}
LSST = Layout(
    # DIASource and ForcedSource of the LSST Data Products Definition Document (LSE-163): nJy, MJD in TAI.
    "lsst",
    {
        "time": ("midpointmjdtai", "midpointtai", "expmidptmjd"),
        "value": ("psfflux", "psflux"),
        "error": ("psffluxerr", "psfluxerr"),
        "band": ("band", "filtername"),
        "id": ("objectid", "diaobjectid"),
        **_SKY,
    },
    {"time": "d", "value": "nJy", "error": "nJy"},
    time_scale="tai",
    required=("time", "value"),
)
PLASTICC = Layout(
    # PLAsTiCC data note (arXiv 1810.00001): MJD, fluxes relative to a zero point of 27.5 mag.
    "plasticc",
    {
        "time": ("mjd",),
        "value": ("flux",),
        "error": ("flux_err",),
        "band": ("passband",),
        "id": ("object_id",),
    },
    {"time": "d", "value": "relative", "error": "relative"},
    band_names=dict(zip("012345", "ugrizy")),
    required=("time", "value", "error", "band", "id"),
)
KEPLER = Layout(
    # Kepler and K2 Archive Manuals (KDMC-10008): TIME is BJD - 2454833 in TDB, fluxes in e-/s.
    "kepler",
    {
        "time": ("time",),
        "value": ("pdcsap_flux",),
        "error": ("pdcsap_flux_err",),
        "quality": ("quality", "sap_quality"),
    },
    {"time": "d", "value": "electron / s", "error": "electron / s"},
    time_format="bkjd",
    time_scale="tdb",
    band="Kepler",
    required=("time", "value"),
)
ASAS = Layout(
    # Three columns without a header: HJD - 2450000, V magnitude, its error (Pojmanski 2002, AcA 52, 397).
    "asas",
    {"time": ("time",), "value": ("mag",), "error": ("err",)},
    {"time": "d", "value": "mag", "error": "mag"},
    time_format="hjd-2450000",
    time_scale="utc",
    band="V",
)
OGLE = Layout(
    # Three columns without a header: HJD (or HJD - 2450000), I magnitude, its error.
    "ogle",
    {"time": ("time",), "value": ("mag",), "error": ("err",)},
    {"time": "d", "value": "mag", "error": "mag"},
    time_format="hjd",
    time_scale="utc",
    band="I",
)
PLAIN = Layout(
    # Names that say their unit (mjd, mag, ...) need no other; time, flux and the like do.
    "plain",
    {
        "time": (
            *("mjd", "jd", "hjd", "bjd", "hmjd", "bmjd", "bjd_tdb", "mjd_tai", "obsmjd"),
            *("time", "t", "date", "times"),
        ),
        "value": ("mag", "magnitude", "mags", "flux", "psfmag", "magpsf", "value", "brightness"),
        "error": (
            *("mag_err", "magerr", "e_mag", "sigma_mag", "sigmapsf", "mag_error", "flux_err", "fluxerr"),
            *("flux_error", "err", "error", "sigma", "uncertainty", "e_flux", "dmag"),
        ),
        "band": ("band", "filter", "passband", "filtercode", "filtername", "fid"),
        "id": ("object_id", "objectid", "source_id", "star_id", "id", "oid", "objid"),
        "quality": (),
        **_SKY,
    },
    {},
)
LAYOUTS = {layout.name: layout for layout in (LSST, PLASTICC, KEPLER, ASAS, OGLE, PLAIN)}
HEADERLESS = {"asas": ("time", "mag", "err"), "ogle": ("time", "mag", "err")}
_BY_NAME = {"time": re.compile(r"^(h|b|hm|bm|m|obsm)?jd(_tdb|_tai)?$|^mjd_tai$"), "value": re.compile(r"mag")}
_DATE = re.compile(r"^\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}|$)")
_ZERO_POINT = re.compile(
    r"(?P<kind>BJD|HJD|JD|MJD)\s*-\s*(?P<zero>\d+(\.\d+)?)\s*,?\s*(?P<unit>days?|d)?$", re.I
)


@dataclass(frozen=True)
class Found:
    """What a table's columns are.

    Parameters
    ----------
    layout : Layout
    columns : dict of str to str
        Role to the column that plays it.
    units : dict of str to str
        Of time, value and error.
    """

    layout: Layout
    columns: dict[str, str]
    units: dict[str, str]


def find_columns(
    table: Columns,
    layout: str | None = None,
    columns: Mapping[str, str] | None = None,
    units: Mapping[str, str] | None = None,
) -> Found:
    """Find which column is what and in which unit: as the user says, as the file says, as the layout says.

    Parameters
    ----------
    table : Columns
    layout : str, optional
        A name of ``LAYOUTS``; by default recognised by the columns.
    columns, units : mapping, optional
        Role (``time``, ``value``, ``error``, ``band``, ``id``, ...) to column, and to unit.

    Raises
    ------
    DataError
        When there is no column for the time or the value, or a unit is stated nowhere.
    ConfigError
        When the user names a role or layout that does not exist.
    """
    named = {key: value for key, value in (columns or {}).items() if value is not None}
    stated = {key: str(value) for key, value in (units or {}).items() if value is not None}
    for key in named:
        if key not in ROLES:
            raise ConfigError(f"data.columns.{key} is unknown: {did_you_mean(key, ROLES)}")
    for key in stated:
        if key not in _MEASURED:
            raise ConfigError(f"data.units.{key} is unknown: {did_you_mean(key, _MEASURED)}")
    if layout is not None and layout not in LAYOUTS:
        raise ConfigError(f"data.layout={layout} is unknown: {did_you_mean(layout, LAYOUTS)}")
    chosen = LAYOUTS[layout] if layout is not None else recognise(table)
    lowered = {name.lower(): name for name in table.names}
    found: dict[str, str] = {}
    for role in ROLES:
        if role in named:
            if named[role] not in table.data:
                raise DataError(
                    f"{table.name} has no column '{named[role]}' (data.columns.{role}): "
                    + did_you_mean(named[role], table.names),
                    expected="one of its columns: " + ", ".join(table.names),
                )
            found[role] = named[role]
        else:
            known = (lowered[name] for name in chosen.columns.get(role, ()) if name in lowered)
            column = next(known, None)
            if column is not None:
                found[role] = column
    for role in ("time", "value"):
        if role not in found:
            raise DataError(
                f"{table.name} has no column that is known to be the {role}.",
                expected=f"one of {', '.join(chosen.columns[role])}; it has {', '.join(table.names)}",
                remedy=f"name it: data.columns.{role}=COLUMN",
            )
    chosen = _timed(chosen, table, found["time"])
    return Found(chosen, found, _units(table, chosen, found, stated))


def recognise(table: Columns) -> Layout:
    """Return the layout whose required columns a table has; ``PLAIN`` when none."""
    lowered = {name.lower() for name in table.names}
    for layout in (LSST, PLASTICC, KEPLER):
        if all(lowered & set(layout.columns[role]) for role in layout.required):
            return layout
    return PLAIN


def _timed(layout: Layout, table: Columns, column: str) -> Layout:
    """Take format and scale of the time from the column, where it says them."""
    _dates(table, column)
    if column in table.scales:
        style, scale = table.scales[column]
        return replace(layout, time_format=style, time_scale=scale)
    zero = _ZERO_POINT.match(table.units.get(column, ""))
    if zero:
        names = {"2454833": "bkjd", "2457000": "btjd"}
        style = names.get(zero["zero"].split(".")[0], f"{zero['kind'].lower()}-{zero['zero']}")
        band = "TESS" if layout.band == "Kepler" and style == "btjd" else layout.band
        return replace(layout, time_format=style, band=band)
    if layout.name == "plain" and column.lower() != "mjd":
        style = column.lower() if _BY_NAME["time"].match(column.lower()) else "unknown"
        return replace(layout, time_format=style)
    return layout


def _dates(table: Columns, column: str) -> None:
    """Turn dates in ISO 8601 into MJD, in UTC as such dates are unless they say otherwise."""
    cells = table.data[column]
    if cells.dtype.kind != "U" or not len(cells) or not _DATE.match(cells[0]):
        return
    from astropy.time import Time

    try:
        table.data[column] = Time([cell.rstrip("Z") for cell in cells], scale="utc").mjd
    except ValueError as error:
        raise DataError(f"{table.name}, column '{column}': {error}.", expected="dates in ISO 8601") from error
    table.units[column], table.scales[column] = "d", ("mjd", "utc")


def _units(
    table: Columns, layout: Layout, found: Mapping[str, str], stated: Mapping[str, str]
) -> dict[str, str]:
    units: dict[str, str] = {}
    for role in ("time", "value", "error"):
        if role not in found:
            continue
        column = found[role]
        unit = stated.get(role)
        if unit is None:
            unit = table.units.get(column)
            if unit is not None and _ZERO_POINT.match(unit):
                unit = "d"
        if unit is None and column.lower() in layout.columns.get(role, ()):
            unit = layout.units.get(role)
        if unit is None and role in _BY_NAME and _BY_NAME[role].search(column.lower()):
            unit = "d" if role == "time" else "mag"
        if unit is None and role == "error":
            unit = units["value"]  # an error is in the unit of what it belongs to
        if unit is None:
            example = "d" if role == "time" else "nJy (or mag, electron/s, relative)"
            raise no_unit(f"{table.name}, column '{column}'", f"data.units.{role}", example)
        units[role] = unit
    return units
