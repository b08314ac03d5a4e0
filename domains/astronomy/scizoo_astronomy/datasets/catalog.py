"""Catalogues: a row of measured quantities an object."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from scizoo.data.records import Licence, Record
from scizoo.data.sources import fingerprint_files, resolve_files
from scizoo.errors import ConfigError, DataError, did_you_mean
from scizoo_astronomy.datasets.base import AstronomyDataset
from scizoo_astronomy.objects import CatalogRow
from scizoo_astronomy.readers.columns import Columns, read_columns
from scizoo_astronomy.units import factor_between, parse_unit

CATALOG_SUFFIXES = tuple(
    ending + packed
    for ending in (
        ".fits",
        ".fit",
        ".vot",
        ".votable",
        ".xml",
        ".ecsv",
        ".csv",
        ".tsv",
        ".dat",
        ".txt",
        ".parquet",
    )
    for packed in ("", ".gz", ".bz2")
)


class CatalogFiles(AstronomyDataset):
    """Records from the rows of the user's own catalogue; the input are columns of numbers.

    Parameters
    ----------
    path : str
        FITS, VOTable, ECSV, CSV or Parquet tables.
    input : sequence of str, optional
        The columns; by default every column of numbers that is nothing else.
    target, group, split, id : str, optional
        Columns; ``target`` may be several.
    units : mapping of str to str, optional
        Units of columns that the file does not state, or to which they are converted; a catalogue's numbers
        need none, and are then taken as they are.
    hdu : int or str, optional
    names : sequence of str, optional
        Names of the columns, for text without a header line.
    max_rejected : float
    cache : Path, optional
    """

    def __init__(
        self,
        path: str | Path | None = None,
        *,
        input: str | Sequence[str] | None = None,
        target: str | Sequence[str] | None = None,
        group: str | None = None,
        split: str | None = None,
        id: str | None = None,
        units: Mapping[str, str] | None = None,
        hdu: int | str | None = None,
        names: Sequence[str] | None = None,
        max_rejected: float = 0.01,
        cache: Path | None = None,
    ):
        super().__init__(max_rejected=max_rejected)
        if path is None:
            raise ConfigError("data.path is not given.", expected="a catalogue", remedy="add data.path=FILE.")
        self.path, self.cache, self.hdu = path, cache, hdu
        self.input = [input] if isinstance(input, str) else None if input is None else list(input)
        self.target = target if target is None or isinstance(target, str) else list(target)
        self.group, self.split, self.id = group, split, id
        self.units, self.names = dict(units or {}), None if names is None else list(names)

    @property
    def name(self) -> str:
        """What is read."""
        return str(self.path)

    @cached_property
    def files(self) -> list[Path]:
        """The tables that are read."""
        return resolve_files(self.path, self.cache, CATALOG_SUFFIXES)

    def settings(self) -> dict[str, Any]:
        """Return the options that change the records."""
        names = ("input", "target", "group", "split", "id", "units", "hdu", "names")
        return {name: getattr(self, name) for name in names}

    def fingerprint(self) -> str:
        """Digest of the files' contents and of the reading options."""
        return self._digest(fingerprint_files(self.files))

    def records(self) -> Iterator[Record]:
        """Yield the rows; those without any number are rejected."""
        self.left_out.clear()
        for file in self.files:
            text = [self.id] if self.id else []
            table = read_columns(file, self.rejections, hdu=self.hdu, names=self.names, text=text)
            yield from self.rows(table)
        self._say_left_out()

    def rows(self, table: Columns) -> Iterator[Record]:
        """Yield the records of one table."""
        targets = self.target if isinstance(self.target, list) else [self.target] if self.target else []
        named = [("target", name) for name in targets]
        named += [(key, getattr(self, key)) for key in ("group", "split", "id") if getattr(self, key)]
        named += [("input", name) for name in self.input or []]
        for key, column in named:
            if column not in table.data:
                raise DataError(
                    f"{table.name} has no column '{column}' (data.{key}): "
                    + did_you_mean(column, table.names),
                    expected="one of its columns: " + ", ".join(table.names),
                )
        other = {column for key, column in named if key != "input"}
        columns = self.input or [
            name
            for name, cells in table.data.items()
            if name not in other and cells.ndim == 1 and cells.dtype.kind in "iufb"
        ]
        if not columns:
            raise DataError(
                f"{table.name} has no column of numbers to take as input.", expected="at least one"
            )
        units = tuple(self._unit(table, name) for name in columns)
        values = np.stack([self._converted(table, name) for name in columns], axis=1)
        rest = [name for name in table.names if name not in other and name not in columns]
        for row in range(len(table)):
            source = f"{table.name}, row {row + 1}"
            id = str(table.data[self.id][row]) if self.id else f"{table.name}:{row + 1}"
            try:
                value = CatalogRow(values[row], tuple(columns), units)
            except ValueError as error:
                self.rejections.reject(source, id, str(error))
                continue
            meta = {name: table.data[name][row].item() for name in rest if table.data[name].ndim == 1}
            if self.split:
                meta["split"] = table.data[self.split][row].item()
            group = str(table.data[self.group][row]) if self.group else None
            yield Record(id, value, self._target(table, row), group, meta, source)

    def _target(self, table: Columns, row: int) -> Any:
        if isinstance(self.target, list):
            return {name: table.data[name][row].item() for name in self.target}
        return table.data[self.target][row].item() if self.target else None

    def _unit(self, table: Columns, name: str) -> str:
        return self.units.get(name) or table.units.get(name, "")

    def _converted(self, table: Columns, name: str) -> np.ndarray:
        try:
            cells = table.data[name].astype(np.float64)
        except (TypeError, ValueError) as error:
            raise DataError(f"{table.name}, column '{name}', holds what is no number: {error}.") from error
        wanted, written = self.units.get(name), table.units.get(name)
        if not wanted or not written or wanted == written:
            return cells
        where = f"{table.name}, column '{name}'"
        here, there = (
            parse_unit(written, where, f"data.units.{name}"),
            parse_unit(wanted, where, f"data.units.{name}"),
        )
        if not here.is_equivalent(there):
            raise DataError(
                f"{where} is in '{written}', which cannot be converted to '{wanted}'.",
                remedy=f"correct data.units.{name}, or the file.",
            )
        return cells * factor_between(here, there)


class Htru2(CatalogFiles):
    """HTRU2: 17,898 pulsar candidates of the High Time Resolution Universe survey, 1,639 of them pulsars.

    Eight numbers a candidate: mean, standard deviation, excess kurtosis and skewness of the folded pulse
    profile, and the same of its curve of signal to noise over dispersion measure. It is a table: a network
    reads it as a short sequence of eight values, and trees are hard to beat on it.

    Parameters
    ----------
    path : str
        ``HTRU_2.csv`` (or .csv.gz, or its folder), with or without its header line.
    max_rejected : float
    cache : Path, optional
    """

    licence = Licence("CC-BY-4.0")
    citation = (
        "Lyon, Stappers, Cooper, Brooke, Knowles (2016) Fifty years of pulsar candidate selection: from "
        "simple filters to a new principled real-time classification approach. MNRAS 459, 1104; UCI Machine "
        "Learning Repository, HTRU2"
    )
    columns = ("M1", "ST1", "EX1", "SK1", "M2", "ST2", "EX2", "SK2")

    def __init__(
        self, path: str | Path | None = None, *, max_rejected: float = 0.01, cache: Path | None = None
    ):
        names = [*self.columns, "C"]
        super().__init__(
            path, input=self.columns, target="C", names=names, max_rejected=max_rejected, cache=cache
        )

    def _target(self, table: Columns, row: int) -> str:
        return "pulsar" if int(table.data["C"][row]) == 1 else "noise"
