"""Features are computed once a process for each observation, whatever split or setting asks for them."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any

import numpy as np

from scizoo.data.records import Record
from scizoo.errors import DataError
from scizoo_astronomy.content import Content

_KEPT: dict[Hashable, np.ndarray] = {}
_MOST = 200_000  # rows that are kept before all are forgotten


def matrix(
    records: Sequence[Record],
    kind: type[Content] | tuple[type[Content], ...],
    name: Hashable,
    compute: Callable,
) -> np.ndarray:
    """Return the features of records, shape (records, features), float64.

    Parameters
    ----------
    records : sequence of Record
    kind : type or tuple of types
        What their inputs must be.
    name : hashable
        Of the features, with the settings that change them.
    compute : callable
        An input to an array, shape (features,).

    Raises
    ------
    DataError
        When an input is of another kind, naming the record.
    """
    rows = []
    for record in records:
        value: Any = record.input
        if not isinstance(value, kind):
            kinds = kind if isinstance(kind, tuple) else (kind,)
            raise DataError(
                f"record '{record.id}' is a {type(value).__name__}.",
                expected=" or ".join(one.__name__ for one in kinds) + ", which this baseline reads",
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
