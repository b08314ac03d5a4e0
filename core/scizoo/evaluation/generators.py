"""Baselines that write records: the contract, and the n-gram model that every language model must beat."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np
import torch

from scizoo.data.tokenizer import TokenTokenizer
from scizoo.data.windows import Context
from scizoo.errors import ConfigError
from scizoo.evaluation.ngram import NGramModel
from scizoo.models.generation import LogitsProcessor, draw_tokens
from scizoo.models.sampling import Drawn, Sampling, uniforms

_CELLS = 8_000_000  # of the table of next-token probabilities


class RecordGenerator(ABC):
    """A baseline that learns from records as tokens and writes new ones.

    Rows are what a language model sees: the tokens of a record with its special tokens. A subclass takes
    its settings as keyword arguments.

    Attributes
    ----------
    title : str
        The name that people read.
    """

    title: str = "the baseline"

    def check(self, starts: Sequence[np.ndarray], tokenizer: TokenTokenizer) -> None:  # noqa: B027 - optional
        """Refuse a tokenizer, or beginnings to go on from, that do not suit, before anything is trained.

        Raises
        ------
        ConfigError
        """

    @abstractmethod
    def fit(
        self, training: Sequence[np.ndarray], validation: Sequence[np.ndarray], tokenizer: TokenTokenizer
    ) -> RecordGenerator:
        """Learn from training records; choose settings on validation records."""

    @abstractmethod
    def log_likelihood(self, rows: Sequence[np.ndarray]) -> np.ndarray:
        """Log-likelihood of each row given its first token, in nats; shape (len(rows),)."""

    @abstractmethod
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
        """Go on from each of some beginnings (N, P), special tokens included, by at most `most` tokens."""


class NGramGenerator(RecordGenerator):
    """The interpolated n-gram model with Witten-Bell smoothing, of the order that suits validation best.

    Parameters
    ----------
    orders : sequence of int
        Lengths of n-grams that are tried.
    """

    def __init__(self, orders: Sequence[int] = (2, 3, 4, 5, 6, 8)):
        self.orders = sorted({int(order) for order in orders})
        if not self.orders or self.orders[0] < 1:
            raise ConfigError(f"baselines: orders={list(orders)}", expected="whole numbers from 1")
        self.title = "the n-gram model"

    def fit(
        self, training: Sequence[np.ndarray], validation: Sequence[np.ndarray], tokenizer: TokenTokenizer
    ) -> NGramGenerator:
        """Count once at the highest order, and keep the order that validation likes best."""
        whole = NGramModel(self.orders[-1], tokenizer.vocab_size).fit(training)
        self.tried = {
            order: whole.truncated(order).bits_per_token(validation or training) for order in self.orders
        }
        self.order = min(self.tried, key=lambda order: self.tried[order])
        self.model = whole.truncated(self.order)
        self.title = f"the {self.order}-gram model"
        return self

    def log_likelihood(self, rows: Sequence[np.ndarray]) -> np.ndarray:
        """Sum the log-probabilities of all tokens but the first; see :class:`RecordGenerator`."""
        if not rows:
            return np.empty(0)
        scores = self.model.log_likelihood(rows)
        starts = np.cumsum([0, *(len(row) for row in rows[:-1])])
        return np.add.reduceat(scores, starts) - scores[starts]

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
        """Write records token by token, refused ones once; see :class:`RecordGenerator`."""
        chunk = max(1, _CELLS // tokenizer.vocab_size)
        constraint = sampling.constrained()
        processor = None if constraint is None else constraint.processor(tokenizer)
        parts = [
            self._chunk(
                starts[some], sampling, tokenizer, context, uniforms(seed, some.tolist(), most), processor
            )
            for some in np.array_split(np.arange(len(starts)), -(-len(starts) // chunk))
        ]
        return Drawn(
            [row for part in parts for row in part.rows],
            np.concatenate([part.finished for part in parts]),
            np.concatenate([part.log_likelihood for part in parts]),
            np.concatenate([part.tokens for part in parts]),
            np.arange(len(starts)),
        )

    def _chunk(
        self,
        ids: np.ndarray,
        sampling: Sampling,
        tokenizer: TokenTokenizer,
        context: Context,
        numbers: np.ndarray,
        processor: LogitsProcessor | None,
    ) -> Drawn:
        count, most = numbers.shape
        end = tokenizer.sep_id if context.add_sep else None
        banned = [token for token in range(len(tokenizer.SPECIAL)) if token != end]
        ended = np.zeros(count, dtype=bool)
        likelihood, tokens = np.zeros(count), np.zeros(count, dtype=np.int64)
        for place in range(most):
            open_rows = np.flatnonzero(~ended)
            probability = self.model.next_token(ids[open_rows, -self.order :])
            logits = torch.from_numpy(np.log(probability))
            if processor is not None:
                logits = processor(torch.from_numpy(ids[open_rows]), logits)
            logits[:, banned] = -torch.inf
            chosen = draw_tokens(
                logits,
                temperature=float(sampling.temperature),
                top_k=sampling.top_k,
                top_p=sampling.top_p,
                numbers=torch.from_numpy(numbers[open_rows, place]),
            ).numpy()
            likelihood[open_rows] += np.log(probability[np.arange(len(open_rows)), chosen])
            tokens[open_rows] += 1
            column = np.full(count, tokenizer.pad_id, dtype=np.int64)
            column[open_rows] = chosen
            ids = np.concatenate([ids, column[:, None]], axis=1)
            if end is not None:
                ended[open_rows[chosen == end]] = True
            if ended.all():
                break
        first = len(tokenizer.SPECIAL)
        return Drawn([row[row >= first] for row in ids], ended, likelihood, tokens, np.zeros(count, int))
