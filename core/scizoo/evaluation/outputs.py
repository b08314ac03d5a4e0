"""What a model said about some records, beside what is true: the one input of everything that judges."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from scizoo.errors import ConfigError, DataError
from scizoo.files import atomic_path

KINDS = (
    "classification",
    "multilabel",
    "regression",
    "forecast",
    "segmentation",
    "retrieval",
    "tokens",
    "language",
)
_ROW_FIELDS = (
    "ids",
    "groups",
    "targets",
    "probability",
    "mean",
    "variance",
    "quantiles",
    "scale",
    "naive",
    "predicted_size",
    "intersection",
    "hd95",
    "assd",
    "ranks",
    "candidates",
    "answers",
    "log_likelihood",
    "tokens",
)
_FINITE = (
    "probability",
    "mean",
    "variance",
    "quantiles",
    "predicted_size",
    "intersection",
    "ranks",
    "log_likelihood",
)


@dataclass(frozen=True)
class Attribution:
    """What parts of a record added to one output of a network.

    Parameters
    ----------
    output : str
        The class, label or quantity that is explained.
    values : mapping of str to ndarray
        As the tokenizer's ``attribute`` gave them; a single array has the name ``""``.
    """

    output: str
    values: Mapping[str, np.ndarray]

    @property
    def units(self) -> Any:
        """What the tokenizer gave: an array, or several by name."""
        return self.values[""] if set(self.values) == {""} else dict(self.values)


@dataclass(frozen=True)
class Outputs:
    """A model's outputs on N records (or N labelled positions, for ``tokens``).

    Parameters
    ----------
    ids : ndarray of str, shape (N,)
        Record ids; two models are compared record by record through them.
    groups : ndarray of str, shape (N,)
        The group of each record: what the bootstrap draws.
    targets : ndarray
        ``classification`` and ``tokens``: class numbers (N,); ``multilabel``: 0, 1 or NaN where the
        label is missing (N, L); ``regression``: values in the target's own units, NaN where missing
        (N, T); ``forecast``: the values of each step ahead in the series' own units, NaN where unknown
        (N, H); ``segmentation``: true pixels of each judged class (N, K); ``retrieval``: numbers of the
        documents (N,); ``language``: not used, zeros (N,).
    kind : str
        One of classification, multilabel, regression, forecast, segmentation, retrieval, tokens, language.
    classes : tuple of str
        Names of classes, labels or target columns, in the order of the columns.
    probability : ndarray, shape (N, C), optional
        Of each class (rows sum to one) or of each label.
    mean, variance : ndarray, shape (N, T), optional
        Of the predicted normal distribution, in the target's own units; variance may be absent.
    quantiles : ndarray, shape (N, H, Q), optional
        ``forecast``: quantiles of each step ahead in the series' own units, ascending.
    levels : tuple of float
        The levels of the quantiles, ascending.
    scale : ndarray, shape (N,), optional
        ``forecast``: the mean absolute difference between values a season apart in each record's history,
        by which errors are scaled; NaN or 0 where there is none.
    naive : ndarray, shape (N, H), optional
        ``forecast``: what the floor, such as the value a season ago, says; results are told relative to it.
    predicted_size, intersection : ndarray, shape (N, K), optional
        ``segmentation``: predicted pixels of each class, and how many of them are right.
    hd95, assd : ndarray, shape (N, K), optional
        ``segmentation``: distances of the outlines, NaN where there is none; see
        :mod:`scizoo.evaluation.surfaces`.
    unit : str
        ``segmentation``: what distances are measured in.
    maps : mapping of str to ndarray
        ``segmentation``: predicted maps of a few records by id, those that went worst, for pictures. They may
        be smaller than the records, and are kept in ``.npz`` files only.
    attributions : mapping of str to Attribution
        Of a few records by id, the worst mistakes of a network, for pictures; in ``.npz`` files only.
    thresholds : tuple of float
        The probability from which on a label is said to hold, one a label; of two classes one, for the
        second. None: one half, or the likelier class.
    ranks : ndarray, shape (N, 2), optional
        ``retrieval``: where the right document stands for the record's query, and the right query for its
        document; 1 is first, halves are ties. See :mod:`scizoo.evaluation.ranks`.
    candidates : ndarray, shape (N, 2), optional
        ``retrieval``: among how many, the right one counted once.
    answers : ndarray of str, shape (N, A), optional
        ``retrieval``: ids of records with the best documents for the record's query, the best first.
    log_likelihood : ndarray, shape (N,), optional
        ``language``: summed over a record's predicted tokens, in nats.
    tokens : ndarray of int, shape (N,), optional
        ``language``: how many tokens were predicted.
    meta : mapping of str to ndarray
        Further columns of the records, for the subgroup audit; strings, numbers or booleans.
    """

    ids: np.ndarray
    groups: np.ndarray
    targets: np.ndarray
    kind: str
    classes: tuple[str, ...] = ()
    probability: np.ndarray | None = None
    mean: np.ndarray | None = None
    variance: np.ndarray | None = None
    quantiles: np.ndarray | None = None
    levels: tuple[float, ...] = ()
    scale: np.ndarray | None = None
    naive: np.ndarray | None = None
    predicted_size: np.ndarray | None = None
    intersection: np.ndarray | None = None
    hd95: np.ndarray | None = None
    assd: np.ndarray | None = None
    unit: str = ""
    maps: Mapping[str, np.ndarray] = field(default_factory=dict)
    attributions: Mapping[str, Attribution] = field(default_factory=dict)
    thresholds: tuple[float, ...] = ()
    ranks: np.ndarray | None = None
    candidates: np.ndarray | None = None
    answers: np.ndarray | None = None
    log_likelihood: np.ndarray | None = None
    tokens: np.ndarray | None = None
    meta: Mapping[str, np.ndarray] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"kind {self.kind!r} is none of {', '.join(KINDS)}")
        put = object.__setattr__
        put(self, "ids", np.asarray(self.ids, dtype=str))
        put(self, "groups", np.asarray(self.groups, dtype=str))
        put(self, "classes", tuple(str(name) for name in self.classes))
        put(self, "targets", self._shaped_targets())
        put(self, "levels", tuple(float(level) for level in self.levels))
        put(self, "thresholds", tuple(float(value) for value in self.thresholds))
        for name in (*_FINITE, "scale", "naive", "hd95", "assd", "candidates"):
            value = getattr(self, name)
            if value is not None:
                value = np.asarray(value, dtype=np.float64)
                if name in ("mean", "variance") and value.ndim == 1:
                    value = value[:, None]
                put(self, name, value)
        if self.tokens is not None:
            put(self, "tokens", np.asarray(self.tokens, dtype=np.int64))
        if self.answers is not None:
            put(self, "answers", np.asarray(self.answers, dtype=str))
        put(self, "meta", {str(name): _column(values) for name, values in self.meta.items()})
        self._check()

    def _shaped_targets(self) -> np.ndarray:
        if self.kind in ("classification", "retrieval", "tokens", "language"):
            return np.asarray(self.targets).astype(np.int64)
        targets = np.asarray(self.targets, dtype=np.float64)
        return targets[:, None] if targets.ndim == 1 else targets

    def _check(self) -> None:
        count = len(self.ids)
        for name in _ROW_FIELDS:
            value = getattr(self, name)
            if value is not None and len(value) != count:
                raise ValueError(f"{name} has {len(value)} rows, ids has {count}")
        for name, column in self.meta.items():
            if len(column) != count:
                raise ValueError(f"meta column {name!r} has {len(column)} rows, ids has {count}")
        if self.probability is not None:
            if self.probability.ndim != 2:
                raise ValueError("probability must have the shape (records, classes)")
            if self.classes and len(self.classes) != self.probability.shape[1]:
                raise ValueError(
                    f"{len(self.classes)} class names, {self.probability.shape[1]} columns of probability"
                )
        for name in ("predicted_size", "intersection", "hd95", "assd"):
            value = getattr(self, name)
            if value is not None and value.shape != self.targets.shape:
                raise ValueError(f"{name} has the shape {value.shape}, targets have {self.targets.shape}")
        self._check_thresholds()
        if self.quantiles is not None:
            self._check_quantiles(self.quantiles)
        for name in _FINITE:
            value = getattr(self, name)
            if value is not None and not np.isfinite(value).all():
                row = int(np.argwhere(~np.isfinite(value.reshape(count, -1)).all(axis=1))[0, 0])
                raise DataError(
                    f"record '{self.ids[row]}': the model's {name} is not a finite number.",
                    expected="finite outputs for every record",
                    remedy="the model has diverged or the input is damaged; look at the training loss.",
                )

    def _check_thresholds(self) -> None:
        if not self.thresholds:
            return
        classes = 0 if self.probability is None else self.probability.shape[1]
        wanted = {"multilabel": classes, "classification": 1 if classes == 2 else 0}.get(self.kind, 0)
        if len(self.thresholds) != wanted:
            raise ValueError(
                f"{len(self.thresholds)} thresholds for {self.kind} with {classes} classes, not {wanted}"
            )

    def _check_quantiles(self, quantiles: np.ndarray) -> None:
        shape = (*self.targets.shape, len(self.levels))
        if quantiles.shape != shape:
            raise ValueError(
                f"quantiles have the shape {quantiles.shape}, not {shape}: (records, steps, levels)"
            )
        if list(self.levels) != sorted(set(self.levels)):
            raise ValueError(f"the levels {self.levels} do not ascend")
        if self.naive is not None and self.naive.shape != self.targets.shape:
            raise ValueError(f"naive has the shape {self.naive.shape}, targets have {self.targets.shape}")
        crossed = np.flatnonzero((np.diff(quantiles, axis=2) < 0).any(axis=(1, 2)))
        if len(crossed):
            raise ValueError(f"record '{self.ids[crossed[0]]}': quantiles cross")

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def point(self) -> np.ndarray | None:
        """The one number that stands for a prediction: a mean (N, T), of forecasts the median (N, H)."""
        if self.kind != "forecast" or self.quantiles is None:
            return self.mean
        return self.at_levels([0.5])[..., 0]

    def at_levels(self, levels: Sequence[float]) -> np.ndarray:
        """Give quantiles (N, H, len(levels)) at levels between those that were predicted.

        Raises
        ------
        ConfigError
            When a level lies beyond the predicted ones.
        """
        return interpolate_levels(self.require("quantiles"), self.levels, levels)

    @property
    def predicted(self) -> np.ndarray:
        """The predicted class (N,), labels (N, L), value (N, T), median (N, H) or pixels a class (N, K)."""
        if self.kind == "classification" and self.thresholds:
            return (self.require("probability")[:, 1] >= self.thresholds[0]).astype(np.int64)
        if self.kind in ("classification", "tokens"):
            return self.require("probability").argmax(axis=1)
        if self.kind == "multilabel":
            limits = np.asarray(self.thresholds) if self.thresholds else 0.5
            return (self.require("probability") >= limits).astype(np.int64)
        if self.kind == "segmentation":
            return self.require("predicted_size")
        return self.require("point")

    def require(self, name: str) -> np.ndarray:
        """Give a field that must be there.

        Raises
        ------
        ValueError
            When these outputs lack it.
        """
        value = getattr(self, name)
        if value is None:
            raise ValueError(f"these {self.kind} outputs have no {name}")
        return value

    def take(self, rows: np.ndarray) -> Outputs:
        """Give the outputs of some rows, by position or by mask."""
        rows = np.asarray(rows)
        changed: dict[str, Any] = {
            name: getattr(self, name)[rows] for name in _ROW_FIELDS if getattr(self, name) is not None
        }
        changed["meta"] = {name: column[rows] for name, column in self.meta.items()}
        return replace(self, **changed)

    def with_probability(self, probability: np.ndarray) -> Outputs:
        """Give the same outputs with other probabilities, as after temperature scaling."""
        return replace(self, probability=probability)

    def save(self, path: str | Path) -> None:
        """Write them, whole or not at all.

        Parameters
        ----------
        path : path
            ``.npz`` (exact, small) or ``.parquet`` (one row a record, for other tools).
        """
        path = Path(path)
        known: dict[str, Any] = {
            "kind": self.kind,
            "classes": list(self.classes),
            "levels": list(self.levels),
        }
        if self.unit:
            known["unit"] = self.unit
        if self.thresholds:
            known["thresholds"] = list(self.thresholds)
        header = json.dumps({**known, "format": 1})
        if path.suffix == ".npz":
            arrays = {name: getattr(self, name) for name in _ROW_FIELDS if getattr(self, name) is not None}
            arrays |= {f"meta/{name}": column for name, column in self.meta.items()}
            if self.maps:  # ids may hold anything, names of arrays may not
                arrays["map_ids"] = np.array(list(self.maps), dtype=str)
                arrays |= {f"map/{place}": labels for place, labels in enumerate(self.maps.values())}
            arrays |= _attribution_arrays(self.attributions)
            with atomic_path(path) as temporary, temporary.open("wb") as stream:
                np.savez_compressed(stream, header=np.array(header), **arrays)
        elif path.suffix == ".parquet":
            self._save_parquet(path, header)
        else:
            raise ValueError(f"{path.name}: outputs are written as .npz or .parquet")

    def _save_parquet(self, path: Path, header: str) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        columns: dict[str, Any] = {}
        for name in _ROW_FIELDS:
            value = getattr(self, name)
            if value is None:
                continue
            if value.ndim > 1:  # quantiles lie step by step, each with all its levels
                flat = pa.array(np.ascontiguousarray(value).ravel())
                columns[name] = pa.FixedSizeListArray.from_arrays(flat, int(np.prod(value.shape[1:])))
            else:
                columns[name] = pa.array(value)
        columns |= {f"meta/{name}": pa.array(column) for name, column in self.meta.items()}
        table = pa.table(columns).replace_schema_metadata({"scizoo": header})
        with atomic_path(path) as temporary:
            pq.write_table(table, temporary)

    @classmethod
    def load(cls, path: str | Path) -> Outputs:
        """Read what :meth:`save` wrote; never unpickles.

        Raises
        ------
        DataError
            When the file is missing or is not a file of outputs.
        """
        path = Path(path)
        if not path.is_file():
            raise DataError(f"{path} does not exist.", expected="a file of outputs (.npz or .parquet)")
        try:
            header, arrays = _read_parquet(path) if path.suffix == ".parquet" else _read_npz(path)
            known = json.loads(header)
        except (ValueError, KeyError, OSError, EOFError) as error:
            raise DataError(
                f"{path} is not a file of outputs: {error}",
                remedy="delete it; the job writes it again.",
            ) from error
        meta = {name[5:]: arrays.pop(name) for name in list(arrays) if name.startswith("meta/")}
        levels = tuple(known.get("levels", ()))
        shown = arrays.pop("map_ids", np.empty(0, dtype=str)).tolist()
        maps = {name: arrays.pop(f"map/{place}") for place, name in enumerate(shown)}
        attributions = _attributions_of(arrays)
        if "quantiles" in arrays:
            arrays["quantiles"] = arrays["quantiles"].reshape(*arrays["targets"].shape, len(levels))
        return cls(
            kind=known["kind"],
            classes=tuple(known["classes"]),
            levels=levels,
            unit=known.get("unit", ""),
            thresholds=tuple(known.get("thresholds", ())),
            maps=maps,
            attributions=attributions,
            meta=meta,
            **arrays,
        )


def interpolate_levels(quantiles: np.ndarray, known: Sequence[float], levels: Sequence[float]) -> np.ndarray:
    """Read quantiles (..., Q) at other levels, by straight lines between the known ones.

    Raises
    ------
    ConfigError
        When a level lies beyond the known ones: nothing is known of the tails.
    """
    own, wanted = np.asarray(known, dtype=float), np.asarray(levels, dtype=float)
    if np.array_equal(own, wanted):
        return quantiles
    beyond = [level for level in wanted if not own[0] - 1e-9 <= level <= own[-1] + 1e-9]
    if beyond:
        raise ConfigError(
            f"the level {beyond[0]:g} lies beyond the quantiles that the model predicts.",
            expected=f"levels from {own[0]:g} to {own[-1]:g}",
        )
    place = np.clip(np.searchsorted(own, wanted, side="left"), 1, max(1, len(own) - 1))
    if len(own) == 1:
        return np.repeat(quantiles, len(wanted), axis=-1)
    share = np.clip((wanted - own[place - 1]) / (own[place] - own[place - 1]), 0.0, 1.0)
    low, high = quantiles[..., place - 1], quantiles[..., place]
    # Written so that equal ends give exactly that value, and the result never passes an end.
    return np.where(share >= 1.0, high, low + share * (high - low))


def _attribution_arrays(found: Mapping[str, Attribution]) -> dict[str, np.ndarray]:
    if not found:
        return {}
    arrays = {
        "attribution_ids": np.array(list(found), dtype=str),
        "attribution_outputs": np.array([one.output for one in found.values()], dtype=str),
    }
    for place, one in enumerate(found.values()):
        arrays |= {f"attribution/{place}/{name}": np.asarray(value) for name, value in one.values.items()}
    return arrays


def _attributions_of(arrays: dict[str, np.ndarray]) -> dict[str, Attribution]:
    """Take attributions out of the arrays of a file."""
    ids = arrays.pop("attribution_ids", np.empty(0, dtype=str)).tolist()
    outputs = arrays.pop("attribution_outputs", np.empty(0, dtype=str)).tolist()
    values: list[dict[str, np.ndarray]] = [{} for _ in ids]
    for key in [key for key in arrays if key.startswith("attribution/")]:
        _, place, name = key.split("/", 2)
        values[int(place)][name] = arrays.pop(key)
    return {id: Attribution(output, one) for id, output, one in zip(ids, outputs, values, strict=True)}


def _read_npz(path: Path) -> tuple[str, dict[str, np.ndarray]]:
    import zipfile

    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
    except zipfile.BadZipFile as error:
        raise ValueError(str(error)) from error
    return str(arrays.pop("header")), arrays


def _read_parquet(path: Path) -> tuple[str, dict[str, np.ndarray]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pq.read_table(path)
    header = (table.schema.metadata or {})[b"scizoo"].decode()
    arrays = {}
    for name in table.column_names:
        column = table[name].combine_chunks()
        if pa.types.is_fixed_size_list(column.type):
            arrays[name] = np.asarray(column.flatten()).reshape(len(column), column.type.list_size)
        else:
            arrays[name] = np.asarray(column.to_numpy(zero_copy_only=False))
            if arrays[name].dtype == object:
                arrays[name] = arrays[name].astype(str)
    return header, arrays


def _column(values: Any) -> np.ndarray:
    """Give a column of numbers, booleans or strings, never of objects; None becomes '' or NaN."""
    try:
        array = np.asarray(values)
    except ValueError:  # some are lists of unequal lengths
        array = np.empty(0, dtype=object)
    if array.dtype.kind in "biufUS" and array.ndim == 1:
        return array.astype(str) if array.dtype.kind == "S" else array
    items = list(values)
    if all(item is None or isinstance(item, (bool, int, float, np.number)) for item in items):
        return np.array([np.nan if item is None else float(item) for item in items])
    return np.array(["" if item is None else str(item) for item in items], dtype=str)


def meta_columns(metas: Sequence[Mapping[str, Any]]) -> dict[str, np.ndarray]:
    """Join the ``meta`` of records into columns; a column that a record lacks is missing there.

    Parameters
    ----------
    metas : sequence of mapping
        ``Record.meta`` of each record.

    Returns
    -------
    dict of str to ndarray
        One column a name, in order of first appearance.
    """
    names = dict.fromkeys(name for meta in metas for name in meta)
    return {str(name): _column([meta.get(name) for meta in metas]) for name in names}
