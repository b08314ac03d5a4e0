"""Label maps: a class for every pixel of a record, read one at a time."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from scizoo.data.records import Record
from scizoo.data.targets import IGNORED, TargetEncoder, is_missing
from scizoo.errors import ConfigError, DataError

Classes = Mapping[Any, str] | Sequence[str]


class LazyMap:
    """A label map that is read when it is needed, and not kept.

    Parameters
    ----------
    shape : (int, int)
        Height and width.
    read : callable
        Gives the map.
    """

    def __init__(self, shape: tuple[int, int], read: Callable[[], np.ndarray]):
        self.shape = (int(shape[0]), int(shape[1]))
        self.read = read

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        found = np.asarray(self.read())
        return found if dtype is None else found.astype(dtype)

    def __repr__(self) -> str:
        return f"<label map of {self.shape[0]} x {self.shape[1]} pixels>"


class LabelMaps(Sequence[np.ndarray]):
    """Encoded label maps of some records, made from their sources one at a time.

    Item ``i`` is an int16 array (H, W) of class numbers, -100 where a pixel does not count.

    Parameters
    ----------
    sources : sequence
        ``Record.target`` of each record.
    target : MapTarget
    names : sequence of str
    digests : sequence of str
        Of the content of each.
    """

    def __init__(
        self, sources: Sequence[Any], target: MapTarget, names: Sequence[str], digests: Sequence[str]
    ):
        self.sources, self.target = list(sources), target
        self.names, self.digests = list(names), list(digests)

    def __len__(self) -> int:
        return len(self.sources)

    def __getitem__(self, place: Any) -> Any:
        if isinstance(place, slice | np.ndarray | list):
            rows = np.arange(len(self))[place]
            return LabelMaps(
                [self.sources[row] for row in rows],
                self.target,
                [self.names[row] for row in rows],
                [self.digests[row] for row in rows],
            )
        return self.target.numbers(self.sources[place], self.names[place])

    def __iter__(self) -> Iterator[np.ndarray]:
        return (self[place] for place in range(len(self)))

    @property
    def digest(self) -> str:
        """A digest of all of them."""
        return hashlib.sha256("\n".join(self.digests).encode()).hexdigest()


class MapTarget(TargetEncoder):
    """A class for every pixel, as :class:`LabelMaps`.

    A target is an array of integers (H, W), or an object with ``shape`` that numpy can read as one.

    Parameters
    ----------
    classes : sequence of str or mapping, optional
        Names by value, 0 first, or a mapping of value to name; the values that occur in training when not
        given.
    values : sequence of int, optional
        The value of each class in the maps, where ``classes`` is a sequence; 0, 1, 2, ... by default.
    ignore : sequence of int
        Values of pixels that do not count.
    background : bool
        Whether value 0 is no class of its own, but what none of them covers; it is left out of all metrics.
    unit : str
        What the spacing of the pixels is measured in.
    """

    kind = "segmentation"
    discrete = False  # two raters draw two maps of one image

    def __init__(
        self,
        classes: Classes | None = None,
        values: Sequence[int] | None = None,
        ignore: Sequence[int] | int = (-1,),
        background: bool = True,
        unit: str = "mm",
    ):
        names: dict[int, str] = {}
        if isinstance(classes, Mapping):
            for value, name in classes.items():
                try:
                    names[int(value)] = str(name)
                except (TypeError, ValueError) as error:
                    raise ConfigError(f"target.classes: {value!r} is no value of a pixel.") from error
        elif classes is not None:
            known = list(range(len(classes))) if values is None else [int(value) for value in values]
            names = dict(zip(known, map(str, classes), strict=True))
        self.background, self.unit = bool(background), str(unit)
        self.ignore = [int(v) for v in ([ignore] if isinstance(ignore, int) else ignore or ())]
        if names and self.background:
            names = {0: names.get(0, "background"), **{v: name for v, name in names.items() if v != 0}}
        if clash := set(names) & set(self.ignore):
            raise ConfigError(f"target: {min(clash)} is the value of a class and of what is ignored.")
        self.values, self.classes = list(names), list(names.values())

    @property
    def foreground(self) -> list[str]:
        """The classes that are judged: all but the background."""
        return self.classes[1:] if self.background else list(self.classes)

    def _read(self, target: Any, name: str) -> np.ndarray:
        if is_missing(target):
            raise DataError(
                f"{name} has no label map.",
                expected="a map for every record",
                remedy="add the map, or remove the record.",
            )
        found = np.asarray(target)
        if found.dtype == bool:
            found = found.astype(np.uint8)
        if found.ndim != 2 or not found.size:
            raise DataError(
                f"{name}: its label map has the shape {found.shape}.", expected="one number a pixel: (H, W)"
            )
        if found.dtype.kind == "f" and np.isfinite(found).all() and (found == np.rint(found)).all():
            found = found.astype(np.int64)
        if found.dtype.kind not in "iu":
            raise DataError(
                f"{name}: its label map holds values that are no integers.",
                expected="an integer for each pixel",
                remedy="write the class number of each pixel; soft masks must be thresholded first.",
            )
        if int(found.max()) - int(found.min()) > 1 << 20:
            raise DataError(
                f"{name}: its label map holds values from {found.min()} to {found.max()}.",
                expected="a small number for each class",
            )
        return found

    def fit(self, targets: Sequence[Any], names: Sequence[str] | None = None) -> None:  # noqa: D102
        seen: set[int] = set()
        for position, target in enumerate(targets):
            name = names[position] if names is not None else f"record {position + 1}"
            seen.update(_occurring(self._read(target, name)).tolist())
        seen -= set(self.ignore)
        if not self.values:
            found = sorted(seen | ({0} if self.background else set()))
            self.values = found
            self.classes = ["background" if v == 0 and self.background else str(v) for v in found]
        if len(seen & set(self.values)) < 2:
            only = next(
                (name for v, name in zip(self.values, self.classes, strict=True) if v in seen), "nothing"
            )
            raise DataError(
                f"the label maps of the training part hold {only} alone.",
                expected="two classes or more, the background among them",
                remedy="check the maps, target.ignore and target.background.",
            )

    def numbers(self, target: Any, name: str) -> np.ndarray:
        """Give a map as class numbers, int16 (H, W), -100 where a pixel does not count.

        Raises
        ------
        DataError
            When it is no map, or holds a value that is of no class.
        """
        found = self._read(target, name)
        low = int(found.min())
        table = np.full(int(found.max()) - low + 1, -1, dtype=np.int16)
        for number, value in enumerate(self.values):
            if low <= value < low + len(table):
                table[value - low] = number
        for value in self.ignore:
            if low <= value < low + len(table):
                table[value - low] = IGNORED
        shown = table[found.astype(np.int64) - low]
        if (shown == -1).any():
            wrong = int(found[shown == -1][0])
            raise DataError(
                f"{name}: its label map holds the value {wrong}, which is of no class.",
                expected=", ".join(f"{v} ({n})" for v, n in zip(self.values, self.classes, strict=True)),
                remedy="name it in target.classes, or in target.ignore if it shall not count.",
            )
        return shown

    def encode(self, targets: Sequence[Any], names: Sequence[str] | None = None) -> LabelMaps:  # type: ignore[override]
        """Check every map and give them as :class:`LabelMaps`."""
        named = list(names) if names is not None else [f"record {n + 1}" for n in range(len(targets))]
        digests = []
        for target, name in zip(targets, named, strict=True):
            shown = self.numbers(target, name)
            content = hashlib.blake2b(np.ascontiguousarray(shown).tobytes(), digest_size=16)
            digests.append(f"{shown.shape}{content.hexdigest()}")
        return LabelMaps(targets, self, named, digests)

    def decode(self, values: np.ndarray) -> np.ndarray:
        """Give class numbers as the values that the user's maps have."""
        table = np.array(self.values)
        found: np.ndarray = table[np.asarray(values, dtype=np.int64)]
        return found.astype(np.uint8 if table.min() >= 0 and table.max() < 256 else np.int32)

    @property
    def outputs(self) -> int:  # noqa: D102
        return len(self.classes)

    def state(self) -> dict[str, Any]:  # noqa: D102
        return {
            "classes": list(self.classes),
            "values": list(self.values),
            "ignore": list(self.ignore),
            "background": self.background,
            "unit": self.unit,
        }


def _occurring(labels: np.ndarray) -> np.ndarray:
    low = int(labels.min())
    return np.flatnonzero(np.bincount((labels.astype(np.int64) - low).ravel())) + low


def spacing_of(record: Record) -> tuple[float, float] | None:
    """Give the height and width of a record's pixels; None where they are not known.

    They are ``input.spacing``, or ``meta["spacing"]``: one number, or two.

    Raises
    ------
    DataError
        When they are no positive numbers.
    """
    stated: Any = getattr(record.input, "spacing", None)
    if stated is None:
        stated = record.meta.get("spacing")
    if is_missing(stated):
        return None
    try:
        sizes = [float(size) for size in stated] if isinstance(stated, Iterable) else [float(stated)] * 2
    except (TypeError, ValueError):
        sizes = []
    if len(sizes) != 2 or not all(np.isfinite(size) and size > 0 for size in sizes):
        raise DataError(
            f"record '{record.id}' ({record.source}): its spacing is {stated!r}.",
            expected="the height and width of a pixel: one positive number, or two",
        )
    return sizes[0], sizes[1]
