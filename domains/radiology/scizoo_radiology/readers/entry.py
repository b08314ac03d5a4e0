"""What readers hand over: a picture or volume, what may be said of it, and the names that stay inside."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from scizoo_radiology.images import RadiologyImage, Volume
from scizoo_radiology.privacy import Names
from scizoo_radiology.readers.files import Limits


@dataclass(frozen=True, repr=False)
class Entry:
    """One picture or volume of a file or series.

    Parameters
    ----------
    value : RadiologyImage or Volume
    names : Names
        For matching with tables and for pseudonyms; never shown.
    fields : dict
        What may be known of it: modality, sex, age band, scanner and the like; None where not known.
    source : str
        Where it was read, for messages.
    key : str
        Names it within the source, as ``file`` or ``file#slice``; it may name a patient.
    """

    value: RadiologyImage | Volume
    names: Names
    fields: dict[str, Any]
    source: str
    key: str

    def __repr__(self) -> str:
        return f"Entry({self.source})"


@dataclass(frozen=True)
class ReadingOptions:
    """How files are read.

    Parameters
    ----------
    plane : {"acquired", "axial", "coronal", "sagittal", "volume"}
        As which slices a stack is given, or as one volume.
    slices : str or int
        Which slices of a stack: ``"all"``, ``"middle"``, or so many at even distances.
    signed : bool, optional
        Of DICOM: whether stored values have a sign, where the file says the wrong thing.
    voi : bool
        Of DICOM: whether the file's own VOI LUT or window is applied to the values.
    broken_orientation : {"refuse", "ignore"}
        Whether a file whose orientation tags cannot be true is rejected, or read as it lies.
    burned_in : {"refuse", "allow"}
        Whether a file that says that names are burned into its pixels is rejected.
    assume_spacing : tuple of float, optional
        Millimetres for files that state none: (rows, columns), or (slices, rows, columns).
    modality : str, optional
        For files that state none (NIfTI, PNG, JPEG); with CT their values are taken for HU.
    frame : int, optional
        Of a NIfTI file with four axes: which volume.
    limits : Limits
    """

    plane: str = "acquired"
    slices: str | int = "all"
    signed: bool | None = None
    voi: bool = False
    broken_orientation: str = "refuse"
    burned_in: str = "refuse"
    assume_spacing: tuple[float, ...] | None = None
    modality: str | None = None
    frame: int | None = None
    limits: Limits = field(default_factory=Limits)

    def chosen(self, count: int) -> list[int]:
        """Return the positions of the slices that are wanted of ``count``."""
        if self.slices == "all":
            return list(range(count))
        many = 1 if self.slices == "middle" else int(self.slices)
        return sorted({min(int((place + 0.5) * count / many), count - 1) for place in range(many)})


#: Every entry has these fields, so that each can be a column of the bias audit.
FIELDS = ("modality", "body_part", "view", "laterality", "sex", "age_band", "scanner", "site", "photometric")


def no_fields() -> dict[str, Any]:
    """Return the fields of a file that says nothing."""
    return dict.fromkeys(FIELDS)
