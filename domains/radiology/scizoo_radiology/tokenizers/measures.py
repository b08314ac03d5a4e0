"""Named numbers as short sequences: one position a measure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

import numpy as np

from scizoo.data.ragged import Ragged
from scizoo.errors import ConfigError, DataError
from scizoo_radiology import coerce
from scizoo_radiology.reference import MadeUp
from scizoo_radiology.tokenizers.base import ObjectTokenizer, read_objects


class MeasuresTokenizer(ObjectTokenizer):
    """Standardised measures as positions; each has an axis of ``values`` and a channel of its own.

    A value stands on its own axis, so that the first linear layer gives each measure its own weights, as the
    feature tokenizer of FT-Transformer does (Gorishniy et al. 2021, arXiv 2106.11959). Measures are taken
    less their median in interquartile ranges of the training part, through ``asinh``, which keeps long tails
    within bounds; missing ones are marked in ``observed``.

    Parameters
    ----------
    names, location, scale : sequence, optional
        Of the measures; learnt by `train` and saved with the tokenizer.
    """

    main_input: ClassVar[str] = "values"

    def __init__(
        self,
        names: Sequence[str] | None = None,
        location: Sequence[float] | None = None,
        scale: Sequence[float] | None = None,
    ):
        self.names = None if names is None else [str(name) for name in names]
        self.location = None if location is None else [float(value) for value in location]
        self.scale = None if scale is None else [float(value) for value in scale]
        given = [part for part in (self.names, self.location, self.scale) if part is not None]
        if len(given) not in (0, 3) or len({len(part) for part in given}) > 1:
            raise ConfigError("tokenizer: names, location and scale go together, one entry a measure.")

    def input_sizes(self) -> dict[str, int]:
        """Return the sizes of a backbone for these inputs; a measure is a channel."""
        count = len(self._trained()[0])
        return {"features": count, "times": 0, "channels": count}

    def settings(self) -> dict[str, Any]:
        """Return what was learnt."""
        return {"names": self.names, "location": self.location, "scale": self.scale}

    def train(self, inputs: Iterable[Any]) -> None:
        """Learn the measures' location and scale.

        Raises
        ------
        DataError
            When there is no row, or rows have different measures.
        """
        rows = read_objects(list(inputs), coerce.measures)
        if not rows:
            raise DataError("no row to learn the scales of measures from.", remedy="check data.path.")
        self.names = list(rows[0])
        table = self._table(rows)
        table[:, np.isnan(table).all(axis=0)] = 0.0  # a measure that is never known in training says nothing
        low, middle, high = np.nanquantile(table, [0.25, 0.5, 0.75], axis=0)
        spread, scale = np.nanstd(table, axis=0), (high - low) / 1.349
        scale = np.where(scale > 1e-3 * spread, scale, spread)
        self.location, self.scale = middle.tolist(), np.where(scale > 0, scale, 1.0).tolist()

    def encode(self, inputs: Sequence[Any]) -> dict[str, Ragged]:
        """Encode rows of measures.

        Parameters
        ----------
        inputs : sequence of mapping of str to float
            NaN or None where a measure is not known.

        Returns
        -------
        dict
            ``values`` and ``weight`` [T, T] float32, ``observed`` [T, T] bool, ``channel`` [T] int16.

        Raises
        ------
        DataError
            When the measures are not those of the training part.
        """
        _, location, scale = self._trained()
        table = self._table(read_objects(inputs, self._row))
        standard = np.arcsinh((table - location) / scale)
        count, columns = table.shape
        observed = np.eye(columns, dtype=bool)[None] & np.isfinite(standard)[:, :, None]
        values = np.where(observed, np.nan_to_num(standard)[:, :, None], 0.0).astype(np.float32)
        offsets = np.arange(count + 1, dtype=np.int64) * columns
        rows = {
            "values": values.reshape(-1, columns),
            "observed": observed.reshape(-1, columns),
            "channel": np.tile(np.arange(columns, dtype=np.int16), count),
            "weight": observed.reshape(-1, columns).astype(np.float32),
        }
        return {name: Ragged(array, offsets) for name, array in rows.items()}

    def attribute(self, input: Any, scores: np.ndarray) -> np.ndarray:
        """Give a number a measure, in the order in which they were learnt."""
        return scores.sum(axis=1)

    def _row(self, value: Any) -> dict[str, float]:
        if isinstance(value, MadeUp):  # made up about the medians that were learnt
            names, location, scale = self._trained()
            return dict(zip(names, (location + value.step * scale).tolist(), strict=True))
        return coerce.measures(value)

    def _trained(self) -> tuple[list[str], np.ndarray, np.ndarray]:
        if self.names is None or self.location is None or self.scale is None:
            raise ConfigError(
                "the tokenizer of measures has not seen a row yet.",
                expected="train(inputs) first, or a checkpoint's tokenizer",
            )
        return self.names, np.array(self.location), np.array(self.scale)

    def _table(self, rows: Sequence[dict[str, float]]) -> np.ndarray:
        names = self.names or []
        for position, row in enumerate(rows):
            lacking = [name for name in names if name not in row]
            more = [name for name in row if name not in names]
            if lacking or more:
                words = [f"lacks {', '.join(lacking[:5])}"] if lacking else []
                words += [f"has {', '.join(more[:5])} besides"] if more else []
                raise DataError(
                    f"input {position} has other measures than the training part: it {' and '.join(words)}.",
                    expected=f"the {len(names)} measures {', '.join(names[:5])}, ...",
                    remedy="give the same measures.",
                )
        return np.array([[row[name] for name in names] for row in rows], dtype=float).reshape(len(rows), -1)
