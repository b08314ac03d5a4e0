"""Masked reconstruction value by value: what imputation and anomaly scores are made of."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from scizoo.errors import DataError
from scizoo.models.masking import cpu_generator
from scizoo.models.reconstruction import MaskedValues, measured


class MaskedRuns(MaskedValues):
    """Predict runs of single values from those around them, also within a patch.

    As the core's MaskedValues, but single values are hidden, not whole positions: gaps in series begin and
    end within a patch. ``mean_length``, ``shortest`` and ``longest`` count values. Patches hold one channel.
    """

    def prepare(
        self, batch: Mapping[str, Tensor], generator: torch.Generator | None = None
    ) -> dict[str, Tensor]:
        """Hide runs of values and keep them as ``target`` ``[B, T, F]``, NaN where nothing is predicted."""
        if "values" not in batch:
            raise DataError(f"Masked values need 'values'; the batch has {sorted(batch)}.")
        values, seen = batch["values"], measured(batch)
        chosen = self._choose(seen.flatten(1).cpu(), cpu_generator(generator))
        hidden = chosen.reshape(values.shape).to(values.device) & seen
        return {
            **batch,
            "values": torch.where(seen & ~hidden, values, torch.zeros_like(values)),
            "observed": (seen & ~hidden).to(values.dtype),
            "target": torch.where(hidden, values.float(), torch.nan),
        }
