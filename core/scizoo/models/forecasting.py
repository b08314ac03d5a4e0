"""Forecasting patch by patch: the pre-training objective."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

import torch
from torch import Tensor, nn

from scizoo.errors import ConfigError, DataError
from scizoo.models.backbones import Backbone, Hidden
from scizoo.models.heads import Head
from scizoo.models.objective_base import Objective
from scizoo.models.pooling import LastPool
from scizoo.models.quantiles import (
    DECILES,
    check_levels,
    in_own_units,
    ordered_quantiles,
    quantile_loss,
    start_as_normal,
)

if TYPE_CHECKING:
    from scizoo.data.targets import TargetEncoder


class NextPatchQuantiles(Objective):
    """Predict quantiles of the patches that follow each position; of a kind with TimesFM (arXiv 2310.10688).

    Batches hold ``values`` ``[B, T, P]``, scaled by their series' ``loc`` and ``scale`` ``[B, T]``, and
    ``observed`` ``[B, T, P]``, 0 where a value is missing. Where location and scale differ between positions,
    each position predicts in its own units. The backbone must be causal.

    Parameters
    ----------
    hidden_size, outputs : int
        Width of the states and values a patch, P.
    quantiles : sequence of float
        Levels, 0.5 among them.
    ahead : int
        How many following patches each position predicts; more make longer forecasts without a roll-out.
    dropout : float
        On the states.
    inner : int, optional
        Width of a hidden layer; a linear head by default.
    """

    kind = "forecast"
    causal = True

    def __init__(
        self,
        hidden_size: int,
        outputs: int,
        *,
        quantiles: Sequence[float] = DECILES,
        ahead: int = 1,
        dropout: float = 0.0,
        inner: int | None = None,
    ):
        super().__init__(hidden_size, outputs)
        if ahead < 1:
            raise ConfigError(f"objective.ahead={ahead} must be 1 or more patches.")
        self.quantiles = check_levels(quantiles, "objective.quantiles")
        self.middle = self.quantiles.index(0.5)
        self.ahead, self.dropout, self.inner = int(ahead), float(dropout), inner
        self.drop = nn.Dropout(self.dropout)
        self.body: nn.Module = nn.Identity()
        if inner is not None:
            self.body = nn.Sequential(nn.Linear(hidden_size, inner), nn.GELU(), nn.Dropout(self.dropout))
        self.project = nn.Linear(inner or hidden_size, outputs * self.ahead * len(self.quantiles))
        self.levels: Tensor
        self.register_buffer("levels", torch.tensor(self.quantiles), persistent=False)
        start_as_normal(self.project, self.quantiles)

    @classmethod
    def fitted(cls, cfg: Mapping[str, Any], backbone: Backbone, tokenizer: Any = None) -> dict[str, Any]:
        """Return the values a patch as ``outputs``, where the tokenizer tells them."""
        sizes = tokenizer.input_sizes() if tokenizer is not None else {}
        return {"outputs": sizes["features"]} if "features" in sizes else {}

    def bind(self, backbone: Backbone) -> Self:
        """Check that positions of the backbone do not see what they are to predict.

        Raises
        ------
        ConfigError
            When they do.
        """
        if not backbone.causal:
            raise ConfigError(
                "objective: NextPatchQuantiles needs a causal backbone, this one is bidirectional.",
                remedy="choose a decoder, or an objective that masks values.",
            )
        return self

    def prepare(
        self, batch: Mapping[str, Tensor], generator: torch.Generator | None = None
    ) -> dict[str, Tensor]:
        """Set the values of the next patches as ``target``, NaN where there are none. Nothing is random."""
        return {**batch, "target": self.next_patches(batch)}

    def next_patches(self, batch: Mapping[str, Tensor]) -> Tensor:
        """Return what follows each position in its own scaled units, ``[B, T, ahead * P]``."""
        if "values" not in batch:
            raise DataError(f"NextPatchQuantiles needs 'values'; the batch has {sorted(batch)}.")
        values = batch["values"].float()
        if values.shape[-1] != self.outputs:
            raise DataError(
                f"Patches have {values.shape[-1]} values, the objective predicts {self.outputs}.",
                remedy="set head.outputs to the tokenizer's patch length.",
            )
        real = batch.get("attention_mask", torch.ones_like(values[..., 0])).bool()
        sequence = _sequences(batch, real)
        if "observed" in batch:
            values = values.masked_fill(~batch["observed"].bool(), torch.nan)
        length = values.shape[1]
        target = values.new_full((*values.shape[:2], self.ahead * self.outputs), torch.nan)
        for patch in range(self.ahead):
            shift = patch + 1
            if shift >= length:
                break
            here, there = slice(None, length - shift), slice(shift, None)
            later = values[:, there]
            if "scale" in batch:
                scale, loc = batch["scale"].float(), batch["loc"].float()
                own = scale[:, here, None]
                later = (
                    later * (scale[:, there, None] / own) + (loc[:, there, None] - loc[:, here, None]) / own
                )
            kept = real[:, here] & real[:, there] & (sequence[:, here] == sequence[:, there])
            if "channel" in batch:
                kept &= batch["channel"][:, here] == batch["channel"][:, there]
            later = later.masked_fill(~kept[..., None] | ~torch.isfinite(later), torch.nan)
            target[:, here, patch * self.outputs : shift * self.outputs] = later
        return target

    def at_states(self, states: Tensor) -> Tensor:
        """Return the quantiles that states ``[..., D]`` predict, in scaled units ``[..., ahead * P, Q]``."""
        raw = self.project(self.body(self.drop(states))).float()
        steps = self.ahead * self.outputs
        return ordered_quantiles(raw.unflatten(-1, (steps, len(self.quantiles))), self.middle)

    def next_quantiles(self, hidden: Hidden, batch: Mapping[str, Tensor]) -> Tensor:
        """Return the quantiles of what follows the last position, in scaled units ``[B, ahead * P, Q]``."""
        return self.at_states(LastPool()(hidden))

    def forward(self, hidden: Hidden, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Predict at every position.

        Returns
        -------
        dict
            ``quantiles`` ``[B, T, ahead * P, Q]`` in scaled units, ``loc`` and ``scale`` ``[B, T]``; and,
            where the batch has targets, ``loss_weight``: how many of them are known.
        """
        outputs = {"quantiles": self.at_states(hidden.states)}
        ones = torch.ones(hidden.states.shape[:2], device=hidden.states.device)
        outputs["loc"] = batch["loc"].float() if "loc" in batch else torch.zeros_like(ones)
        outputs["scale"] = batch["scale"].float() if "scale" in batch else ones
        if "target" in batch:
            outputs["loss_weight"] = torch.isfinite(batch["target"]).sum()
        return outputs

    def loss(self, outputs: Mapping[str, Tensor], batch: Mapping[str, Tensor]) -> Tensor:
        """Quantile loss over every value of ``target`` ``[B, T, ahead * P]`` that is known."""
        return quantile_loss(outputs["quantiles"], batch["target"], self.levels)

    def predict(self, outputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return ``quantiles`` ``[B, T, ahead * P, Q]`` in the series' own units."""
        return {"quantiles": in_own_units(outputs)}

    def zero_shot(self, backbone: Backbone, target: TargetEncoder) -> Head:
        """Return this objective rolled out to the target's horizon."""
        from scizoo.models.forecast_heads import RollOutHead

        if target.kind != self.kind:
            return super().zero_shot(backbone, target)
        return RollOutHead(backbone, self, target.outputs)

    def flops_per_token(self, seq_len: int, training: bool = True) -> float:
        """Estimate floating-point operations a position of the sequence."""
        weights = sum(p.numel() for p in self.parameters() if p.ndim >= 2)
        return (6.0 if training else 2.0) * weights

    def settings(self) -> dict[str, Any]:
        """Return the plain settings of this objective."""
        return {
            "quantiles": self.quantiles,
            "ahead": self.ahead,
            "dropout": self.dropout,
            "inner": self.inner,
        }


def _sequences(batch: Mapping[str, Tensor], real: Tensor) -> Tensor:
    """Number the sequences of a packed row; all 0 where nothing is packed."""
    if "cu_seqlens" not in batch:
        return torch.zeros_like(real, dtype=torch.long)
    places = torch.arange(real.shape[1], device=real.device)
    return torch.bucketize(places, batch["cu_seqlens"][1:].to(real.device).long(), right=True)[None]
