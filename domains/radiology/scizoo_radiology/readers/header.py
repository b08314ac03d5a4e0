"""What a DICOM header says: who is shown, on what machine, and how many pixels there are."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from scizoo_radiology.privacy import IDENTIFYING, Names, age_band, quiet, safe_text, sex_of, years_between
from scizoo_radiology.readers.entry import no_fields
from scizoo_radiology.readers.files import File

if TYPE_CHECKING:
    from pydicom import Dataset

_WORD = re.compile(r"[A-Z0-9 _-]{1,16}")


def frames_of(found: Dataset) -> int:
    """Return the number of frames that a header declares."""
    try:
        return max(int(found.get("NumberOfFrames") or 1), 1)
    except (TypeError, ValueError):
        return 1


def declared_pixels(found: Dataset) -> int:
    """Return rows times columns times frames times samples, as the header declares them."""
    samples = int(found.get("SamplesPerPixel") or 1)
    return int(found.Rows) * int(found.Columns) * frames_of(found) * samples


def text(found: Dataset, keyword: str) -> str:
    """Return an attribute as one line of text, ``""`` where there is none."""
    value = found.get(keyword)
    return "" if value is None else str(value).replace("\0", " ").strip()


def names_of(found: Dataset, file: File) -> Names:
    """Gather what names the patient; see :class:`~scizoo_radiology.privacy.Names`."""
    patient = text(found, "PatientID")
    if not patient and text(found, "PatientName"):
        patient = f"{text(found, 'PatientName')}|{text(found, 'PatientBirthDate')}"
    elif patient and text(found, "IssuerOfPatientID"):
        patient = f"{patient}|{text(found, 'IssuerOfPatientID')}"
    said: dict[bool, list[str]] = {True: [], False: []}
    with quiet():
        for kind, keywords in IDENTIFYING.items():
            if kind != "free text":
                said[kind in ("name", "person")] += filter(None, (text(found, word) for word in keywords))
    study, series, instance = (text(found, f"{kind}InstanceUID") for kind in ("Study", "Series", "SOP"))
    return Names(file.name, patient, study, series, instance, tuple(said[True]), tuple(said[False]))


def fields_of(found: Dataset, names: Names) -> dict[str, Any]:
    """Gather what may be known: coded words, age band, scanner; the site in clear, for a pseudonym."""
    fields = no_fields()
    coded = {"modality": "Modality", "body_part": "BodyPartExamined", "view": "ViewPosition"}
    coded |= {"laterality": "ImageLaterality", "photometric": "PhotometricInterpretation"}
    for name, keyword in coded.items():
        word = text(found, keyword).upper()
        fields[name] = safe_text(word, names) if _WORD.fullmatch(word) else None
    fields["sex"] = sex_of(text(found, "PatientSex"))
    age: Any = text(found, "PatientAge")
    if not age:
        day = text(found, "StudyDate") or text(found, "AcquisitionDate")
        age = years_between(text(found, "PatientBirthDate"), day)
    fields["age_band"] = age_band(age)
    words = (text(found, "Manufacturer"), text(found, "ManufacturerModelName"))
    fields["scanner"] = safe_text(" ".join(word for word in words if word), names)
    fields["site"] = text(found, "InstitutionName") or None
    return fields
