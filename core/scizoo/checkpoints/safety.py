"""What makes a checkpoint safe to read: SHA256SUMS, no pickle, no code, no stray file.

Nothing here imports torch, so that a checkpoint is judged before anything of it is loaded.
"""

from __future__ import annotations

import json
import re
import struct
from pathlib import Path, PurePosixPath
from typing import Any

from scizoo.checkpoints.manifest import FILE_NAME as MANIFEST
from scizoo.checkpoints.manifest import Manifest, parse_manifest, read_raw
from scizoo.errors import CheckpointError
from scizoo.files import sha256_file, write_text

SUMS = "SHA256SUMS"

#: Files every checkpoint has.
REQUIRED = (
    "README.md",
    "config.json",
    "model.safetensors",
    "metrics.json",
    "reference.safetensors",
    MANIFEST,
)

_PICKLES = frozenset({".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".joblib", ".dill", ".msgpack"})
_ALLOWED = frozenset(
    {
        ".json",
        ".safetensors",
        ".md",
        ".txt",
        ".csv",
        ".tsv",
        ".model",
        ".jinja",
        ".png",
        ".svg",
        ".html",
        ".bib",
    }
)
# Left by hubs and file managers, never read.
_IGNORED = frozenset({".gitattributes", ".DS_Store"})
_LINE = re.compile(r"^(?P<digest>[0-9a-f]{64}) [ *](?P<name>.+)$")
_AGAIN = "fetch or copy the checkpoint again."


def write_sums(folder: Path) -> None:
    """Write SHA256SUMS over every other file of the folder, as ``sha256sum -c`` reads it."""
    names = sorted(name for name in _present(folder) if name != SUMS)
    write_text(folder / SUMS, "".join(f"{sha256_file(folder / name)}  {name}\n" for name in names))


def read_sums(folder: Path) -> dict[str, str]:
    """Read SHA256SUMS as file name to digest.

    Raises
    ------
    CheckpointError
        When it is missing, cut off, or names a file outside the checkpoint.
    """
    path = folder / SUMS
    if not path.is_file():
        raise CheckpointError(f"{folder} has no {SUMS}, so nothing in it can be checked.", remedy=f"{_AGAIN}")
    try:
        text = path.read_bytes().decode("utf-8")
    except UnicodeDecodeError as error:
        raise CheckpointError(f"{path} is damaged: it is not text.", remedy=_AGAIN) from error
    sums: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        match = _LINE.match(line)
        if match is None:
            raise CheckpointError(
                f"{path} is cut off or damaged at line {number}.",
                expected="64 hex digits, two spaces, a file name",
                remedy=_AGAIN,
            )
        name = match["name"]
        check_name(name, path)
        if name in sums:
            raise CheckpointError(f"{path} names '{name}' twice.", remedy=_AGAIN)
        sums[name] = match["digest"]
    return sums


def check_name(name: str, where: Path) -> None:
    """Refuse a file name that could lead out of the checkpoint.

    Raises
    ------
    CheckpointError
        For absolute names, drive letters, backslashes, ``..`` and control characters.
    """
    parts = PurePosixPath(name).parts
    unsafe = (
        not parts
        or name.startswith("/")
        or "\\" in name
        or ":" in name
        or any(part in {"..", "."} for part in name.split("/"))
        or "//" in name
        or not name.isprintable()
    )
    if unsafe:
        raise CheckpointError(
            f"{where} names '{name}', which lies outside the checkpoint. It was refused.",
            expected="names of files inside the folder",
            remedy="do not use this checkpoint; ask whoever gave it to you.",
        )


def check_folder(folder: Path) -> Manifest:
    """Check a checkpoint as a whole before anything of it is loaded.

    Parameters
    ----------
    folder : Path
        The checkpoint.

    Returns
    -------
    Manifest
        Its manifest, migrated to the current format.

    Raises
    ------
    CheckpointError
        With a message of its own when it is no checkpoint, pickled, of a newer format, truncated,
        incomplete, holds a stray file, or does not match its checksums.
    """
    if not folder.is_dir():
        raise CheckpointError(f"{folder} is not a folder.", expected="a checkpoint folder")
    present = _present(folder)
    for name in sorted(present):
        _refuse_pickle(folder, name)
    raw = read_raw(folder)
    sums = read_sums(folder)
    # The manifest first: only a genuine one may say that the format is newer.
    if sums.get(MANIFEST) != sha256_file(folder / MANIFEST):
        raise _mismatch(folder, MANIFEST)
    manifest = parse_manifest(raw, folder)
    required = set(REQUIRED)
    if "model.safetensors.index.json" in sums:  # a large model, written in shards
        required.discard("model.safetensors")
    absent = sorted(required - set(sums))
    unlisted = sorted(set(manifest.files) - set(sums))
    if absent or unlisted:
        raise CheckpointError(
            f"{folder / SUMS} is incomplete: it does not list {', '.join(absent or unlisted)}.", remedy=_AGAIN
        )
    missing = sorted(set(sums) - present)
    if missing:
        raise CheckpointError(f"{folder} is incomplete: {', '.join(missing)} is missing.", remedy=_AGAIN)
    _refuse_stray(folder, present, sums)
    for name, digest in sums.items():
        _check_file(folder, name, digest, manifest.files.get(name))
    _refuse_remote_code(folder)
    return manifest


def _present(folder: Path) -> set[str]:
    found = set()
    for path in folder.rglob("*"):
        name = path.relative_to(folder).as_posix()
        if path.is_dir() and not path.is_symlink():
            continue
        if name in _IGNORED or name.startswith(".cache/huggingface/"):
            continue
        found.add(name)
    return found


def _refuse_pickle(folder: Path, name: str) -> None:
    path = folder / name
    pickled = path.suffix.lower() in _PICKLES
    if not pickled and path.suffix == ".safetensors" and path.is_file():
        with path.open("rb") as stream:
            start = stream.read(4)
        # A pickle starts with PROTO and its version, torch's newer files are zip archives.
        pickled = start[:4] == b"PK\x03\x04" or (start[:1] == b"\x80" and start[1:2] in b"\x02\x03\x04\x05")
        if pickled and start[:1] == b"\x80":
            # 0x80 0x02.. may also be a header length; a real header then starts with a brace.
            with path.open("rb") as stream:
                pickled = stream.read(9)[8:] != b"{"
    if pickled:
        raise CheckpointError(
            f"{path} is a pickle. Reading a pickle can run any program, so the checkpoint was refused.",
            expected="weights as safetensors only",
            remedy="ask whoever gave it to you for a safetensors version.",
        )


def _refuse_stray(folder: Path, present: set[str], sums: dict[str, str]) -> None:
    stray = sorted(present - set(sums) - {SUMS})
    if stray:
        raise CheckpointError(
            f"{folder} holds {', '.join(stray)}, which {SUMS} does not list: something was added to it.",
            remedy=f"delete what does not belong there, or {_AGAIN}",
        )
    odd = sorted(
        name for name in sums if Path(name).suffix.lower() not in _ALLOWED and Path(name).name != "LICENSE"
    )
    if odd:
        raise CheckpointError(
            f"{folder} holds {', '.join(odd)}; a checkpoint holds data only, never code.",
            expected=f"files ending in {', '.join(sorted(_ALLOWED))}",
            remedy="do not use this checkpoint; ask whoever gave it to you.",
        )


def _check_file(folder: Path, name: str, digest: str, size: int | None) -> None:
    path = folder / name
    actual = path.stat().st_size
    whole = size if size is not None else _safetensors_size(path)
    if whole is not None and actual < whole:
        raise CheckpointError(
            f"{path} is truncated: {actual} of {whole} bytes are there.",
            remedy=f"the copy or download stopped early; {_AGAIN}",
        )
    if sha256_file(path) != digest:
        raise _mismatch(folder, name)


def _safetensors_size(path: Path) -> int | None:
    """Length that a safetensors file should have by its own header; None where it has no such header."""
    if path.suffix != ".safetensors":
        return None
    with path.open("rb") as stream:
        start = stream.read(8)
        if len(start) < 8:
            return 8
        (length,) = struct.unpack("<Q", start)
        try:
            header: dict[str, Any] = json.loads(stream.read(min(length, 100_000_000)))
            ends = [entry["data_offsets"][1] for key, entry in header.items() if key != "__metadata__"]
        except (ValueError, KeyError, TypeError, AttributeError):
            return None
    return 8 + length + max(ends, default=0)


def _mismatch(folder: Path, name: str) -> CheckpointError:
    return CheckpointError(
        f"{folder / name} does not match its checksum in {SUMS}: "
        "it was corrupted or changed after the checkpoint was written.",
        remedy=_AGAIN,
    )


def _refuse_remote_code(folder: Path) -> None:
    for path in sorted(folder.rglob("*.json")):
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise CheckpointError(f"{path} is not valid JSON: {error}", remedy=_AGAIN) from error
        if not isinstance(content, dict):
            continue
        asked = [key for key, value in content.items() if key == "auto_map" or _fetches_kernel(key, value)]
        if asked:
            raise CheckpointError(
                f"{path} asks to run code from outside ({asked[0]}). It was refused.",
                remedy="use a checkpoint of an architecture that transformers or timm has built in.",
            )


def _fetches_kernel(key: str, value: Any) -> bool:
    """Whether a config names a kernel on the hub, which transformers would fetch and run."""
    return key.endswith("_implementation") and "/" in str(value)
