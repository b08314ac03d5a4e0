"""What filled-in and completed code is worth: exact match, edit similarity, and whether it parses."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import replace
from difflib import SequenceMatcher
from typing import Any

import numpy as np

from scizoo.errors import ConfigError, DataError
from scizoo.evaluation.generation import Scorer
from scizoo.evaluation.sample_figures import SampleFigure, Statistic
from scizoo_code.fim import Arranged
from scizoo_code.grammars import parse, walk
from scizoo_code.sources import Gap, text_of
from scizoo_code.syntax import LEVELS, Level, end_of

#: Where a prompt that is typed is to be filled in.
FILL = "<fill>"


class GapScorer(Scorer):
    """Judges what was written into gaps.

    What was written ends where the syntax tree says that the statement or block is complete, whether or not
    the model itself stopped there. Measured are, beside what the core measures:

    - ``exact_match``: the share that is what stood there, white space at the end left out;
    - ``edit_similarity``: 2 M / T of Ratcliff and Obershelp, M characters of matching runs of T in both, as
      in CodeXGLUE (Lu et al. 2021, arXiv 2102.04664);
    - ``parses``: the share after which the text that is shown has no more syntax errors than it had;
    - ``bleu``, where it is asked for: BLEU-4 over all gaps, as CodeXGLUE's evaluator computes it (words
      between white space, one added to every count of matches and of candidates).

    Parameters
    ----------
    language : str, optional
        Of the sources; needs a grammar. None: what was written ends with its first line.
    level : {"statement", "rest", "block"}
        Where a model stops, as ``data.level`` says what was left out.
    bleu : bool
        Whether BLEU is measured.
    """

    main = "exact_match"

    def __init__(self, language: str | None = "python", level: Level = "statement", bleu: bool = False):
        if level not in LEVELS:
            raise ConfigError(f"scorer.level={level}", expected=f"one of {', '.join(LEVELS)}")
        self.language, self.level, self.bleu = language, level, bleu

    def key(self, value: Any) -> Hashable | None:
        """Name a gap by its surroundings and what stands in it; None where that is nothing."""
        gap = _gap_of(value)
        if gap is None:  # a text without a gap, such as one of the training part
            return text_of(value) or None
        middle = gap.middle.rstrip()
        return (gap.prefix, gap.suffix, middle) if middle else None

    def text(self, value: Any) -> str:
        """Write what is shown, the gap filled."""
        return text_of(value)

    def read(self, text: str) -> Any:
        """Take a text with ``<fill>`` for one with a gap; without, it is to be gone on with.

        Raises
        ------
        DataError
            When there are several gaps.
        """
        prefix, mark, suffix = text.partition(FILL)
        if FILL in suffix:
            raise DataError(f"the prompt holds {FILL} more than once.", expected="one gap, or none")
        return Arranged(Gap(prefix, suffix), "psm" if mark else "left")

    def prompt(self, value: Any) -> Any | None:
        """Give the gap without what stood in it."""
        gap = _gap_of(value)
        return None if gap is None else _filled(value, replace(gap, middle=""))

    def answer(self, value: Any) -> Any:
        """Give what stood in the gap."""
        gap = _gap_of(value)
        return value if gap is None else gap.middle

    def complete(self, value: Any, answer: Any) -> Any | None:
        """Fill the gap with as much of what was written as completes the statement."""
        gap = _gap_of(value)
        if gap is None:
            return None
        written = answer or ""
        if self.language is None:
            kept = written.partition("\n")[0]
        else:
            kept = written[: end_of(gap.prefix, written, self.language, self.level)]
        return _filled(value, replace(gap, middle=kept))

    def continuations(
        self, keys: Sequence[Hashable | None], references: Sequence[Any]
    ) -> Mapping[str, SampleFigure]:
        """Compare what was written with what stood there; see the class."""
        same, alike, pairs = [], [], []
        for key, reference in zip(keys, references, strict=True):
            gap = _gap_of(reference)
            assert gap is not None
            true = gap.middle.rstrip()
            written = key[2] if isinstance(key, tuple) else ""
            same.append(written == true)
            alike.append(SequenceMatcher(None, written, true, autojunk=False).ratio())
            pairs.append((gap, written))
        found = {
            "exact_match": _share("exact match", same),
            "edit_similarity": _share("edit similarity", alike),
        }
        if self.language is not None:
            found["parses"] = _share("parses", [self._parses(gap, written) for gap, written in pairs])
        if self.bleu:
            statistic = bleu([written for _, written in pairs], [gap.middle for gap, _ in pairs])
            found["bleu"] = SampleFigure("BLEU-4", "higher", statistic=statistic, bounds=(0, 1))
        return found

    def _parses(self, gap: Gap, written: str) -> bool:
        return bool(written) and self._errors(replace(gap, middle=written)) <= self._errors(gap)

    def _errors(self, gap: Gap) -> int:
        assert self.language is not None
        root = parse(gap.source, self.language).root_node
        return sum(node.is_error or node.is_missing for node in walk(root)) if root.has_error else 0


def _gap_of(value: Any) -> Gap | None:
    if isinstance(value, Arranged):
        return value.gap
    return value if isinstance(value, Gap) else None


def _filled(value: Any, gap: Gap) -> Any:
    return replace(value, gap=gap) if isinstance(value, Arranged) else gap


def _share(title: str, values: Sequence[float]) -> SampleFigure:
    return SampleFigure(title, "higher", np.array(values, dtype=float), bounds=(0, 1))


def bleu(written: Sequence[str], references: Sequence[str]) -> Statistic:
    """BLEU-4 of a corpus with one reference each (Papineni et al. 2002), smoothed as CodeXGLUE does.

    Returns
    -------
    callable
        Of weights (B, N) of the pairs, giving (B,).
    """
    matches, possible = np.zeros((len(written), 4)), np.zeros((len(written), 4))
    lengths = np.zeros((len(written), 2))
    for row, (ours, theirs) in enumerate(zip(written, references, strict=True)):
        words, true = ours.split(), theirs.split()
        lengths[row] = len(words), len(true)
        for order in range(1, 5):
            mine, wanted = _ngrams(words, order), _ngrams(true, order)
            matches[row, order - 1] = sum((mine & wanted).values())
            possible[row, order - 1] = max(0, len(words) - order + 1)

    def corpus(weights: np.ndarray) -> np.ndarray:
        precision = (weights @ matches + 1) / (weights @ possible + 1)
        ours, theirs = (weights @ lengths).T
        with np.errstate(divide="ignore"):
            brevity = np.where(ours > 0, np.minimum(1.0, np.exp(1 - theirs / ours)), 0.0)
        return np.asarray(brevity * np.exp(np.log(precision).mean(axis=1)))

    return corpus


def _ngrams(words: Sequence[str], order: int) -> Counter[tuple[str, ...]]:
    return Counter(tuple(words[start : start + order]) for start in range(len(words) - order + 1))
