"""Judging generated records: what a domain fills in, and the figures that every field shares."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from scizoo.data.targets import input_key
from scizoo.errors import ConfigError, did_you_mean
from scizoo.evaluation.memorised import CopyIndex
from scizoo.evaluation.sample_figures import SampleFigure, length_distance, linearised, mean_of, pick


@dataclass(frozen=True)
class Generated:
    """Records that one contender wrote, or real ones in their place.

    Parameters
    ----------
    inputs : list
        The field's objects; None where the tokens stand for none.
    rows : list of ndarray of int
        The same as tokens, without special tokens and without what was given as a prompt.
    references : list, optional
        The held-out record whose beginning each was given, where records are continued.
    answers : list, optional
        What was written after a prompt that the scorer chose, as the field's objects; see
        :meth:`Scorer.prompt`.
    """

    inputs: list[Any]
    rows: list[np.ndarray]
    references: list[Any] | None = None
    answers: list[Any] | None = None

    def __len__(self) -> int:
        return len(self.inputs)


class Scorer(ABC):
    """Judges generated records as a field does.

    :meth:`fit` sees the training and held-out records once, :meth:`score` each contender's records. A
    subclass fills in :meth:`key`, and :meth:`figures` for what only its field can measure. What needs no
    knowledge of a field is done here: validity, uniqueness, novelty, copies and lengths.
    """

    #: The figure of which the verdict speaks; a task's ``metric`` goes before it.
    main: str = "validity"

    def fit(self, training: Sequence[Any], heldout: Sequence[Any], tokens: TokenView) -> Scorer:
        """Take in what generated records are compared with.

        Parameters
        ----------
        training, heldout : sequence
            ``Record.input`` of the training and of the test part.
        tokens : TokenView
            The same as tokens.
        """
        self._known = {key for key in self.known_keys(training) if key is not None}
        self._copies = CopyIndex(tokens.training)
        self._lengths = np.array([len(row) for row in tokens.heldout])
        self.prepare(training, heldout)
        return self

    def prepare(self, training: Sequence[Any], heldout: Sequence[Any]) -> None:  # noqa: B027 (optional)
        """Compute what :meth:`figures` needs of the training and held-out records."""

    @abstractmethod
    def key(self, value: Any) -> Hashable | None:
        """Name a record canonically: equal records have equal keys. None where it is not valid."""

    def keys(self, values: Sequence[Any]) -> list[Hashable | None]:
        """Name many records; a domain that can do many at once overrides this."""
        return [self.key(value) for value in values]

    def known_keys(self, training: Sequence[Any]) -> list[Hashable | None]:
        """Name the training records; overridden where their keys are known without parsing each again."""
        return self.keys(training)

    def text(self, value: Any) -> str:
        """Write a record as one line for ``samples.csv`` and the report."""
        return str(value)

    def read(self, text: str) -> Any:
        """Turn a prompt that was typed into the field's object; the opposite of :meth:`text`.

        Raises
        ------
        DataError
            When it cannot be read.
        """
        return text

    def prompt(self, value: Any) -> Any | None:
        """Give the part of a held-out record that a model is handed, to write the rest.

        Returns
        -------
        object or None
            What the tokenizer encodes; ``samples.count`` answers to each are written. None, the default:
            records have no prompts of their own.
        """
        return None

    def answer(self, value: Any) -> Any:
        """Give the rest of a held-out record after its :meth:`prompt`: what a perfect model would write."""
        return value

    def complete(self, value: Any, answer: Any) -> Any | None:
        """Give a held-out record with what was written in the place of its own rest.

        A field whose records end by their own grammar ends what was written there, if the model went on.

        Parameters
        ----------
        value : Any
            A record that has a :meth:`prompt`.
        answer : Any
            What was written after that prompt; None where the tokens stand for nothing.

        Returns
        -------
        object or None
            None, the default: prompt and answer are read together, as the tokenizer gives them back.
        """
        return None

    def continuations(
        self, keys: Sequence[Hashable | None], references: Sequence[Any]
    ) -> Mapping[str, SampleFigure]:
        """Compare records that were begun by held-out ones with how those go on.

        Parameters
        ----------
        keys : sequence
            Of the written records.
        references : sequence
            The held-out record from which each got its beginning.
        """
        same = [key is not None and key == self.key(one) for key, one in zip(keys, references, strict=True)]
        return {
            "exact_match": SampleFigure("exact match", "higher", np.array(same, dtype=float), bounds=(0, 1))
        }

    def figures(
        self, generated: Sequence[Any], keys: Sequence[Hashable | None]
    ) -> Mapping[str, SampleFigure]:
        """Measure what only the field can.

        Parameters
        ----------
        generated : sequence
            The field's objects, None where undecodable.
        keys : sequence
            Their canonical names, None where not valid.

        Returns
        -------
        mapping of str to SampleFigure
        """
        return {}

    def score(self, generated: Generated) -> dict[str, SampleFigure]:
        """Measure one contender's records.

        Returns
        -------
        dict of str to SampleFigure
            ``validity``, ``uniqueness``, ``novelty``, ``longest_copy``, ``copied_share``,
            ``length_distance`` and the field's own; ``exact_match`` where records are continued.
        """
        keys = [None if one is None else self.key(one) for one in generated.inputs]
        return {
            **_identity_figures(keys, self._known),
            **({} if generated.references is None else self.continuations(keys, generated.references)),
            **self.figures(generated.inputs, keys),
            **self._token_figures(generated.rows),
        }

    def _token_figures(self, rows: Sequence[np.ndarray]) -> dict[str, SampleFigure]:
        lengths = np.array([len(row) for row in rows])
        runs = self._copies.longest(rows)
        return {
            "longest_copy": SampleFigure(
                "longest copied run (tokens)", "lower", runs.astype(float), bounds=(0, np.inf)
            ),
            "copied_share": SampleFigure(
                "longest copied run (share)",
                "lower",
                np.where(lengths > 0, runs / np.maximum(lengths, 1), np.nan),
                bounds=(0, 1),
            ),
            "length_distance": SampleFigure(
                "length distance (tokens)",
                "lower",
                statistic=length_distance(lengths, self._lengths),
                bounds=(0, np.inf),
            ),
        }


class TextScorer(Scorer):
    """Judges records of any field by what needs no knowledge of it: every record is valid as it stands."""

    main = "novelty"

    def key(self, value: Any) -> Hashable | None:
        """Name a record by its content."""
        return input_key(value)


@dataclass(frozen=True)
class TokenView:
    """Training and held-out records as tokens, special tokens left out."""

    training: Sequence[np.ndarray] = field(default_factory=list)
    heldout: Sequence[np.ndarray] = field(default_factory=list)


def _identity_figures(keys: Sequence[Hashable | None], known: set[Hashable]) -> dict[str, SampleFigure]:
    """Validity, uniqueness and novelty, as Polykovskiy et al. 2020 (Front. Pharmacol. 11, 565644) count them.

    Validity is the share of valid samples; uniqueness the share of distinct ones among the valid; novelty
    the share of the distinct valid ones that are not in training.
    """
    valid = np.array([key is not None for key in keys], dtype=bool)
    rows = np.flatnonzero(valid)
    times = Counter(key for key in keys if key is not None)
    copies = np.array([float(times[key]) for key in keys if key is not None])
    unseen = np.full(len(keys), np.nan)
    unseen[rows] = [float(key not in known) for key in keys if key is not None]
    found = {"validity": SampleFigure("validity", "higher", valid.astype(float), bounds=(0, 1))}
    nothing = "no sample is valid"
    if not len(rows):
        return found | {
            name: SampleFigure(name, "higher", unseen, reason=nothing) for name in ("uniqueness", "novelty")
        }
    unique = linearised(len(times) / len(rows), (copies == 1).astype(float))
    shares = np.ones(len(keys))
    shares[rows] = 1.0 / copies
    return found | {
        "uniqueness": SampleFigure("uniqueness", "higher", statistic=pick(unique, rows), bounds=(0, 1)),
        "novelty": SampleFigure("novelty", "higher", unseen, mean_of(unseen, shares), (0, 1)),
    }


def main_figure(scorer: Scorer, wanted: str | None, figures: Mapping[str, SampleFigure]) -> str:
    """Name the figure of which the verdict speaks.

    Raises
    ------
    ConfigError
        When the task names one that the scorer does not measure.
    """
    name = wanted or scorer.main
    if name not in figures:
        raise ConfigError(
            f"task.metric={name}: {type(scorer).__name__} does not measure it; {did_you_mean(name, figures)}"
        )
    return name
