"""Greengenes 13_8, as the package qiime-default-reference ships it; read in place, not imported."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from scizoo.data.records import Licence, RejectionLog
from scizoo.data.sources import resolve
from scizoo.data.splits import hash_part
from scizoo.errors import DataError
from scizoo_genomics.alphabet import BadSequenceError, normalise
from scizoo_genomics.readers.entry import Entry
from scizoo_genomics.readers.fasta import raw_records
from scizoo_genomics.readers.opening import lines

SEQUENCES = "package:qiime_default_reference!gg_13_8_otus/rep_set/97_otus.fasta"
TAXONOMY = "package:qiime_default_reference!gg_13_8_otus/taxonomy/97_otu_taxonomy.txt"
LICENCE = Licence("CC-BY-SA-3.0")
CITATION = (
    "McDonald et al. (2012) An improved Greengenes taxonomy with explicit ranks for ecological "
    "and evolutionary analyses of bacteria and archaea. ISME J 6:610-618 (Greengenes 13_8, 97% OTUs)"
)
RANKS = ("domain", "phylum", "class", "order", "family", "genus", "species")


def read_taxonomy(path: Path | None = None) -> dict[str, dict[str, str]]:
    """Read the lineage of every sequence; ranks without a name are absent.

    Returns
    -------
    dict of id to dict of rank to name
    """
    path = path or resolve(TAXONOMY)
    lineages: dict[str, dict[str, str]] = {}
    for number, line in lines(path, "a taxonomy: id, a tab, then k__...; p__...; and so on"):
        id, tab, text = line.partition("\t")
        if not tab:
            raise DataError(f"{path}, line {number}: {line[:40]!r} is no lineage.")
        names = [part.partition("__")[2].strip() for part in text.split("; ")]
        lineages[id] = {rank: name for rank, name in zip(RANKS, names) if name}
    return lineages


def read_16s(log: RejectionLog, wanted: set[str] | None = None, path: Path | None = None) -> Iterator[Entry]:
    """Read the sequences; of others than ``wanted`` only the name is looked at."""
    path = path or resolve(SEQUENCES)
    for number, (header, body) in enumerate(raw_records(path), start=1):
        id = header.split(None, 1)[0].decode("ascii", errors="replace") if header.strip() else ""
        if wanted is not None and id not in wanted:
            continue
        source = f"{path.name}, record {number}"
        try:
            yield Entry(id, normalise(body), "", {}, source)
        except BadSequenceError as error:
            log.reject(source, id, str(error))


def is_organelle(lineage: dict[str, str]) -> bool:
    """Whether a lineage is a chloroplast's or a mitochondrion's rather than a bacterium's."""
    return lineage.get("class") == "Chloroplast" or lineage.get("family") == "mitochondria"


def is_held_out(genus: str | None, share: float, seed: int) -> bool:
    """Whether a genus belongs to the fixed test genera.

    The decision depends on the name alone, so that a pre-training corpus and a task that use the same
    share and seed agree on it without knowing of each other.
    """
    return bool(genus) and share > 0 and hash_part(str(genus), (1 - share, 0.0, share), seed) == "test"
