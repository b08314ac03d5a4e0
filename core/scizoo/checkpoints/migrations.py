"""Migrations of scizoo.json: a checkpoint written today loads for ever.

To change the format: raise FORMAT_VERSION, and register a function that turns the manifest of the
version before into the new one. Old checkpoints are migrated when they are read, step by step; their
files are never rewritten.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from scizoo.errors import CheckpointError

#: The version that this scizoo writes.
FORMAT_VERSION = 1

Migration = Callable[[dict[str, Any]], dict[str, Any]]

#: From a version to the function that gives the next one.
MIGRATIONS: dict[int, Migration] = {}


def migration(version: int) -> Callable[[Migration], Migration]:
    """Register the step from `version` to `version` + 1."""

    def register(step: Migration) -> Migration:
        if version in MIGRATIONS:
            raise ValueError(f"there already is a migration from format version {version}")
        MIGRATIONS[version] = step
        return step

    return register


def migrate(raw: dict[str, Any], folder: Path, *, to: int | None = None) -> dict[str, Any]:
    """Bring a manifest to the current format version.

    Parameters
    ----------
    raw : dict
        The manifest as stored.
    folder : Path
        The checkpoint, for messages.
    to : int, optional
        The version to reach; the current one by default.

    Returns
    -------
    dict
        The manifest in the wanted version.

    Raises
    ------
    CheckpointError
        When the checkpoint is of a newer format, or of one that has no way here.
    """
    wanted = FORMAT_VERSION if to is None else to
    version = raw["format_version"]
    if version > wanted:
        raise CheckpointError(
            f"{folder} has checkpoint format version {version}; this scizoo reads up to {wanted}.",
            remedy="upgrade scizoo: pip install --upgrade scizoo",
        )
    while version < wanted:
        step = MIGRATIONS.get(version)
        if step is None:
            raise CheckpointError(
                f"{folder} has checkpoint format version {version}, from which no migration is known.",
                remedy="the file was probably changed by hand; fetch the checkpoint again.",
            )
        version += 1
        raw = {**step(dict(raw)), "format_version": version}
    return raw
