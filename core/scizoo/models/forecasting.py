"""Forecasting patch by patch: the pre-training objective, and its roll-out to any horizon."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, Protocol, Self

import torch
from torch import Tensor, nn

from scizoo.errors import ConfigError, DataError
from scizoo.models.backbones import Backbone, Hidden
from scizoo.models.heads import Head
from scizoo.models.objective_base import Objective
from scizoo.models.pooling import LastPool, last_real
from scizoo.models.quantiles import (
    DECILES,
    check_levels,
    in_own_units,
    location_scale,
    ordered_quantiles,
    quantile_loss,
    start_as_normal,
)

if TYPE_CHECKING:
    from scizoo.data.targets import TargetEncoder

#: What a roll-out takes for true when it goes on from its own forecast.
Feed = Literal["quantiles", "median"]


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

    def _quantiles(self, states: Tensor) -> Tensor:
        raw = self.project(self.body(self.drop(states))).float()
        steps = self.ahead * self.outputs
        return ordered_quantiles(raw.unflatten(-1, (steps, len(self.quantiles))), self.middle)

    def next_quantiles(self, hidden: Hidden, batch: Mapping[str, Tensor]) -> Tensor:
        """Return the quantiles of what follows the last position, in scaled units ``[B, ahead * P, Q]``."""
        return self._quantiles(LastPool()(hidden))

    def forward(self, hidden: Hidden, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Predict at every position.

        Returns
        -------
        dict
            ``quantiles`` ``[B, T, ahead * P, Q]`` in scaled units, ``loc`` and ``scale`` ``[B, T]``; and,
            where the batch has targets, ``loss_weight``: how many of them are known.
        """
        outputs = {"quantiles": self._quantiles(hidden.states)}
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


class Forecasting(Protocol):
    """What can be rolled out: a head that predicts what follows the last position."""

    quantiles: list[float]
    levels: Tensor
    middle: int

    def next_quantiles(self, hidden: Hidden, batch: Mapping[str, Tensor]) -> Tensor:
        """Return ``[B, A, Q]`` in scaled units."""


class RollOutHead(Head):
    """Forecasts of a given horizon by a head that was trained for another one; nothing in it is trained.

    Parameters
    ----------
    backbone : Backbone
        Runs again for each further patch; it stays outside of this module.
    inner : NextPatchQuantiles or QuantileHead
    horizon : int
        Steps ahead.
    feed : {"quantiles", "median"}
        As in :func:`roll_out`.
    """

    kind = "forecast"

    def __init__(self, backbone: Backbone, inner: Any, horizon: int, feed: Feed = "quantiles"):
        super().__init__(inner.hidden_size, horizon)
        self.__dict__["_backbone"] = backbone
        self.inner, self.feed = inner, feed

    @property
    def quantiles(self) -> list[float]:
        """The levels."""
        return list(self.inner.quantiles)

    def forward(self, hidden: Hidden, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return ``quantiles`` ``[B, H, Q]`` in scaled units, and ``loc`` and ``scale`` ``[B]``."""
        return roll_out(
            self.__dict__["_backbone"], self.inner, batch, self.outputs, feed=self.feed, hidden=hidden
        )

    def loss(self, outputs: Mapping[str, Tensor], batch: Mapping[str, Tensor]) -> Tensor:
        """Quantile loss against ``target`` ``[B, H]`` in the series' own units."""
        scaled = (batch["target"].float() - outputs["loc"][:, None]) / outputs["scale"][:, None]
        return quantile_loss(outputs["quantiles"], scaled, self.inner.levels)

    def predict(self, outputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return ``quantiles`` ``[B, H, Q]`` in the series' own units."""
        return {"quantiles": in_own_units(outputs)}

    def settings(self) -> dict[str, Any]:
        """Return the settings of the head that is rolled out, which is the one to save."""
        return dict(self.inner.settings())


@torch.no_grad()
def roll_out(
    backbone: Any,
    head: Forecasting,
    batch: Mapping[str, Tensor],
    horizon: int,
    *,
    feed: Feed = "quantiles",
    hidden: Hidden | None = None,
    future: Mapping[str, Tensor] | None = None,
) -> dict[str, Tensor]:
    """Forecast any number of steps: what is forecast is appended to the history, patch by patch.

    With ``feed="median"`` the median stands for what came true, and the uncertainty of far steps is that of
    near ones: too narrow. With ``feed="quantiles"`` each quantile is followed as a path of its own, and the
    quantiles of a further step are those of all paths' forecasts together, weighted by the share of the
    distribution that each level stands for; this costs as many passes as there are levels.

    Parameters
    ----------
    backbone : Backbone
    head : NextPatchQuantiles or QuantileHead
    batch : mapping
        ``values`` ``[B, T, P]`` and whatever else has an entry a position; not packed.
    horizon : int
        Steps ahead, H.
    feed : {"quantiles", "median"}
    hidden : Hidden, optional
        Of this batch, where it was computed before.
    future : mapping, optional
        Inputs ``[B, N, ...]`` of the positions to come, where they are known. By default ``times`` and
        ``position_ids`` go on at their last pace and other inputs stay as they were.

    Returns
    -------
    dict
        ``quantiles`` ``[B, H, Q]`` in scaled units, ``loc`` and ``scale`` ``[B]``.
    """
    if hidden is None:
        hidden = backbone(batch)
    loc, scale = location_scale(batch, hidden)
    now = head.next_quantiles(hidden, batch)
    found = [now]
    if now.shape[1] < horizon:
        size, patches = _whole_patches(batch, now)
        rows, levels, steps = len(now), now.shape[2], patches * size
        followed = slice(None) if feed == "quantiles" else slice(head.middle, head.middle + 1)
        paths = levels if feed == "quantiles" else 1
        batch = _repeated(batch, paths)
        later = {key: value.repeat_interleave(paths, dim=0) for key, value in (future or {}).items()}
        weights = _shares(head.levels)
        found, done = [now[:, :steps]], steps
        while done < horizon:
            track = found[-1][..., followed].transpose(1, 2).reshape(rows * paths, patches, size)
            batch = extend(batch, track, backbone.max_length, _part(later, done // size - patches, patches))
            each = head.next_quantiles(backbone(batch), batch)[:, :steps]
            if paths > 1:
                many = each.unflatten(0, (rows, paths)).transpose(1, 2).flatten(2)
                each = _weighted(many, (weights[:, None] * weights).flatten(), head.levels)
            found.append(each)
            done += steps
    return {"quantiles": torch.cat(found, dim=1)[:, :horizon], "loc": loc, "scale": scale}


@torch.no_grad()
def sample_paths(
    backbone: Any,
    head: Forecasting,
    batch: Mapping[str, Tensor],
    horizon: int,
    paths: int,
    generator: torch.Generator | None = None,
    future: Mapping[str, Tensor] | None = None,
) -> Tensor:
    """Draw possible futures, each patch given those drawn before.

    The steps of one forecast (``ahead`` patches) are drawn independently from their own quantiles, straight
    lines between and beyond the levels; only further ones depend on what was drawn.

    Parameters
    ----------
    backbone, head, batch, horizon, future
        As in :func:`roll_out`.
    paths : int
        How many futures of each series, S.
    generator : torch.Generator, optional
        Of the CPU; the same state gives the same paths.

    Returns
    -------
    Tensor
        ``[B, S, H]`` in the series' own units.
    """
    hidden = backbone(batch)
    loc, scale = location_scale(batch, hidden)
    rows = len(loc)
    now = head.next_quantiles(hidden, batch).repeat_interleave(paths, dim=0)
    size, patches = _whole_patches(batch, now) if now.shape[1] < horizon else (1, now.shape[1])
    later = {key: value.repeat_interleave(paths, dim=0) for key, value in (future or {}).items()}
    batch = _repeated(batch, paths)
    steps, found, done = patches * size, [], 0
    while True:
        chance = torch.rand(rows * paths, steps, generator=generator).to(now.device)
        found.append(_inverse(now[:, :steps], head.levels, chance))
        done += steps
        if done >= horizon:
            break
        track = found[-1].unflatten(1, (patches, size))
        batch = extend(batch, track, backbone.max_length, _part(later, done // size - patches, patches))
        now = head.next_quantiles(backbone(batch), batch)
    drawn = torch.cat(found, dim=1)[:, :horizon].unflatten(0, (rows, paths))
    return drawn * scale[:, None, None] + loc[:, None, None]


def extend(
    batch: Mapping[str, Tensor],
    patches: Tensor,
    longest: int | None = None,
    future: Mapping[str, Tensor] | None = None,
) -> dict[str, Tensor]:
    """Append patches of values behind the last real position of each row.

    Parameters
    ----------
    batch : mapping
        Of which everything with an entry a position is lengthened.
    patches : Tensor
        ``[B, N, P]`` in scaled units.
    longest : int, optional
        The longest sequence that the backbone takes; the oldest positions are dropped beyond.
    future : mapping, optional
        Known inputs ``[B, N, ...]`` of the new positions.

    Returns
    -------
    dict
    """
    if "cu_seqlens" in batch:
        raise DataError("Packed rows cannot be rolled out.", remedy="predict from padded batches.")
    shape = batch["values"].shape[:2]
    real = batch.get("attention_mask", torch.ones(shape, device=patches.device)).bool()
    new, device = patches.shape[1], patches.device
    keep = real.sum(dim=1)
    if longest is not None:
        keep = keep.clamp(max=max(1, longest - new))
    last = last_real(real)
    place = torch.arange(int(keep.max()) + new, device=device)[None]
    old = place < keep[:, None]
    fresh = ~old & (place < keep[:, None] + new)
    source = (last[:, None] - keep[:, None] + 1 + place).clamp(max=shape[1] - 1)
    slot = (place - keep[:, None]).clamp(0, new - 1)
    rows = torch.arange(len(keep), device=device)[:, None]
    made: dict[str, Tensor] = {}
    for key, value in batch.items():
        if key == "target":
            continue
        if value.ndim < 2 or value.shape[:2] != shape:
            made[key] = value
            continue
        if key == "values":
            coming = patches[rows, slot].to(value.dtype)
        elif future is not None and key in future:
            coming = future[key][rows, slot].to(value.dtype)
        elif key in ("observed", "attention_mask"):
            coming = torch.ones_like(value[rows, source])
        elif key == "masked":
            coming = torch.zeros_like(value[rows, source])
        else:
            coming = value[rows, last[:, None]].expand(-1, place.shape[1], *value.shape[2:])
            if key in ("times", "position_ids"):
                coming = coming + _pace(value, last, keep) * _like(slot + 1, value)
        kept, added = (_like(mask, value, cast=False) for mask in (old, fresh))
        zero = torch.zeros_like(coming)
        made[key] = torch.where(kept, value[rows, source], torch.where(added, coming, zero))
    made["attention_mask"] = (old | fresh).long()
    return made


def _like(value: Tensor, other: Tensor, cast: bool = True) -> Tensor:
    """Give ``[B, T]`` the axes, and the type, of something that may have more."""
    wide = value.reshape(*value.shape, *[1] * (other.ndim - 2))
    return wide.to(other.dtype) if cast else wide


def _pace(value: Tensor, last: Tensor, keep: Tensor) -> Tensor:
    rows = torch.arange(len(value), device=value.device)
    step = value[rows, last] - value[rows, (last - 1).clamp(min=0)]
    alone = (keep < 2).reshape(-1, *[1] * (step.ndim - 1))
    return torch.where(alone, torch.ones_like(step), step)[:, None]


def _whole_patches(batch: Mapping[str, Tensor], quantiles: Tensor) -> tuple[int, int]:
    if "values" not in batch:
        raise ConfigError("only a model of values can be rolled out.", expected="'values' in the batch")
    size = batch["values"].shape[-1]
    if quantiles.shape[1] < size:
        raise ConfigError(
            f"a head of {quantiles.shape[1]} steps cannot be rolled out in patches of {size}.",
            expected="a head that was trained for a patch or more",
        )
    return size, quantiles.shape[1] // size


def _repeated(batch: Mapping[str, Tensor], times: int) -> dict[str, Tensor]:
    rows = len(batch["values"]) if "values" in batch else len(next(iter(batch.values())))
    return {
        key: value.repeat_interleave(times, dim=0) if value.ndim and len(value) == rows else value
        for key, value in batch.items()
    }


def _part(future: Mapping[str, Tensor], start: int, count: int) -> dict[str, Tensor]:
    return {key: value[:, start : start + count] for key, value in future.items()}


def _shares(levels: Tensor) -> Tensor:
    """Give the share of the distribution that lies nearest to each level."""
    borders = torch.cat([levels.new_zeros(1), (levels[1:] + levels[:-1]) / 2, levels.new_ones(1)])
    return borders.diff()


def _weighted(values: Tensor, weights: Tensor, levels: Tensor) -> Tensor:
    """Give quantiles ``[..., Q]`` of weighted values ``[..., M]``: the least with as much weight below."""
    ordered, order = values.sort(dim=-1)
    below = weights[order].cumsum(dim=-1).contiguous()
    wanted = (levels - 1e-6).expand(*below.shape[:-1], -1).contiguous()
    place = torch.searchsorted(below, wanted).clamp(max=values.shape[-1] - 1)
    return ordered.gather(-1, place)


def _inverse(quantiles: Tensor, levels: Tensor, chance: Tensor) -> Tensor:
    """Read the quantile function ``[..., Q]`` at chances ``[...]``, by straight lines, also beyond."""
    if len(levels) == 1:
        return quantiles[..., 0]
    place = torch.searchsorted(levels, chance.contiguous()).clamp(1, len(levels) - 1)
    low, high = (quantiles.gather(-1, (place + side)[..., None])[..., 0] for side in (-1, 0))
    share = (chance - levels[place - 1]) / (levels[place] - levels[place - 1])
    return low + share * (high - low)
