"""Where checkpoints are: shipped with a plugin, in the local store, at a path, behind a URL.

Imports nothing heavy: ``scizoo list checkpoints`` answers at once.
"""

from __future__ import annotations

import fnmatch
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urlparse

from scizoo import plugins
from scizoo.checkpoints.fetch import fetch
from scizoo.checkpoints.manifest import FILE_NAME, read_manifest
from scizoo.checkpoints.safety import check_folder
from scizoo.errors import CheckpointError, ScizooError, did_you_mean
from scizoo.files import atomic_dir, data_dir

_NAME = re.compile(r"^[a-z0-9][a-z0-9._-]*(/[a-z0-9][a-z0-9._-]*)+$")


class CheckpointInfo(str):
    """The name of a checkpoint, which also knows what ``scizoo list`` shows of it.

    Being a string it can be compared, sorted, and handed to :func:`scizoo.load` as it is.

    Attributes
    ----------
    name : str
        The reference, e.g. ``genomics/dna-tiny``.
    summary : str
        One line from its manifest, or why the manifest cannot be read.
    domain, kind, licence : str
        As in the manifest; empty where that cannot be read.
    source : str
        ``shipped`` or ``store``.
    path : Path
        Its folder.
    """

    summary: str
    domain: str
    kind: str
    licence: str
    source: str
    path: Path

    def __new__(cls, name: str, path: Path, source: str) -> CheckpointInfo:
        """Read the manifest of the checkpoint at `path`; no weights are opened."""
        self = super().__new__(cls, name)
        self.path, self.source = path, source
        try:
            manifest = read_manifest(path)
        except ScizooError as error:
            self.summary, self.domain, self.kind, self.licence = error.problem, name.split("/")[0], "", ""
        else:
            self.summary, self.domain = manifest.summary, manifest.domain
            self.kind, self.licence = manifest.kind, manifest.licence
        return self

    @property
    def name(self) -> str:
        """The reference as a plain string."""
        return str.__str__(self)

    def to_dict(self) -> dict[str, str]:
        """Return plain data for ``scizoo list --json``."""
        return {
            "name": self.name,
            "summary": self.summary,
            "domain": self.domain,
            "kind": self.kind,
            "licence": self.licence,
            "source": self.source,
            "path": str(self.path),
        }


def store_dir() -> Path:
    """Return the folder of the local store."""
    return data_dir() / "checkpoints"


def list_checkpoints(glob: str = "*") -> list[CheckpointInfo]:
    """List the checkpoints that can be loaded by name.

    Parameters
    ----------
    glob : str
        Shell-style pattern on the name, e.g. ``"*dna*"`` or ``"genomics/*"``.

    Returns
    -------
    list of CheckpointInfo
        Sorted by name. What is shipped with a plugin hides what the store has under the same name.
    """
    found = {name: (path, "store") for name, path in _stored()}
    found.update({name: (path, "shipped") for name, path in _shipped() if path.is_dir()})
    return [
        CheckpointInfo(name, path, source)
        for name, (path, source) in sorted(found.items())
        if fnmatch.fnmatchcase(name, glob)
    ]


def resolve_ref(ref: str | Path) -> Path:
    """Find the folder that a reference means; URLs are fetched into the cache.

    Parameters
    ----------
    ref : str or Path
        A name (``genomics/dna-tiny``), a path, or a URL (``hf://org/name``, ``hf://org/name@revision``,
        ``s3://...``, ``file://...``, or any other that fsspec knows). A known name goes before a folder
        of the same spelling; write ``./genomics/dna-tiny`` for the folder.

    Returns
    -------
    Path
        The folder. Its contents are checked by whoever loads it.

    Raises
    ------
    CheckpointError
        When nothing has that name, with the nearest names, or the path does not exist.
    """
    text = str(ref)
    if "://" in text:
        scheme = text.split("://", 1)[0]
        return _existing(Path(unquote(urlparse(text).path))) if scheme == "file" else fetch(text)
    if isinstance(ref, Path) or text.startswith((".", "/", "~")):
        return _existing(Path(text).expanduser())
    shipped = dict(_shipped())
    if text in shipped:
        if not shipped[text].is_dir():
            raise CheckpointError(
                f"The checkpoint '{text}' belongs to an installed plugin, but {shipped[text]} is missing.",
                remedy="install the plugin again.",
            )
        return shipped[text]
    if _NAME.match(text) and (store_dir() / text / FILE_NAME).is_file():
        return store_dir() / text
    if Path(text).is_dir():
        return Path(text)
    raise _unknown(text, [*shipped, *(name for name, _ in _stored())])


def install(path: str | Path, name: str, *, overwrite: bool = False) -> Path:
    """Copy a checkpoint into the local store, so that it can be loaded by name.

    Parameters
    ----------
    path : path or URL
        The checkpoint; it is checked before and after the copy.
    name : str
        ``domain/name``, in lower case.
    overwrite : bool
        Whether an older checkpoint of that name may be replaced.

    Returns
    -------
    Path
        Its folder in the store.

    Raises
    ------
    CheckpointError
        When the name is not allowed or taken, or the checkpoint is damaged.
    """
    check_checkpoint_name(name)
    source = resolve_ref(path)
    check_folder(source)
    target = store_dir() / name
    if name in dict(_shipped()):
        raise CheckpointError(f"'{name}' is the name of a shipped checkpoint.", remedy="choose another name.")
    if target.exists() and not overwrite:
        raise CheckpointError(
            f"The store already has a checkpoint '{name}'.",
            remedy="choose another name, or allow it to be replaced (overwrite=True).",
        )
    with atomic_dir(target) as temporary:
        shutil.copytree(source, temporary, dirs_exist_ok=True)
        check_folder(temporary)
    return target


def check_checkpoint_name(name: str) -> str:
    """Check that a name can be a reference and a folder on every system.

    Raises
    ------
    CheckpointError
        When it is not of the form ``domain/name``.
    """
    if not _NAME.match(name):
        raise CheckpointError(
            f"'{name}' cannot be the name of a checkpoint.",
            expected="domain/name of lower-case letters, digits, '.', '_' and '-', e.g. genomics/dna-tiny",
        )
    return name


def _unknown(name: str, known: list[str]) -> CheckpointError:
    """Phrase the error for a checkpoint name that nothing has."""
    return CheckpointError(
        f"There is no checkpoint '{name}'; {did_you_mean(name, known)}",
        expected="a name from `scizoo list checkpoints`, a folder, or a URL (hf://org/name, s3://..., file://...)",
    )


def _existing(path: Path) -> Path:
    if not path.is_dir():
        raise CheckpointError(
            f"There is no checkpoint at {path}.",
            expected="a checkpoint folder, such as RUN/checkpoint",
            remedy="check the path; `scizoo list checkpoints` shows what has a name.",
        )
    return path


def _shipped() -> Iterator[tuple[str, Path]]:
    for domain in plugins.domains().values():
        package = plugins.package_dir(domain.package)
        if package is not None:
            for name, folder in domain.checkpoints.items():
                yield f"{domain.name}/{name}", package / folder


def _stored() -> Iterator[tuple[str, Path]]:
    root = store_dir()
    for manifest in sorted(root.glob(f"*/**/{FILE_NAME}")):
        name = manifest.parent.relative_to(root).as_posix()
        if _NAME.match(name):
            yield name, manifest.parent
