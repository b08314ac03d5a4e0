"""Atomic writes, digests and the folders that scizoo keeps on this machine."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from scizoo.errors import MachineError, ScizooError

# Faults of the machine, not of what the user asked for.
_MACHINE_FAULTS = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk quota is used up",
    errno.EIO: "the disk reported an error",
    errno.EROFS: "the file system is read-only",
    errno.EFBIG: "it grew beyond the largest file that is allowed here (ulimit -f)",
}
# Libraries written in other languages pass the system's words on in errors of their own kind.
_TOLD = re.compile(r"\(os error (\d+)\)|\[Errno (\d+)\]")


def machine_fault(error: BaseException) -> str | None:
    """Say in words what a full or failing disk did, if it is behind an error.

    Parameters
    ----------
    error : BaseException
        Whatever was raised; the errors that led to it are looked at too.

    Returns
    -------
    str or None
        ``"the disk is full"`` and the like; None for any other error.
    """
    seen: BaseException | None = error
    while seen is not None:
        number = seen.errno if isinstance(seen, OSError) else None
        told = _TOLD.search(str(seen)) if number is None else None
        if told:
            number = int(told[1] or told[2])
        if number in _MACHINE_FAULTS:
            return _MACHINE_FAULTS[number]
        seen = seen.__cause__ or seen.__context__
    return None


@contextmanager
def machine_faults(path: str | os.PathLike[str]) -> Iterator[None]:
    """Turn a full or failing disk into a message that names the file.

    Parameters
    ----------
    path : path-like
        What is being written.

    Raises
    ------
    MachineError
        When the operating system reports a full, read-only or failing disk.
    """
    try:
        yield
    except ScizooError:
        raise
    except Exception as error:
        fault = machine_fault(error)
        if fault is None:
            raise
        raise MachineError(
            f"{path} could not be written: {fault}.",
            remedy="free some space or name another folder; nothing half-written was left behind.",
        ) from error


def _temporary(path: Path) -> Path:
    return path.with_name(f".{path.name}.{os.getpid()}-{uuid.uuid4().hex[:8]}.tmp")


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


@contextmanager
def atomic_path(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Give a temporary file name that becomes `path` when the block succeeds.

    Parameters
    ----------
    path : path-like
        The file to write; its folder is made if it is missing. An older file is replaced.

    Yields
    ------
    Path
        A name in the same folder; removed when the block fails.

    Raises
    ------
    MachineError
        When the disk is full, read-only or failing.
    """
    target = Path(path)
    with machine_faults(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = _temporary(target)
        try:
            yield temporary
            temporary.replace(target)
        finally:
            _remove(temporary)


@contextmanager
def atomic_dir(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Give an empty temporary folder that becomes `path` when the block succeeds.

    Parameters
    ----------
    path : path-like
        The folder to make. An older folder of that name is replaced as a whole.

    Yields
    ------
    Path
        A folder beside `path`; removed when the block fails.

    Raises
    ------
    MachineError
        When the disk is full, read-only or failing.
    """
    target = Path(path)
    with machine_faults(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = _temporary(target)
        old = _temporary(target)
        try:
            temporary.mkdir()
            yield temporary
            if target.exists():
                target.rename(old)  # a folder with content cannot be replaced in one step
            try:
                temporary.rename(target)
            except OSError:
                if old.exists() and not target.exists():
                    old.rename(target)
                raise
        finally:
            _remove(temporary)
            if target.exists():
                _remove(old)


def write_text(path: str | os.PathLike[str], text: str) -> Path:
    """Write a UTF-8 text file atomically and return its path."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return Path(path)


def write_json(path: str | os.PathLike[str], obj: Any) -> Path:
    """Write plain data as indented JSON atomically and return the path.

    NaN and infinity are refused, because other programs cannot read them.
    """
    return write_text(path, json.dumps(obj, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def sha256_file(path: str | os.PathLike[str]) -> str:
    """Return the SHA-256 of a file as hex digits."""
    with Path(path).open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def sha256_json(obj: Any) -> str:
    """Return the SHA-256 of plain data, whatever the order of its keys."""
    text = json.dumps(obj, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def _folder(variable: str, default: str) -> Path:
    given = os.environ.get(variable)
    return Path(given).expanduser() if given else Path(default)


def data_dir() -> Path:
    """Return the folder of the local checkpoint store (``SCIZOO_DATA_DIR`` overrides it)."""
    import platformdirs

    return _folder("SCIZOO_DATA_DIR", platformdirs.user_data_dir("scizoo"))


def cache_dir() -> Path:
    """Return the folder of fetched and encoded data (``SCIZOO_CACHE_DIR`` overrides it)."""
    import platformdirs

    return _folder("SCIZOO_CACHE_DIR", platformdirs.user_cache_dir("scizoo"))
