"""A light VCF reader over a reference: one entry an alternative allele, checked against the genome."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from scizoo.data.records import RejectionLog
from scizoo.errors import DataError
from scizoo_genomics.alphabet import BadSequenceError
from scizoo_genomics.readers.opening import lines
from scizoo_genomics.readers.reference import Reference

EXPECTED = "VCF: '#CHROM POS ID REF ALT ...' and then at least five columns separated by tabs"


@dataclass(frozen=True, slots=True)
class Variant:
    """One alternative allele.

    Parameters
    ----------
    chrom : str
    pos : int
        1-based, as in the file.
    id : str
        The file's ID, or ``chrom:pos:ref>alt`` where it has none.
    ref, alt : str
        Upper-case alleles, both on the reference's forward strand.
    source : str
        File and line, for messages.
    """

    chrom: str
    pos: int
    id: str
    ref: str
    alt: str
    source: str

    @property
    def key(self) -> str:
        """A name that is unique to the allele."""
        return f"{self.chrom}:{self.pos}:{self.ref}>{self.alt}"


def read_vcf(path: Path, reference: Reference, log: RejectionLog) -> Iterator[Variant]:
    """Read the variants of a VCF file (plain, gzip or bgzip).

    A line with several alternative alleles gives one variant each. Told to ``log`` and left out:
    alleles whose REF is not what the reference has there, symbolic alleles and breakends, letters
    other than A, C, G, T and N, and positions outside the reference.

    Raises
    ------
    DataError
        When the file is missing, empty, binary, or not VCF.
    """
    seen_header = False
    for number, line in lines(path, EXPECTED):
        if line.startswith("#"):
            seen_header = True
            continue
        if not line.strip():
            continue
        columns = line.split("\t")
        source = f"{path.name}, line {number}"
        if len(columns) < 5 or not columns[1].isdigit():
            if not seen_header:
                raise DataError(f"{path}, line {number}: {line[:60]!r} is no variant.", expected=EXPECTED)
            log.reject(
                source, "", "fewer than five columns separated by tabs, or a position that is no number"
            )
            continue
        chrom, pos, name, ref = columns[0], int(columns[1]), columns[2], columns[3].upper()
        alternatives = columns[4].upper().split(",")
        shown = f"{chrom}:{pos}" if name == "." else name
        reason = _check_ref(reference, chrom, pos, ref)
        if reason:
            log.reject(source, shown, reason)
            continue
        for raw, alt in zip(columns[4].split(","), alternatives):
            reason = _check_alt(raw, ref, alt)
            if reason:
                log.reject(source, shown, reason)
                continue
            id = name if name != "." else f"{chrom}:{pos}:{ref}>{alt}"
            yield Variant(chrom, pos, id, ref, alt, source)
    if not seen_header:
        raise DataError(f"{path} holds no variant and no header.", expected=EXPECTED)


def _check_ref(reference: Reference, chrom: str, pos: int, ref: str) -> str | None:
    if not ref or ref.strip("ACGTN"):
        return f"REF '{ref[:20]}' holds letters other than A, C, G, T and N"
    try:
        there = reference.fetch(chrom, pos - 1, pos - 1 + len(ref))
    except (LookupError, BadSequenceError) as error:
        return str(error.args[0])
    if there != ref:
        return (
            f"REF is '{ref[:20]}' but the reference has '{there[:20]}' at {chrom}:{pos}: "
            "the file was called against another reference"
        )
    return None


def _check_alt(raw: str, ref: str, alt: str) -> str | None:
    if raw in (".", ""):
        return "no alternative allele"
    if raw.startswith("<") or raw == "*" or "[" in raw or "]" in raw:
        return f"the allele '{raw[:20]}' is symbolic: it spells no sequence"
    if alt.strip("ACGTN"):
        return f"ALT '{raw[:20]}' holds letters other than A, C, G, T and N"
    if alt == ref:
        return "ALT equals REF"
    return None
