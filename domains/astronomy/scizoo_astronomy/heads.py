"""Heads that this field needs beside the core's: classes in a tree, and whole posteriors."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from scizoo.errors import ConfigError
from scizoo.models.backbones import Hidden
from scizoo.models.heads import IGNORED, ClassificationHead, RegressionHead
from scizoo_astronomy.taxonomy import ClassTree


class HierarchicalHead(ClassificationHead):
    """One class of several that stand in a tree, such as RR Lyrae with its subtypes.

    Leaves share one softmax and the probability of a node is the sum over its leaves, so that probabilities
    are consistent along the tree: a type is never less likely than one of its subtypes. The loss is the
    hierarchical cross-entropy of Bertinetto et al. 2020 (arXiv 1912.09393; for transients Villar et al. 2023,
    arXiv 2312.02266): each step from the root to the true leaf counts by its conditional probability and by
    ``exp(-alpha * height)``.

    Parameters
    ----------
    hidden_size, outputs : int
        Width of the states and number of classes (leaves), C.
    tree : mapping or sequence
        Names of nodes to their children: other mappings, or lists of classes, which are the leaves. A class
        that is on no branch hangs at the root.
    classes : sequence of str, optional
        The classes in their order; the task gives them.
    alpha : float
        How much less steps near the root count than the last one: below 0 confusing types costs more than
        confusing subtypes, 0 is the plain cross-entropy.
    pooling, dropout, inner, class_weights
        As in :class:`~scizoo.models.heads.ClassificationHead`.
    """

    def __init__(
        self,
        hidden_size: int,
        outputs: int,
        *,
        tree: Mapping[str, Any] | Sequence[str],
        classes: Sequence[str] | None = None,
        alpha: float = -0.5,
        pooling: str = "mean",
        dropout: float = 0.0,
        inner: int | None = None,
        class_weights: Sequence[float] | None = None,
    ):
        super().__init__(
            hidden_size, outputs, pooling=pooling, dropout=dropout, inner=inner, class_weights=class_weights
        )
        self.tree = ClassTree(tree, classes)
        self.alpha = float(alpha)
        if len(self.tree.classes) != outputs:
            raise ConfigError(
                f"head.tree has {len(self.tree.classes)} classes, the task {outputs}.",
                expected="each class of the task once, as a leaf of the tree",
                remedy="mend head.tree, or set head.classes to the task's classes in their order.",
            )
        members, paths = self.tree.matrices(self.alpha)
        self.members: Tensor
        self.paths: Tensor
        self.register_buffer("members", torch.tensor(members), persistent=False)
        self.register_buffer("paths", torch.tensor(paths, dtype=torch.float32), persistent=False)

    def node_log_probability(self, logits: Tensor) -> Tensor:
        """Return log probabilities of all nodes but the root, ``[B, N]``, in the order of ``tree.nodes``."""
        leaves = logits.float().log_softmax(dim=-1)
        outside = ~self.members
        return leaves[:, None, :].masked_fill(outside[None], -torch.inf).logsumexp(dim=-1)

    def loss(self, outputs: Mapping[str, Tensor], batch: Mapping[str, Tensor]) -> Tensor:
        """Hierarchical cross-entropy against ``target`` ``[B]`` (leaves by number; -100 does not count)."""
        target = batch["target"].long()
        counted = target != IGNORED
        leaf = target.clamp(min=0)
        each = -(self.paths[leaf] * self.node_log_probability(outputs["logits"])).sum(dim=-1)
        weight = counted.float() if self.weights is None else self.weights[leaf] * counted
        return (each * weight).sum() / weight.sum().clamp(min=1e-12)

    def node_probabilities(self, probability: Tensor) -> dict[str, Tensor]:
        """Sum class probabilities ``[B, C]`` over the leaves of each node; ``[B]`` by the node's name."""
        sums = probability.float() @ self.members.float().T
        return {name: sums[:, number] for number, name in enumerate(self.tree.nodes)}

    def settings(self) -> dict[str, Any]:
        """Return the plain settings of this head."""
        settings = {**super().settings(), "tree": self.tree.plain, "classes": list(self.tree.classes)}
        settings.pop("label_smoothing")
        return {**settings, "alpha": self.alpha}


class MixtureDensityHead(RegressionHead):
    """Quantities with their whole posterior, as a mixture of normal distributions (Bishop 1994, NCRG/94/004).

    Where several values fit equally well, as with redshifts told from one line, a mean and a variance
    mislead; a mixture keeps the peaks apart.

    Parameters
    ----------
    hidden_size, outputs : int
        Width of the states and number of quantities, C; each has a mixture of its own.
    components : int
        Normal distributions in a mixture, K.
    quantiles : sequence of float
        Levels that are predicted, from the mixture itself.
    pooling, dropout, inner, log_variance_range
        As in :class:`~scizoo.models.heads.RegressionHead`.
    """

    def __init__(
        self,
        hidden_size: int,
        outputs: int,
        *,
        components: int = 5,
        quantiles: Sequence[float] = (0.05, 0.16, 0.5, 0.84, 0.95),
        pooling: str = "mean",
        dropout: float = 0.0,
        inner: int | None = None,
        log_variance_range: Sequence[float] = (-10.0, 6.0),
    ):
        if components < 1:
            raise ConfigError(f"head.components={components} must be positive.")
        super().__init__(
            hidden_size,
            outputs,
            pooling=pooling,
            dropout=dropout,
            inner=inner,
            quantiles=quantiles,
            log_variance_range=log_variance_range,
        )
        self.components = int(components)
        self.project = nn.Linear(inner or hidden_size, outputs * 3 * self.components)
        with torch.no_grad():
            # Components that begin alike would stay alike.
            bias = self.project.bias.view(outputs, 3, self.components)
            bias.zero_()
            if self.components > 1:
                bias[:, 1] = torch.linspace(-1.5, 1.5, self.components)

    def forward(self, hidden: Hidden, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return ``log_weight``, ``means``, ``log_variances`` ``[B, C, K]`` and the ``mean`` ``[B, C]``."""
        parts = self._projected(hidden).float().unflatten(-1, (self.outputs, 3, self.components))
        log_weight, means = parts[..., 0, :].log_softmax(dim=-1), parts[..., 1, :]
        return {
            "mean": (log_weight.exp() * means).sum(dim=-1),
            "log_weight": log_weight,
            "means": means,
            "log_variances": parts[..., 2, :].clamp(self.low, self.high),
        }

    def log_density(self, outputs: Mapping[str, Tensor], values: Tensor) -> Tensor:
        """Return the log posterior density at standardised values.

        Parameters
        ----------
        outputs : mapping
            Of :meth:`forward`.
        values : Tensor
            ``[B, C]``, or ``[B, C, G]`` for a grid of G values.

        Returns
        -------
        Tensor
            Of the shape of ``values``.
        """
        grid = values[..., None] if values.ndim == 2 else values
        log_weight, means, log_variances = (
            outputs[key].float()[:, :, None, :] for key in ("log_weight", "means", "log_variances")
        )
        squared = (grid[..., None] - means) ** 2 / log_variances.exp()
        normal = -0.5 * (squared + log_variances + math.log(2.0 * math.pi))
        density = (log_weight + normal).logsumexp(dim=-1)
        return density[..., 0] if values.ndim == 2 else density

    def loss(self, outputs: Mapping[str, Tensor], batch: Mapping[str, Tensor]) -> Tensor:
        """Negative log-likelihood of the known values of ``target`` ``[B, C]`` (NaN for unknown)."""
        target = batch["target"].float().reshape(outputs["means"].shape[:2])
        known = ~target.isnan()
        each = -self.log_density(outputs, target.nan_to_num(0.0))
        return each.masked_fill(~known, 0.0).sum() / known.sum().clamp(min=1)

    def predict(self, outputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return standardised ``mean`` and ``variance`` ``[B, C]`` of the mixture, and its ``quantiles``."""
        weight = outputs["log_weight"].float().exp()
        means, variances = outputs["means"].float(), outputs["log_variances"].float().exp()
        mean = (weight * means).sum(dim=-1)
        variance = (weight * (variances + (means - mean[..., None]) ** 2)).sum(dim=-1)
        given = {"mean": mean, "variance": variance}
        if self.quantiles:
            given["quantiles"] = self._quantiles(weight, means, variances.sqrt())
        return given

    def _quantiles(self, weight: Tensor, means: Tensor, spread: Tensor) -> Tensor:
        """Find the levels on the cumulative distribution by bisection; ``[B, C, Q]``."""
        shape = (*means.shape[:2], len(self.quantiles))
        low = (means - 10.0 * spread).amin(dim=-1, keepdim=True).expand(shape)
        high = (means + 10.0 * spread).amax(dim=-1, keepdim=True).expand(shape)
        levels = self.levels.to(means.dtype).expand(shape)
        for _ in range(50):
            middle = 0.5 * (low + high)
            scaled = (middle[..., None] - means[:, :, None]) / spread[:, :, None]
            below = (weight[:, :, None] * torch.special.ndtr(scaled)).sum(dim=-1) < levels
            low, high = torch.where(below, middle, low), torch.where(below, high, middle)
        return 0.5 * (low + high)

    def settings(self) -> dict[str, Any]:
        """Return the plain settings of this head."""
        settings = super().settings()
        settings.pop("beta")
        settings["quantiles"] = list(self.quantiles)
        return {**settings, "components": self.components}
