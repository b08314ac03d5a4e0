"""Which test records went worst: those that reports show."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from scizoo.evaluation.outputs import Outputs

#: Worst mistakes that a report shows, where the config does not say.
SHOWN = 6


def mistakes_shown(cfg: Mapping[str, Any]) -> int:
    """Give ``evaluation.mistakes`` of a plain config."""
    return int(dict(cfg.get("evaluation") or {}).get("mistakes") or SHOWN)


def worst_rows(outputs: Outputs, most: int) -> tuple[np.ndarray, np.ndarray]:
    """Find the records on which a model was wrong with most confidence, the worst first.

    Parameters
    ----------
    outputs : Outputs
        Of kind classification, multilabel or regression.
    most : int

    Returns
    -------
    rows : ndarray of int, shape (n,)
    columns : ndarray of int, shape (n,)
        The predicted class, the label that is furthest off, or the value with the largest error in units of
        its target's spread.
    """
    if outputs.kind == "classification":
        predicted = outputs.predicted
        wrong = np.flatnonzero(predicted != outputs.targets)
        sure = outputs.require("probability")[wrong, predicted[wrong]]
        rows = wrong[np.argsort(-sure, kind="stable")][:most]
        return rows, predicted[rows]
    if outputs.kind == "multilabel":
        probability = outputs.require("probability")
        distance = np.where(np.isnan(outputs.targets), 0, np.abs(outputs.targets - probability))
        rows = np.argsort(-distance.max(axis=1), kind="stable")[:most]
        rows = rows[distance[rows].max(axis=1) > 0.5]
        return rows, distance[rows].argmax(axis=1)
    if outputs.kind != "regression":
        raise ValueError(f"{outputs.kind} outputs have no worst rows of this kind")
    error = np.abs(outputs.targets - outputs.require("mean"))
    # Targets may have different units: the largest error in units of each target's spread.
    spread = np.nanstd(outputs.targets, axis=0)
    scaled = np.nan_to_num(error / np.where(spread > 0, spread, 1))
    rows = np.argsort(-scaled.max(axis=1), kind="stable")[:most]
    return rows, scaled[rows].argmax(axis=1)
