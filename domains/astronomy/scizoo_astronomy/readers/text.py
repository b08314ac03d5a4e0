"""Text tables: comma, semicolon, tab or white space between cells."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

import pyarrow as pa
import pyarrow.csv

from scizoo.data.records import RejectionLog
from scizoo.errors import DataError

_NULLS = ["", "NA", "N/A", "NaN", "nan", "null", "None", "--", "none"]


def parse_text(
    content: bytes,
    name: str,
    log: RejectionLog | None = None,
    names: Sequence[str] | None = None,
    text: Sequence[str] = (),
) -> pa.Table:
    """Read a text table: comma, semicolon, tab or white space between cells, ``#`` before comments.

    The header is the first line, or the last comment before the first row when it has a name for each cell.

    Raises
    ------
    DataError
        When there is no row, or no header where ``names`` are not given.
    """
    try:
        whole = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{name} is not text in UTF-8 (byte {error.start}).") from error
    lines = [line for line in whole.splitlines() if line.strip()]
    comments = [line.lstrip("# \t") for line in lines[:50] if line.startswith("#")]
    rows = [line for line in lines if not line.startswith("#")]
    if not rows:
        raise DataError(f"{name} holds no row.", expected="a table with at least one row")
    commonest = max(",;\t", key=rows[0].count)
    delimiter = commonest if rows[0].count(commonest) else None
    first = _cells(rows[0], delimiter)
    if not all(_number(cell) for cell in first):
        header, rows = first, rows[1:]
    elif names is not None:
        header = list(names)
    elif comments and len(_cells(comments[-1], delimiter)) == len(first):
        header = _cells(comments[-1], delimiter)
    else:
        raise DataError(
            f"{name} has no header line: it starts with {rows[0][:40]!r}.",
            expected="names of the columns in the first line",
            remedy="add them, or name the columns in order: data.names=[time,mag,err]",
        )
    if len(set(header)) < len(header):
        raise DataError(f"{name} has two columns of the same name: {', '.join(header)}.")
    if not rows:
        raise DataError(f"{name} has a header but no row.", expected="at least one row")
    return _parse(rows, header, delimiter, name, log, text)


def _cells(line: str, delimiter: str | None) -> list[str]:
    if delimiter is None:
        return line.split()
    return [cell.strip() for cell in next(csv.reader([line], delimiter=delimiter))]


def _number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return cell in _NULLS
    return True


def _parse(
    rows: list[str],
    header: list[str],
    delimiter: str | None,
    name: str,
    log: RejectionLog | None,
    text: Sequence[str],
) -> pa.Table:
    def wrong(row: pa.csv.InvalidRow) -> str:
        reason = f"has {row.actual_columns} cells, the header has {row.expected_columns}: {row.text[:60]!r}"
        if log is None:
            bad.append(reason)
        else:
            log.reject(name, name, f"a row {reason}")
        return "skip"

    bad: list[str] = []
    if delimiter is None:
        rows = ["\t".join(line.split()) for line in rows]
    parsing = pa.csv.ParseOptions(delimiter=delimiter or "\t", invalid_row_handler=wrong)
    try:
        table = pa.csv.read_csv(
            io.BytesIO("\n".join(rows).encode()),
            read_options=pa.csv.ReadOptions(column_names=header, use_threads=False),
            parse_options=parsing,
            convert_options=pa.csv.ConvertOptions(
                null_values=_NULLS,
                strings_can_be_null=True,
                timestamp_parsers=["no timestamps"],
                column_types={label: pa.string() for label in text if label in header},
            ),
        )
    except pa.ArrowException as error:
        raise DataError(f"{name} is not a text table: {error}.") from error
    if bad:
        raise DataError(f"{name}: a row {bad[0]}.", remedy="mend the row; quote cells with commas.")
    return table
