"""Predicted label maps, one record at a time: from the plane of the model back to its own pixels."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch

from scizoo.data.planes import placement_of
from scizoo.data.records import Record
from scizoo.data.tokenizer import Tokenizer
from scizoo.training.predict import HasParts, stream_windows


def segment_windows(
    module: HasParts,
    loader: Iterable[Mapping[str, Any]],
    tokenizer: Tokenizer,
    records: Mapping[int, Record] | Sequence[Record],
    record_index: np.ndarray,
    *,
    device: str | torch.device | None = None,
    precision: str = "32-true",
) -> Iterator[tuple[int, np.ndarray]]:
    """Predict the label map of each record that a loader gives a window of.

    Probabilities are interpolated to the record's pixels before the likeliest class is taken. What of an
    image the model did not see is of the first class.

    Parameters
    ----------
    module : JointModel or Checkpoint
    loader : iterable of batches
        One window a record.
    tokenizer : Tokenizer
        Says where each image lies in the plane.
    records : mapping of int to Record, or sequence
        By their number in the encoded data.
    record_index : ndarray of int
        The record of each window.
    device, precision
        As for :func:`scizoo.training.predict.predict_windows`.

    Yields
    ------
    number : int
        Of the record.
    labels : ndarray of int16, shape (H, W)
        The class of each pixel, by number.
    """
    for index, outputs in stream_windows(module, loader, device=device, precision=precision):
        for window, planes in zip(index, outputs["probability"], strict=True):
            number = int(record_index[window])
            yield number, placement_of(tokenizer, records[number]).labels_of(planes)
