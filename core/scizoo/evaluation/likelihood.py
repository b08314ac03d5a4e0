"""How likely contenders find held-out records, and which of two finds them likelier."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from scizoo.evaluation.intervals import Estimate, PairedResult, estimate_function, group_weights
from scizoo.evaluation.sample_figures import mean_of, paired_result

#: Names of the figures of held-out records.
NLL_TOKEN, NLL_RECORD = "nll_per_token", "nll_per_record"


@dataclass(frozen=True)
class Likelihood:
    """How likely a contender finds each held-out record.

    Parameters
    ----------
    sums : ndarray, shape (R,)
        Log-likelihood of each record, in nats.
    tokens : ndarray, shape (R,)
        How many tokens that is.
    groups : ndarray of str, shape (R,)
    sizes : ndarray, shape (R,), optional
        How many units each record has, where its tokenizer names one; see
        :attr:`~scizoo.data.tokenizer.TokenTokenizer.unit`.
    unit : str, optional
        That unit, such as "byte".
    in_nats : bool
        Whether the field states the likelihood per unit in nats; in bits otherwise.
    """

    sums: np.ndarray
    tokens: np.ndarray
    groups: np.ndarray
    sizes: np.ndarray | None = None
    unit: str | None = None
    in_nats: bool = False

    def per_token(self, weights: np.ndarray) -> np.ndarray:
        """Negative log-likelihood per token under weights (B, R)."""
        return -(weights @ self.sums) / np.maximum(weights @ self.tokens, 1)

    def per_unit(self, weights: np.ndarray) -> np.ndarray:
        """Bits or nats per unit under weights (B, R); tokenizers do not change what a unit is."""
        assert self.sizes is not None
        base = 1.0 if self.in_nats else np.log(2)
        return -(weights @ self.sums) / base / np.maximum(weights @ self.sizes, 1)

    def unit_metric(self) -> tuple[str, str] | None:
        """Give the name and the title of the figure per unit, where there is a unit."""
        if self.unit is None:
            return None
        if self.in_nats:
            return f"nll_per_{self.unit}", f"NLL per {self.unit}"
        return bits_per(self.unit), f"bits per {self.unit}"

    def estimates(self, *, resamples: int, level: float) -> dict[str, Estimate]:
        """Give the likelihood per token, record and unit (where there is one), bootstrapped over groups."""
        settings: dict[str, Any] = {"resamples": resamples, "level": level}
        found = {
            NLL_TOKEN: estimate_function(self.per_token, self.groups, **settings),
            NLL_RECORD: estimate_function(mean_of(-self.sums), self.groups, **settings),
        }
        named = self.unit_metric()
        if named is not None and self.sizes is not None:
            found[named[0]] = estimate_function(self.per_unit, self.groups, **settings)
        return found


def bits_per(unit: str) -> str:
    """Name the figure of the likelihood per unit."""
    return f"bits_per_{unit}"


def difference_of_likelihood(
    first: Likelihood, second: Likelihood, *, resamples: int, level: float
) -> PairedResult:
    """Compare the likelihood per token of the same held-out records, paired over their groups."""
    groups = len(np.unique(first.groups))
    facts: dict[str, Any] = {"level": level, "records": len(first.groups), "groups": groups}
    ones = np.ones((1, len(first.groups)))
    values = [float(one.per_token(ones)[0]) for one in (first, second)]
    if groups < 2:
        nan = float("nan")
        reason = "one group of test records gives no interval"
        return PairedResult(values[1] - values[0], nan, nan, nan, **facts, reason=reason)
    weights = group_weights(first.groups, resamples, np.random.default_rng(0))
    return paired_result(-1.0, values, second.per_token(weights) - first.per_token(weights), facts)
