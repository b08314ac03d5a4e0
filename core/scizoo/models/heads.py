"""Heads: from hidden states to outputs, a loss and predictions."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from scizoo.errors import ConfigError, DataError
from scizoo.models.backbones import Hidden
from scizoo.models.pooling import build_pool

if TYPE_CHECKING:
    from scizoo.data.targets import TargetEncoder
    from scizoo.models.backbones import Backbone

#: Label of a position or record that does not count in the loss.
IGNORED = -100


class Head(nn.Module, ABC):
    """Turns hidden states into outputs; built by ``Head(hidden_size, outputs, **settings)``.

    Parameters
    ----------
    hidden_size : int
        Width of the hidden states, D.
    outputs : int
        How many classes, labels, quantities or tokens are predicted, C.
    """

    #: What is predicted: classification, multilabel, regression, forecast, segmentation, tokens or language.
    kind: ClassVar[str]

    def __init__(self, hidden_size: int, outputs: int):
        super().__init__()
        if hidden_size < 1 or outputs < 1:
            raise ConfigError(f"head: hidden_size={hidden_size} and outputs={outputs} must be positive.")
        self.hidden_size = int(hidden_size)
        self.outputs = int(outputs)

    @abstractmethod
    def forward(self, hidden: Hidden, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Compute outputs from hidden states ``[B, T, D]``."""

    @abstractmethod
    def loss(self, outputs: Mapping[str, Tensor], batch: Mapping[str, Tensor]) -> Tensor:
        """Compute the mean loss, a scalar in float32; targets are ``batch["target"]``."""

    @abstractmethod
    def predict(self, outputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Turn outputs into what users are given, in float32."""

    @abstractmethod
    def settings(self) -> dict[str, Any]:
        """Return the plain settings with which the constructor gives this head again."""

    def zero_shot(self, backbone: Backbone, target: TargetEncoder) -> Head:
        """Return a head that predicts the target with weights as they are, without any training.

        Parameters
        ----------
        backbone : Backbone
            Of the same checkpoint.
        target : TargetEncoder
            Of the task.

        Raises
        ------
        ConfigError
            When what this head was trained for says nothing of such a target.
        """
        raise ConfigError(
            f"adapt=none: {type(self).__name__} cannot predict a {target.kind} target without training.",
            expected="a checkpoint that was trained to predict such targets",
            remedy="choose adapt=probe, lora or full.",
        )

    def inherit(self, other: Head) -> bool:
        """Begin from the weights of a checkpoint's own head, where they say something of the task.

        Returns
        -------
        bool
            Whether anything was taken over.
        """
        return False

    def flops_per_token(self, seq_len: int, training: bool = True) -> float:
        """Estimate floating-point operations a token of the sequence."""
        weights = sum(p.numel() for p in self.parameters() if p.ndim >= 2)
        return (6.0 if training else 2.0) * weights / max(1, seq_len)


class _PooledHead(Head):
    """A head on one vector a sequence."""

    def __init__(
        self, hidden_size: int, outputs: int, width: int, pooling: str, dropout: float, inner: int | None
    ):
        super().__init__(hidden_size, outputs)
        self.pooling, self.dropout, self.inner = pooling, float(dropout), inner
        self.pool = build_pool(pooling, hidden_size)
        self.drop = nn.Dropout(self.dropout)
        self.body: nn.Module = nn.Identity()
        if inner is not None:
            self.body = nn.Sequential(nn.Linear(hidden_size, inner), nn.GELU(), nn.Dropout(self.dropout))
        self.project = nn.Linear(inner or hidden_size, width)

    def features(self, hidden: Hidden) -> Tensor:
        """Return one vector a sequence, ``[B, D]``; what a probe caches and ``embed`` gives."""
        return self.pool(hidden)

    def _projected(self, hidden: Hidden) -> Tensor:
        return self.project(self.body(self.drop(self.features(hidden))))

    def settings(self) -> dict[str, Any]:
        """Return the plain settings of this head."""
        return {"pooling": self.pooling, "dropout": self.dropout, "inner": self.inner}


class ClassificationHead(_PooledHead):
    """One class of several a sequence, by cross-entropy.

    Parameters
    ----------
    hidden_size, outputs : int
        Width of the states and number of classes, C.
    pooling : {"mean", "cls", "last", "max", "attention"}
        How a sequence becomes one vector.
    dropout : float
        On that vector.
    inner : int, optional
        Width of a hidden layer; a linear head by default.
    class_weights : sequence of float, optional
        One weight a class in the loss.
    label_smoothing : float
        Share of each label that is spread over all classes.
    """

    kind = "classification"

    def __init__(
        self,
        hidden_size: int,
        outputs: int,
        *,
        pooling: str = "mean",
        dropout: float = 0.0,
        inner: int | None = None,
        class_weights: Sequence[float] | None = None,
        label_smoothing: float = 0.0,
    ):
        super().__init__(hidden_size, outputs, outputs, pooling, dropout, inner)
        self.label_smoothing = float(label_smoothing)
        self.class_weights = None if class_weights is None else [float(weight) for weight in class_weights]
        if self.class_weights is not None and len(self.class_weights) != outputs:
            raise ConfigError(
                f"head.class_weights holds {len(self.class_weights)} weights for {outputs} classes.",
                expected="one weight a class, in the order of the classes",
            )
        weights = None if self.class_weights is None else torch.tensor(self.class_weights)
        self.weights: Tensor | None
        self.register_buffer("weights", weights, persistent=False)

    def forward(self, hidden: Hidden, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return ``logits`` ``[B, C]``."""
        return {"logits": self._projected(hidden)}

    def loss(self, outputs: Mapping[str, Tensor], batch: Mapping[str, Tensor]) -> Tensor:
        """Cross-entropy against ``target`` ``[B]`` (class numbers; -100 does not count)."""
        target = _target(batch).long()
        return _cross_entropy(outputs["logits"], target, self.weights, self.label_smoothing)

    def predict(self, outputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return ``probability`` ``[B, C]``; rows add up to one."""
        return {"probability": outputs["logits"].float().softmax(dim=-1)}

    def settings(self) -> dict[str, Any]:
        """Return the plain settings of this head."""
        own = {"class_weights": self.class_weights, "label_smoothing": self.label_smoothing}
        return {**super().settings(), **own}


class MultiLabelHead(_PooledHead):
    """Several yes-or-no labels a sequence, some of them possibly unknown.

    Parameters
    ----------
    hidden_size, outputs : int
        Width of the states and number of labels, C.
    pooling, dropout, inner
        As in :class:`ClassificationHead`.
    positive_weights : sequence of float, optional
        How much a positive example of each label counts against a negative one.
    """

    kind = "multilabel"

    def __init__(
        self,
        hidden_size: int,
        outputs: int,
        *,
        pooling: str = "mean",
        dropout: float = 0.0,
        inner: int | None = None,
        positive_weights: Sequence[float] | None = None,
    ):
        super().__init__(hidden_size, outputs, outputs, pooling, dropout, inner)
        self.positive_weights = None if positive_weights is None else [float(w) for w in positive_weights]
        if self.positive_weights is not None and len(self.positive_weights) != outputs:
            raise ConfigError(
                f"head.positive_weights holds {len(self.positive_weights)} weights for {outputs} labels."
            )
        weights = None if self.positive_weights is None else torch.tensor(self.positive_weights)
        self.weights: Tensor | None
        self.register_buffer("weights", weights, persistent=False)

    def forward(self, hidden: Hidden, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return ``logits`` ``[B, C]``."""
        return {"logits": self._projected(hidden)}

    def loss(self, outputs: Mapping[str, Tensor], batch: Mapping[str, Tensor]) -> Tensor:
        """Binary cross-entropy over the known labels of ``target`` ``[B, C]`` (0, 1, or NaN for unknown)."""
        logits = outputs["logits"].float()
        target = _target(batch).to(logits.dtype).reshape(logits.shape)
        known = ~target.isnan()
        each = F.binary_cross_entropy_with_logits(
            logits, target.nan_to_num(0.0), pos_weight=self.weights, reduction="none"
        )
        return each.masked_fill(~known, 0.0).sum() / known.sum().clamp(min=1)

    def predict(self, outputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return ``probability`` ``[B, C]`` of each label by itself."""
        return {"probability": outputs["logits"].float().sigmoid()}

    def settings(self) -> dict[str, Any]:
        """Return the plain settings of this head."""
        return {**super().settings(), "positive_weights": self.positive_weights}


class RegressionHead(_PooledHead):
    """Quantities with their own predicted variance (Nix and Weigend 1994), and quantiles if wanted.

    Parameters
    ----------
    hidden_size, outputs : int
        Width of the states and number of quantities, C.
    pooling, dropout, inner
        As in :class:`ClassificationHead`.
    quantiles : sequence of float, optional
        Levels in (0, 1) that are predicted as well, by the pinball loss.
    beta : float
        Weight of each term by its variance to this power; 0 is the likelihood itself, 0.5 keeps the mean from
        being neglected where the variance is large (Seitzer et al. 2022, arXiv 2203.09168).
    log_variance_range : tuple of float
        Limits of the predicted log variance, in standardised units; they keep the loss finite.
    """

    kind = "regression"

    def __init__(
        self,
        hidden_size: int,
        outputs: int,
        *,
        pooling: str = "mean",
        dropout: float = 0.0,
        inner: int | None = None,
        quantiles: Sequence[float] | None = None,
        beta: float = 0.0,
        log_variance_range: Sequence[float] = (-10.0, 6.0),
    ):
        levels = sorted(float(level) for level in quantiles or ())
        if any(not 0.0 < level < 1.0 for level in levels):
            raise ConfigError(f"head.quantiles={levels} must lie between 0 and 1.")
        super().__init__(hidden_size, outputs, outputs * (2 + len(levels)), pooling, dropout, inner)
        self.quantiles, self.beta = levels, float(beta)
        self.low, self.high = (float(limit) for limit in log_variance_range)
        self.levels: Tensor
        self.register_buffer("levels", torch.tensor(levels), persistent=False)

    def forward(self, hidden: Hidden, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return ``mean`` and ``log_variance`` ``[B, C]``, and ``quantiles`` ``[B, C, Q]`` if asked for."""
        parts = self._projected(hidden).float().unflatten(-1, (self.outputs, 2 + len(self.quantiles)))
        outputs = {"mean": parts[..., 0], "log_variance": parts[..., 1].clamp(self.low, self.high)}
        if self.quantiles:
            outputs["quantiles"] = parts[..., 2:]
        return outputs

    def loss(self, outputs: Mapping[str, Tensor], batch: Mapping[str, Tensor]) -> Tensor:
        """Gaussian negative log-likelihood of the known values of ``target`` ``[B, C]`` (NaN for unknown)."""
        mean, log_variance = outputs["mean"].float(), outputs["log_variance"].float()
        target = _target(batch).to(mean.dtype).reshape(mean.shape)
        known = ~target.isnan()
        target = target.nan_to_num(0.0)
        each = 0.5 * (log_variance + (target - mean) ** 2 / log_variance.exp() + math.log(2.0 * math.pi))
        if self.beta:
            each = each * log_variance.detach().exp() ** self.beta
        if self.quantiles:
            error = target[..., None] - outputs["quantiles"].float()
            each = each + torch.maximum(self.levels * error, (self.levels - 1.0) * error).mean(dim=-1)
        return each.masked_fill(~known, 0.0).sum() / known.sum().clamp(min=1)

    def predict(self, outputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return standardised ``mean`` and ``variance`` ``[B, C]``, and ``quantiles`` in rising order."""
        given = {"mean": outputs["mean"].float(), "variance": outputs["log_variance"].float().exp()}
        if "quantiles" in outputs:
            given["quantiles"] = outputs["quantiles"].float().sort(dim=-1).values
        return given

    def settings(self) -> dict[str, Any]:
        """Return the plain settings of this head."""
        own = {
            "quantiles": self.quantiles or None,
            "beta": self.beta,
            "log_variance_range": [self.low, self.high],
        }
        return {**super().settings(), **own}


class TokenHead(Head):
    """One class of several at each position.

    Parameters
    ----------
    hidden_size, outputs : int
        Width of the states and number of classes, C.
    dropout : float
        On the states.
    class_weights : sequence of float, optional
        One weight a class in the loss.
    label_smoothing : float
        Share of each label that is spread over all classes.
    """

    kind = "tokens"

    def __init__(
        self,
        hidden_size: int,
        outputs: int,
        *,
        dropout: float = 0.0,
        class_weights: Sequence[float] | None = None,
        label_smoothing: float = 0.0,
    ):
        super().__init__(hidden_size, outputs)
        self.dropout, self.label_smoothing = float(dropout), float(label_smoothing)
        self.class_weights = None if class_weights is None else [float(weight) for weight in class_weights]
        if self.class_weights is not None and len(self.class_weights) != outputs:
            raise ConfigError(
                f"head.class_weights holds {len(self.class_weights)} weights for {outputs} classes."
            )
        self.drop = nn.Dropout(self.dropout)
        self.project = nn.Linear(hidden_size, outputs)
        weights = None if self.class_weights is None else torch.tensor(self.class_weights)
        self.weights: Tensor | None
        self.register_buffer("weights", weights, persistent=False)

    def forward(self, hidden: Hidden, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return ``logits`` ``[B, T, C]``."""
        return {"logits": self.project(self.drop(hidden.states))}

    def loss(self, outputs: Mapping[str, Tensor], batch: Mapping[str, Tensor]) -> Tensor:
        """Cross-entropy against ``target`` ``[B, T]``; positions labelled -100 do not count."""
        target = _target(batch).long()
        if target.shape != outputs["logits"].shape[:2]:
            raise DataError(
                f"Labels of shape {list(target.shape)} for {list(outputs['logits'].shape[:2])} positions.",
                expected="one label a position, -100 where there is none",
            )
        logits = outputs["logits"].flatten(0, 1)
        return _cross_entropy(logits, target.flatten(), self.weights, self.label_smoothing)

    def predict(self, outputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return ``probability`` ``[B, T, C]``."""
        return {"probability": outputs["logits"].float().softmax(dim=-1)}

    def settings(self) -> dict[str, Any]:
        """Return the plain settings of this head."""
        return {
            "dropout": self.dropout,
            "class_weights": self.class_weights,
            "label_smoothing": self.label_smoothing,
        }

    def flops_per_token(self, seq_len: int, training: bool = True) -> float:
        """Estimate floating-point operations a token of the sequence."""
        return (6.0 if training else 2.0) * self.hidden_size * self.outputs


def _target(batch: Mapping[str, Tensor]) -> Tensor:
    if "target" not in batch:
        raise DataError(
            "The batch holds no 'target'.", remedy="give the data a target to train or evaluate on."
        )
    return batch["target"]


def _cross_entropy(logits: Tensor, target: Tensor, weights: Tensor | None, smoothing: float) -> Tensor:
    """Weighted mean as in torch, but 0 instead of NaN when no label counts."""
    total = F.cross_entropy(
        logits.float(),
        target,
        weight=weights,
        ignore_index=IGNORED,
        reduction="sum",
        label_smoothing=smoothing,
    )
    counted = target != IGNORED
    if weights is None:
        return total / counted.sum().clamp(min=1)
    return total / weights[target.clamp(min=0)].masked_fill(~counted, 0.0).sum().clamp(min=1e-12)
