"""The sketch of what a checkpoint was trained on, from which overlap with test records is measured."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from scizoo.errors import CheckpointError

FILE = "sketch.safetensors"
_KEY = "sketch"


@dataclass(frozen=True)
class CorpusSketch:
    """A corpus summed up in a small array.

    Parameters
    ----------
    values : ndarray
        What the similarity's ``sketch`` gave.
    similarity : mapping
        ``_target_`` and the settings that a sketch depends on: only an equal similarity can read it.
    records : int
        How many records were read for it; 0 where the corpus gave what is sketched by itself.
    """

    values: np.ndarray
    similarity: Mapping[str, Any]
    records: int


def write_sketch(folder: Path, sketch: CorpusSketch) -> dict[str, Any]:
    """Write the array into a checkpoint; return what scizoo.json says of it."""
    from safetensors.numpy import save_file

    save_file({_KEY: np.ascontiguousarray(sketch.values)}, folder / FILE)
    return {"similarity": dict(sketch.similarity), "records": sketch.records}


def read_sketch(folder: Path, described: Mapping[str, Any] | None) -> CorpusSketch | None:
    """Read the sketch of a checkpoint; None where it carries none.

    Parameters
    ----------
    folder : Path
        The checkpoint.
    described : mapping or None
        ``sketch`` of its manifest.

    Raises
    ------
    CheckpointError
        When the file that the manifest promises is missing or damaged.
    """
    if not described:
        return None
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        values = load_file(folder / FILE)[_KEY]
    except (OSError, SafetensorError, KeyError) as error:
        raise CheckpointError(
            f"{folder / FILE} cannot be read: {error}", remedy="fetch or copy the checkpoint again."
        ) from error
    return CorpusSketch(values, dict(described["similarity"]), int(described["records"]))
