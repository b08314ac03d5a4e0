"""The data of a labelled task: records read, checked, split and their targets encoded."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from scizoo.config import instantiate
from scizoo.data.documents import DocumentTarget
from scizoo.data.maps import LabelMaps, MapTarget
from scizoo.data.ragged import Ragged
from scizoo.data.records import Dataset, Record, check_unique_ids, write_rejected
from scizoo.data.splits import PARTS, GroupSplitter, Split, Splitter, check_no_shared_groups
from scizoo.data.targets import (
    ClassTarget,
    FutureTarget,
    MultiLabelTarget,
    RealTarget,
    TargetEncoder,
    TokenTarget,
    check_contradictions,
    record_names,
)
from scizoo.errors import ConfigError, DataError, did_you_mean

log = logging.getLogger(__name__)

TARGETS: dict[str, type[TargetEncoder]] = {
    encoder.kind: encoder
    for encoder in (
        ClassTarget,
        MultiLabelTarget,
        RealTarget,
        TokenTarget,
        FutureTarget,
        MapTarget,
        DocumentTarget,
    )
}
#: What the config may say of how the targets of a kind are read.
_OPTIONS = {
    "multilabel": ("separator", "uncertain", "uncertain_values", "soft"),
    "segmentation": ("classes", "ignore", "background", "unit"),
}
#: The kind of task without labels, whose records are what a model shall write more of.
GENERATION = "generation"


class NoTarget(TargetEncoder):
    """Stands where a task has no labels: there is nothing to learn and nothing to encode."""

    kind = GENERATION
    discrete = False

    def fit(self, targets: Sequence[Any], names: Sequence[str] | None = None) -> None:
        """Learn nothing."""

    def encode(self, targets: Sequence[Any], names: Sequence[str] | None = None) -> np.ndarray:
        """Give a row without columns for each record."""
        return np.empty((len(targets), 0))

    def decode(self, values: np.ndarray) -> Any:
        """Give the values back."""
        return values

    @property
    def outputs(self) -> int:
        """No number is predicted."""
        return 0

    def state(self) -> dict[str, Any]:
        """Give no state."""
        return {}


@dataclass(frozen=True)
class TaskData:
    """Everything a contender for a task is trained and judged on.

    Parameters
    ----------
    name : str
        The task's name.
    dataset : Dataset
        Where the records came from; knows licence and citation.
    records : list of Record
    split : Split
    target : TargetEncoder
        Fitted on the training part.
    targets : ndarray, Ragged or LabelMaps
        The encoded target of every record.
    truth : ndarray, optional
        What models are judged by, where it differs from what they are trained on.
    """

    name: str
    dataset: Dataset
    records: list[Record]
    split: Split
    target: TargetEncoder
    targets: np.ndarray | Ragged | LabelMaps
    truth: np.ndarray | None = None

    def rows(self, part: str) -> np.ndarray:
        """Positions of the records of a part."""
        return np.asarray(getattr(self.split, part))

    def part(self, part: str) -> list[Record]:
        """Give the records of a part."""
        return [self.records[row] for row in self.rows(part)]

    def counts(self) -> dict[str, dict[str, int]]:
        """Count records and groups of each part."""
        return {
            part: {"records": len(rows), "groups": len(set(self.split.groups[rows].tolist()))}
            for part in PARTS
            for rows in [self.rows(part)]
        }


def read_task(cfg: Mapping[str, Any], run_dir: Path | None = None) -> TaskData:
    """Read, check and split the records of a task.

    Parameters
    ----------
    cfg : mapping
        A composed config; read are ``task``, ``data``, ``target`` and ``split``.
    run_dir : Path, optional
        Where ``rejected.csv`` goes.

    Returns
    -------
    TaskData

    Raises
    ------
    DataError
        When the files or the records cannot be used; see the checks named in the code.
    """
    task = cfg["task"]
    dataset = open_dataset(cfg)
    records = read_records(dataset, run_dir)
    check_unique_ids(records)
    encoder = make_target(str(task["kind"]), cfg.get("target"), dataset)
    if encoder.discrete and encoder.kind != "tokens":
        check_contradictions(records)
    splitter: Splitter = instantiate(cfg["split"]) if cfg.get("split") else GroupSplitter()
    with _naming(dataset):
        split = splitter.split(records)
        check_no_shared_groups(split)
        train = [records[row] for row in split.train]
        encoder.fit([record.target for record in train], record_names(train))
    labels, names = [record.target for record in records], record_names(records)
    targets = encoder.encode(labels, names)
    truth = None
    if isinstance(encoder, MultiLabelTarget) and encoder.uncertain is not None:
        truth = encoder.truth(labels, names)
    for part in PARTS:
        if not len(getattr(split, part)):
            raise DataError(
                f"{dataset.name}: the {part} part has no record.",
                expected="records in train, validation and test",
                remedy="change split.fractions, or mark records of this part in the split column.",
            )
    return TaskData(str(task["name"]), dataset, records, split, encoder, targets, truth)


@contextmanager
def _naming(dataset: Dataset) -> Iterator[None]:
    """Name the data in a message of what knows records alone."""
    try:
        yield
    except DataError as error:
        if dataset.name in error.problem:
            raise
        raise type(error)(
            f"{dataset.name}: {error.problem}", expected=error.expected, remedy=error.remedy
        ) from error


def open_dataset(cfg: Mapping[str, Any]) -> Dataset:
    """Make the dataset that ``data`` describes, and say what its licence forbids."""
    if not cfg.get("data"):
        raise ConfigError(
            "data is not given.", expected="a dataset with _target_", remedy="name a task that has one."
        )
    dataset: Dataset = instantiate(cfg["data"])
    terms = dataset.licence
    if not terms.commercial or not terms.redistribution:
        forbidden = [
            word
            for word, allowed in (
                ("commercial use", terms.commercial),
                ("redistribution", terms.redistribution),
            )
            if not allowed
        ]
        log.warning("%s: licence %s forbids %s.", dataset.name, terms.name, " and ".join(forbidden))
    return dataset


def read_records(dataset: Dataset, run_dir: Path | None = None) -> list[Record]:
    """Read every record; what was rejected is listed in ``rejected.csv`` even when the reading fails."""
    try:
        return list(dataset)
    finally:
        _tell_rejected(dataset, run_dir)


def _tell_rejected(dataset: Dataset, run_dir: Path | None) -> None:
    if run_dir is not None and dataset.rejections.rejected:
        path = run_dir / "rejected.csv"
        write_rejected(path, dataset.rejections)
        count = len(dataset.rejections.rejected)
        log.warning("%d record%s rejected; see %s", count, " was" if count == 1 else "s were", path)


def read_documents(dataset: Dataset, run_dir: Path | None = None) -> list[Record]:
    """Read the documents of a dataset of pairs alone; each is the ``input`` of its record."""
    try:
        return list(dataset.documents())
    finally:
        _tell_rejected(dataset, run_dir)


def make_target(
    kind: str, options: Mapping[str, Any] | None = None, dataset: Dataset | None = None
) -> TargetEncoder:
    """Make the target encoder of a kind of task.

    Parameters
    ----------
    kind : str
    options : mapping, optional
        The ``target`` group of the config: how targets are read.
    dataset : Dataset, optional
        One of label maps may know the names of its classes (an attribute ``classes``).

    Raises
    ------
    ConfigError
        When no task is of this kind, or it has no such option.
    """
    if kind == GENERATION:
        return NoTarget()
    if kind not in TARGETS:
        raise ConfigError(f"task.kind={kind} is unknown: {did_you_mean(kind, [*TARGETS, GENERATION])}")
    given = {key: value for key, value in dict(options or {}).items() if value is not None}
    known = _OPTIONS.get(kind, ())
    for key in given:
        if key not in known:
            raise ConfigError(
                f"target.{key} is unknown for tasks of kind {kind}.",
                expected=f"target.{' or target.'.join(known)}" if known else "no such option",
                remedy=did_you_mean(str(key), known) if known else None,
            )
    if kind == MapTarget.kind and "classes" not in given:
        named = getattr(dataset, "classes", None)
        if named and not callable(named):
            given["classes"] = named
    return TARGETS[kind](**given)


def label_budget(data: TaskData, labels: int | None, seed: int) -> np.ndarray:
    """Choose training records for a label budget, class by class in turn, so that none is left out early.

    Of forecasts a label is a window: one history with its future. Windows are drawn group by group in turn,
    since those of one series overlap: 20 labels are 20 windows of as many different series as there are, up
    to 20.

    Parameters
    ----------
    data : TaskData
    labels : int or None
        How many; None takes all.
    seed : int

    Returns
    -------
    ndarray of int64
        Positions of the chosen training records, sorted.
    """
    rows = data.rows("train")
    if labels is None or labels >= len(rows):
        return rows
    order = np.random.default_rng(seed).permutation(rows)
    if data.target.kind not in ("classification", "forecast"):
        return np.sort(order[:labels])
    if data.target.kind == "forecast":
        member = np.unique(data.split.groups[order].astype(str), return_inverse=True)[1]
        # Groups take turns in the order of the draw, not of their names.
        turns = list(dict.fromkeys(member.tolist()))
    else:
        member = np.asarray(data.targets)[order]
        turns = np.unique(member).tolist()
    queues: dict[int, Iterator[int]] = {int(number): iter(order[member == number]) for number in turns}
    chosen: list[int] = []
    while len(chosen) < labels:
        for queue in queues.values():
            row = next(queue, None)
            if row is not None and len(chosen) < labels:
                chosen.append(int(row))
    return np.sort(np.array(chosen, dtype=np.int64))
