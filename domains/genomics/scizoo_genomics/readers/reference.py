"""A reference genome with random access, by pyfaidx; its index goes into scizoo's cache."""

from __future__ import annotations

import hashlib
from pathlib import Path

from scizoo.data.opening import check_text, open_bytes, reading
from scizoo.data.records import RejectionLog
from scizoo.errors import DataError, did_you_mean
from scizoo.files import atomic_path, cache_dir
from scizoo_genomics.alphabet import normalise, reverse_complement
from scizoo_genomics.readers.fasta import EXPECTED, read_fasta
from scizoo_genomics.readers.opening import head


class Reference:
    """Sequences of a FASTA file by name and place, whatever its size.

    Only the asked-for bases are read. A gzip or bgzip file is unpacked once into scizoo's cache, since
    ordinary gzip has no random access.

    Parameters
    ----------
    path : Path
        A FASTA file: plain, gzip or bgzip.

    Raises
    ------
    DataError
        When the file is missing, not FASTA, or names a contig twice.
    """

    def __init__(self, path: Path | str):
        import pyfaidx

        self.path = Path(path)
        start = head(self.path)
        check_text(self.path, start, EXPECTED)
        if not start.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b">"):
            next(read_fasta(self.path, RejectionLog()), None)  # says what is wrong with it
        stat = self.path.stat()
        key = hashlib.sha256(f"{self.path.resolve()}|{stat.st_size}|{stat.st_mtime_ns}".encode()).hexdigest()[
            :24
        ]
        folder = cache_dir() / "genomics-reference"
        plain = self._plain(folder / f"{key}.fa")
        index = folder / f"{key}.fai"
        try:
            if not index.exists():
                with atomic_path(index) as temporary:
                    pyfaidx.Faidx(str(plain), indexname=str(temporary), build_index=True).close()
            self._faidx = pyfaidx.Faidx(
                str(plain), indexname=str(index), as_raw=True, rebuild=False, sequence_always_upper=False
            )
        except (pyfaidx.FastaIndexingError, pyfaidx.FastaNotFoundError) as error:
            raise DataError(
                f"{self.path} cannot be indexed: {error}",
                expected="FASTA whose lines have one length within each sequence",
                remedy="write it again with even lines (seqkit seq -w 60, or samtools faidx will say where).",
            ) from error
        except ValueError as error:  # pyfaidx's way to say that two contigs share a name
            raise DataError(f"{self.path}: {error}", expected="contigs with different names") from error

    def _plain(self, unpacked: Path) -> Path:
        with reading(self.path), self.path.open("rb") as raw:
            compressed = raw.read(2) == b"\x1f\x8b"
        if not compressed:
            return self.path
        if not unpacked.exists():
            with (
                atomic_path(unpacked) as temporary,
                open_bytes(self.path) as packed,
                temporary.open("wb") as out,
            ):
                while True:
                    with reading(self.path):  # a full disk on the other side is not this file's fault
                        block = packed.read(1 << 20)
                    if not block:
                        break
                    out.write(block)
        return unpacked

    @property
    def contigs(self) -> list[str]:
        """The names of its sequences, in file order."""
        return list(self._faidx.index)

    def length(self, contig: str) -> int:
        """Return the length of a contig.

        Raises
        ------
        LookupError
            When there is no such contig, with the nearest names.
        """
        try:
            return int(self._faidx.index[contig].rlen)
        except KeyError:
            hint = self._near(contig)
            raise LookupError(f"contig '{contig}' is not in {self.path.name}; {hint}") from None

    def _near(self, contig: str) -> str:
        """Suggest the naming scheme's other form (chr1 or 1) where it fits, else the nearest names."""
        other = contig.removeprefix("chr") if contig.startswith("chr") else f"chr{contig}"
        return (
            f"did you mean '{other}'?" if other in self._faidx.index else did_you_mean(contig, self.contigs)
        )

    def fetch(self, contig: str, start: int, end: int, strand: str = "+") -> str:
        """Return ``contig[start:end]`` (0-based, half-open), on the given strand.

        Raises
        ------
        LookupError
            When the contig is unknown or the interval lies outside it.
        BadSequenceError
            When the reference holds letters that are no DNA there.
        """
        length = self.length(contig)
        if not 0 <= start < end <= length:
            raise LookupError(f"{contig}:{start}-{end} lies outside the contig, which has {length} bases")
        sequence = normalise(str(self._faidx.fetch(contig, start + 1, end)).encode("utf-8"))
        return reverse_complement(sequence) if strand == "-" else sequence

    def close(self) -> None:
        """Close the file."""
        self._faidx.close()
