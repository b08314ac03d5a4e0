"""Which format a file has, by its content; the name decides only between text tables."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from scizoo.data.opening import check_text
from scizoo.data.records import RejectionLog
from scizoo.data.table import TableReader
from scizoo.errors import DataError
from scizoo_genomics.alphabet import BadSequenceError, normalise
from scizoo_genomics.readers.entry import Entry
from scizoo_genomics.readers.fasta import read_fasta
from scizoo_genomics.readers.fastq import read_fastq
from scizoo_genomics.readers.genbank import read_genbank
from scizoo_genomics.readers.opening import head

#: Endings of the files that count when a folder is read.
SUFFIXES = tuple(
    ending + packed
    for ending in (
        *(".fasta", ".fa", ".fna", ".ffn", ".frn", ".fas", ".fsa", ".fastq", ".fq"),
        *(".gb", ".gbk", ".gbff", ".genbank", ".embl", ".csv", ".tsv", ".tab", ".parquet", ".pq"),
    )
    for packed in ("", ".gz", ".bgz")
)
EXPECTED = "FASTA, FASTQ, GenBank or EMBL (plain, gzip or bgzip), or a CSV, TSV or Parquet table"
_TABLE_NAME = re.compile(r"\.(csv|tsv|tab)(\.gz|\.bgz)?$", re.IGNORECASE)


def sequence_format(path: Path) -> str:
    """Return ``fasta``, ``fastq``, ``genbank``, ``embl`` or ``table``.

    Raises
    ------
    DataError
        When the file is missing, empty, binary, or of another format; the message says which.
    """
    start = head(path)
    if start.startswith(b"PAR1"):
        return "table"
    check_text(path, start, EXPECTED)
    text = start.removeprefix(b"\xef\xbb\xbf").lstrip()
    if text.startswith((b">", b";")):
        return "fasta"
    if text.startswith(b"@") and not re.match(rb"@(HD|SQ|RG|PG|CO)\t", text):
        return "fastq"
    if re.match(rb"LOCUS\s", text):
        return "genbank"
    if re.match(rb"ID   \S", text):
        return "embl"
    if _TABLE_NAME.search(path.name):
        return "table"
    if text.startswith(b"##fileformat=VCF"):
        raise DataError(
            f"{path} is VCF.", expected=EXPECTED, remedy="use the task genomics/variant-effect for it."
        )
    if text.startswith(b"##gff-version"):
        raise DataError(
            f"{path} is GFF3.",
            expected=EXPECTED,
            remedy="give it as data.intervals, with data.reference=GENOME.fasta.",
        )
    line = text.split(b"\n", 1)[0].strip()[:40].decode("utf-8", errors="replace")
    raise DataError(
        f"{path} is no sequence file that is known here: it starts with {line!r}.", expected=EXPECTED
    )


def read_table_entries(
    path: Path, log: RejectionLog, input: str, id: str | None, checks: dict[str, str]
) -> Iterator[Entry]:
    """Read a table with a sequence column.

    Parameters
    ----------
    path : Path
    log : RejectionLog
    input : str
        The column with sequences.
    id : str, optional
        The column with ids; by default file and row.
    checks : dict
        Config key to column: columns that must be there.
    """
    reader = TableReader(path)
    for key, column in {"data.input": input, **({"data.id": id} if id else {}), **checks}.items():
        reader.check(column, key)
    for number, cells in reader.rows(None, log):
        source = f"{path.name}, row {number}"
        name = str(cells[id]) if id and cells[id] is not None else f"{path.name}:{number}"
        raw = cells[input]
        cells = {key: value for key, value in cells.items() if key not in (input, id)}
        if raw is None:
            log.reject(source, name, f"column '{input}' is empty")
            continue
        try:
            sequence = normalise(str(raw).encode("utf-8"))
        except BadSequenceError as error:
            log.reject(source, name, str(error))
            continue
        yield Entry(name, sequence, "", cells, source)


def read_sequences(
    path: Path, log: RejectionLog, *, feature: str = "record", keep_mask: bool = False
) -> Iterator[Entry]:
    """Read a FASTA, FASTQ, GenBank or EMBL file, told apart by content."""
    kind = sequence_format(path)
    if kind == "fasta":
        return read_fasta(path, log, keep_mask=keep_mask)
    if kind == "fastq":
        return read_fastq(path, log)
    if kind in ("genbank", "embl"):
        return read_genbank(path, log, feature=feature, style=kind)
    raise DataError(f"{path} is a table.", expected="FASTA, FASTQ, GenBank or EMBL")
