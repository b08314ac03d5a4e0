"""What a report says of ranks: their histogram, and single searches with what was found instead."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import numpy as np

from scizoo.data.records import Record
from scizoo.evaluation.outputs import Outputs

_LONGEST = 400  # characters of a text that a report shows


def rank_histogram(test: Outputs) -> dict[str, Any]:
    """Count the ranks of right answers in both directions, in bins that double.

    Returns
    -------
    dict
        ``bins``, the first and last rank of each; ``counts`` of records, documents for queries and queries
        for documents; ``candidates``, the mean number of each.
    """
    ranks, candidates = test.require("ranks"), test.require("candidates")
    ends = [1.0]
    while ends[-1] < candidates.max(initial=1):
        ends.append(2 * ends[-1])
    edges = np.array([0.0, *ends])
    # A tie for first place (1.5) is not a first place.
    counts = [np.histogram(np.ceil(ranks[:, way]), bins=edges + 0.5)[0].tolist() for way in (0, 1)]
    bins = [[int(low) + 1, int(high)] for low, high in pairwise(edges)]
    return {"bins": bins, "counts": counts, "candidates": candidates.mean(axis=0).tolist()}


def search_facts(test: Outputs, row: int, records: Mapping[str, Record]) -> dict[str, Any]:
    """Tell of one search: query, right answer and its rank, and what stood before it."""
    ranks, candidates = test.require("ranks"), test.require("candidates")
    mine = records.get(str(test.ids[row]))
    best = [str(one) for one in test.require("answers")[row]]
    return {
        "query": None if mine is None else said(mine.input),
        "true": None if mine is None else said(mine.target) or mine.id,
        "predicted": best[0],
        "rank": float(ranks[row, 0]),
        "candidates": int(candidates[row, 0]),
        "answers": [
            {"id": name, "text": said(records[name].target) if name in records else None} for name in best
        ],
    }


def said(value: Any) -> str | None:
    """Give a text as a report shows it, shortened; None for what is no text."""
    if not isinstance(value, str):
        return None
    return value if len(value) <= _LONGEST else value[: _LONGEST - 1] + "…"
