"""Random views of images by tensor operations: symmetries, crops, brightness and noise."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from scizoo.errors import ConfigError


@dataclass(frozen=True)
class ViewSettings:
    """How far a view may differ from its image.

    Parameters
    ----------
    flip : bool
        Mirror half of the views along each axis.
    rotate : bool
        Turn by a multiple of 90 degrees (by 180 where images are not square).
    crop : float
        Smallest share of the area that a view shows; 1 never crops.
    brightness : float
        Values are multiplied by 1 plus or minus at most this.
    noise : float
        Largest standard deviation of Gaussian noise, as a share of the image's own.
    """

    flip: bool = True
    rotate: bool = True
    crop: float = 0.4
    brightness: float = 0.2
    noise: float = 0.1

    def __post_init__(self) -> None:
        if not 0.0 < self.crop <= 1.0 or not 0.0 <= self.brightness < 1.0 or self.noise < 0.0:
            raise ConfigError(
                f"objective: crop={self.crop}, brightness={self.brightness}, noise={self.noise} do not fit.",
                expected="0 < crop <= 1, 0 <= brightness < 1 and noise >= 0",
            )

    def to_dict(self) -> dict[str, Any]:
        """Return the plain settings."""
        return asdict(self)


def random_view(pixels: Tensor, settings: ViewSettings, generator: torch.Generator | None) -> Tensor:
    """Draw one view of each image.

    Parameters
    ----------
    pixels : Tensor
        ``[B, C, H, W]`` float.
    settings : ViewSettings
    generator : torch.Generator, optional
        Of the CPU: every device draws the same views.

    Returns
    -------
    Tensor
        ``[B, C, H, W]``.
    """
    count, device = len(pixels), pixels.device

    def draw(*more: int) -> Tensor:
        return torch.rand(count, *more, generator=generator).to(device=device, dtype=pixels.dtype)

    def where(chosen: Tensor, one: Tensor, other: Tensor) -> Tensor:
        return torch.where(chosen[:, None, None, None], one, other)

    view = pixels
    if settings.flip:
        for axis in (-1, -2):
            view = where(draw() < 0.5, view.flip(axis), view)
    if settings.rotate:
        if view.shape[-1] == view.shape[-2]:
            view = where(draw() < 0.5, view.rot90(1, (-2, -1)), view)
        view = where(draw() < 0.5, view.flip(-1, -2), view)
    if settings.crop < 1.0:
        view = _crop(view, settings.crop, draw(), draw(2))
    if settings.brightness:
        view = view * (1.0 + settings.brightness * (2.0 * draw() - 1.0))[:, None, None, None]
    if settings.noise:
        spread = view.flatten(1).std(dim=1) * settings.noise * draw()
        white = torch.randn(view.shape, generator=generator).to(view)
        view = view + white * spread[:, None, None, None]
    return view


def _crop(pixels: Tensor, least: float, share: Tensor, place: Tensor) -> Tensor:
    """Cut a square share of the area of each image, at a place, and enlarge it to the old size."""
    scale = (least + (1.0 - least) * share).sqrt()
    shift = (2.0 * place - 1.0) * (1.0 - scale)[:, None]
    matrix = pixels.new_zeros(len(pixels), 2, 3)
    matrix[:, 0, 0] = matrix[:, 1, 1] = scale
    matrix[:, :, 2] = shift
    grid = F.affine_grid(matrix, list(pixels.shape), align_corners=False)
    return F.grid_sample(pixels, grid, padding_mode="reflection", align_corners=False)
