"""Contrastive learning on images: two views of one image lie close, views of others far."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from scizoo.errors import ConfigError
from scizoo.models.backbones import Backbone, Hidden
from scizoo.models.image_views import ViewSettings, random_view
from scizoo.models.masking import cpu_generator
from scizoo.models.objective_base import Objective
from scizoo.models.pooling import MeanPool
from scizoo.models.timm_backbone import pixels_of


class ContrastiveImages(Objective):
    """SimCLR (Chen et al. 2020, arXiv 2002.05709) with the NT-Xent loss.

    Each image of a batch gives two random views; the network has to find, for each view, the other of the
    same image among all views of the batch. On several devices each compares within its own batch. Choose
    the views by the symmetries of the field: flips and turns only where they change nothing that counts.

    Parameters
    ----------
    hidden_size, outputs : int
        Width of the states and of the projection in which views are compared.
    temperature : float
        Of the softmax over similarities.
    inner : int, optional
        Width of the hidden layer of the projection; by default that of the states.
    flip, rotate, crop, brightness, noise
        See :class:`~scizoo.models.image_views.ViewSettings`.
    """

    kind = "contrastive"

    def __init__(
        self,
        hidden_size: int,
        outputs: int = 128,
        *,
        temperature: float = 0.2,
        inner: int | None = None,
        flip: bool = True,
        rotate: bool = True,
        crop: float = 0.4,
        brightness: float = 0.2,
        noise: float = 0.1,
    ):
        super().__init__(hidden_size, outputs)
        if temperature <= 0:
            raise ConfigError(f"head.temperature={temperature} must be positive.")
        self.temperature, self.inner = float(temperature), inner
        self.views = ViewSettings(bool(flip), bool(rotate), float(crop), float(brightness), float(noise))
        width = inner or hidden_size
        self.pool = MeanPool()
        self.project = nn.Sequential(
            nn.Linear(hidden_size, width), nn.ReLU(), nn.Linear(width, outputs, bias=False)
        )

    def bind(self, backbone: Backbone) -> ContrastiveImages:
        """Check that the backbone reads images.

        Raises
        ------
        ConfigError
            When it reads something else.
        """
        if backbone.input_key != "pixel_values":
            raise ConfigError(
                f"objective: {type(self).__name__} needs images, not '{backbone.input_key}'.",
                expected="backbone=timm with an architecture",
            )
        return self

    def prepare(
        self, batch: Mapping[str, Tensor], generator: torch.Generator | None = None
    ) -> dict[str, Tensor]:
        """Draw two views an image.

        Returns
        -------
        dict
            ``pixel_values`` ``[2 B, C, H, W]``, first views before second ones, and ``target`` ``[2 B]``: the
            row of the other view.
        """
        pixels, generator = pixels_of(batch), cpu_generator(generator)
        rows = torch.arange(len(pixels), device=pixels.device)
        views = [random_view(pixels, self.views, generator) for _ in range(2)]
        target = torch.cat([rows + len(rows), rows])
        return {**batch, "pixel_values": torch.cat(views), "target": target}

    def forward(self, hidden: Hidden, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Compare views.

        Returns
        -------
        dict
            With a ``target`` in the batch, over its 2 B rows: ``row_loss``, ``correct`` (whether the nearest
            row is the other view) and ``chance`` (of guessing that). Without one: ``projection`` ``[B, C]``,
            of length 1.
        """
        vectors = F.normalize(self.project(self.pool(hidden)).float(), dim=-1)
        if "target" not in batch:
            return {"projection": vectors}
        itself = torch.eye(len(vectors), dtype=torch.bool, device=vectors.device)
        scores = (vectors @ vectors.T / self.temperature).masked_fill(itself, float("-inf"))
        target = batch["target"]
        losses = F.cross_entropy(scores, target, reduction="none")
        return {
            "row_loss": losses,
            "correct": scores.detach().argmax(dim=-1) == target,
            "chance": torch.full_like(losses.detach(), 1.0 / max(1, len(vectors) - 1)),
            "loss_weight": torch.tensor(float(len(vectors))),
        }

    def loss(self, outputs: Mapping[str, Tensor], batch: Mapping[str, Tensor]) -> Tensor:
        """Return the mean cross-entropy of finding the other view."""
        return outputs["row_loss"].mean()

    def predict(self, outputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the ``projection`` ``[B, C]``, or ``correct`` of each view."""
        return {key: outputs[key] for key in ("projection", "correct") if key in outputs}

    def settings(self) -> dict[str, Any]:
        """Return the plain settings of this objective."""
        return {"temperature": self.temperature, "inner": self.inner, **self.views.to_dict()}
