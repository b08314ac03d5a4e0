"""How alike pictures are, for splits and for the leakage audit: equal pixels, and a perceptual hash."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from scizoo.data.records import Record
from scizoo.errors import ConfigError
from scizoo.evaluation.similarity import equal_pairs
from scizoo_radiology.coerce import picture
from scizoo_radiology.images import RadiologyImage, Volume
from scizoo_radiology.resample import resize

_SIDE = 64  # pixels of the picture that the cosine transform is made of
_BITS = 16  # lowest frequencies along each side that are hashed
_SMALL = 16  # pixels of the pictures that are then correlated; more would count noise
_BLOCK = 1024  # pictures compared at once
_CANDIDATES = 8  # the likeliest partners of a picture, which are then correlated


def pixels_key(value: Any) -> bytes:
    """Name a picture or volume by its pixels alone, whatever file they came in."""
    pixels = picture(value).pixels
    digest = hashlib.blake2b(repr(pixels.shape).encode(), digest_size=8)
    digest.update(np.ascontiguousarray(pixels, dtype=np.float32).tobytes())
    return digest.digest()


def _plane(value: RadiologyImage | Volume) -> np.ndarray:
    """Return one picture; of a volume the middle slice in which it was acquired."""
    if isinstance(value, Volume):
        stack = value.stack(value.acquired or "axial")
        return np.nan_to_num(stack[len(stack) // 2].astype(np.float32))
    return np.nan_to_num(value.values)


def perceptual_hash(plane: np.ndarray) -> np.ndarray:
    """Return the perceptual hash of a picture: the signs of its low frequencies against their median.

    The picture is brought to 64 x 64 pixels and cosine-transformed; of the 16 x 16 lowest frequencies those
    above the median give a one (Zauner 2010, "Implementation and Benchmarking of Perceptual Image Hash
    Functions", with 16 x 16 in place of 8 x 8: pictures of the same body region share the lowest ones). A
    change of brightness, contrast, size or compression hardly changes it.

    Parameters
    ----------
    plane : ndarray of float32, shape (rows, columns)

    Returns
    -------
    ndarray of bool, shape (255,)
        Without the mean, which tells nothing.
    """
    from scipy.fft import dctn

    low = dctn(resize(plane, (_SIDE, _SIDE)), norm="ortho")[:_BITS, :_BITS].ravel()[1:]
    return np.asarray(low > np.median(low))


class PictureSimilarity:
    """Same pictures, found in two ways.

    Exact duplicates have equal pixels. Near duplicates have perceptual hashes that differ in few bits, and
    correlate when both are brought to 16 x 16 pixels: copies at another size, window or compression. Two
    patients' radiographs are alike, but not that alike: between training and test part of PneumoniaMNIST
    (28 x 28 pixels) no pair comes under these limits.

    Parameters
    ----------
    bits : float
        The share of the hash's 255 bits in which near copies differ at most.
    correlation : float
        Of near copies, at least.

    Raises
    ------
    ConfigError
        When a setting has no meaning.
    """

    finds_near = True

    def __init__(self, bits: float = 0.06, correlation: float = 0.97):
        if not 0 <= bits < 0.5 or not 0 < correlation <= 1:
            raise ConfigError(
                f"audit: bits={bits}, correlation={correlation}",
                expected="bits from 0 to below 0.5, correlation above 0, at most 1",
            )
        self.bits, self.correlation = bits, correlation

    def settings(self) -> dict[str, Any]:
        """Return the plain settings that build it again; a sketch is only good with the same ones."""
        return {"bits": self.bits, "correlation": self.correlation}

    def exact_duplicates(
        self, records_a: Sequence[Record], records_b: Sequence[Record]
    ) -> list[tuple[int, int]]:
        """Return every pair ``(i, j)`` of equal pixels."""
        return equal_pairs([pixels_key(r.input) for r in records_a], [pixels_key(r.input) for r in records_b])

    def near_duplicates(
        self, records_a: Sequence[Record], records_b: Sequence[Record]
    ) -> list[tuple[int, int, float]]:
        """Find for each record of ``b`` the likest of ``a``, where it is too like; says the correlation."""
        best: dict[int, tuple[float, int]] = {}
        for i, j, score in self._alike(records_a, records_b):
            if j not in best or score > best[j][0]:
                best[j] = (score, i)
        return [(i, j, score) for j, (score, i) in sorted(best.items())]

    def near_pairs(self, records: Sequence[Record]) -> list[tuple[int, int]]:
        """Return pairs of records of one set that are near copies, by position."""
        return [(i, j) for i, j, _ in self._alike(records, records)]

    def _alike(self, a: Sequence[Record], b: Sequence[Record]) -> Iterable[tuple[int, int, float]]:
        if not len(a) or not len(b):
            return
        there = _Looks(a)
        here = there if b is a else _Looks(b)
        most = self.bits * there.signs.shape[1]
        for start in range(0, len(b), _BLOCK):
            mine = slice(start, start + _BLOCK)
            differ = (there.signs.shape[1] - here.signs[mine] @ there.signs.T) / 2
            if b is a:
                own = np.arange(len(differ))
                differ[own, own + start] = np.inf
            kept = np.argpartition(differ, min(_CANDIDATES, len(a)) - 1, axis=1)[:, :_CANDIDATES]
            for row, places in enumerate(kept):
                for place in places[differ[row, places] <= most]:
                    score = float(here.small[start + row] @ there.small[place])
                    flat = not here.small[start + row].any() or not there.small[place].any()
                    if score >= self.correlation and not flat:
                        yield int(place), start + row, min(score, 1.0)

    def sketch(self, records: Iterable[Record]) -> np.ndarray:
        """Return sorted uint64 that stand for the pixels of a corpus, picture by picture."""
        found = np.fromiter((_number(record) for record in records), dtype=np.uint64)
        return np.unique(found)

    def overlap(self, sketch: np.ndarray, records: Sequence[Record]) -> np.ndarray:
        """Return 1 for each record whose pixels the corpus holds, else 0."""
        mine = np.fromiter((_number(record) for record in records), dtype=np.uint64, count=len(records))
        return np.isin(mine, sketch).astype(np.float64)


class _Looks:
    """Hashes as signs (records, 255), and small pictures as unit vectors (records, 256)."""

    def __init__(self, records: Sequence[Record]):
        signs, small = [], []
        for record in records:
            plane = _plane(picture(record.input))
            signs.append(np.where(perceptual_hash(plane), 1.0, -1.0))
            flat = resize(plane, (_SMALL, _SMALL)).ravel().astype(np.float64)
            flat -= flat.mean()
            length = np.linalg.norm(flat)
            small.append(flat / length if length > 1e-6 else np.zeros_like(flat))
        self.signs = np.array(signs, dtype=np.float32)
        self.small = np.array(small)


def _number(record: Record) -> int:
    return int.from_bytes(pixels_key(record.input), "big")
