"""Targets as numbers: fitted on the training part, kept as plain data beside the weights."""

from __future__ import annotations

import hashlib
import math
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import fields, is_dataclass
from typing import Any, ClassVar

import numpy as np

from scizoo.data.ragged import Ragged
from scizoo.data.records import Record
from scizoo.data.splits import Split
from scizoo.errors import ConfigError, DataError, did_you_mean

#: What a loss skips: the label of a position that has none.
IGNORED = -100
#: What training may make of labels that are said to be uncertain.
UNCERTAIN = ("ignore", "positive", "negative", "soft")


class TargetEncoder(ABC):
    """Turns the field's labels or values into what a head is trained on, and back.

    `fit` sees training targets only. The state is plain JSON data; ``from_state(state())`` gives an equal
    encoder.
    """

    #: The kind of head it belongs to.
    kind: ClassVar[str]
    #: Whether equal inputs must have equal targets (measured values may differ between replicates).
    discrete: ClassVar[bool] = True

    @abstractmethod
    def fit(self, targets: Sequence[Any], names: Sequence[str] | None = None) -> None:
        """Learn the classes or the scale.

        Parameters
        ----------
        targets : sequence
            ``Record.target`` of the training records.
        names : sequence of str, optional
            What to call each in a message; see :func:`record_names`.

        Raises
        ------
        DataError
            When a target is missing or of the wrong kind, or when they do not allow training.
        """

    @abstractmethod
    def encode(self, targets: Sequence[Any], names: Sequence[str] | None = None) -> np.ndarray | Ragged:
        """Return one entry a record; raises as :meth:`fit` does."""

    @abstractmethod
    def decode(self, values: np.ndarray) -> Any:
        """Give back targets in the user's own terms."""

    @property
    @abstractmethod
    def outputs(self) -> int:
        """How many numbers the head gives for one record or position."""

    @abstractmethod
    def state(self) -> dict[str, Any]:
        """Return everything that was learnt, as plain JSON data."""

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> TargetEncoder:
        """Build the encoder again from its state."""
        return cls(**state)


def record_names(records: Iterable[Record]) -> list[str]:
    """What messages call each record: its id and where it was read."""
    return [f"record '{r.id}'" + (f" ({r.source})" if r.source else "") for r in records]


def _name(names: Sequence[str] | None, position: int) -> str:
    return names[position] if names is not None else f"record {position + 1}"


def is_missing(target: Any) -> bool:
    """Whether a target is absent: None, NaN or an empty text."""
    if target is None or (isinstance(target, str) and not target.strip()):
        return True
    return isinstance(target, float | np.floating) and math.isnan(target)


def _missing(name: str) -> DataError:
    return DataError(
        f"{name} has no label.",
        expected="a target for every record",
        remedy="fill it in, or remove the record.",
    )


def _label(value: Any) -> str:
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and value.is_integer():
        value = int(value)  # a column of 0 and 1 with a gap somewhere is read as floats
    return str(value).strip()


def _sorted_labels(labels: Iterable[str]) -> list[str]:
    """Numbers in their own order, words alphabetically."""
    known = set(labels)
    try:
        return sorted(known, key=lambda label: (float(label), label))
    except ValueError:
        return sorted(known)


def _one_class(only: str) -> DataError:
    return DataError(
        f"all training records have the same label, '{only}'.",
        expected="at least two classes in the training part",
        remedy="check data.target, or whether the split put a whole class elsewhere.",
    )


def _unknown_class(label: str, count: int, name: str, classes: Sequence[str]) -> DataError:
    return DataError(
        f"class '{label}' is absent from the training part, but {count} other "
        f"record{'s have' if count > 1 else ' has'} it; first: {name}.",
        expected=f"one of the training part's classes; {did_you_mean(label, classes)}",
        remedy="give the class more groups, remove or merge it, or split in another way.",
    )


class ClassTarget(TargetEncoder):
    """One class a record, as int64 of shape (records,).

    Parameters
    ----------
    classes : sequence of str, optional
        The classes in order; learnt by `fit` when not given.
    thresholds : sequence of float, optional
        Of two classes: the probability of the second from which on it is given; the likelier one by default.
    """

    kind = "classification"

    def __init__(self, classes: Sequence[str] | None = None, thresholds: Sequence[float] | None = None):
        self.classes: list[str] = [str(label) for label in classes or ()]
        self.thresholds = None if thresholds is None else [float(value) for value in thresholds]

    def _labels(self, targets: Sequence[Any], names: Sequence[str] | None) -> list[str]:
        for position, target in enumerate(targets):
            if is_missing(target):
                raise _missing(_name(names, position))
        return [_label(target) for target in targets]

    def fit(self, targets: Sequence[Any], names: Sequence[str] | None = None) -> None:  # noqa: D102
        self.classes = _sorted_labels(self._labels(targets, names))
        if len(self.classes) == 1:
            raise _one_class(self.classes[0])

    def encode(self, targets: Sequence[Any], names: Sequence[str] | None = None) -> np.ndarray:  # noqa: D102
        labels = self._labels(targets, names)
        index = {label: number for number, label in enumerate(self.classes)}
        for position, label in enumerate(labels):
            if label not in index:
                raise _unknown_class(label, Counter(labels)[label], _name(names, position), self.classes)
        return np.array([index[label] for label in labels], dtype=np.int64)

    def decode(self, values: np.ndarray) -> list[str]:
        """Give the class of each number, or the likeliest of each row of probabilities (or by threshold)."""
        values = np.asarray(values)
        if values.ndim == 2 and self.thresholds and values.shape[1] == 2:
            values = values[:, 1] >= self.thresholds[0]
        elif values.ndim == 2:
            values = values.argmax(axis=1)
        return [self.classes[int(value)] for value in values]

    @property
    def outputs(self) -> int:  # noqa: D102
        return len(self.classes)

    def state(self) -> dict[str, Any]:  # noqa: D102
        found: dict[str, Any] = {"classes": list(self.classes)}
        return found if self.thresholds is None else {**found, "thresholds": list(self.thresholds)}


class MultiLabelTarget(TargetEncoder):
    """Any number of labels a record, as float32 of shape (records, labels); NaN where unknown.

    A target is a mapping of label to 0, 1 or missing (one column a label), or the set of labels that hold:
    a sequence of them, or a text with `separator` between them (an empty one: none holds).

    Parameters
    ----------
    labels : sequence of str, optional
        The labels in order; learnt by `fit` when not given.
    separator : str
        What stands between labels in a text.
    uncertain : {"ignore", "positive", "negative", "soft"}, optional
        What training makes of values that say the label is uncertain (the policies U-Ignore, U-Ones and
        U-Zeros of Irvin et al. 2019, CheXpert, arXiv 1901.07031; ``soft`` as in Pham et al. 2021, arXiv
        1911.06475). Refused by default. Uncertain labels never count where a model is judged.
    uncertain_values : sequence
        The values of a column that say so.
    soft : float
        What ``soft`` takes them for, between 0 and 1.
    thresholds : sequence of float, optional
        The probability from which on each label is given; one half by default.

    Raises
    ------
    ConfigError
        For an unknown policy.
    """

    kind = "multilabel"

    def __init__(
        self,
        labels: Sequence[str] | None = None,
        separator: str = ";",
        uncertain: str | None = None,
        uncertain_values: Sequence[Any] = (-1, "uncertain"),
        soft: float = 0.5,
        thresholds: Sequence[float] | None = None,
    ):
        self.labels: list[str] = [str(label) for label in labels or ()]
        self.separator = separator
        if uncertain not in (None, *UNCERTAIN):
            raise ConfigError(
                f"target.uncertain={uncertain} is unknown: {did_you_mean(str(uncertain), UNCERTAIN)}"
            )
        if not 0.0 < float(soft) < 1.0:
            raise ConfigError(f"target.soft={soft} must lie between 0 and 1.")
        self.uncertain, self.soft = uncertain, float(soft)
        given = [uncertain_values] if isinstance(uncertain_values, str | int | float) else uncertain_values
        self.uncertain_values = [_label(value) for value in given or ()]
        if uncertain is not None and {"0", "1"} & set(self.uncertain_values):
            raise ConfigError("target.uncertain_values: 0 and 1 are certain.")
        self.thresholds = None if thresholds is None else [float(value) for value in thresholds]

    def _is_uncertain(self, value: Any) -> bool:
        if self.uncertain is None or is_missing(value):
            return False
        if isinstance(value, str):
            with suppress(ValueError):
                value = float(value)  # a table of texts says "-1.0"
        return _label(value) in self.uncertain_values

    @property
    def _taken_for(self) -> float:
        return {"positive": 1.0, "negative": 0.0, "soft": self.soft}.get(str(self.uncertain), math.nan)

    def _parse(self, target: Any, name: str, judged: bool = False) -> dict[str, float] | set[str]:
        if target is None or (isinstance(target, float) and math.isnan(target)):
            raise _missing(name)
        if not isinstance(target, Mapping):
            words = target.split(self.separator) if isinstance(target, str) else target
            if not isinstance(words, Iterable):
                words = [words]
            return {_label(word) for word in words if not is_missing(word)}
        values: dict[str, float] = {}
        for label, value in target.items():
            if self._is_uncertain(value):
                values[str(label)] = math.nan if judged else self._taken_for
                continue
            try:
                number = math.nan if is_missing(value) else float(value)
            except (TypeError, ValueError):
                number = -1.0
            if not (math.isnan(number) or number in (0.0, 1.0)):
                raise DataError(
                    f"{name}: label '{label}' is {value!r}.",
                    expected="0, 1 or nothing",
                    remedy=None
                    if self.uncertain
                    else "if it says that the label is uncertain, set "
                    "target.uncertain to ignore, positive, negative or soft.",
                )
            values[str(label)] = number
        return values

    def fit(self, targets: Sequence[Any], names: Sequence[str] | None = None) -> None:  # noqa: D102
        parsed = [self._parse(target, _name(names, position)) for position, target in enumerate(targets)]
        # Labels in columns keep the columns' order.
        columns = dict.fromkeys(label for one in parsed if isinstance(one, dict) for label in one)
        words = _sorted_labels(label for one in parsed if isinstance(one, set) for label in one)
        self.labels = [*columns, *(word for word in words if word not in columns)]
        if not self.labels:
            raise DataError("no training record has any label.", remedy="check data.target.")
        encoded = self.encode(targets, names)
        for number, label in enumerate(self.labels):
            values = np.unique(encoded[:, number][~np.isnan(encoded[:, number])])
            if len(values) < 2:
                always = "missing" if not len(values) else ("present" if values[0] else "absent")
                raise DataError(
                    f"label '{label}' is {always} in every training record.",
                    expected="records with and without each label in the training part",
                    remedy=f"leave '{label}' out of data.target, or split in another way.",
                )

    def encode(self, targets: Sequence[Any], names: Sequence[str] | None = None) -> np.ndarray:  # noqa: D102
        return self._encoded(targets, names, judged=False)

    def truth(self, targets: Sequence[Any], names: Sequence[str] | None = None) -> np.ndarray:
        """Give the labels that a model is judged by: those that are uncertain count as unknown."""
        return self._encoded(targets, names, judged=True)

    def _encoded(self, targets: Sequence[Any], names: Sequence[str] | None, judged: bool) -> np.ndarray:
        index = {label: number for number, label in enumerate(self.labels)}
        encoded = np.zeros((len(targets), len(self.labels)), dtype=np.float32)
        parsed = [
            self._parse(target, _name(names, position), judged) for position, target in enumerate(targets)
        ]
        for position, one in enumerate(parsed):
            for label in one:
                if label not in index:
                    count = sum(label in other for other in parsed)
                    raise _unknown_class(label, count, _name(names, position), self.labels)
                encoded[position, index[label]] = one[label] if isinstance(one, dict) else 1.0
            if isinstance(one, dict):
                encoded[position, [index[label] for label in self.labels if label not in one]] = np.nan
        return encoded

    def decode(self, values: np.ndarray) -> list[list[str]]:
        """Give the labels whose probability reaches their threshold, row by row."""
        limits = np.asarray(self.thresholds if self.thresholds else 0.5)
        return [[self.labels[i] for i in np.flatnonzero(row >= limits)] for row in np.asarray(values)]

    @property
    def outputs(self) -> int:  # noqa: D102
        return len(self.labels)

    def state(self) -> dict[str, Any]:  # noqa: D102
        found: dict[str, Any] = {"labels": list(self.labels), "separator": self.separator}
        if self.uncertain is not None:
            found |= {
                "uncertain": self.uncertain,
                "uncertain_values": list(self.uncertain_values),
                "soft": self.soft,
            }
        return found if self.thresholds is None else {**found, "thresholds": list(self.thresholds)}


class RealTarget(TargetEncoder):
    """Numbers, standardised by the training part; float32 of shape (records, values).

    A target is a number, a text of one, or a sequence or mapping of several; of several some may be
    missing (NaN).

    Parameters
    ----------
    names : sequence of str, optional
        Names of the values, from a mapping's keys.
    mean, std : sequence of float, optional
        Learnt by `fit`, in the user's units.
    """

    kind = "regression"
    discrete = False

    def __init__(
        self,
        names: Sequence[str] | None = None,
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
    ):
        self.names: list[str] = list(names or ())
        self.mean = np.asarray(mean if mean is not None else [0.0], dtype=np.float64)
        self.std = np.asarray(std if std is not None else [1.0], dtype=np.float64)

    def _numbers(self, targets: Sequence[Any], names: Sequence[str] | None) -> np.ndarray:
        rows: list[list[float]] = []
        for position, target in enumerate(targets):
            if isinstance(target, Mapping):
                target = list(target.values())
            several = isinstance(target, Sequence | np.ndarray) and not isinstance(target, str)
            values = list(target) if several else [target]
            row = []
            for value in values:
                if is_missing(value):
                    if not several or len(values) == 1:
                        raise _missing(_name(names, position))
                    row.append(math.nan)
                    continue
                try:
                    number = float(value)
                except (TypeError, ValueError):
                    number = math.inf
                if math.isinf(number):
                    raise DataError(
                        f"{_name(names, position)}: the target {value!r} is not a number.",
                        expected="a finite number",
                        remedy="mend the value, or choose a classification task.",
                    )
                row.append(number)
            if all(math.isnan(number) for number in row):
                raise _missing(_name(names, position))
            if rows and len(row) != len(rows[0]):
                raise DataError(
                    f"{_name(names, position)} has {len(row)} target values, the first has {len(rows[0])}."
                )
            rows.append(row)
        return np.array(rows, dtype=np.float64).reshape(len(rows), -1)

    def fit(self, targets: Sequence[Any], names: Sequence[str] | None = None) -> None:  # noqa: D102
        values = self._numbers(targets, names)
        if len(targets) and isinstance(targets[0], Mapping):
            self.names = [str(name) for name in targets[0]]
        for column in range(values.shape[1]):
            known = values[:, column][~np.isnan(values[:, column])]
            if len(np.unique(known)) < 2:
                what = f"'{self.names[column]}'" if self.names else "the target"
                raise DataError(
                    f"{what} has the same value in every training record.",
                    expected="a target that varies",
                    remedy="check data.target.",
                )
        self.mean, self.std = np.nanmean(values, axis=0), np.nanstd(values, axis=0)

    def encode(self, targets: Sequence[Any], names: Sequence[str] | None = None) -> np.ndarray:  # noqa: D102
        values = self._numbers(targets, names)
        if len(values) and values.shape[1] != len(self.mean):
            raise DataError(f"records have {values.shape[1]} target values, training had {len(self.mean)}.")
        return ((values - self.mean) / self.std).astype(np.float32)

    def decode(self, values: np.ndarray) -> np.ndarray:
        """Give standardised means back in the user's units."""
        return np.asarray(values, dtype=np.float64) * self.std + self.mean

    def decode_variance(self, values: np.ndarray) -> np.ndarray:
        """Give standardised variances back in the user's units, squared."""
        return np.asarray(values, dtype=np.float64) * self.std**2

    @property
    def outputs(self) -> int:  # noqa: D102
        return len(self.mean)

    def state(self) -> dict[str, Any]:  # noqa: D102
        return {"names": self.names, "mean": self.mean.tolist(), "std": self.std.tolist()}


class FutureTarget(TargetEncoder):
    """The next values of a series, in its own units: float64 of shape (records, horizon), NaN where unknown.

    A target is a sequence of as many numbers as the task has steps ahead. Nothing is standardised across
    records: series differ in size and unit, and each brings its own location and scale with its input.

    Parameters
    ----------
    horizon : int, optional
        Steps ahead; learnt by `fit` when not given.
    """

    kind = "forecast"
    discrete = False

    def __init__(self, horizon: int | None = None):
        self.horizon = 0 if horizon is None else int(horizon)

    def _futures(self, targets: Sequence[Any], names: Sequence[str] | None) -> np.ndarray:
        rows = np.full((len(targets), self.horizon), np.nan)
        for position, target in enumerate(targets):
            name = _name(names, position)
            try:
                future = np.array([math.nan if is_missing(one) else float(one) for one in target])
            except (TypeError, ValueError) as error:
                raise DataError(
                    f"{name}: its future is no sequence of numbers.",
                    expected=f"{self.horizon} numbers, nothing where one is unknown",
                ) from error
            if len(future) != self.horizon:
                raise DataError(
                    f"{name} has a future of {len(future)} steps, others of {self.horizon}.",
                    expected="the same number of steps ahead in every record",
                    remedy="cut futures to the task's horizon, with nothing where a series has ended.",
                )
            if np.isinf(future).any():
                raise DataError(f"{name}: its future holds an infinite value.", expected="finite numbers")
            if np.isnan(future).all():
                raise DataError(
                    f"{name}: no value of its future is known.",
                    expected="one known value or more in the future of every record",
                    remedy="remove the record.",
                )
            rows[position] = future
        return rows

    def fit(self, targets: Sequence[Any], names: Sequence[str] | None = None) -> None:  # noqa: D102
        if not len(targets) or is_missing(targets[0]) or not hasattr(targets[0], "__len__"):
            raise _missing(_name(names, 0))
        self.horizon = len(targets[0])
        self._futures(targets, names)

    def encode(self, targets: Sequence[Any], names: Sequence[str] | None = None) -> np.ndarray:  # noqa: D102
        return self._futures(targets, names)

    def decode(self, values: np.ndarray) -> np.ndarray:
        """Give values as they are: they are in the units of their series."""
        return np.asarray(values, dtype=np.float64)

    @property
    def outputs(self) -> int:  # noqa: D102
        return self.horizon

    def state(self) -> dict[str, Any]:  # noqa: D102
        return {"horizon": self.horizon}


class TokenTarget(TargetEncoder):
    """A class a position, as a Ragged of int64; positions without a label get -100.

    A target is a sequence of labels as long as the record has tokens (without special ones); None marks a
    position that has none.

    Parameters
    ----------
    classes : sequence of str, optional
        The classes in order; learnt by `fit` when not given.
    """

    kind = "tokens"

    def __init__(self, classes: Sequence[str] | None = None):
        self.classes: list[str] = [str(label) for label in classes or ()]

    def fit(self, targets: Sequence[Any], names: Sequence[str] | None = None) -> None:  # noqa: D102
        for position, target in enumerate(targets):
            if is_missing(target):
                raise _missing(_name(names, position))
        labels = (_label(value) for target in targets for value in target if not is_missing(value))
        self.classes = _sorted_labels(labels)
        if not self.classes:
            raise DataError("no position of any training record has a label.", remedy="check data.target.")
        if len(self.classes) == 1:
            raise _one_class(self.classes[0])

    def encode(self, targets: Sequence[Any], names: Sequence[str] | None = None) -> Ragged:  # noqa: D102
        index = {label: number for number, label in enumerate(self.classes)}
        rows = []
        for position, target in enumerate(targets):
            if is_missing(target):
                raise _missing(_name(names, position))
            row = np.full(len(target), IGNORED, dtype=np.int64)
            for place, value in enumerate(target):
                if is_missing(value):
                    continue
                label = _label(value)
                if label not in index:
                    count = sum(label in map(_label, other) for other in targets)
                    raise _unknown_class(label, count, _name(names, position), self.classes)
                row[place] = index[label]
            rows.append(row)
        return Ragged.from_rows(rows, np.int64)

    def decode(self, values: np.ndarray) -> list[str | None]:
        """Give the class of each position of one record; None where it is ignored."""
        values = np.asarray(values)
        if values.ndim == 2:
            values = values.argmax(axis=1)
        return [self.classes[int(value)] if value >= 0 else None for value in values]

    @property
    def outputs(self) -> int:  # noqa: D102
        return len(self.classes)

    def state(self) -> dict[str, Any]:  # noqa: D102
        return {"classes": list(self.classes)}


def input_key(value: Any) -> Hashable:
    """Name an input by its content, so that equal inputs are found."""
    if isinstance(value, str | bytes | int | float):
        return value
    if isinstance(value, np.ndarray):
        return value.dtype.str, value.shape, hashlib.blake2b(value.tobytes()).digest()
    # The repr of a container shortens long arrays, and would find different ones equal.
    if is_dataclass(value) and not isinstance(value, type):
        parts = ((field.name, getattr(value, field.name)) for field in fields(value) if field.compare)
        return type(value).__qualname__, tuple((name, input_key(part)) for name, part in parts)
    if isinstance(value, Mapping):
        return "mapping", tuple(sorted((repr(name), input_key(part)) for name, part in value.items()))
    if isinstance(value, list | tuple):
        return type(value).__name__, tuple(input_key(part) for part in value)
    return repr(value)


def known_labels(target: Any) -> dict[str, str]:
    """Give a target as texts that can be compared: one for each label of a mapping that is not missing.

    Two targets contradict each other when they differ in a label that both have.
    """
    if isinstance(target, Mapping):
        return {str(label): _label(value) for label, value in target.items() if not is_missing(value)}
    return {"": repr(target)}


def check_contradictions(records: Iterable[Record], key: Callable[[Any], Hashable] = input_key) -> None:
    """Refuse equal inputs that have different labels; of several labels, those that both records have count.

    Parameters
    ----------
    records : iterable of Record
    key : callable
        Names an input by its content; a domain may name equivalent inputs alike.

    Raises
    ------
    DataError
        Naming two such records, their labels, and how many inputs contradict themselves.
    """
    first: dict[tuple[Hashable, str], tuple[str, str, str]] = {}
    pair: tuple[str, str, str, str] | None = None
    contradicted: set[Hashable] = set()
    for record, name in ((r, record_names([r])[0]) for r in records):
        content, whole = key(record.input), repr(record.target)
        for label, value in known_labels(record.target).items():
            known, other, theirs = first.setdefault((content, label), (value, name, whole))
            if known != value:
                contradicted.add(content)
                pair = pair or (other, theirs, name, whole)
    if pair is None:
        return
    more = f" ({len(contradicted)} inputs contradict themselves.)" if len(contradicted) > 1 else ""
    raise DataError(
        f"{pair[0]} and {pair[2]} have the same input and different labels: {pair[1]} and {pair[3]}.{more}",
        expected="one label for one input",
        remedy="remove the wrong one; if both are right, this input does not determine the label.",
    )


def encode_targets(
    encoder: TargetEncoder,
    records: Sequence[Record],
    split: Split,
    *,
    key: Callable[[Any], Hashable] | None = input_key,
) -> np.ndarray | Ragged:
    """Fit an encoder on the training part and encode every record's target.

    Parameters
    ----------
    encoder : TargetEncoder
        Fitted in place.
    records : sequence of Record
    split : Split
        Of these records.
    key : callable, optional
        For :func:`check_contradictions`; None skips that check.

    Returns
    -------
    ndarray or Ragged
        One entry a record, in their order. Records in no part of the split have zeros (or NaN).

    Raises
    ------
    DataError
        For every fault of the labels, naming the record, or the class and how many have it.
    """
    if key is not None and encoder.discrete:
        check_contradictions(records, key)
    names = record_names(records)

    def part(positions: np.ndarray) -> tuple[list[Any], list[str]]:
        return [records[i].target for i in positions], [names[i] for i in positions]

    encoder.fit(*part(split.train))
    used = np.concatenate([split.train, split.validation, split.test]).astype(np.int64)
    encoded = encoder.encode(*part(used))
    if isinstance(encoded, Ragged):
        rows: list[np.ndarray] = [np.empty(0, dtype=np.int64)] * len(records)
        for position, row in zip(used, encoded):
            rows[position] = row
        return Ragged.from_rows(rows, np.int64)
    everything = np.zeros((len(records), *encoded.shape[1:]), dtype=encoded.dtype)
    if np.issubdtype(encoded.dtype, np.floating):
        everything[:] = np.nan
    everything[used] = encoded
    return everything
