"""Heads that forecast patch by patch: as they are, or fine-tuned as they were pre-trained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

import torch
from torch import Tensor
from torch.nn import functional as F

from scizoo.errors import ConfigError
from scizoo.models.backbones import Backbone, Hidden
from scizoo.models.forecasting import NextPatchQuantiles
from scizoo.models.heads import Head
from scizoo.models.pooling import last_real
from scizoo.models.quantiles import DECILES, in_own_units, location_scale, quantile_loss
from scizoo.models.roll_out import Feed, extend, roll_out

if TYPE_CHECKING:
    from scizoo.data.targets import TargetEncoder


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


class PatchQuantileHead(Head):
    """Forecasts patch by patch, fine-tuned as it was pre-trained.

    In training the true future is appended to the history, and the loss is that of the patches which follow
    the end of the history and each known patch of the future (teacher forcing); predictions are rolled out.
    Unlike :class:`~scizoo.models.quantiles.QuantileHead`, which predicts all steps at once, it begins as the
    checkpoint's own zero-shot forecast at every horizon, and has no weights of its own for far steps.

    Parameters
    ----------
    hidden_size, outputs : int
        Width of the states and steps ahead, H.
    patch : int
        Values a patch, P; the backbone tells it.
    quantiles, ahead, dropout, inner
        As in :class:`~scizoo.models.forecasting.NextPatchQuantiles`; where they are those of the checkpoint's
        objective, its weights are taken over.
    feed : {"quantiles", "median"}
        As in :func:`~scizoo.models.roll_out.roll_out`.
    """

    kind = "forecast"

    def __init__(
        self,
        hidden_size: int,
        outputs: int,
        *,
        patch: int,
        quantiles: Sequence[float] = DECILES,
        ahead: int = 1,
        dropout: float = 0.0,
        inner: int | None = None,
        feed: Feed = "quantiles",
    ):
        super().__init__(hidden_size, outputs)
        self.objective = NextPatchQuantiles(
            hidden_size, patch, quantiles=quantiles, ahead=ahead, dropout=dropout, inner=inner
        )
        self.feed = feed
        self.__dict__["_backbone"] = None

    @classmethod
    def fitted(cls, cfg: Mapping[str, Any], backbone: Backbone) -> dict[str, Any]:
        """Return the values a patch, where the config leaves them open and the backbone knows them."""
        known = getattr(backbone, "features", None)
        return {"patch": int(known)} if cfg.get("patch") is None and known is not None else {}

    def bind(self, backbone: Backbone) -> Self:
        """Take the backbone, which runs again over the future; it stays outside of this module.

        Raises
        ------
        ConfigError
            When its positions see what they are to predict.
        """
        self.objective.bind(backbone)
        self.__dict__["_backbone"] = backbone
        return self

    @property
    def quantiles(self) -> list[float]:
        """The levels."""
        return list(self.objective.quantiles)

    def forward(self, hidden: Hidden, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return ``quantiles`` in scaled units, ``loc`` and ``scale``.

        Of the steps ahead ``[B, H, Q]``; in training of what follows each patch of the true future,
        ``[B, N, ahead * P, Q]``, with ``future`` ``[B, N, ahead * P]``, NaN where unknown.
        """
        backbone = self.__dict__["_backbone"]
        if backbone is None:
            raise ConfigError("PatchQuantileHead was not given its backbone.", remedy="call bind.")
        if not (self.training and "target" in batch):
            return roll_out(backbone, self.objective, batch, self.outputs, feed=self.feed, hidden=hidden)
        loc, scale = location_scale(batch, hidden)
        size = self.objective.outputs
        count = -(-self.outputs // size)
        scaled = (batch["target"].float() - loc[:, None]) / scale[:, None]
        scaled = F.pad(scaled, (0, count * size - self.outputs), value=torch.nan)
        known = torch.isfinite(scaled)
        patches = scaled.masked_fill(~known, 0.0).unflatten(1, (count, size))
        # The last patch is only predicted, never seen. What is unknown of the others is marked as such.
        given = dict(batch)
        given.setdefault("observed", torch.ones_like(batch["values"]))
        flags = known.unflatten(1, (count, size)).to(given["observed"].dtype)
        if count > 1:
            longer = extend(given, patches[:, :-1], backbone.max_length, {"observed": flags[:, :-1]})
            hidden = backbone(longer)
        rows = torch.arange(len(loc), device=loc.device)[:, None]
        ends = last_real(hidden.mask)[:, None] - count + 1 + torch.arange(count, device=loc.device)
        steps = self.objective.ahead * size
        wide = F.pad(scaled, (0, steps), value=torch.nan)
        future = wide.unfold(1, steps, size)[:, :count]
        quantiles = self.objective.at_states(hidden.states[rows, ends])
        return {"quantiles": quantiles, "loc": loc, "scale": scale, "future": future}

    def loss(self, outputs: Mapping[str, Tensor], batch: Mapping[str, Tensor]) -> Tensor:
        """Quantile loss: in training of every patch ahead, else against ``target`` ``[B, H]``."""
        wanted = outputs.get("future")
        if wanted is None:
            wanted = (batch["target"].float() - outputs["loc"][:, None]) / outputs["scale"][:, None]
        return quantile_loss(outputs["quantiles"], wanted, self.objective.levels)

    def predict(self, outputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return ``quantiles`` ``[B, H, Q]`` in the series' own units."""
        return {"quantiles": in_own_units(outputs)}

    def zero_shot(self, backbone: Backbone, target: TargetEncoder) -> Head:
        """Return itself, or its objective rolled out to the target's horizon."""
        if target.kind != self.kind:
            return super().zero_shot(backbone, target)
        if target.outputs == self.outputs:
            return self
        return RollOutHead(backbone, self.objective, target.outputs, self.feed)

    def inherit(self, other: Head) -> bool:
        """Begin as a checkpoint's own forecast, where its objective has the same settings."""
        own = other.objective if isinstance(other, PatchQuantileHead) else other
        if not isinstance(own, NextPatchQuantiles):
            return False
        mine, theirs = (
            {key: value for key, value in one.settings().items() if key != "dropout"}
            for one in (self.objective, own)
        )
        if mine != theirs or own.outputs != self.objective.outputs:
            return False
        self.objective.load_state_dict(own.state_dict())
        return True

    def settings(self) -> dict[str, Any]:
        """Return the plain settings of this head."""
        return {**self.objective.settings(), "patch": self.objective.outputs, "feed": self.feed}
