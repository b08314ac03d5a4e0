"""Columns that alone give the target away: a decision tree on one column, judged on held-out groups."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from scizoo.data.records import Record
from scizoo.data.splits import Split

_CATEGORIES = 64  # of a column of words; rarer ones are taken together
_LEAVES = 64
_MOST = 4000  # records that are looked at


@dataclass(frozen=True)
class Shortcut:
    """How well one column alone predicts the target.

    Parameters
    ----------
    column : str
    skill : float
        0 is no better than chance (or the mean), 1 is perfect: balanced accuracy, rescaled so that
        guessing is 0, or R2; of the best label or target column.
    threshold : float
        The highest skill with permuted targets; NaN where the skill was too low to test.
    """

    column: str
    skill: float
    threshold: float

    @property
    def beyond_chance(self) -> bool:
        """Whether it predicts better than with any permutation of the targets."""
        return self.skill > self.threshold


def columns_of(records: Sequence[Record], exclude: Iterable[str] = ()) -> dict[str, np.ndarray]:
    """Gather the columns of the records: numbers as floats (NaN where missing), all else as text.

    The length of the inputs, where they have one, is a column too (``input length``).
    """
    names = dict.fromkeys(name for record in records for name in record.meta)
    found: dict[str, Sequence[Any]] = {n: [record.meta.get(n) for record in records] for n in names}
    if all(isinstance(record.input, str | bytes | list | tuple | np.ndarray) for record in records):
        shapeless = any(isinstance(r.input, np.ndarray) and not r.input.ndim for r in records)
        if not shapeless:
            found["input length"] = [len(record.input) for record in records]
    left_out = set(exclude)
    return {name: _column(values) for name, values in found.items() if name not in left_out}


def _column(values: Sequence[Any]) -> np.ndarray:
    plain = [None if value == "" else value for value in map(_plain, values)]
    try:
        numbers = np.array([np.nan if value is None else float(value) for value in plain])
        return np.where(np.abs(numbers) < 1e30, numbers, np.nan)  # trees work in single precision
    except (TypeError, ValueError, OverflowError):
        return np.array(["" if value is None else str(value) for value in plain], dtype=object)


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return value.item() if value.ndim == 0 else value.tobytes().hex()
    return value.item() if isinstance(value, np.generic) else value


def names_groups(column: np.ndarray, groups: np.ndarray) -> bool:
    """Whether a column is the group under another name: each of its values is one group's."""
    words = column.astype(str)
    pairs = len({*zip(words.tolist(), groups.tolist())})
    return pairs == len(set(words.tolist())) == len(set(groups.tolist()))


def shortcuts(
    columns: Mapping[str, np.ndarray],
    targets: np.ndarray,
    split: Split,
    *,
    kind: str,
    least: float = 0.5,
    permutations: int = 30,
    seed: int = 0,
) -> list[Shortcut] | None:
    """Measure how well each column alone predicts the target on groups that were not seen.

    Parameters
    ----------
    columns : mapping of str to ndarray, shape (records,)
        Floats or text.
    targets : ndarray
        Encoded: class numbers (records,), 0/1/NaN (records, labels) or values (records, T).
    split : Split
        Whose groups are held out, five-fold.
    kind : str
        ``classification``, ``multilabel`` or ``regression``.
    least : float
        Skill from which a column is tested against permutations.
    permutations : int
    seed : int

    Returns
    -------
    list of Shortcut or None
        Best first; None where there are too few groups to hold some out.
    """
    rng = np.random.default_rng(seed)
    rows = np.concatenate([split.train, split.validation, split.test])
    rows = np.sort(rng.permutation(rows)[:_MOST])
    groups = np.unique(split.groups[rows].astype(str), return_inverse=True)[1]
    count = int(groups.max()) + 1 if len(groups) else 0
    folds = min(5, count)
    if folds < 2:
        return None
    fold = rng.permutation(np.arange(count) % folds)[groups]
    wanted = np.asarray(targets)[rows]
    wanted = wanted.reshape(len(wanted), -1)
    found = []
    for name, column in columns.items():
        values = column[rows]
        skills = [_skill(values, wanted[:, k], fold, kind) for k in range(wanted.shape[1])]
        best = int(np.argmax(skills))
        threshold = np.nan
        if skills[best] >= least:  # permutations cost: they are for suspects only
            chance = [
                _skill(values, _permuted(wanted[:, best], groups, rng), fold, kind)
                for _ in range(permutations)
            ]
            threshold = max(chance)
        found.append(Shortcut(name, float(skills[best]), float(threshold)))
    return sorted(found, key=lambda one: -one.skill)


def _permuted(target: np.ndarray, groups: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Permute targets as they could have fallen: between groups where each has one only, else freely."""
    first = np.unique(groups, return_index=True)[1]
    if np.array_equal(target[first][groups], target, equal_nan=target.dtype.kind == "f"):
        return rng.permutation(target[first])[groups]
    return rng.permutation(target)


def _skill(column: np.ndarray, target: np.ndarray, fold: np.ndarray, kind: str) -> float:
    known = np.ones(len(target), dtype=bool)
    if target.dtype.kind == "f":
        known = np.isfinite(target)
    column, target, fold = column[known], target[known], fold[known]
    if len(np.unique(target)) < 2 or len(np.unique(column.astype(str))) < 2:
        return 0.0
    predicted = np.empty(len(target), dtype=float)
    for held_out in np.unique(fold):
        here = fold == held_out
        if here.all():
            return 0.0
        predicted[here] = _predict(column[~here], target[~here], column[here], kind)
    if kind == "regression":
        spread = ((target - target.mean()) ** 2).sum()
        return float(max(0.0, 1 - ((target - predicted) ** 2).sum() / spread))
    classes = np.unique(target)
    recall = float(np.mean([(predicted[target == one] == one).mean() for one in classes]))
    return max(0.0, (recall - 1 / len(classes)) / (1 - 1 / len(classes)))


def _predict(column: np.ndarray, target: np.ndarray, unseen: np.ndarray, kind: str) -> np.ndarray:
    from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

    settings = {"max_leaf_nodes": _LEAVES, "min_samples_leaf": 3, "random_state": 0}
    if kind == "regression":
        tree = DecisionTreeRegressor(**settings)
    else:
        tree = DecisionTreeClassifier(class_weight="balanced", **settings)
    seen, new = _encoded(column, unseen)
    return np.asarray(tree.fit(seen, target).predict(new), dtype=float)


def _encoded(column: np.ndarray, unseen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Give a tree its input: a number as it is, a word as one column for each frequent word."""
    if column.dtype.kind == "f":
        return column[:, None], unseen[:, None]
    words, counts = np.unique(column.astype(str), return_counts=True)
    frequent = words[np.argsort(-counts, kind="stable")[:_CATEGORIES]]
    return (column.astype(str)[:, None] == frequent), (unseen.astype(str)[:, None] == frequent)
