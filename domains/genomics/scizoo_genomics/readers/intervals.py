"""BED and GFF3 intervals over a reference: the sequence under each, on its own strand."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from scizoo.data.records import RejectionLog
from scizoo.errors import DataError, did_you_mean
from scizoo_genomics.alphabet import BadSequenceError, reverse_complement
from scizoo_genomics.readers.entry import Entry
from scizoo_genomics.readers.opening import head, lines
from scizoo_genomics.readers.reference import Reference

BED = "BED: chrom, start, end (0-based, half-open) and if wanted name, score, strand, separated by tabs"
GFF = "GFF3: nine columns separated by tabs, 1-based, attributes as key=value;key=value"
#: Types whose lines are parts of one thing when they share an ID; spliced in order.
_SPLICED = frozenset({"CDS", "exon", "five_prime_UTR", "three_prime_UTR"})


@dataclass
class Interval:
    """A place on a reference, in one or more parts (0-based, half-open)."""

    id: str
    contig: str
    parts: list[tuple[int, int]]
    strand: str
    fields: dict[str, Any] = field(default_factory=dict)
    source: str = ""


def is_gff(path: Path) -> bool:
    """Whether the file is GFF3: by its first line, else by its ninth column, never by its name."""
    start = head(path)
    if start.lstrip().startswith(b"##gff-version"):
        return True
    for line in start.splitlines():
        if line.strip() and not line.startswith((b"#", b"track", b"browser")):
            columns = line.split(b"\t")
            return (
                len(columns) == 9
                and columns[3].isdigit()
                and columns[4].isdigit()
                and not columns[1].isdigit()
            )
    return False


def read_bed(path: Path, log: RejectionLog) -> Iterator[Interval]:
    """Read the intervals of a BED file with three to twelve columns.

    Blocks (columns 10 to 12) are not spliced: the whole interval is taken. Columns beyond the sixth
    of a file that is not BED12 are kept as fields ``column7``, ``column8``, ...
    """
    found = False
    for number, line in lines(path, BED):
        if not line.strip() or line.startswith(("#", "track", "browser")):
            continue
        source = f"{path.name}, line {number}"
        columns = line.split("\t") if "\t" in line else line.split()
        if len(columns) < 3 or not columns[1].isdigit() or not columns[2].isdigit():
            if not found:
                raise DataError(f"{path}, line {number}: {line[:60]!r} is no interval.", expected=BED)
            log.reject(source, columns[3] if len(columns) > 3 else "", "start and end are not whole numbers")
            continue
        found = True
        start, end = int(columns[1]), int(columns[2])
        strand = columns[5] if len(columns) > 5 and columns[5] in "+-" else "."
        fields: dict[str, Any] = {}
        if len(columns) > 3:
            fields["name"] = columns[3]
        if len(columns) > 4:
            fields["score"] = columns[4]
        fields |= {f"column{i}": value for i, value in enumerate(columns[6:], start=7)}
        # Names of BED features repeat freely (some callers write "peak" throughout): the place names them.
        id = f"{columns[0]}:{start}-{end}({strand})"
        yield Interval(id, columns[0], [(start, end)], strand, fields, source)
    if not found:
        raise DataError(f"{path} holds no interval.", expected=BED)


def _attributes(text: str) -> dict[str, str]:
    pairs = (item.partition("=") for item in text.strip().split(";") if item.strip())
    return {unquote(key.strip()): unquote(value.strip()) for key, equals, value in pairs if equals}


def read_gff(path: Path, log: RejectionLog, *, feature: str = "gene") -> Iterator[Interval]:
    """Read the features of one type from a GFF3 file.

    Lines of a CDS, exon or UTR that share an ``ID`` are parts of one thing and come as one interval,
    in transcript order. ``fields`` holds the attributes and the ``phase`` of the first part.

    Parameters
    ----------
    path : Path
    log : RejectionLog
    feature : str
        The third column of the lines wanted.

    Raises
    ------
    DataError
        When the file is not GFF3 (GTF is named as such) or has no such feature.
    """
    merged: dict[str, Interval] = {}
    types: set[str] = set()
    for number, line in lines(path, GFF):
        if line.startswith("##FASTA"):
            break
        if not line.strip() or line.startswith("#"):
            continue
        source = f"{path.name}, line {number}"
        columns = line.split("\t")
        if len(columns) != 9:
            if not types:
                raise DataError(
                    f"{path}, line {number}: {len(columns)} columns instead of nine.", expected=GFF
                )
            log.reject(source, "", f"{len(columns)} columns instead of nine")
            continue
        if 'gene_id "' in columns[8]:
            raise DataError(
                f"{path} is GTF.", expected=GFF, remedy="turn it into GFF3: gffread FILE.gtf -o FILE.gff3"
            )
        types.add(columns[2])
        if columns[2] != feature:
            continue
        if not columns[3].isdigit() or not columns[4].isdigit():
            log.reject(source, "", "start and end are not whole numbers")
            continue
        start, end, strand = int(columns[3]) - 1, int(columns[4]), columns[6]
        fields: dict[str, Any] = _attributes(columns[8])
        place = f"{columns[0]}:{start}-{end}({strand})"
        id = fields.get("ID") or place
        known = merged.get(id)
        if known is not None and (columns[0], strand) == (known.contig, known.strand) and feature in _SPLICED:
            known.parts.append((start, end))
            first = max(known.parts) if strand == "-" else min(known.parts)
            if first == (start, end):  # the phase that counts is that of the part translated first
                known.fields["phase"] = columns[7]
            continue
        if known is not None:
            id = place
        fields |= {"score": columns[5], "phase": columns[7], "type": columns[2]}
        merged[id] = Interval(id, columns[0], [(start, end)], strand, fields, source)
    if not merged:
        raise DataError(f"{path} has no feature of type '{feature}'.", remedy=did_you_mean(feature, types))
    yield from merged.values()


def read_intervals(
    path: Path, reference: Reference, log: RejectionLog, *, feature: str | None = None
) -> Iterator[Entry]:
    """Yield the sequence under each interval of a BED or GFF3 file, on its strand.

    Parameters
    ----------
    path : Path
        BED or GFF3, told apart by content.
    reference : Reference
        The genome the intervals lie on.
    log : RejectionLog
        Where intervals outside the reference are told.
    feature : str, optional
        The GFF3 feature type; ``"gene"`` when not given.

    Yields
    ------
    Entry
        With ``contig``, ``start``, ``end``, ``strand`` and the file's own columns as fields.
    """
    found = read_gff(path, log, feature=feature or "gene") if is_gff(path) else read_bed(path, log)
    for interval in found:
        parts = sorted(interval.parts)
        try:
            sequence = "".join(reference.fetch(interval.contig, start, end) for start, end in parts)
        except (LookupError, BadSequenceError) as error:
            log.reject(interval.source, interval.id, str(error.args[0]))
            continue
        if interval.strand == "-":
            sequence = reverse_complement(sequence)
        place = {
            "contig": interval.contig,
            "start": parts[0][0],
            "end": parts[-1][1],
            "strand": interval.strand,
        }
        yield Entry(interval.id, sequence, "", {**interval.fields, **place}, interval.source)
