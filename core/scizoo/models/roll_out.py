"""Forecasts beyond what a model predicts at once: its own forecast is appended and it goes on from there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Protocol

import torch
from torch import Tensor

from scizoo.errors import ConfigError, DataError
from scizoo.models.backbones import Hidden
from scizoo.models.pooling import last_real
from scizoo.models.quantiles import location_scale

#: What a roll-out takes for true when it goes on from its own forecast.
Feed = Literal["quantiles", "median"]


class Forecasting(Protocol):
    """What can be rolled out: a head that predicts what follows the last position."""

    quantiles: list[float]
    levels: Tensor
    middle: int

    def next_quantiles(self, hidden: Hidden, batch: Mapping[str, Tensor]) -> Tensor:
        """Return ``[B, A, Q]`` in scaled units."""


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
