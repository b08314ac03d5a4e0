"""What a report says of segmentation: each class by itself, and the records that went worst."""

from __future__ import annotations

from typing import Any

import numpy as np

from scizoo.evaluation.intervals import estimate
from scizoo.evaluation.metrics import class_metrics
from scizoo.evaluation.outputs import Outputs
from scizoo.evaluation.segmentations import dice_table


def map_errors(
    outputs: Outputs, *, resamples: int = 1000, level: float = 0.95, seed: int = 0
) -> dict[str, Any]:
    """Judge each class by itself.

    Returns
    -------
    dict
        ``unit`` of the distances and ``by_class``: of each class ``class``, ``dice``, ``iou``, ``hd95`` and
        ``assd`` with intervals over groups, in how many records it is ``true``, and where it was ``missed``
        (true, not predicted at all) and ``false`` (predicted, not true at all).
    """
    found: list[dict[str, Any]] = []
    there, said = outputs.targets > 0, outputs.require("predicted_size") > 0
    metrics = class_metrics(outputs)
    for place, name in enumerate(outputs.classes):
        scores = {
            metric.name.removesuffix(f"_{name}"): estimate(
                metric, outputs, resamples=resamples, level=level, seed=seed
            ).to_dict()
            for metric in metrics[place :: len(outputs.classes)]
        }
        found.append(
            {
                "class": name,
                **scores,
                "true": int(there[:, place].sum()),
                "missed": int((there & ~said)[:, place].sum()),
                "false": int((said & ~there)[:, place].sum()),
            }
        )
    return {"unit": outputs.unit, "classes": list(outputs.classes), "by_class": found}


def _of_records(outputs: Outputs) -> np.ndarray:
    """Give the mean Dice of each record; 2 where nothing was there and nothing was said."""
    table = dice_table(outputs)
    known = np.isfinite(table)
    count = known.sum(axis=1)
    return np.where(count > 0, np.where(known, table, 0.0).sum(axis=1) / np.maximum(count, 1), 2.0)


def worst_maps(outputs: Outputs, most: int) -> np.ndarray:
    """Give the rows of the records with the lowest mean Dice, those that are not perfect."""
    dice = _of_records(outputs)
    rows = np.argsort(dice, kind="stable")[:most]
    return rows[dice[rows] < 1.0]


def map_calls(outputs: Outputs, row: int) -> dict[str, Any]:
    """Say in words what was true and what was predicted of a record, and give its map where it was kept."""

    def said(sizes: np.ndarray) -> str:
        words = [f"{n} {size:,.0f}" for n, size in zip(outputs.classes, sizes, strict=True) if size > 0]
        return f"{', '.join(words)} pixels" if words else "none of the classes"

    facts: dict[str, Any] = {
        "true": said(outputs.targets[row]),
        "predicted": said(outputs.require("predicted_size")[row]),
        "dice": float(_of_records(outputs)[row]),
    }
    kept = outputs.maps.get(str(outputs.ids[row]))
    return facts if kept is None else {**facts, "map": kept}
