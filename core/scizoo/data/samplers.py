"""Which windows make which batch: length bucketing and packing, exact to resume, equal on every rank.

Both samplers lay out their batches once, by length alone, and draw anew each epoch which windows fill
them. So an epoch's number of batches never changes, and any batch of any epoch can be worked out again
from (seed, epoch, position).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any

import numpy as np

from scizoo.data.packing import pack
from scizoo.data.slots import Slots
from scizoo.errors import ConfigError

_BUFFER_BATCHES = 32  # batches that are sorted together: more pads less and shuffles less
_GRID = 1.1  # neighbouring length classes when batches are cut by tokens: bounds their padding


class WindowSampler(ABC):
    """Batches of window numbers, a function of (seed, epoch) alone.

    An iterator works through one epoch, from where :meth:`load_state_dict` left it. The epoch moves on
    by :meth:`set_epoch`, which Lightning and :class:`~scizoo.data.module.ResumableLoader` call: a loader's
    workers read ahead of the training, so the sampler cannot know when an epoch is over.

    Parameters
    ----------
    lengths : ndarray of int, shape (all windows,)
        Length of each window.
    windows, records, views : ndarray, optional
        See :class:`Slots`. With `records` and `views`, one view a record is drawn each epoch.
    shuffle : bool
        Whether windows and batches come in a new order each epoch; otherwise sorted by length.
    seed : int
    rank, world_size : int
        This process and how many there are. Every rank gets the same number of batches: the largest
        batches are divided until the count fits, so that no window is read twice.
    """

    def __init__(
        self,
        lengths: np.ndarray,
        *,
        windows: np.ndarray | None = None,
        records: np.ndarray | None = None,
        views: np.ndarray | None = None,
        shuffle: bool = True,
        seed: int = 0,
        rank: int = 0,
        world_size: int = 1,
    ):
        if not 0 <= rank < world_size:
            raise ValueError(f"rank {rank} of {world_size} processes")
        self.shuffle, self.seed, self.rank, self.world_size = shuffle, seed, rank, world_size
        self.slots = Slots(lengths, windows, records, views)
        self.epoch = 0
        self._start = 0
        self._live: _EpochIterator | None = None
        self._offsets = _divide(self._layout(self.slots.sizes), world_size)
        self._batches = len(self._offsets) - 1

    @property
    def sampler(self) -> WindowSampler:
        """Itself: Lightning calls ``set_epoch`` on a batch sampler's sampler."""
        return self

    @abstractmethod
    def _layout(self, sizes: np.ndarray) -> np.ndarray:
        """Return the offsets of the batches in the arranged places; shape (batches + 1,)."""

    @abstractmethod
    def _arrange(self, generator: np.random.Generator) -> np.ndarray:
        """Return the places in the order in which `_layout` cuts them into batches."""

    def __len__(self) -> int:
        return -(-self._batches // self.world_size)

    def __iter__(self) -> Iterator[list[int]]:
        self._live = _EpochIterator(self, self.epoch, self._start)
        return self._live

    def set_epoch(self, epoch: int) -> None:
        """Begin another epoch with the next iterator."""
        if epoch != self.epoch:
            self.epoch, self._start, self._live = epoch, 0, None

    def state_dict(self) -> dict[str, int]:
        """Return where the latest iterator stands; plain numbers."""
        live = self._live
        epoch, position = (live.epoch, live.position) if live else (self.epoch, self._start)
        return {"epoch": epoch, "position": position, **self._signature()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on, with the next iterator, from a state of a sampler over the same data.

        Raises
        ------
        ConfigError
            When the state belongs to other data, batches or seeds.
        """
        for key, now in self._signature().items():
            if state[key] != now:
                raise ConfigError(
                    f"the run that is resumed had {key}={state[key]} in its data loader, this one has {now}.",
                    remedy="resume with the same data, batching, seed and number of processes.",
                )
        self.epoch, self._start, self._live = int(state["epoch"]), int(state["position"]), None
        if self._start >= len(self):  # that epoch was over
            self.epoch, self._start = self.epoch + 1, 0

    def _signature(self) -> dict[str, int]:
        return {
            "seed": self.seed,
            "windows": len(self.slots.windows),
            "batches": self._batches,
            "world_size": self.world_size,
        }

    def _plan(self, epoch: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Arranged places, the windows that fill all places, and this rank's batch numbers."""
        generator = np.random.default_rng([self.seed, epoch])
        filled = self.slots.fill(generator)
        arranged = self._arrange(generator)
        batches = np.arange(self._batches)
        if self.shuffle:
            batches = generator.permutation(self._batches)
        if self._batches:
            batches = np.resize(batches, len(self) * self.world_size)  # fewer windows than ranks: repeat
        return arranged, filled, batches[self.rank :: self.world_size]

    def _batch(self, plan: tuple[np.ndarray, np.ndarray, np.ndarray], position: int) -> list[int]:
        arranged, filled, batches = plan
        number = batches[position]
        places = arranged[self._offsets[number] : self._offsets[number + 1]]
        chosen = filled[places]
        chosen = chosen[chosen >= 0]
        if not len(chosen):  # every view drawn here was too short for its place: no batch may be empty
            chosen = filled[filled >= 0][:1]
        return [int(window) for window in chosen]


class _EpochIterator(Iterator[list[int]]):
    """One epoch's batches from a position on; its state is the sampler's."""

    def __init__(self, sampler: WindowSampler, epoch: int, position: int):
        self.sampler, self.epoch, self.position = sampler, epoch, position
        self._plan: tuple[np.ndarray, np.ndarray, np.ndarray] | None = None

    def __next__(self) -> list[int]:
        if self.position >= len(self.sampler):
            raise StopIteration
        if self._plan is None:
            self._plan = self.sampler._plan(self.epoch)
        batch = self.sampler._batch(self._plan, self.position)
        self.position += 1
        return batch


class LengthBucketSampler(WindowSampler):
    """Batches of windows of similar length, so that little is padded.

    Parameters
    ----------
    lengths : ndarray of int, shape (all windows,)
    batch_size : int, optional
        The most windows in a batch.
    tokens_per_batch : int, optional
        The most positions in a batch, padding included. One of the two must be given.
    **kwargs
        See :class:`WindowSampler`.

    Raises
    ------
    ConfigError
        When neither is given, or a window is longer than `tokens_per_batch`.
    """

    def __init__(
        self,
        lengths: np.ndarray,
        *,
        batch_size: int | None = None,
        tokens_per_batch: int | None = None,
        **kwargs: Any,
    ):
        if not (batch_size or tokens_per_batch) or min(batch_size or 1, tokens_per_batch or 1) < 1:
            raise ConfigError(
                f"batching.batch_size={batch_size} and batching.tokens_per_batch={tokens_per_batch} "
                "do not say how large a batch is.",
                expected="a positive number for one of them",
            )
        self.batch_size, self.tokens_per_batch = batch_size, tokens_per_batch
        super().__init__(lengths, **kwargs)

    def _layout(self, sizes: np.ndarray) -> np.ndarray:
        if self.tokens_per_batch is None:
            assert self.batch_size is not None
            return np.append(np.arange(0, len(sizes), self.batch_size), len(sizes)).astype(np.int64)
        _check_budget(sizes, self.tokens_per_batch)
        # Within a class of the grid windows are interchangeable; batches are cut as if each window had
        # its class's largest size.
        grid = [1]
        while grid[-1] < self.tokens_per_batch:
            grid.append(min(max(grid[-1] + 1, int(grid[-1] * _GRID)), self.tokens_per_batch))
        self._class = np.searchsorted(grid, sizes)
        rounded = np.sort(np.asarray(grid)[self._class])
        cuts = [0]
        while cuts[-1] < len(rounded):
            begin = cuts[-1]
            # The batch grows while its largest size times its count stays within the budget.
            low, high = begin + 1, min(begin + self.tokens_per_batch // int(rounded[begin]), len(rounded))
            high = min(high, begin + self.batch_size) if self.batch_size else high
            while low < high:
                middle = (low + high + 1) // 2
                if int(rounded[middle - 1]) * (middle - begin) <= self.tokens_per_batch:
                    low = middle
                else:
                    high = middle - 1
            cuts.append(low)
        return np.asarray(cuts, dtype=np.int64)

    def _arrange(self, generator: np.random.Generator) -> np.ndarray:
        sizes = self.slots.sizes
        if not self.shuffle:
            return np.argsort(sizes, kind="stable")
        drawn = generator.permutation(len(sizes))
        if self.tokens_per_batch is not None:
            return drawn[np.argsort(self._class[drawn], kind="stable")]
        assert self.batch_size is not None
        buffer = np.arange(len(sizes)) // (self.batch_size * _BUFFER_BATCHES)
        return drawn[np.lexsort((sizes[drawn], buffer))]


class PackingSampler(WindowSampler):
    """Batches of whole windows that fill up to `tokens_per_batch` tokens, for packed sequences.

    Best-fit-decreasing on the histogram of lengths (after Krell et al. 2021, "Efficient sequence packing
    without cross-contamination", arXiv 2107.02027): patterns of lengths are laid out once, and each epoch
    draws which windows of those lengths fill them.

    Parameters
    ----------
    lengths : ndarray of int, shape (all windows,)
    tokens_per_batch : int
        The most tokens in a batch.
    **kwargs
        See :class:`WindowSampler`.

    Raises
    ------
    ConfigError
        When a window is longer than `tokens_per_batch`.
    """

    def __init__(self, lengths: np.ndarray, *, tokens_per_batch: int, **kwargs: Any):
        self.tokens_per_batch = tokens_per_batch
        super().__init__(lengths, **kwargs)

    def _layout(self, sizes: np.ndarray) -> np.ndarray:
        _check_budget(sizes, self.tokens_per_batch)
        values, counts = np.unique(sizes, return_counts=True)
        starts = np.cumsum(counts) - counts
        cursor = dict(zip(values.tolist(), starts.tolist()))
        pieces: list[np.ndarray] = []
        widths: list[np.ndarray] = []
        for pattern, count in pack(dict(zip(values.tolist(), counts.tolist())), self.tokens_per_batch):
            columns = []
            for size, many in pattern:
                taken = np.arange(cursor[size], cursor[size] + many * count)
                columns.append(taken.reshape(count, many))
                cursor[size] += many * count
            joined = np.concatenate(columns, axis=1)
            pieces.append(joined.reshape(-1))
            widths.append(np.full(count, joined.shape[1], dtype=np.int64))
        self._template = np.concatenate(pieces) if pieces else np.empty(0, dtype=np.int64)
        offsets = np.zeros(sum(map(len, widths)) + 1, dtype=np.int64)
        if widths:
            np.cumsum(np.concatenate(widths), out=offsets[1:])
        return offsets

    def _arrange(self, generator: np.random.Generator) -> np.ndarray:
        sizes = self.slots.sizes
        drawn = generator.permutation(len(sizes)) if self.shuffle else np.arange(len(sizes))
        return drawn[np.argsort(sizes[drawn], kind="stable")][self._template]


def _check_budget(sizes: np.ndarray, budget: int) -> None:
    if len(sizes) and int(sizes.max()) > budget:
        raise ConfigError(
            f"batching.tokens_per_batch={budget} is smaller than the longest window, "
            f"which has {int(sizes.max())} tokens.",
            remedy="raise batching.tokens_per_batch or lower context.max_length.",
        )


def _divide(offsets: np.ndarray, world_size: int) -> np.ndarray:
    """Divide the largest batches until their number is a multiple of `world_size`, if it can be."""
    cuts = offsets.tolist()
    missing = -(len(cuts) - 1) % world_size
    for _ in range(missing):
        widths = np.diff(cuts)
        largest = int(widths.argmax())
        if widths[largest] < 2:
            break
        cuts.insert(largest + 1, int(cuts[largest] + widths[largest] // 2))
    return np.asarray(cuts, dtype=np.int64)
