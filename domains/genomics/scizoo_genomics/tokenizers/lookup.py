"""Table look-ups on joined bytes: the shared ground of the nucleotide, k-mer and codon tokenizers."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Any

import numpy as np

from scizoo.data.ragged import Ragged
from scizoo.data.tokenizer import TokenTokenizer
from scizoo.data.units import add_up, deal_out
from scizoo.errors import DataError
from scizoo_genomics.alphabet import LETTERS

_BAD = 255
#: Byte to code: A, C, G, T are 0 to 3, ambiguity codes 4 to 14, anything else 255; case is ignored, U is T.
CODES = np.full(256, _BAD, dtype=np.uint8)
for _code, _letter in enumerate("ACGT" + "".join(letter for letter in LETTERS if letter not in "ACGT")):
    CODES[[ord(_letter), ord(_letter.lower())]] = _code
CODES[[ord("U"), ord("u")]] = 3
#: The letter of each code.
ALPHABET = "ACGT" + "".join(letter for letter in LETTERS if letter not in "ACGT")
_LETTER_BYTES = np.frombuffer(ALPHABET.encode(), dtype=np.uint8)
_TRANSLATE = CODES.tobytes()


def codes_of(inputs: Sequence[Any]) -> tuple[np.ndarray, np.ndarray]:
    """Join sequences and look every base up.

    Parameters
    ----------
    inputs : sequence of str

    Returns
    -------
    codes : ndarray of uint8, shape (bases,)
    offsets : ndarray of int64, shape (sequences + 1,)

    Raises
    ------
    DataError
        When an input is no text or holds a letter that is not DNA or RNA; names its position.
    """
    for position, sequence in enumerate(inputs):
        if not isinstance(sequence, str):
            raise DataError(
                f"Input {position} is {type(sequence).__name__}, not a sequence.",
                expected="a string of bases",
            )
    offsets = np.zeros(len(inputs) + 1, dtype=np.int64)
    np.cumsum(np.fromiter(map(len, inputs), dtype=np.int64, count=len(inputs)), out=offsets[1:])
    joined = "".join(inputs)
    if joined.isascii():
        codes = np.frombuffer(joined.encode("ascii").translate(_TRANSLATE), dtype=np.uint8)
        if not len(codes) or codes.max() != _BAD:
            return codes, offsets
        first = int(np.argmax(codes == _BAD))
    else:
        first = next(place for place, letter in enumerate(joined) if not letter.isascii())
    which = int(np.searchsorted(offsets, first, side="right")) - 1
    raise DataError(
        f"Input {which} holds {joined[first]!r} at base {first - int(offsets[which]) + 1}.",
        expected="A, C, G, T, U and the IUPAC ambiguity codes",
        remedy="mend or leave out this sequence; a protein needs another model.",
    )


class LookupTokenizer(TokenTokenizer):
    """Cuts a sequence into windows of ``k`` bases every ``stride`` bases and looks each one up.

    Ids are the special tokens, then the 15 letters (A, C, G, T, then the ambiguity codes), then the
    ``4**k`` k-mers in alphabetical order. The ``lead`` bases before the first window and the bases
    left over after the last become one token a letter, so that nothing is lost. A window that holds an
    ambiguity code is ``[UNK]``. All windows of all sequences are computed at once.

    Parameters
    ----------
    k : int
        Bases a token.
    stride : int
        Bases from one token to the next; at most ``k``.
    lead : int
        Bases before the first window.
    """

    def __init__(self, k: int, stride: int, lead: int = 0):
        self._k, self._stride, self._lead = k, stride, lead
        self._first = len(self.SPECIAL) + len(ALPHABET)

    @property
    def vocab(self) -> Sequence[str]:
        """Special tokens, single letters, then k-mers (spelled when asked for, never kept)."""
        return KmerVocabulary((*self.SPECIAL, *ALPHABET), self._k)

    @property
    def vocab_size(self) -> int:
        """How many ids there are."""
        return self._first + 4**self._k

    def encode(self, inputs: Sequence[Any]) -> dict[str, Ragged]:
        """Encode sequences.

        Parameters
        ----------
        inputs : sequence of str
            DNA or RNA in either case.

        Returns
        -------
        dict
            ``input_ids``, int32, one row a sequence.

        Raises
        ------
        DataError
            When an input holds a letter that is neither DNA nor RNA.
        """
        codes, offsets = codes_of(inputs)
        k, stride = self._k, self._stride
        lengths = np.diff(offsets)
        lead = np.minimum(lengths, self._lead)
        windows = np.maximum((lengths - lead - k) // stride + 1, 0)
        # Bases after the last window; a sequence shorter than one window is all remainder.
        rest = np.where(windows > 0, lengths - lead - ((windows - 1) * stride + k), lengths - lead)
        counts = lead + windows + rest
        starts = np.zeros(len(inputs) + 1, dtype=np.int64)
        np.cumsum(counts, out=starts[1:])
        kmers = self._kmer_ids(codes, offsets[:-1] + lead, windows)
        if not (lead.any() or rest.any()):
            return {"input_ids": Ragged(kmers, starts)}
        ids = np.empty(starts[-1], dtype=np.int32)
        ids[_ranges(starts[:-1] + lead, windows)] = kmers
        for begin, place, count in (
            (starts[:-1], offsets[:-1], lead),
            (starts[:-1] + lead + windows, offsets[1:] - rest, rest),
        ):
            ids[_ranges(begin, count)] = codes[_ranges(place, count)].astype(np.int32) + len(self.SPECIAL)
        return {"input_ids": Ragged(ids, starts)}

    def _kmer_ids(self, codes: np.ndarray, begins: np.ndarray, windows: np.ndarray) -> np.ndarray:
        """Look up the windows of every sequence; those with an ambiguity code are [UNK]."""
        k, stride = self._k, self._stride
        ambiguous = bool(len(codes)) and codes.max() > 3
        if stride == 1:
            # Every place of the joined text at once; the few windows that reach over a cut are left out.
            index = rolling(codes, k)
            bad = rolling_any(codes > 3, k) if ambiguous else None
            if len(windows) != 1:
                keep = _covered(begins, windows, len(index))
                index = index[keep]
                bad = bad[keep] if bad is not None else None
            else:
                piece = slice(int(begins[0]), int(begins[0] + windows[0]))
                index, bad = index[piece], bad[piece] if bad is not None else None
        else:
            places = _ranges(begins, windows, stride)
            index = np.zeros(len(places), dtype=np.int32)
            bad = np.zeros(len(places), dtype=bool) if ambiguous else None
            for step in range(k):
                base = codes[places + step] if step else codes[places]
                index *= 4
                index += base & 3
                if bad is not None:
                    bad |= base > 3
        index += self._first
        if bad is not None:
            index[bad] = self.unk_id
        return index

    def decode(self, ids: Sequence[int]) -> str:
        """Spell a row of ids out again.

        Exact for sequences of A, C, G and T. Bases under an ``[UNK]`` window that no other window
        covers come back as N.
        """
        row = np.asarray(ids, dtype=np.int64)
        row = row[(row == self.unk_id) | (row >= len(self.SPECIAL))]
        is_single = (row >= len(self.SPECIAL)) & (row < self._first)
        windows = np.flatnonzero(~is_single)
        if not len(windows):
            return _spell(row - len(self.SPECIAL))
        first, last = windows[0], windows[-1]
        size = (len(windows) - 1) * self._stride + self._k
        middle = np.full(size, ALPHABET.index("N"), dtype=np.int64)
        known = row[windows] >= self._first
        index = row[windows][known] - self._first
        places = np.arange(len(windows))[known] * self._stride
        for step in range(self._k):
            middle[places + step] = index >> (2 * (self._k - 1 - step)) & 3
        before, after = row[:first] - len(self.SPECIAL), row[last + 1 :] - len(self.SPECIAL)
        return _spell(before) + _spell(middle) + _spell(after)

    def attribute(self, input: Any, scores: np.ndarray) -> np.ndarray:
        """Share the score of each token among its bases, and add up where tokens overlap."""
        size, k, stride = len(input), self._k, self._stride
        lead = min(size, self._lead)
        windows = max((size - lead - k) // stride + 1, 0)
        rest = size - lead - ((windows - 1) * stride + k) if windows else size - lead
        starts = np.concatenate(
            [np.arange(lead), lead + stride * np.arange(windows), size - rest + np.arange(rest)]
        )
        widths = np.repeat([1, k, 1], [lead, windows, rest])
        # A stop at the end may have been left out.
        starts, widths = starts[: len(scores)], widths[: len(scores)]
        return add_up(_ranges(starts, widths), deal_out(scores, widths), size)

    def fingerprint(self) -> str:
        """Return a digest of the class and its settings."""
        text = json.dumps([type(self).__qualname__, 1, self.settings()], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()


class KmerVocabulary(Sequence[str]):
    """Tokens by id, the k-mers spelled on demand: a vocabulary of 4**k strings is never held in memory."""

    def __init__(self, fixed: tuple[str, ...], k: int):
        self._fixed, self._k = fixed, k

    def __len__(self) -> int:
        return len(self._fixed) + 4**self._k

    def __getitem__(self, id: int) -> str:  # type: ignore[override]
        if isinstance(id, slice):
            return [self[i] for i in range(*id.indices(len(self)))]  # type: ignore[return-value]
        if id < 0:
            id += len(self)
        if id < len(self._fixed):
            if id < 0:
                raise IndexError(id)
            return self._fixed[id]
        index = id - len(self._fixed)
        if index >= 4**self._k:
            raise IndexError(id)
        return "".join("ACGT"[index >> (2 * (self._k - 1 - step)) & 3] for step in range(self._k))


def rolling(codes: np.ndarray, k: int) -> np.ndarray:
    """Return the k-mer number at every place, as int32, by doubling: log2(k) passes instead of k.

    Codes above 3 give meaningless numbers; see :func:`rolling_any`.
    """
    if len(codes) < k:
        return np.empty(0, dtype=np.int32)
    power, width = (codes & 3).astype(np.int32), 1
    result: np.ndarray | None = None
    done, left = 0, k
    while left:
        if left & 1:
            if result is None:
                result = power.copy()
            else:
                size = len(codes) - done - width + 1
                result = (result[:size] << (2 * width)) + power[done : done + size]
            done += width
        left >>= 1
        if left:
            size = len(power) - width
            power = (power[:size] << (2 * width)) + power[width : width + size]
            width *= 2
    assert result is not None
    return result[: len(codes) - k + 1]


def rolling_any(flags: np.ndarray, k: int) -> np.ndarray:
    """Whether any of the ``k`` flags from each place on is set."""
    total = np.zeros(len(flags) + 1, dtype=np.int32)
    np.cumsum(flags, out=total[1:])
    return total[k:] > total[: len(total) - k]


def _covered(begins: np.ndarray, counts: np.ndarray, size: int) -> np.ndarray:
    """Mark the places that begin a window of some sequence."""
    edges = np.zeros(size + 1, dtype=np.int8)
    some = counts > 0
    # Two sequences may touch (k = 1): their edges cancel, which is right.
    np.add.at(edges, begins[some], 1)
    np.add.at(edges, begins[some] + counts[some], -1)
    return np.cumsum(edges[:-1], dtype=np.int8).view(bool)


def _ranges(begins: np.ndarray, counts: np.ndarray, stride: int = 1) -> np.ndarray:
    """Join ``begin + stride * arange(count)`` of every row."""
    total = int(counts.sum())
    ends = np.cumsum(counts)
    places = np.arange(total, dtype=np.int64)
    if stride != 1:
        places *= stride
    places += np.repeat(begins - stride * (ends - counts), counts)
    return places


def _spell(codes: np.ndarray) -> str:
    return _LETTER_BYTES[codes].tobytes().decode("ascii")
