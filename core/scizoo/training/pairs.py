"""Both sides of a retrieval: their vectors in the common space, and frozen features of each for a probe."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from scizoo.data.batching import PadCollator
from scizoo.data.documents import PairedDataset
from scizoo.models.retrieval import SIDES, DualEncoder, RetrievalHead, Side, SideFeatures, SideVectors
from scizoo.training.features import FeatureBackbone, cached_features
from scizoo.training.joint import JointModel
from scizoo.training.predict import aggregate, embed_windows


def embed_side(
    backbone: Any,
    head: RetrievalHead,
    encoded: Any,
    side: Side,
    *,
    rows: np.ndarray | None = None,
    batch_size: int = 64,
    precision: str = "32-true",
    device: str | torch.device | None = None,
) -> np.ndarray:
    """Give the places of queries or documents in the common space.

    Parameters
    ----------
    backbone : Backbone
        Of that side.
    head : RetrievalHead
    encoded : EncodedDataset
        Of that side.
    side : {"query", "document"}
    rows : ndarray, optional
        Positions of records; all by default.
    batch_size : int
        Windows a forward pass.
    precision : str
        As for :func:`~scizoo.training.predict.predict_windows`.
    device : str or torch.device, optional
        By default where the weights are.

    Returns
    -------
    ndarray of float32, shape (records, width)
        Of length 1: the mean over windows and views of a record, brought to that length again.
    """
    wanted = np.arange(encoded.record_count) if rows is None else np.asarray(rows)
    if not len(wanted):
        return np.empty((0, head.outputs), dtype=np.float32)
    windows = encoded.windows_of(wanted)
    found = embed_windows(
        JointModel(backbone, head),
        _batches(encoded, windows, batch_size),
        pool=SideVectors(head, side),
        precision=precision,
        device=device,
    )
    vectors = aggregate(found, encoded.record_index, wanted)["embedding"]
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return (vectors / np.maximum(lengths, 1e-12)).astype(np.float32)


def _batches(encoded: Any, windows: np.ndarray, batch_size: int) -> Iterator[dict[str, Tensor]]:
    """Give windows of similar length together, each once; their order does not change the vectors."""
    collate = PadCollator(encoded.pad_values)
    order = windows[np.argsort(np.asarray(encoded.lengths)[windows], kind="stable")]
    for start in range(0, len(order), batch_size):
        numbers = order[start : start + batch_size]
        yield collate([{**encoded[int(number)], "index": np.asarray(number)} for number in numbers])


def pair_features(
    backbone: Any,
    head: RetrievalHead,
    encoded: PairedDataset,
    *,
    folder: str | Path,
    key: str = "",
    batch_size: int = 64,
    precision: str = "32-true",
) -> tuple[PairedDataset, DualEncoder]:
    """Compute the frozen features of both sides once; see :func:`~scizoo.training.features.cached_features`.

    Returns
    -------
    tuple of (PairedDataset, DualEncoder)
        The features in the place of the windows, and what stands in for the networks.
    """
    query, document = (
        cached_features(
            getattr(backbone, side),
            SideFeatures(head, side),
            getattr(encoded, side),
            folder=folder,
            key=f"{key}\n{side}" if key else "",
            batch_size=batch_size,
            precision=precision,
        )
        for side in SIDES
    )
    stands = DualEncoder(FeatureBackbone(query.hidden_size), FeatureBackbone(document.hidden_size))
    return PairedDataset(query, document, encoded.identities), stands
