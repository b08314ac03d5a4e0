"""The image and the spectrum of one object in one row, for objectives that align the two."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from scizoo.data.ragged import Ragged
from scizoo.errors import DataError
from scizoo_astronomy.objects import ImageSpectrum
from scizoo_astronomy.tokenizers.base import ObjectTokenizer
from scizoo_astronomy.tokenizers.image import ImageTokenizer
from scizoo_astronomy.tokenizers.spectrum import SpectrumTokenizer


class PairTokenizer(ObjectTokenizer):
    """Patches of the spectrum as positions; the pixels of the image are dealt out over them.

    All inputs of a record are rows of one length, so the image is cut into as many equal pieces as the
    spectrum has patches; :func:`dealt_pixels` puts it together again. ``context.max_length`` must not be
    below the number of patches.

    Parameters
    ----------
    spectrum, image : mapping, optional
        Settings of :class:`~scizoo_astronomy.tokenizers.spectrum.SpectrumTokenizer` and
        :class:`~scizoo_astronomy.tokenizers.image.ImageTokenizer`.
    """

    main_input: ClassVar[str] = "values"

    def __init__(self, spectrum: Mapping[str, Any] | None = None, image: Mapping[str, Any] | None = None):
        self.spectrum = SpectrumTokenizer(**{**(spectrum or {}), "every_patch": True})
        self.image = ImageTokenizer(**(image or {}))

    def input_sizes(self) -> dict[str, int]:
        """Return the sizes of a backbone for the spectra."""
        return self.spectrum.input_sizes()

    def settings(self) -> dict[str, Any]:
        """Return the plain settings of this tokenizer."""
        return {"spectrum": self.spectrum.settings(), "image": self.image.settings()}

    def encode(self, inputs: Sequence[Any]) -> dict[str, Ragged]:
        """Encode pairs.

        Parameters
        ----------
        inputs : sequence of ImageSpectrum

        Returns
        -------
        dict
            What the spectrum's tokenizer gives, and ``pixels`` [T, W] float32.

        Raises
        ------
        DataError
            When an input is no pair, or either part cannot be encoded; naming its position.
        """
        for position, value in enumerate(inputs):
            if not isinstance(value, ImageSpectrum):
                raise DataError(
                    f"input {position} ({type(value).__name__}) is no pair.",
                    expected="scizoo_astronomy.objects.ImageSpectrum",
                    remedy="read pairs with ImageSpectrumFiles.",
                )
        encoded = self.spectrum.encode([pair.spectrum for pair in inputs])
        planes = self.image.encode([pair.image for pair in inputs])["pixel_values"].values
        count, pieces = len(inputs), self.spectrum.patches
        flat = planes.reshape(count, int(np.prod(planes.shape[1:])))
        width = -(-flat.shape[1] // pieces)
        dealt = np.zeros((count, pieces * width), dtype=np.float32)
        dealt[:, : flat.shape[1]] = flat
        return {**encoded, "pixels": Ragged(dealt.reshape(-1, width), encoded["values"].offsets)}
