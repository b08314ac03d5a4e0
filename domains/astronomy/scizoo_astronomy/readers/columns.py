"""Tables of every format as columns: FITS, VOTable, ECSV, Parquet, CSV and plain text."""

from __future__ import annotations

import io
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.parquet

from scizoo.data.opening import open_bytes, reading
from scizoo.data.records import RejectionLog
from scizoo.errors import DataError
from scizoo_astronomy.readers.fits import cards, find_hdu, opened
from scizoo_astronomy.readers.opening import file_format
from scizoo_astronomy.readers.text import parse_text

if TYPE_CHECKING:
    from astropy.table import Table


@dataclass
class Columns:
    """A table: equally long columns, their units as the file writes them, and header cards.

    Parameters
    ----------
    name : str
        Of the file, for messages.
    data : dict of str to ndarray
        Masked cells of numbers are NaN, of text ``""``. Cells may be arrays (a row an object).
    units : dict of str to str
        Only of columns that state one.
    scales : dict of str to (str, str)
        Format and scale (``mjd``, ``tdb``) of columns that are astropy times.
    header : dict
        Scalar header cards of FITS, keywords of ECSV.
    """

    name: str
    data: dict[str, np.ndarray]
    units: dict[str, str] = field(default_factory=dict)
    scales: dict[str, tuple[str, str]] = field(default_factory=dict)
    header: dict[str, object] = field(default_factory=dict)

    @property
    def names(self) -> list[str]:
        """Names of the columns."""
        return list(self.data)

    def __len__(self) -> int:
        return len(next(iter(self.data.values()), ()))


def read_columns(
    path: Path,
    log: RejectionLog | None = None,
    *,
    hdu: int | str | None = None,
    names: Sequence[str] | None = None,
    text: Sequence[str] = (),
) -> Columns:
    """Read a table of whatever format.

    Parameters
    ----------
    path : Path
    log : RejectionLog, optional
        Told of rows of a text table that are no rows; without it they fail.
    hdu : int or str, optional
        Of FITS; by default the first table.
    names : sequence of str, optional
        Names of the columns of a text file that has no header line.
    text : sequence of str
        Columns of a text file that stay text even where they look like numbers, such as ids.

    Raises
    ------
    DataError
        When the file is damaged, no table, or a text table without a header and without ``names``.
    """
    kind = file_format(path)
    if kind == "fits":
        return _fits_table(path, hdu)
    if kind in ("votable", "ecsv"):
        return _astropy_table(path, kind)
    if kind == "parquet":
        return _parquet(path)
    if kind == "text":
        with reading(path), open_bytes(path) as stream:
            return text_columns(stream.read(), path.name, log, names, text)
    raise DataError(f"{path} holds no table.", expected="FITS, VOTable, ECSV, CSV or Parquet")


def from_table(table: Table, name: str) -> Columns:
    """Take the columns of an astropy table; times become days of their own format."""
    from astropy.time import Time

    columns = Columns(
        name, {}, header={k: v for k, v in table.meta.items() if isinstance(v, str | int | float)}
    )
    for label in table.colnames:
        column = table[label]
        if isinstance(column, Time):
            style = column.format if column.format in ("mjd", "jd") else "mjd"
            columns.data[label] = np.asarray(getattr(column, style), dtype=np.float64)
            columns.units[label], columns.scales[label] = "d", (style, column.scale)
            continue
        if getattr(column, "unit", None) is not None:
            columns.units[label] = str(column.unit)
        columns.data[label] = _plain(column.value if hasattr(column, "value") else np.asarray(column))
    return columns


def _plain(values: np.ndarray) -> np.ndarray:
    masked = np.ma.getmaskarray(values) if isinstance(values, np.ma.MaskedArray) else None
    array = np.asarray(values)
    if array.dtype.kind == "S":
        array = np.char.decode(array, "utf-8", "replace")
    if array.dtype.byteorder not in ("=", "|"):
        array = array.astype(array.dtype.newbyteorder("="))  # FITS is big-endian
    if masked is not None and masked.any():
        array = array.astype(float) if array.dtype.kind in "iufb" else array.copy()
        array[masked] = np.nan if array.dtype.kind == "f" else ""
    return array


def _fits_table(path: Path, hdu: int | str | None) -> Columns:
    from astropy.table import Table

    with opened(path) as hdus, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if hdu is None:
            number = next((n for n, one in enumerate(hdus) if hasattr(one, "columns")), None)
            if number is None:
                raise DataError(f"{path} has a header but no table.", expected="an HDU with a table")
        else:
            number = hdus.index_of(find_hdu(hdus, hdu, path).name) if isinstance(hdu, str) else int(hdu)
        chosen = hdus[number]
        if not hasattr(chosen, "columns"):
            raise DataError(
                f"{path}, HDU {number}, is no table.", expected="a table: data.hdu=NUMBER or NAME"
            )
        columns = from_table(Table.read(hdus, hdu=number, astropy_native=False), path.name)
        # As the file writes them: astropy cannot read 'BJD - 2454833, days', which says the zero point.
        written = {column.name: column.unit for column in chosen.columns if column.unit}
        columns.units |= {name: unit for name, unit in written.items() if name in columns.data}
        columns.header = cards(hdus[0].header, chosen.header)
    return columns


def _astropy_table(path: Path, kind: str) -> Columns:
    from astropy.io.ascii import InconsistentTableError
    from astropy.io.votable.exceptions import VOTableSpecError
    from astropy.table import Table

    try:
        with reading(path), warnings.catch_warnings(), open_bytes(path) as stream:
            warnings.simplefilter("ignore")
            text = stream.read()
            source = io.BytesIO(text) if kind == "votable" else text.decode("utf-8")
            table = Table.read(source, format="votable" if kind == "votable" else "ascii.ecsv")
    except (VOTableSpecError, InconsistentTableError, ValueError, TypeError, KeyError, IndexError) as error:
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise DataError(
            f"{path} is a damaged {'VOTable' if kind == 'votable' else 'ECSV table'}: {first.rstrip('.')}.",
            remedy="copy or download the file again, or write it again with astropy.",
        ) from error
    return from_table(table, path.name)


def _parquet(path: Path) -> Columns:
    try:
        with reading(path):
            table = pyarrow.parquet.read_table(path)
    except pa.ArrowException as error:
        raise DataError(
            f"{path} is a damaged Parquet table: {str(error).rstrip('.')}.",
            remedy="copy or download the file again.",
        ) from error
    columns = _arrow(table, path.name)
    for one in table.schema:
        unit = (one.metadata or {}).get(b"unit")
        if unit is not None:
            columns.units[one.name] = unit.decode()
    return columns


def _arrow(table: pa.Table, name: str) -> Columns:
    data: dict[str, np.ndarray] = {}
    for label, column in zip(table.column_names, table.columns):
        kind = column.type
        if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
            cells = np.empty(len(column), dtype=object)
            cells[:] = [np.asarray([] if cell is None else cell) for cell in column.to_pylist()]
            data[label] = cells
        elif pa.types.is_string(kind) or pa.types.is_large_string(kind):
            data[label] = np.array([cell or "" for cell in column.to_pylist()], dtype=np.str_)
        elif pa.types.is_null(kind):
            data[label] = np.full(len(column), np.nan)
        else:
            data[label] = column.to_numpy()
    return Columns(name, data)


def text_columns(
    content: bytes,
    name: str,
    log: RejectionLog | None = None,
    names: Sequence[str] | None = None,
    text: Sequence[str] = (),
) -> Columns:
    """Read a text table; see :func:`~scizoo_astronomy.readers.text.parse_text`."""
    return _arrow(parse_text(content, name, log, names, text), name)
