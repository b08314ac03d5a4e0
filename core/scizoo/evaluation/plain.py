"""Results as plain JSON values: what metrics.json and report.json hold."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np


def plain(value: Any) -> Any:
    """Turn a result into values that JSON can hold.

    Numbers that are not finite become None, since JSON has no word for them; dataclasses become
    mappings by their ``to_dict`` where they have one, else by their fields.

    Parameters
    ----------
    value : Any
        Scalars, arrays, paths, mappings, sequences and dataclasses, nested.

    Returns
    -------
    Any
        The same in dict, list, str, int, float, bool and None.

    Raises
    ------
    TypeError
        When a value has no plain form.
    """
    if value is None or isinstance(value, (str, bool, int)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, Path):
        return str(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        if hasattr(value, "to_dict"):
            return plain(value.to_dict())
        return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        ordered = sorted(value, key=str) if isinstance(value, (set, frozenset)) else value
        return [plain(inner) for inner in ordered]
    raise TypeError(f"a {type(value).__name__} has no plain form")
