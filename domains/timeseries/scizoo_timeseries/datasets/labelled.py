"""Series with a class each: UCR and UEA archives, or a long table with a column of labels."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from scizoo.data.records import Record
from scizoo.errors import ConfigError, DataError, did_you_mean
from scizoo_timeseries.datasets.base import SeriesFiles
from scizoo_timeseries.series import Series

_PART = re.compile(r"_(train|test|valid|validation|val|dev)(?=\.|$)", re.IGNORECASE)
_PARTS = {"train": "train", "test": "test"}


class LabelledSeries(SeriesFiles):
    """Whole series as inputs, their class as target.

    Files named ``NAME_TRAIN`` and ``NAME_TEST``, as of the UCR and UEA archives, state their parts.

    Parameters
    ----------
    path : str
        A file, or a folder of them.
    label : str
        The column with the class in a long table; ``.ts`` files state their own.
    group : str, optional
        A static column of what must not be split apart (a person, a machine).
    split : str, optional
        A static column that says train, validation or test.
    problem : str, optional
        Of a folder with several problems, the one to read: the files' name before ``_TRAIN``.
    longest : int, optional
        Longer series are averaged down to this many values, and counted, so that a model sees them whole.
    **settings
        As of :class:`~scizoo_timeseries.datasets.base.SeriesFiles`.
    """

    def __init__(
        self,
        path: str | Path | None = None,
        *,
        label: str = "label",
        group: str | None = None,
        split: str | None = None,
        problem: str | None = None,
        longest: int | None = None,
        **settings: Any,
    ):
        static = settings.pop("static", ()) or ()
        static = (static,) if isinstance(static, str) else tuple(static)
        beside = [name for name in (group, split) if name and name not in static]
        super().__init__(path, static=(*static, *beside), **settings)
        self.label, self.group, self.split, self.problem = label, group, split, problem
        if longest is not None and longest < 2:
            raise ConfigError(f"data.longest={longest}", expected="2 values or more, or null")
        self.longest = longest

    def settings(self) -> dict[str, Any]:
        """Return the options that change the records."""
        own: dict[str, Any] = {
            "label": self.label,
            "group": self.group,
            "split": self.split,
            "problem": self.problem,
        }
        own["longest"] = self.longest
        return {**super().settings(), **own}

    @cached_property
    def files(self) -> list[Path]:
        """The files that hold the series; one problem's alone."""
        found = super().files
        names = sorted({_problem(path) for path in found if _PART.search(path.name)})
        if self.problem is None:
            if len(names) > 1:
                raise DataError(
                    f"{self.path} holds several problems: {', '.join(names)}.",
                    expected="one problem",
                    remedy=f"name it: data.problem={names[0]}",
                )
            return found
        chosen = [path for path in found if _problem(path) == self.problem]
        if not chosen:
            raise DataError(
                f"{self.path} holds no problem '{self.problem}': {did_you_mean(self.problem, names)}",
                expected="files named PROBLEM_TRAIN and PROBLEM_TEST",
            )
        return chosen

    def records(self) -> Iterator[Record]:
        """Yield the series; those without a label go to ``rejections``."""
        for entry in self.entries(self.label):
            series = self._shortened(entry.series)
            if entry.label is None or not entry.label.strip():
                self.rejections.reject(entry.source, series.unique_id, "has no label")
                continue
            meta = {
                name: value for name, value in series.static.items() if name not in (self.group, self.split)
            }
            part = _part(entry.source)
            if self.split:
                meta["split"] = series.static.get(self.split)
            elif part:
                meta["split"] = part
            for key in ("missing", "constant"):
                if entry.notes.get(key):
                    meta[key] = entry.notes[key]
            group = series.static.get(self.group) if self.group else None
            yield Record(
                series.unique_id,
                series,
                entry.label.strip(),
                None if group is None else str(group),
                meta,
                entry.source,
            )
        self.say()

    def _shortened(self, series: Series) -> Series:
        """Average a series that is too long over equal stretches."""
        if self.longest is None or len(series) <= self.longest:
            return series
        self.counts[f"series were averaged down to {self.longest} values"] += 1
        borders = np.linspace(0, len(series), self.longest + 1).astype(int)[:-1]
        known = np.isfinite(series.values)
        sums = np.add.reduceat(np.where(known, series.values, 0.0), borders, axis=0)
        many = np.add.reduceat(known, borders, axis=0, dtype=np.int64)
        with np.errstate(invalid="ignore"):
            values = np.where(many > 0, sums / np.maximum(many, 1), np.nan)
        return replace(series, values=values, stamps=series.stamps[borders], freq=None, past={}, future={})


def _problem(path: Path) -> str:
    match = _PART.search(path.name)
    return path.name[: match.start()] if match else path.name.partition(".")[0]


def _part(source: str) -> str | None:
    """Read the part from the file's name in ``FILE, line 3``."""
    match = _PART.search(source.partition(",")[0])
    return None if match is None else _PARTS.get(match[1].lower(), "validation")
