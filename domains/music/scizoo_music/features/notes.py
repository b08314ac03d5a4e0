"""Histograms of pitch classes, intervals and rhythms: what a piece is made of, without its order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from scizoo.data.records import Record
from scizoo.data.targets import input_key
from scizoo_music.pieces import Piece, as_piece

#: Lags, in eighths, at which the rhythm is compared with itself.
_LAGS = 24
_GRID = 8  # parts of a quarter beat
_VALUES = np.array([0.25, 0.333, 0.5, 0.667, 0.75, 1.0, 1.333, 1.5, 2.0, 3.0, 4.0])

KINDS = ("pitch", "interval", "rhythm")
_KEPT: dict[Any, np.ndarray] = {}
_MOST = 100_000


def pitch_features(piece: Piece) -> np.ndarray:
    """Pitch classes by duration and by count, of the first and the last note, and the range; shape (51,)."""
    classes = piece.pitch % 12
    by_time = np.bincount(classes, weights=piece.duration, minlength=12)
    by_count = np.bincount(classes, minlength=12).astype(float)
    melody = piece.melody()
    ends = np.zeros((2, 12))
    ends[0, melody[0] % 12] = ends[1, melody[-1] % 12] = 1.0
    reach = [float(np.mean(melody)), float(np.std(melody)), float(np.ptp(melody))]
    return np.concatenate([by_time / by_time.sum(), by_count / by_count.sum(), ends.ravel(), reach])


def interval_features(piece: Piece) -> np.ndarray:
    """Melodic intervals up to an octave, by direction, and pairs of contour; shape (34,)."""
    steps = np.diff(piece.melody())
    if not len(steps):
        return np.zeros(34)
    single = np.bincount(np.clip(steps, -12, 12) + 12, minlength=25) / len(steps)
    signs = np.sign(steps) + 1
    pairs = np.bincount(3 * signs[:-1] + signs[1:], minlength=9) / max(1, len(signs) - 1)
    return np.concatenate([single, pairs])


def rhythm_features(piece: Piece) -> np.ndarray:
    """Note values, pairs of them, and the autocorrelation of onsets, durations and pitch accents.

    What repeats every three eighths speaks of compound meter (Brown 1993, JASA 94, 1953; Toiviainen and
    Eerola 2006, JASA 119, 1164).

    Returns
    -------
    ndarray of float64, shape (227,)
    """
    top = piece.voice == piece.voice.min()
    onset, duration, pitch = piece.onset[top], piece.duration[top], piece.pitch[top].astype(float)
    value = np.abs(np.log(duration[:, None] / _VALUES)).argmin(axis=1)
    single = np.bincount(value, minlength=len(_VALUES)) / len(value)
    pairs = np.bincount(len(_VALUES) * value[:-1] + value[1:], minlength=len(_VALUES) ** 2)
    cells = np.round(onset * _GRID).astype(int)
    size = int(cells[-1]) + 1
    found = [single, pairs / max(1, len(value) - 1)]
    leap = np.abs(np.diff(pitch, prepend=pitch[0]))
    shape = np.concatenate([[0.0], np.sign(np.diff(pitch))])
    peak = (shape > 0) & (np.append(shape[1:], -1.0) < 0)
    for weight in (np.ones(len(cells)), duration, leap, peak.astype(float)):
        train = np.zeros(size)
        np.add.at(train, cells, weight)
        found.append(_autocorrelation(train - train.mean()))
    return np.concatenate(found)[: len(_VALUES) + len(_VALUES) ** 2 + 4 * _LAGS]


def _autocorrelation(train: np.ndarray) -> np.ndarray:
    """Correlation with itself at lags of one to 24 eighths."""
    step = _GRID // 2
    power = float(train @ train)
    found = np.zeros(_LAGS)
    for lag in range(1, _LAGS + 1):
        shift = lag * step
        if power > 0 and shift < len(train):
            found[lag - 1] = float(train[shift:] @ train[:-shift]) / power
    return found


_COMPUTE = {"pitch": pitch_features, "interval": interval_features, "rhythm": rhythm_features}


def note_features(records: Sequence[Record], kinds: Sequence[str] = KINDS) -> np.ndarray:
    """Give the features of some kinds of each record; computed once a process for each input.

    Returns
    -------
    ndarray of float64, shape (records, features)

    Raises
    ------
    DataError
        When an input is no symbolic music.
    """
    rows = []
    for record in records:
        key = input_key(record.input)
        parts = []
        for kind in kinds:
            row = _KEPT.get((kind, key))
            if row is None:
                if len(_KEPT) >= _MOST:
                    _KEPT.clear()
                row = _KEPT[kind, key] = _COMPUTE[kind](as_piece(record.input))
            parts.append(row)
        rows.append(np.concatenate(parts))
    return np.stack(rows) if rows else np.empty((0, 0))
