"""Batches: the samplers that choose windows and the collators that join them into tensors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from scizoo.data.samplers import LengthBucketSampler, PackingSampler, WindowSampler

__all__ = ["LengthBucketSampler", "PackCollator", "PackingSampler", "PadCollator", "WindowSampler"]

Item = Mapping[str, np.ndarray]


class PadCollator:
    """Pad a batch of items to its longest, with a mask of what is real.

    Parameters
    ----------
    pad_values : mapping of str to number
        The inputs with a row a position, and what pads each; the first is the main one. Inputs with
        trailing axes (patches of a series) are padded along their first axis. Everything else in an
        item (``index``, a class) is stacked.
    multiple : int
        Lengths are padded up to a multiple of this.
    """

    def __init__(self, pad_values: Mapping[str, float], *, multiple: int = 1):
        self.pad_values = dict(pad_values)
        self.multiple = multiple

    def __call__(self, items: Sequence[Item]) -> dict[str, Tensor]:
        """Join items into a batch.

        Returns
        -------
        dict of str to Tensor
            Inputs of shape (batch, length, ...), ``attention_mask`` (batch, length) with 1 where real,
            and the other entries stacked.
        """
        main = next(iter(self.pad_values))
        lengths = np.array([len(item[main]) for item in items])
        length = -(-int(lengths.max()) // self.multiple) * self.multiple
        batch: dict[str, Tensor] = {}
        for key in items[0]:
            if key not in self.pad_values:
                batch[key] = _stack(key, items)
                continue
            first = items[0][key]
            padded = np.full((len(items), length, *first.shape[1:]), self.pad_values[key], dtype=first.dtype)
            for row, item in enumerate(items):
                padded[row, : len(item[key])] = item[key]
            batch[key] = torch.from_numpy(padded)
        mask = np.arange(length)[None, :] < lengths[:, None]
        batch["attention_mask"] = torch.from_numpy(mask.astype(np.int64))
        return batch


class PackCollator:
    """Join items end to end into one row, with the bounds that keep attention within each.

    Parameters
    ----------
    pad_values : mapping of str to number
        The inputs with a row a position; the first is the main one. Nothing is padded.
    """

    def __init__(self, pad_values: Mapping[str, float]):
        self.pad_values = dict(pad_values)

    def __call__(self, items: Sequence[Item]) -> dict[str, Tensor]:
        """Join items into a batch.

        Returns
        -------
        dict of str to Tensor
            Inputs of shape (1, total, ...), ``position_ids`` (1, total) that begin at 0 in each item,
            ``cu_seqlens`` (items + 1) int32, ``attention_mask`` (1, total) of ones, and the other
            entries stacked to (items, ...).
        """
        main = next(iter(self.pad_values))
        lengths = [len(item[main]) for item in items]
        bounds = np.zeros(len(items) + 1, dtype=np.int32)
        np.cumsum(lengths, out=bounds[1:])
        batch = {
            key: torch.from_numpy(np.concatenate([item[key] for item in items])[None])
            if key in self.pad_values
            else _stack(key, items)
            for key in items[0]
        }
        positions = np.concatenate([np.arange(length) for length in lengths])
        batch["position_ids"] = torch.from_numpy(positions[None])
        batch["cu_seqlens"] = torch.from_numpy(bounds)
        batch["attention_mask"] = torch.ones((1, int(bounds[-1])), dtype=torch.int64)
        return batch


def _stack(key: str, items: Sequence[Item]) -> Tensor:
    return torch.from_numpy(np.stack([np.asarray(item[key]) for item in items]))
