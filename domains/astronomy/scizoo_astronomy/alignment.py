"""Contrastive alignment of two views of one object: its spectrum and its image."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from scizoo.errors import ConfigError, DataError
from scizoo.models.backbones import Backbone, Hidden
from scizoo.models.objective_base import Objective
from scizoo.models.pooling import MeanPool
from scizoo.models.timm_backbone import TimmBackbone

# Largest factor on similarities, as in CLIP: more makes the training unstable.
_LARGEST_SCALE = math.log(100.0)


class ImageSpectrumAlignment(Objective):
    """Spectra and images of the same object lie close, those of others far: CLIP's loss with two towers.

    As AstroCLIP (Parker et al. 2024, MNRAS 531:4990, arXiv 2310.03024) after CLIP (Radford et al. 2021,
    arXiv 2103.00020). The backbone reads the spectra; the tower for the images is part of this objective and
    is saved with it, in ``head.safetensors``. Batches come from
    :class:`~scizoo_astronomy.tokenizers.pair.PairTokenizer`.

    Parameters
    ----------
    hidden_size, outputs : int
        Width of the spectra's states and of the space that both share.
    architecture : str
        Of the image tower, as timm names it.
    in_chans, size : int
        Channels of the images and their height and width; the tokenizer gives them.
    model_args : mapping, optional
        Further arguments of that architecture.
    temperature : float
        Of the softmax over similarities at the beginning; it is learnt.
    """

    kind = "contrastive"

    def __init__(
        self,
        hidden_size: int,
        outputs: int = 128,
        *,
        architecture: str = "convnext_zepto_rms",
        in_chans: int = 1,
        size: int = 64,
        model_args: Mapping[str, Any] | None = None,
        temperature: float = 0.07,
    ):
        super().__init__(hidden_size, outputs)
        if temperature <= 0:
            raise ConfigError(f"head.temperature={temperature} must be positive.")
        self.architecture, self.model_args = architecture, dict(model_args or {})
        self.in_chans, self.size, self.temperature = int(in_chans), int(size), float(temperature)
        self.images = TimmBackbone.from_config(architecture, self.in_chans, **self.model_args)
        self.pool = MeanPool()
        self.project_spectrum = nn.Linear(hidden_size, outputs, bias=False)
        self.project_image = nn.Linear(self.images.hidden_size, outputs, bias=False)
        self.log_scale = nn.Parameter(torch.tensor(-math.log(self.temperature)))

    @classmethod
    def fitted(cls, cfg: Mapping[str, Any], backbone: Backbone, tokenizer: Any = None) -> dict[str, Any]:
        """Return channels and size of the tokenizer's images."""
        image = getattr(tokenizer, "image", None)
        return {} if image is None else {"in_chans": image.channels, "size": image.size}

    def bind(self, backbone: Backbone) -> ImageSpectrumAlignment:
        """Check that the backbone reads spectra.

        Raises
        ------
        ConfigError
            When it reads something else.
        """
        if backbone.input_key != "values":
            raise ConfigError(
                f"objective: {type(self).__name__} needs a backbone over values, not '{backbone.input_key}'.",
                expected="backbone=continuous-tiny with tokenizer=astronomy/pair",
            )
        return self

    def prepare(
        self, batch: Mapping[str, Tensor], generator: torch.Generator | None = None
    ) -> dict[str, Tensor]:
        """Number the pairs: the image of each spectrum is that of its own row."""
        rows = torch.arange(len(batch["values"]), device=batch["values"].device)
        return {**batch, "target": rows}

    def forward(self, hidden: Hidden, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Compare spectra with images.

        Returns
        -------
        dict
            With a ``target`` in the batch: ``row_loss``, ``correct`` and ``chance`` ``[2 B]``, spectra among
            images before images among spectra. Without one: ``projection`` and ``image_projection``
            ``[B, C]``, of length 1.
        """
        pixels = {"pixel_values": dealt_pixels(batch, self.in_chans, self.size)}
        spectra = F.normalize(self.project_spectrum(self.pool(hidden)).float(), dim=-1)
        images = F.normalize(self.project_image(self.pool(self.images(pixels))).float(), dim=-1)
        if "target" not in batch:
            return {"projection": spectra, "image_projection": images}
        scores = spectra @ images.T * self.log_scale.clamp(max=_LARGEST_SCALE).exp()
        target = batch["target"]
        losses = [F.cross_entropy(one, target, reduction="none") for one in (scores, scores.T)]
        correct = [one.detach().argmax(dim=-1) == target for one in (scores, scores.T)]
        return {
            "row_loss": torch.cat(losses),
            "correct": torch.cat(correct),
            "chance": torch.full((2 * len(target),), 1.0 / len(target), device=target.device),
            "loss_weight": torch.tensor(2.0 * len(target)),
        }

    def loss(self, outputs: Mapping[str, Tensor], batch: Mapping[str, Tensor]) -> Tensor:
        """Return the mean cross-entropy of finding the other view of the same object."""
        return outputs["row_loss"].mean()

    def predict(self, outputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the projections ``[B, C]``, or ``correct`` of each comparison."""
        names = ("projection", "image_projection", "correct")
        return {name: outputs[name] for name in names if name in outputs}

    def settings(self) -> dict[str, Any]:
        """Return the plain settings of this objective."""
        names = ("architecture", "in_chans", "size", "model_args", "temperature")
        return {name: getattr(self, name) for name in names}


def dealt_pixels(batch: Mapping[str, Tensor], channels: int, size: int) -> Tensor:
    """Put the images together that were dealt out over positions, ``[B, C, size, size]``.

    Raises
    ------
    DataError
        When there are none, or pieces are missing.
    """
    wanted = channels * size * size
    pixels = batch.get("pixels")
    if pixels is None or pixels[0].numel() < wanted:
        raise DataError(
            "The batch lacks 'pixels', or pieces of the images are missing.",
            expected=f"{wanted} pixels an image",
            remedy="use tokenizer=astronomy/pair with a context.max_length of all its patches.",
        )
    return pixels.flatten(1)[:, :wanted].reshape(-1, channels, size, size)
