"""Targets and splits: each fault of the labels has its own message."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scizoo.data.ragged import Ragged
from scizoo.data.records import Record
from scizoo.data.splits import (
    PARTS,
    FoldSplitter,
    GivenSplitter,
    GroupSplitter,
    Split,
    check_no_shared_groups,
    hash_part,
    hash_split,
)
from scizoo.data.targets import (
    ClassTarget,
    MultiLabelTarget,
    RealTarget,
    TokenTarget,
    check_contradictions,
    encode_targets,
)
from scizoo.errors import ConfigError, DataError


def again(encoder):
    return type(encoder).from_state(json.loads(json.dumps(encoder.state())))


def test_classes_are_sorted_and_come_back():
    target = ClassTarget()
    target.fit(["b", "a", "b"])
    assert target.encode(["a", "b"]).tolist() == [0, 1]
    assert again(target).decode(np.array([[0.1, 0.9], [0.6, 0.4]])) == ["b", "a"]
    target.fit([10, 9.0, "2"])
    assert target.classes == ["2", "9", "10"]  # numbers in their own order
    assert target.outputs == 3


@pytest.mark.parametrize("nothing", [None, float("nan"), "", " "])
def test_a_missing_label_names_its_record(nothing):
    with pytest.raises(DataError, match="here, row 2 has no label"):
        ClassTarget().fit(["a", nothing], ["here, row 1", "here, row 2"])


def test_one_class_only_is_refused():
    with pytest.raises(DataError, match="same label, 'a'"):
        ClassTarget().fit(["a", "a"])
    with pytest.raises(DataError, match="same value"):
        RealTarget().fit([1.0, 1.0])
    with pytest.raises(DataError, match="'y' is absent in every"):
        MultiLabelTarget().fit([{"x": 1, "y": 0}, {"x": 0, "y": 0}])


def records_of(*targets):
    return [Record(f"r{i}", f"in{i}", target, source=f"f, {i}") for i, target in enumerate(targets)]


def split_of(train, validation, test):
    n = len(train) + len(validation) + len(test)
    parts = [np.array(part, dtype=np.int64) for part in (train, validation, test)]
    return Split(*parts, np.array([str(i) for i in range(n)]), "by hand")


def test_a_class_absent_from_training_is_counted():
    records = records_of("cat", "dog", "cat", "dgo", "dgo")
    told = r"(?s)'dgo' is absent.*2 other records have it.*'r3' \(f, 3\).*'dog'"
    with pytest.raises(DataError, match=told):
        encode_targets(ClassTarget(), records, split_of([0, 1], [2], [3, 4]))


def test_targets_are_fitted_on_training_alone():
    records = records_of(1.0, 3.0, 100.0)
    target = RealTarget()
    encoded = encode_targets(target, records, split_of([0, 1], [2], []))
    assert encoded.shape == (3, 1)
    assert target.mean.tolist() == [2.0] and target.std.tolist() == [1.0]
    assert again(target).decode(encoded).ravel().tolist() == [1.0, 3.0, 100.0]
    target = RealTarget()
    target.fit([1.0, 5.0])
    assert target.decode_variance(np.array([[1.0]])).tolist() == [[4.0]]


@pytest.mark.parametrize("bad", ["high", float("inf"), [1, 2]])
def test_a_target_that_is_no_number_is_refused(bad):
    with pytest.raises(DataError, match="row 2"):
        RealTarget().fit(["1.5", bad], ["row 1", "row 2"])


def test_several_values_may_have_gaps():
    target = RealTarget()
    target.fit([{"a": 1, "b": None}, {"a": 3, "b": "4"}, {"a": 5, "b": "8"}])
    encoded = target.encode([{"a": 3, "b": None}])
    assert target.names == ["a", "b"]
    assert encoded[0, 0] == 0 and np.isnan(encoded[0, 1])
    with pytest.raises(DataError, match="no label"):
        target.encode([{"a": None, "b": None}])


def test_labels_may_be_columns_or_words():
    target = MultiLabelTarget()
    target.fit([{"x": 1, "y": "0"}, {"x": 0, "y": None}, {"x": None, "y": 1}])
    assert target.labels == ["x", "y"]
    encoded = target.encode([{"x": 1, "y": None}])
    assert encoded[0, 0] == 1 and np.isnan(encoded[0, 1])
    words = MultiLabelTarget()
    words.fit(["b;a", "a", ["c"], "b"])
    assert words.labels == ["a", "b", "c"]
    assert words.encode(["c; a"]).tolist() == [[1, 0, 1]]
    assert again(words).decode(np.array([[0.7, 0.2, 0.5]])) == [["a", "c"]]
    with pytest.raises(DataError, match="label 'x' is 2"):
        target.encode([{"x": 2, "y": 0}])
    with pytest.raises(DataError, match="'d' is absent from the training part, but 2"):
        words.encode(["d", "a;d"])


def test_positions_have_classes():
    target = TokenTarget()
    target.fit([["in", "out", None], ["in"]])
    encoded = target.encode([["out", None, "in"]])
    assert isinstance(encoded, Ragged) and encoded[0].tolist() == [1, -100, 0]
    assert again(target).decode(encoded[0]) == ["out", None, "in"]
    with pytest.raises(DataError, match="'up' is absent"):
        target.encode([["up"]])


def test_contradictory_labels_name_both_records():
    records = [
        Record("a", "ACGT", 1, source="f, 1"),
        Record("b", "AC", 0),
        Record("c", "ACGT", 0, source="f, 3"),
    ]
    with pytest.raises(DataError, match=r"record 'a' \(f, 1\) and record 'c' \(f, 3\) .*: 1 and 0"):
        check_contradictions(records)
    arrays = [Record("a", np.ones(3), "x"), Record("b", np.ones(3), "x"), Record("c", np.zeros(3), "y")]
    check_contradictions(arrays)
    with pytest.raises(DataError, match="different labels"):
        encode_targets(ClassTarget(), records, split_of([0, 1], [2], []))
    # A label that one of them lacks is no contradiction; one that both have and differ in is.
    partial = [
        Record("a", "ACGT", {"x": 1, "y": None}),
        Record("b", "ACGT", {"x": 1.0, "y": 0}),
        Record("c", "ACGT", {"x": math.nan, "y": 0}),
    ]
    check_contradictions(partial)
    with pytest.raises(DataError, match=r"record 'b' and record 'd' .*different labels"):
        check_contradictions([*partial, Record("d", "ACGT", {"x": None, "y": 1})])
    # Replicate measurements are no contradiction.
    encode_targets(RealTarget(), records, split_of([0, 1], [2], []))


def grouped(sizes, classes=None):
    return [
        Record(f"r{g}.{i}", "x", None if classes is None else classes[g], group=f"g{g}")
        for g, size in enumerate(sizes)
        for i in range(size)
    ]


@given(
    st.lists(st.tuples(st.integers(1, 12), st.sampled_from("abc")), min_size=3, max_size=40),
    st.integers(0, 5),
    st.booleans(),
)
@settings(max_examples=150, deadline=None)
def test_group_splits_are_whole_and_leak_nothing(groups, seed, stratify):
    records = grouped([size for size, _ in groups], [kind for _, kind in groups])
    split = GroupSplitter((0.6, 0.2, 0.2), seed, stratify).split(records)
    everything = np.concatenate([split.train, split.validation, split.test])
    assert sorted(everything) == list(range(len(records)))
    owners = [{records[i].group for i in getattr(split, part)} for part in PARTS]
    assert all(owners)
    assert not (owners[0] & owners[1] or owners[0] & owners[2] or owners[1] & owners[2])


def test_group_splits_come_near_their_shares_and_depend_on_the_seed():
    records = grouped(np.random.default_rng(0).integers(1, 30, 200).tolist())
    split = GroupSplitter({"train": 0.7, "validation": 0.1, "test": 0.2}).split(records)
    assert abs(len(split.train) / len(records) - 0.7) < 0.02
    assert abs(len(split.test) / len(records) - 0.2) < 0.02
    assert "200 groups" in split.method
    other = GroupSplitter((0.7, 0.1, 0.2), seed=1).split(records)
    assert set(other.test) != set(split.test)
    assert set(GroupSplitter((0.7, 0.1, 0.2)).split(records).test) == set(split.test)


def test_stratified_classes_are_in_every_part_where_they_can_be():
    classes = ["common"] * 30 + ["three"] * 3 + ["two"] * 2 + ["one"]
    records = grouped([5] * 36, classes)
    split = GroupSplitter((0.8, 0.1, 0.1), stratify=True).split(records)
    found = {part: {records[i].target for i in getattr(split, part)} for part in PARTS}
    assert found["train"] == {"common", "three", "two", "one"}
    assert {"common", "three", "two"} == found["test"]
    assert found["validation"] == {"common", "three"}


def test_a_part_that_would_be_empty_is_an_error():
    with pytest.raises(DataError, match="validation part would be empty: there are only 2 groups"):
        GroupSplitter().split(grouped([5, 5]))
    split = GroupSplitter((0.5, 0.0, 0.5)).split(grouped([5, 5]))
    assert (len(split.train), len(split.validation), len(split.test)) == (5, 0, 5)
    assert len(GroupSplitter().split(grouped([90, 5, 5])).validation) == 5


@pytest.mark.parametrize(
    "fractions", [(0.5, 0.5), (0.9, 0.2, 0.1), (0, 0.5, 0.5), {"train": 0.5, "tset": 0.5}]
)
def test_shares_must_make_sense(fractions):
    with pytest.raises(ConfigError):
        GroupSplitter(fractions)


def given_records(*parts, groups=None):
    return [
        Record(f"r{i}", "x", meta={"split": part}, group=groups[i] if groups else None)
        for i, part in enumerate(parts)
    ]


def test_a_given_split_is_taken_by_its_usual_names():
    split = GivenSplitter().split(given_records("train", "Training", "val", "dev", "valid", "TEST"))
    assert split.train.tolist() == [0, 1]
    assert split.validation.tolist() == [2, 3, 4]
    assert split.test.tolist() == [5]


def test_validation_is_carved_out_of_train_by_group():
    groups = [f"g{i // 5}" for i in range(100)] + ["t"] * 10
    records = given_records(*["train"] * 100, *["test"] * 10, groups=groups)
    split = GivenSplitter(validation=0.2).split(records)
    assert len(split.validation) == 20 and len(split.train) == 80 and len(split.test) == 10
    check_no_shared_groups(split)
    assert "carved" in split.method


def test_a_given_split_that_leaks_or_says_nothing_is_refused():
    with pytest.raises(DataError, match="group 'g' is in both train and test"):
        GivenSplitter(validation=0).split(given_records("train", "train", "test", groups=["h", "g", "g"]))
    with pytest.raises(DataError, match="'r1' has 'holdout' as its 'split'"):
        GivenSplitter().split(given_records("train", "holdout"))
    with pytest.raises(DataError, match="'r1' has no 'split'"):
        GivenSplitter().split(given_records("train", None))
    with pytest.raises(DataError, match="no record to test"):
        GivenSplitter().split(given_records("train", "val"))


def test_folds_are_parts():
    records = [Record(f"r{i}", "x", meta={"fold": i % 5}) for i in range(50)]
    split = FoldSplitter(test=[4], validation=[3]).split(records)
    assert (len(split.train), len(split.validation), len(split.test)) == (30, 10, 10)
    assert set(split.test % 5) == {4}
    with pytest.raises(DataError, match="no record has '9'"):
        FoldSplitter(test=[9]).split(records)


def test_a_hash_puts_a_group_in_the_same_part_everywhere():
    parts = [hash_part(f"g{i}", (0.8, 0.1, 0.1)) for i in range(5000)]
    shares = {part: parts.count(part) / 5000 for part in PARTS}
    assert abs(shares["train"] - 0.8) < 0.03 and abs(shares["test"] - 0.1) < 0.02
    # Fixed for ever: a corpus that was split once must be split so again.
    assert [hash_part(f"g{i}", (0.4, 0.3, 0.3)) for i in range(12)] == FIXED
    assert any(hash_part(f"g{i}", (0.4, 0.3, 0.3), seed=1) != part for i, part in enumerate(FIXED))
    ids = [f"i{i}" for i in range(200)]
    split = hash_split([f"g{i // 4}" for i in range(200)], ids, (0.6, 0.2, 0.2))
    assert len(split.train) + len(split.validation) + len(split.test) == 200
    with pytest.raises(DataError, match="part would be empty"):
        hash_split(["g"] * 9, ids[:9], (0.6, 0.2, 0.2))


FIXED = [
    "train",
    "train",
    "train",
    "train",
    "train",
    "test",
    "train",
    "test",
    "test",
    "test",
    "validation",
    "test",
]
