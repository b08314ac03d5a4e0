"""What every reader gives: one object of the sky with its name and whatever the file says about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from scizoo_astronomy.objects import CatalogRow, Image, ImageSpectrum, LightCurve, Spectrum

Kind = TypeVar("Kind", LightCurve, Spectrum, Image, CatalogRow, ImageSpectrum)


@dataclass(frozen=True, slots=True)
class Entry(Generic[Kind]):
    """One object as a file has it.

    Parameters
    ----------
    id : str
        What the file calls it, else the file's name without its ending.
    value : LightCurve, Spectrum, Image, CatalogRow or ImageSpectrum
    fields : mapping
        Other columns that are the same for the whole object; kept with the record.
    header : mapping
        Header cards, which ``data.target`` and the like can name; kept only where they are named.
    source : str
        Where it was read: ``"stars.csv, rows 12 to 40"``.
    """

    id: str
    value: Kind
    fields: Mapping[str, object] = field(default_factory=dict)
    header: Mapping[str, object] = field(default_factory=dict)
    source: str = ""


def stem(name: str) -> str:
    """Return a file's name without its folder and endings; dots inside a name (``1.3444.614``) stay.

    Endings are those this domain reads, once compressed or not.
    """
    plain = name.replace("\\", "/").rsplit("/", 1)[-1]
    lowered = plain.lower()
    for packed in (".gz", ".bz2"):
        if lowered.endswith(packed):
            plain, lowered = plain[: -len(packed)], lowered[: -len(packed)]
    for ending in ENDINGS:
        if lowered.endswith(ending) and len(plain) > len(ending):
            return plain[: -len(ending)]
    return plain


#: Endings of the files that are read, without those of compression.
ENDINGS = (
    *(".fits", ".fit", ".fts", ".vot", ".votable", ".xml", ".ecsv", ".csv", ".tsv", ".tab", ".dat", ".txt"),
    *(".lc", ".parquet", ".pq", ".npz", ".tar", ".tgz", ".png", ".jpg", ".jpeg"),
)
