"""What names a patient, and what stands in its place: pseudonyms, age bands, words without identifiers.

Readers keep what a file says of the patient in :class:`Names`, which never shows itself, and use it for two
things alone: to find the row of a table that belongs to the file, and to make pseudonyms.
"""

from __future__ import annotations

import hashlib
import logging
import os
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

#: An environment variable with a secret, for pseudonyms that agree between data sets. It is not a config key,
#: because configs are written into runs and checkpoints.
KEY_VARIABLE = "SCIZOO_PSEUDONYM_KEY"

#: Attributes that name or lead to a person, after DICOM PS3.15, table E.1-1 (basic confidentiality profile),
#: by what they give away. Elements of the types PN, DA and DT count besides, whatever they are called.
IDENTIFYING: dict[str, tuple[str, ...]] = {
    "name": ("PatientName", "OtherPatientNames", "PatientBirthName", "PatientMotherBirthName"),
    "person": (
        *(
            "ReferringPhysicianName",
            "PerformingPhysicianName",
            "OperatorsName",
            "NameOfPhysiciansReadingStudy",
        ),
        *("PhysiciansOfRecord", "RequestingPhysician", "ResponsiblePerson"),
    ),
    "id": (
        *("PatientID", "OtherPatientIDs", "IssuerOfPatientID", "AccessionNumber", "StudyID", "AdmissionID"),
        *("MedicalRecordLocator", "PerformedProcedureStepID", "RequestedProcedureID", "MilitaryRank"),
    ),
    "birth": ("PatientBirthDate", "PatientBirthTime"),
    "date": (
        *("StudyDate", "SeriesDate", "AcquisitionDate", "ContentDate", "InstanceCreationDate"),
        *("AcquisitionDateTime", "PerformedProcedureStepStartDate", "DateOfSecondaryCapture"),
    ),
    "address": (
        *("PatientAddress", "PatientTelephoneNumbers", "RegionOfResidence", "CountryOfResidence"),
        *("InstitutionName", "InstitutionAddress", "InstitutionalDepartmentName", "StationName"),
        *("DeviceSerialNumber", "ReferringPhysicianAddress", "ReferringPhysicianTelephoneNumbers"),
    ),
    "free text": (
        *("PatientComments", "AdditionalPatientHistory", "ImageComments", "StudyDescription", "Occupation"),
        *("SeriesDescription", "ProtocolName", "RequestAttributesSequence", "TextValue", "EthnicGroup"),
    ),
}

#: Words in the names of a table's columns that say that the column names a person, a place or a day.
_COLUMN = re.compile(
    r"(^|[^a-z])(name|surname|forename|mrn|dob|ssn|nhs|birth\w*|date\w*|timestamp|accession\w*|address|phone|"
    r"telephone|e-?mail|zip|postcode|insurance|physician|doctor|operator|hospital\w*|institution\w*)([^a-z]|$)",
    re.IGNORECASE,
)
_AGE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([DWMY]?)\s*", re.IGNORECASE)
_YEARS = {"D": 1 / 365.25, "W": 7 / 365.25, "M": 1 / 12, "Y": 1.0, "": 1.0}
_SEX = {"m": "male", "male": "male", "f": "female", "female": "female", "o": "other", "other": "other"}
_LIBRARIES = ("pydicom", "nibabel.global", "PIL", "gdcm")


@dataclass(frozen=True, repr=False, slots=True)
class Names:
    """What a file says of who is shown. It has no repr, so that no message, log or traceback shows it.

    Parameters
    ----------
    file : str
        Path of the file within the source.
    patient, study, series, instance : str
        Patient ID, or name and birth date where there is none; and the UIDs.
    people : tuple of str
        Names of the patient and of others.
    others : tuple of str
        Every other identifying value of the header.
    """

    file: str = ""
    patient: str = ""
    study: str = ""
    series: str = ""
    instance: str = ""
    people: tuple[str, ...] = ()
    others: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return "Names(...)"

    def secrets(self) -> set[str]:
        """Return every identifying value of four letters or more, and the words of names, in lower case."""
        values = (self.patient, self.study, self.series, self.instance, *self.people, *self.others)
        words = [word for name in self.people for word in re.split(r"[\^\s,=|]+", name)]
        found = {value.strip().lower() for value in (*values, *words)}
        return {value for value in found if len(value) >= 4}


def safe_text(value: Any, names: Names) -> str | None:
    """Return a header's word where nothing that names the patient stands in it, else None."""
    text = " ".join(str(value).split())
    if not text or len(text) > 64 or any(secret in text.lower() for secret in names.secrets()):
        return None
    return text


@dataclass(frozen=True, repr=False)
class Pseudonyms:
    """Names in the place of names: a keyed hash (BLAKE2b) of 64 bits, the same for equal values.

    Parameters
    ----------
    salt : bytes
        The key. Without it a pseudonym cannot be led back by trying out known patient numbers.
    keep : bool
        Whether values stay as they are, for public data.
    """

    salt: bytes = field(repr=False)
    keep: bool = False

    @classmethod
    def of(cls, digest: str, keep: bool = False) -> Pseudonyms:
        """Make them for a data set.

        Parameters
        ----------
        digest : str
            Of the content of the files. It is hashed with words that nothing else here uses, so that no
            fingerprint that is stored gives the key away. Whoever has the data can make the key again; nobody
            else can. The variable SCIZOO_PSEUDONYM_KEY takes its place where it is set.
        keep : bool
        """
        secret = os.environ.get(KEY_VARIABLE) or digest
        return cls(
            hashlib.blake2b(secret.encode(), digest_size=32, person=b"scizoo-pseudonym").digest(), keep
        )

    def name(self, kind: str, value: str) -> str:
        """Return the pseudonym of a value, such as ``"patient-3f09a1c2b4d57e60"``.

        Parameters
        ----------
        kind : str
            ``patient``, ``series``, ``image``, ``site``: the same value gets another pseudonym for each.
        value : str
        """
        if self.keep:
            return value
        digest = hashlib.blake2b(f"{kind}|{value.strip()}".encode(), key=self.salt, digest_size=8)
        return f"{kind}-{digest.hexdigest()}"


def identifying_column(name: str) -> bool:
    """Whether a column's name says that it holds names, numbers of patients, places or dates."""
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).replace("_", " ")
    return bool(_COLUMN.search(spaced)) or bool(
        re.search(r"patient\W*(id|number|key)?$", spaced, re.IGNORECASE)
    )


def age_band(value: Any) -> str | None:
    """Return the decade of an age, such as ``"40-49"``; all from 90 on are ``"90+"``.

    Parameters
    ----------
    value : Any
        Years as a number or text, or as DICOM writes ages: ``"045Y"``, ``"018M"``.
    """
    match = _AGE.fullmatch(str(value)) if value is not None else None
    if match is None:
        return None
    years = float(match[1]) * _YEARS[match[2].upper()]
    if not 0 <= years < 150:
        return None
    low = int(years // 10) * 10
    return "90+" if low >= 90 else f"{low}-{low + 9}"


def years_between(birth: str, day: str) -> int | None:
    """Return whole years from one DICOM date (YYYYMMDD) to another, or None."""
    if not (re.fullmatch(r"\d{8}", birth) and re.fullmatch(r"\d{8}", day)):
        return None
    years = int(day[:4]) - int(birth[:4]) - (day[4:] < birth[4:])
    return years if 0 <= years < 150 else None


def sex_of(value: Any) -> str | None:
    """Return ``male``, ``female`` or ``other``; None where it is not known."""
    return None if value is None else _SEX.get(str(value).strip().lower())


@contextmanager
def quiet() -> Iterator[None]:
    """Keep what libraries say of a file out of the log: their words repeat its values.

    Whatever is wrong is said in this package's own words.
    """
    loggers = [logging.getLogger(name) for name in _LIBRARIES]
    before = [logger.disabled for logger in loggers]
    try:
        for logger in loggers:
            logger.disabled = True
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, was in zip(loggers, before, strict=True):
            logger.disabled = was
