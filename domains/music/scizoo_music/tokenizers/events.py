"""Event tokens of notes by miditok: REMI, structured, compound words."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from scizoo.data.ragged import Ragged
from scizoo.data.tokenizer import TokenTokenizer
from scizoo.data.units import add_up
from scizoo.errors import CheckpointError, ConfigError, DataError, did_you_mean
from scizoo_music.pieces import Meter, Piece, as_piece
from scizoo_music.writing import symusic_score

#: Schemes by name: miditok's class, and whether a step has several ids.
SCHEMES = {"remi": ("REMI", False), "structured": ("Structured", False), "cpword": ("CPWord", True)}
#: Meters of the vocabulary, by the unit.
METERS = {2: [2, 3, 4], 4: [1, 2, 3, 4, 5, 6, 7], 8: [3, 4, 5, 6, 7, 8, 9, 10, 11, 12], 16: [3, 6, 9, 12]}
_FILE = "miditok.json"
_VOICES = 16


class EventTokenizer(TokenTokenizer):
    """Notes as a stream of events, in miditok's schemes.

    ``remi`` (Huang and Yang 2020) has bars, positions, pitches and durations; ``structured`` (Hadjeres and
    Crestel 2021) time shifts, pitches and durations in a fixed order; ``cpword`` (Hsiao et al. 2021) groups
    these into compound words. Compound words have several ids a step: here they are flattened to one stream,
    each word its family token and then those of its parts that are not to be ignored, so that a causal model
    of one vocabulary writes them part by part and nothing is lost.

    Voices travel as the programs of miditok's tracks, so that four voices come back as four. Times are
    rounded to ``resolution`` steps a quarter beat; notes last at most ``longest`` quarter beats. Keys,
    tempos, velocities and programs are not kept; meters are, by ``remi`` and ``cpword``.

    Parameters
    ----------
    scheme : {"remi", "structured", "cpword"}
    resolution : int
        Steps a quarter beat; 12 holds sixteenths and triplets.
    longest : int
        Quarter beats of the longest duration.
    lowest, highest : int
        MIDI pitches of the vocabulary.
    """

    def __init__(
        self,
        scheme: str = "remi",
        resolution: int = 12,
        longest: int = 8,
        lowest: int = 21,
        highest: int = 108,
    ):
        if scheme not in SCHEMES:
            raise ConfigError(f"tokenizer.scheme={scheme}: {did_you_mean(scheme, SCHEMES)}")
        if not 1 <= resolution <= 96 or not 1 <= longest <= 64 or not 0 <= lowest < highest <= 127:
            raise ConfigError(
                f"tokenizer: resolution={resolution}, longest={longest}, lowest={lowest}, highest={highest}",
                expected="1 to 96 steps, 1 to 64 quarter beats, MIDI pitches from 0 to 127",
            )
        self.scheme, self.resolution, self.longest = scheme, resolution, longest
        self.lowest, self.highest = lowest, highest

    @cached_property
    def inner(self) -> Any:
        """Miditok's own tokenizer."""
        import miditok  # imports torch

        config = miditok.TokenizerConfig(
            pitch_range=(self.lowest, self.highest + 1),
            beat_res={(0, self.longest): self.resolution},
            special_tokens=["PAD"],
            use_velocities=False,
            use_time_signatures=self.scheme != "structured",
            time_signature_range=METERS,
            use_programs=True,
            one_token_stream_for_programs=True,
            programs=list(range(_VOICES)),
            remove_duplicated_notes=True,
        )
        return getattr(miditok, SCHEMES[self.scheme][0])(config)

    @property
    def compound(self) -> bool:
        """Whether miditok gives several ids a step."""
        return SCHEMES[self.scheme][1]

    @cached_property
    def _vocab(self) -> tuple[str, ...]:
        held = self.inner.vocab
        if not self.compound:
            return (*self.SPECIAL, *sorted(held, key=held.get))
        parts = [f"{number}:{token}" for number, one in enumerate(held) for token in sorted(one, key=one.get)]
        return (*self.SPECIAL, *parts)

    @cached_property
    def _bases(self) -> np.ndarray:
        """Where the ids of each part of a compound word begin."""
        sizes = [len(one) for one in self.inner.vocab]
        return len(self.SPECIAL) + np.cumsum([0, *sizes[:-1]])

    @cached_property
    def _ignored(self) -> np.ndarray:
        """The id of each part that says nothing."""
        return np.array([one.get("Ignore_None", -1) for one in self.inner.vocab])

    @property
    def vocab(self) -> Sequence[str]:
        """Special tokens, then miditok's; parts of compound words have the number of the part before them."""
        return self._vocab

    def encode(self, inputs: Sequence[Any]) -> dict[str, Ragged]:
        """Encode pieces into ``input_ids``, int32, one row a piece.

        Raises
        ------
        DataError
            When a pitch, voice or meter is not in the vocabulary.
        """
        rows = [self._row(place, as_piece(input)) for place, input in enumerate(inputs)]
        return {"input_ids": Ragged.from_rows(rows, np.int32)}

    def _row(self, place: int, piece: Piece) -> np.ndarray:
        if piece.pitch.min() < self.lowest or piece.pitch.max() > self.highest:
            raise DataError(
                f"Input {place} has pitches {piece.pitch.min()} to {piece.pitch.max()}.",
                expected=f"MIDI pitches {self.lowest} to {self.highest}",
                remedy="set tokenizer.lowest and tokenizer.highest, and train a new model.",
            )
        if piece.voice.max() >= _VOICES:
            raise DataError(f"Input {place} has more than {_VOICES} voices.", remedy="leave the piece out.")
        strange = [str(one) for one in piece.meters if one.beats not in METERS.get(one.unit, ())]
        if strange and self.scheme != "structured":
            raise DataError(
                f"Input {place} has the meter {strange[0]}, which is not in the vocabulary.",
                expected="/2, /4, /8 and /16 meters of usual length",
                remedy="take tokenizer.scheme=structured, which has no meters, or leave the piece out.",
            )
        found = self.inner.encode(symusic_score(piece, by_voice=True))
        sequence = found[0] if isinstance(found, list) else found
        ids = np.asarray(sequence.ids, dtype=np.int64)
        if not self.compound:
            return ids + len(self.SPECIAL)
        return (ids + self._bases)[ids != self._ignored]

    def decode(self, ids: Sequence[int]) -> Piece:
        """Give the notes back; special tokens are left out.

        Raises
        ------
        DataError
            When the tokens stand for no note, or not in an order that miditok understands.
        """
        row = np.asarray(ids, dtype=np.int64)
        row = row[row >= len(self.SPECIAL)]
        given = self._words(row).tolist() if self.compound else (row - len(self.SPECIAL)).tolist()
        try:
            score = self.inner.decode(given)
            return self._piece(score)
        except (ValueError, KeyError, IndexError, TypeError, AttributeError, ZeroDivisionError) as error:
            # What miditok runs into on tokens that a model put in an order of its own.
            raise DataError(
                f"the tokens stand for no piece: {error}.", expected=f"{self.scheme} events"
            ) from error

    def _words(self, row: np.ndarray) -> np.ndarray:
        """Put a flattened row together into compound words, shape (words, parts)."""
        part = np.searchsorted(self._bases, row, side="right") - 1
        word = np.cumsum(part == 0) - 1
        known = word >= 0
        words = np.tile(self._ignored, (int(word.max(initial=-1)) + 1, 1))
        words[word[known], part[known]] = (row - self._bases[part])[known]
        return words

    def _piece(self, score: Any) -> Piece:
        beat = float(score.ticks_per_quarter)
        columns: dict[str, list[np.ndarray]] = {"time": [], "duration": [], "pitch": [], "voice": []}
        for track in score.tracks:
            notes = track.notes.numpy()
            for key in ("time", "duration", "pitch"):
                columns[key].append(np.asarray(notes[key], dtype=np.int64))
            columns["voice"].append(np.full(len(notes["time"]), int(track.program)))
        if not any(len(one) for one in columns["time"]):
            raise ValueError("there is no note")
        table = {key: np.concatenate(value) for key, value in columns.items()}
        meters: list[Meter] = []
        if self.scheme != "structured":
            for one in score.time_signatures:
                meter = Meter(one.time / beat, one.numerator, one.denominator)
                if not meters or meter[1:] != meters[-1][1:]:
                    meters.append(meter)
        return Piece(
            table["time"] / beat, table["duration"] / beat, table["pitch"], table["voice"], meters=meters
        )

    def attribute(self, input: Any, scores: np.ndarray) -> dict[str, np.ndarray]:
        """Give a number a note of the piece.

        A duration belongs to the note before it; bars, positions, meters and voices to the note that follows.
        """
        piece = as_piece(input)
        row = self._row(0, piece)
        waiting: dict[tuple[int, int], list[int]] = {}
        for note in range(len(piece) - 1, -1, -1):  # the first one is taken first
            waiting.setdefault((int(piece.voice[note]), int(piece.pitch[note])), []).append(note)
        events = [self.vocab[int(id)].rpartition(":")[2].partition("_")[::2] for id in row]
        places = np.full(len(row), -1)
        begun, last = 0, -1
        for place, (kind, value) in enumerate(events):
            if kind == "Pitch":
                waits = waiting.get((self._voice_at(events, place), int(value)))
                if waits:
                    last = waits.pop()
            elif kind not in ("Duration", "Program") or last < 0 or (kind == "Program" and not self.compound):
                continue
            places[begun : place + 1] = last
            begun = place + 1
        places[begun:] = last
        known = places >= 0
        return {"notes": add_up(places[known], scores[known], len(piece))}

    def _voice_at(self, events: Sequence[tuple[str, str]], place: int) -> int:
        """Find the voice of a pitch: in a compound word it comes after the pitch, else before it."""
        steps = range(place + 1, len(events)) if self.compound else range(place - 1, -1, -1)
        return next((int(events[one][1]) for one in steps if events[one][0] == "Program"), 0)

    def settings(self) -> dict[str, Any]:
        """Return the scheme, the grid and the range."""
        names = ("scheme", "resolution", "longest", "lowest", "highest")
        return {name: getattr(self, name) for name in names}

    def save_files(self, folder: Path) -> None:
        """Write miditok's own file, which miditok opens without scizoo, and the vocabulary as it is here."""
        self.inner.save(folder / _FILE)
        (folder / "vocabulary.json").write_text(json.dumps(self._vocab, indent=0) + "\n", encoding="utf-8")

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any], folder: Path) -> EventTokenizer:
        """Build the tokenizer again, and check that this miditok has the same vocabulary.

        Raises
        ------
        CheckpointError
            When another release of miditok gives other tokens.
        """
        made = cls(**settings)
        place = Path(folder) / "vocabulary.json"
        if place.is_file() and tuple(json.loads(place.read_text(encoding="utf-8"))) != made._vocab:
            raise CheckpointError(
                f"{place}: the installed miditok has other tokens than the one this was trained with.",
                remedy="install the version of miditok that scizoo.json names.",
            )
        return made

    def fingerprint(self) -> str:
        """Return a digest of the settings and the vocabulary."""
        text = json.dumps([type(self).__qualname__, 1, self.settings(), self._vocab], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()
