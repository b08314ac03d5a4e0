"""A streaming FASTA reader: lazy, a record at a time, whole blocks searched and cleaned at C speed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from scizoo.data.records import RejectionLog
from scizoo.errors import DataError
from scizoo_genomics.alphabet import BadSequenceError, masked_share, normalise
from scizoo_genomics.readers.entry import Entry
from scizoo_genomics.readers.opening import blocks

EXPECTED = "FASTA: a line that starts with '>' and a name, then lines of sequence"
_KEY_VALUE = re.compile(r"(?:^|[\s|;])([A-Za-z_][\w.]*)=(\"[^\"]*\"|[^\s|;]+)")


def raw_records(path: Path) -> Iterator[tuple[bytes, bytes]]:
    """Yield header (without ``>``) and body of each record as they stand in the file.

    Raises
    ------
    DataError
        When the file is not FASTA.
    """
    buffer = bytearray()
    started = False
    for block in blocks(path, EXPECTED):
        searched = max(0, len(buffer) - 1)
        buffer += block
        if not started:
            started = _check_start(path, buffer)
            if not started:
                continue
            searched = 0
        last = buffer.rfind(b"\n>", searched)
        if last < 0:
            continue
        complete = bytes(buffer[: last + 1])
        del buffer[: last + 1]
        yield from map(_split, complete[1:].split(b"\n>"))
    if not started:
        raise DataError(f"{path} holds no record.", expected=EXPECTED)
    yield _split(bytes(buffer[1:]))


def _check_start(path: Path, buffer: bytearray) -> bool:
    """Drop blank and ';' comment lines before the first record; False when none has come yet."""
    while buffer[:1] and buffer[:1] in b"\r\n \t;":
        line_end = buffer.find(b"\n")
        if buffer[:1] != b";" and not bytes(buffer[: line_end if line_end >= 0 else None]).strip():
            pass
        elif buffer[:1] != b";":
            break
        if line_end < 0:
            buffer.clear()
            return False
        del buffer[: line_end + 1]
    if not buffer:
        return False
    if buffer[:1] != b">":
        line = bytes(buffer).split(b"\n", 1)[0].strip()[:40].decode("utf-8", errors="replace")
        raise DataError(f"{path} is not FASTA: it starts with {line!r}.", expected=EXPECTED)
    return True


def _split(record: bytes) -> tuple[bytes, bytes]:
    header, _, body = record.partition(b"\n")
    if b";" in body:  # comment lines, allowed by the original format
        body = b"\n".join(line for line in body.split(b"\n") if not line.startswith(b";"))
    return header, body


def header_fields(description: str) -> dict[str, str]:
    """Return the ``key=value`` words of a header, e.g. ``organism="E. coli" label=promoter``."""
    return {key: value.strip('"') for key, value in _KEY_VALUE.findall(description)}


def read_fasta(path: Path, log: RejectionLog, *, keep_mask: bool = False) -> Iterator[Entry]:
    """Read a FASTA file (plain, gzip or bgzip) lazily.

    Parameters
    ----------
    path : Path
    log : RejectionLog
        Where records that are not DNA or RNA are told.
    keep_mask : bool
        Whether to note the soft-masked share of each sequence in ``fields["soft_masked"]``.

    Yields
    ------
    Entry
        With the ``key=value`` words of its header as fields.

    Raises
    ------
    DataError
        When the file is missing, empty, binary, damaged or not FASTA.
    """
    name = path.name
    for number, (header, body) in enumerate(raw_records(path), start=1):
        title = header.decode("utf-8", errors="replace").strip()
        id, _, description = title.partition(" ")
        source = f"{name}, record {number}"
        if not id:
            log.reject(source, "", "the header names no sequence")
            continue
        try:
            sequence = normalise(body)
        except BadSequenceError as error:
            log.reject(source, id, str(error))
            continue
        fields: dict[str, object] = {}
        if "=" in title:
            fields.update(header_fields(title))
        if keep_mask:
            fields["soft_masked"] = masked_share(body)
        yield Entry(id, sequence, description, fields, source)
