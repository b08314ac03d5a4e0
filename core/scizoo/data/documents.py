"""Pairs of a query and its document: the target of retrieval, and both sides as one data set."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from torch import Tensor

from scizoo.data.batching import PadCollator
from scizoo.data.records import Record
from scizoo.data.targets import TargetEncoder, input_key, is_missing
from scizoo.errors import ConfigError, DataError

#: The kind of task in which each record is a query and its target the document that answers it.
RETRIEVAL = "retrieval"
#: What the model inputs of a document are prefixed with in a batch, beside those of the query.
PREFIX = "document."


class DocumentTarget(TargetEncoder):
    """The number of each record's document; equal documents have one number: int64 of shape (records,).

    A target is the document itself: any object of the field. Nothing is learnt from the training part, so
    there is no state.
    """

    kind = RETRIEVAL
    discrete = False  # one query may have several answers

    def fit(self, targets: Sequence[Any], names: Sequence[str] | None = None) -> None:
        """Check that there is a document for each query, and more than one in all.

        Raises
        ------
        DataError
            When a document is missing or empty, or all are equal.
        """
        if not len(np.unique(self.encode(targets, names))) > 1:
            raise DataError(
                f"the training part has {len(targets)} records and one document.",
                expected="two different documents or more, or there is nothing to tell apart",
                remedy="check data.target, or add pairs.",
            )

    def encode(self, targets: Sequence[Any], names: Sequence[str] | None = None) -> np.ndarray:
        """Number the documents by first appearance."""
        for position, target in enumerate(targets):
            if is_missing(target):
                raise DataError(
                    f"{names[position] if names is not None else f'record {position + 1}'} has no document.",
                    expected="for every query the document that it belongs to, and no empty one",
                    remedy="fill it in (data.target names its column), or remove the record.",
                )
        return numbered(targets)

    def decode(self, values: np.ndarray) -> np.ndarray:
        """Give the numbers: which document has one depends on the data."""
        return np.asarray(values, dtype=np.int64)

    @property
    def outputs(self) -> int:
        """One document a query; the width of the common space is the head's."""
        return 1

    def state(self) -> dict[str, Any]:
        """Give no state."""
        return {}


def numbered(values: Sequence[Any]) -> np.ndarray:
    """Number objects by their content, equal ones alike, in order of first appearance; int64."""
    known: dict[Hashable, int] = {}
    keys = (input_key(value) for value in values)
    return np.fromiter((known.setdefault(key, len(known)) for key in keys), np.int64, count=len(values))


def documents_of(records: Sequence[Record]) -> list[Record]:
    """Give the document of each record as the input of a record of the same id."""
    return [replace(record, input=record.target, target=None) for record in records]


class PairedDataset:
    """Queries and their documents, encoded each by its own tokenizer; item by item both sides of a pair.

    It has the face of an :class:`~scizoo.data.encoding.EncodedDataset`. Record ``i`` of both sides is the
    same pair. Where a side is longer than its context it has several windows: each window of the longer side
    is an
    item, and the windows of the shorter one take turns beside them, so that every window is seen.

    Parameters
    ----------
    query, document : EncodedDataset
        Or features in their place.
    identities : mapping of str to ndarray
        Further numbers of each record that an item brings along, such as those of equal queries.
    """

    def __init__(self, query: Any, document: Any, identities: Mapping[str, np.ndarray] | None = None):
        if query.record_count != document.record_count:
            raise DataError(f"there are {query.record_count} queries and {document.record_count} documents.")
        self.query, self.document = query, document
        self.identities = {name: np.asarray(values) for name, values in (identities or {}).items()}
        self._left, self._right = _paired(query, document)
        #: Which record each item belongs to, and which view of its query it shows; shape (items,).
        self.record_index = np.asarray(query.record_index)[self._left]
        self.view_index = np.asarray(query.view_index)[self._left]

    @property
    def main_input(self) -> str:
        """The main input of the query."""
        return self.query.main_input

    @property
    def store(self) -> Any:
        """The store of the queries, which knows the records."""
        return self.query.store

    @property
    def context(self) -> Any:
        """The context of the queries."""
        return self.query.context

    def __len__(self) -> int:
        return len(self._left)

    def __getitem__(self, number: int) -> dict[str, np.ndarray]:
        item = dict(self.query[int(self._left[number])])
        document = self.document[int(self._right[number])]
        record = int(self.record_index[number])
        return (
            item
            | {f"{PREFIX}{key}": values for key, values in document.items()}
            | {name: np.asarray(values[record]) for name, values in self.identities.items()}
        )

    @property
    def lengths(self) -> np.ndarray:
        """Length of the longer side of each item; shape (items,)."""
        return np.maximum(self.query.lengths[self._left], self.document.lengths[self._right])

    @property
    def view_count(self) -> int:
        """The most views any query has."""
        return self.query.view_count

    @property
    def record_count(self) -> int:
        """How many pairs there are."""
        return self.query.record_count

    @property
    def pad_values(self) -> dict[str, float]:
        """What pads each model input of the query; :meth:`collator` pads the others."""
        return dict(self.query.pad_values)

    def collator(self, multiple: int = 1) -> PairCollator:
        """Give what joins items into a batch."""
        return PairCollator(self.query.pad_values, self.document.pad_values, multiple=multiple)

    def record_ids(self) -> list[str]:
        """Every record's id, in order."""
        return self.query.record_ids()

    def windows_of(self, records: np.ndarray) -> np.ndarray:
        """Items of the given records, in order; shape (items,)."""
        chosen = np.zeros(self.record_count, dtype=bool)
        chosen[records] = True
        return np.flatnonzero(chosen[self.record_index])


def _paired(query: Any, document: Any) -> tuple[np.ndarray, np.ndarray]:
    """Pair the windows of each query, view by view, with those of its document."""
    owners, views = np.asarray(query.record_index), np.asarray(query.view_index)
    theirs = np.asarray(document.record_index)
    starts = np.searchsorted(theirs, np.arange(document.record_count + 1))
    counts = np.diff(starts)
    _, first, many = np.unique(
        np.stack([owners, views]), axis=1, return_index=True, return_counts=True
    )  # windows of a record lie together, and within them those of a view
    left, right = [], []
    for begin, windows in zip(first.tolist(), many.tolist(), strict=True):
        record = owners[begin]
        items = np.arange(max(windows, int(counts[record])))
        left.append(begin + items % windows)
        right.append(starts[record] + items % int(counts[record]))
    order = np.argsort(first, kind="stable")
    if not left:
        return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64)
    return np.concatenate([left[one] for one in order]), np.concatenate([right[one] for one in order])


class PairCollator:
    """Join pairs into a batch: the queries padded among themselves, the documents likewise.

    Parameters
    ----------
    query, document : mapping of str to number
        The inputs of each side with a row a position, and what pads them.
    multiple : int
        Lengths are padded up to a multiple of this.
    """

    def __init__(self, query: Mapping[str, float], document: Mapping[str, float], *, multiple: int = 1):
        self.query = PadCollator(query, multiple=multiple)
        self.document = PadCollator(document, multiple=multiple)

    def __call__(self, items: Sequence[Mapping[str, np.ndarray]]) -> dict[str, Tensor]:
        """Join items into a batch; what belongs to the documents is prefixed with ``document.``."""
        mine = [{key: value for key, value in item.items() if not key.startswith(PREFIX)} for item in items]
        return {**self.query(mine), **prefixed(self.document([side_of(item) for item in items]))}


def prefixed(batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Name the inputs of documents as a batch of pairs holds them."""
    return {f"{PREFIX}{key}": value for key, value in batch.items()}


def side_of(batch: Mapping[str, Any]) -> dict[str, Any]:
    """Give the inputs of the documents in a batch of pairs, under their own names."""
    return {key.removeprefix(PREFIX): value for key, value in batch.items() if key.startswith(PREFIX)}


def identities(records: Sequence[Record], groups: Sequence[Any] | np.ndarray) -> dict[str, np.ndarray]:
    """Number equal queries and groups of records, for telling which pairs are no counter-examples.

    Returns
    -------
    dict of str to ndarray
        ``query_number`` and ``group_number``, int64 of shape (records,).
    """
    return {
        "query_number": numbered([record.input for record in records]),
        "group_number": numbered([str(group) for group in groups]),
    }


def check_batch(batching: Mapping[str, Any]) -> None:
    """Refuse batches in which a pair would meet no other.

    Raises
    ------
    ConfigError
        For packed batches, or batches of one pair.
    """
    if batching.get("packing"):
        raise ConfigError(
            "batching.packing does not apply to a task of retrieval, whose batches hold pairs.",
            remedy="set batching.packing=false.",
        )
    size = batching.get("batch_size")
    if not batching.get("tokens_per_batch") and size is not None and int(size) < 2:
        raise ConfigError(
            f"batching.batch_size={size}: the other pairs of a batch are what a query is told apart from.",
            expected="2 or more; the larger, the harder the task and the better the model",
        )
