"""What a checkpoint keeps about its own uncertainty: plain arrays in one file, plain settings beside."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file, save_file

FILE = "uncertainty.safetensors"


@dataclass(frozen=True)
class UncertaintyState:
    """Arrays and settings, as ``scizoo.evaluation.uncertainty`` makes and reads them.

    Parameters
    ----------
    arrays : mapping of str to ndarray
        The contents of ``uncertainty.safetensors``; one dimension or more each.
    settings : mapping
        The field ``uncertainty`` of scizoo.json: methods, default coverage and counts.
    """

    arrays: Mapping[str, np.ndarray]
    settings: Mapping[str, Any]


def write_uncertainty(folder: Path, state: UncertaintyState) -> None:
    """Write the arrays into a checkpoint's folder."""
    arrays = {name: np.ascontiguousarray(array) for name, array in state.arrays.items()}
    save_file(arrays, folder / FILE, metadata={"format": "np"})


def read_uncertainty(folder: Path, settings: Mapping[str, Any] | None) -> UncertaintyState | None:
    """Read the arrays of a checkpoint; None where it was written without."""
    return None if settings is None else UncertaintyState(load_file(folder / FILE), dict(settings))
