"""Features are computed once a process for each picture, whatever split or setting asks for them."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any

import numpy as np

from scizoo.data.records import Record
from scizoo.errors import DataError
from scizoo_radiology.images import RadiologyImage, Volume

_KEPT: dict[Hashable, np.ndarray] = {}
_MOST = 100_000  # rows that are kept before all are forgotten


def matrix(
    records: Sequence[Record], name: Hashable, compute: Callable[[RadiologyImage | Volume], np.ndarray]
) -> np.ndarray:
    """Return the features of pictures, shape (records, features), float64.

    Parameters
    ----------
    records : sequence of Record
    name : hashable
        Of the features, with the settings that change them.
    compute : callable
        A picture or volume to an array, shape (features,).

    Raises
    ------
    DataError
        When an input is none, naming the record.
    """
    rows = []
    for record in records:
        value: Any = record.input
        if not isinstance(value, RadiologyImage | Volume):
            raise DataError(
                f"record '{record.id}' is a {type(value).__name__}.",
                expected="a picture or a volume, which this baseline reads",
                remedy="choose the baseline of this kind of data.",
            )
        key = (name, value.digest())
        row = _KEPT.get(key)
        if row is None:
            if len(_KEPT) >= _MOST:
                _KEPT.clear()
            row = _KEPT[key] = np.asarray(compute(value), dtype=np.float64)
        rows.append(row)
    return np.stack(rows) if rows else np.empty((0, 0))


def forget() -> None:
    """Forget all features, so that a measurement starts from nothing."""
    _KEPT.clear()
