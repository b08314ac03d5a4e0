"""Planted leaks of every kind are counted exactly; a clean split passes."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

from scizoo.data.records import Record
from scizoo.data.splits import Split
from scizoo.errors import ConfigError, DataError
from scizoo.evaluation.leakage import (
    KINDS,
    Audit,
    AuditSettings,
    ExactSimilarity,
    LeakageError,
    MinHashTextSimilarity,
    Similarity,
    audit,
    audit_task,
)

LETTERS = np.array(list("abcdefghijklmnopqrstuvwxyz "))
TRAIN, VALIDATION, TEST = 120, 40, 40
TOTAL = TRAIN + VALIDATION + TEST


def clean(seed=0, **meta):
    """Random texts in groups of four with two classes; nothing leaks."""
    rng = np.random.default_rng(seed)
    classes = rng.permutation(np.arange(TOTAL // 4) % 2)
    return [
        Record(
            f"r{i}",
            "".join(rng.choice(LETTERS, 120)),
            target="ab"[classes[i // 4]],
            group=f"g{i // 4}",
            meta={"site": f"s{rng.integers(6)}", "age": float(rng.normal())},
        )
        for i in range(TOTAL)
    ]


def split_of(records, groups=None):
    rows = np.split(np.arange(TOTAL), [TRAIN, TRAIN + VALIDATION])
    named = np.array([record.group for record in records] if groups is None else groups, dtype=object)
    return Split(*rows, groups=named, method="as planted")


def examine(records, similarity=None, *, split=None, **options):
    targets = np.array([record.target == "b" for record in records]).astype(int)
    options = {"targets": targets, **options}
    settings = options.pop("settings", None)
    return audit(
        records,
        split or split_of(records),
        similarity or MinHashTextSimilarity(),
        settings=settings,
        **options,
    )


def leak(result, kind):
    (found,) = [one for one in result.findings if one.kind == kind]
    return found


def change(records, row, **facts):
    records[row] = dataclasses.replace(records[row], **facts)


def test_a_clean_split_passes():
    similarity = MinHashTextSimilarity()
    corpus = similarity.sketch(clean(seed=1))
    result = examine(clean(), similarity, corpora=corpus)
    kinds = [kind for kind in KINDS if not kind.endswith("_documents")]  # those are of retrieval alone
    assert [one.kind for one in result.findings] == kinds
    assert [one.count for one in result.findings] == [0] * len(kinds)
    assert result.failed() == []
    result.check()
    assert result.to_dict()["passed"] is True
    assert all(check["passed"] for check in result.to_dict()["checks"])


def test_exact_duplicates_are_counted_by_part():
    records = clean()
    for test, train in ((170, 3), (171, 3), (172, 50)):  # into test, twice the same
        change(records, test, input=records[train].input, target=records[train].target)
    change(records, 173, input=records[130].input, target=records[130].target)  # from validation into test
    change(records, 140, input=records[7].input, target=records[7].target)  # into validation
    found = leak(examine(records), "exact_duplicates")
    assert (found.count, found.of) == (5, VALIDATION + TEST)
    assert found.share == pytest.approx(4 / TEST)
    assert found.failed
    assert found.note == "1 of 40 validation records, 4 of 40 test records"
    assert found.examples == [
        ("r170", "r3", 1.0),
        ("r171", "r3", 1.0),
        ("r172", "r50", 1.0),
        ("r173", "r130", 1.0),
        ("r140", "r7", 1.0),
    ]
    assert leak(examine(records), "near_duplicates").count == 0  # counted once


def test_copies_within_a_part_are_no_leak():
    records = clean()
    change(records, 1, input=records[0].input, target=records[0].target)
    change(records, 171, input=records[170].input, target=records[170].target)
    assert leak(examine(records), "exact_duplicates").count == 0


def test_near_duplicates_up_to_the_tolerance():
    records = clean()
    for test, train in ((180, 3), (181, 40)):
        text = records[train].input
        change(records, test, input=text[:119] + "#")
    found = leak(examine(records), "near_duplicates")
    assert (found.count, found.failed, found.tolerance) == (2, True, 0.01)
    assert [example[:2] for example in found.examples] == [("r180", "r3"), ("r181", "r40")]
    assert all(0.9 < example[2] < 1 for example in found.examples)
    assert leak(examine(records), "exact_duplicates").count == 0
    tolerant = AuditSettings(tolerances={"near_duplicates": 0.05})
    assert leak(examine(records, settings=tolerant), "near_duplicates").failed is False


def test_a_leak_into_test_is_not_thinned_out_by_validation():
    records = clean()
    change(records, 180, input=records[3].input[:119] + "#")
    just = AuditSettings(tolerances={"near_duplicates": 1 / TEST})
    assert leak(examine(records, settings=just), "near_duplicates").failed is False
    less = AuditSettings(tolerances={"near_duplicates": 0.9 / TEST})  # 1 of 80 would be below
    assert leak(examine(records, settings=less), "near_duplicates").failed is True


def test_shared_groups_of_the_split_and_of_the_records():
    records = clean()
    groups = [record.group for record in records]
    groups[180] = groups[0]
    change(records, 180, group=groups[0])
    by_split = leak(examine(records, split=split_of(records, groups)), "shared_groups")
    assert (by_split.count, by_split.failed) == (1, True)
    assert by_split.examples == [("g0", "r0", "r180")]
    # A splitter that groups by something of its own tears the records' own groups apart.
    alone = [f"own{i}" for i in range(TOTAL)]
    change(records, 181, group="g1")
    found = leak(examine(records, split=split_of(records, alone)), "shared_groups")
    assert found.count == 2
    assert found.examples == [("g0", "r0", "r180"), ("g1", "r4", "r181")]


def test_contradictions_are_counted_by_input():
    records = clean()
    other = {"a": "b", "b": "a"}
    for copy in (1, 2):
        change(records, copy, input=records[0].input, target=other[records[0].target])
    change(records, 9, input=records[8].input, target=records[8].target)  # a copy that agrees
    change(records, 170, input=records[20].input, target=other[records[20].target])
    found = leak(examine(records), "contradictions")
    assert (found.count, found.of, found.failed) == (2, TOTAL - 4, True)
    assert {example[:2] for example in found.examples} == {("r0", "r1"), ("r20", "r170")}


def test_labels_that_are_missing_contradict_nothing():
    records = [dataclasses.replace(one, target={"a": 1, "b": None}) for one in clean()]
    change(records, 1, input=records[0].input, target={"a": None, "b": 0})
    change(records, 9, input=records[8].input, target={"a": 0, "b": 1})
    found = leak(examine(records, kind="multilabel"), "contradictions")
    assert found.count == 1
    assert found.examples[0][:2] == ("r8", "r9")


def test_measured_values_may_differ_in_repeats():
    records = [dataclasses.replace(r, target=float(i)) for i, r in enumerate(clean())]
    change(records, 1, input=records[0].input)
    found = leak(examine(records, kind="regression", targets=np.arange(TOTAL) % 7.0), "contradictions")
    assert found.failed is None
    assert "repeats" in found.note


def with_column(records, name, values):
    return [dataclasses.replace(r, meta={**r.meta, name: value}) for r, value in zip(records, values)]


def test_a_column_that_knows_the_target_is_found():
    records = clean()
    rng = np.random.default_rng(0)
    hospital = [r.target + str(rng.integers(3)) for r in records]  # each hospital has one class
    records = with_column(records, "hospital", hospital)
    records = with_column(records, "dose", [ord(r.target) + rng.normal() * 0.1 for r in records])
    found = leak(examine(records), "single_feature")
    assert (found.count, found.of) == (2, 5)  # of hospital, dose, site, age and the length
    assert sorted(example[0] for example in found.examples) == ["dose", "hospital"]
    assert all(example[2] > 0.95 for example in found.examples)
    assert found.failed is False
    assert found.note.startswith("reported only")
    strict = AuditSettings(tolerances={"single_feature": 0.0})
    assert leak(examine(records, settings=strict), "single_feature").failed
    ignoring = AuditSettings(tolerances={"single_feature": 0.0}, exclude=("hospital", "dose"))
    assert leak(examine(records, settings=ignoring), "single_feature").count == 0


def test_the_length_of_the_input_is_a_column():
    records = [dataclasses.replace(r, input=r.input[: 80 if r.target == "a" else 120]) for r in clean()]
    found = leak(examine(records), "single_feature")
    assert [example[0] for example in found.examples] == ["input length"]


def test_names_of_groups_are_no_feature():
    records = clean()
    number = [int(r.group[1:]) for r in records]
    ordered = [dataclasses.replace(r, target="ab"[n >= 25]) for r, n in zip(records, number)]
    # The number of the group would tell the class of its neighbours.
    named = with_column(ordered, "patient", number)
    assert leak(examine(named), "single_feature").count == 0
    planted = with_column(named, "other", [n // 2 for n in number])
    assert [e[0] for e in leak(examine(planted), "single_feature").examples] == ["other"]


def test_a_column_that_predicts_a_value_or_a_label():
    records = clean()
    rng = np.random.default_rng(0)
    values = rng.normal(size=TOTAL)
    records = with_column(records, "twice", 2 * values)
    found = leak(examine(records, kind="regression", targets=values[:, None]), "single_feature")
    assert [(e[0], e[1]) for e in found.examples] == [("twice", "R2")]
    labels = np.stack([rng.integers(0, 2, TOTAL), values > 0], axis=1).astype(float)
    labels[::7, 1] = np.nan
    found = leak(examine(records, kind="multilabel", targets=labels), "single_feature")
    assert [e[0] for e in found.examples] == ["twice"]


def test_missing_values_and_strange_columns_do_not_stop_the_audit():
    records = with_column(clean(), "gap", [None if i % 3 else i for i in range(TOTAL)])
    records = with_column(records, "huge", [10**400 if i % 2 else float("inf") for i in range(TOTAL)])
    records = with_column(records, "mixed", [i if i % 2 else f"x{i % 4}" for i in range(TOTAL)])
    assert leak(examine(records), "single_feature").failed is False


def test_with_few_groups_chance_is_not_taken_for_a_leak():
    """With four groups a column that is constant in each fits by chance; permutations show it."""
    records = clean()
    groups = [f"g{i // 50}" for i in range(TOTAL)]
    targets = np.array([[0, 1, 0, 1][i // 50] for i in range(TOTAL)])
    column = [["x", "y", "x", "y"][i // 50] for i in range(TOTAL)]
    records = [dataclasses.replace(r, group=g, target="ab"[t]) for r, g, t in zip(records, groups, targets)]
    records = with_column(records, "batch", column)
    assert leak(examine(records, targets=targets), "single_feature").count == 0


def test_one_group_cannot_be_held_out():
    records = [dataclasses.replace(r, group="all") for r in clean()]
    found = leak(examine(records), "single_feature")
    assert found.failed is None
    assert "too few groups" in found.note


def test_overlap_with_the_pretraining_corpus():
    records = clean()
    similarity = MinHashTextSimilarity(scale=2)
    corpus = similarity.sketch([*clean(seed=1), *(records[i] for i in (170, 175, 199)), records[3]])
    result = examine(records, similarity, corpora={"text-tiny": corpus, "other": similarity.sketch([])})
    first, second = [one for one in result.findings if one.kind == "corpus_overlap"]
    assert (first.count, first.subject) == (3, "text-tiny")
    assert {example[0] for example in first.examples} == {"r170", "r175", "r199"}
    assert first.failed is False
    assert "reported only" in first.note
    assert second.count == 0
    strict = AuditSettings(tolerances={"corpus_overlap": 0.01})
    with pytest.raises(LeakageError, match="corpus_overlap \\(text-tiny\\), 3 of "):
        examine(records, similarity, corpora={"text-tiny": corpus}, settings=strict).check()


def test_texts_of_common_phrases_are_not_part_of_a_corpus_that_uses_them_too():
    states = "normal", "clear", "enlarged", "within limits", "unremarkable"
    phrases = [f"the {organ} is {state}" for organ in ("heart", "lung", "spine", "chest") for state in states]
    draw = np.random.default_rng(0)
    texts = [Record(str(n), ". ".join(draw.choice(phrases, 12))) for n in range(80)]
    corpus, unseen = texts[:40], texts[40:]
    similarity, short = MinHashTextSimilarity(scale=2), MinHashTextSimilarity(scale=2, corpus_shingle=9)
    assert np.nanmean(short.overlap(short.sketch(corpus), unseen)) > 0.95
    assert np.nanmean(similarity.overlap(similarity.sketch(corpus), unseen)) < 0.5
    assert np.nanmin(similarity.overlap(similarity.sketch(corpus), corpus)) == 1.0


def test_records_too_short_for_a_sketch_are_told():
    class Coarse(MinHashTextSimilarity):
        def overlap(self, sketch, records):
            shares = super().overlap(sketch, records)
            shares[::2] = np.nan
            return shares

    similarity = Coarse(scale=2)
    found = leak(examine(clean(), similarity, corpora=similarity.sketch(clean())), "corpus_overlap")
    assert (found.count, found.of) == (20, 20)
    assert "20 of the test records cannot be told" in found.note


def leaking():
    records = clean()
    for test, train in ((170, 3), (171, 8)):
        change(records, test, input=records[train].input, target=records[train].target)
    change(records, 180, input=records[40].input[:119] + "#")
    return records


def test_the_message_names_kind_count_examples_and_remedy():
    with pytest.raises(DataError) as caught:
        examine(leaking()).check()
    message = str(caught.value)
    assert "exact_duplicates, 2 of 80 validation and test records with a copy in another part" in message
    assert "such as 'r170' ~ 'r3' ~ 1.00, 'r171' ~ 'r8' ~ 1.00" in message
    assert "near_duplicates, 1 of 80" in message
    assert "'r180' ~ 'r40' ~ 0." in message
    assert "exact_duplicates at most 0.00%, near_duplicates at most 1.00%" in message
    assert "mend the split; or allow it by name: audit.allow=[exact_duplicates,near_duplicates]" in message
    assert caught.value.exit_status == 2


def test_allowing_by_name():
    result = examine(leaking())
    assert [one.kind for one in result.failed()] == ["exact_duplicates", "near_duplicates"]
    assert [one.kind for one in result.failed(["near_duplicates"])] == ["exact_duplicates"]
    # What is allowed already stays in the words to copy.
    with pytest.raises(LeakageError, match=r"audit.allow=\[exact_duplicates,near_duplicates\]"):
        result.check(["near_duplicates"])
    result.check(["exact_duplicates", "near_duplicates"])
    by_config = examine(leaking(), settings=AuditSettings(allow=("exact_duplicates", "near_duplicates")))
    by_config.check()
    plain = by_config.to_dict()
    assert plain["passed"] is False  # a reader must know
    assert [c["name"] for c in plain["checks"] if c["allowed"]] == ["exact_duplicates", "near_duplicates"]


def test_unknown_names_are_refused():
    with pytest.raises(ConfigError, match="did you mean 'near_duplicates'"):
        AuditSettings(allow=("near_duplicate",))
    with pytest.raises(ConfigError, match=r"audit\.tolerances: no leak is called 'groups'"):
        AuditSettings(tolerances={"groups": 0})
    with pytest.raises(ConfigError, match="near_duplicates=3"):
        AuditSettings(tolerances={"near_duplicates": 3})
    with pytest.raises(ConfigError, match="nearly"):
        Audit([]).failed(["nearly"])


def test_the_plain_form_is_json():
    plain = examine(leaking()).to_dict()
    assert json.loads(json.dumps(plain)) == plain
    first = plain["checks"][0]
    assert first["examples"][0] == ["r170", "r3", 1.0]
    assert (first["count"], first["of"], first["passed"], first["judged"]) == (2, 80, False, True)


def test_settings_are_parted_from_the_similarity():
    group = {"_target_": "x.Y", "k": 11, "allow": ["near_duplicates"], "tolerances": {"contradictions": None}}
    settings, rest = AuditSettings.split_from(group)
    assert rest == {"_target_": "x.Y", "k": 11}
    assert settings.allow == ("near_duplicates",)
    assert settings.tolerance("contradictions") is None
    assert settings.tolerance("near_duplicates") == 0.01
    assert AuditSettings.split_from(None) == (AuditSettings(), {})


def test_without_a_similarity_equal_inputs_are_found_all_the_same():
    result = examine(leaking(), ExactSimilarity())
    assert leak(result, "exact_duplicates").count == 2
    assert leak(result, "near_duplicates").failed is None


def task_data(records):
    from scizoo.data.targets import ClassTarget
    from scizoo.data.task import TaskData

    target = ClassTarget()
    targets = target.fit([r.target for r in records], None)
    targets = target.encode([r.target for r in records], [r.id for r in records])
    return TaskData("texts", None, records, split_of(records), target, targets)


def test_a_task_is_audited_by_its_config():
    data = task_data(leaking())
    described = {"_target_": "scizoo.evaluation.similarity.MinHashTextSimilarity", "threshold": 0.7}
    result = audit_task(data, {"audit": {**described, "allow": ["exact_duplicates"]}})
    assert [one.kind for one in result.failed()] == ["near_duplicates"]
    assert leak(result, "single_feature").failed is False
    bare = audit_task(data, {"audit": {"allow": []}})
    assert [one.kind for one in bare.failed()] == ["exact_duplicates"]


@pytest.mark.parametrize("similarity", [ExactSimilarity(), MinHashTextSimilarity()])
def test_similarities_keep_the_contract(similarity):
    records = clean()
    assert isinstance(similarity, Similarity)
    a, b = records[:20], [*records[15:25], Record("empty", "")]
    assert similarity.exact_duplicates(a, b) == [(15 + k, k) for k in range(5)]
    assert similarity.near_duplicates(a, b) == [(15 + k, k, 1.0) for k in range(5)]
    assert similarity.near_duplicates([], b) == similarity.near_duplicates(a, []) == []
    sketch = similarity.sketch(iter(a))
    assert sketch.dtype == np.uint64
    assert (np.diff(sketch.astype(object)) > 0).all()
    shares = similarity.overlap(sketch, b)
    assert shares[:5].tolist() == [1.0] * 5
    assert np.nanmax(shares[5:]) < 0.2
    assert similarity.overlap(similarity.sketch([]), a).max() == 0
    assert type(similarity)(**similarity.settings()).settings() == similarity.settings()


def test_minhash_agrees_with_counting():
    rng = np.random.default_rng(0)
    text = "".join(rng.choice(LETTERS[:-1], 300))
    (i, j, alike) = MinHashTextSimilarity(shingle=5, threshold=0.5).near_duplicates(
        [Record("a", text)], [Record("b", text[:150] + "#" + text[151:])]
    )[0]
    assert (i, j) == (0, 0)
    assert alike == pytest.approx((296 - 5) / (296 + 5), abs=0.01)
    spaced = MinHashTextSimilarity().near_duplicates(
        [Record("a", "one  two\nthree")], [Record("b", "one two three")]
    )
    assert spaced == [(0, 0, 1.0)]


def test_minhash_needs_texts_and_sensible_settings():
    with pytest.raises(DataError, match="'x' is no text but int"):
        MinHashTextSimilarity().sketch([Record("x", 3)])
    with pytest.raises(ConfigError, match="threshold"):
        MinHashTextSimilarity(threshold=0)
    with pytest.raises(ConfigError, match="shingle"):
        MinHashTextSimilarity(shingle=0)


def test_equal_arrays_are_exact_duplicates():
    rows = [Record(str(i), np.array([i % 3, 1.0])) for i in range(4)]
    assert ExactSimilarity().exact_duplicates(rows[:3], rows[3:]) == [(0, 0)]


def test_a_clean_genomics_similarity_fits_the_protocol():
    genomics = pytest.importorskip("scizoo_genomics.similarity")
    rng = np.random.default_rng(0)
    records = [dataclasses.replace(r, input="".join(rng.choice(list("ACGT"), 150))) for r in clean()]
    change(records, 170, input=records[3].input, target=records[3].target)
    change(records, 171, input=records[9].input[:149] + ("A" if records[9].input[149] != "A" else "C"))
    result = examine(records, genomics.KmerJaccard())
    assert leak(result, "exact_duplicates").count == 1
    assert leak(result, "near_duplicates").examples[0][:2] == ("r171", "r9")
