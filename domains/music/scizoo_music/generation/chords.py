"""The classical harmoniser: the chord that is likeliest after the last one, below this soprano note."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Hashable, Iterator, Sequence

import numpy as np

from scizoo.data.tokenizer import TokenTokenizer
from scizoo.data.windows import Context
from scizoo.errors import ConfigError
from scizoo.evaluation.generators import RecordGenerator
from scizoo.evaluation.ngram import NGramModel
from scizoo.models.sampling import Drawn, Sampling, uniforms
from scizoo_music.tokenizers.chorale import ChoraleTokenizer

_Chord = tuple[int, ...]


class ChordTable(RecordGenerator):
    """A Markov chain of chords given the soprano, smoothed (Allan and Williams 2005, NIPS 17).

    A chord is the tokens of the voices below the soprano in one step. Its probability is interpolated
    (Witten-Bell) from how often it stood, in training, anywhere; below this soprano token and pitch; with the
    soprano's last pitch and next token besides; and with the chord before. At the bottom each voice's own
    tokens are independent, so that no chord is impossible. The soprano itself is an n-gram model.

    Parameters
    ----------
    order : int
        Of the soprano's n-grams.
    """

    def __init__(self, order: int = 4):
        if order < 1:
            raise ConfigError(f"baselines: order={order}", expected="from 1")
        self.order = order
        self.title = "the chord table"

    def check(self, starts: Sequence[np.ndarray], tokenizer: TokenTokenizer) -> None:
        """Refuse tokens without the soprano first, and beginnings that are no whole soprano.

        Raises
        ------
        ConfigError
        """
        line = _harmony(tokenizer).sign("|")
        for start in starts:
            if start[-1] != line:
                raise ConfigError(
                    f"{self.title} harmonises whole sopranos alone, and one of {len(start) - 1} tokens lacks "
                    "its closing mark.",
                    remedy="set samples.prompt_tokens to the grid steps of an excerpt (data.excerpt) and one "
                    "more, or baselines.chords=null.",
                )

    def fit(
        self, training: Sequence[np.ndarray], validation: Sequence[np.ndarray], tokenizer: TokenTokenizer
    ) -> ChordTable:
        """Count chords by their contexts."""
        tokenizer = _harmony(tokenizer)
        self.tokenizer, self._line = tokenizer, tokenizer.sign("|")
        self._size, self._below = tokenizer.vocab_size, tokenizer.voices - 1
        self.soprano = NGramModel(self.order, self._size).fit(
            [self._soprano(np.asarray(row)) for row in training]
        )
        self._counts: list[dict[Hashable, Counter[_Chord]]] = [defaultdict(Counter) for _ in range(4)]
        self._voices = np.ones((self._below, self._size))
        for row in training:
            for chord, contexts in self._steps(np.asarray(row)):
                for level, context in enumerate(contexts):
                    self._counts[level][context][chord] += 1
                self._voices[np.arange(self._below), list(chord)] += 1
        self._voices /= self._voices.sum(axis=1, keepdims=True)
        return self

    def _soprano(self, row: np.ndarray) -> np.ndarray:
        line = np.flatnonzero(row == self._line)
        return row[: line[0] + 1] if len(line) else row

    def _steps(self, row: np.ndarray) -> Iterator[tuple[_Chord, list[Hashable]]]:
        """Yield each whole chord of a row with its contexts, from the widest to the narrowest."""
        soprano = self._soprano(row)
        begin = int(soprano[0] < len(self.tokenizer.SPECIAL))
        notes, rest = soprano[begin:-1], row[len(soprano) :]
        rest = rest[rest >= len(self.tokenizer.SPECIAL)]
        chords = rest[: len(rest) // self._below * self._below].reshape(-1, self._below)[: len(notes)]
        before: _Chord = ()
        contexts = self._contexts(notes)
        for place, chord in enumerate(map(tuple, chords.tolist())):
            yield chord, [*contexts[place], (contexts[place][1], before)]
            before = chord

    def _contexts(self, notes: np.ndarray) -> list[list[Hashable]]:
        """Give of each step of a soprano the contexts that need no chord."""
        made: list[list[Hashable]] = []
        sounds = last = -1
        for place, token in enumerate(notes.tolist()):
            if token != self.tokenizer.sign("-"):
                last, sounds = sounds, token
            following = int(notes[place + 1]) if place + 1 < len(notes) else -1
            made.append([(), (token, sounds), (token, sounds, last, following)])
        return made

    def _probabilities(self, contexts: Sequence[Hashable]) -> tuple[dict[_Chord, float], float]:
        """Give the chords seen in these contexts with their probabilities, and the weight of the unseen."""
        found: dict[_Chord, float] = {}
        floor = 1.0
        for level, context in enumerate(contexts):
            counts = self._counts[level].get(context)
            if not counts:
                continue
            total, kinds = sum(counts.values()), len(counts)
            held = kinds / (total + kinds)
            found = {chord: value * held for chord, value in found.items()}
            floor *= held
            for chord, count in counts.items():
                found[chord] = found.get(chord, 0.0) + count / (total + kinds)
        return found, floor

    def _independent(self, chord: _Chord) -> float:
        return float(np.prod(self._voices[np.arange(self._below), list(chord)]))

    def log_likelihood(self, rows: Sequence[np.ndarray]) -> np.ndarray:
        """Sum the log-probabilities of the soprano and of the chords; see :class:`RecordGenerator`."""
        sums = np.zeros(len(rows))
        for number, row in enumerate(rows):
            ids = np.asarray(row)
            soprano = self._soprano(ids)
            sums[number] = float(self.soprano.log_likelihood([soprano])[1:].sum())
            for chord, contexts in self._steps(ids):
                seen, floor = self._probabilities(contexts)
                sums[number] += np.log(seen.get(chord, 0.0) + floor * self._independent(chord))
        return sums

    def draw(
        self,
        starts: np.ndarray,
        sampling: Sampling,
        tokenizer: TokenTokenizer,
        context: Context,
        *,
        most: int,
        seed: int,
    ) -> Drawn:
        """Harmonise the sopranos that are given; see :class:`RecordGenerator`.

        Raises
        ------
        ConfigError
            When a prompt does not hold a whole soprano.
        """
        self.check(list(starts), tokenizer)
        rows, sums, counts = [], [], []
        numbers = uniforms(seed, range(len(starts)), most)
        for start, draws in zip(starts, numbers):
            ids = np.asarray(start)
            notes = ids[ids >= len(tokenizer.SPECIAL)][:-1]
            before: _Chord = ()
            total = 0.0
            chords: list[int] = []
            for place, known in enumerate(self._contexts(notes)[: most // self._below]):
                seen, floor = self._probabilities([*known, (known[1], before)])
                before = self._choose(seen, sampling, float(draws[place]))
                total += np.log(seen[before] + floor * self._independent(before))
                chords.extend(before)
            rows.append(np.concatenate([notes, [self._line], chords]).astype(np.int64))
            sums.append(total)
            counts.append(len(chords))
        size = len(starts)
        return Drawn(rows, np.ones(size, bool), np.array(sums), np.array(counts), np.arange(size))

    @staticmethod
    def _choose(seen: dict[_Chord, float], sampling: Sampling, number: float) -> _Chord:
        """Draw among the chords that were seen: the likeliest at temperature 0."""
        chords = sorted(seen, key=lambda chord: (-seen[chord], chord))
        if sampling.temperature == 0:
            return chords[0]
        weights = np.array([seen[chord] for chord in chords]) ** (1 / float(sampling.temperature))
        return chords[
            int(
                np.searchsorted(np.cumsum(weights) / weights.sum(), number, side="right").clip(
                    0, len(chords) - 1
                )
            )
        ]


def _harmony(tokenizer: TokenTokenizer) -> ChoraleTokenizer:
    if not isinstance(tokenizer, ChoraleTokenizer) or tokenizer.order != "soprano_first":
        raise ConfigError(
            "baselines: the chord table needs the soprano first.", expected="tokenizer=music/harmony"
        )
    return tokenizer
