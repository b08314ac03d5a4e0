"""PNG and JPEG pictures of radiographs and slices."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from scizoo.data.opening import reading
from scizoo_radiology.images import RadiologyImage
from scizoo_radiology.privacy import Names, quiet
from scizoo_radiology.readers.entry import Entry, ReadingOptions, no_fields
from scizoo_radiology.readers.files import File, UnusableError

_GREY = ("1", "L", "I", "I;16", "I;16B", "I;16L", "F")


def read_picture(file: File, options: ReadingOptions) -> Iterator[Entry]:
    """Read a PNG or JPEG as one grey picture; colours give their luminance, transparency is ignored.

    What stands in it beside pixels (EXIF, text chunks) is not read, but for how the picture is turned.

    Raises
    ------
    UnusableError
        When it is damaged, truncated, or larger than the limits allow.
    """
    pixels = picture_pixels(file, options)
    spacing = options.assume_spacing[-2:] if options.assume_spacing else None
    value = RadiologyImage(
        pixels,
        modality=options.modality or "",
        unit="HU" if options.modality == "CT" and pixels.dtype.kind == "f" else "",
        spacing=None if spacing is None else (float(spacing[0]), float(spacing[1])),
    )
    fields = {**no_fields(), "modality": options.modality}
    yield Entry(value, Names(file.name), fields, file.shown, file.name)


def picture_pixels(file: File, options: ReadingOptions) -> np.ndarray:
    """Return a picture's grey values, shape (rows, columns); masks in palettes give the palette's numbers."""
    from PIL import Image, ImageOps, UnidentifiedImageError

    with file.open(options.limits) as stream, reading(file.shown), quiet():
        try:
            with Image.open(stream) as picture:
                options.limits.check_pixels(picture.width * picture.height)
                turned = ImageOps.exif_transpose(picture) if picture.format == "JPEG" else picture
                if turned.mode in _GREY:
                    return np.asarray(turned)
                return _grey(np.asarray(turned.convert("RGB")))
        except UnidentifiedImageError as error:
            raise UnusableError("it is a damaged picture; copy or export it again") from error
        except Image.DecompressionBombError as error:
            raise UnusableError(
                "it declares far more pixels than a picture has: a bomb; leave it out"
            ) from error
        except (SyntaxError, OSError) as error:
            raise UnusableError("it is a truncated or damaged picture; copy or export it again") from error


def _grey(colours: np.ndarray) -> np.ndarray:
    if (colours == colours[..., :1]).all():  # grey that was stored as colours: exactly that grey
        return np.ascontiguousarray(colours[..., 0])
    return np.rint(colours @ np.array([0.299, 0.587, 0.114])).astype(np.uint8)
