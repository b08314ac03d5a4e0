"""The nucleic-acid alphabet: what a sequence may hold, and its reverse complement."""

from __future__ import annotations

from collections.abc import Sequence

#: Bases and the IUPAC ambiguity codes, each with the set of bases it stands for as bits (A=1, C=2, G=4, T=8).
IUPAC: dict[str, int] = {
    "A": 1,
    "C": 2,
    "G": 4,
    "T": 8,
    "R": 5,
    "Y": 10,
    "S": 6,
    "W": 9,
    "K": 12,
    "M": 3,
    "B": 14,
    "D": 13,
    "H": 11,
    "V": 7,
    "N": 15,
}
LETTERS = "".join(IUPAC)
_COMPLEMENT = str.maketrans(LETTERS + LETTERS.lower() + "Uu", "TGCAYRSWMKVHDBN" + "tgcayrswmkvhdbn" + "Aa")
_COMPLEMENT_BYTES = bytes.maketrans(
    (LETTERS + LETTERS.lower() + "Uu").encode(), b"TGCAYRSWMKVHDBN" + b"tgcayrswmkvhdbn" + b"Aa"
)

#: Upper case, and RNA's U written as T.
_TO_DNA = bytes.maketrans(b"abcdefghijklmnopqrstuvwxyzU", b"ABCDEFGHIJKLMNOPQRSTTVWXYZT")
_BLANKS = b" \t\r\n\v\f"
_ALLOWED = LETTERS.encode()
_NOT_PLAIN = b"ACGTN"
_AMINO_ONLY = frozenset("EFILPQZXJO*")


class BadSequenceError(ValueError):
    """A sequence that is not DNA or RNA; the message says why.

    Parameters
    ----------
    reason : str
        What is wrong with it.
    protein : bool
        Whether it looks like a protein.
    """

    def __init__(self, reason: str, *, protein: bool = False):
        super().__init__(reason)
        self.protein = protein


def normalise(raw: bytes) -> str:
    """Clean one sequence: blanks out, upper case, U to T, ambiguity codes kept.

    Parameters
    ----------
    raw : bytes
        The sequence as it stands in the file, lines and all.

    Returns
    -------
    str
        Upper-case letters of :data:`LETTERS`.

    Raises
    ------
    BadSequenceError
        When the sequence is empty, holds another letter, or looks like a protein.
    """
    sequence = raw.translate(_TO_DNA, _BLANKS)
    if not sequence:
        raise BadSequenceError("the sequence is empty")
    if sequence.translate(None, _ALLOWED):
        raise _explain(sequence)
    # M, K, V, S, ... are ambiguity codes and amino acids alike: a text mostly made of them is a protein.
    ambiguous = len(sequence.translate(None, _NOT_PLAIN))
    if ambiguous and len(sequence) >= 8 and ambiguous > len(sequence) / 2:
        raise BadSequenceError(
            "more than half of its letters are ambiguity codes: it looks like a protein; DNA or RNA is read",
            protein=True,
        )
    return sequence.decode("ascii")


def _explain(sequence: bytes) -> BadSequenceError:
    wrong = sorted(set(sequence.translate(None, _ALLOWED).decode("latin-1")))
    shown = ", ".join(repr(letter) for letter in wrong[:6]) + (", ..." if len(wrong) > 6 else "")
    amino = [letter for letter in wrong if letter in _AMINO_ONLY]
    if amino and set(wrong) <= _AMINO_ONLY:
        return BadSequenceError(
            f"holds {shown}, which are amino acids: it looks like a protein; DNA or RNA is needed",
            protein=True,
        )
    if set(wrong) <= {"-", "."}:
        return BadSequenceError("holds gaps ('-' or '.'): it comes from an alignment; remove the gaps")
    return BadSequenceError(f"holds {shown}; only A, C, G, T, U and the IUPAC ambiguity codes are read")


def masked_share(raw: bytes) -> float:
    """Return the share of bases that are soft-masked (lower case), between 0 and 1."""
    letters = raw.translate(None, _BLANKS)
    lower = len(letters) - len(letters.translate(None, b"abcdefghijklmnopqrstuvwxyz"))
    return lower / len(letters) if letters else 0.0


def reverse_complement(sequence: str) -> str:
    """Return the other strand, read 5' to 3'; ambiguity codes are complemented too."""
    return sequence.translate(_COMPLEMENT)[::-1]


def reverse_complements(sequences: Sequence[str]) -> list[str]:
    """Return the reverse complement of many sequences.

    The whole batch is complemented in one table look-up and cut apart again: reversing the joined
    text reverses the order of the sequences too, so the cuts are counted from the end.
    """
    joined = "".join(sequences).encode("ascii").translate(_COMPLEMENT_BYTES)[::-1].decode("ascii")
    result, end = [], len(joined)
    for sequence in sequences:
        result.append(joined[end - len(sequence) : end])
        end -= len(sequence)
    return result
