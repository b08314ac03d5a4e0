"""How alike observations are, for the leakage audit: identifiers, places on the sky, copies, near copies."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from scizoo.data.records import Record
from scizoo.errors import ConfigError
from scizoo.evaluation.similarity import equal_pairs, in_sketch
from scizoo_astronomy.objects import Image, ImageSpectrum
from scizoo_astronomy.signatures import (
    content_key,
    mix,
    number,
    orientations,
    small_picture,
    step_hashes,
)
from scizoo_astronomy.sky import cells, nearest, positions

_CROWD = 64  # a step that more curves share says nothing about two of them
_NSIDE = 32768  # cells of 6.4 arcseconds, in which corpora remember places
_BLOCK = 2048  # pictures compared at once
_CANDIDATES = 8  # the likeliest partners of a picture, which are then compared in detail
_FINE = 64  # pixels of the pictures then compared


class SkySimilarity:
    """Same objects and same observations, found in four ways.

    Exact duplicates have equal identifiers or equal rounded content (times, magnitudes and fluxes whatever
    their zero points; images whatever their flips and quarter turns). Near duplicates stand within ``radius``
    of each other, or are light curves or spectra that share a part, or images that look alike (by the
    correlation of their 16 x 16 averages over all flips and quarter turns).

    Parameters
    ----------
    radius : float
        Arcseconds within which two records are one object; 0 does not look at positions.
    threshold : float
        Share of the shorter one's steps that near copies of curves have in common.
    picture : float
        Correlation from which two images are near copies; above 1 does not compare images. Unresolved sources
        of one survey look alike without being copies: up to 0.997 in FIRST.
    identifiers : sequence of str
        Columns of ``Record.meta`` whose equal values mean one object (``source_id``, ``TARGETID``).
    scale : int
        Sketches of corpora keep one in ``scale`` of the different steps.

    Raises
    ------
    ConfigError
        When a setting has no meaning.
    """

    finds_near = True

    def __init__(
        self,
        radius: float = 2.0,
        threshold: float = 0.5,
        picture: float = 0.995,
        identifiers: Sequence[str] = (),
        scale: int = 30,
    ):
        if radius < 0 or not 0 < threshold <= 1 or picture <= 0 or scale < 1:
            raise ConfigError(
                f"audit: radius={radius}, threshold={threshold}, picture={picture}, scale={scale}",
                expected="radius from 0, threshold in (0, 1], picture above 0, scale from 1",
            )
        self.radius, self.threshold, self.picture = radius, threshold, picture
        self.identifiers = [identifiers] if isinstance(identifiers, str) else list(identifiers)
        self.scale = scale

    def settings(self) -> dict[str, Any]:
        """Return the plain settings that build it again."""
        names = ("radius", "threshold", "picture", "identifiers", "scale")
        return {name: getattr(self, name) for name in names}

    def sketch_settings(self) -> dict[str, Any]:
        """Return the settings that a sketch depends on."""
        return {"scale": self.scale, "places": self.radius > 0}

    def exact_duplicates(
        self, records_a: Sequence[Record], records_b: Sequence[Record]
    ) -> list[tuple[int, int]]:
        """Return every pair ``(i, j)`` of equal content or identifier, ascending in ``j``."""
        keys = [[content_key(record.input) for record in records] for records in (records_a, records_b)]
        found = set(equal_pairs(keys[0], keys[1]))
        for name in self.identifiers:
            known = [[r.meta.get(name) for r in records] for records in (records_a, records_b)]
            found |= {pair for pair in equal_pairs(known[0], known[1]) if known[1][pair[1]] not in (None, "")}
        return sorted(found, key=lambda pair: (pair[1], pair[0]))

    def near_duplicates(
        self, records_a: Sequence[Record], records_b: Sequence[Record]
    ) -> list[tuple[int, int, float]]:
        """Find for each record of ``b`` the likest of ``a``, where it is too like.

        Returns
        -------
        list of (i, j, similarity)
            At most one a record of ``b``, ascending in ``j``. The similarity of positions is 1 at no distance
            and 0.5 at ``radius``; of curves the common share; of images the correlation.
        """
        if not len(records_a) or not len(records_b):
            return []
        best: dict[int, tuple[float, int]] = {}
        for i, j, score in (
            *self._by_place(records_a, records_b),
            *self._by_steps(records_a, records_b),
            *self._by_picture(records_a, records_b),
        ):
            if j not in best or score > best[j][0]:
                best[j] = (score, i)
        return [(i, j, score) for j, (score, i) in sorted(best.items())]

    def _by_place(self, a: Sequence[Record], b: Sequence[Record]) -> list[tuple[int, int, float]]:
        if not self.radius:
            return []
        rows, separation = nearest(positions(b), positions(a))
        close = np.flatnonzero(separation <= self.radius)
        return [(int(rows[j]), int(j), 1.0 - 0.5 * float(separation[j]) / self.radius) for j in close]

    def _by_steps(self, a: Sequence[Record], b: Sequence[Record]) -> list[tuple[int, int, float]]:
        sets = [step_hashes(record.input) for record in a]
        sizes = np.array([len(one) for one in sets])
        if not sizes.sum():
            return []
        owner = np.repeat(np.arange(len(a)), sizes)
        steps = np.concatenate(sets)
        order = np.argsort(steps, kind="stable")
        steps, owner = steps[order], owner[order]
        found = []
        for j, record in enumerate(b):
            mine = step_hashes(record.input)
            left, right = np.searchsorted(steps, mine, "left"), np.searchsorted(steps, mine, "right")
            few = right - left <= _CROWD
            hits = [owner[low:high] for low, high in zip(left[few], right[few]) if high > low]
            if not hits:
                continue
            counts = np.bincount(np.concatenate(hits), minlength=len(a))
            share = counts / np.maximum(np.minimum(sizes, len(mine)), 1)
            # A common step or two come about by chance.
            share[(counts < 5) & (counts < np.minimum(sizes, len(mine)))] = 0.0
            top = int(share.argmax())
            if share[top] >= self.threshold:
                found.append((top, j, float(min(share[top], 1.0))))
        return found

    def _by_picture(self, a: Sequence[Record], b: Sequence[Record]) -> list[tuple[int, int, float]]:
        if self.picture > 1 or not (_picture(a[0]) and _picture(b[0])):
            return []
        coarse = np.stack([small_picture(_image(record)).reshape(-1) for record in a])
        found = []
        for start in range(0, len(b), _BLOCK):
            pictures = [_image(record) for record in b[start : start + _BLOCK]]
            score = np.full((len(pictures), len(a)), -1.0)
            mine = [orientations(small_picture(one)) for one in pictures]
            for turn in range(8):
                score = np.maximum(score, np.stack([one[turn].reshape(-1) for one in mine]) @ coarse.T)
            for place, picture in enumerate(pictures):
                likely = np.argsort(-score[place])[:_CANDIDATES]
                likely = likely[score[place, likely] >= self.picture - 0.05]
                if not len(likely):
                    continue
                fine = np.stack(
                    [turned.reshape(-1) for turned in orientations(small_picture(picture, _FINE))]
                )
                there = np.stack([small_picture(_image(a[i]), _FINE).reshape(-1) for i in likely])
                alike = (fine @ there.T).max(axis=0)
                top = int(alike.argmax())
                if alike[top] >= self.picture:
                    found.append((int(likely[top]), place + start, float(min(alike[top], 1.0))))
        return found

    def sketch(self, records: Iterable[Record]) -> np.ndarray:
        """Return sorted uint64 that stand for contents, some of the steps, and places of a corpus."""
        kept, waiting, seen = np.empty(0, dtype=np.uint64), [], []
        for record in records:
            waiting.append(np.append(self._sampled(record), number(content_key(record.input))))
            seen.append(record)
            if len(seen) == 1000:
                kept, waiting, seen = np.unique(np.concatenate([kept, *waiting, self._places(seen)])), [], []
        return np.unique(np.concatenate([kept, *waiting, self._places(seen)]))

    def overlap(self, sketch: np.ndarray, records: Sequence[Record]) -> np.ndarray:
        """Return how much of each record the corpus holds.

        1 where it holds the same content or an object at its place; else the share of its steps, and 0 where
        none of them was sampled.
        """
        shares = np.zeros(len(records))
        for row, record in enumerate(records):
            mine = self._sampled(record)
            if in_sketch(np.array([number(content_key(record.input))]), sketch)[0]:
                shares[row] = 1.0
            elif len(mine):
                hits = in_sketch(mine, sketch)
                # A common step or two come about by chance.
                shares[row] = hits.mean() if hits.sum() >= 3 else 0.0
        if self.radius and len(records):
            shares[np.isin(self._around(records), sketch).any(axis=1)] = 1.0
        return shares

    def _sampled(self, record: Record) -> np.ndarray:
        hashes = step_hashes(record.input)
        return hashes[hashes < np.uint64((2**64 - 1) // self.scale)]

    def _places(self, records: Sequence[Record]) -> np.ndarray:
        if not self.radius or not len(records):
            return np.empty(0, dtype=np.uint64)
        cell = cells(positions(records), _NSIDE)
        return mix(mix(cell[cell >= 0].astype(np.uint64)))

    def _around(self, records: Sequence[Record]) -> np.ndarray:
        """Return the cell of each record and its eight neighbours, as sketched; shape (records, 9)."""
        from astropy_healpix import HEALPix

        cell = cells(positions(records), _NSIDE)
        around = np.zeros((len(records), 9), dtype=np.uint64)
        known = np.flatnonzero(cell >= 0)
        if len(known):
            beside = HEALPix(_NSIDE, order="nested").neighbours(cell[known])
            whole = np.vstack([cell[known][None], np.where(beside < 0, cell[known][None], beside)]).T
            around[known] = mix(mix(whole.astype(np.uint64)))
        return around


def _picture(record: Record) -> bool:
    return isinstance(record.input, Image | ImageSpectrum)


def _image(record: Record) -> Image:
    return record.input.image if isinstance(record.input, ImageSpectrum) else record.input
