"""Made-up records: the same ones each time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from scizoo.data.records import Dataset, Licence, Record


@dataclass(frozen=True)
class Wave:
    """Two variables of a wave at odd times, some of them not measured."""

    times: np.ndarray
    values: np.ndarray
    channel: np.ndarray


@dataclass(frozen=True)
class Ring:
    """Beads on a ring; each knows its two neighbours."""

    beads: tuple[int, ...]


class Made(Dataset):
    """Some 40 records, half of each class."""

    licence = Licence("CC0-1.0")

    def __init__(self, count: int = 40, max_rejected: float = 0.01):
        super().__init__(max_rejected=max_rejected)
        self.count = int(count)

    def records(self) -> Iterator[Record]:
        """Yield the records."""
        for number in range(self.count):
            draw = np.random.default_rng(number)
            found, target = self.make(draw, number % 2)
            yield Record(f"r{number}", found, target, source=f"record {number}")

    def make(self, draw: np.random.Generator, label: int) -> tuple[object, object]:
        """Draw one record of a class."""
        raise TypeError("a base class")

    def fingerprint(self) -> str:
        """Name and size."""
        return f"{type(self).__name__}{self.count}"

    @property
    def name(self) -> str:
        """Name of the class."""
        return type(self).__name__


class Waves(Made):
    """Slow and fast waves."""

    def make(self, draw: np.random.Generator, label: int) -> tuple[Wave, str]:
        """Draw a wave."""
        length = int(draw.integers(20, 30))
        times = np.sort(draw.uniform(0, 10, length))
        wave = np.sin((1 + 2 * label) * times + draw.uniform(0, 6))
        values = np.stack([wave, wave**2], axis=1)
        values[draw.random(values.shape) < 0.1] = np.nan
        return Wave(times, values, draw.integers(0, 2, length)), ("slow", "fast")[label]


class Pictures(Made):
    """Bright in the upper or the lower half."""

    def make(self, draw: np.random.Generator, label: int) -> tuple[np.ndarray, str]:
        """Draw a picture."""
        picture = draw.integers(0, 60, (1, 32, 32))
        half = slice(0, 16) if label else slice(16, 32)
        picture[:, half] += 150
        return picture.astype(np.uint8), ("low", "high")[label]


class Captions(Made):
    """A bright square somewhere, and where it is in words."""

    def make(self, draw: np.random.Generator, label: int) -> tuple[np.ndarray, str]:
        """Draw a picture and its caption."""
        picture = draw.integers(0, 60, (1, 32, 32))
        left, top = (int(place) for place in draw.integers(0, 24, 2))
        picture[:, top : top + 8, left : left + 8] += 150
        return picture.astype(np.uint8), f"{'dog' if label else 'cat'} at {left} and {top}"


class Rings(Made):
    """How many beads of a ring are of kind 1."""

    def make(self, draw: np.random.Generator, label: int) -> tuple[Ring, float]:
        """Draw a ring."""
        beads = tuple(int(bead) for bead in draw.integers(1, 4, int(draw.integers(6, 14))))
        return Ring(beads), float(beads.count(1))


class Shapes(Made):
    """A bright square on a dim ground, and where it is; the last row of pixels does not count."""

    classes = ("ground", "square")

    def make(self, draw: np.random.Generator, label: int) -> tuple[np.ndarray, np.ndarray]:
        """Draw a picture and its label map."""
        picture = draw.integers(0, 60, (1, 32, 32))
        top, left = draw.integers(2, 18, 2)
        side = 8 + 4 * label
        picture[:, top : top + side, left : left + side] += 150
        labels = np.zeros((32, 32), dtype=np.int8)
        labels[top : top + side, left : left + side] = 1
        labels[-1] = -1
        return picture.astype(np.uint8), labels
