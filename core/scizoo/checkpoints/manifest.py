"""scizoo.json: what a checkpoint is and how to build it again, as plain data. Imports nothing heavy."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from scizoo.checkpoints.migrations import FORMAT_VERSION, migrate
from scizoo.errors import CheckpointError

FILE_NAME = "scizoo.json"

# Keys that say where something ran, not what was run.
_MACHINE_KEYS = frozenset({"run_dir", "cache", "cache_dir", "output_dir", "hydra"})
_ABSOLUTE = re.compile(r"^(?:file://|/|~|[A-Za-z]:[\\/]|\\\\)")
# A path inside a command: at its start, or after a space, quote, "=", "[" or ",".
_PATH_IN_TEXT = re.compile(r"(?:(?<=[=\s'\"\[,])|^)(?:file://)?[/~](?:[^\s'\",\]]*/)?(?=[^\s/])")
_PATH_IN_BRACKETS = re.compile(r"\((?:/|~/|[A-Za-z]:[\\/])(?:[^()]*[\\/])?(?=[^\s/()\\])")
_USERINFO = re.compile(r"(?<=://)[^/@\s]+@")


@dataclass
class Manifest:
    """The contents of ``scizoo.json``.

    Components are plain data: ``_target_`` names a class, ``settings`` what its constructor takes.

    Parameters
    ----------
    name : str
        The checkpoint's own name, e.g. ``genomics/dna-tiny``.
    domain : str
        The domain it belongs to.
    kind : str
        The head's kind: classification, multilabel, regression, forecast, segmentation, retrieval, tokens,
        language, or ``embedding`` when there is no head.
    summary : str
        One line for ``scizoo list``.
    licence : str
        A canonical SPDX expression.
    backbone, head, tokenizer, target, augment : dict or None
        Components; ``augment`` gives the views that are averaged in prediction.
    context : dict
        Fields of the :class:`~scizoo.data.encoding.Context` that inputs are cut by.
    config : dict
        The resolved config of the run, without paths of the machine it ran on.
    versions : dict of str to str
        Versions of the libraries it was written with.
    data : dict
        Fingerprint and description of the training data.
    seeds : list of int
        Seeds of the run.
    adapter : dict or None
        How an unmerged adapter is put back on the backbone.
    uncertainty : dict or None
        How ``uncertainty.safetensors`` is to be read: methods, default coverage and counts. Left out of
        the file where it is None.
    document : dict or None
        What encodes documents, of a checkpoint for retrieval: ``context``, and ``backbone``, ``tokenizer``
        and ``adapter`` of the folder ``document`` where they are not those of the queries. Left out likewise.
    sketch : dict or None
        Which similarity made ``sketch.safetensors``, and of how many training records. Left out likewise.
    files : dict of str to int
        Size in bytes of every other file; tells a truncated file from a changed one.
    created : str
        UTC time of writing, ISO 8601.
    format_version : int
        Version of the format.
    """

    name: str
    domain: str
    kind: str
    summary: str
    licence: str
    backbone: dict[str, Any]
    context: dict[str, Any]
    head: dict[str, Any] | None = None
    tokenizer: dict[str, Any] | None = None
    target: dict[str, Any] | None = None
    augment: dict[str, Any] | None = None
    adapter: dict[str, Any] | None = None
    uncertainty: dict[str, Any] | None = None
    sketch: dict[str, Any] | None = None
    document: dict[str, Any] | None = None
    config: dict[str, Any] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    data: dict[str, Any] = field(default_factory=dict)
    seeds: list[int] = field(default_factory=list)
    files: dict[str, int] = field(default_factory=dict)
    created: str = ""
    format_version: int = FORMAT_VERSION

    def to_dict(self) -> dict[str, Any]:
        """Return the manifest as plain data, the format version first."""
        plain = asdict(self)
        for name in (
            "uncertainty",
            "sketch",
            "document",
        ):  # so the file stays readable by whoever does not know them
            if plain[name] is None:
                del plain[name]
        return {"format_version": plain.pop("format_version"), **plain}


def read_raw(folder: Path) -> dict[str, Any]:
    """Read scizoo.json as it stands, before any migration.

    Raises
    ------
    CheckpointError
        When it is missing or not the JSON object it should be.
    """
    path = folder / FILE_NAME
    if not path.is_file():
        raise CheckpointError(
            f"{folder} is not a scizoo checkpoint: it has no {FILE_NAME}.",
            expected="a folder written by a scizoo job, with README.md, config.json and scizoo.json",
            remedy="name the checkpoint's own folder, usually RUN/checkpoint.",
        )
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise CheckpointError(
            f"{path} is cut off or damaged: {error}", remedy="fetch or copy the checkpoint again."
        ) from error
    version = raw.get("format_version") if isinstance(raw, dict) else None
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise CheckpointError(
            f"{path} does not state a format version.",
            expected="a JSON object with an integer format_version",
            remedy="fetch or copy the checkpoint again.",
        )
    return dict(raw)


def parse_manifest(raw: Mapping[str, Any], folder: Path) -> Manifest:
    """Migrate and check the contents of scizoo.json.

    Parameters
    ----------
    raw : mapping
        What :func:`read_raw` gave.
    folder : Path
        The checkpoint, for messages.

    Returns
    -------
    Manifest

    Raises
    ------
    CheckpointError
        When the format is newer than this scizoo knows, or a field is missing or unknown.
    """
    plain = migrate(dict(raw), folder)
    known = {item.name for item in fields(Manifest)}
    unknown = sorted(set(plain) - known)
    missing = sorted({"name", "domain", "kind", "summary", "licence", "backbone", "context"} - set(plain))
    if unknown or missing:
        what = [f"lacks {', '.join(missing)}"] if missing else []
        what += [f"has unknown fields {', '.join(unknown)}"] if unknown else []
        raise CheckpointError(
            f"{folder / FILE_NAME} {' and '.join(what)}.",
            expected=f"the fields of format version {FORMAT_VERSION}",
            remedy="fetch or copy the checkpoint again.",
        )
    return Manifest(**plain)


def read_manifest(folder: str | Path) -> Manifest:
    """Read a checkpoint's scizoo.json; hashes are not checked here."""
    return parse_manifest(read_raw(Path(folder)), Path(folder))


def portable(value: Any) -> Any:
    """Leave the paths of this machine out of a config.

    Keys that only say where a run wrote are dropped; of an absolute path only the last name stays,
    so that the file can still be recognised; names and passwords are taken out of URLs.

    Parameters
    ----------
    value : plain data

    Returns
    -------
    plain data
    """
    if isinstance(value, Mapping):
        return {str(key): portable(item) for key, item in value.items() if key not in _MACHINE_KEYS}
    if isinstance(value, list | tuple):
        return [portable(item) for item in value]
    if isinstance(value, Path):
        return portable(str(value))
    if isinstance(value, str):
        if _ABSOLUTE.match(value):
            return re.split(r"[\\/]", value.rstrip("\\/"))[-1]
        # A data set's name may say in brackets where it was read from.
        return _USERINFO.sub("", _PATH_IN_BRACKETS.sub("(", value))
    return value


def portable_text(text: str) -> str:
    """Leave the folders of this machine out of a command: of an absolute path the last name stays."""
    return _USERINFO.sub("", _PATH_IN_TEXT.sub("", text))
