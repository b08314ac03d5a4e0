"""Source trees: which files belong to a folder, and to which repository."""

from __future__ import annotations

import logging
import os
import stat
import subprocess
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path

from scizoo.errors import DataError

log = logging.getLogger(__name__)

#: Folders that hold no source of their own.
SKIPPED = frozenset({"__pycache__", "node_modules", ".git", ".hg", ".svn", ".tox", ".venv", ".eggs"})
_GIT = (
    "git",
    # Nothing that a foreign repository configures may run.
    *("-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null", "-c", "core.untrackedCache=false"),
)


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A file of a source tree.

    Parameters
    ----------
    path : Path
    relative : str
        Below the root that was named, with forward slashes.
    repository : str
        The git checkout that it lies in, by its path below the root; elsewhere the first folder below the
        root; of files at the top, the root's own name.
    inside : str
        Its path within that repository.
    """

    path: Path
    relative: str
    repository: str
    inside: str


@dataclass
class SourceTree:
    """A folder of source code.

    Symbolic links are never followed, so that none leads out of the folder or round in a circle; in git
    checkouts the files are those that git tracks or would track (``.gitignore`` is heeded). Devices,
    sockets and pipes are not opened.

    Parameters
    ----------
    root : Path
    exclude : sequence of str
        Globs of paths below the root that are left alone; ``docs/*`` is all below ``docs``.
    whole : bool
        Whether the root is one repository, though it is no git checkout.
    """

    root: Path
    exclude: Sequence[str] = ()
    whole: bool = False
    #: What was not looked at, by reason; filled by :meth:`files`.
    skipped: Counter[str] = field(default_factory=Counter)

    def files(self) -> Iterator[SourceFile]:
        """Yield the regular files, sorted by path.

        Raises
        ------
        DataError
            When the folder cannot be listed.
        """
        self.skipped = Counter()
        for file in self._below(self.root, self.root if self.whole else None):
            if not self._excluded(file.relative):
                yield file

    def _below(self, folder: Path, repository: Path | None) -> Iterator[SourceFile]:
        checkout = (folder / ".git").exists()
        if checkout:
            repository = folder
            listed = _tracked(folder)
            if listed is not None:
                yield from self._listed(folder, listed)
                return
        try:
            entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
        except OSError as error:
            if folder == self.root:
                raise DataError(
                    f"{folder} cannot be read: {error.strerror}.", remedy="check its permissions."
                ) from error
            self.skipped["folders that cannot be read"] += 1
            return
        for entry in entries:
            if entry.is_symlink():
                self.skipped["symbolic links"] += 1
            elif entry.is_dir(follow_symlinks=False):
                if entry.name in SKIPPED or (entry.name.startswith(".") and entry.name != ".github"):
                    self.skipped["hidden and generated folders"] += 1
                elif not self._excluded(f"{Path(entry.path).relative_to(self.root).as_posix()}/"):
                    yield from self._below(Path(entry.path), repository)
            elif entry.is_file(follow_symlinks=False):
                yield self._file(Path(entry.path), repository)
            else:
                self.skipped["devices, sockets and pipes"] += 1

    def _excluded(self, relative: str) -> bool:
        return any(fnmatch(relative, pattern) for pattern in self.exclude)

    def _listed(self, folder: Path, names: list[str]) -> Iterator[SourceFile]:
        nested: set[str] = set()
        for name in names:
            path = folder / name
            try:
                mode = path.lstat().st_mode
            except OSError:  # deleted from the work tree, not yet from the index
                self.skipped["files that git lists and that are gone"] += 1
                continue
            if stat.S_ISREG(mode):
                if any(part in SKIPPED for part in Path(name).parts[:-1]):
                    self.skipped["hidden and generated folders"] += 1
                elif _links(folder, name):
                    self.skipped["symbolic links"] += 1
                else:
                    yield self._file(path, folder)
            elif stat.S_ISDIR(mode):  # a submodule, or a checkout that git does not look into
                nested.add(name)
            else:
                self.skipped["symbolic links" if stat.S_ISLNK(mode) else "devices, sockets and pipes"] += 1
        for name in sorted(nested):
            yield from self._below(folder / name, None)

    def _file(self, path: Path, repository: Path | None) -> SourceFile:
        relative = path.relative_to(self.root)
        if repository is not None:
            below = repository.relative_to(self.root)
            name = self.root.name if below == Path() else below.as_posix()
            inside = path.relative_to(repository)
        elif len(relative.parts) > 1:
            name, inside = relative.parts[0], Path(*relative.parts[1:])
        else:
            name, inside = self.root.name, relative
        return SourceFile(path, relative.as_posix(), name, inside.as_posix())


def _links(folder: Path, name: str) -> bool:
    """Whether a folder on the way is a symbolic link."""
    place = folder
    for part in Path(name).parts[:-1]:
        place = place / part
        if place.is_symlink():
            return True
    return False


def _tracked(folder: Path) -> list[str] | None:
    """List what git tracks or would track; None where git is not there or refuses."""
    command = [*_GIT, "-C", str(folder), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    environment = {
        key: value for key, value in os.environ.items() if not key.startswith("GIT_") and key != "BASH_ENV"
    } | {"GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}
    try:
        ran = subprocess.run(
            command, capture_output=True, env=environment, stdin=subprocess.DEVNULL, timeout=600, check=False
        )
    except (FileNotFoundError, subprocess.TimeoutExpired):
        log.warning("%s: git does not answer; all files of the folder are read, ignored ones too.", folder)
        return None
    if ran.returncode:
        said = ran.stderr.decode("utf-8", "replace").strip().splitlines()
        log.warning(
            "%s: git cannot list its files (%s); all files of the folder are read, ignored ones too.",
            folder,
            said[0] if said else f"status {ran.returncode}",
        )
        return None
    return sorted({os.fsdecode(name) for name in ran.stdout.split(b"\0") if name})
