"""Key finding by correlation with key profiles (Krumhansl and Schmuckler; Krumhansl 1990)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from scizoo.data.records import Record
from scizoo.errors import ConfigError, did_you_mean
from scizoo.evaluation.baseline import Baseline
from scizoo_music.pieces import Piece, as_piece

#: Profiles of major and minor, the tonic first. krumhansl: probe-tone ratings of Krumhansl and Kessler (1982,
#: Psychological Review 89, 334). temperley: Temperley (1999, Music Perception 17, 65).
PROFILES = {
    "krumhansl": (
        (6.35, 2.23, 3.48, 2.33, 4.38, 4.09, 2.52, 5.19, 2.39, 3.66, 2.29, 2.88),
        (6.33, 2.68, 3.52, 5.38, 2.60, 3.53, 2.54, 4.75, 3.98, 2.69, 3.34, 3.17),
    ),
    "temperley": (
        (5.0, 2.0, 3.5, 2.0, 4.5, 4.0, 2.0, 4.5, 2.0, 3.5, 1.5, 4.0),
        (5.0, 2.0, 3.5, 4.5, 2.0, 4.0, 2.0, 4.5, 3.5, 2.0, 1.5, 4.0),
    ),
}
_MINOR_MODES = ("minor", "dorian", "phrygian", "aeolian", "locrian")
_STEPS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
_NAME = re.compile(r"^([A-G])(#|♯|b|♭|-)?\s*([a-z]*)$", re.IGNORECASE)


def correlations(piece: Piece, profiles: str = "krumhansl") -> np.ndarray:
    """Correlate the durations of pitch classes with the profiles of all keys.

    Returns
    -------
    ndarray of float64, shape (2, 12)
        Major and minor, by tonic (0 is C).
    """
    found = np.bincount(piece.pitch % 12, weights=piece.duration, minlength=12)
    rows = []
    for profile in PROFILES[profiles]:
        turned = np.stack([np.roll(profile, tonic) for tonic in range(12)])
        turned = turned - turned.mean(axis=1, keepdims=True)
        centred = found - found.mean()
        scale = np.linalg.norm(turned, axis=1) * np.linalg.norm(centred)
        rows.append(turned @ centred / np.maximum(scale, 1e-12))
    return np.stack(rows)


def find_key(piece: Piece, profiles: str = "krumhansl") -> tuple[int, str, float]:
    """Give the likeliest key: tonic (0 is C), ``major`` or ``minor``, and its correlation."""
    found = correlations(piece, profiles)
    mode, tonic = np.unravel_index(int(found.argmax()), found.shape)
    return int(tonic), ("major", "minor")[int(mode)], float(found.max())


def read_key(name: str) -> tuple[int | None, str]:
    """Read a key's name: tonic (None where it names a mode alone) and mode.

    Raises
    ------
    ConfigError
        When it is no key.
    """
    word = name.strip()
    if word.lower() in ("major", "mixolydian", "lydian", "ionian", *_MINOR_MODES):
        return None, word.lower()
    found = _NAME.match(word)
    if found is None:
        raise ConfigError(
            f"the class '{name}' is no key.",
            expected="a tonic and a mode, such as 'F# minor', or a mode",
            remedy="leave this baseline out: baselines={}",
        )
    shift = {"#": 1, "♯": 1, "b": -1, "♭": -1, "-": -1}.get(found[2] or "", 0)
    mode = found[3].lower()
    if not mode or mode == "m":
        mode = "minor" if mode == "m" or found[1].islower() else "major"
    return (_STEPS[found[1].upper()] + shift) % 12, {"maj": "major", "min": "minor"}.get(mode, mode)


class KrumhanslSchmuckler(Baseline):
    """Key finding by profiles. From labels it learns how much to trust them, and how frequent keys are.

    A profile is of major or minor; dorian, phrygian and locrian tunes are held to be minor, mixolydian and
    lydian ones major, and among keys of one tonic and profile the more frequent in training wins.

    Parameters
    ----------
    profiles : {"krumhansl", "temperley"}
    classes : sequence of str, optional
        Names of the classes in the order of their numbers; by default as the training targets' texts sort,
        which is how the core numbers them.
    prior : float
        How much the frequency of keys in training counts; 0 is the method as it was published.
    """

    def __init__(self, profiles: str = "krumhansl", classes: Sequence[str] | None = None, prior: float = 1.0):
        self.profiles, self.classes, self.prior = profiles, classes, prior

    @property
    def title(self) -> str:  # type: ignore[override]
        """The name that people read."""
        author = {"krumhansl": "Krumhansl-Schmuckler", "temperley": "Temperley's profiles"}
        return f"key finding ({author.get(self.profiles, self.profiles)})"

    def fit(
        self, records: Sequence[Record], targets: np.ndarray, groups: np.ndarray | None = None
    ) -> KrumhanslSchmuckler:
        """Count the keys and choose how sharply correlations become probabilities."""
        if self.profiles not in PROFILES:
            raise ConfigError(f"profiles={self.profiles}: {did_you_mean(str(self.profiles), PROFILES)}")
        targets = np.asarray(targets)
        self.classes_, counts = np.unique(targets, return_counts=True)
        names = {int(number): str(record.target) for record, number in zip(records, targets, strict=True)}
        if self.classes is not None:
            names = {number: str(name) for number, name in enumerate(self.classes)}
        self.keys_ = [read_key(names[int(number)]) for number in self.classes_]
        self.frequency_ = np.log((counts + 0.5) / (counts.sum() + 0.5 * len(counts)))
        evidence = self._evidence(records)
        place = np.searchsorted(self.classes_, targets)
        losses = {}
        for sharpness in (1.0, 2.0, 4.0, 8.0, 16.0, 32.0):
            chance = _softmax(sharpness * evidence + self.prior * self.frequency_)
            losses[sharpness] = -np.log(np.maximum(chance[np.arange(len(place)), place], 1e-12)).mean()
        self.sharpness_ = min(losses, key=lambda one: losses[one])
        return self

    def predict_proba(self, records: Sequence[Record]) -> np.ndarray:
        """Return probabilities, shape (records, classes)."""
        return _softmax(self.sharpness_ * self._evidence(records) + self.prior * self.frequency_)

    def search_space(self, trial: Any) -> dict[str, Any]:
        """Suggest the profiles and how much frequencies count."""
        return {
            "profiles": trial.suggest_categorical("profiles", sorted(PROFILES)),
            "prior": trial.suggest_float("prior", 0.0, 1.0),
        }

    def _evidence(self, records: Sequence[Record]) -> np.ndarray:
        found = np.stack([correlations(as_piece(record.input), self.profiles) for record in records])
        columns = []
        for tonic, mode in self.keys_:
            row = found[:, 1 if mode in _MINOR_MODES else 0]
            columns.append(row.max(axis=1) if tonic is None else row[:, tonic])
        return np.stack(columns, axis=1)


def _softmax(scores: np.ndarray) -> np.ndarray:
    shifted = np.exp(scores - scores.max(axis=1, keepdims=True))
    return shifted / shifted.sum(axis=1, keepdims=True)
