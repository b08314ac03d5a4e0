"""A streaming FASTQ reader: four lines a read, quality kept."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from scizoo.data.records import RejectionLog
from scizoo.errors import DataError
from scizoo_genomics.alphabet import BadSequenceError, normalise
from scizoo_genomics.readers.entry import Entry
from scizoo_genomics.readers.opening import lines

EXPECTED = "FASTQ: four lines a read (@name, sequence, +, quality)"


def read_fastq(path: Path, log: RejectionLog) -> Iterator[Entry]:
    """Read a FASTQ file (plain, gzip or bgzip) lazily.

    The quality line is kept as it is in ``fields["quality"]`` (Phred + 33), with the mean Phred score
    in ``fields["mean_quality"]``.

    Raises
    ------
    DataError
        When the file is missing, empty, binary, damaged, or its reads are not four lines each.
    """
    numbered = ((number, line) for number, line in lines(path, EXPECTED) if line.strip())
    record = 0
    while group := list(islice(numbered, 4)):
        record += 1
        source = f"{path.name}, record {record}"
        first, title = group[0]
        if not title.startswith("@"):
            raise DataError(
                f"{path}, line {first}: a read starts with '@', this line with {title[:20]!r}.",
                expected=EXPECTED,
                remedy="check that no line is missing and that sequences are not wrapped.",
            )
        id, _, description = title[1:].strip().partition(" ")
        if len(group) < 4:
            log.reject(source, id, "the file ends within this read")
            return
        if not group[2][1].startswith("+"):
            raise DataError(
                f"{path}, line {group[2][0]}: '+' is missing between sequence and quality of read '{id}'.",
                expected=EXPECTED,
            )
        bases, quality = group[1][1].strip(), group[3][1].strip()
        if len(bases) != len(quality):
            log.reject(source, id, f"{len(bases)} bases but {len(quality)} quality values")
            continue
        try:
            sequence = normalise(bases.encode("utf-8"))
        except BadSequenceError as error:
            log.reject(source, id, str(error))
            continue
        scores = quality.encode("latin-1", errors="replace")
        if min(scores) < 33 or max(scores) > 126:
            log.reject(source, id, "the quality line holds a character that is no quality value")
            continue
        fields = {"quality": quality, "mean_quality": sum(scores) / len(scores) - 33}
        yield Entry(id, sequence, description, fields, source)
