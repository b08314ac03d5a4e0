"""Files one by one, from folders and zip archives: what each of them is, and limits before it is unpacked."""

from __future__ import annotations

import io
import re
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from scizoo.data.opening import reading
from scizoo.errors import DataError

_PNG, _JPEG, _GZIP, _ZIP = b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"\x1f\x8b", b"PK\x03\x04"
_NIFTI = (b"n+1\0", b"n+2\0", b"ni1\0", b"ni2\0")
_HEAD = 352
#: The ending of a name to what the file must then be.
_ENDINGS = {
    **dict.fromkeys((".dcm", ".dicom", ".ima"), "dicom"),
    **dict.fromkeys((".nii", ".nii.gz"), "nifti"),
    ".png": "png",
    ".jpg": "jpeg",
    ".jpeg": "jpeg",
    ".zip": "zip",
}
TITLES = {"dicom": "DICOM", "nifti": "NIfTI", "png": "a PNG", "jpeg": "a JPEG", "zip": "a zip archive"}
EXPECTED = "DICOM, NIfTI, PNG or JPEG, folders or zip archives of these, or a table that lists them"


class UnusableError(ValueError):
    """A file or series that cannot be used, in words of this package, which name no patient."""


@dataclass(frozen=True)
class Limits:
    """What a file may declare before it is unpacked; against bombs, and against an empty memory.

    Parameters
    ----------
    pixels : int
        Rows times columns times frames, of a file and of a whole series.
    ratio : float
        How many times larger a zip archive's member, or a deflated or gzip file, may be than it is packed.
    """

    pixels: int = 600_000_000
    ratio: float = 200.0

    def check_pixels(self, count: int) -> None:
        """Refuse more pixels than are allowed.

        Raises
        ------
        UnusableError
        """
        if count > self.pixels:
            raise UnusableError(
                f"it declares {count:,} pixels, above the limit of {self.pixels:,}; raise data.max_pixels "
                "if that is right"
            )

    def check_ratio(self, size: int, packed: int) -> None:
        """Refuse what unpacks to far more than it is packed; a megabyte is always allowed.

        Raises
        ------
        UnusableError
        """
        if size > max(self.ratio * max(packed, 1), 1 << 20):
            raise UnusableError(
                f"{packed:,} bytes unpack to {size:,} or more, beyond {self.ratio:g} times: a zip bomb, or "
                "nearly empty; unpack it yourself if it is sound, or raise data.max_ratio"
            )


def short(shown: str) -> str:
    """Return what messages call a file, without of how many it is one."""
    return re.sub(r" of [\d,]+( in order of name)?", "", shown)


@dataclass(frozen=True, repr=False)
class File:
    """One file of a source, or one member of a zip archive. Its name stays inside.

    Parameters
    ----------
    path : Path
        The file, or the archive.
    member : str
        The archive's member; ``""`` for a file.
    name : str
        Path within the source, for matching; it may name a patient.
    shown : str
        What messages call it: its place in the source, or its name where the user typed that.
    """

    path: Path
    member: str
    name: str
    shown: str

    def __repr__(self) -> str:
        return f"File({self.shown})"

    @property
    def stem(self) -> str:
        """The name without folders and ending."""
        return stem(self.name)

    def open(self, limits: Limits) -> BinaryIO:
        """Open it for reading bytes; a member of an archive is unpacked into memory first.

        Raises
        ------
        DataError
            When it cannot be read.
        UnusableError
            When a member unpacks to more than the limits allow.
        """
        if not self.member:
            with reading(self.shown):
                return self.path.open("rb")
        with reading(self.shown):
            try:
                archive = _archive(self.path)
                info = archive.getinfo(self.member)
                limits.check_ratio(info.file_size, info.compress_size)
                with archive.open(info) as inner:
                    # The declared size may lie; zipfile gives no more than it.
                    return io.BytesIO(inner.read(info.file_size))
            except (zipfile.BadZipFile, NotImplementedError, RuntimeError) as error:
                raise DataError(
                    f"{self.shown} is damaged or locked.", remedy="unpack it yourself."
                ) from error

    def head(self) -> bytes:
        """Return the first bytes."""
        if not self.member:
            with reading(self.shown), self.path.open("rb") as stream:
                return stream.read(_HEAD)
        with reading(self.shown):
            try:
                with _archive(self.path).open(self.member) as inner:
                    return inner.read(_HEAD)
            except (zipfile.BadZipFile, NotImplementedError, RuntimeError) as error:
                raise DataError(
                    f"{self.shown} is damaged or locked.", remedy="unpack it yourself."
                ) from error

    def kind(self) -> str:
        """Say what it is by its first bytes: a key of :data:`TITLES`, or ``""``."""
        return kind_of(self.head(), self.name)

    def mismatch(self) -> str | None:
        """Say what is wrong where the name says another format than the first bytes, else None."""
        found, said = self.kind(), _said(self.name)
        if not said or found == said:
            return None
        if not found:
            return (
                f"it is not {TITLES[said]}, though its name ends so; copy or export it again, or leave it out"
            )
        return f"it is {TITLES[found]}, not {TITLES[said]} as its name says; rename it, or export it again"


def _said(name: str) -> str:
    lowered = name.lower()
    return next((kind for ending, kind in _ENDINGS.items() if lowered.endswith(ending)), "")


def stem(name: str) -> str:
    """Return a file's name without folders and without the endings of this field."""
    base = PurePosixPath(name.replace("\\", "/")).name
    lowered = base.lower()
    for ending in sorted(_ENDINGS, key=len, reverse=True):
        if lowered.endswith(ending):
            return base[: -len(ending)]
    return base


def kind_of(head: bytes, name: str = "") -> str:
    """Say what a file is by its first bytes; see :meth:`File.kind`."""
    if head[128:132] == b"DICM":
        return "dicom"
    for magic, kind in ((_PNG, "png"), (_JPEG, "jpeg"), (_ZIP, "zip")):
        if head.startswith(magic):
            return kind
    if head[344:348] in _NIFTI or head[4:8] in _NIFTI:
        return "nifti"
    if head.startswith(_GZIP):
        try:
            inner = zlib.decompressobj(31).decompress(head, 1024)
        except zlib.error:
            return ""
        size = struct.unpack("<i", inner[:4])[0] if len(inner) >= 4 else 0
        return "nifti" if size in (348, 540, 0x5C010000, 0x1C020000) else ""
    # DICOM without its preamble begins with a small group number.
    bare = head[:2] in (b"\x02\0", b"\x08\0") and head[3:4] == b"\0"
    return "dicom" if bare or (head[:4] == b"\0\x08\0\x05") else ""


def list_files(paths: Sequence[Path], root: Path, typed: bool) -> Iterator[File]:
    """Yield the files that paths stand for; zip archives give their members.

    Parameters
    ----------
    paths : sequence of Path
        Files, sorted.
    root : Path
        The folder that names are relative to.
    typed : bool
        Whether the user typed the name of the only file, so that messages may show it.

    Raises
    ------
    DataError
        When an archive cannot be opened.
    """
    total = len(paths)
    for number, path in enumerate(paths, 1):
        shown = path.name if typed and total == 1 else f"file {number:,} of {total:,} in order of name"
        relative = path.relative_to(root).as_posix() if path.is_relative_to(root) else path.name
        file = File(path, "", relative, shown)
        if path.stat().st_size and path.name.lower().endswith(".zip") and file.kind() == "zip":
            yield from _members(file)
        else:
            yield file


def _archive(path: Path) -> zipfile.ZipFile:
    """Open an archive once: its directory may list thousands of members, each of which is asked for."""
    about = path.stat()
    return _opened(path, about.st_mtime_ns, about.st_size)


@lru_cache(maxsize=2)
def _opened(path: Path, changed: int, size: int) -> zipfile.ZipFile:
    return zipfile.ZipFile(path)


def _members(archive: File) -> Iterator[File]:
    with reading(archive.shown):
        try:
            opened = _archive(archive.path)
        except zipfile.BadZipFile as error:
            raise DataError(
                f"{archive.shown} is a damaged zip archive.", remedy="copy or download it again."
            ) from error
    infos = sorted((one for one in opened.infolist() if _plain(one)), key=lambda one: one.filename)
    for number, info in enumerate(infos, 1):
        shown = f"{archive.shown}, member {number:,} of {len(infos):,}"
        yield File(archive.path, info.filename, f"{archive.name}/{info.filename}", shown)


def _plain(info: zipfile.ZipInfo) -> bool:
    base = PurePosixPath(info.filename).name
    return not (info.is_dir() or base.startswith(".") or stat.S_ISLNK(info.external_attr >> 16))


def inflate(packed: bytes, limits: Limits) -> bytes:
    """Unpack a raw deflate stream, stopping at the limits.

    Raises
    ------
    UnusableError
        When it would be larger, or is damaged.
    """
    most = int(max(limits.ratio * len(packed), 1 << 20))
    worker = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        found = worker.decompress(packed, most + 1)
    except zlib.error as error:
        raise UnusableError("its deflated data are damaged; copy or export it again") from error
    limits.check_ratio(len(found), len(packed))
    return found
