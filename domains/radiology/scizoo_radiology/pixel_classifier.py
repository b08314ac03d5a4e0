"""The classical segmentation of this domain: a classifier of single pixels of the windowed picture."""

from __future__ import annotations

import numpy as np

from scizoo.data.records import Record
from scizoo.evaluation.pixels import PixelBaseline
from scizoo_radiology import coerce
from scizoo_radiology.images import RadiologyImage
from scizoo_radiology.tokenizers.image import scaled, shown_limits


class PixelClassifier(PixelBaseline):
    """Intensity, smoothings, edges and place of each pixel with trees, on the picture as it is shown.

    Parameters as of :class:`scizoo.evaluation.pixels.PixelBaseline`.
    """

    title = "pixels and their surroundings (random forest)"

    def image(self, record: Record) -> np.ndarray:
        """Return the picture from black (0) to white (1)."""
        picture = coerce.picture(record.input)
        assert isinstance(picture, RadiologyImage)
        return scaled(picture.pixels, *shown_limits(picture, "calibrated"))
