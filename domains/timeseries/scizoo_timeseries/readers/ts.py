"""``.ts`` files of sktime and aeon (UCR and UEA archives): a line a case, dimensions joined by colons."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from scizoo.data.records import RejectionLog
from scizoo.errors import DataError, did_you_mean
from scizoo_timeseries.readers.assemble import assemble
from scizoo_timeseries.readers.lines import parse_values, read_lines, truth
from scizoo_timeseries.readers.options import Entry, ReadOptions

_PAIR = re.compile(r"\(([^()]*),([^(),]*)\)")


def read_ts(path: Path, options: ReadOptions, log: RejectionLog) -> Iterator[Entry]:
    """Yield the cases of a ``.ts`` file; bad ones go to `log`.

    A case is named by file and number. Several dimensions make values of shape (T, C); the label, where the
    header states that there is one, is the last part of the line.

    Raises
    ------
    DataError
        When the file has no ``@data``, or is damaged.
    """
    labelled: bool | None = None
    classes: list[str] = []
    stamped = False
    in_data = False
    stem = path.name.partition(".")[0]
    count = 0
    for number, line in read_lines(path):
        if not in_data:
            word, _, rest = line.partition(" ")
            key = word.lower()
            if key in ("@classlabel", "@targetlabel"):
                parts = rest.split()
                labelled = bool(parts) and truth(parts[0])
                classes = parts[1:] if key == "@classlabel" else []
            elif key == "@timestamps":
                stamped = truth(rest)
            elif key == "@data":
                in_data = True
            elif not key.startswith("@"):
                raise DataError(
                    f"{path}, line {number} is no header of a .ts file: '{line[:40]}'.",
                    expected="lines that begin with @, then @data",
                    remedy="check that the file is of the .ts format of sktime and aeon.",
                )
            continue
        count += 1
        unique_id = f"{stem}:{count}"
        source = f"{path.name}, line {number}"
        try:
            yield _case(line, unique_id, source, bool(labelled), classes, stamped, options)
        except ValueError as error:
            log.reject(source, unique_id, str(error))
    if not in_data:
        raise DataError(f"{path} has no @data line.", expected="a .ts file with a header, @data and cases")


def _case(
    line: str,
    unique_id: str,
    source: str,
    labelled: bool,
    classes: list[str],
    stamped: bool,
    options: ReadOptions,
) -> Entry:
    label = None
    if labelled:
        line, _, label = line.rpartition(":")
        label = label.strip()
        if not line:
            raise ValueError("has a label and no values")
        if classes and label not in classes:
            raise ValueError(f"its label '{label}' is none of the header's: {did_you_mean(label, classes)}")
    if stamped:
        return _stamped(line, unique_id, source, label, options)
    dimensions = [parse_values(part, f"dimension {d}, ") for d, part in enumerate(line.split(":"), 1)]
    lengths = {len(part) for part in dimensions}
    if len(lengths) > 1:
        raise ValueError(f"its dimensions have different lengths: {sorted(lengths)}")
    values = np.array(dimensions).T
    if values.shape[1] == 1:
        values = values[:, 0]
    series, notes = assemble(unique_id, np.arange(len(values), dtype=np.int64), values, options)
    return Entry(series, source, label, notes)


def _stamped(line: str, unique_id: str, source: str, label: str | None, options: ReadOptions) -> Entry:
    """Parse ``(stamp,value),(stamp,value)``; of several dimensions all must share their stamps."""
    columns = []
    stamps: list[str] | None = None
    for part in re.split(r"(?<=\)):(?=\()", line):
        pairs = _PAIR.findall(part)
        if not pairs:
            raise ValueError("the header says @timeStamps true, but there is no (stamp,value)")
        times = [time.strip() for time, _ in pairs]
        if stamps is not None and times != stamps:
            raise ValueError("its dimensions have different stamps")
        stamps = times
        columns.append(parse_values(",".join(value for _, value in pairs), ""))
    parsed = pd.to_datetime(pd.Series(stamps), format=options.time_format or "ISO8601", errors="coerce")
    if parsed.isna().any():
        raise ValueError(f"the stamp '{(stamps or [''])[int(parsed.isna().argmax())]}' cannot be read")
    values = np.array(columns).T
    if values.shape[1] == 1:
        values = values[:, 0]
    series, notes = assemble(
        unique_id, parsed.to_numpy(dtype="datetime64[ns]"), values, options, tz=options.tz
    )
    return Entry(series, source, label, notes)
