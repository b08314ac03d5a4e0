"""What segmentation is judged by: a few numbers a record and class, gathered while maps come and go."""

from __future__ import annotations

import heapq
import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from scizoo.data.maps import LabelMaps, MapTarget, spacing_of
from scizoo.data.placement import nearest_map
from scizoo.data.records import Record
from scizoo.data.targets import IGNORED
from scizoo.errors import TrainingError
from scizoo.evaluation.outputs import Outputs, meta_columns
from scizoo.evaluation.surfaces import surface_distances

log = logging.getLogger(__name__)

_KEPT, _KEPT_SIDE = 12, 512  # maps that the report may show, and the longest side they are kept with


@dataclass(frozen=True)
class MapStatistics:
    """The numbers of one record; each array has one entry a judged class.

    Parameters
    ----------
    true, predicted, intersection : ndarray, shape (K,)
        Pixels of the class in the truth, in the prediction and in both.
    hd95, assd : ndarray, shape (K,)
        See :class:`~scizoo.evaluation.surfaces.SurfaceDistances`; NaN where neither map has the class.
    """

    true: np.ndarray
    predicted: np.ndarray
    intersection: np.ndarray
    hd95: np.ndarray
    assd: np.ndarray

    @classmethod
    def of(
        cls,
        truth: np.ndarray,
        predicted: np.ndarray,
        numbers: Sequence[int],
        spacing: tuple[float, float] = (1.0, 1.0),
    ) -> MapStatistics:
        """Compare two maps of class numbers (H, W); pixels that the truth ignores (-100) are of no class.

        Parameters
        ----------
        truth, predicted : ndarray of int, shape (H, W)
        numbers : sequence of int
            The classes that are judged.
        spacing : (float, float)
        """
        said = np.where(truth == IGNORED, IGNORED, predicted)
        counts = np.zeros((3, len(numbers)))
        distances = np.full((2, len(numbers)), np.nan)
        for place, number in enumerate(numbers):
            ours, theirs = truth == number, said == number
            counts[:, place] = ours.sum(), theirs.sum(), (ours & theirs).sum()
            found = surface_distances(ours, theirs, spacing)
            distances[:, place] = found.hd95, found.assd
        return cls(*counts, *distances)

    @property
    def dice(self) -> float:
        """The mean Dice coefficient of the classes that either map has; 2 where neither has any."""
        size = self.true + self.predicted
        known = size > 0
        return float((2 * self.intersection[known] / size[known]).mean()) if known.any() else 2.0


def map_outputs(
    target: MapTarget,
    records: Sequence[Record],
    groups: np.ndarray,
    truth: LabelMaps,
    predicted: Iterable[tuple[int, np.ndarray]],
) -> Outputs:
    """Judge predicted maps one at a time, in any order.

    Parameters
    ----------
    target : MapTarget
    records : sequence of Record
    groups : ndarray of str
    truth : LabelMaps
        Of the same records.
    predicted : iterable of (int, ndarray)
        The number of the record and its map of class numbers (H, W), of the truth's size.

    Returns
    -------
    Outputs
        Of kind ``segmentation``. The maps of the records that went worst are kept for the report.

    Raises
    ------
    TrainingError
        When a map is missing or of another size.
    """
    numbers = range(1 if target.background else 0, len(target.classes))
    spacings = [spacing_of(record) for record in records]
    known = [spacing is not None for spacing in spacings]
    if any(known) and not all(known):
        log.warning(
            "%d of %d records do not say how large their pixels are: they have no surface distances.",
            known.count(False),
            len(known),
        )
    found: list[MapStatistics | None] = [None] * len(records)
    worst: list[tuple[float, int, np.ndarray]] = []
    for number, labels in predicted:
        true = truth[number]
        if labels.shape != true.shape:
            raise TrainingError(
                f"record '{records[number].id}': the predicted map has the shape {labels.shape}.",
                expected=f"{true.shape}, as its truth",
            )
        one = MapStatistics.of(true, labels, numbers, spacings[number] or (1.0, 1.0))
        found[number] = one
        entry = (-one.dice, -number)
        if len(worst) < _KEPT:
            heapq.heappush(worst, (*entry, target.decode(_small(labels))))
        elif entry > worst[0][:2]:
            heapq.heapreplace(worst, (*entry, target.decode(_small(labels))))
    if None in found:
        raise TrainingError(f"record '{records[found.index(None)].id}' has no predicted map.")
    done = [one for one in found if one is not None]
    columns = {
        name: np.array([getattr(one, name) for one in done], dtype=float).reshape(len(done), len(numbers))
        for name in ("true", "predicted", "intersection", "hd95", "assd")
    }
    if any(known):
        for name in ("hd95", "assd"):
            columns[name][~np.array(known)] = np.nan
    return Outputs(
        ids=np.array([record.id for record in records], dtype=str),
        groups=groups,
        targets=columns["true"],
        kind="segmentation",
        classes=tuple(target.foreground),
        predicted_size=columns["predicted"],
        intersection=columns["intersection"],
        hd95=columns["hd95"],
        assd=columns["assd"],
        unit=target.unit if any(known) else "pixels",
        maps={records[-place].id: labels for _, place, labels in worst},
        meta=meta_columns([record.meta for record in records]),
    )


def _small(labels: np.ndarray) -> np.ndarray:
    """Give a map that is small enough to keep."""
    scale = max(labels.shape) / _KEPT_SIDE
    shape = labels.shape if scale <= 1 else tuple(max(1, round(side / scale)) for side in labels.shape)
    return nearest_map(labels, (shape[0], shape[1]))
