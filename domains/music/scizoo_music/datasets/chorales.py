"""Four-part chorales: Bach's, which come with music21, or the user's own scores; whole or in excerpts."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from scizoo.data.records import Dataset, Licence, Record
from scizoo.data.sources import fingerprint_files, resolve_files
from scizoo.errors import ConfigError, DataError
from scizoo.files import cache_dir, sha256_json, write_json
from scizoo_music.datasets.tunes import corpus_folder
from scizoo_music.pieces import Key, Meter, Piece, as_piece
from scizoo_music.readers.detect import SUFFIXES, music_format
from scizoo_music.readers.midi import read_midi
from scizoo_music.readers.scores import read_score
from scizoo_music.similarity import MelodySimilarity

log = logging.getLogger(__name__)

_PARTS = 4


class Chorales(Dataset):
    """Four-part chorales on a time grid.

    Without a path they are those by J. S. Bach in the encodings of music21's corpus.

    Chorales with further parts (instruments) are left out and counted. music21 needs some minutes for all of
    them; what it read is kept in scizoo's cache.

    Parameters
    ----------
    path : str, optional
        A file, folder or glob of own scores of four parts (MusicXML, MIDI, Humdrum); None: Bach's chorales.
    excerpt : int, optional
        Cut each chorale into excerpts of so many grid steps, from its beginning; what remains is left out, as
        is an excerpt that ends in silence.
    step : float
        Length of a grid step in quarter beats; notes are put on the grid: each voice has in each step the
        pitch that sounds at the step's beginning. Shorter notes between steps are lost, and said.
    limit : int, optional
        Read only so many chorales, from the first.
    variants : float or None
        Share of common runs of intervals of the soprano from which two chorales are settings of one tune;
        they get the same group, and excerpts of one chorale always do.
    max_rejected : float
    """

    licence = Licence("public-domain scores; encodings shipped with music21 by permission of their encoders")
    citation = "J. S. Bach, four-part chorales, as shipped with music21 (Cuthbert and Ariza 2010, ISMIR)"

    def __init__(
        self,
        path: str | Path | None = None,
        *,
        excerpt: int | None = None,
        step: float | None = 0.5,
        limit: int | None = None,
        variants: float | None = 0.3,
        max_rejected: float = 0.01,
        cache: Path | None = None,
    ):
        super().__init__(max_rejected=max_rejected)
        if excerpt is not None and (excerpt < 1 or step is None):
            raise ConfigError(f"data.excerpt={excerpt}", expected="a number of grid steps, with data.step")
        self.excerpt, self.step, self.limit, self.variants = excerpt, step, limit, variants
        self.path, self.cache = path, cache
        self._silent = 0  # excerpts that were left out
        if path is not None:
            self.licence, self.citation = Dataset.licence, ""

    @property
    def name(self) -> str:
        """What is read."""
        return "Bach chorales of music21's corpus" if self.path is None else str(self.path)

    @cached_property
    def files(self) -> list[Path]:
        """The scores of chorales, by their numbers in Bach's works."""
        if self.path is not None:
            return resolve_files(self.path, self.cache, SUFFIXES)[: self.limit]
        found = sorted((corpus_folder() / "bach").glob("bwv*.mxl"), key=_number)
        return found[: self.limit]

    def fingerprint(self) -> str:
        """Digest of the files and of the reading options."""
        options = [self.excerpt, self.step, self.variants]
        read = 2  # how excerpts are cut; 1 kept those that end in silence
        return sha256_json({"files": fingerprint_files(self.files), "options": options, "excerpts": read})

    def records(self) -> Iterator[Record]:
        """Yield the chorales, or their excerpts."""
        whole = []
        left_out = 0
        for file in self.files:
            try:
                piece = _kept(file) if self.path is None else self._own(file)
            except DataError as error:
                self.rejections.reject(file.name, file.stem, error.problem.removeprefix(f"{file}: "))
                continue
            if piece.voices != _PARTS or piece.voice.max() != _PARTS - 1:
                left_out += 1
                continue
            meta = {
                "key": str(piece.key) if piece.key else None,
                "meter": str(piece.meter),
                "work": file.stem,
            }
            whole.append(Record(file.stem, piece, None, None, meta, file.name))
        if left_out:
            log.info("%s: left out by design: %d have not four parts.", self.name, left_out)
        groups = range(len(whole))
        if self.variants is not None:
            groups = MelodySimilarity(threshold=self.variants).groups(whole).tolist()
        self._silent = 0
        for record, group in zip(whole, groups):
            yield from self._cut(record, whole[group].id)
        if self._silent:
            log.info(
                "%s: left out by design: %d excerpts end in silence or lack a voice.", self.name, self._silent
            )

    @staticmethod
    def _own(file: Path) -> Piece:
        kind = music_format(file)
        if kind not in ("midi", "score"):
            raise DataError(
                f"{file} is no score of several parts.",
                expected="MusicXML, MIDI or Humdrum **kern",
                remedy="leave the file out.",
            )
        return as_piece((read_midi(file) if kind == "midi" else read_score(file)).input)

    def _cut(self, record: Record, group: str) -> Iterator[Record]:
        piece = record.input if self.step is None else gridded(record.input, self.step)
        if self.excerpt is None or self.step is None:
            yield Record(record.id, piece, None, group, record.meta, record.source)
            return
        length = self.excerpt * self.step
        for number in range(int(piece.end / length + 1e-9)):
            part = excerpt_of(piece, number * length, length)
            # One that ends in silence is shorter than the others, and its soprano than their prompts.
            if part is None or part.voices != _PARTS or part.end < length - 1e-6:
                self._silent += 1
                continue
            id = f"{record.id}-{number + 1}"
            yield Record(id, part, None, group, record.meta, f"{record.source}, excerpt {number + 1}")


def gridded(piece: Piece, step: float) -> Piece:
    """Put a piece of single voices on a grid: each voice sounds in a step what it sounds at its beginning."""
    steps = int(np.ceil(piece.end / step - 1e-9))
    columns: list[list[float]] = [[], [], [], []]
    for voice in np.unique(piece.voice).tolist():
        part = piece.part(voice)
        at = np.arange(steps) * step + 1e-6
        note = np.searchsorted(part.onset, at, side="right") - 1
        sounds = (note >= 0) & (at < (part.onset + part.duration)[note])
        first = np.flatnonzero(sounds & (np.diff(np.where(sounds, note, -1), prepend=-1) != 0))
        silent = np.append(np.flatnonzero(~sounds), steps)
        for place, begin in enumerate(first.tolist()):
            stop = int(silent[np.searchsorted(silent, begin)])
            end = min(stop, int(first[place + 1]) if place + 1 < len(first) else steps)
            for column, value in zip(
                columns, (begin * step, (end - begin) * step, part.pitch[note[begin]], voice)
            ):
                column.append(float(value))
    onset, duration, pitch, voices = columns
    kept = piece.select(np.array([0]))  # for what is not notes
    return kept.replaced(onset=onset, duration=duration, pitch=pitch, voice=voices, velocity=None)


def excerpt_of(piece: Piece, start: float, length: float) -> Piece | None:
    """Cut a part out of a piece; a note that is held into it begins there anew. None where nothing sounds."""
    begin = np.maximum(piece.onset, start)
    end = np.minimum(piece.onset + piece.duration, start + length)
    inside = end - begin > 1e-9
    if not inside.any():
        return None
    return piece.select(np.flatnonzero(inside)).replaced(
        onset=begin[inside] - start,
        duration=(end - begin)[inside],
        meters=[piece.meter._replace(onset=0.0)],
        keys=[] if piece.key is None else [piece.key._replace(onset=0.0)],
        pickup=0.0,
    )


def _number(file: Path) -> tuple[Any, ...]:
    return tuple(
        int(word) if word.isdigit() else 0 for word in file.stem.removeprefix("bwv").split(".")
    ), file.stem


def _kept(file: Path) -> Piece:
    """Read a score, or what was read of it before."""
    from importlib.metadata import version

    key = sha256_json([fingerprint_files([file]), version("music21"), 1])[:24]
    place = cache_dir() / "music-scores" / f"{key}.json"
    if place.is_file():
        held = json.loads(place.read_text(encoding="utf-8"))
        return Piece(
            held["onset"],
            held["duration"],
            held["pitch"],
            held["voice"],
            meters=[Meter(*one) for one in held["meters"]],
            keys=[Key(*one) for one in held["keys"]],
            pickup=held["pickup"],
            title=held["title"],
        )
    piece = read_score(file).input
    assert isinstance(piece, Piece)
    place.parent.mkdir(parents=True, exist_ok=True)
    write_json(
        place,
        {
            **{name: getattr(piece, name).tolist() for name in ("onset", "duration", "pitch", "voice")},
            "meters": [list(one) for one in piece.meters],
            "keys": [list(one) for one in piece.keys],
            "pickup": piece.pickup,
            "title": piece.title,
        },
    )
    return piece
