"""The field's objects: what a record's input is, with units and directions said. Nothing names a patient.

Directions are those of DICOM: L is the patient's left, P posterior, S superior (feet to head); R, A and I
are their opposites. Coordinates are in millimetres of that system (LPS); NIfTI files, which are RAS, are
turned into it. Readers bring slices into the usual display: axial columns run to L and rows to P, coronal
columns to L and rows to I, sagittal columns to P and rows to I.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from scizoo_radiology.content import Content, compact

__all__ = ["DISPLAY", "PLANES", "RadiologyImage", "Volume"]

#: The plane of a slice to the directions in which its columns and its rows run.
DISPLAY = {"axial": "LP", "coronal": "LI", "sagittal": "PI"}
PLANES = tuple(DISPLAY)
#: The plane of a slice to the axis of a volume (slices S, rows P, columns L) that it is taken along.
_AXIS = {"axial": 0, "coronal": 1, "sagittal": 2}


def _spacing(value: Any, count: int) -> tuple[float, ...] | None:
    if value is None:
        return None
    numbers = tuple(float(number) for number in value)
    if len(numbers) != count or not all(0 < number < 1e4 for number in numbers):
        raise ValueError(f"the spacing is {numbers}, not {count} lengths above 0 mm")
    return numbers


@dataclass(frozen=True, eq=False, repr=False, slots=True)
class RadiologyImage(Content):
    """One picture: a radiograph, or a slice of a volume. Bright means a large value, always.

    Parameters
    ----------
    pixels : ndarray of uint8, int16 or float32, shape (rows, columns)
        Calibrated values, kept in the smallest of these types that holds them; :attr:`values` gives
        float32. Modality rescale (or LUT) is applied and MONOCHROME1 is turned over, so that bright is
        large; no window is applied. Colour pictures are given as their luminance. NaN where nothing was
        measured.
    unit : str
        ``"HU"`` for CT, else what the file calls it (``"OD"``, ``"SUV"``), or ``""``: arbitrary, as in MR,
        radiographs, PNG and JPEG.
    modality : str
        As DICOM writes it: ``CT``, ``MR``, ``CR``, ``DX``, ``MG``, ``US``, ``XA``, ``PT``, ``NM``; ``""``
        where the file does not say.
    spacing : (float, float), optional
        Millimetres from row to row and from column to column; None where the file does not say.
    spacing_at : str
        Where the spacing holds: ``"patient"``, ``"detector"`` (a projection radiograph, magnified by an
        unknown factor), or ``""``.
    slice_spacing : float, optional
        Millimetres from this slice's centre to the next one's.
    plane : str
        ``axial``, ``coronal`` or ``sagittal``, to which the slice is nearest; ``""`` for projections and
        where the file does not say.
    orientation : str
        Directions in which columns and rows run, as in ``"LP"``; ``""`` where the file does not say.
    place : float, optional
        Where in the volume the slice lies: 0 is the first (lowest, most anterior or rightmost), 1 the last.
    window : (float, float), optional
        Centre and width that the file proposes for display, in the unit of the pixels.

    Raises
    ------
    ValueError
        When the shape is none of a picture, no pixel is finite, or a spacing is not above zero.
    """

    pixels: np.ndarray
    unit: str = ""
    modality: str = ""
    spacing: tuple[float, float] | None = None
    spacing_at: str = ""
    slice_spacing: float | None = None
    plane: str = ""
    orientation: str = ""
    place: float | None = None
    window: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        pixels = compact(self.pixels)
        if pixels.ndim != 2 or 0 in pixels.shape:
            raise ValueError(f"pixels have the shape {pixels.shape}, not (rows, columns)")
        if pixels.dtype.kind == "f" and not np.isfinite(pixels).any():
            raise ValueError("no pixel is finite")
        pixels.flags.writeable = False
        self._set("pixels", pixels)
        self._set("spacing", _spacing(self.spacing, 2))
        if self.spacing_at not in ("", "patient", "detector"):
            raise ValueError(f"spacing_at is '{self.spacing_at}', not patient, detector or empty")
        if self.plane not in ("", *PLANES):
            raise ValueError(f"plane is '{self.plane}', not one of {', '.join(PLANES)}")

    @property
    def values(self) -> np.ndarray:
        """The pixels as float32, shape (rows, columns); a copy."""
        return self.pixels.astype(np.float32)

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return (int(self.pixels.shape[0]), int(self.pixels.shape[1]))

    def with_pixels(self, pixels: np.ndarray, spacing: tuple[float, float] | None) -> RadiologyImage:
        """Return the same picture with other pixels at another spacing."""
        return replace(self, pixels=pixels, spacing=spacing)

    def _size(self) -> str:
        words = [self.modality, self.plane, "x".join(map(str, self.pixels.shape))]
        return " ".join(word for word in words if word)


@dataclass(frozen=True, eq=False, repr=False, slots=True)
class Volume(Content):
    """A stack of slices, its axes nearest to S, P and L in this order.

    Parameters
    ----------
    pixels : ndarray of uint8, int16 or float32, shape (slices, rows, columns)
        Calibrated values as in :class:`RadiologyImage`; the first slice is the lowest, rows run to
        posterior and columns to the patient's left.
    spacing : (float, float, float), optional
        Millimetres along slices, rows and columns; None where the file does not say.
    affine : ndarray of float64, shape (4, 4), optional
        From (column, row, slice, 1) to millimetres in LPS; None where the file does not say.
    acquired : str
        The plane in which the slices were acquired, ``""`` where it cannot be told.
    oriented : bool
        Whether the file said how the patient lay; without, the axes are those of the file.
    unit, modality, window
        As in :class:`RadiologyImage`.

    Raises
    ------
    ValueError
        When the shape is none of a volume or no voxel is finite.
    """

    pixels: np.ndarray
    spacing: tuple[float, float, float] | None = None
    affine: np.ndarray | None = None
    acquired: str = ""
    oriented: bool = True
    unit: str = ""
    modality: str = ""
    window: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        pixels = compact(self.pixels)
        if pixels.ndim != 3 or 0 in pixels.shape:
            raise ValueError(f"voxels have the shape {pixels.shape}, not (slices, rows, columns)")
        if pixels.dtype.kind == "f" and not np.isfinite(pixels).any():
            raise ValueError("no voxel is finite")
        pixels.flags.writeable = False
        self._set("pixels", pixels)
        self._set("spacing", _spacing(self.spacing, 3))
        if self.affine is not None:
            affine = np.asarray(self.affine, dtype=np.float64)
            if affine.shape != (4, 4) or not np.isfinite(affine).all():
                raise ValueError("the affine is not a finite 4 by 4 matrix")
            self._set("affine", affine)

    @property
    def values(self) -> np.ndarray:
        """The voxels as float32, shape (slices, rows, columns); a copy."""
        return self.pixels.astype(np.float32)

    def count(self, plane: str = "axial") -> int:
        """Return how many slices there are in a plane."""
        return int(self.pixels.shape[_AXIS[plane]])

    def stack(self, plane: str = "axial") -> np.ndarray:
        """Return the voxels as slices of a plane, shape (slices, rows, columns), in the usual display.

        Parameters
        ----------
        plane : {"axial", "coronal", "sagittal"}
        """
        if plane == "axial":
            return self.pixels
        # Head up: rows run to I, against the axis S. Axes (S, P, L) to (P, I, L), or to (L, I, P).
        flipped = self.pixels[::-1]
        return flipped.transpose(1, 0, 2) if plane == "coronal" else flipped.transpose(2, 0, 1)

    def slice(self, index: int, plane: str = "axial") -> RadiologyImage:
        """Return one slice as a picture.

        Parameters
        ----------
        index : int
            From 0: the lowest (axial), the most anterior (coronal), or the rightmost (sagittal).
        plane : {"axial", "coronal", "sagittal"}
        """
        pixels = self.stack(plane)
        apart: float | None = None
        across: tuple[float, float] | None = None
        if self.spacing is not None:
            axis = _AXIS[plane]
            apart = self.spacing[axis]
            across = (self.spacing[1 if axis == 0 else 0], self.spacing[1 if axis == 2 else 2])
        return RadiologyImage(
            pixels[index],
            unit=self.unit,
            modality=self.modality,
            spacing=across,
            spacing_at="patient" if across else "",
            slice_spacing=apart,
            plane=plane if self.oriented else "",
            orientation=DISPLAY[plane] if self.oriented else "",
            place=index / max(len(pixels) - 1, 1),
            window=self.window,
        )

    def _size(self) -> str:
        return " ".join(word for word in [self.modality, "x".join(map(str, self.pixels.shape))] if word)
