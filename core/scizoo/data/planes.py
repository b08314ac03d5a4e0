"""Label maps as a model sees its images: in their plane, view by view, on disk where they are many."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from scizoo.data.maps import LabelMaps
from scizoo.data.placement import Placement
from scizoo.data.records import Record
from scizoo.data.targets import IGNORED
from scizoo.data.tokenizer import Tokenizer
from scizoo.errors import ConfigError, DataError

_IN_MEMORY = 256_000_000  # bytes of planes; more of them lie in a file


class LabelPlanes:
    """The labels of each view of each record in the plane of the model.

    Parameters
    ----------
    planes : ndarray of int16, shape (rows, views, h, w)
    rows : ndarray of int, shape (records,)
        Where each record lies; -1 for one without labels, all of whose pixels are ignored.
    """

    def __init__(self, planes: np.ndarray, rows: np.ndarray):
        self.planes, self.rows = planes, rows

    def __len__(self) -> int:
        return len(self.rows)

    def plane(self, record: int, view: int) -> np.ndarray:
        """Give the class of each pixel (h, w) in one view of a record, -100 where it does not count."""
        row = int(self.rows[record])
        if row < 0:
            return np.full(self.planes.shape[2:], IGNORED, dtype=np.int16)
        found: np.ndarray = np.array(self.planes[row, view])
        return found


def placement_of(tokenizer: Tokenizer, record: Record) -> Placement:
    """Ask a tokenizer where the image of a record lies in the plane of the model.

    Raises
    ------
    ConfigError
        When the tokenizer cannot say it.
    """
    place: Callable[[Any], Placement] | None = getattr(tokenizer, "placement", None)
    if place is None:
        raise ConfigError(
            f"{type(tokenizer).__name__} does not say where an image lies in what the model sees.",
            expected="a tokenizer of images with a method placement(input)",
            remedy="choose another tokenizer, or a checkpoint with one.",
        )
    return place(record.input)


def label_planes(
    maps: LabelMaps,
    records: Sequence[Record],
    tokenizer: Tokenizer,
    *,
    rows: np.ndarray,
    augment: Any = None,
    folder: Path | None = None,
) -> LabelPlanes:
    """Bring label maps to the plane of the model by nearest neighbours.

    Parameters
    ----------
    maps : LabelMaps
        One a record.
    records : sequence of Record
    tokenizer : Tokenizer
        With a method ``placement``.
    rows : ndarray of int
        The records that are needed; the others have no labels.
    augment : Augment, optional
        Gives the views of an input; its method ``label_views(map)`` gives those of a map, in the same order.
    folder : Path, optional
        Where a temporary file goes when the planes are many.

    Raises
    ------
    DataError
        When a map is of another size than its image, or the tokenizer's planes are not all of one size.
    ConfigError
        When the tokenizer or the augmentation does not serve label maps.
    """
    views: Callable[[np.ndarray], list[np.ndarray]] = lambda labels: [labels]  # noqa: E731
    if augment is not None and augment.train:
        found = getattr(augment, "label_views", None)
        if found is None:
            raise ConfigError(
                f"augment: {type(augment).__name__} does not say how label maps follow its views.",
                expected="an augmentation with a method label_views(map)",
                remedy="set augment=null.",
            )
        views = found
    planes: np.ndarray | None = None
    for place, row in enumerate(rows.tolist()):
        record, labels = records[row], maps[row]
        shown = views(labels)
        made = [_to_plane(view, labels, placement_of(tokenizer, record), maps.names[row]) for view in shown]
        if planes is None:
            planes = _room((len(rows), len(made), *made[0].shape), folder)
        if (len(made), *made[0].shape) != planes.shape[1:]:
            raise DataError(
                f"{maps.names[row]}: the model would see {len(made)} planes of {made[0].shape}, of the first "
                f"record {planes.shape[1]} of {planes.shape[2:]}.",
                expected="a tokenizer that brings every image to one size",
            )
        planes[place] = made
    assert planes is not None
    where = np.full(len(records), -1, dtype=np.int64)
    where[rows] = np.arange(len(rows))
    return LabelPlanes(planes, where)


def _to_plane(view: np.ndarray, labels: np.ndarray, placement: Placement, name: str) -> np.ndarray:
    if tuple(placement.shape) != labels.shape:
        raise DataError(
            f"{name}: its label map has {labels.shape[0]} x {labels.shape[1]} pixels, its image "
            f"{placement.shape[0]} x {placement.shape[1]}.",
            expected="a label for each pixel of the image",
        )
    if view.shape != labels.shape:  # a view on its side
        placement = Placement.stretched(view.shape, placement.plane)
    return placement.map_to_plane(np.ascontiguousarray(view), IGNORED)


def _room(shape: tuple[int, ...], folder: Path | None) -> np.ndarray:
    if folder is None or 2 * int(np.prod(shape)) <= _IN_MEMORY:
        return np.empty(shape, dtype=np.int16)
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=folder) as stream:  # the mapping outlives the file's name
        return np.memmap(stream, dtype=np.int16, mode="w+", shape=shape)
