"""What harmonisations are worth: agreement with the composer's, and faults of voice leading."""

from __future__ import annotations

from typing import Any

import numpy as np

from scizoo.evaluation.generation import Generated
from scizoo.evaluation.sample_figures import SampleFigure
from scizoo_music.generation.scorer import PieceScorer
from scizoo_music.pieces import Piece

_BELOW = ("alto", "tenor", "bass")
_OCTAVE, _FIFTH = 12, 7


class HarmonyScorer(PieceScorer):
    """Judges four voices that were written below a given soprano.

    Beside what :class:`~scizoo_music.generation.scorer.PieceScorer` measures, on a grid of steps and against
    the piece that the soprano was taken from:

    - ``alto_accuracy``, ``tenor_accuracy``, ``bass_accuracy``: the share of steps in which the voice sounds
    the
      same pitch; ``voice_accuracy`` is their mean;
    - ``chord_accuracy``: the share of steps in which all three do;
    - ``faults``: faults of voice leading in 100 changes of chord: parallel fifths and octaves, voices that
    cross,
      and more than an octave between neighbours of the upper three voices. The row of real records shows the
      composer's own: he has some too.

    A soprano has many good harmonisations, so that accuracy has no reachable 1; it ranks contenders.

    Parameters
    ----------
    step : float
        Length of a grid step in quarter beats.
    reference, least
        See PieceScorer.
    """

    main = "chord_accuracy"

    def __init__(self, step: float = 0.5, reference: int = 2_000, least: int = 4):
        super().__init__(reference, least)
        self.step = float(step)

    def score(self, generated: Generated) -> dict[str, SampleFigure]:
        """Measure one contender's harmonisations."""
        found = super().score(generated)
        count = len(generated)
        # What cannot be read agrees with nothing; of its faults nothing can be said.
        agreement, chords = np.zeros((count, len(_BELOW))), np.zeros(count)
        faults = np.full(count, np.nan)
        for row, value in enumerate(generated.inputs):
            if not isinstance(value, Piece):
                continue
            mine = sounding(value, self.step)
            faults[row] = fault_rate(mine)
            if generated.references is None:
                continue
            same = _agreement(mine, sounding(generated.references[row], self.step))
            agreement[row], chords[row] = same.mean(axis=0), same.all(axis=1).mean()
        own = {
            "faults": SampleFigure("voice-leading faults in 100 changes", "lower", faults, bounds=(0, np.inf))
        }
        if generated.references is not None:
            own["chord_accuracy"] = SampleFigure("chord accuracy", "higher", chords, bounds=(0, 1))
            own["voice_accuracy"] = SampleFigure(
                "voice accuracy", "higher", agreement.mean(axis=1), bounds=(0, 1)
            )
            for number, name in enumerate(_BELOW):
                values = agreement[:, number]
                own[f"{name}_accuracy"] = SampleFigure(f"{name} accuracy", "higher", values, bounds=(0, 1))
        return own | found


def sounding(piece: Any, step: float, voices: int = 4) -> np.ndarray:
    """Give the pitch that each voice sounds in each step, -1 where it rests; shape (steps, voices)."""
    first = np.round(piece.onset / step).astype(int)
    last = np.maximum(np.round((piece.onset + piece.duration) / step).astype(int), first + 1)
    roll = np.full((int(last.max()), voices), -1)
    for begin, end, pitch, voice in zip(first, last, piece.pitch, piece.voice):
        if voice < voices:
            roll[begin:end, voice] = pitch
    return roll


def _agreement(mine: np.ndarray, theirs: np.ndarray) -> np.ndarray:
    """Tell where the voices below the soprano agree, over the steps of the reference; shape (steps, 3)."""
    padded = np.full(theirs.shape, -2)
    steps = min(len(mine), len(theirs))
    padded[:steps] = mine[:steps]
    return padded[:, 1:] == theirs[:, 1:]


def fault_rate(roll: np.ndarray) -> float:
    """Count faults of voice leading in 100 changes of chord; NaN where no chord of four voices changes.

    Parameters
    ----------
    roll : ndarray of int, shape (steps, voices)
        Sounding pitches, the highest voice first; -1 is a rest.
    """
    change = np.flatnonzero(
        (roll[1:] != roll[:-1]).any(axis=1) & (roll[1:] >= 0).all(axis=1) & (roll[:-1] >= 0).all(axis=1)
    )
    if not len(change):
        return float("nan")
    before, after = roll[change], roll[change + 1]
    faults = 0
    voices = roll.shape[1]
    for upper in range(voices):
        for lower in range(upper + 1, voices):
            gaps = before[:, upper] - before[:, lower], after[:, upper] - after[:, lower]
            moved = (before[:, upper] != after[:, upper]) & (before[:, lower] != after[:, lower])
            same_way = np.sign(after[:, upper] - before[:, upper]) == np.sign(
                after[:, lower] - before[:, lower]
            )
            for size in (_FIFTH, 0):
                both = (gaps[0] % _OCTAVE == size) & (gaps[1] % _OCTAVE == size)
                faults += int((both & moved & same_way).sum())
    faults += int((np.diff(after, axis=1) > 0).sum())
    faults += int((after[:, : voices - 2] - after[:, 1 : voices - 1] > _OCTAVE).sum())
    return 100.0 * faults / len(change)
