"""Masked values: numbers that are hidden and predicted, judged beside the mean of those left visible."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from scizoo.errors import ConfigError, DataError
from scizoo.models.backbones import Backbone, Hidden
from scizoo.models.masking import choose_exactly, choose_spans, cpu_generator
from scizoo.models.objective_base import Objective

LOSSES = ("squared", "huber", "gaussian")
# Limits of a predicted log variance, in units of the values as the tokenizer scales them.
_LOW, _HIGH = -10.0, 6.0


class MaskedValues(Objective):
    """Predict the values of hidden positions from those around them.

    The masked-patch objective of PatchTST (Nie et al. 2023, arXiv 2211.14730) for any sequence of numbers.
    Of the n positions of a record at which something was measured, ``round(fraction * n)`` are hidden: their
    values and flags are zeroed in the batch, and the backbone puts a learned vector in their place; it still
    sees their times and channels. Nothing else may enter a prediction: an error of measurement that should
    not be given away belongs in ``weight`` ``[B, T, F]`` or ``[B, T]``, which weighs the errors (inverse
    variances, for instance) and which no backbone reads.

    Parameters
    ----------
    hidden_size, outputs : int
        Width of the states and values a position, F.
    fraction : float
        Share of positions that is hidden.
    mean_length : float
        1 hides single positions; more hides spans of geometric lengths with this mean, which neighbours do
        not give away as easily.
    shortest, longest : int
        Limits of a span's length.
    loss : {"squared", "huber", "gaussian"}
        Squared error; Huber loss, for outliers; negative log-likelihood under a predicted variance.
    delta : float
        Where the Huber loss turns from square to linear.
    columns : sequence of int, optional
        Which of the F values are predicted; all by default.
    """

    kind = "reconstruction"

    def __init__(
        self,
        hidden_size: int,
        outputs: int,
        *,
        fraction: float = 0.3,
        mean_length: float = 1.0,
        shortest: int = 1,
        longest: int = 10,
        loss: str = "squared",
        delta: float = 1.0,
        columns: Sequence[int] | None = None,
    ):
        super().__init__(hidden_size, outputs)
        if not 0.0 < fraction < 1.0:
            raise ConfigError(f"head.fraction={fraction} must lie between 0 and 1.")
        if mean_length < 1.0 or not 1 <= shortest <= longest:
            raise ConfigError(
                f"objective: mean_length={mean_length}, shortest={shortest}, longest={longest} do not fit.",
                expected="mean_length >= 1 and 1 <= shortest <= longest",
            )
        if loss not in LOSSES or delta <= 0:
            raise ConfigError(
                f"objective: loss={loss} with delta={delta} is unknown.",
                expected=f"one of {', '.join(LOSSES)}",
            )
        self.fraction, self.mean_length = float(fraction), float(mean_length)
        self.shortest, self.longest = int(shortest), int(longest)
        self.loss_name, self.delta = loss, float(delta)
        self.columns = None if columns is None else sorted({int(column) for column in columns})
        if self.columns is not None and not (
            self.columns and 0 <= self.columns[0] <= self.columns[-1] < outputs
        ):
            raise ConfigError(f"head.columns={columns} do not lie among the {outputs} values.")
        self.norm = nn.LayerNorm(hidden_size)
        self.project = nn.Linear(hidden_size, outputs * (2 if loss == "gaussian" else 1))

    @classmethod
    def fitted(cls, cfg: Mapping[str, Any], backbone: Backbone, tokenizer: Any = None) -> dict[str, Any]:
        """Return the backbone's values a position as ``outputs``."""
        return {"outputs": int(getattr(backbone, "features", None) or 1)}

    def bind(self, backbone: Backbone) -> MaskedValues:
        """Check that the backbone reads values of this width.

        Raises
        ------
        ConfigError
            When it reads something else.
        """
        if backbone.input_key != "values" or getattr(backbone, "features", self.outputs) != self.outputs:
            raise ConfigError(
                f"objective: {type(self).__name__} of {self.outputs} values does not fit a "
                f"{type(backbone).__name__} of '{backbone.input_key}'.",
                expected="a backbone over values, such as backbone=continuous-tiny",
            )
        return self

    def prepare(
        self, batch: Mapping[str, Tensor], generator: torch.Generator | None = None
    ) -> dict[str, Tensor]:
        """Hide positions and keep their values as ``target``.

        Returns
        -------
        dict
            With ``values`` and ``observed`` zeroed where ``masked`` ``[B, T]`` is True, and ``target``
            ``[B, T, F]``: NaN where nothing is predicted.
        """
        if "values" not in batch:
            raise DataError(f"Masked values need 'values'; the batch has {sorted(batch)}.")
        values = batch["values"]
        seen = measured(batch)
        wanted = seen if self.columns is None else seen[..., self.columns]
        eligible = wanted.any(dim=-1).cpu()
        masked = self._choose(eligible, cpu_generator(generator)).to(values.device)
        hidden = masked[..., None]
        target = torch.where(hidden & seen, values.float(), torch.nan)
        if self.columns is not None:
            others = torch.ones(self.outputs, dtype=torch.bool, device=values.device)
            others[self.columns] = False
            target = target.masked_fill(others, torch.nan)
        return {
            **batch,
            "values": torch.where(seen & ~hidden, values, torch.zeros_like(values)),
            "observed": (seen & ~hidden).to(values.dtype),
            "masked": masked,
            "target": target,
        }

    def _choose(self, eligible: Tensor, generator: torch.Generator | None) -> Tensor:
        owner = torch.arange(eligible.shape[0])[:, None].expand(eligible.shape)
        if self.mean_length > 1.0 or self.shortest > 1:
            lengths = (self.mean_length, self.shortest, self.longest)
            return choose_spans(eligible, owner, self.fraction, *lengths, generator)[0]
        return choose_exactly(eligible, owner, self.fraction, generator)

    def forward(self, hidden: Hidden, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Predict values.

        Returns
        -------
        dict
            With a ``target`` in the batch, over the N values that count: ``entry_loss``, ``prediction``,
            ``reference`` (the mean of the visible values of the same record, channel and column),
            ``reference_loss`` and ``target`` ``[N]``; ``entry_weight`` ``[N]`` and its sum ``loss_weight``.
            Without one: ``values`` ``[B, T, F]``, and ``log_variance`` under the Gaussian loss.
        """
        found = self.project(self.norm(hidden.states)).float()
        mean, spread = found, None
        if self.loss_name == "gaussian":
            mean, spread = found.chunk(2, dim=-1)
            spread = spread.clamp(_LOW, _HIGH)
        if "target" not in batch:
            return {"values": mean} if spread is None else {"values": mean, "log_variance": spread}
        counted = ~batch["target"].isnan()
        target, weights = batch["target"][counted], weights_of(batch, mean)[counted]
        with torch.no_grad():
            center, log_variance = visible_statistics(batch)
            center, log_variance = center[counted], log_variance[counted]
        prediction = mean[counted]
        return {
            "entry_loss": self._entry_loss(prediction, target, None if spread is None else spread[counted]),
            "entry_weight": weights,
            "loss_weight": weights.sum(),
            "prediction": prediction,
            "reference": center,
            "reference_loss": self._entry_loss(center, target, log_variance),
            "target": target,
        }

    def _entry_loss(self, prediction: Tensor, target: Tensor, log_variance: Tensor | None) -> Tensor:
        if self.loss_name == "huber":
            return F.huber_loss(prediction, target, reduction="none", delta=self.delta)
        square = (prediction - target) ** 2
        if self.loss_name == "squared" or log_variance is None:
            return square
        return 0.5 * (log_variance + square / log_variance.exp() + math.log(2.0 * math.pi))

    def loss(self, outputs: Mapping[str, Tensor], batch: Mapping[str, Tensor]) -> Tensor:
        """Return the weighted mean loss a hidden value; 0 when none is hidden."""
        weight = outputs["entry_weight"]
        return (outputs["entry_loss"] * weight).sum() / weight.sum().clamp(min=1e-12)

    def predict(self, outputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return ``values`` ``[B, T, F]`` (and ``variance``), or ``mean`` ``[N]`` of those that counted."""
        if "values" not in outputs:
            return {"mean": outputs["prediction"].float()}
        given = {"values": outputs["values"].float()}
        if "log_variance" in outputs:
            given["variance"] = outputs["log_variance"].float().exp()
        return given

    def predicted_share(self) -> float:
        """Return the share of positions that are predicted in training."""
        return self.fraction

    def settings(self) -> dict[str, Any]:
        """Return the plain settings of this objective."""
        return {
            "fraction": self.fraction,
            "mean_length": self.mean_length,
            "shortest": self.shortest,
            "longest": self.longest,
            "loss": self.loss_name,
            "delta": self.delta,
            "columns": self.columns,
        }


def measured(batch: Mapping[str, Tensor]) -> Tensor:
    """Return which values are real, ``[B, T, F]`` bool: measured, finite and no padding."""
    seen = batch["values"].isfinite()
    if "observed" in batch:
        seen = seen & (batch["observed"] > 0)
    if "attention_mask" in batch:
        seen = seen & batch["attention_mask"].bool()[..., None]
    return seen


def weights_of(batch: Mapping[str, Tensor], like: Tensor) -> Tensor:
    """Return ``weight`` in the shape of ``like`` ``[B, T, F]``; ones where the batch has none."""
    weight = batch.get("weight")
    if weight is None:
        return torch.ones_like(like)
    weight = weight.to(like.dtype)
    return (weight[..., None] if weight.ndim == like.ndim - 1 else weight).expand_as(like)


def visible_statistics(batch: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
    """Return mean and log variance of the visible values, for each place, ``[B, T, F]`` each.

    Of the same record, column and ``channel``, by the optional ``weight``; of the record and column where
    the channel shows nothing, and 0 where nothing is shown. One observation of variance 1 is added to the
    variances, so that a few equal values are no certainty.
    """
    values = batch["values"].float()
    seen = torch.where(measured(batch), weights_of(batch, values), torch.zeros_like(values))
    values = torch.where(seen > 0, values, torch.zeros_like(values))
    channel = batch.get("channel")
    owner = torch.zeros(values.shape[:2], dtype=torch.long, device=values.device)
    groups = 1
    if channel is not None:
        owner, groups = channel.long(), int(channel.max()) + 1
    index = owner[..., None].expand(values.shape)

    def total(entries: Tensor) -> Tensor:
        sums = entries.new_zeros(entries.shape[0], groups, entries.shape[2])
        return sums.scatter_add_(1, index, entries)

    count, overall = total(seen), seen.sum(dim=1, keepdim=True)
    fallback = (values * seen).sum(dim=1, keepdim=True) / overall.clamp(min=1e-12)
    mean = torch.where(count > 0, total(values * seen) / count.clamp(min=1e-12), fallback)
    center = mean.gather(1, index)
    number = total((seen > 0).float())
    variance = total((seen > 0) * (values - center) ** 2) + 1.0
    return center, (variance / (number + 1.0)).gather(1, index).log()
