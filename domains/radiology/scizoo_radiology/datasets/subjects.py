"""Who is shown, under pseudonyms: ids, groups and the columns of the bias audit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from scizoo.errors import ConfigError, did_you_mean
from scizoo_radiology.images import Volume
from scizoo_radiology.privacy import Pseudonyms, age_band, sex_of
from scizoo_radiology.readers.entry import FIELDS, Entry

#: What stands for the folder that a file lies in, where a column could be named.
FOLDER = "folder"
#: Names of columns that are understood without being named, by what they hold; upper and lower case alike.
_USUAL = {
    "sex": ("sex", "gender", "patient sex", "patient gender"),
    "age": ("age", "patient age", "age_years"),
    "scanner": ("scanner", "manufacturer", "device"),
    "site": ("site", "center", "centre"),
}


class Subjects:
    """Makes what a record says of its patient.

    Parameters
    ----------
    names : Pseudonyms
    columns : mapping of str to str or None
        The columns with sex, age, scanner and site, where they are named.
    keep : sequence of str
        Further columns.
    group, id : str or None
        The columns with patients and with ids.
    table : str
        What the table is called in messages.
    """

    def __init__(
        self,
        names: Pseudonyms,
        columns: Mapping[str, str | None],
        keep: Sequence[str],
        group: str | None,
        id: str | None,
        table: str,
    ):
        self.names, self.columns, self.keep = names, dict(columns), list(keep)
        self.group_column, self.id_column, self.table = group, id, table

    def cell(self, row: Mapping[str, Any], column: str, key: str = "") -> Any:
        """Return a cell.

        Raises
        ------
        ConfigError
            When there is no such column.
        ValueError
            When it is empty.
        """
        if column not in row:
            raise ConfigError(
                f"{self.table} has no column '{column}'{key}: {did_you_mean(column, row)}",
                expected=f"a column of the table, or one of {', '.join((*FIELDS, FOLDER))}",
            )
        if row[column] is None:
            raise ValueError(f"column '{column}' is empty")
        return row[column]

    def id(self, entry: Entry, row: Mapping[str, Any]) -> str:
        """Name a record."""
        if self.id_column is None:
            return self.names.name("image", entry.key)
        _, sign, slice_of = entry.key.partition("#")
        return self.names.name("image", f"{self.cell(row, self.id_column, ' (data.id)')}{sign}{slice_of}")

    def group(self, entry: Entry, known: Mapping[str, Any]) -> str | None:
        """Name the patient, else the study, else the stack; None for a picture of which none is known."""
        names = entry.names
        if self.group_column is not None:
            return self.names.name("patient", str(self.cell(known, self.group_column, " (data.group)")))
        if names.patient:
            return self.names.name("patient", names.patient)
        if names.study or names.series:
            return self.names.name("study", names.study or names.series)
        return self.series(entry)

    def series(self, entry: Entry) -> str | None:
        """Name the stack that a slice is of; None for a picture alone."""
        if entry.names.series:
            return self.names.name("series", entry.names.series)
        stacked = isinstance(entry.value, Volume) or bool(entry.value.plane) or "#" in entry.key
        return self.names.name("series", entry.names.file) if stacked else None

    def meta(self, entry: Entry, row: Mapping[str, Any], target: Any) -> dict[str, Any]:
        """Gather the columns by which results are broken down; nothing else of the table is taken."""
        meta = dict(entry.fields)
        lowered = {name.strip().lower(): name for name in row}
        for kind, given in self.columns.items():
            usual = next((lowered[name] for name in _USUAL[kind] if name in lowered), None)
            column = usual if given is None else given
            if given is not None and given not in row:
                raise ConfigError(
                    f"{self.table} has no column '{given}' (data.{kind}): {did_you_mean(given, row)}"
                )
            if column is None or row[column] is None:
                continue
            if kind == "age":
                meta["age_band"] = age_band(row[column])
            else:
                meta[kind] = sex_of(row[column]) if kind == "sex" else str(row[column]).strip()
        if meta["site"] is not None:
            meta["site"] = self.names.name("site", meta["site"])
        meta["series"] = self.series(entry)
        secrets = entry.names.secrets()
        for name in self.keep:
            if name not in row:
                raise ConfigError(
                    f"{self.table} has no column '{name}' (data.keep): {did_you_mean(name, row)}"
                )
            meta[name] = None if str(row[name]).strip().lower() in secrets else row[name]
        # What is predicted is no column to break results down by.
        hidden = [target] if isinstance(target, str) else target or []
        return {name: None if name in hidden else value for name, value in meta.items()}
