"""What users have at hand as this domain's objects; raises TypeError or ValueError with a reason."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from scizoo_radiology.images import RadiologyImage, Volume
from scizoo_radiology.reference import MadeUp


def picture(value: Any) -> RadiologyImage | Volume:
    """Make a picture or a volume.

    Parameters
    ----------
    value : RadiologyImage, Volume, or array of shape (rows, columns) or (slices, rows, columns)
        Of an array the unit is arbitrary; give a RadiologyImage to say that it holds Hounsfield units.

    Raises
    ------
    TypeError, ValueError
        When it is none of these.
    """
    if isinstance(value, MadeUp):
        return value.picture
    if isinstance(value, RadiologyImage | Volume):
        return value
    shape = getattr(value, "shape", None)
    if shape is None and not isinstance(value, list):
        raise TypeError("it is no picture, volume or array")
    array = np.asarray(value)
    return Volume(array, oriented=False) if array.ndim == 3 else RadiologyImage(array)


def report(value: Any) -> str:
    """Make the text of a report.

    Raises
    ------
    TypeError, ValueError
        When it is no text, or an empty one.
    """
    if isinstance(value, MadeUp):
        return value.report
    if not isinstance(value, str):
        raise TypeError("it is no text")
    if not value.strip():
        raise ValueError("the text is empty")
    return value


def measures(value: Any) -> dict[str, float]:
    """Make a row of named numbers; what cannot be known is NaN.

    Raises
    ------
    TypeError, ValueError
        When it is no mapping, or a value is no number.
    """
    if not isinstance(value, Mapping) or not value:
        raise TypeError("it is no mapping of names to numbers")
    return {str(name): np.nan if number is None else float(number) for name, number in value.items()}
