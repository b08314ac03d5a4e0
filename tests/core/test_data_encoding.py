"""Encoding, windows and the cache on disk."""

from __future__ import annotations

import errno
import json
import multiprocessing
import os
import pickle
import signal
import time
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scizoo.data.cache import StoreWriter, cache_key
from scizoo.data.encoding import Context, EncodedDataset, encode_records
from scizoo.data.ragged import Ragged
from scizoo.data.records import Dataset, Record
from scizoo.data.tokenizer import TokenTokenizer
from scizoo.data.windows import WindowTable
from scizoo.errors import ConfigError, DataError, MachineError


class Letters(TokenTokenizer):
    """a..z, with a second input that counts positions."""

    vocab = (*TokenTokenizer.SPECIAL, *"abcdefghijklmnopqrstuvwxyz")

    def encode(self, inputs):
        for position, text in enumerate(inputs):
            if not text.isalpha() and text:
                raise DataError(f"input {position} holds no letter: {text!r}", remedy="use letters")
        rows = [np.frombuffer(t.encode(), np.uint8).astype(np.int32) - ord("a") + 5 for t in inputs]
        ids = Ragged.from_rows(rows, np.int32)
        patches = [np.arange(len(t) * 2, dtype=np.float64).reshape(-1, 2) + 1 for t in inputs]
        return {"input_ids": ids, "patch": Ragged.from_rows(patches, np.float64)}

    def settings(self):
        return {}

    def fingerprint(self):
        return "letters"

    def decode(self, ids):
        return "".join(self.vocab[i] for i in ids if i >= 5)


def texts(*words):
    return [
        Record(f"r{i}", word, source=f"f.txt, row {i}", group=f"g{i}", meta={"n": i})
        for i, word in enumerate(words)
    ]


def decoded(dataset):
    return [Letters().decode(dataset[i]["input_ids"]) for i in range(len(dataset))]


def test_short_records_come_back_with_special_tokens(tmp_path):
    for cache in (None, tmp_path):
        data = encode_records(
            texts("abc", "zz"),
            Letters(),
            context=Context(8, add_cls=True, add_sep=True),
            cache=cache,
            key="k",
        )
        assert len(data) == 2
        assert data[0]["input_ids"].tolist() == [2, 5, 6, 7, 3]
        assert data[0]["input_ids"].dtype == np.int64
        assert data[0]["patch"].dtype == np.float32
        assert data[0]["patch"].tolist() == [[0, 0], [1, 2], [3, 4], [5, 6], [0, 0]]
        assert data.lengths.tolist() == [5, 4]
        assert data.record_ids() == ["r0", "r1"]
        assert data.store.records.meta(1) == {"n": 1}
        assert data.store.records.group(1) == "g1"


def test_long_records_become_full_windows_that_overlap():
    data = encode_records(texts("abcdefghij"), Letters(), context=Context(4, stride=3))
    assert decoded(data) == ["abcd", "defg", "ghij"]
    data = encode_records(texts("abcdefghijk", "ab"), Letters(), context=Context(4))
    assert decoded(data) == ["abcd", "efgh", "hijk", "ab"]
    assert data.record_index.tolist() == [0, 0, 0, 1]
    partial = data.with_context(Context(4, last_window="partial"))
    assert decoded(partial) == ["abcd", "efgh", "ijk", "ab"]
    assert partial.lengths.tolist() == [4, 4, 3, 2]
    assert data[2]["patch"][0].tolist() == [15.0, 16.0]


@given(
    st.lists(st.integers(1, 60), min_size=1, max_size=8),
    st.integers(1, 12),
    st.data(),
)
@settings(max_examples=200, deadline=None)
def test_windows_cover_every_token_and_know_their_lengths(lengths, payload, data):
    stride = data.draw(st.integers(1, payload))
    last = data.draw(st.sampled_from(["shift", "partial"]))
    table = WindowTable(np.array(lengths), Context(payload, stride=stride, last_window=last))
    covered = [np.zeros(n, int) for n in lengths]
    for i in range(len(table)):
        row, start, length = table[i]
        assert start >= 0 and start + length <= lengths[row]
        assert length == table.lengths[i] <= payload
        assert row == table.rows[i]
        if last == "shift":
            assert length == min(payload, lengths[row])
        covered[row][start : start + length] += 1
    assert all((c >= 1).all() for c in covered)
    if stride == payload and last == "partial":
        assert all((c == 1).all() for c in covered)


def test_a_record_longer_than_the_context_is_refused_by_name():
    with pytest.raises(DataError, match=r"'r1' \(f.txt, row 1\) has 9 tokens.*context of 6") as caught:
        encode_records(
            texts("abc", "abcdefghi"), Letters(), context=Context(8, "refuse", add_cls=True, add_sep=True)
        )
    assert "long_records=window" in caught.value.remedy


def test_a_record_without_tokens_and_one_that_cannot_be_encoded_are_named():
    with pytest.raises(DataError, match=r"'r1'.*no token"):
        encode_records(texts("abc", ""), Letters(), context=Context(8))
    with pytest.raises(DataError, match=r"'r2' \(f.txt, row 2\) cannot be encoded.*'1!'") as caught:
        encode_records(texts("abc", "b", "1!"), Letters(), context=Context(8))
    assert caught.value.remedy == "use letters"


def test_equal_ids_are_refused_with_both_places():
    same = [Record("a", "x", source="f, 1"), Record("b", "y"), Record("a", "z", source="f, 3")]
    with pytest.raises(DataError, match=r"id 'a' \(f, 1 and f, 3\)"):
        encode_records(same, Letters(), context=Context(8))
    with pytest.raises(DataError, match="records 1 and 3 have the same id"):
        encode_records(iter(same), Letters(), context=Context(8))


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"max_length": 2, "add_cls": True, "add_sep": True}, "no room"),
        ({"max_length": 4, "stride": 5}, "stride=5"),
        ({"max_length": 4, "long_records": "windw"}, "did you mean 'window'"),
    ],
)
def test_a_context_that_makes_no_sense_is_refused(options, word):
    with pytest.raises(ConfigError, match=word):
        Context(**options)


def test_views_are_encoded_one_after_the_other(tmp_path):
    data = encode_records(
        texts("abc", "de"),
        Letters(),
        context=Context(2),
        views=lambda t: [t, t[::-1]],
        cache=tmp_path,
        key="k",
    )
    assert decoded(data) == ["ab", "bc", "cb", "ba", "de", "ed"]
    assert data.record_index.tolist() == [0, 0, 0, 0, 1, 1]
    assert data.view_index.tolist() == [0, 0, 1, 1, 0, 1]
    assert data.view_count == 2
    assert data.windows_of(np.array([1])).tolist() == [4, 5]


class Lines(Dataset):
    """A generated corpus; counts how often it was read."""

    def __init__(self, n, length=300, delay=0.0):
        super().__init__(max_rejected=0.5)
        self.n, self.length, self.delay, self.reads = n, length, delay, 0

    def records(self):
        self.reads += 1
        for i in range(self.n):
            if self.delay:
                time.sleep(self.delay)
            if i % 97 == 3:
                self.rejections.reject(f"line {i}", f"x{i}", "odd")
                continue
            yield Record(f"line{i}", chr(97 + i % 26) * self.length, meta={"n": i})

    def fingerprint(self):
        return f"lines{self.n}"

    @property
    def name(self):
        return "lines"


def encode_lines(cache, n=2500, delay=0.0, key="k"):
    lines = Lines(n, length=30, delay=delay)
    return lines, encode_records(lines, Letters(), context=Context(16), cache=cache, key=key)


def test_the_cache_is_read_instead_of_the_records(tmp_path):
    first_lines, first = encode_lines(tmp_path)
    lines, again = encode_lines(tmp_path)
    assert (first_lines.reads, lines.reads) == (1, 0)
    assert len(again) == len(first) > 4000
    assert all(np.array_equal(first[i]["input_ids"], again[i]["input_ids"]) for i in range(0, len(first), 97))
    assert [r.id for r in again.rejected] == [r.id for r in first_lines.rejections.rejected] != []
    assert isinstance(again.store.arrays["input_ids"].values, np.memmap)
    assert again.store.arrays["input_ids"].values.dtype == np.uint16  # a small vocabulary takes half the room


def test_a_dataset_pickles_as_its_path_not_its_content(tmp_path):
    _, data = encode_lines(tmp_path)
    pickled = pickle.dumps(data)
    assert len(pickled) < 200_000 < data.store.arrays["patch"].values.nbytes
    assert np.array_equal(pickle.loads(pickled)[17]["input_ids"], data[17]["input_ids"])


@pytest.mark.parametrize("damage", ["truncate", "manifest", "missing"])
def test_a_damaged_cache_is_built_again(tmp_path, damage):
    _, first = encode_lines(tmp_path)
    expected = first[5]["input_ids"].copy()
    folder = tmp_path / "k"
    if damage == "truncate":
        with (folder / "values.input_ids.bin").open("r+b") as stream:
            stream.truncate(100)
    elif damage == "manifest":
        (folder / "manifest.json").write_text("{")
    else:
        (folder / "records.arrow").unlink()
    lines, again = encode_lines(tmp_path)
    assert lines.reads == 1
    assert np.array_equal(again[5]["input_ids"], expected)


def test_a_failed_build_leaves_nothing(tmp_path):
    with pytest.raises(DataError):
        encode_records(texts("abc", "1!"), Letters(), context=Context(8), cache=tmp_path, key="k")
    assert [p.name for p in tmp_path.iterdir() if not p.name.endswith(".lock")] == []


def test_a_full_disk_is_the_machines_fault_and_leaves_nothing(tmp_path, monkeypatch):
    append = StoreWriter._append

    def full(writer, name, values):
        if writer._rows:
            raise OSError(errno.ENOSPC, "No space left on device")
        append(writer, name, values)

    monkeypatch.setattr(StoreWriter, "_append", full)
    with pytest.raises(MachineError, match="the disk is full"):
        encode_lines(tmp_path)
    assert [p.name for p in tmp_path.iterdir() if not p.name.endswith(".lock")] == []


def _build(cache, delay, queue):
    lines, data = encode_lines(Path(cache), n=400, delay=delay)
    queue.put((lines.reads, int(sum(int(data[i]["input_ids"].sum()) for i in range(len(data))))))


def test_two_runs_build_one_cache(tmp_path):
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    runs = [context.Process(target=_build, args=(tmp_path, 0.002, queue)) for _ in range(2)]
    for run in runs:
        run.start()
    results = [queue.get(timeout=60) for _ in runs]
    for run in runs:
        run.join(60)
    assert sorted(reads for reads, _ in results) == [0, 1]
    assert results[0][1] == results[1][1]
    assert json.loads((tmp_path / "k" / "manifest.json").read_text())["records"] == len(list(Lines(400)))


def test_a_killed_build_leaves_no_cache_and_the_next_one_clears_up(tmp_path):
    context = multiprocessing.get_context("fork")
    run = context.Process(target=_build, args=(tmp_path, 0.05, context.Queue()))
    run.start()
    deadline = time.monotonic() + 60
    while not list(tmp_path.glob(".k.*.tmp")) and time.monotonic() < deadline:
        time.sleep(0.01)
    os.kill(run.pid, signal.SIGKILL)
    run.join(60)
    assert not (tmp_path / "k").exists()
    assert list(tmp_path.glob(".k.*.tmp"))
    encode_lines(tmp_path, n=400)
    assert not list(tmp_path.glob(".k.*.tmp"))


def test_memory_stays_flat_when_the_corpus_grows(tmp_path):
    def peak(n, key):
        tracemalloc.start()
        data = encode_records(Lines(n), Letters(), context=Context(128), cache=tmp_path, key=key)
        total = sum(int(data[i]["input_ids"][0]) for i in range(0, len(data), 1000))
        _, highest = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert total > 0
        return highest

    peak(100, "warm")
    small, large = peak(4000, "small"), peak(40000, "large")
    # Ten times the corpus (some 220 MB of inputs on disk); only a few numbers a window may stay.
    assert large - small < 10_000_000


def test_keys_change_with_what_they_depend_on():
    keys = {cache_key("a", "b"), cache_key("a", "c"), cache_key("c", "b"), cache_key("a", "b", "v")}
    assert len(keys) == 4
    assert cache_key("a", "b") == cache_key("a", "b")


def test_special_tokens_need_a_tokenizer_that_has_them():
    class Plain:
        main_input = "input_ids"

    data = encode_records(texts("abc"), Letters(), context=Context(8))
    with pytest.raises(ConfigError, match="Plain has no special tokens"):
        EncodedDataset(data.store, Plain(), Context(8, add_cls=True))


def test_encoding_imports_no_torch():
    import subprocess
    import sys

    code = "import sys, scizoo.data.encoding, scizoo.data.targets, scizoo.data.table, scizoo.data.samplers; "
    code += "sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_rows_that_must_stay_whole_are_never_cut_into_windows():
    class Whole(Letters):
        whole = True

    with pytest.raises(DataError, match=r"'r1' \(f.txt, row 1\) has 9 tokens") as caught:
        encode_records(texts("abc", "abcdefghi"), Whole(), context=Context(8))
    assert "max_length" in caught.value.remedy
    encoded = encode_records(texts("abc", "abcdefghi"), Whole(), context=Context(9))
    with pytest.raises(DataError, match="r1"):
        encoded.with_context(Context(4))
