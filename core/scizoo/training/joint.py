"""A backbone and a head as one module, without Lightning, so that loading stays cheap."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn


class JointModel(nn.Module):
    """Backbone and head in one forward.

    One root for sharded training: weights tied between the two lie in one group of parameters.

    Parameters
    ----------
    backbone : Backbone
    head : Head
    """

    def __init__(self, backbone: nn.Module, head: nn.Module):
        super().__init__()
        self.backbone: Any = backbone
        self.head: Any = head

    def forward(self, batch: Mapping[str, Any]) -> dict[str, Tensor]:
        """Give the head's outputs for a batch."""
        return self.head(self.backbone(batch), batch)


def batch_to(batch: Mapping[str, Any], device: torch.device) -> dict[str, Any]:
    """Move the tensors of a batch; other values stay as they are."""
    return {
        key: value.to(device, non_blocking=True) if isinstance(value, Tensor) else value
        for key, value in batch.items()
    }


def batch_size(batch: Mapping[str, Any]) -> int:
    """Count the examples of a batch, padded or packed."""
    if isinstance(batch.get("cu_seqlens"), Tensor):
        return int(batch["cu_seqlens"].numel()) - 1
    for key in ("index", "target", "attention_mask", "input_ids"):
        if isinstance(batch.get(key), Tensor):
            return int(batch[key].shape[0])
    return int(next(value.shape[0] for value in batch.values() if isinstance(value, Tensor)))
