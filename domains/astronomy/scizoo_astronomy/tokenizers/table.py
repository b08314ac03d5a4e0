"""Rows of catalogues as short sequences: one position a column."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

import numpy as np

from scizoo.data.ragged import Ragged
from scizoo.errors import ConfigError, DataError
from scizoo_astronomy import coerce
from scizoo_astronomy.objects import CatalogRow
from scizoo_astronomy.tokenizers.base import ObjectTokenizer, check_choice, offsets_of, read_objects, rows_of

CENTRES = ("mean", "median")


class TableTokenizer(ObjectTokenizer):
    """Standardised columns as positions; each has an axis of ``values`` and a channel of its own.

    A value stands on its own axis, so that the first linear layer gives each column its own weights, as the
    feature tokenizer of FT-Transformer does (Gorishniy et al. 2021, arXiv 2106.11959). The statistics are
    those of the training part and are saved with the tokenizer; missing values are marked in ``observed``.

    Parameters
    ----------
    centre : {"median", "mean"}
        Columns are taken less their median, in units of their interquartile range, or less their mean, in
        units of their standard deviation.
    compress : bool
        Whether values pass through ``asinh``, which keeps long tails within bounds.
    names, location, scale : sequence, optional
        Of the columns; learnt by `train`.
    """

    main_input: ClassVar[str] = "values"

    def __init__(
        self,
        centre: str = "median",
        compress: bool = True,
        names: Sequence[str] | None = None,
        location: Sequence[float] | None = None,
        scale: Sequence[float] | None = None,
    ):
        self.centre, self.compress = check_choice("centre", centre, CENTRES), bool(compress)
        self.names = None if names is None else [str(name) for name in names]
        self.location = None if location is None else [float(value) for value in location]
        self.scale = None if scale is None else [float(value) for value in scale]
        sizes = {len(part) for part in (self.names, self.location, self.scale) if part is not None}
        if len(sizes) > 1 or (sizes and None in (self.names, self.location, self.scale)):
            raise ConfigError("tokenizer: names, location and scale go together, one entry a column.")

    @property
    def features(self) -> int:
        """Columns of ``values``: as many as the table has."""
        return len(self._trained()[0])

    def input_sizes(self) -> dict[str, int]:
        """Return the sizes of a backbone for these inputs; a column is a channel."""
        return {"features": self.features, "times": 0, "channels": self.features}

    def settings(self) -> dict[str, Any]:
        """Return the plain settings of this tokenizer, with what it has learnt."""
        names = ("centre", "compress", "names", "location", "scale")
        return {name: getattr(self, name) for name in names}

    def train(self, inputs: Iterable[Any]) -> None:
        """Learn the columns' location and scale.

        Raises
        ------
        DataError
            When there is no row, or rows have different columns.
        """
        rows = read_objects(list(inputs), coerce.catalog_row)
        if not rows:
            raise DataError("no row to learn the columns' scales from.", remedy="check data.path.")
        self.names = list(rows[0].names)
        table = self._table(rows)
        table[:, np.isnan(table).all(axis=0)] = 0.0  # a column that is empty in training says nothing
        if self.centre == "median":
            low, middle, high = np.nanquantile(table, [0.25, 0.5, 0.75], axis=0)
            location, scale = middle, (high - low) / 1.349
        else:
            location, scale = np.nanmean(table, axis=0), np.zeros(table.shape[1])
        spread = np.nanstd(table, axis=0)
        scale = np.where(scale > 1e-3 * spread, scale, spread)
        self.location = location.tolist()
        self.scale = np.where(scale > 0, scale, 1.0).tolist()

    def encode(self, inputs: Sequence[Any]) -> dict[str, Ragged]:
        """Encode rows of a catalogue.

        Parameters
        ----------
        inputs : sequence of CatalogRow
            Or what :func:`scizoo_astronomy.coerce.catalog_row` takes.

        Returns
        -------
        dict
            ``values`` and ``weight`` [T, T] float32, ``observed`` [T, T] bool, ``channel`` [T] int16.

        Raises
        ------
        DataError
            When the columns are not those of the training part.
        """
        _, location, scale = self._trained()
        table = self._table(read_objects(inputs, coerce.catalog_row))
        standard = (table - location) / scale
        standard = np.arcsinh(standard) if self.compress else standard
        count, columns = table.shape
        known = np.isfinite(standard)
        own = np.eye(columns, dtype=bool)
        observed = own[None] & known[:, :, None]
        values = np.where(observed, np.where(known, standard, 0.0)[:, :, None], 0.0).astype(np.float32)
        size = count * columns
        return rows_of(
            {
                "values": values.reshape(size, columns),
                "observed": observed.reshape(size, columns),
                "channel": np.tile(np.arange(columns, dtype=np.int16), count),
                "weight": observed.reshape(size, columns).astype(np.float32),
            },
            offsets_of(np.full(count, columns)),
        )

    def attribute(self, input: Any, scores: np.ndarray) -> np.ndarray:
        """Give a number a column, (columns,)."""
        return scores.sum(axis=1)

    def _trained(self) -> tuple[list[str], np.ndarray, np.ndarray]:
        if self.names is None or self.location is None or self.scale is None:
            raise ConfigError(
                "the table tokenizer has not seen a table yet.",
                expected="train(inputs) first, or a checkpoint's tokenizer",
            )
        return self.names, np.array(self.location), np.array(self.scale)

    def _table(self, rows: Sequence[CatalogRow]) -> np.ndarray:
        names = tuple(self.names or ())
        for position, row in enumerate(rows):
            if row.names != names:
                lacking = [name for name in names if name not in row.names]
                more = [name for name in row.names if name not in names]
                raise DataError(
                    f"input {position} has other columns than the training part: "
                    + "; ".join(
                        part
                        for part in (
                            f"lacks {', '.join(lacking)}" if lacking else "",
                            f"has {', '.join(more)} besides" if more else "",
                            "" if lacking or more else "in another order",
                        )
                        if part
                    )
                    + ".",
                    expected=f"the columns {', '.join(names)}",
                    remedy="give the same columns, in the same order.",
                )
        return np.array([row.values for row in rows], dtype=float).reshape(len(rows), len(names))
