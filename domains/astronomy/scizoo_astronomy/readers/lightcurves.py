"""Light curves of every format: a file an object, a table of many objects, or an archive of files."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from scizoo.data.opening import open_bytes, reading
from scizoo.data.records import RejectionLog
from scizoo.errors import DataError
from scizoo_astronomy.objects import LightCurve
from scizoo_astronomy.readers.columns import Columns, read_columns, text_columns
from scizoo_astronomy.readers.entry import Entry, stem
from scizoo_astronomy.readers.layouts import Found, find_columns
from scizoo_astronomy.readers.opening import file_format
from scizoo_astronomy.readers.points import LightCurveOptions, error_factor, ordered
from scizoo_astronomy.units import brightness_unit, days, parse_unit

LIGHTCURVE_SUFFIXES = tuple(
    ending + packed
    for ending in (
        *(".csv", ".tsv", ".dat", ".txt", ".lc", ".ecsv", ".fits", ".fit", ".vot", ".votable", ".xml"),
        *(".parquet", ".pq", ".tar", ".tgz"),
    )
    for packed in ("", ".gz", ".bz2")
)
_IDS = ("id", "ID", "objectId", "diaObjectId", "object_id", "source_id", "star_id", "oid", "objid")


def read_light_curves(
    path: Path, log: RejectionLog, options: LightCurveOptions | None = None
) -> Iterator[Entry[LightCurve]]:
    """Read the light curves of a file.

    Parameters
    ----------
    path : Path
        FITS, VOTable, ECSV, Parquet or text, of one object or (with a column of ids) of many; or a tar
        archive of text files, one an object.
    log : RejectionLog
        Told of each object that cannot be used.
    options : LightCurveOptions, optional

    Raises
    ------
    DataError
        When the file as a whole cannot be read, or its columns or units are not known.
    """
    options = options or LightCurveOptions()
    if file_format(path) == "tar":
        yield from _archive(path, log, options)
        return
    named = [(options.columns or {}).get("id"), options.id]
    text = [*_IDS, *(name for name in named if name)]
    table = read_columns(path, log, hdu=options.hdu, names=options.names, text=text)
    yield from table_light_curves(table, log, options)


def _archive(path: Path, log: RejectionLog, options: LightCurveOptions) -> Iterator[Entry[LightCurve]]:
    try:
        with reading(path), open_bytes(path) as stream, tarfile.open(fileobj=stream, mode="r|") as archive:
            for member in archive:
                name = Path(member.name).name
                if (
                    not member.isfile()
                    or name.startswith(".")
                    or not name.lower().endswith(LIGHTCURVE_SUFFIXES)
                ):
                    continue
                content = archive.extractfile(member)
                assert content is not None  # only files come here
                try:
                    table = text_columns(content.read(), name, None, options.names)
                    yield from table_light_curves(table, log, options)
                except DataError as error:
                    log.reject(f"{path.name}!{name}", stem(name), error.problem)
    except tarfile.TarError as error:
        raise DataError(
            f"{path} is a damaged archive: {error}.", remedy="copy or download the file again."
        ) from error


def table_light_curves(
    table: Columns, log: RejectionLog, options: LightCurveOptions
) -> Iterator[Entry[LightCurve]]:
    """Read the light curves of a table: all rows one object, rows grouped by an id, or a row an object."""
    columns = dict(options.columns or {})
    if options.id in table.data and columns.get("id") is None:
        columns["id"] = str(options.id)
    found = find_columns(table, options.layout, columns, options.units)
    _check_units(table, found)
    nested = table.data[found.columns["time"]]
    if nested.dtype == object or nested.ndim > 1:
        rows_of: Iterator[tuple[str, np.ndarray | int]] = (
            (
                str(table.data[found.columns["id"]][row])
                if "id" in found.columns
                else f"{stem(table.name)}:{row}",
                row,
            )
            for row in range(len(table))
        )
    elif "id" in found.columns:
        rows_of = _grouped(table.data[found.columns["id"]])
    else:
        rows_of = iter([(_own_id(table), np.arange(len(table)))])
    for id, rows in rows_of:
        source = _source(table.name, rows)
        try:
            curve, fields = _curve(table, found, rows, options)
        except ValueError as error:
            log.reject(source, id, str(error))
            continue
        if options.id == found.columns.get("id") is not None:
            fields[str(options.id)] = id
        yield Entry(id, curve, fields, table.header, source)


def _own_id(table: Columns) -> str:
    for card in ("KEPLERID", "TICID"):
        if table.header.get(card):
            return str(table.header[card])
    return stem(table.name)


def _grouped(ids: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    """Yield the rows of each id, in the order in which the ids first come."""
    _, first, inverse, counts = np.unique(ids, return_index=True, return_inverse=True, return_counts=True)
    rows = np.split(np.argsort(inverse, kind="stable"), np.cumsum(counts)[:-1])
    for group in np.argsort(first, kind="stable"):
        yield str(ids[first[group]]), rows[group]


def _source(name: str, rows: np.ndarray | int) -> str:
    if isinstance(rows, int):
        return f"{name}, row {rows + 1}"
    return f"{name}, rows {rows.min() + 1} to {rows.max() + 1}"


def _check_units(table: Columns, found: Found) -> None:
    """Refuse units of the wrong kind for the whole table at once."""
    for role, unit in found.units.items():
        column = f"{table.name}, column '{found.columns[role]}'"
        parsed = parse_unit(unit, column, f"data.units.{role}")
        if role == "time":
            days(np.zeros(1), parsed, column, "data.units.time")
        else:
            brightness_unit(parsed, column, f"data.units.{role}")


def _cells(table: Columns, column: str, rows: np.ndarray | int) -> np.ndarray:
    return np.atleast_1d(table.data[column][rows])


def _numbers(table: Columns, column: str, rows: np.ndarray | int) -> np.ndarray:
    cells = _cells(table, column, rows)
    try:
        return cells.astype(np.float64)
    except (TypeError, ValueError) as error:
        wrong = next((c for c in cells.tolist() if not _is_number(c)), None)
        raise ValueError(f"column '{column}' holds {wrong!r}, which is no number") from error


def _is_number(cell: object) -> bool:
    try:
        float(cell)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return False
    return True


def _curve(
    table: Columns, found: Found, rows: np.ndarray | int, options: LightCurveOptions
) -> tuple[LightCurve, dict[str, object]]:
    columns, layout = found.columns, found.layout
    time = days(_numbers(table, columns["time"], rows), parse_unit(found.units["time"], "", ""), "", "")
    value = _numbers(table, columns["value"], rows)
    unit = parse_unit(found.units["value"], "", "")
    factor, name = brightness_unit(unit, "", "")
    error = np.full(len(time), np.nan)
    if "error" in columns:
        raw = _numbers(table, columns["error"], rows)
        raw[np.isin(raw, np.asarray(options.missing, dtype=float))] = np.nan
        error = raw * error_factor(unit, parse_unit(found.units["error"], "", ""), columns["error"]) * factor
    for what, column in (("value", value), ("error", error)):
        if len(column) != len(time):
            raise ValueError(f"column '{columns[what]}' has {len(column)} values, the time has {len(time)}")
    band = np.full(len(time), layout.band or _card(table, "FILTER", "BAND"))
    if "band" in columns:
        names = dict(layout.band_names or {})
        band = np.array(
            [names.get(str(b), str(b)) for b in _cells(table, columns["band"], rows)], dtype=np.str_
        )
        if len(band) == 1:
            band = np.repeat(band, len(time))
    kept = _kept(table, found, rows, options, time, value, band)
    if (error[kept] < 0).any():
        place = np.flatnonzero(kept & (error < 0))[0]
        raise ValueError(
            f"its error at time {time[place]:.5f} is negative ({raw[place]:g}); correct it, or let it be "
            f"unknown: data.missing=[{raw[place]:g}]"
        )
    points = ordered(time[kept], value[kept] * factor, error[kept], band[kept], options)
    if len(points[0]) < options.min_points:
        count = len(points[0])
        raise ValueError(
            f"has {count} observation{'' if count == 1 else 's'}, data.min_points asks for "
            f"{options.min_points}; leave the object out"
        )
    place = {role: _place(table, found, role, rows) for role in ("ra", "dec", "period")}
    curve = LightCurve(
        *points, name, layout.time_format, layout.time_scale, place["period"], place["ra"], place["dec"]
    )
    return curve, _constant(table, set(columns.values()), rows)


def _kept(
    table: Columns,
    found: Found,
    rows: np.ndarray | int,
    options: LightCurveOptions,
    time: np.ndarray,
    value: np.ndarray,
    band: np.ndarray,
) -> np.ndarray:
    """Return which points count; the others are counted by reason."""
    measured = (
        np.isfinite(time) & np.isfinite(value) & ~np.isin(value, np.asarray(options.missing, dtype=float))
    )
    options.left_out["points without a measurement"] += int((~measured).sum())
    kept = measured
    if "quality" in found.columns and options.quality != "keep":
        flags = np.nan_to_num(_numbers(table, found.columns["quality"], rows)).astype(np.int64)
        bad = flags != 0 if options.quality == "drop" else (flags & int(options.quality)) != 0
        options.left_out["points with a quality flag"] += int((kept & bad).sum())
        kept = kept & ~bad
    if options.bands is not None:
        other = ~np.isin(band, np.asarray(list(options.bands), dtype=np.str_))
        options.left_out["points in other bands"] += int((kept & other).sum())
        kept = kept & ~other
    return kept


def _card(table: Columns, *names: str) -> str:
    return next((str(table.header[name]).strip() for name in names if table.header.get(name)), "")


def _place(table: Columns, found: Found, role: str, rows: np.ndarray | int) -> float | None:
    """Return the object's position or period: the mean of its rows, else a header card."""
    if role in found.columns:
        values = _numbers(table, found.columns[role], rows)
        values = values[np.isfinite(values)]
        return float(values.mean()) if len(values) else None
    if role == "period":
        return None
    card = table.header.get({"ra": "RA_OBJ", "dec": "DEC_OBJ"}[role])
    return float(card) if isinstance(card, int | float) else None


def _constant(table: Columns, used: set[str], rows: np.ndarray | int) -> dict[str, object]:
    """Return the columns that say one thing of the whole object."""
    fields: dict[str, object] = {}
    for name, column in table.data.items():
        if name in used or column.ndim > 1 or (column.dtype == object):
            continue
        cells = np.atleast_1d(column[rows])
        if len(cells) and (cells == cells[0]).all():
            fields[name] = cells[0].item()
    return fields
