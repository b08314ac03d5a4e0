"""How alike molecules are, for the leakage audit: the same compound, near copies, overlap with a corpus."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from scizoo.data.records import Record
from scizoo.errors import ConfigError
from scizoo.evaluation.similarity import equal_pairs
from scizoo_chemistry.compounds import compound_keys, flat_parent
from scizoo_chemistry.fingerprints import ecfp
from scizoo_chemistry.neighbours import neighbours
from scizoo_chemistry.scaffolds import murcko

_BLOCK = 5_000  # strings hashed together


class MoleculeSimilarity:
    """The same compound by InChIKey, near copies by Tanimoto similarity of ECFP4.

    The same compound is what :func:`~scizoo_chemistry.compounds.compound_keys` names alike: salts and most
    tautomers of one parent. Stereoisomers are not the same, and are found as near copies.

    Parameters
    ----------
    threshold : float
        Tanimoto similarity from which two molecules count as near copies.
    radius, bits : int
        Of the Morgan fingerprint, without chirality; radius 2 is ECFP4.
    sketch_scale : int
        Of a pre-training corpus one compound in so many is kept for :meth:`overlap`.

    Raises
    ------
    ConfigError
        When a setting has no meaning.
    """

    finds_near = True

    def __init__(self, threshold: float = 0.9, radius: int = 2, bits: int = 2048, sketch_scale: int = 1):
        if not 0 < threshold <= 1:
            raise ConfigError(f"audit.threshold={threshold}", expected="a similarity above 0, at most 1")
        if radius < 0 or bits < 8:
            raise ConfigError(f"audit: radius={radius}, bits={bits} cannot be used.", expected="2 and 2048")
        if sketch_scale < 1:
            raise ConfigError(f"audit.sketch_scale={sketch_scale}", expected="at least 1")
        self.threshold, self.radius, self.bits = threshold, radius, bits
        self.sketch_scale = sketch_scale

    def settings(self) -> dict[str, Any]:
        """Return the plain settings that build it again."""
        names = ("threshold", "radius", "bits", "sketch_scale")
        return {name: getattr(self, name) for name in names}

    def sketch_settings(self) -> dict[str, Any]:
        """Return the settings that a sketch depends on."""
        return {"sketch_scale": self.sketch_scale}

    def exact_duplicates(
        self, records_a: Sequence[Record], records_b: Sequence[Record]
    ) -> list[tuple[int, int]]:
        """Return every pair ``(i, j)`` of the same compound, whatever its tautomer or salt."""
        keys = compound_keys([record.input for record in (*records_a, *records_b)])
        return equal_pairs(keys[: len(records_a)], keys[len(records_a) :])

    def near_duplicates(
        self, records_a: Sequence[Record], records_b: Sequence[Record]
    ) -> list[tuple[int, int, float]]:
        """Find for each molecule of ``records_b`` its likest one in ``records_a``; none is missed.

        Returns
        -------
        list of (i, j, similarity)
            At most one a record of ``records_b``, ascending in ``j``; at or above the threshold only.
        """
        if not len(records_a) or not len(records_b):
            return []
        known, asked = (
            ecfp([record.input for record in records], self.radius, self.bits)
            for records in (records_a, records_b)
        )
        return [
            (int(near[np.argmax(alike)]), j, float(alike.max()))
            for j, (near, alike) in enumerate(neighbours(asked, known, self.threshold))
            if len(near)
        ]

    def shared_scaffolds(self, records_a: Sequence[Record], records_b: Sequence[Record]) -> np.ndarray:
        """Tell which molecules of ``records_b`` have a scaffold that ``records_a`` has too.

        Returns
        -------
        ndarray of bool, shape (len(records_b),)
            False for molecules without rings.
        """
        known = {murcko(record.input) for record in records_a} - {""}
        return np.array([murcko(record.input) in known for record in records_b], dtype=bool)

    def sketch(self, records: Iterable[Record]) -> np.ndarray:
        """Return the sorted hashes (uint64) of a corpus's compounds without stereochemistry.

        A string without any sign of stereochemistry, salt or isotope is hashed as it stands, so that a
        corpus of millions takes seconds; it must be canonical, as the datasets of this plugin give it.
        """
        kept, waiting = np.empty(0, dtype=np.uint64), []
        for record in records:
            found = _hash(flat_parent(record.input, trust=True))
            if found % self.sketch_scale == 0:
                waiting.append(found)
            if len(waiting) >= 20 * _BLOCK:
                kept, waiting = np.union1d(kept, np.array(waiting, dtype=np.uint64)), []
        return np.union1d(kept, np.array(waiting, dtype=np.uint64))

    def overlap(self, sketch: np.ndarray, records: Sequence[Record]) -> np.ndarray:
        """Tell which records' compounds the corpus holds.

        Returns
        -------
        ndarray of float64, shape (records,)
            1 or 0; NaN where the compound is not among those that sketches keep.
        """
        mine = np.fromiter(
            (_hash(flat_parent(record.input)) for record in records), dtype=np.uint64, count=len(records)
        )
        return np.where(mine % np.uint64(self.sketch_scale) == 0, np.isin(mine, sketch), np.nan)


def _hash(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode("ascii", "replace"), digest_size=8).digest(), "big")
