"""Masked image modelling: patches of pixels that are hidden and predicted by a linear map."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from scizoo.errors import ConfigError, DataError
from scizoo.models.backbones import Backbone, Hidden
from scizoo.models.masking import choose_exactly, cpu_generator
from scizoo.models.objective_base import Objective
from scizoo.models.timm_backbone import TimmBackbone, pixels_of


class MaskedImages(Objective):
    """Predict the pixels of hidden patches (SimMIM, Xie et al. 2022, arXiv 2111.09886).

    Hidden patches are overwritten with one learned pixel, so that any architecture of timm can be trained:
    vision transformers and convolutions alike. One linear layer maps each place of the last feature map to
    the pixels under it; the loss is the mean absolute error of hidden pixels.

    Parameters
    ----------
    hidden_size, outputs : int
        Width of the states and channels of the image, C.
    stride : int
        Pixels along each side of a place of the last feature map; the backbone gives it.
    prefix_tokens : int
        States before the places of the image; the backbone gives it.
    patch : int
        Side of a hidden patch in pixels. SimMIM finds 32 best at 192 pixels: small patches can be read off
        their borders.
    fraction : float
        Share of patches that is hidden, exactly.
    """

    kind = "reconstruction"

    def __init__(
        self,
        hidden_size: int,
        outputs: int,
        *,
        stride: int,
        prefix_tokens: int = 0,
        patch: int = 32,
        fraction: float = 0.5,
    ):
        super().__init__(hidden_size, outputs)
        if not 0.0 < fraction < 1.0 or patch < 1 or stride < 1:
            raise ConfigError(
                f"objective: fraction={fraction}, patch={patch} and stride={stride} do not fit.",
                expected="0 < fraction < 1, patch >= 1 and stride >= 1",
            )
        self.stride, self.prefix_tokens = int(stride), int(prefix_tokens)
        self.patch, self.fraction = int(patch), float(fraction)
        self.decode = nn.Linear(hidden_size, outputs * self.stride**2)
        self.pixel = nn.Parameter(torch.zeros(outputs))

    @classmethod
    def fitted(cls, cfg: Mapping[str, Any], backbone: Backbone, tokenizer: Any = None) -> dict[str, Any]:
        """Return channels, stride and prefix of a timm backbone, found by passing one image through it."""
        if not isinstance(backbone, TimmBackbone):
            return {"outputs": 1, "stride": 1}
        channels = int(backbone.model_args.get("in_chans", 3))
        sizes = {} if tokenizer is None else tokenizer.input_sizes()
        side = int(sizes.get("img_size") or backbone.model.default_cfg["input_size"][-1])
        own = next(backbone.parameters())
        modes = [(module, module.training) for module in backbone.modules()]
        backbone.eval()
        with torch.no_grad():
            places = backbone({"pixel_values": own.new_zeros(1, channels, side, side)}).states.shape[1]
        for module, training in modes:
            module.training = training
        across = round((places - backbone.prefix_tokens) ** 0.5)
        return {
            "outputs": channels,
            "stride": -(-side // max(1, across)),
            "prefix_tokens": backbone.prefix_tokens,
        }

    def bind(self, backbone: Backbone) -> MaskedImages:
        """Check that the backbone reads images.

        Raises
        ------
        ConfigError
            When it reads something else.
        """
        if not isinstance(backbone, TimmBackbone):
            raise ConfigError(
                f"objective: {type(self).__name__} needs a backbone of images, not a "
                f"{type(backbone).__name__}.",
                expected="backbone=timm with an architecture",
            )
        return self

    def prepare(
        self, batch: Mapping[str, Tensor], generator: torch.Generator | None = None
    ) -> dict[str, Tensor]:
        """Hide patches and keep their pixels.

        Returns
        -------
        dict
            ``pixel_values`` ``[B, C, H, W]`` with hidden patches overwritten, and ``target`` of that shape:
            NaN where a pixel is visible.
        """
        pixels = pixels_of(batch)
        height, width = pixels.shape[-2:]
        shape = (len(pixels), -(-height // self.patch), -(-width // self.patch))
        every = torch.ones(shape[0], shape[1] * shape[2], dtype=torch.bool)
        owner = torch.arange(len(every))[:, None].expand(every.shape)
        chosen = choose_exactly(every, owner, self.fraction, cpu_generator(generator)).reshape(shape)
        chosen = chosen.repeat_interleave(self.patch, 1).repeat_interleave(self.patch, 2)
        masked = chosen[:, None, :height, :width].to(pixels.device).expand(pixels.shape)
        pixel = self.pixel.to(pixels.dtype)[:, None, None].expand(pixels.shape)
        return {
            **batch,
            "pixel_values": torch.where(masked, pixel, pixels),
            "target": torch.where(masked & pixels.isfinite(), pixels.float(), torch.nan),
            "visible_mean": _visible_mean(pixels, masked),
        }

    def forward(self, hidden: Hidden, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Predict pixels.

        Returns
        -------
        dict
            With a ``target`` in the batch, over the N hidden values: ``prediction``, ``target`` and
            ``reference`` (the mean of the visible pixels of the same image and channel) ``[N]``,
            ``entry_weight`` (ones) and ``loss_weight`` (N). Without one: ``pixels`` ``[B, C, H, W]``.
        """
        target = batch.get("target")
        image = pixels_of(batch) if target is None else target
        found = self._pixels(hidden.states, image.shape[-2], image.shape[-1])
        if target is None:
            return {"pixels": found}
        counted = ~target.isnan()
        reference = batch["visible_mean"].float()[..., None, None].expand(target.shape)
        prediction = found[counted]
        return {
            "prediction": prediction,
            "target": target[counted],
            "reference": reference[counted],
            "entry_weight": torch.ones_like(prediction.detach()),
            "loss_weight": counted.sum(),
        }

    def _pixels(self, states: Tensor, height: int, width: int) -> Tensor:
        places = states[:, self.prefix_tokens :]
        rows, columns = -(-height // self.stride), -(-width // self.stride)
        if places.shape[1] != rows * columns:
            raise DataError(
                f"A feature map of {places.shape[1]} places does not cover images of {height} x {width} "
                f"pixels in steps of {self.stride}.",
                remedy="give images of the size that the backbone was built for.",
            )
        grid = self.decode(places).float().transpose(1, 2).unflatten(2, (rows, columns))
        return nn.functional.pixel_shuffle(grid, self.stride)[..., :height, :width]

    def loss(self, outputs: Mapping[str, Tensor], batch: Mapping[str, Tensor]) -> Tensor:
        """Return the mean absolute error a hidden value."""
        error = (outputs["prediction"] - outputs["target"]).abs()
        return error.sum() / max(1, error.numel())

    def predict(self, outputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return ``pixels`` ``[B, C, H, W]``, or ``mean`` ``[N]`` of those that were hidden."""
        if "pixels" in outputs:
            return {"pixels": outputs["pixels"].float()}
        return {"mean": outputs["prediction"].float()}

    def predicted_share(self) -> float:
        """Return the share of the image that is predicted in training."""
        return self.fraction

    def settings(self) -> dict[str, Any]:
        """Return the plain settings of this objective."""
        return {
            "stride": self.stride,
            "prefix_tokens": self.prefix_tokens,
            "patch": self.patch,
            "fraction": self.fraction,
        }


def _visible_mean(pixels: Tensor, masked: Tensor) -> Tensor:
    """Return the mean of the visible pixels of each image and channel, ``[B, C]``."""
    seen = (~masked & pixels.isfinite()).flatten(2)
    values = pixels.float().flatten(2).nan_to_num(0.0) * seen
    return values.sum(dim=-1) / seen.sum(dim=-1).clamp(min=1)
