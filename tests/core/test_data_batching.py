"""Samplers, collators and the DataModule."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torchdata.stateful_dataloader import StatefulDataLoader

from scizoo.data.batching import LengthBucketSampler, PackCollator, PackingSampler, PadCollator
from scizoo.data.encoding import Context, encode_records
from scizoo.data.module import DataModule
from scizoo.data.ragged import Ragged
from scizoo.data.records import Record
from scizoo.data.splits import Split
from scizoo.data.tokenizer import TokenTokenizer
from scizoo.errors import ConfigError, DataError

LENGTHS = np.random.default_rng(0).integers(5, 120, 400)


class Letters(TokenTokenizer):
    vocab = (*TokenTokenizer.SPECIAL, *"abcdefghijklmnopqrstuvwxyz")

    def encode(self, inputs):
        rows = [np.frombuffer(t.encode(), np.uint8).astype(np.int32) - ord("a") + 5 for t in inputs]
        return {"input_ids": Ragged.from_rows(rows, np.int32)}

    def settings(self):
        return {}

    def fingerprint(self):
        return "letters"

    def decode(self, ids):
        return "".join(self.vocab[i] for i in ids if i >= 5)


def make(kind, lengths=LENGTHS, **options):
    if kind == "packing":
        return PackingSampler(lengths, tokens_per_batch=256, **options)
    if kind == "tokens":
        return LengthBucketSampler(lengths, tokens_per_batch=512, **options)
    return LengthBucketSampler(lengths, batch_size=16, **options)


KINDS = ["packing", "tokens", "batch"]


@pytest.mark.parametrize("kind", KINDS)
def test_every_window_once_an_epoch_in_a_new_order(kind):
    sampler = make(kind)
    epochs = []
    for epoch in range(3):
        sampler.set_epoch(epoch)
        batches = list(sampler)
        assert len(batches) == len(sampler)
        assert sorted(i for batch in batches for i in batch) == list(range(400))
        epochs.append([tuple(batch) for batch in batches])
    assert epochs[0] != epochs[1] != epochs[2]
    assert set(map(frozenset, epochs[0])) != set(map(frozenset, epochs[1]))
    again = make(kind)
    again.set_epoch(1)
    assert [tuple(batch) for batch in again] == epochs[1]
    assert [tuple(batch) for batch in make(kind, seed=1)] != epochs[0]


@given(
    st.lists(st.integers(1, 64), max_size=120),
    st.integers(64, 200),
    st.integers(0, 3),
    st.booleans(),
    st.sampled_from([1, 2, 3]),
)
@example(lengths=[23, 42, 42], budget=64, seed=0, shuffle=False, world=2)
@settings(max_examples=150, deadline=None)
def test_packs_hold_each_window_once_within_the_budget(lengths, budget, seed, shuffle, world):
    lengths = np.array(lengths, dtype=np.int64)
    seen: Counter[int] = Counter()
    counts = set()
    widest = 0
    for rank in range(world):
        sampler = PackingSampler(
            lengths, tokens_per_batch=budget, seed=seed, shuffle=shuffle, rank=rank, world_size=world
        )
        batches = list(sampler)
        counts.add(len(batches))
        for batch in batches:
            assert batch
            assert lengths[batch].sum() <= budget
            widest = max(widest, len(batch))
            seen.update(batch)
    assert len(counts) == 1
    assert set(seen) == set(range(len(lengths)))
    # A window is repeated only to give every rank a batch where no batch can be divided further.
    repeated = sum(seen.values()) - len(lengths)
    assert repeated < world or len(lengths) < world
    if repeated:
        assert widest == 1 or len(lengths) < world


@given(
    st.lists(st.integers(1, 64), min_size=1, max_size=120),
    st.integers(64, 300),
    st.integers(1, 9) | st.none(),
)
@settings(max_examples=100, deadline=None)
def test_padded_batches_stay_within_their_tokens(lengths, budget, size):
    lengths = np.array(lengths)
    sampler = LengthBucketSampler(lengths, tokens_per_batch=budget, batch_size=size)
    batches = list(sampler)
    assert sorted(i for batch in batches for i in batch) == list(range(len(lengths)))
    assert all(lengths[batch].max() * len(batch) <= budget for batch in batches)
    assert size is None or max(map(len, batches)) <= size


def test_packing_wastes_little():
    lengths = np.random.default_rng(3).integers(10, 512, 3000)
    sampler = PackingSampler(lengths, tokens_per_batch=2048)
    assert len(sampler) <= 1.02 * lengths.sum() / 2048 + 1


@pytest.mark.parametrize("kind", ["tokens", "batch"])
def test_buckets_pad_little(kind):
    lengths = np.random.default_rng(3).integers(10, 512, 3000)
    sampler = make(kind, lengths)
    padded = sum(lengths[b].max() * len(b) for b in sampler)
    shuffled = np.random.default_rng(0).permutation(lengths)
    naive = sum(shuffled[i : i + 16].max() * len(shuffled[i : i + 16]) for i in range(0, 3000, 16))
    assert padded / lengths.sum() < 1.15
    assert naive / lengths.sum() > 1.6


@pytest.mark.parametrize("kind", KINDS)
def test_a_window_longer_than_the_batch_is_an_error(kind):
    if kind == "batch":
        with pytest.raises(ConfigError, match="how large a batch is"):
            LengthBucketSampler(LENGTHS)
        return
    with pytest.raises(ConfigError, match=r"tokens_per_batch=.* longest window.*600 tokens"):
        make(kind, np.array([5, 600]))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("taken", [0, 3, -1])
def test_a_new_sampler_goes_on_where_the_old_one_stopped(kind, taken):
    sampler = make(kind)
    sampler.set_epoch(4)
    whole = list(make_at(kind, 4))
    taken = taken % (len(sampler) + 1)
    running = iter(sampler)
    for _ in range(taken):
        next(running)
    state = sampler.state_dict()
    assert all(isinstance(value, int) for value in state.values())
    other = make(kind)
    other.load_state_dict(state)
    if taken == len(sampler):
        assert list(other) == list(make_at(kind, 5))
        return
    assert list(other) == whole[taken:]
    other.set_epoch(5)
    assert list(other) == list(make_at(kind, 5))


def make_at(kind, epoch):
    sampler = make(kind)
    sampler.set_epoch(epoch)
    return sampler


def test_a_state_of_other_data_is_refused():
    state = make("batch").state_dict()
    with pytest.raises(ConfigError, match="windows=400"):
        make("batch", LENGTHS[:-1]).load_state_dict(state)


@pytest.mark.parametrize("kind", KINDS)
def test_ranks_share_an_epoch_equally(kind):
    parts = [list(make(kind, rank=rank, world_size=3)) for rank in range(3)]
    assert len({len(part) for part in parts}) == 1
    assert sorted(i for part in parts for batch in part for i in batch) == list(range(400))


@pytest.mark.parametrize("kind", KINDS)
def test_one_view_a_record_is_drawn_each_epoch(kind):
    # 100 records, two views of two windows each; views differ in length.
    records = np.repeat(np.arange(100), 4)
    views = np.tile([0, 0, 1, 1], 100)
    sampler = make(kind, records=records, views=views)
    drawn = []
    for epoch in range(4):
        sampler.set_epoch(epoch)
        batches = list(sampler)
        assert len(batches) == len(sampler)
        windows = sorted(i for batch in batches for i in batch)
        assert len(windows) == 200
        chosen = {record: {views[i] for i in windows if records[i] == record} for record in range(100)}
        assert all(len(which) == 1 for which in chosen.values())
        drawn.append([which.pop() for which in chosen.values()])
        if kind == "packing":
            assert all(LENGTHS[batch].sum() <= 256 for batch in batches)
    assert drawn[0] != drawn[1]
    assert 25 < np.mean(drawn) * 100 < 75


def test_views_with_unequal_windows_never_give_an_empty_batch():
    # View 0 has one window, view 1 has two.
    sampler = LengthBucketSampler(
        np.array([4, 4, 4]), batch_size=1, records=np.zeros(3, int), views=np.array([0, 1, 1])
    )
    for epoch in range(8):
        sampler.set_epoch(epoch)
        batches = list(sampler)
        assert len(batches) == 2
        windows = {i for batch in batches for i in batch}
        assert windows in ({0}, {1, 2})


def items():
    return [
        {
            "input_ids": np.array([5, 6, 7]),
            "patch": np.ones((3, 2), np.float32),
            "target": np.float32([1, 0]),
            "index": np.asarray(4),
        },
        {
            "input_ids": np.array([8]),
            "patch": np.ones((1, 2), np.float32),
            "target": np.float32([0, 1]),
            "index": np.asarray(9),
        },
    ]


def test_padding_is_masked():
    batch = PadCollator({"input_ids": 1, "patch": 0}, multiple=4)(items())
    assert batch["input_ids"].tolist() == [[5, 6, 7, 1], [8, 1, 1, 1]]
    assert batch["attention_mask"].tolist() == [[1, 1, 1, 0], [1, 0, 0, 0]]
    assert batch["patch"].shape == (2, 4, 2) and batch["patch"].sum() == 8
    assert batch["target"].tolist() == [[1, 0], [0, 1]]
    assert batch["index"].tolist() == [4, 9]


def test_packs_know_their_bounds():
    batch = PackCollator({"input_ids": 1, "patch": 0})(items())
    assert batch["input_ids"].tolist() == [[5, 6, 7, 8]]
    assert batch["position_ids"].tolist() == [[0, 1, 2, 0]]
    assert batch["cu_seqlens"].tolist() == [0, 3, 4] and batch["cu_seqlens"].dtype == torch.int32
    assert batch["attention_mask"].tolist() == [[1, 1, 1, 1]]
    assert batch["patch"].shape == (1, 4, 2)
    assert batch["index"].tolist() == [4, 9]


def encoded(n=60, views=None, **context):
    rng = np.random.default_rng(1)
    words = ["".join(chr(97 + c) for c in rng.integers(0, 26, rng.integers(3, 30))) for _ in range(n)]
    records = [Record(f"r{i}", word) for i, word in enumerate(words)]
    return encode_records(records, Letters(), context=Context(16, **context), views=views)


def split_of(n):
    order = np.arange(n)
    return Split(order[: n - 20], order[n - 20 : n - 10], order[n - 10 :], order.astype(str), "by hand")


def test_loaders_keep_parts_apart_and_targets_with_their_records():
    data = encoded(views=lambda t: [t, t[::-1]], add_cls=True)
    module = DataModule(data, np.arange(60), split_of(60), batch_size=8)
    parts = {"train": range(40), "val": range(40, 50), "test": range(50, 60), "predict": range(60)}
    for name, records in parts.items():
        seen = Counter()
        for batch in getattr(module, f"{name}_dataloader")():
            owners = data.record_index[batch["index"].numpy()]
            assert batch["target"].tolist() == owners.tolist()
            assert (batch["input_ids"][:, 0] == 2).all()
            seen.update(batch["index"].tolist())
        assert {int(data.record_index[i]) for i in seen} == set(records)
        if name != "train":  # every window of every view, once
            assert sorted(seen) == data.windows_of(np.array(records)).tolist()
            assert set(seen.values()) == {1}
    assert module.steps_per_epoch() == len(module.train_dataloader())


def test_labels_a_position_are_cut_into_the_same_windows():
    data = encoded(add_cls=True, add_sep=True, stride=5)
    tokens = data.store.arrays["input_ids"]
    labels = Ragged(tokens.values.astype(np.int64) * 10, tokens.offsets)
    batch = next(iter(DataModule(data, labels, split_of(60)).train_dataloader()))
    special = (batch["input_ids"] < 5) | (batch["attention_mask"] == 0)
    assert (batch["target"][special] == -100).all()
    assert (batch["target"][~special] == batch["input_ids"][~special] * 10).all()
    short = Ragged.from_rows([row[1:] for row in labels], np.int64)
    with pytest.raises(DataError, match=r"record 'r0' has \d+ labels for \d+ tokens"):
        DataModule(data, short)
    with pytest.raises(DataError, match="3 targets for 60 records"):
        DataModule(data, np.arange(3))


def indices(batches):
    return [batch["index"].tolist() for batch in batches]


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("packing", [False, True])
def test_a_loader_resumes_in_the_middle_of_an_epoch(workers, packing):
    data = encoded(views=lambda t: [t, t[::-1]])

    def loader():
        return DataModule(
            data,
            batch_size=8,
            tokens_per_batch=64 if packing else None,
            packing=packing,
            workers=workers,
            seed=3,
        ).train_dataloader()

    reference = loader()
    epochs = [indices(reference) for _ in range(3)]
    assert epochs[0] != epochs[1]
    first = loader()
    assert indices(first) == epochs[0]
    running = iter(first)
    for _ in range(4):
        next(running)
    state = first.state_dict()
    del running, first
    other = loader()
    other.load_state_dict(state)
    assert indices(other) == epochs[1][4:]
    assert indices(other) == epochs[2]


def test_a_plain_stateful_loader_resumes_too():
    data = DataModule(encoded()).items
    make_loader = lambda: StatefulDataLoader(  # noqa: E731
        data,
        batch_sampler=LengthBucketSampler(data.encoded.lengths, batch_size=8),
        collate_fn=PadCollator({"input_ids": 0}),
    )
    whole = indices(make_loader())
    first = make_loader()
    running = iter(first)
    for _ in range(3):
        next(running)
    other = make_loader()
    other.load_state_dict(first.state_dict())
    assert indices(other) == whole[3:]


def test_packing_needs_a_budget():
    with pytest.raises(ConfigError, match="tokens_per_batch"):
        DataModule(encoded(), packing=True)


@pytest.mark.slow
@pytest.mark.parametrize("workers", [0, 2])
def test_lightning_resumes_in_and_between_epochs(tmp_path, workers):
    import lightning.pytorch as pl
    from lightning.pytorch.callbacks import ModelCheckpoint

    class Notes(pl.LightningModule):
        def __init__(self):
            super().__init__()
            self.weight, self.seen = torch.nn.Parameter(torch.zeros(1)), []

        def training_step(self, batch, number):
            self.seen.append(batch["index"].tolist())
            return (self.weight - 1) ** 2

        def configure_optimizers(self):
            return torch.optim.SGD(self.parameters(), 0.1)

    data = encoded(views=lambda t: [t, t[::-1]])
    per_epoch = DataModule(data, batch_size=32).steps_per_epoch()
    assert per_epoch <= 4  # the workers read ahead past the end of the epoch

    def fit(folder, steps, resume=None, epochs=None):
        notes = Notes()
        saver = ModelCheckpoint(
            folder, filename="{step}", every_n_train_steps=1, save_top_k=-1, auto_insert_metric_name=False
        )
        trainer = pl.Trainer(
            max_steps=steps,
            max_epochs=-1,
            accelerator="cpu",
            logger=False,
            callbacks=[saver],
            enable_progress_bar=False,
            enable_model_summary=False,
            use_distributed_sampler=False,
        )
        trainer.fit(notes, datamodule=DataModule(data, batch_size=32, workers=workers), ckpt_path=resume)
        return notes.seen

    whole = fit(tmp_path / "whole", 4 * per_epoch)
    assert whole[:per_epoch] != whole[per_epoch : 2 * per_epoch]
    for stop in (per_epoch + 1, 2 * per_epoch):
        resumed = fit(tmp_path / f"from{stop}", 4 * per_epoch, tmp_path / "whole" / f"{stop}.ckpt")
        assert resumed == whole[stop:]


@pytest.mark.slow
def test_lightning_evaluates_and_predicts_every_window():
    import lightning.pytorch as pl

    class Echo(pl.LightningModule):
        def test_step(self, batch, number):
            self.tested.append(batch["index"])

        def predict_step(self, batch, number):
            return batch["index"]

    data = encoded(views=lambda t: [t, t[::-1]])
    module = DataModule(data, np.arange(60), split_of(60), batch_size=8)
    echo = Echo()
    echo.tested = []
    trainer = pl.Trainer(
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        use_distributed_sampler=False,
    )
    trainer.test(echo, datamodule=module, verbose=False)
    assert sorted(torch.cat(echo.tested).tolist()) == data.windows_of(np.arange(50, 60)).tolist()
    predicted = torch.cat(trainer.predict(echo, datamodule=module))
    assert sorted(predicted.tolist()) == list(range(len(data)))
