"""Images of the sky: stretched, cut and scaled to one size."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from scizoo.data.ragged import Ragged
from scizoo.errors import ConfigError, DataError
from scizoo_astronomy import coerce
from scizoo_astronomy.objects import Image
from scizoo_astronomy.tokenizers.base import (
    ObjectTokenizer,
    check_choice,
    check_positive,
    read_objects,
    rows_of,
)

STRETCHES = ("asinh", "zscale", "linear")


def stretched(image: Image, stretch: str = "asinh", softening: float = 0.1, clip: float = 99.5) -> np.ndarray:
    """Map brightness to 0 to 1, all channels together, so that colours stay what they are.

    ``zscale`` runs linearly between the limits of the IRAF algorithm of that name, ``linear`` and ``asinh``
    (Lupton et al. 1999, AJ 118:1406) from the median to a percentile; all from astropy.visualization.

    Parameters
    ----------
    image : Image
    stretch : {"asinh", "zscale", "linear"}
    softening : float
        Share of the range where ``asinh`` passes from linear to logarithmic.
    clip : float
        The percentile that becomes 1.

    Returns
    -------
    ndarray of float32, shape (height, width, channels)
        0 where nothing is known.
    """
    from astropy.visualization import AsinhStretch, LinearStretch, ZScaleInterval

    data = np.where(image.mask[:, :, None], np.nan, image.data)
    known = data[np.isfinite(data)]
    if stretch == "zscale":
        low, high = ZScaleInterval().get_limits(known) if len(known) > 5 else (known.min(), known.max())
    else:
        low, high = np.median(known), np.percentile(known, clip)
        if not high > low:  # nearly all of the image is its background
            low, high = known.min(), known.max()
    span = float(high) - float(low)
    scaled = np.clip((data - low) / span, 0.0, 1.0) if span > 0 else np.zeros_like(data)
    curve = AsinhStretch(softening) if stretch == "asinh" else LinearStretch()
    return np.nan_to_num(curve(scaled, clip=False), nan=0.0).astype(np.float32)


def square(data: np.ndarray, crop: int | None) -> np.ndarray:
    """Cut the central square out of (height, width, channels): as large as fits, or ``crop`` pixels wide."""
    height, width = data.shape[:2]
    side = min(height, width) if crop is None else min(crop, height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return data[top : top + side, left : left + side]


def resized(data: np.ndarray, size: int) -> np.ndarray:
    """Scale (side, side, channels) to (size, size, channels); each pixel averages over what it covers."""
    from PIL import Image as Picture

    if data.shape[:2] == (size, size):
        return data
    planes = [
        np.asarray(Picture.fromarray(plane).resize((size, size), Picture.Resampling.BILINEAR))
        for plane in np.ascontiguousarray(data.transpose(2, 0, 1))
    ]
    return np.stack(planes, axis=-1)


class ImageTokenizer(ObjectTokenizer):
    """Images as ``pixel_values`` for architectures of timm.

    An image is one position that holds all of its pixels, [C, H, W].

    Parameters
    ----------
    size : int
        Height and width that the model sees.
    channels : int
        Channels that the model sees; an image of one channel is repeated.
    stretch : {"asinh", "zscale", "linear"}
        See :func:`stretched`.
    softening, clip : float
        See :func:`stretched`.
    crop : int, optional
        Width of the central square in pixels of the image, before it is scaled to ``size``; by default as
        large as fits.
    mean, std : float
        Stretched pixels are taken less this, in units of that.
    """

    main_input: ClassVar[str] = "pixel_values"

    def __init__(
        self,
        size: int = 64,
        channels: int = 1,
        stretch: str = "asinh",
        softening: float = 0.1,
        clip: float = 99.5,
        crop: int | None = None,
        mean: float = 0.2,
        std: float = 0.25,
    ):
        check_positive(size=size, channels=channels, softening=softening, crop=crop, std=std)
        if not 0 < clip <= 100:
            raise ConfigError(f"tokenizer.clip={clip} is no percentile.", expected="above 0, at most 100")
        self.size, self.channels = int(size), int(channels)
        self.stretch = check_choice("stretch", stretch, STRETCHES)
        self.softening, self.clip = float(softening), float(clip)
        self.crop = None if crop is None else int(crop)
        self.mean, self.std = float(mean), float(std)

    def input_sizes(self) -> dict[str, int]:
        """Return the channels; architectures built for one size take ``img_size`` from their config."""
        return {"in_chans": self.channels}

    def settings(self) -> dict[str, Any]:
        """Return the plain settings of this tokenizer."""
        names = ("size", "channels", "stretch", "softening", "clip", "crop", "mean", "std")
        return {name: getattr(self, name) for name in names}

    def encode(self, inputs: Sequence[Any]) -> dict[str, Ragged]:
        """Encode images.

        Parameters
        ----------
        inputs : sequence of Image
            Or what :func:`scizoo_astronomy.coerce.image` takes.

        Returns
        -------
        dict
            ``pixel_values``, float32, one position an image: [C, H, W].

        Raises
        ------
        DataError
            When an input is no image, or has another number of channels; naming its position.
        """
        images = read_objects(inputs, coerce.image)
        planes = np.empty((len(images), self.channels, self.size, self.size), dtype=np.float32)
        for number, one in enumerate(images):
            found = one.data.shape[2]
            if found not in (1, self.channels):
                raise DataError(
                    f"input {number}: the image has {found} channels, the tokenizer {self.channels}.",
                    expected=f"1 or {self.channels} channels",
                    remedy=f"set tokenizer.channels={found} and the backbone's in_chans likewise.",
                )
            shown = square(stretched(one, self.stretch, self.softening, self.clip), self.crop)
            planes[number] = resized(shown, self.size).transpose(2, 0, 1)
        planes = (planes - self.mean) / self.std
        return rows_of({"pixel_values": planes}, np.arange(len(images) + 1, dtype=np.int64))

    def attribute(self, input: Any, scores: np.ndarray) -> np.ndarray:
        """Lay what pixels added over the whole image, (height, width), at its own or a lower resolution.

        Channels are added up; NaN beyond the square that the model saw.
        """
        (image,) = read_objects([input], coerce.image)
        height, width = image.data.shape[:2]
        side = min(height, width) if self.crop is None else min(self.crop, height, width)
        scale = min(1.0, self.size / side)
        rows, columns, seen = (max(1, round(edge * scale)) for edge in (height, width, side))
        found = np.full((rows, columns), np.nan)
        top, left = (rows - seen) // 2, (columns - seen) // 2
        small = resized(scores[0].sum(axis=0, keepdims=True).transpose(1, 2, 0).astype(np.float32), seen)
        # As the pixels are spread over fewer or more, so is their sum.
        found[top : top + seen, left : left + seen] = small[..., 0] if small.ndim == 3 else small
        found[top : top + seen, left : left + seen] *= (self.size / seen) ** 2
        return found
