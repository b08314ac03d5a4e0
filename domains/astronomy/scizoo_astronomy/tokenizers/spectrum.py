"""Spectra: patches on a grid of log wavelength."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from scizoo.data.ragged import Ragged
from scizoo.errors import ConfigError, DataError
from scizoo_astronomy import coerce
from scizoo_astronomy.objects import Spectrum
from scizoo_astronomy.tokenizers.base import (
    ObjectTokenizer,
    check_choice,
    check_positive,
    offsets_of,
    read_objects,
    rows_of,
)
from scizoo_astronomy.tokenizers.resample import air_to_vacuum, log_grid, resample

FRAMES = ("observed", "rest")
WEIGHTINGS = ("ivar", "flux")


class SpectrumTokenizer(ObjectTokenizer):
    """Patches of a spectrum as positions, placed by log wavelength.

    The spectrum is averaged onto pixels of equal width in log wavelength, where a redshift is a shift; its
    fluxes are taken less their median, in units of 1.4826 times the median absolute deviation. A last column
    of ``values`` holds the logarithm of that scale over the median, which is how strong lines are against the
    continuum. Patches without any usable pixel are left out; single pixels are marked in ``observed``.

    Parameters
    ----------
    low, high : float
        Ends of the grid in vacuum Angstrom.
    patch : int
        Pixels of a patch.
    patches : int
        Patches of the grid; with 128 of 16 pixels from 3600 to 9800 Angstrom a pixel is 147 km/s wide.
    weighting : {"ivar", "flux"}
        Whether pixels are averaged by their inverse variance, or alike, so that the integral of the flux is
        conserved whatever the errors.
    frame : {"observed", "rest"}
        Whether ``times`` is the log wavelength as observed or at the redshift that the spectrum states; for a
        task that predicts the redshift it must be as observed.
    compress : bool
        Whether fluxes pass through ``asinh``, which keeps emission lines within bounds.
    max_weight : float
        Largest weight of a pixel.
    every_patch : bool
        Whether patches without any usable pixel are kept, marked in ``observed``: all spectra are then
        equally long.
    """

    main_input: ClassVar[str] = "values"

    def __init__(
        self,
        low: float = 3600.0,
        high: float = 9800.0,
        patch: int = 16,
        patches: int = 128,
        weighting: str = "ivar",
        frame: str = "observed",
        compress: bool = True,
        max_weight: float = 10.0,
        every_patch: bool = False,
    ):
        check_positive(low=low, patch=patch, patches=patches, max_weight=max_weight)
        if not low < high:
            raise ConfigError(f"tokenizer.low={low} is not below tokenizer.high={high}.")
        self.low, self.high = float(low), float(high)
        self.patch, self.patches = int(patch), int(patches)
        self.weighting = check_choice("weighting", weighting, WEIGHTINGS)
        self.frame = check_choice("frame", frame, FRAMES)
        self.compress, self.max_weight = bool(compress), float(max_weight)
        self.every_patch = bool(every_patch)
        self._edges = log_grid(self.low, self.high, self.patch * self.patches)

    @property
    def features(self) -> int:
        """Columns of ``values``: the pixels of a patch, and the object's contrast."""
        return self.patch + 1

    def input_sizes(self) -> dict[str, int]:
        """Return the sizes of a backbone for these inputs."""
        return {"features": self.features, "times": 1, "channels": 0}

    def settings(self) -> dict[str, Any]:
        """Return the plain settings of this tokenizer."""
        names = ("low", "high", "patch", "patches", "weighting", "frame", "compress", "max_weight")
        return {name: getattr(self, name) for name in (*names, "every_patch")}

    def encode(self, inputs: Sequence[Any]) -> dict[str, Ragged]:
        """Encode spectra.

        Parameters
        ----------
        inputs : sequence of Spectrum
            Or what :func:`scizoo_astronomy.coerce.spectrum` takes.

        Returns
        -------
        dict
            ``values`` and ``weight`` [T, F] float32, ``observed`` [T, F] bool, ``times`` [T, 1] float32: ten
            times the natural logarithm of the wavelength over 5000 Angstrom.

        Raises
        ------
        DataError
            When an input is no spectrum, has no pixel on the grid, or lacks the redshift that ``frame=rest``
            needs; naming its position.
        """
        spectra = read_objects(inputs, coerce.spectrum)
        size = self.patch * self.patches
        flux, weight = np.zeros((len(spectra), size)), np.zeros((len(spectra), size))
        shift, contrast = np.zeros(len(spectra)), np.zeros(len(spectra))
        for number, one in enumerate(spectra):
            flux[number], weight[number], contrast[number] = self._gridded(one, number)
            shift[number] = self._shift(one, number)
        if self.compress:
            flux = np.arcsinh(flux)
        shape = (len(spectra), self.patches, self.patch)
        flux, weight = flux.reshape(shape), weight.reshape(shape)
        shown = (weight > 0).any(axis=2) | self.every_patch
        rows, places = np.nonzero(shown)
        known = weight[rows, places] > 0
        last = contrast[rows, None]
        observed = np.concatenate([known, np.isfinite(last)], axis=1)
        values = np.where(observed, np.concatenate([flux[rows, places], last], axis=1), 0.0)
        padded = np.concatenate([weight[rows, places], np.zeros_like(last)], axis=1)
        centres = np.log(self._edges[self.patch // 2 :: self.patch][: self.patches] / 5000.0)
        times = 10.0 * (centres[places] - shift[rows])[:, None]
        return rows_of(
            {
                "values": values.astype(np.float32),
                "observed": observed,
                "times": times.astype(np.float32),
                "weight": padded.astype(np.float32),
            },
            offsets_of(shown.sum(axis=1)),
        )

    def attribute(self, input: Any, scores: np.ndarray) -> np.ndarray:
        """Give a number a pixel of the spectrum; NaN beyond the grid and where no pixel could be used.

        The score of a pixel of the grid is shared among the spectrum's pixels in it; what the contrast added,
        which is no place in the spectrum, is left out.
        """
        (one,) = read_objects([input], coerce.spectrum)
        size = self.patch * self.patches
        _, weight, _ = self._gridded(one, 0)
        shown = (weight.reshape(self.patches, self.patch) > 0).any(axis=1) | self.every_patch
        grid = np.full((self.patches, self.patch), np.nan)
        grid[shown] = scores[:, : self.patch]
        grid[weight.reshape(grid.shape) <= 0] = np.nan
        wavelength = air_to_vacuum(one.wavelength) if one.medium == "air" else one.wavelength
        place = np.searchsorted(self._edges, wavelength, side="right") - 1
        within = (place >= 0) & (place < size) & ~one.mask
        place = np.clip(place, 0, size - 1)
        shares = np.maximum(np.bincount(place[within], minlength=size), 1)
        return np.where(within, (grid.ravel() / shares)[place], np.nan)

    def _shift(self, one: Spectrum, number: int) -> float:
        if self.frame == "observed":
            return 0.0
        if one.redshift is None:
            raise DataError(
                f"input {number}: the spectrum states no redshift.",
                expected="a redshift, to place patches by their wavelength at rest",
                remedy="set tokenizer.frame=observed, or give redshifts.",
            )
        return float(np.log1p(one.redshift))

    def _gridded(self, one: Spectrum, number: int) -> tuple[np.ndarray, np.ndarray, float]:
        """Return normalised flux and weight (0 where nothing is known) on the grid, and the contrast."""
        wavelength = air_to_vacuum(one.wavelength) if one.medium == "air" else one.wavelength
        usable = ~one.mask & ~(one.ivar == 0)
        stated = np.where(np.isfinite(one.ivar), one.ivar, 0.0)
        alike = self.weighting == "flux" or not stated[usable].any()
        # A pixel whose own error is unknown among known ones says nothing of how much it is to be trusted.
        ivar = np.where(usable, 1.0 if alike else stated, 0.0)
        flux = np.where(usable, one.flux, 0.0)
        mean, weight, covered = resample(wavelength, flux, ivar, self._edges)
        known = covered >= 0.5
        if not known.any():
            raise DataError(
                f"input {number}: the spectrum has no usable pixel from {self.low:g} to {self.high:g} A.",
                expected="wavelengths in Angstrom that lie on the tokenizer's grid",
                remedy="check the unit of the wavelength, or set tokenizer.low and tokenizer.high.",
            )
        level = float(np.median(mean[known]))
        scale = 1.4826 * float(np.median(np.abs(mean[known] - level)))
        if not scale > 0:
            scale = float(np.std(mean[known])) or max(abs(level), 1.0)
        contrast = np.log10(scale / abs(level)) if level != 0 else np.nan
        typical = float(np.median(weight[known])) or 1.0
        weight = np.where(known, np.clip(weight / typical, 1e-3, self.max_weight), 0.0)
        return np.where(known, (mean - level) / scale, 0.0), weight, float(contrast)
