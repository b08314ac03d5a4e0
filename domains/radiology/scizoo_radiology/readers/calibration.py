"""From stored DICOM values to values with a meaning: padding, modality and VOI LUT, bright as large."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from scizoo_radiology.privacy import quiet
from scizoo_radiology.readers.files import UnusableError

if TYPE_CHECKING:
    from pydicom import Dataset

_UNITS = {"HU": "HU", "HU_MOD": "HU", "OD": "OD", "US": "", "PCT": "%", "Z_EFF": "Z", "BQML": "Bq/ml"}
_UNITS |= {"CNTS": "counts", "GML": "SUV", "SUV": "SUV"}


def item(found: Dataset, index: int, sequence: str) -> Any:
    """Return a functional group's item for a frame: its own, else the shared one, else None."""
    own = found.get("PerFrameFunctionalGroupsSequence")
    shared = found.get("SharedFunctionalGroupsSequence")
    for groups in (own[index : index + 1] if own else (), shared or ()):
        for group in groups:
            if group.get(sequence):
                return group[sequence].value[0]
    return None


def _rescale(found: Dataset, index: int) -> tuple[float, float, str] | None:
    """Return slope, intercept and type, of the frame or of the file."""
    where = item(found, index, "PixelValueTransformationSequence")
    where = found if where is None else where
    if where.get("RescaleSlope") is None or where.get("RescaleIntercept") is None:
        return None
    slope, intercept = float(where.RescaleSlope), float(where.RescaleIntercept)
    if not np.isfinite([slope, intercept]).all() or slope == 0:
        raise UnusableError(
            f"its rescale slope is {slope:g} and its intercept {intercept:g}; correct the header"
        )
    return slope, intercept, str(where.get("RescaleType") or "").strip().upper()


def _window(found: Dataset, index: int) -> tuple[float, float] | None:
    where = item(found, index, "FrameVOILUTSequence")
    where = found if where is None else where
    pair = []
    for keyword in ("WindowCenter", "WindowWidth"):
        value = where.get(keyword)
        value = value[0] if isinstance(value, list | tuple) or hasattr(value, "__getitem__") else value
        try:
            pair.append(float(value))  # type: ignore[arg-type]
        except (TypeError, ValueError):
            return None
    return (pair[0], pair[1]) if np.isfinite(pair).all() and pair[1] > 0 else None


def _padding(found: Dataset, raw: np.ndarray) -> np.ndarray | None:
    """Mark the pixels that lie outside of what was measured."""
    first = found.get("PixelPaddingValue")
    if first is None:
        return None
    last = found.get("PixelPaddingRangeLimit")
    low, high = sorted((int(first), int(first if last is None else last)))
    if found.get("PixelRepresentation") and low > 32767:  # a signed value that was read as unsigned
        low, high = low - 65536, high - 65536
    mask = (raw >= low) & (raw <= high)
    return mask if mask.any() and not mask.all() else None


def calibrate(
    found: Dataset, raw: np.ndarray, index: int = 0, voi: bool = False
) -> tuple[np.ndarray, str, tuple[float, float] | None]:
    """Apply what the header says of the stored values.

    In this order: the modality LUT or rescale; the VOI LUT or window, where it is asked for; padding pixels
    take the lowest value of the others; MONOCHROME1 is turned over, but for values in HU, which have their
    meaning whatever the display.

    Parameters
    ----------
    found : Dataset
    raw : ndarray, shape (rows, columns)
        Stored values, or the luminance of colours.
    index : int
        The frame.
    voi : bool

    Returns
    -------
    values : ndarray, shape (rows, columns)
    unit : str
    window : (float, float) or None
        Centre and width in the unit of the values.
    """
    from pydicom.pixels import apply_modality_lut, apply_voi_lut

    mask = _padding(found, raw)
    unit, window = "", _window(found, index)
    modality = str(found.get("Modality") or "")
    rescale = _rescale(found, index)
    bits = int(found.get("BitsStored") or 16)
    signed = bool(found.get("PixelRepresentation"))
    span = np.array([-(2 ** (bits - 1)), 2 ** (bits - 1) - 1] if signed else [0, 2**bits - 1], dtype=float)
    if raw.dtype.kind == "f":  # luminance, or a parametric map: no stored range
        span = np.array([raw.min(), raw.max()], dtype=float)
    with quiet():
        if found.get("ModalityLUTSequence"):
            values = np.asarray(apply_modality_lut(raw, found))
            unit = str(found.ModalityLUTSequence[0].get("ModalityLUTType") or "").strip().upper()
            span = np.array([values.min(), values.max()], dtype=float)
        elif rescale is not None:
            slope, intercept, unit = rescale
            values = raw * slope + intercept
            span = np.sort(span * slope + intercept)
        else:
            values = raw
        if voi:
            values = np.asarray(apply_voi_lut(values, found), dtype=np.float32)
            span, window, unit = np.array([values.min(), values.max()], dtype=float), None, ""
        elif modality == "CT" and rescale is not None and unit in ("", "HU", "US"):
            unit = "HU"  # PS3.3: without a type the rescaled values of a CT are in HU
    if modality == "PT" and not unit:
        unit = str(found.get("Units") or "").strip().upper()
    unit = _UNITS.get(unit, "")
    if mask is not None:
        values = np.where(mask, values[~mask].min(), values)
    inverse = str(found.get("PhotometricInterpretation") or "").strip() == "MONOCHROME1"
    if inverse and unit != "HU":
        # The lowest stored value is white; padding, which is shown black, goes to the lowest again.
        values = span.sum() - values
        if mask is not None:
            values = np.where(mask, values[~mask].min(), values)
        window = None if window is None else (float(span.sum()) - window[0], window[1])
    return values, unit, window
