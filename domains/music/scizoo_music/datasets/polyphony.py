"""The polyphonic sets of Boulanger-Lewandowski et al. 2012: piano-rolls in three given parts."""

from __future__ import annotations

import gzip
import io
import json
import zlib
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from scizoo.data.opening import open_bytes, reading
from scizoo.data.records import Dataset, Licence, Record
from scizoo.data.sources import fingerprint_files, resolve
from scizoo.errors import ConfigError, DataError
from scizoo.files import sha256_json
from scizoo_music.pieces import Piece

_PARTS = {
    "train": "train",
    "traindata": "train",
    "valid": "validation",
    "validdata": "validation",
    "test": "test",
    "testdata": "test",
}
_LOWEST = 21  # MIDI pitch of the first of the 88 keys


class PolyphonicRolls(Dataset):
    """Piano-rolls with the parts that publications use: JSB chorales, MuseData, Piano-midi.de.

    ``Record.input`` is a Piece of one voice on a grid of one step a frame; a pitch in consecutive frames is
    one note, since the rolls do not say where one begins anew. ``meta["split"]`` is the published part.

    Parameters
    ----------
    path : str, optional
        A ``.mat`` file (traindata, validdata, testdata: 88 columns, the lowest key first), a ``.json`` or
        ``.json.gz`` file (train, valid, test: pieces, frames, MIDI pitches; -1 is no note), or a folder with
        one.
    set : str
        Of a folder with several: words in the file's name.
    step : float
        Quarter beats a frame.
    max_rejected : float
    """

    licence = Licence("public-domain scores; rolls distributed for research, terms unstated")
    citation = (
        "Boulanger-Lewandowski, Bengio and Vincent (2012) Modeling temporal dependencies in high-dimensional "
        "sequences: application to polyphonic music generation and transcription. ICML"
    )

    def __init__(
        self,
        path: str | Path | None = None,
        *,
        set: str = "JSB_Chorales",
        step: float = 1.0,
        max_rejected: float = 0.01,
        cache: Path | None = None,
    ):
        super().__init__(max_rejected=max_rejected)
        if path is None:
            raise ConfigError(
                "data.path is not given.",
                expected="the folder or file of the piano-rolls, such as JSB_Chorales.mat",
                remedy="add data.path=FOLDER.",
            )
        self.path, self.set, self.step, self.cache = path, set, float(step), cache

    @property
    def name(self) -> str:
        """What is read."""
        return f"{self.file.name.split('.')[0]} (Boulanger-Lewandowski)"

    @cached_property
    def file(self) -> Path:
        """The file that is read."""
        found = resolve(self.path, self.cache)
        if not found.is_dir():
            return found
        inside = sorted(one for ending in ("*.mat", "*.json", "*.json.gz") for one in found.glob(ending))
        wanted = [one for one in inside if self.set.lower() in one.name.lower()] or inside
        if len(wanted) != 1:
            raise DataError(
                f"{found} holds {len(wanted)} files of piano-rolls named '{self.set}'.",
                expected="one .mat or .json file of that name",
                remedy="set data.set to words in its name, or data.path to the file itself.",
            )
        return wanted[0]

    def fingerprint(self) -> str:
        """Digest of the file and of the reading options."""
        return sha256_json({"files": fingerprint_files([self.file]), "step": self.step})

    def records(self) -> Iterator[Record]:
        """Yield the pieces of all parts; one without a note is told to ``rejections``."""
        for part, rolls in self._parts().items():
            for number, roll in enumerate(rolls, start=1):
                id, source = f"{part}-{number}", f"{self.file.name}, {part} {number}"
                if not roll.any():
                    self.rejections.reject(source, id, "it has no note")
                    continue
                yield Record(id, piece_of(roll, self.step), None, None, {"split": _PARTS[part]}, source)

    def _parts(self) -> dict[str, list[np.ndarray]]:
        """Read the rolls of each part: bool, shape (frames, 128)."""
        with reading(self.file), open_bytes(self.file, "piano-rolls") as handle:
            data = handle.read()
        try:
            found = _from_mat(data) if self.file.name.endswith(".mat") else _from_json(data)
        except (ValueError, KeyError, TypeError, IndexError, gzip.BadGzipFile, zlib.error) as error:
            raise DataError(
                f"{self.file} holds no piano-rolls: {' '.join(str(error).split())[:120]}.",
                expected="a .mat file with traindata, validdata and testdata, or a .json file with train, "
                "valid and test",
            ) from error
        lacking = [part for part in ("train", "validation", "test") if part not in map(_PARTS.get, found)]
        if lacking:
            raise DataError(
                f"{self.file} has no {lacking[0]} part.",
                expected="traindata, validdata and testdata (.mat), or train, valid and test (.json)",
            )
        return found


def _from_mat(data: bytes) -> dict[str, list[np.ndarray]]:
    from scipy.io import loadmat
    from scipy.io.matlab import MatReadError

    try:
        held = loadmat(io.BytesIO(data))
    except MatReadError as error:
        raise ValueError(str(error)) from error
    return {part: [_wide(np.asarray(roll)) for roll in held[part].ravel()] for part in _PARTS if part in held}


def _wide(roll: np.ndarray) -> np.ndarray:
    if roll.ndim != 2 or roll.shape[1] != 88:
        raise ValueError(f"a roll has the shape {roll.shape}, not (frames, 88)")
    wide = np.zeros((len(roll), 128), dtype=bool)
    wide[:, _LOWEST : _LOWEST + 88] = roll > 0
    return wide


def _from_json(data: bytes) -> dict[str, list[np.ndarray]]:
    held = json.loads(data)
    return {part: [_of_pitches(piece) for piece in held[part]] for part in _PARTS if part in held}


def _of_pitches(frames: Any) -> np.ndarray:
    roll = np.zeros((len(frames), 128), dtype=bool)
    for row, pitches in zip(roll, frames):
        for pitch in pitches:
            if pitch >= 0:
                row[int(pitch)] = True
    return roll


def piece_of(roll: np.ndarray, step: float) -> Piece:
    """Give a roll, bool of shape (frames, 128), as notes of one voice; frames in a row are one note."""
    padded = np.pad(roll.T.astype(np.int8), ((0, 0), (1, 1)))
    change = np.diff(padded, axis=1)
    pitch, first = np.nonzero(change == 1)
    _, last = np.nonzero(change == -1)
    return Piece(first * step, (last - first) * step, pitch)
