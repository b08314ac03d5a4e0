"""Hashed canonical k-mers of many sequences at once: the ground of homology clusters and leakage audits."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from scizoo_genomics.tokenizers.lookup import codes_of, rolling_any

_PIECE = 8_000_000  # bases at once: about half a gigabyte of intermediate arrays at most
_LONG = np.uint64(2**64 - 1)


def kmer_numbers(codes: np.ndarray, k: int) -> np.ndarray:
    """Return the canonical k-mer number at every place: the smaller of both strands' numbers.

    Parameters
    ----------
    codes : ndarray of uint8, shape (bases,)
        A=0, C=1, G=2, T=3; other codes give meaningless numbers.
    k : int
        At most 31.

    Returns
    -------
    ndarray of uint64, shape (bases - k + 1,)
    """
    if len(codes) < k:
        return np.empty(0, dtype=np.uint64)
    forward = (codes & 3).astype(np.uint64)
    reverse = np.uint64(3) - forward
    front: np.ndarray | None = None
    back: np.ndarray | None = None
    done, width, left = 0, 1, k
    while left:
        if left & 1:
            if front is None or back is None:
                front, back = forward, reverse
            else:
                size = len(codes) - done - width + 1
                front = (front[:size] << np.uint64(2 * width)) | forward[done : done + size]
                back = (reverse[done : done + size] << np.uint64(2 * done)) | back[:size]
            done += width
        left >>= 1
        if left:
            size = len(forward) - width
            forward = (forward[:size] << np.uint64(2 * width)) | forward[width : width + size]
            reverse = (reverse[width : width + size] << np.uint64(2 * width)) | reverse[:size]
            width *= 2
    assert front is not None and back is not None
    size = len(codes) - k + 1
    return np.minimum(front[:size], back[:size])


def mix(numbers: np.ndarray) -> np.ndarray:
    """Hash 64-bit numbers (the finaliser of splitmix64, Steele et al. 2014); a bijection."""
    with np.errstate(over="ignore"):
        hashed = numbers + np.uint64(0x9E3779B97F4A7C15)
        hashed ^= hashed >> np.uint64(30)
        hashed *= np.uint64(0xBF58476D1CE4E5B9)
        hashed ^= hashed >> np.uint64(27)
        hashed *= np.uint64(0x94D049BB133111EB)
        hashed ^= hashed >> np.uint64(31)
    return hashed


def hashed_kmers(sequences: Sequence[str], k: int, scale: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Hash the canonical k-mers of a batch of sequences.

    K-mers with an ambiguity code are left out. With a ``scale`` above 1 only the hashes in the lowest
    ``1/scale`` of their range are kept (FracMinHash, Irber et al. 2022): the same k-mers in every
    sequence, so shares of common k-mers stay right on average.

    Returns
    -------
    hashes : ndarray of uint64
        Repeats within a sequence are kept.
    rows : ndarray of int32
        The sequence each hash comes from, ascending.
    """
    codes, offsets = codes_of(sequences)
    numbers = kmer_numbers(codes, k)
    if not len(numbers):
        return np.empty(0, np.uint64), np.empty(0, np.int32)
    # A window that reaches into the next sequence is no k-mer of either.
    good = np.ones(len(codes), dtype=bool)
    ends = offsets[1:]
    for back in range(1, k):
        cut = ends - back
        good[cut[(cut >= 0) & (cut >= offsets[:-1])]] = False
    good = good[: len(numbers)]
    if codes.max() > 3:
        good &= ~rolling_any(codes > 3, k)
    places = np.flatnonzero(good)
    hashes = mix(numbers[places])
    if scale > 1:
        low = hashes <= _LONG // np.uint64(scale)
        hashes, places = hashes[low], places[low]
    rows = (np.searchsorted(offsets, places, side="right") - 1).astype(np.int32)
    return hashes, rows


def pieces(sequences: Sequence[str], bases: int = _PIECE) -> Iterator[tuple[int, Sequence[str]]]:
    """Cut a list of sequences into runs of about ``bases`` bases; yields the first position and the run."""
    start, size = 0, 0
    for position, sequence in enumerate(sequences):
        size += len(sequence)
        if size >= bases:
            yield start, sequences[start : position + 1]
            start, size = position + 1, 0
    if start < len(sequences):
        yield start, sequences[start:]


def signatures(sequences: Sequence[str], k: int, permutations: int = 128, most: int = 256) -> np.ndarray:
    """MinHash signatures (Broder 1997) of the canonical k-mers.

    The share of equal columns of two rows estimates the Jaccard similarity of their k-mer sets. Long
    sequences are thinned to about ``most`` k-mers first, which costs a little precision and saves most of
    the time; short ones use every k-mer.

    Returns
    -------
    ndarray of uint32, shape (sequences, permutations)
        Sequences without any k-mer (too short, or ambiguous throughout) have rows that equal no other.
    """
    lengths = np.fromiter(map(len, sequences), dtype=np.int64, count=len(sequences))
    # The shortest sequences must keep enough k-mers too: the scale is the same for all.
    typical = float(np.quantile(lengths, 0.05)) if len(lengths) else 0.0
    scale = max(1, int(typical // most))
    generator = np.random.default_rng(0)
    factors = generator.integers(1, 2**63, size=permutations, dtype=np.uint64) | np.uint64(1)
    result = np.empty((len(sequences), permutations), dtype=np.uint32)
    for first, batch in pieces(sequences):
        hashes, rows = hashed_kmers(batch, k, scale)
        present, starts = np.unique(rows, return_index=True)
        block = np.empty((len(batch), permutations), dtype=np.uint32)
        # Rows without k-mers: their own number, mixed, so that they match nothing.
        own = mix(np.arange(first, first + len(batch), dtype=np.uint64) + (np.uint64(1) << np.uint64(63)))
        with np.errstate(over="ignore"):
            for column, factor in enumerate(factors):
                block[:, column] = (own * factor) >> np.uint64(32)
                if len(hashes):
                    # Multiply and keep the high half: a cheap permutation, good enough for mixed hashes.
                    permuted = ((hashes * factor) >> np.uint64(32)).astype(np.uint32)
                    block[present, column] = np.minimum.reduceat(permuted, starts)
        result[first : first + len(batch)] = block
    return result


def bands_for(threshold: float, permutations: int, found: float = 0.99) -> int:
    """Return the widest band with which pairs at ``threshold`` still meet with probability ``found``."""
    best = 1
    for width in range(1, permutations + 1):
        if 1 - (1 - threshold**width) ** (permutations // width) >= found:
            best = width
    return best


def band_keys(signature: np.ndarray, width: int) -> Iterator[np.ndarray]:
    """Yield, band by band, one number a sequence; equal numbers mean equal bands."""
    for start in range(0, signature.shape[1] - width + 1, width):
        key = np.zeros(len(signature), dtype=np.uint64)
        for column in range(start, start + width):
            key = mix(key ^ signature[:, column].astype(np.uint64))
        yield key
