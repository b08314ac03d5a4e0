"""Frames of independent notes given the frame before: the simplest model of the published kind."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from scizoo.data.tokenizer import TokenTokenizer
from scizoo.data.windows import Context
from scizoo.errors import ConfigError
from scizoo.evaluation.generators import RecordGenerator
from scizoo.models.sampling import Drawn, Sampling
from scizoo_music.tokenizers.frames import FrameTokenizer


class FrameBernoulli(RecordGenerator):
    """Logistic regression of each pitch on the pitches of the frame before, pitch by pitch.

    The likelihood of a frame is the product over all pitches of the vocabulary, as in Boulanger-Lewandowski
    et al. 2012 and Bai et al. 2018: the same measure as that of a model of the frame's tokens, without order.

    Parameters
    ----------
    penalties : sequence of float
        Strengths of the squared penalty that are tried on validation.
    """

    def __init__(self, penalties: Sequence[float] = (0.3, 1.0, 3.0, 10.0)):
        self.penalties = [float(one) for one in penalties]
        if not self.penalties or min(self.penalties) <= 0:
            raise ConfigError(f"baselines: penalties={list(penalties)}", expected="numbers above 0")
        self.title = "independent notes given the frame before"

    def check(self, starts: Sequence[np.ndarray], tokenizer: TokenTokenizer) -> None:
        """Refuse tokens that are no frames; see :class:`RecordGenerator`."""
        self._framed(tokenizer)

    def _framed(self, tokenizer: TokenTokenizer) -> FrameTokenizer:
        if not isinstance(tokenizer, FrameTokenizer):
            raise ConfigError(
                f"baselines: {type(self).__name__} knows frames, not what {type(tokenizer).__name__} gives.",
                expected="tokenizer=music/frames",
            )
        return tokenizer

    def fit(
        self, training: Sequence[np.ndarray], validation: Sequence[np.ndarray], tokenizer: TokenTokenizer
    ) -> FrameBernoulli:
        """Fit each penalty on training, and keep the one that validation likes best."""
        self.tokenizer = self._framed(tokenizer)
        before, after = self._pairs(training)
        self.tried = {}
        best = np.inf
        for penalty in self.penalties:
            weights, bias = _logistic(before, after, penalty)
            self.weights, self.bias = weights, bias
            loss = -float(np.mean(np.concatenate([self._frames(row) for row in validation or training])))
            self.tried[penalty] = loss
            if loss < best:
                best, kept = loss, (weights, bias, penalty)
        self.weights, self.bias, self.order = kept
        return self

    def _roll(self, row: np.ndarray) -> np.ndarray:
        """Give the whole frames of a row, shape (frames, pitches)."""
        tokenizer = self.tokenizer
        border = row == tokenizer.sign("/")
        frames = np.cumsum(border) - border
        roll = np.zeros((int(border.sum()), tokenizer.highest - tokenizer.lowest + 1))
        notes = (row >= tokenizer.base + tokenizer.lowest) & (frames < len(roll))
        roll[frames[notes], row[notes] - tokenizer.base - tokenizer.lowest] = 1.0
        return roll

    @staticmethod
    def _before(roll: np.ndarray) -> np.ndarray:
        """Give what each frame is predicted from: the frame before, and whether there is none."""
        first = np.zeros((len(roll), 1))
        first[:1] = 1.0
        return np.concatenate(
            [np.concatenate([np.zeros((1, roll.shape[1])), roll[:-1]])[: len(roll)], first], axis=1
        )

    def _pairs(self, rows: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        rolls = [roll for roll in (self._roll(np.asarray(row)) for row in rows) if len(roll)]
        return np.concatenate([self._before(roll) for roll in rolls]), np.concatenate(rolls)

    def _frames(self, row: np.ndarray) -> np.ndarray:
        """Log-likelihood of each frame of a row."""
        roll = self._roll(np.asarray(row))
        logits = self._before(roll) @ self.weights + self.bias
        return (roll * logits - np.logaddexp(0.0, logits)).sum(axis=1)

    def log_likelihood(self, rows: Sequence[np.ndarray]) -> np.ndarray:
        """Sum the log-likelihoods of the frames; see :class:`RecordGenerator`."""
        return np.array([float(self._frames(row).sum()) for row in rows])

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
        """Draw frame by frame until the tokens are used up; see :class:`RecordGenerator`."""
        rows, sums, counts = [], [], []
        for number, start in enumerate(starts):
            rng = np.random.default_rng([seed, number])
            ids = [int(id) for id in start if id >= len(tokenizer.SPECIAL)]
            given, total = len(ids), 0.0
            roll = self._roll(np.array(ids, dtype=np.int64))
            last = roll[-1] if len(roll) else np.zeros(self.weights.shape[1])
            begun = len(roll) > 0
            while len(ids) - given < most:
                logits = np.append(last, 0.0 if begun else 1.0) @ self.weights + self.bias
                chance = 1 / (1 + np.exp(-logits / max(float(sampling.temperature), 1e-6)))
                last, begun = (rng.random(len(chance)) < chance).astype(float), True
                total += float((last * logits - np.logaddexp(0.0, logits)).sum())
                ids.extend((np.flatnonzero(last) + self.tokenizer.base + self.tokenizer.lowest).tolist())
                ids.append(self.tokenizer.sign("/"))
            rows.append(np.array(ids[: given + most], dtype=np.int64))
            sums.append(total)
            counts.append(len(rows[-1]) - given)
        size = len(starts)
        return Drawn(rows, np.zeros(size, bool), np.array(sums), np.array(counts), np.arange(size))


def _logistic(before: np.ndarray, after: np.ndarray, penalty: float) -> tuple[np.ndarray, np.ndarray]:
    """Fit all pitches at once by L-BFGS; the loss is a sum over pitches, so that they do not mix.

    A pitch that training lacks has the chance of half a note in all its frames, whatever the frame before.
    """
    known, seen = np.append(after.any(axis=0), True), after.any(axis=0)
    weights = np.zeros((before.shape[1], after.shape[1]))
    bias = np.full(after.shape[1], np.log(0.5 / (len(after) + 0.5)))
    weights[np.ix_(known, seen)], bias[seen] = _minimised(before[:, known], after[:, seen], penalty)
    return weights, bias


def _minimised(before: np.ndarray, after: np.ndarray, penalty: float) -> tuple[np.ndarray, np.ndarray]:
    from scipy.optimize import minimize

    width, pitches = before.shape[1], after.shape[1]
    share = after.mean(axis=0).clip(1e-6, 1 - 1e-6)
    start = np.concatenate([np.zeros(width * pitches), np.log(share / (1 - share))])

    def loss(values: np.ndarray) -> tuple[float, np.ndarray]:
        weights, bias = values[: width * pitches].reshape(width, pitches), values[width * pitches :]
        logits = before @ weights + bias
        chance = 1 / (1 + np.exp(-logits))
        cost = float((np.logaddexp(0.0, logits) - after * logits).sum()) + penalty / 2 * float(
            (weights**2).sum()
        )
        slope = chance - after
        return cost, np.concatenate([(before.T @ slope + penalty * weights).ravel(), slope.sum(axis=0)])

    found = minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": 100}).x
    return found[: width * pitches].reshape(width, pitches), found[width * pitches :]
