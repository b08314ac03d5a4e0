"""Saved states of a run (``best.ckpt``, ``last.ckpt``): whole, or not there at all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.plugins import TorchCheckpointIO

from scizoo.files import atomic_path


class WholeStates(TorchCheckpointIO):
    """Writes a state under another name first: Lightning's own leaves half of one on a full disk."""

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None
    ) -> None:
        """Write a state.

        Raises
        ------
        MachineError
            When the disk is full; an older state of that name is still there.
        """
        with atomic_path(path) as temporary, temporary.open("wb") as stream:
            torch.save(checkpoint, stream)
