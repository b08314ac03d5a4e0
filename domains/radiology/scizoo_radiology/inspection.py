"""What ``scizoo doctor radiology data.path=...`` says of data: who could be recognised, what is wrong.

Values are never shown, only how many files hold them. Headers of all files are read, and by default the
pixels of the middle slice of each stack (``data.slices=all`` reads every one).
"""

from __future__ import annotations

import inspect as signatures
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from scizoo.data.sources import resolve
from scizoo.data.table import TableReader
from scizoo.errors import ConfigError, DataError, did_you_mean
from scizoo_radiology.datasets.files import ImageFiles
from scizoo_radiology.privacy import IDENTIFYING, Names, identifying_column, quiet
from scizoo_radiology.readers.dicom import plainly, read_header
from scizoo_radiology.readers.files import File
from scizoo_radiology.readers.header import fields_of, names_of, text

if TYPE_CHECKING:
    from pydicom import Dataset

Finding = str | tuple[str, str]

#: Modalities whose pictures often have text in their pixels: ultrasound, captures, photographs, endoscopy.
_WRITTEN = ("US", "OT", "SC", "XC", "ES", "GM", "DOC")
_SPACED = ("PixelSpacing", "ImagerPixelSpacing", "SharedFunctionalGroupsSequence")
#: What is said of the files that were counted under a word.
_SAID = {
    "private": "with private elements, which may hold anything; they are not read",
    "embedded": "with words beside the pixels (EXIF, text chunks, header notes); they are not read",
    "named": "whose names or folders hold what the header says of the patient; names are not written",
    "heads": "of heads in CT or MR: from whole stacks a face can be rebuilt",
    "no spacing": "that state no pixel spacing; data.assume_spacing states it",
}
_PROBLEMS = {
    "burned": (
        "with text burned into the pixels, as their headers say",
        "black it out; such files are rejected unless data.burned_in=allow.",
    ),
    "risky": (
        "that may have text in the pixels (ultrasound, captures or the like, not denied by the header)",
        "look at some of them; black text out where it names a patient, and set Burned In Annotation.",
    ),
}
_HEADS = ("HEAD", "BRAIN", "SKULL", "FACE", "ORBIT", "NECK")
_LONGEST = 6  # items of a list that are shown


def inspect(given: Mapping[str, str]) -> list[Finding]:
    """Look into a data set; see the module.

    Parameters
    ----------
    given : mapping of str to str
        ``data.KEY=VALUE`` as typed, of the keys of :class:`~scizoo_radiology.datasets.files.ImageFiles`.

    Returns
    -------
    list of str or (str, str)
        Findings; problems with what to do about them.

    Raises
    ------
    ConfigError, DataError
        When the keys or the source cannot be used.
    """
    dataset = ImageFiles(**_options(given))
    files = [file for listed in dataset._listed() for file in listed.files]
    found = _Scan(dataset)
    for file in files:
        found.look(file)
    return [*found.findings(len(files)), *_tables(dataset), *_reading(dataset)]


def _options(given: Mapping[str, str]) -> dict[str, Any]:
    known = [name for name in signatures.signature(ImageFiles).parameters if name != "cache"]
    for key in given:
        if key not in known:
            raise ConfigError(f"data.{key} is not known here: {did_you_mean(key, known)}")
    options = {}
    for key, value in given.items():
        try:
            options[key] = value if key in ("path", "labels") else yaml.safe_load(value)
        except yaml.YAMLError as error:
            raise ConfigError(
                f"data.{key}={value} cannot be read.", expected="a word, number or list"
            ) from error
    return {"slices": "middle", **options}


def _counted(count: int, word: str) -> str:
    return f"{count:,} {word}{'' if count == 1 else 's'}"


def _most(counts: Counter[str]) -> str:
    shown = [f"{name} {count:,}" for name, count in counts.most_common(_LONGEST)]
    return ", ".join(shown) + (f", and {len(counts) - _LONGEST} more" if len(counts) > _LONGEST else "")


class _Scan:
    """Counts over the headers of a source."""

    def __init__(self, dataset: ImageFiles):
        self.dataset = dataset
        self.kinds: Counter[str] = Counter()
        self.modalities: Counter[str] = Counter()
        self.identifying: dict[str, Counter[str]] = {
            kind: Counter() for kind in (*IDENTIFYING, "other dates and people")
        }
        self.holding: Counter[str] = Counter()
        self.counts: Counter[str] = Counter()
        self.path_names = False
        self.patients: set[str] = set()
        self.series: set[str] = set()

    def look(self, file: File) -> None:
        """Count what one file holds; what cannot be read is found by reading the pixels."""
        try:
            kind = file.kind()
            self.kinds[kind or "other formats"] += 1
            if kind == "dicom":
                with plainly():
                    self._dicom(file)
            elif kind in ("png", "jpeg"):
                self.counts["embedded"] += _has_words(file, self.dataset)
            elif kind == "nifti":
                self.counts["embedded"] += _has_notes(file, self.dataset)
        except (DataError, ValueError):
            return

    def _dicom(self, file: File) -> None:
        found = read_header(file, self.dataset.options.limits)
        names = names_of(found, file)
        self.patients.add(names.patient)
        self.series.add(names.series)
        modality = fields_of(found, names)["modality"] or "not stated"
        self.modalities[modality] += 1
        for kind, keywords in IDENTIFYING.items():
            held = [word for word in keywords if text(found, word)]
            self.identifying[kind].update(held)
            self.holding[kind] += bool(held)
        others, private = _elements(found)
        self.identifying["other dates and people"].update(others)
        self.holding["other dates and people"] += bool(others)
        burned = text(found, "BurnedInAnnotation").upper()
        image_type = text(found, "ImageType").upper()
        risky = modality in _WRITTEN or "SECONDARY" in image_type or "SCREEN SAVE" in image_type
        body_part = text(found, "BodyPartExamined").upper()
        counts = {
            "private": private,
            "named": _named(file.name, names),
            "burned": burned == "YES",
            "risky": burned not in ("YES", "NO") and risky,
            "heads": modality in ("CT", "MR") and body_part in _HEADS,
            "no spacing": not any(word in found for word in _SPACED),
        }
        self.counts.update({what: int(holds) for what, holds in counts.items()})
        self.path_names = self.path_names or _named(str(Path(self.dataset.path).absolute()), names)

    def findings(self, count: int) -> Iterator[Finding]:
        """Say what was counted."""
        kinds = Counter({"DICOM" if name == "dicom" else name: many for name, many in self.kinds.items()})
        yield f"{_counted(count, 'file')}: {_most(kinds)}"
        if self.kinds["dicom"]:
            patients = _counted(len(self.patients - {""}), "patient")
            yield f"{patients}, {len(self.series - {''}):,} series; modalities: {_most(self.modalities)}"
        for kind, held in self.identifying.items():
            if held:
                where = _counted(self.holding[kind], "file")
                yield f"headers name people ({kind}) in {where}: {_most(held)}; no value of these is written"
        files = {what: _counted(count, "file") for what, count in self.counts.items() if count}
        for what, where in files.items():
            if what in _SAID:
                yield f"{where} {_SAID[what]}"
            else:
                text, remedy = _PROBLEMS[what]
                yield f"{where} {text}", remedy
        if self.path_names:
            yield (
                "data.path itself holds the patient's name, number or a date of the header",
                "rename the folder: the path as you type it is written into each run's command and config.",
            )


def _elements(found: Dataset) -> tuple[set[str], bool]:
    """Return names of other elements that hold people or days, and whether there are private ones."""
    known = {word for words in IDENTIFYING.values() for word in words}
    others, private = set(), False
    with quiet():
        for element in found.iterall():
            private = private or element.tag.is_private
            if element.VR in ("PN", "DA", "DT") and element.value and element.keyword not in known:
                others.add(element.keyword or "unknown element")
    return others, private


def _named(name: str, names: Names) -> bool:
    lowered = name.lower()
    return any(secret in lowered for secret in names.secrets())


def _has_words(file: File, dataset: ImageFiles) -> bool:
    """Whether a picture holds EXIF data or text chunks."""
    from PIL import Image, UnidentifiedImageError

    with file.open(dataset.options.limits) as stream, quiet():
        try:
            with Image.open(stream) as picture:
                return bool(picture.getexif()) or any(isinstance(one, str) for one in picture.info.values())
        except (UnidentifiedImageError, OSError, SyntaxError, Image.DecompressionBombError):
            return False


def _has_notes(file: File, dataset: ImageFiles) -> bool:
    """Whether a NIfTI header holds words, or extensions."""
    import gzip
    import zlib

    with file.open(dataset.options.limits) as stream:
        start = stream.read(2)
        stream.seek(0)
        try:
            head = (gzip.GzipFile(fileobj=stream) if start == b"\x1f\x8b" else stream).read(352)
        except (OSError, EOFError, zlib.error):
            return False
    # descrip, aux_file of NIfTI-1 (and db_name of ANALYZE before it); then the flag of extensions.
    words = head[148:252] + head[14:32] if head[:4] in (b"\x5c\x01\0\0", b"\0\0\x01\x5c") else b""
    return bool(words.strip(b"\0 ")) or head[348:349] not in (b"", b"\0")


def _tables(dataset: ImageFiles) -> Iterator[Finding]:
    """Name the columns of the table that may identify, and those that are taken."""
    table = dataset.labels or (dataset.path if dataset.input is not None else None)
    if table is None:
        return
    columns = TableReader(resolve(table, dataset.cache)).columns
    may = [name for name in columns if identifying_column(name)]
    if may:
        yield f"columns that may identify people: {', '.join(may)}; only columns that you name are read"


def _reading(dataset: ImageFiles) -> Iterator[Finding]:
    """Read the pixels, and say what cannot be used."""
    dataset.rejections.rejected.clear()
    dataset.left_out.clear()
    read = sum(1 for _ in dataset.entries())
    yield f"{_counted(read, 'picture')} could be read"
    for what, count in dataset.left_out.items():
        yield f"left out: {count:,} {what}"
    reasons: dict[str, list[str]] = {}
    for one in dataset.rejections.rejected:
        reasons.setdefault(one.reason, []).append(one.source)
    for reason, where in reasons.items():
        shown = "; ".join(where[:3]) + (f"; and {len(where) - 3} more" if len(where) > 3 else "")
        problem, _, remedy = reason.partition("; ")
        yield (
            f"{_counted(len(where), 'file')} cannot be used: {problem} ({shown})",
            remedy or "leave them out.",
        )
