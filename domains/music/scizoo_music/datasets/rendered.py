"""Sounds whose notes are known: folk tunes of music21's corpus, played by the synthesiser."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence

import numpy as np

from scizoo.data.records import Dataset, Record
from scizoo.errors import ConfigError, DataError
from scizoo.files import sha256_json
from scizoo_music.datasets.tunes import FolkTunes
from scizoo_music.pieces import Piece, as_piece
from scizoo_music.sound.sounds import Sound
from scizoo_music.sound.synth import TIMBRES, synthesise

log = logging.getLogger(__name__)

#: Tags besides the instruments: what they say of the excerpt.
TAGS = ("compound", "minor", "fast")
#: Quarter beats a minute from which an excerpt is fast; tempos are drawn from 70 to 190.
_FAST = 130.0


class RenderedTunes(Dataset):
    """Excerpts of folk tunes, played by the built-in synthesiser: synthesised sound, no recordings.

    The melody is played by one instrument, often with a second one in octaves or on a drone of the tonic, at
    a random tempo and transposition, with noise, a random tilt of the spectrum and a random level. The target
    maps tags to 0 and 1: the instruments (piano, plucked, organ, flute, clarinet, strings, brass) and
    ``compound`` (beats of three parts), ``minor`` and ``fast`` (from 130 quarter beats a minute). A tune
    and its variants are one group.

    Parameters
    ----------
    count : int
        Excerpts; each of another tune as long as there are tunes.
    seconds : float
        Of an excerpt.
    rate : int
        Frames a second.
    seed : int
        Of everything that is drawn.
    tags : sequence of str, optional
        Which tags the target has; all by default.
    labelled : bool
        Whether records have a target.
    limit : int, optional
        Choose among so many tunes only.
    max_rejected : float
    """

    def __init__(
        self,
        count: int = 600,
        *,
        seconds: float = 4.0,
        rate: int = 16_000,
        seed: int = 0,
        tags: Sequence[str] | None = None,
        labelled: bool = True,
        limit: int | None = None,
        max_rejected: float = 0.01,
    ):
        super().__init__(max_rejected=max_rejected)
        if count < 1 or seconds <= 0.2:
            raise ConfigError(
                f"data: count={count}, seconds={seconds}", expected="count from 1, seconds above 0.2"
            )
        known = (*TIMBRES, *TAGS)
        unknown = [tag for tag in tags or () if tag not in known]
        if unknown:
            raise ConfigError(f"data.tags: '{unknown[0]}' is no tag.", expected=", ".join(known))
        self.count, self.seconds, self.rate, self.seed = int(count), float(seconds), int(rate), int(seed)
        self.tags, self.labelled = list(tags or known), bool(labelled)
        self.tunes = FolkTunes(limit=limit, max_rejected=max(max_rejected, 0.05 if limit else 0.0))
        self.licence, self.citation = self.tunes.licence, self.tunes.citation

    @property
    def name(self) -> str:
        """What is read."""
        return f"{self.count} synthesised excerpts of {self.tunes.name}"

    def fingerprint(self) -> str:
        """Digest of the tunes and of the options."""
        options = [self.count, self.seconds, self.rate, self.seed, self.tags, self.labelled, 1]
        return sha256_json([self.tunes.fingerprint(), options, "RenderedTunes"])

    def records(self) -> Iterator[Record]:
        """Yield the excerpts."""
        found = [record for record in self.tunes if record.meta.get("mode")]
        lost = self.tunes.rejections.rejected
        if lost:
            log.info(
                "%s: %d tunes cannot be read, such as '%s': %s",
                self.name,
                len(lost),
                lost[0].id,
                lost[0].reason,
            )
        order = np.random.default_rng(self.seed).permutation(len(found))
        for number in range(self.count):
            record = found[order[number % len(found)]]
            draw = np.random.default_rng([self.seed, number])
            try:
                sound, tags = self._excerpt(record, draw)
            except DataError as error:
                self.rejections.reject(record.source, record.id, error.problem)
                continue
            yield Record(
                f"{record.id}-{number}",
                sound,
                {tag: tags[tag] for tag in self.tags} if self.labelled else None,
                record.group,
                {"tune": record.id, "collection": record.meta.get("collection")},
                record.source,
            )

    def _excerpt(self, record: Record, draw: np.random.Generator) -> tuple[Sound, dict[str, int]]:
        tempo = float(draw.uniform(70, 190))
        piece = _beginning(as_piece(record.input), self.seconds * tempo / 60.0)
        shift = int(draw.integers(-5, 7))
        low, high = int(piece.pitch.min()) + shift, int(piece.pitch.max()) + shift
        piece = piece.transposed(shift if low >= 36 and high <= 96 else 0)
        names = list(TIMBRES)
        first = names[int(draw.integers(len(names)))]
        parts = [(piece, first, 1.0)]
        if draw.random() < 0.6:
            second = names[int(draw.integers(len(names)))]
            parts.append((_accompaniment(piece, draw), second, float(draw.uniform(0.35, 0.9))))
        size = round(self.seconds * self.rate)
        mixed = np.zeros(size)
        for part, timbre, level in parts:
            samples = synthesise(part, self.rate, timbre, self.seconds, tempo).mono()[:size]
            mixed[: len(samples)] += level * samples
        played = {timbre for _, timbre, _ in parts}
        meter = piece.meter
        tags = {name: int(name in played) for name in names} | {
            "compound": int(meter.beats % 3 == 0 and meter.beats > 3),
            "minor": int(record.meta["mode"] in ("minor", "dorian", "phrygian")),
            "fast": int(tempo >= _FAST),
        }
        return Sound(_recorded(mixed, draw), self.rate, title=str(record.meta.get("title") or "")), tags


def _beginning(piece: Piece, beats: float) -> Piece:
    kept = piece.onset < max(beats, 1.0)
    return piece.select(kept) if kept.any() else piece


def _accompaniment(piece: Piece, draw: np.random.Generator) -> Piece:
    """Give the melody an octave lower, or a drone on the tonic that is struck anew each bar."""
    if draw.random() < 0.5 and int(piece.pitch.min()) >= 48:
        return piece.transposed(-12)
    tonic = piece.key.tonic_class if piece.key else int(piece.pitch[-1]) % 12
    lines = piece.bars()
    starts = lines[:-1] if len(lines) > 1 else lines
    lengths = np.diff(lines) if len(lines) > 1 else np.array([piece.end])
    return Piece(starts, np.maximum(lengths, 0.25), np.full(len(starts), 48 + tonic))


def _recorded(samples: np.ndarray, draw: np.random.Generator) -> np.ndarray:
    """Add what recordings have: a tilted spectrum, noise at 20 to 45 dB below, and a level of their own."""
    tilt = float(draw.uniform(-0.4, 0.4))
    samples = samples + tilt * np.concatenate([[0.0], samples[:-1]])
    power = float(np.sqrt(np.mean(samples**2))) or 1e-3
    noise = draw.normal(0.0, power * 10 ** (-float(draw.uniform(20, 45)) / 20), len(samples))
    samples = samples + noise
    peak = float(np.abs(samples).max()) or 1.0
    return (samples * (float(draw.uniform(0.2, 0.95)) / peak)).astype(np.float32)
