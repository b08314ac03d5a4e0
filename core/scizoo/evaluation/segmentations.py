"""The metrics of segmentation, in the form of :mod:`scizoo.evaluation.resampled`.

Each function takes weights (B, N), one row a replicate, and gives (B,) values, NaN where undefined. A metric
is the mean over records of each class, then the mean over classes. A record in which a class is neither true
nor predicted says nothing of that class and is left out; where it is only true, or only predicted, the
overlap is 0 and the distance the diagonal of the image.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

import numpy as np

from scizoo.evaluation.outputs import Outputs
from scizoo.evaluation.scores import Undefined

Resample = Callable[[Outputs, np.ndarray], np.ndarray]


def dice_table(outputs: Outputs) -> np.ndarray:
    """Give the Dice coefficient of each record and class (N, K), NaN where neither map has the class."""
    size = outputs.targets + outputs.require("predicted_size")
    return np.where(size > 0, 2 * outputs.require("intersection") / np.where(size > 0, size, 1), np.nan)


def iou_table(outputs: Outputs) -> np.ndarray:
    """Give the intersection over union (Jaccard index) of each record and class, NaN likewise."""
    both = outputs.require("intersection")
    union = outputs.targets + outputs.require("predicted_size") - both
    return np.where(union > 0, both / np.where(union > 0, union, 1), np.nan)


def hd95_table(outputs: Outputs) -> np.ndarray:
    """Give the Hausdorff distance at 95% of each record and class."""
    return outputs.require("hd95")


def assd_table(outputs: Outputs) -> np.ndarray:
    """Give the average symmetric surface distance of each record and class."""
    return outputs.require("assd")


#: Of each metric its table, its title, which way is better and its bounds.
TABLES: dict[str, Callable[[Outputs], np.ndarray]] = {
    "dice": dice_table,
    "iou": iou_table,
    "hd95": hd95_table,
    "assd": assd_table,
}


def by_class(outputs: Outputs, weights: np.ndarray, name: str) -> np.ndarray:
    """Give the mean over records of each class (B, K)."""
    table = TABLES[name](outputs)
    known = np.isfinite(table)
    total = weights @ known.astype(float)
    return np.where(
        total > 0, (weights @ np.where(known, table, 0.0)) / np.where(total > 0, total, 1), np.nan
    )


def _over_classes(outputs: Outputs, weights: np.ndarray, *, name: str) -> np.ndarray:
    means = by_class(outputs, weights, name)
    known = np.isfinite(means)
    count = known.sum(axis=1)
    return np.where(count > 0, np.where(known, means, 0.0).sum(axis=1) / np.maximum(count, 1), np.nan)


def _one_class(outputs: Outputs, weights: np.ndarray, *, name: str, place: int) -> np.ndarray:
    return by_class(outputs, weights, name)[:, place]


def mean_of(name: str) -> Resample:
    """Give a metric as the mean over classes."""
    return functools.partial(_over_classes, name=name)


def of_class(name: str, place: int) -> Resample:
    """Give a metric of one class."""
    return functools.partial(_one_class, name=name, place=place)


def value(function: Resample) -> Callable[[Outputs, np.ndarray | None], float]:
    """Make the single value of a metric from its form for many weightings."""

    def one(outputs: Outputs, weights: np.ndarray | None = None) -> float:
        count = np.ones(len(outputs)) if weights is None else np.asarray(weights, dtype=float)
        found = float(function(outputs, count[None])[0])
        if np.isnan(found):
            raise Undefined("no record has any of the classes, in truth or prediction, or no known spacing")
        return found

    return one
