"""Quantile forecasts: quantiles that never cross, their loss, and the head for a future of fixed length."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import NormalDist
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from scizoo.errors import ConfigError, DataError
from scizoo.models.backbones import Hidden
from scizoo.models.heads import Head, _PooledHead, _target
from scizoo.models.pooling import last_real

if TYPE_CHECKING:
    from scizoo.data.targets import TargetEncoder
    from scizoo.models.backbones import Backbone

#: The levels that are predicted unless a config says otherwise.
DECILES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)


def check_levels(levels: Sequence[float], key: str = "head.quantiles") -> list[float]:
    """Give quantile levels in ascending order.

    Raises
    ------
    ConfigError
        When one lies outside of (0, 1) or stands twice, or the median is not among them.
    """
    found = sorted(float(level) for level in levels)
    if any(not 0.0 < level < 1.0 for level in found) or len(set(found)) != len(found):
        raise ConfigError(f"{key}={found} must be different numbers between 0 and 1.")
    if 0.5 not in found:
        raise ConfigError(
            f"{key}={found} lacks 0.5.", expected="the median among the levels: it is the point forecast"
        )
    return found


def ordered_quantiles(raw: Tensor, middle: int) -> Tensor:
    """Turn free numbers ``[..., Q]`` into quantiles in ascending order.

    The median is taken as it is; from it outwards each quantile adds a positive step (softplus), so that
    none can cross another (Gasthaus et al. 2019, AISTATS, use such steps for their spline quantiles).
    """
    centre, steps = raw[..., middle : middle + 1], F.softplus(raw)
    above = centre + steps[..., middle + 1 :].cumsum(dim=-1)
    below = centre - steps[..., :middle].flip(-1).cumsum(dim=-1).flip(-1)
    return torch.cat([below, centre, above], dim=-1)


def start_as_normal(project: nn.Linear, levels: Sequence[float]) -> None:
    """Set the bias of a layer of ``... * Q`` outputs so that its quantiles begin as a standard normal's."""
    normal = [NormalDist().inv_cdf(level) for level in levels]
    middle = list(levels).index(0.5)
    raw = []
    for place in range(len(normal)):
        step = abs(normal[place] - normal[place + (1 if place < middle else -1)]) if place != middle else 0.0
        raw.append(math.log(math.expm1(step)) if step else 0.0)
    with torch.no_grad():
        project.bias.copy_(torch.tensor(raw).repeat(len(project.bias) // len(raw)))


def pinball(quantiles: Tensor, target: Tensor, levels: Tensor) -> Tensor:
    """Compute twice the pinball loss (Koenker and Bassett 1978) of each quantile.

    Its mean over many levels approximates the continuous ranked probability score.

    Parameters
    ----------
    quantiles : Tensor
        ``[..., Q]``.
    target : Tensor
        ``[...]``; NaN where unknown.
    levels : Tensor
        ``[Q]``.

    Returns
    -------
    Tensor
        ``[..., Q]``, NaN where the target is.
    """
    above = target[..., None] - quantiles
    return 2.0 * torch.maximum(levels * above, (levels - 1.0) * above)


def quantile_loss(quantiles: Tensor, target: Tensor, levels: Tensor) -> Tensor:
    """Average :func:`pinball` over known targets and levels; 0 when no target is known."""
    known = torch.isfinite(target)
    # Unknown targets are replaced before anything is computed: NaN times zero is NaN in the backward pass.
    each = pinball(quantiles.float(), target.float().masked_fill(~known, 0.0), levels)
    total = each.mean(dim=-1).masked_fill(~known, 0.0).sum()
    return total / known.sum().clamp(min=1)


def location_scale(batch: Mapping[str, Tensor], hidden: Hidden) -> tuple[Tensor, Tensor]:
    """Give location and scale of each series: ``loc`` and ``scale`` at its last position that has them.

    Parameters
    ----------
    batch : mapping
        ``loc`` and ``scale`` ``[B, T]`` in the units of the series; without them 0 and 1. Positions of
        special tokens hold a scale of 0 and do not count.
    hidden : Hidden

    Returns
    -------
    tuple of Tensor
        ``[B]`` each (a packed row: one entry a sequence).
    """
    if "scale" not in batch:
        count = len(hidden.states) if hidden.cu_seqlens is None else len(hidden.cu_seqlens) - 1
        ones = torch.ones(count, device=hidden.states.device)
        return torch.zeros_like(ones), ones
    both = torch.stack([batch["loc"], batch["scale"]], dim=-1).float()
    whole = Hidden(both, hidden.mask & (batch["scale"] > 0), hidden.cu_seqlens).unpacked()
    rows = torch.arange(len(whole.states), device=both.device)
    found = whole.states[rows, last_real(whole.mask)]
    known = whole.mask.any(dim=1)
    return found[:, 0].masked_fill(~known, 0.0), found[:, 1].masked_fill(~known, 1.0)


class QuantileHead(_PooledHead):
    """Quantiles of the next values of a series, all steps at once, by the pinball loss.

    Outputs and loss are in units of the series' own scale, so that series of any size count alike;
    :meth:`predict` gives the series' own units.

    Parameters
    ----------
    hidden_size, outputs : int
        Width of the states and steps ahead, H.
    quantiles : sequence of float
        Levels, 0.5 among them.
    pooling : {"last", "mean", "cls", "max", "attention"}
        How a sequence becomes one vector; a causal backbone has seen everything at the last position.
    dropout : float
        On that vector.
    inner : int, optional
        Width of a hidden layer; a linear head by default.
    """

    kind = "forecast"
    #: Inputs besides the hidden states; frozen features that stand in for these bring them along.
    needs = ("loc", "scale")

    def __init__(
        self,
        hidden_size: int,
        outputs: int,
        *,
        quantiles: Sequence[float] = DECILES,
        pooling: str = "last",
        dropout: float = 0.0,
        inner: int | None = None,
    ):
        found = check_levels(quantiles)
        super().__init__(hidden_size, outputs, outputs * len(found), pooling, dropout, inner)
        self.quantiles, self.middle = found, found.index(0.5)
        self.levels: Tensor
        self.register_buffer("levels", torch.tensor(found), persistent=False)
        start_as_normal(self.project, found)

    def next_quantiles(self, hidden: Hidden, batch: Mapping[str, Tensor]) -> Tensor:
        """Return the quantiles of the next H values in scaled units, ``[B, H, Q]``."""
        raw = self._projected(hidden).float().unflatten(-1, (self.outputs, len(self.quantiles)))
        return ordered_quantiles(raw, self.middle)

    def forward(self, hidden: Hidden, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return ``quantiles`` ``[B, H, Q]`` in scaled units, and ``loc`` and ``scale`` ``[B]``."""
        loc, scale = location_scale(batch, hidden)
        return {"quantiles": self.next_quantiles(hidden, batch), "loc": loc, "scale": scale}

    def loss(self, outputs: Mapping[str, Tensor], batch: Mapping[str, Tensor]) -> Tensor:
        """Quantile loss against ``target`` ``[B, H]`` in the series' own units, NaN where unknown."""
        target = _target(batch).float()
        if target.shape != outputs["quantiles"].shape[:2]:
            raise DataError(
                f"Targets of shape {list(target.shape)} for {list(outputs['quantiles'].shape[:2])} steps.",
                expected="one value a step ahead, NaN where there is none",
            )
        scaled = (target - outputs["loc"][:, None]) / outputs["scale"][:, None]
        return quantile_loss(outputs["quantiles"], scaled, self.levels)

    def predict(self, outputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return ``quantiles`` ``[B, H, Q]`` in the series' own units."""
        return {"quantiles": in_own_units(outputs)}

    def zero_shot(self, backbone: Backbone, target: TargetEncoder) -> Head:
        """Return itself, or this head rolled out or cut to the target's steps."""
        from scizoo.models.forecast_heads import RollOutHead

        if target.kind != self.kind:
            return super().zero_shot(backbone, target)
        return self if target.outputs == self.outputs else RollOutHead(backbone, self, target.outputs)

    def inherit(self, other: Head) -> bool:
        """Begin as a checkpoint's own forecast: its weights for each step that it knows.

        Steps further ahead begin as the last known one. Nothing is taken from a head with other levels or
        another hidden layer, nor for another pooling than that of the last position.
        """
        theirs, project = getattr(other, "project", None), self.project
        if self.pooling != "last" or getattr(other, "quantiles", None) != self.quantiles:
            return False
        if not isinstance(theirs, nn.Linear) or getattr(other, "inner", None) != self.inner:
            return False
        if theirs.in_features != project.in_features or getattr(other, "pooling", "last") != "last":
            return False
        levels = len(self.quantiles)
        known = theirs.out_features // levels
        steps = torch.arange(self.outputs).clamp(max=known - 1)
        with torch.no_grad():
            project.weight.copy_(theirs.weight.unflatten(0, (known, levels))[steps].flatten(0, 1))
            project.bias.copy_(theirs.bias.unflatten(0, (known, levels))[steps].flatten(0, 1))
        self.body.load_state_dict(other.body.state_dict())  # type: ignore[union-attr]
        return True

    def settings(self) -> dict[str, Any]:
        """Return the plain settings of this head."""
        return {**super().settings(), "quantiles": self.quantiles}


def in_own_units(outputs: Mapping[str, Tensor]) -> Tensor:
    """Turn scaled quantiles ``[B, ..., Q]`` into the units of their series."""
    loc, scale = outputs["loc"], outputs["scale"]
    end = [1] * (outputs["quantiles"].ndim - loc.ndim)
    return outputs["quantiles"].float() * scale.reshape(*scale.shape, *end) + loc.reshape(*loc.shape, *end)
