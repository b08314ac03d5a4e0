"""In-silico PCR: what a pair of degenerate primers would amplify."""

from __future__ import annotations

import re

import numpy as np

from scizoo_genomics.alphabet import IUPAC, reverse_complement

#: Primer pairs (forward, reverse), both 5' to 3'.
PRIMERS = {
    # Earth Microbiome Project: Parada et al. 2016 (515F), Apprill et al. 2015 (806R).
    "V4": ("GTGYCAGCMGCCGCGGTAA", "GGACTACNVGGGTWTCTAAT"),
    # Klindworth et al. 2013, as used by Illumina.
    "V3-V4": ("CCTACGGGNGGCWGCAG", "GACTACHVGGGTATCTAATCC"),
}
_MASKS = np.zeros(256, dtype=np.uint8)
for _letter, _bits in IUPAC.items():
    _MASKS[ord(_letter)] = _bits


class Primer:
    """A degenerate primer that is looked for on the forward strand.

    Parameters
    ----------
    sequence : str
        Upper-case IUPAC codes, 5' to 3' on the strand searched.
    max_mismatches : int
        Bases that may differ. An ambiguous base of the searched sequence matches only where the primer
        allows everything that it may stand for.
    """

    def __init__(self, sequence: str, max_mismatches: int = 2):
        self._length, self._most = len(sequence), max_mismatches
        self._masks = _MASKS[np.frombuffer(sequence.encode("ascii"), dtype=np.uint8)]
        if not self._masks.all():
            raise ValueError(f"{sequence!r} is not a primer")
        letters = ["".join(base for base in "ACGT" if IUPAC[base] & IUPAC[code]) for code in sequence]
        self._exact = re.compile("".join(f"[{group}]" for group in letters))

    def find(self, sequence: str, start: int = 0) -> tuple[int, int] | None:
        """Return where the primer fits best from ``start`` on (half-open), or None."""
        match = self._exact.search(sequence, start)  # nearly always enough, and a hundred times faster
        if match:
            return match.span()
        if not self._most:
            return None
        masks = _MASKS[np.frombuffer(sequence.encode("ascii"), dtype=np.uint8)][start:]
        if len(masks) < self._length:
            return None
        windows = np.lib.stride_tricks.sliding_window_view(masks, self._length)
        mismatches = ((windows & ~self._masks) != 0).sum(axis=1)
        best = int(mismatches.argmin())
        return (start + best, start + best + self._length) if mismatches[best] <= self._most else None


def amplicon(sequence: str, forward: Primer, reverse: Primer) -> str | None:
    """Return what lies between the primers, without them; None when one does not fit.

    Parameters
    ----------
    sequence : str
        Upper-case DNA, in the forward primer's direction.
    forward : Primer
    reverse : Primer
        The reverse complement of the reverse primer, as :func:`primer_pair` makes it.
    """
    left = forward.find(sequence)
    if left is None:
        return None
    right = reverse.find(sequence, left[1])
    return sequence[left[1] : right[0]] if right and right[0] > left[1] else None


def primer_pair(forward: str, reverse: str, max_mismatches: int = 2) -> tuple[Primer, Primer]:
    """Return two primers to look for on the forward strand."""
    return Primer(forward, max_mismatches), Primer(reverse_complement(reverse), max_mismatches)
