"""GenBank and EMBL flat files by Biopython: whole records, or one entry a feature."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from scizoo.data.opening import check_text, open_bytes, reading
from scizoo.data.records import RejectionLog
from scizoo.errors import DataError
from scizoo_genomics.alphabet import BadSequenceError, normalise
from scizoo_genomics.readers.entry import Entry
from scizoo_genomics.readers.opening import head

EXPECTED = "a GenBank flat file: records from LOCUS to //"


def read_genbank(
    path: Path, log: RejectionLog, *, feature: str = "record", style: str = "genbank"
) -> Iterator[Entry]:
    """Read a GenBank (or EMBL) file, plain, gzip or bgzip.

    Parameters
    ----------
    path : Path
    log : RejectionLog
        Where records and features without a usable sequence are told.
    feature : str
        ``"record"`` for whole records, else a feature key such as ``"CDS"`` or ``"gene"``: one entry a
        feature, spliced and on its own strand.
    style : {"genbank", "embl"}

    Yields
    ------
    Entry
        With qualifiers and annotations (``organism``, ``product``, ``gene``, ...) as fields; features also
        have ``contig``, ``start``, ``end`` (0-based, half-open) and ``strand``.

    Raises
    ------
    DataError
        When the file is not GenBank, is damaged, or holds no such feature.
    """
    from Bio import BiopythonWarning, SeqIO
    from Bio.Seq import UndefinedSequenceError

    check_text(path, head(path), EXPECTED)
    seen: set[str] = set()
    found = False
    with reading(path), io.TextIOWrapper(open_bytes(path), encoding="utf-8", errors="replace") as handle:
        parser = SeqIO.parse(handle, style)
        number = 0
        while True:
            try:
                with warnings.catch_warnings():
                    # Malformed locus lines and the like: harmless for the sequence, noise for the user.
                    warnings.simplefilter("ignore", BiopythonWarning)
                    record = next(parser, None)
            except (ValueError, AssertionError, IndexError) as error:
                raise DataError(f"{path}, record {number + 1}: {error}", expected=EXPECTED) from error
            if record is None:
                break
            number += 1
            source = f"{path.name}, record {number}"
            common = {
                key: value
                for key, value in record.annotations.items()
                if isinstance(value, (str, int, float))
            }
            try:
                whole = bytes(record.seq)
            except UndefinedSequenceError:
                log.reject(source, record.id, "the record holds no sequence (only CONTIG or features)")
                found = True
                continue
            if feature == "record":
                found = True
                yield from _clean(record.id, whole, record.description, common, source, log)
                continue
            for part in record.features:
                if part.type != feature:
                    continue
                found = True
                fields = {**common, **_qualifiers(part), "contig": record.id}
                fields |= {
                    "start": int(part.location.start),
                    "end": int(part.location.end),
                    "strand": {1: "+", -1: "-"}.get(part.location.strand, "."),
                }
                id = _feature_id(part, fields, seen)
                where = f"{source}, {feature} {fields['start']}..{fields['end']}({fields['strand']})"
                if fields["start"] < 0 or fields["end"] > len(whole):
                    log.reject(where, id, f"lies outside its record of {len(whole)} bases")
                    continue
                try:
                    extracted = bytes(part.extract(record.seq))
                except (ValueError, KeyError) as error:
                    log.reject(where, id, f"its location cannot be read: {error}")
                    continue
                yield from _clean(id, extracted, str(fields.get("product", "")), fields, where, log)
    if not number:
        raise DataError(f"{path} holds no record.", expected=EXPECTED)
    if not found:
        raise DataError(
            f"{path} holds no feature of type '{feature}'.",
            remedy="choose data.feature=record, or a feature key that the file has (CDS, gene, rRNA, ...).",
        )


def _clean(
    id: str, raw: bytes, description: str, fields: dict[str, Any], source: str, log: RejectionLog
) -> Iterator[Entry]:
    try:
        yield Entry(id, normalise(raw), description, fields, source)
    except BadSequenceError as error:
        log.reject(source, id, str(error))


def _qualifiers(part: Any) -> dict[str, str]:
    return {
        key: "; ".join(map(str, values)) for key, values in part.qualifiers.items() if key != "translation"
    }


def _feature_id(part: Any, fields: dict[str, Any], seen: set[str]) -> str:
    """Name a feature by what biologists call it, made unique by its place (isoforms share a locus tag)."""
    place = f"{fields['contig']}:{fields['start']}-{fields['end']}({fields['strand']})"
    named = fields.get("protein_id") or fields.get("locus_tag") or fields.get("gene")
    id = str(named) if named and named not in seen else f"{named}@{place}" if named else place
    seen.add(id)
    return id
