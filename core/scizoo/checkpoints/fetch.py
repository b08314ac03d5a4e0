"""Checkpoints behind a URL: fetched once into the cache, whole and checked, or not at all."""

from __future__ import annotations

import hashlib
import shutil
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from scizoo.checkpoints.safety import SUMS, check_folder, read_sums
from scizoo.errors import CheckpointError
from scizoo.files import atomic_dir, atomic_path, cache_dir

#: Copies a file of the remote checkpoint to a path on this machine.
Getter = Callable[[str, Path], None]


def fetch(url: str) -> Path:
    """Fetch a checkpoint into the cache and return its folder there.

    The cache is keyed by the URL and the remote SHA256SUMS: a changed checkpoint is fetched anew, an
    unchanged one costs one small request. Only files that SHA256SUMS lists are fetched.

    Parameters
    ----------
    url : str
        ``hf://org/name``, ``hf://org/name@revision``, or any URL that fsspec opens.

    Returns
    -------
    Path

    Raises
    ------
    CheckpointError
        When it cannot be reached, a library for its protocol is missing, or it is damaged.
    """
    from filelock import FileLock

    get = _hub_getter(url) if url.startswith("hf://") else _fsspec_getter(url)
    root = cache_dir() / "checkpoints" / hashlib.sha256(url.encode()).hexdigest()[:16]
    root.mkdir(parents=True, exist_ok=True)
    with FileLock(root / "lock"):
        sums = root / SUMS
        try:
            with atomic_path(sums) as temporary:
                get(SUMS, temporary)
        except CheckpointError as error:
            if not sums.is_file() or not _whole(_cached(root)):
                raise
            warnings.warn(f"{error.problem} The copy in the cache is used.", stacklevel=2)
        listed = read_sums(root)
        target = _cached(root)
        if _whole(target):
            return target
        with atomic_dir(target) as folder:
            for name in listed:
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                get(name, folder / name)
            shutil.copyfile(sums, folder / SUMS)
            check_folder(folder)
    return target


def _cached(root: Path) -> Path:
    return root / hashlib.sha256((root / SUMS).read_bytes()).hexdigest()[:16]


def _whole(folder: Path) -> bool:
    """Whether the cache has an undamaged copy; a damaged one is fetched again."""
    if not folder.is_dir():
        return False
    try:
        check_folder(folder)
    except CheckpointError as error:
        warnings.warn(f"{error.problem} It is fetched again.", stacklevel=3)
        return False
    return True


def _unreachable(url: str, name: str, error: BaseException) -> CheckpointError:
    return CheckpointError(
        f"{name} of the checkpoint {url} could not be fetched: {type(error).__name__}: {error}",
        expected="a checkpoint folder at that URL",
        remedy="check the URL, the network and your credentials.",
    )


def _fsspec_getter(url: str) -> Getter:
    import fsspec

    try:
        system, base = fsspec.core.url_to_fs(url)
    except ImportError as error:
        raise CheckpointError(
            f"{url} needs a library that is not installed: {error}",
            remedy="pip install 'scizoo[hub]', or the fsspec package for this kind of URL.",
        ) from error
    except ValueError as error:
        raise CheckpointError(
            f"{url} is no URL that can be opened: {error}", expected="hf://, s3://, https://, file://, ..."
        ) from error

    def get(name: str, path: Path) -> None:
        try:
            # Streamed by hand: get_file of some file systems makes a folder of what it cannot find.
            with system.open(f"{base.rstrip('/')}/{name}", "rb") as source, path.open("wb") as sink:
                shutil.copyfileobj(source, sink)
        except FileNotFoundError as error:
            raise _unreachable(url, name, error) from error
        except (OSError, ValueError) as error:
            if isinstance(error, OSError) and error.errno is not None and error.filename == str(path):
                raise  # this machine's disk, not the remote
            raise _unreachable(url, name, error) from error

    return get


def _hub_getter(url: str) -> Getter:
    try:
        import huggingface_hub
    except ImportError as error:
        raise CheckpointError(
            f"{url} needs huggingface_hub, which is not installed.", remedy="pip install 'scizoo[hub]'"
        ) from error
    repository, _, revision = url.removeprefix("hf://").strip("/").partition("@")
    if repository.count("/") != 1:
        raise CheckpointError(
            f"{url} is no hub reference.", expected="hf://org/name or hf://org/name@revision"
        )
    snapshot: dict[str, Any] = {}

    def get(name: str, path: Path) -> None:
        try:
            found = Path(
                huggingface_hub.hf_hub_download(
                    repository, name, revision=snapshot.get("revision", revision or None)
                )
            )
        except (OSError, ValueError) as error:  # what the hub raises derives from these
            raise _unreachable(url, name, error) from error
        # .../snapshots/<commit>/<name>: all files of one download come from one commit.
        snapshot.setdefault("revision", found.parent.name)
        shutil.copyfile(found, path)

    return get
