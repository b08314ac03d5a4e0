"""The DataModule: windows, targets and a split as resumable loaders."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import lightning.pytorch as pl
import numpy as np
import torch
from torch.utils.data import Dataset as MapDataset
from torchdata.stateful_dataloader import StatefulDataLoader

from scizoo.data.batching import PackCollator, PadCollator
from scizoo.data.encoding import EncodedDataset
from scizoo.data.planes import LabelPlanes
from scizoo.data.ragged import Ragged
from scizoo.data.samplers import LengthBucketSampler, PackingSampler, WindowSampler
from scizoo.data.splits import PARTS, Split
from scizoo.data.targets import IGNORED
from scizoo.errors import ConfigError, DataError

Targets = np.ndarray | Ragged | LabelPlanes


class WindowItems(MapDataset):
    """Items of an EncodedDataset with their window number and their record's target.

    Parameters
    ----------
    encoded : EncodedDataset
    targets : ndarray, Ragged or LabelPlanes, optional
        One entry a record. A Ragged has one label a token; it is cut into the same windows, and special
        tokens get -100. LabelPlanes have one label a pixel, of each view of the record.

    Raises
    ------
    DataError
        When the targets are not as many as the records, or a record's labels not as many as its tokens.
    """

    def __init__(self, encoded: EncodedDataset, targets: Targets | None = None):
        self.encoded, self.targets = encoded, targets
        if targets is None:
            return
        if len(targets) != encoded.record_count:
            raise DataError(f"there are {len(targets)} targets for {encoded.record_count} records.")
        if isinstance(targets, Ragged):
            self._check_labels(targets)

    def _check_labels(self, targets: Ragged) -> None:
        if self.encoded.view_count > 1:
            raise ConfigError(
                "a task with one label a position cannot use several views of a record.",
                remedy="switch augmentation off for this task.",
            )
        store = self.encoded.store
        tokens = store.arrays[self.encoded.main_input].lengths
        labels = targets.lengths[store.row_record]
        wrong = np.flatnonzero((labels != tokens) & (labels > 0))
        if len(wrong):
            record = int(store.row_record[wrong[0]])
            raise DataError(
                f"record '{store.records.id(record)}' has {labels[wrong[0]]} labels for "
                f"{tokens[wrong[0]]} tokens.",
                expected="one label a token",
            )

    def __len__(self) -> int:
        return len(self.encoded)

    def __getitem__(self, number: int) -> dict[str, np.ndarray]:
        item = self.encoded[number]
        item["index"] = np.asarray(number, dtype=np.int64)
        if self.targets is None:
            return item
        if isinstance(self.targets, LabelPlanes):
            row, _, _ = self.encoded.window(number)
            store = self.encoded.store
            item["target"] = self.targets.plane(int(store.row_record[row]), int(store.row_view[row]))
            return item
        target = self.targets[int(self.encoded.record_index[number])]
        if isinstance(self.targets, Ragged):
            _, start, length = self.encoded.window(number)
            before = int(self.encoded.context.add_cls)
            labels = np.full(length + self.encoded.context.specials, IGNORED, dtype=np.int64)
            piece = target[start : start + length]
            labels[before : before + len(piece)] = piece
            target = labels
        target = np.asarray(target)
        # Values in a series' own units are kept exactly for judging; models compute in single precision.
        item["target"] = target.astype(np.float32) if target.dtype == np.float64 else target
        return item

    @property
    def pad_values(self) -> dict[str, float]:
        """What pads each entry that has a row a position."""
        values: dict[str, float] = dict(self.encoded.pad_values)
        if isinstance(self.targets, Ragged):
            values["target"] = IGNORED
        return values


class ResumableLoader(StatefulDataLoader):
    """A StatefulDataLoader that moves its sampler on to the next epoch when one is over.

    The workers read ahead, so only the loader knows when the last batch was taken. Its ``state_dict`` in the
    middle of an epoch gives, in a new loader over the same data, the batches that were left and the same
    epochs after them.
    """

    def __iter__(self) -> Iterator[Any]:
        # Made at once, not at the first batch: a state that was loaded must be in place by then.
        iterator = super().__iter__()
        sampler = self.batch_sampler
        if not isinstance(sampler, WindowSampler):  # Lightning wraps it for prediction, in a fixed order
            return iterator
        return self._through(iterator, sampler, sampler.epoch)

    @staticmethod
    def _through(iterator: Iterator[Any], sampler: WindowSampler, epoch: int) -> Iterator[Any]:
        yield from iterator
        sampler.set_epoch(epoch + 1)


class DataModule(pl.LightningDataModule):
    """Loaders for training, validation, test and prediction.

    Training draws one view a record and epoch; the other loaders read every view of every record, sorted by
    length. Lightning must not replace the samplers: the trainer needs ``use_distributed_sampler=False``. Nor
    may ``configure_optimizers`` read ``trainer.estimated_stepping_batches``, which makes Lightning drop the
    loader's state on resuming; use :meth:`steps_per_epoch`.

    Parameters
    ----------
    encoded : EncodedDataset
    targets : ndarray or Ragged, optional
        One entry a record; None for self-supervised objectives.
    split : Split, optional
        Positions of records; without it every record is for training and prediction.
    batch_size, tokens_per_batch : int, optional
        See :class:`~scizoo.data.samplers.LengthBucketSampler`.
    eval_batch_size : int, optional
        Windows in a batch outside training; ``batch_size`` by default.
    packing : bool
        Whether training batches are packed (needs `tokens_per_batch`).
    pad_to_multiple : int
        Padded lengths are multiples of this.
    workers : int
        Processes that read ahead; 0 reads in this one.
    seed : int
        Of order and views.
    pin_memory : bool
        Whether batches are put where a GPU can fetch them.
    train_views, predict_views : bool
        Whether training draws among the views of a record, and prediction reads them all; else only the first
        view is used.
    last_windows : bool
        Whether of a record with several windows only the last is used: what follows a series follows its end.
    """

    def __init__(
        self,
        encoded: EncodedDataset,
        targets: Targets | None = None,
        split: Split | None = None,
        *,
        batch_size: int | None = 32,
        tokens_per_batch: int | None = None,
        eval_batch_size: int | None = None,
        packing: bool = False,
        pad_to_multiple: int = 1,
        workers: int = 0,
        seed: int = 0,
        pin_memory: bool = False,
        train_views: bool = True,
        predict_views: bool = True,
        last_windows: bool = False,
    ):
        super().__init__()
        if packing and not tokens_per_batch:
            raise ConfigError(
                "batching.packing needs batching.tokens_per_batch.",
                remedy="set batching.tokens_per_batch, e.g. to 8 times context.max_length.",
            )
        self.encoded, self.split = encoded, split
        self.items = WindowItems(encoded, targets)
        self.batch_size, self.tokens_per_batch = batch_size, tokens_per_batch
        self.eval_batch_size, self.packing = eval_batch_size, packing
        self.train_views, self.predict_views = train_views, predict_views
        self.last_windows = last_windows
        self.pad_to_multiple, self.workers, self.seed, self.pin_memory = (
            pad_to_multiple,
            workers,
            seed,
            pin_memory,
        )

    def windows(self, part: str) -> np.ndarray:
        """Windows of the records in a part ("train", "validation", "test" or "all")."""
        if part != "all" and part not in PARTS:
            raise ValueError(f"no part '{part}'")
        if self.split is None:
            windows = np.arange(len(self.encoded) if part in ("all", "train") else 0)
        elif part == "all":
            windows = np.arange(len(self.encoded))
        else:
            windows = self.encoded.windows_of(getattr(self.split, part))
        return windows[self.encoded.ends_row[windows]] if self.last_windows else windows

    def _shown(self, windows: np.ndarray, every_view: bool) -> np.ndarray:
        return windows if every_view else windows[self.encoded.view_index[windows] == 0]

    def _ranks(self) -> dict[str, int]:
        trainer = getattr(self, "trainer", None)
        if trainer is None:
            return {"rank": 0, "world_size": 1}
        return {"rank": trainer.global_rank, "world_size": trainer.world_size}

    def train_sampler(self) -> WindowSampler:
        """Return a sampler of the training windows, one view a record."""
        shared: dict[str, Any] = {
            "windows": self._shown(self.windows("train"), self.train_views),
            "records": self.encoded.record_index,
            "views": self.encoded.view_index,
            "seed": self.seed,
            **self._ranks(),
        }
        if self.packing:
            assert self.tokens_per_batch is not None
            return PackingSampler(self.encoded.lengths, tokens_per_batch=self.tokens_per_batch, **shared)
        return LengthBucketSampler(
            self.encoded.lengths,
            batch_size=None if self.tokens_per_batch else self.batch_size,
            tokens_per_batch=self.tokens_per_batch,
            **shared,
        )

    def steps_per_epoch(self) -> int:
        """Training batches an epoch, on each rank."""
        return len(self.train_sampler())

    def eval_sampler(self, part: str) -> WindowSampler:
        """Return a sampler of every window of a part, every view, sorted by length."""
        by_tokens = self.eval_batch_size is None and self.tokens_per_batch is not None
        return LengthBucketSampler(
            self.encoded.lengths,
            batch_size=None if by_tokens else self.eval_batch_size or self.batch_size or 32,
            tokens_per_batch=self.tokens_per_batch if by_tokens else None,
            windows=self._shown(self.windows(part), self.predict_views),
            shuffle=False,
            seed=self.seed,
            **self._ranks(),
        )

    def loader(self, sampler: WindowSampler, *, packed: bool = False) -> ResumableLoader:
        """Return a loader of the sampler's batches."""
        pads = self.items.pad_values
        own = getattr(self.encoded, "collator", None)  # pairs are padded side by side
        if own is not None:
            collate = own(self.pad_to_multiple)
        else:
            collate = PackCollator(pads) if packed else PadCollator(pads, multiple=self.pad_to_multiple)
        return ResumableLoader(
            self.items,
            batch_sampler=sampler,
            collate_fn=collate,
            num_workers=self.workers,
            pin_memory=self.pin_memory,
            # Otherwise each iterator draws its base seed from torch's global state, and a resumed run,
            # which makes one iterator more or less, would go on with other random numbers.
            generator=torch.Generator().manual_seed(self.seed),
        )

    def train_dataloader(self) -> ResumableLoader:
        """Return the training loader."""
        return self.loader(self.train_sampler(), packed=self.packing)

    def val_dataloader(self) -> ResumableLoader:
        """Return the loader of the validation part."""
        return self.loader(self.eval_sampler("validation"))

    def test_dataloader(self) -> ResumableLoader:
        """Return the loader of the test part."""
        return self.loader(self.eval_sampler("test"))

    def predict_dataloader(self) -> ResumableLoader:
        """Return a loader of every record."""
        return self.loader(self.eval_sampler("all"))
