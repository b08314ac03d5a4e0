"""Predictions and embeddings without a Trainer: a plain loop, then means over windows and views."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from scizoo.errors import DataError
from scizoo.training.joint import batch_to

#: Called after each batch with the number of windows done.
OnProgress = Callable[[int], None]


class HasParts(Protocol):
    """Anything with a backbone and a head: a ScizooModule, a JointModel, a loaded checkpoint."""

    backbone: Any
    head: Any


def autocast(device: torch.device, precision: str = "32-true") -> AbstractContextManager[Any]:
    """Give the context in which a forward pass runs under ``precision`` (as Lightning names them)."""
    kinds = {"bf16-mixed": torch.bfloat16, "16-mixed": torch.float16}
    if precision not in kinds:
        return nullcontext()
    return torch.autocast(device.type, dtype=kinds[precision])


def predict_windows(
    module: HasParts,
    loader: Iterable[Mapping[str, Any]],
    *,
    device: str | torch.device | None = None,
    precision: str = "32-true",
    on_progress: OnProgress | None = None,
    pool: Callable[[Any], Tensor] | None = None,
) -> dict[str, Any]:
    """Predict every window that a loader gives.

    Parameters
    ----------
    module : ScizooModule, JointModel or Checkpoint
    loader : iterable of batches
        Each with ``index``, the number of each window.
    device : str or torch.device, optional
        By default where the weights are.
    precision : str
        ``32-true``, ``bf16-mixed`` or ``16-mixed``.
    on_progress : callable, optional
    pool : callable, optional
        ``Hidden`` to ``[B, D]``; with it the windows' vectors are given too, under ``embedding``.

    Returns
    -------
    dict of str to ndarray
        What ``head.predict`` gives (``probability`` [n, C], or ``mean`` and ``variance`` [n, outputs])
        in the order of the window numbers, which are under ``index``. Predictions a position are
        lists of arrays without padding.
    """
    head = module.head

    def compute(batch: Mapping[str, Any], hidden: Any) -> dict[str, Tensor]:
        predicted = head.predict(head(hidden, batch))
        return predicted if pool is None else {**predicted, "embedding": pool(hidden)}

    by_position = getattr(head, "kind", None) in ("tokens", "language", "reconstruction")
    return _run(module, (module.backbone, head), loader, compute, device, precision, on_progress, by_position)


def embed_windows(
    module: HasParts,
    loader: Iterable[Mapping[str, Any]],
    *,
    pool: Callable[[Any], Tensor] | None = None,
    device: str | torch.device | None = None,
    precision: str = "32-true",
    on_progress: OnProgress | None = None,
) -> dict[str, Any]:
    """Compute one vector a window: hidden states, pooled.

    Parameters
    ----------
    module : ScizooModule, JointModel or Checkpoint
    loader : iterable of batches
    pool : callable, optional
        ``Hidden`` to ``[B, D]``; by default the mean over real positions.
    device, precision, on_progress
        As for :func:`predict_windows`.

    Returns
    -------
    dict of str to ndarray
        ``embedding`` [n, D] float32 and ``index`` [n].
    """
    pooled = pool or mean_pool

    def compute(batch: Mapping[str, Any], hidden: Any) -> dict[str, Tensor]:
        return {"embedding": pooled(hidden)}

    parts = (module.backbone, pool) if isinstance(pool, nn.Module) else (module.backbone,)
    return _run(module, parts, loader, compute, device, precision, on_progress)


def mean_pool(hidden: Any) -> Tensor:
    """Average the states of real positions; ``[B, D]``."""
    hidden = hidden.unpacked() if hasattr(hidden, "unpacked") else hidden
    mask = hidden.mask.to(hidden.states.dtype)[..., None]
    return (hidden.states * mask).sum(1) / mask.sum(1).clamp(min=1)


def _run(
    module: HasParts,
    parts: Sequence[Any],
    loader: Iterable[Mapping[str, Any]],
    compute: Callable[[Mapping[str, Any], Any], dict[str, Tensor]],
    device: str | torch.device | None,
    precision: str,
    on_progress: OnProgress | None,
    by_position: bool = False,
) -> dict[str, Any]:
    collected: dict[str, list[Any]] = {}
    numbers: list[np.ndarray] = []
    for index, hidden, outputs in _batches(module, parts, loader, compute, device, precision, on_progress):
        for key, value in outputs.items():
            collected.setdefault(key, []).extend(_rows(value, hidden, len(index), by_position))
        numbers.append(index)
    return _ordered(collected, numbers, by_position)


def _batches(
    module: HasParts,
    parts: Sequence[Any],
    loader: Iterable[Mapping[str, Any]],
    compute: Callable[[Mapping[str, Any], Any], dict[str, Tensor]],
    device: str | torch.device | None,
    precision: str,
    on_progress: OnProgress | None,
) -> Iterator[tuple[np.ndarray, Any, dict[str, Tensor]]]:
    """Give the window numbers, hidden states and outputs of one batch after the other."""
    backbone = module.backbone
    own = next(iter(backbone.parameters()), None)
    place = (
        torch.device(device)
        if device is not None
        else (own.device if own is not None else torch.device("cpu"))
    )
    modules = [part for part in parts if isinstance(part, nn.Module)]
    modes = [(child, child.training) for part in modules for child in part.modules()]
    for part in modules:
        part.to(place)
        part.eval()
    done = 0
    try:
        for batch in loader:
            with torch.inference_mode(), autocast(place, precision):
                moved = batch_to(batch, place)
                hidden = backbone(moved)
                outputs = compute(moved, hidden)
                index = moved["index"].flatten().cpu().numpy()
            yield index, hidden, outputs
            done += len(index)
            if on_progress is not None:
                on_progress(done)
    finally:
        for child, training in modes:
            child.training = training


def stream_windows(
    module: HasParts,
    loader: Iterable[Mapping[str, Any]],
    *,
    device: str | torch.device | None = None,
    precision: str = "32-true",
) -> Iterator[tuple[np.ndarray, dict[str, np.ndarray]]]:
    """Predict batch by batch, for outputs that are too large to keep.

    Yields
    ------
    index : ndarray of int, shape (n,)
        The numbers of the windows of a batch.
    outputs : dict of str to ndarray
        What ``head.predict`` gives of them.
    """
    head = module.head

    def compute(batch: Mapping[str, Any], hidden: Any) -> dict[str, Tensor]:
        predicted: dict[str, Tensor] = head.predict(head(hidden, batch))
        return predicted

    for index, _, outputs in _batches(
        module, (module.backbone, head), loader, compute, device, precision, None
    ):
        yield index, {key: value.float().cpu().numpy() for key, value in outputs.items()}


def _rows(value: Tensor, hidden: Any, count: int, by_position: bool) -> list[np.ndarray]:
    """Split a batch of outputs into windows; predictions a position lose their padding."""
    array = value.float() if value.is_floating_point() else value
    positions = hidden.states.shape[:2]
    if by_position and value.ndim >= 2 and value.shape[:2] == positions:
        borders = getattr(hidden, "cu_seqlens", None)
        if borders is not None:
            cuts = borders.tolist()
            return [array[0, cuts[i] : cuts[i + 1]].cpu().numpy() for i in range(count)]
        return [row[mask.bool()].cpu().numpy() for row, mask in zip(array, hidden.mask)]
    return list(array.cpu().numpy())


def _ordered(
    collected: Mapping[str, list[Any]], numbers: Sequence[np.ndarray], by_position: bool
) -> dict[str, Any]:
    index = np.concatenate(numbers) if numbers else np.empty(0, dtype=np.int64)
    order = np.argsort(index, kind="stable")
    results: dict[str, Any] = {"index": index[order]}
    for key, rows in collected.items():
        chosen = [rows[position] for position in order]
        results[key] = chosen if by_position else np.stack(chosen) if chosen else np.empty(0)
    return results


def aggregate(
    windows: Mapping[str, Any],
    record_index: np.ndarray | None = None,
    records: Sequence[int] | np.ndarray | None = None,
) -> dict[str, np.ndarray]:
    """Average predictions over the windows and views of each record.

    A variance becomes the variance of the mixture, by the law of total variance: the mean of the
    variances plus the variance of the means.

    Parameters
    ----------
    windows : mapping
        From :func:`predict_windows` or :func:`embed_windows`.
    record_index : ndarray of int, optional
        The record of every window of the data set; by default each window is a record.
    records : sequence of int, optional
        Which records to give, in this order; by default all that have windows, ascending.

    Returns
    -------
    dict of str to ndarray
        One row a record; ``record`` holds their numbers and ``windows`` how many windows each had.

    Raises
    ------
    DataError
        When a record that was asked for has no prediction.
    """
    index = np.asarray(windows["index"])
    owner = index if record_index is None else np.asarray(record_index)[index]
    wanted = np.unique(owner) if records is None else np.asarray(records, dtype=np.int64)
    found, inverse, counts = np.unique(owner, return_inverse=True, return_counts=True)
    places = np.searchsorted(found, wanted)
    if len(wanted) and (not len(found) or (found[np.minimum(places, len(found) - 1)] != wanted).any()):
        lacking = np.setdiff1d(wanted, found)
        raise DataError(
            f"record {lacking[0]} has no prediction ({len(lacking)} of {len(wanted)} records lack one)."
        )

    def mean(values: np.ndarray) -> np.ndarray:
        total = np.zeros((len(found), *values.shape[1:]), dtype=np.float64)
        np.add.at(total, inverse, values)
        return total / counts.reshape(-1, *([1] * (values.ndim - 1)))

    results: dict[str, np.ndarray] = {"record": wanted, "windows": counts[places]}
    for key, values in windows.items():
        if key == "index":
            continue
        if isinstance(values, list):
            raise DataError(
                f"'{key}' is a prediction a position, which has no mean over windows.",
                remedy="join the windows with join_positions.",
            )
        values = np.asarray(values)
        if key == "variance" and "mean" in windows:
            means = np.asarray(windows["mean"], dtype=np.float64)
            spread = mean(means**2) - mean(means) ** 2
            result = mean(values) + np.maximum(spread, 0.0)
        else:
            result = mean(values)
        results[key] = result[places].astype(values.dtype if values.dtype.kind == "f" else np.float64)
    return results


def join_positions(
    values: Sequence[np.ndarray],
    starts: Sequence[int],
    lengths: Sequence[int],
    before: int = 0,
) -> np.ndarray:
    """Join predictions a position from the windows of one record; overlaps are averaged.

    Parameters
    ----------
    values : sequence of ndarray
        Each ``[window length, ...]``, special tokens included.
    starts, lengths : sequence of int
        Where each window begins in the record, and how many of the record's positions it shows.
    before : int
        Special tokens before the first position of a window.

    Returns
    -------
    ndarray
        ``[record length, ...]``.
    """
    total = max(start + length for start, length in zip(starts, lengths))
    joined = np.zeros((total, *values[0].shape[1:]), dtype=np.float64)
    seen = np.zeros(total, dtype=np.int64)
    for value, start, length in zip(values, starts, lengths):
        joined[start : start + length] += value[before : before + length]
        seen[start : start + length] += 1
    return (joined / seen.reshape(-1, *([1] * (joined.ndim - 1)))).astype(values[0].dtype)


def predict(
    module: HasParts,
    loader: Iterable[Mapping[str, Any]],
    record_index: np.ndarray | None = None,
    records: Sequence[int] | np.ndarray | None = None,
    **options: Any,
) -> dict[str, np.ndarray]:
    """Predict records: :func:`predict_windows`, then :func:`aggregate`."""
    return aggregate(predict_windows(module, loader, **options), record_index, records)


def embed(
    module: HasParts,
    loader: Iterable[Mapping[str, Any]],
    record_index: np.ndarray | None = None,
    records: Sequence[int] | np.ndarray | None = None,
    **options: Any,
) -> np.ndarray:
    """Embed records: the mean over their windows and views; ``[records, D]`` float32."""
    return aggregate(embed_windows(module, loader, **options), record_index, records)["embedding"]
