"""Objects of what an interactive user has at hand: arrays, lists and mappings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

import numpy as np

from scizoo_astronomy.objects import CatalogRow, Image, LightCurve, Spectrum


def light_curve(value: LightCurve | Mapping[str, Any] | Sequence[Any] | np.ndarray) -> LightCurve:
    """Make a light curve of what an interactive user has at hand.

    Parameters
    ----------
    value : LightCurve, mapping or array
        A mapping has the parameters' names (``time``, ``value`` and, if wanted, the others). An array has a
        row a point: time in days, magnitude, and if wanted its error.

    Raises
    ------
    ValueError
        When it cannot be understood.
    """
    if isinstance(value, LightCurve):
        return value
    if isinstance(value, Mapping):
        return LightCurve(**_known(value, LightCurve))
    array = np.asarray(value, dtype=float)
    if array.ndim != 2 or array.shape[1] not in (2, 3):
        raise ValueError(f"an array of the shape {array.shape} is no light curve: (points, 2 or 3) is")
    return LightCurve(*array.T)


def spectrum(value: Spectrum | Mapping[str, Any] | Sequence[Any] | np.ndarray) -> Spectrum:
    """Make a spectrum of what an interactive user has at hand.

    Parameters
    ----------
    value : Spectrum, mapping or array
        A mapping has the parameters' names. An array has a row a pixel: wavelength in vacuum Angstrom, flux,
        and if wanted the inverse variance.

    Raises
    ------
    ValueError
        When it cannot be understood.
    """
    if isinstance(value, Spectrum):
        return value
    if isinstance(value, Mapping):
        return Spectrum(**_known(value, Spectrum))
    array = np.asarray(value, dtype=float)
    if array.ndim != 2 or array.shape[1] not in (2, 3):
        raise ValueError(f"an array of the shape {array.shape} is no spectrum: (pixels, 2 or 3) is")
    return Spectrum(*array.T)


def image(value: Image | Mapping[str, Any] | Sequence[Any] | np.ndarray) -> Image:
    """Make an image of an array (height, width[, channels]) or a mapping with the parameters' names.

    Raises
    ------
    ValueError
        When it cannot be understood.
    """
    if isinstance(value, Image):
        return value
    if isinstance(value, Mapping):
        return Image(**_known(value, Image))
    return Image(np.asarray(value))


def catalog_row(value: CatalogRow | Mapping[str, float] | Sequence[float] | np.ndarray) -> CatalogRow:
    """Make a catalogue row of numbers, or of a mapping from names to numbers.

    Raises
    ------
    ValueError
        When it cannot be understood.
    """
    if isinstance(value, CatalogRow):
        return value
    if isinstance(value, Mapping):
        return CatalogRow(np.array(list(value.values()), dtype=float), tuple(map(str, value)))
    array = np.asarray(value, dtype=float)
    return CatalogRow(array, tuple(f"x{number}" for number in range(array.size)))


def _known(value: Mapping[str, Any], kind: type) -> Mapping[str, Any]:
    names = [field.name for field in fields(kind)]
    for key in value:
        if key not in names:
            raise ValueError(f"'{key}' is nothing that a {kind.__name__} has: {', '.join(names)}")
    return value
