"""The user's own pictures: DICOM files and series, NIfTI volumes, PNG and JPEG, with labels from a table."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from scizoo.data.records import Record
from scizoo.data.sources import fingerprint_files, resolve
from scizoo.errors import ConfigError, DataError, did_you_mean
from scizoo_radiology.datasets.base import CountingDataset
from scizoo_radiology.datasets.listing import (
    Listed,
    Rows,
    check_given,
    files_of,
    folder_of,
    listed_files,
    part_of,
    sort_by_kind,
)
from scizoo_radiology.datasets.subjects import FOLDER, Subjects
from scizoo_radiology.images import PLANES, RadiologyImage, Volume
from scizoo_radiology.privacy import Pseudonyms, identifying_column
from scizoo_radiology.readers.entry import Entry, ReadingOptions
from scizoo_radiology.readers.files import Limits, short
from scizoo_radiology.readers.nifti import read_nifti
from scizoo_radiology.readers.pictures import read_picture
from scizoo_radiology.readers.series import read_dicom, reason_of
from scizoo_radiology.resample import resample, resample_volume, shrink

log = logging.getLogger(__name__)


class ImageFiles(CountingDataset):
    """Records from the user's own pictures. Nothing that names a patient leaves this class.

    Ids, patients, series and sites are pseudonyms (see :class:`~scizoo_radiology.privacy.Pseudonyms`); ages
    are decades; of a table only the columns that are named here are taken. The group of a record is its
    patient where the files or a column say who that is, else its volume.

    Parameters
    ----------
    path : str
        A file, folder, glob, zip archive or URL; or, with ``input``, a table that lists files or folders.
    input : str, optional
        The column of the table at ``path`` that names a file or a series' folder in each row.
    target : str or sequence of str, optional
        What to predict: a column of the table, a coded attribute (``modality``, ``body_part``, ``view``,
        ``laterality``, ``sex``, ``scanner``), or ``folder``: the name of the folder that a file lies in. Of
        several the target is a mapping.
    group : str, optional
        The column with patients, or with whatever must not be split apart.
    split : str, optional
        The column that says train, validation or test; or ``folder``, where folders are named so.
    id : str, optional
        The column with ids; by default made from the file's name.
    labels, labels_id : str, optional
        A table beside the files; and its column with file names, UIDs or patient numbers, else the first.
    sex, age, scanner, site : str, optional
        Columns for the bias audit; those with the usual names are found by themselves.
    keep : sequence of str
        Further columns for the bias audit.
    plane : {"acquired", "axial", "coronal", "sagittal", "volume"}
        As which slices stacks are given, or whole.
    slices : {"all", "middle"} or int
        Which slices of a stack: all, the middle one, or so many at even distances.
    spacing : sequence of float, optional
        Millimetres that pictures (rows, columns) or volumes (slices, rows, columns) are brought to.
    assume_spacing : sequence of float, optional
        Millimetres for files that state none, likewise.
    max_side : int, optional
        Longer sides are brought to so many pixels, by averages.
    voi, signed, modality, frame, broken_orientation, burned_in
        As of :class:`~scizoo_radiology.readers.entry.ReadingOptions`.
    max_pixels, max_ratio
        As of :class:`~scizoo_radiology.readers.files.Limits`.
    pseudonyms : bool
        False keeps names as they are, for data that are public.
    max_rejected : float
    cache : Path, optional
    """

    def __init__(
        self,
        path: str | Path | None = None,
        *,
        input: str | None = None,
        target: str | Sequence[str] | None = None,
        group: str | None = None,
        split: str | None = None,
        id: str | None = None,
        labels: str | Path | None = None,
        labels_id: str | None = None,
        sex: str | None = None,
        age: str | None = None,
        scanner: str | None = None,
        site: str | None = None,
        keep: Sequence[str] = (),
        plane: str = "acquired",
        slices: str | int = "all",
        spacing: Sequence[float] | None = None,
        assume_spacing: Sequence[float] | None = None,
        max_side: int | None = 512,
        voi: bool = False,
        signed: bool | None = None,
        modality: str | None = None,
        frame: int | None = None,
        broken_orientation: str = "refuse",
        burned_in: str = "refuse",
        max_pixels: float = 6e8,
        max_ratio: float = 200.0,
        pseudonyms: bool = True,
        max_rejected: float = 0.01,
        cache: Path | None = None,
    ):
        super().__init__(max_rejected=max_rejected)
        check_given(path)
        if input is not None and labels is not None:
            raise ConfigError(
                "data.input and data.labels are both given.",
                expected="one table: a list of files (data.path with data.input), or labels beside the files",
            )
        self.path, self.cache, self.input = str(path), cache, input
        self.target = target if target is None or isinstance(target, str) else list(target)
        self.group, self.split, self.id = group, split, id
        self.labels, self.labels_id = labels, labels_id
        self.columns = {"sex": sex, "age": age, "scanner": scanner, "site": site}
        self.keep = [keep] if isinstance(keep, str) else list(keep)
        self.spacing = None if spacing is None else tuple(float(one) for one in spacing)
        self.max_side, self.pseudonyms = max_side, pseudonyms
        self.options = ReadingOptions(
            *(plane, slices, signed, voi, broken_orientation, burned_in),
            None if assume_spacing is None else tuple(float(one) for one in assume_spacing),
            None if modality is None else modality.upper(),
            frame,
            Limits(int(max_pixels), float(max_ratio)),
        )
        _check(self.options, self.spacing, self.keep, pseudonyms)

    @property
    def name(self) -> str:
        """What is read."""
        return self.path

    def settings(self) -> dict[str, Any]:
        """Return the options that change the records."""
        given = [self.input, self.target, self.group, self.split, self.id, self.labels_id, self.keep]
        read = [repr(self.options), self.spacing, self.max_side, self.pseudonyms]
        return {"columns": given, "named": self.columns, "reading": read}

    @cached_property
    def _content(self) -> str:
        """Digest of all files, which makes the pseudonyms' key; it is not written anywhere."""
        if self.input is not None:
            table = resolve(self.path, self.cache)
            listed = {one.path for row in self._listed() for one in row.files}
            return fingerprint_files([table, *sorted(listed)])
        beside = [resolve(self.labels, self.cache)] if self.labels is not None else []
        return fingerprint_files([*files_of(self.path, self.labels, self.cache)[1], *beside])

    def fingerprint(self) -> str:
        """Digest of the files' contents and of the reading options."""
        return self._digest(self._content)

    @cached_property
    def _subjects(self) -> Subjects:
        names = Pseudonyms.of(self._content, keep=not self.pseudonyms)
        return Subjects(names, self.columns, self.keep, self.group, self.id, str(self.labels or self.path))

    def _listed(self, told: bool = False) -> Iterator[Listed]:
        if self.input is not None:
            yield from listed_files(self.path, self.input, self.cache, self.rejections if told else None)
        else:
            yield Listed(files_of(self.path, self.labels, self.cache)[0], None, "")

    def entries(self) -> Iterator[tuple[Entry, Mapping[str, Any] | None]]:
        """Yield pictures or volumes with the row that lists them; what cannot be read is told to the log."""
        for listed in self._listed(told=True):
            dicom, others = sort_by_kind(listed.files, self.rejections, self.left_out, self.path)
            for file in others:
                try:
                    read = read_nifti if file.kind() == "nifti" else read_picture
                    for entry in read(file, self.options):
                        yield entry, listed.row
                except (DataError, ValueError) as error:
                    self.rejections.reject(file.shown, short(file.shown), reason_of(error))
            for entry in read_dicom(dicom, self.options, self.rejections, self.left_out):
                yield entry, listed.row

    def records(self) -> Iterator[Record]:
        """Yield the records; what cannot be used is told to ``rejections``."""
        self.left_out.clear()
        if self.pseudonyms:
            log.info("%s: ids, patients, series and sites are pseudonyms (keyed hash).", type(self).__name__)
        for entry, row in self._with_rows():
            value = entry.value
            if isinstance(value, RadiologyImage) and value.pixels.min() == value.pixels.max():
                if self._subjects.series(entry) is None:
                    self.rejections.reject(
                        entry.source, short(entry.source), "every pixel has the same value"
                    )
                else:
                    self.left_out["slices in which every pixel has the same value"] += 1
                continue
            try:
                yield self._record(entry, row)
            except ValueError as error:
                self.rejections.reject(entry.source, short(entry.source), str(error))
        self._say_left_out()

    def _with_rows(self) -> Iterator[tuple[Entry, Mapping[str, Any]]]:
        rows = None if self.labels is None else Rows(resolve(self.labels, self.cache), self.labels_id)
        for entry, row in self.entries():
            found = row or {} if rows is None else rows.find(entry.names)
            if found is None:
                reason = f"no row of the labels has its file name, UID or patient ({self.labels})"
                self.rejections.reject(entry.source, short(entry.source), reason)
            else:
                yield entry, found

    def names(self) -> dict[str, str]:
        """Return each record's id with the name of its file, for the user's own eyes; nothing stores it."""
        return {self._subjects.id(entry, row): entry.key for entry, row in self._with_rows()}

    def _record(self, entry: Entry, row: Mapping[str, Any]) -> Record:
        known = {**entry.fields, FOLDER: folder_of(entry.names.file), **row}
        target = self._target(known)
        if str(target).strip().lower() in entry.names.secrets():
            raise ValueError("its target names the patient; choose another column or attribute (data.target)")
        meta = self._subjects.meta(entry, row, self.target)
        if self.split == FOLDER:
            meta["split"] = part_of(entry.names.file)
        elif self.split is not None:
            meta["split"] = self._subjects.cell(known, self.split)
        id, group = self._subjects.id(entry, row), self._subjects.group(entry, known)
        return Record(id, self._sized(entry.value), target, group, meta, entry.source)

    def _target(self, known: Mapping[str, Any]) -> Any:
        if self.target is None:
            return None
        if isinstance(self.target, str):
            return self._subjects.cell(known, self.target)
        for name in self.target:
            if name not in known:
                self._subjects.cell(known, name)
        found = {name: known[name] for name in self.target}
        if all(value is None for value in found.values()):
            raise ValueError(f"every one of {', '.join(self.target)} is empty")
        return found

    def _sized(self, value: RadiologyImage | Volume) -> RadiologyImage | Volume:
        if isinstance(value, Volume):
            return value if self.spacing is None else resample_volume(value, self.spacing)
        if self.spacing is not None:
            value = resample(value, self.spacing[-2:])
        return value if self.max_side is None else shrink(value, self.max_side)


def _check(
    options: ReadingOptions, spacing: tuple[float, ...] | None, keep: Sequence[str], pseudonyms: bool
) -> None:
    """Refuse options that have no meaning.

    Raises
    ------
    ConfigError
    """
    for key, value, known in (
        ("plane", options.plane, ("acquired", *PLANES, "volume")),
        ("broken_orientation", options.broken_orientation, ("refuse", "ignore")),
        ("burned_in", options.burned_in, ("refuse", "allow")),
    ):
        if value not in known:
            raise ConfigError(
                f"data.{key}={value}: {did_you_mean(str(value), known)}", expected=", ".join(known)
            )
    many = options.slices
    if many not in ("all", "middle") and not (isinstance(many, int) and many > 0):
        raise ConfigError(f"data.slices={many}", expected="all, middle, or a number above 0")
    for key, numbers in (("spacing", spacing), ("assume_spacing", options.assume_spacing)):
        if numbers is not None and (len(numbers) not in (2, 3) or min(numbers) <= 0):
            raise ConfigError(f"data.{key}={list(numbers)}", expected="two or three lengths in mm, above 0")
    if spacing is not None and options.plane == "volume" and len(spacing) != 3:
        raise ConfigError(
            f"data.spacing={list(spacing)}", expected="[SLICES, ROWS, COLUMNS] in mm for volumes"
        )
    named = next((name for name in keep if identifying_column(name)), None)
    if pseudonyms and named is not None:
        raise ConfigError(
            f"data.keep names the column '{named}', which may name a patient, a place or a day.",
            expected="columns of properties, such as sex or protocol",
            remedy="leave it out; or, for public data, set data.pseudonyms=false.",
        )
