"""How likely contenders find held-out records, and which of two finds them likelier."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from scizoo.evaluation.intervals import Estimate, PairedResult, estimate_function, group_weights
from scizoo.evaluation.sample_figures import mean_of, paired_result

#: Names of the figures of held-out records.
NLL_TOKEN, NLL_RECORD = "nll_per_token", "nll_per_record"


def nll_per(unit: str) -> str:
    """Name the negative log-likelihood per unit of a tokenizer."""
    return f"nll_per_{unit}"


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
    units : ndarray, shape (R,), optional
        How many of the units that is which the tokenizer states likelihood per.
    unit : str
        Their name.
    """

    sums: np.ndarray
    tokens: np.ndarray
    groups: np.ndarray
    units: np.ndarray | None = None
    unit: str = ""

    def per_token(self, weights: np.ndarray) -> np.ndarray:
        """Negative log-likelihood per token under weights (B, R)."""
        return -(weights @ self.sums) / np.maximum(weights @ self.tokens, 1)

    def estimates(self, *, resamples: int, level: float) -> dict[str, Estimate]:
        """Give the negative log-likelihood per token, unit and record, bootstrapped over groups."""
        settings: dict[str, Any] = {"resamples": resamples, "level": level}
        units = self.units
        own = (
            {}
            if units is None
            else {
                nll_per(self.unit): estimate_function(
                    lambda weights: -(weights @ self.sums) / np.maximum(weights @ units, 1),
                    self.groups,
                    **settings,
                )
            }
        )
        return {
            **own,
            NLL_TOKEN: estimate_function(self.per_token, self.groups, **settings),
            NLL_RECORD: estimate_function(mean_of(-self.sums), self.groups, **settings),
        }


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
