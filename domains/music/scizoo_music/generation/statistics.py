"""Distributions of pitch, interval and rhythm, and how far those of two sets of pieces lie apart."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np

from scizoo.evaluation.sample_figures import Statistic, recentred
from scizoo_music.pieces import Piece

#: Semitones of an interval that are told apart; wider ones count as this.
WIDEST = 19
#: Onset-to-onset times in 12ths of a quarter beat that are told apart; longer ones count as the last.
_TIMES = 97


def pitch_classes(piece: Piece) -> np.ndarray:
    """Count pitch classes above the tonic where the piece states a key, else above its most frequent one."""
    counts = np.bincount(piece.pitch % 12, minlength=12).astype(float)
    tonic = piece.key.tonic_class if piece.key is not None else int(counts.argmax())
    return np.roll(counts, -tonic)


def intervals(piece: Piece) -> np.ndarray:
    """Count the steps of the melody in semitones, from -19 to 19; shape (39,)."""
    steps = np.clip(np.diff(piece.melody().astype(np.int64)), -WIDEST, WIDEST) + WIDEST
    return np.bincount(steps, minlength=2 * WIDEST + 1).astype(float)


def rhythms(piece: Piece) -> np.ndarray:
    """Count times from one onset to the next in 12ths of a quarter beat; shape (97,)."""
    gaps = np.round(np.diff(np.unique(piece.onset)) * 12).astype(np.int64)
    return np.bincount(np.clip(gaps, 0, _TIMES - 1), minlength=_TIMES).astype(float)


def durations(piece: Piece) -> np.ndarray:
    """Count durations in 12ths of a quarter beat; shape (97,)."""
    lengths = np.round(piece.duration * 12).astype(np.int64)
    return np.bincount(np.clip(lengths, 0, _TIMES - 1), minlength=_TIMES).astype(float)


#: Which distributions are compared, by the name of their distance.
DISTRIBUTIONS = {
    "pitch_distance": pitch_classes,
    "interval_distance": intervals,
    "rhythm_distance": rhythms,
    "duration_distance": durations,
}


def table(pieces: Sequence[Piece], name: str) -> np.ndarray:
    """Give the counts of each piece, a row each."""
    return np.stack([DISTRIBUTIONS[name](piece) for piece in pieces])


def jensen_shannon(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Jensen-Shannon divergence in bits of distributions (B, K) from one (K,): 0 equal, 1 without overlap."""
    middle = (one + other) / 2
    with np.errstate(divide="ignore", invalid="ignore"):
        left = np.where(one > 0, one * np.log2(one / middle), 0.0).sum(axis=-1)
        right = np.where(other > 0, other * np.log2(other / middle), 0.0).sum(axis=-1)
    return (left + right) / 2


def _divergence(counts: np.ndarray, reference: np.ndarray, weights: np.ndarray) -> np.ndarray:
    summed = weights @ counts
    return jensen_shannon(summed / np.maximum(summed.sum(axis=1, keepdims=True), 1e-12), reference)


def distance(counts: np.ndarray, reference: np.ndarray) -> Statistic:
    """Give the divergence of pooled counts (N, K) from reference counts, as a statistic of weights."""
    pooled = reference.sum(axis=0)
    return recentred(partial(_divergence, counts, pooled / max(float(pooled.sum()), 1e-12)))
