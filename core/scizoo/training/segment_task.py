"""Predicted label maps of a task's records, by the network that was fitted to it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from scizoo.data.encoding import EncodedDataset
from scizoo.data.records import Record
from scizoo.data.splits import Split
from scizoo.training.build import ModelParts
from scizoo.training.joint import JointModel
from scizoo.training.segment import segment_windows
from scizoo.training.supervised import Fitted, data_module


def segment_task(
    fitted: Fitted,
    cfg: Mapping[str, Any],
    parts: ModelParts,
    encoded: EncodedDataset,
    records: Sequence[Record],
    rows: np.ndarray,
) -> Iterator[tuple[int, np.ndarray]]:
    """Predict the label maps of some records of a task.

    Parameters
    ----------
    fitted, cfg, parts, encoded
        As for :func:`scizoo.training.supervised.predict_task`.
    records : sequence of Record
    rows : ndarray
        Their positions in the encoded data.

    Yields
    ------
    number : int
        Which of ``records``.
    labels : ndarray of int16, shape (H, W)
    """
    none = np.empty(0, dtype=np.int64)
    split = Split(none, none, np.asarray(rows), np.empty(0, dtype=object), "prediction")
    loader = data_module(cfg, parts, encoded, None, split, seed=0, first_views=True).test_dataloader()
    places = {int(row): number for number, row in enumerate(rows)}
    found = segment_windows(
        JointModel(fitted.backbone, fitted.head),
        loader,
        parts.tokenizer,
        {row: records[number] for row, number in places.items()},
        encoded.record_index,
        precision=fitted.precision,
    )
    return ((places[row], labels) for row, labels in found)
