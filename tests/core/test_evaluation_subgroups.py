"""The bias audit: planted gaps are found, chance is not taken for one, small subgroups are named."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import jsonschema
import numpy as np
import pytest

import scizoo
from scizoo.errors import ConfigError
from scizoo.evaluation.intervals import holm
from scizoo.evaluation.outputs import Outputs
from scizoo.evaluation.plain import plain
from scizoo.evaluation.subgroups import MISSING, audit_subgroups, subgroup_levels

SITES = np.array(["north", "south", "east", "west"])


def judged(count: int = 800, seed: int = 0, group: int = 2, **meta) -> Outputs:
    """Two classes, four right in five; ``group`` records a group."""
    rng = np.random.default_rng(seed)
    ids = [f"r{i:05d}" for i in range(count)]
    targets = rng.integers(0, 2, count)
    meta = {"site": SITES[rng.integers(0, 4, count)]} | meta
    return with_right(
        Outputs(
            ids, [f"g{i // group}" for i in range(count)], targets, "classification", ("a", "b"), meta=meta
        ),
        rng.random(count) < 0.8,
    )


def with_right(outputs: Outputs, right: np.ndarray) -> Outputs:
    p = np.where((outputs.targets == 1) == right, 0.8, 0.2)
    return replace(outputs, probability=np.stack([1 - p, p], axis=1))


def harmed(seed: int = 0, share: float = 0.5) -> Outputs:
    outputs = judged(seed=seed)
    rng = np.random.default_rng(seed + 1000)
    right = outputs.predicted == outputs.targets
    south = outputs.meta["site"] == "south"
    right[south] = rng.random(south.sum()) < share
    return with_right(outputs, right)


def test_a_planted_gap_is_found_and_said():
    outputs = harmed()
    audit = audit_subgroups(outputs, ["site"], "accuracy")
    gap = audit.columns[0].gap
    assert (gap.first, gap.second) == ("south", "all other records")
    south = outputs.meta["site"] == "south"
    right = outputs.predicted == outputs.targets
    assert gap.difference == pytest.approx(right[south].mean() - right[~south].mean())
    assert gap.low < gap.difference < gap.high < 0
    assert gap.beyond_chance and audit.tests == 4
    assert audit.finding.startswith("For site south the model is worse than for all other records: by 0.")
    row = next(row for row in audit.columns[0].rows if row.name == "south")
    assert row.score.value == pytest.approx(right[south].mean())
    assert row.calibration.value > 0.2  # it says 0.8 and is right half of the time
    assert (row.records, row.groups) == (south.sum(), len(np.unique(outputs.groups[south])))


def test_chance_is_not_taken_for_a_gap():
    alarms = 0
    for seed in range(40):
        audit = audit_subgroups(judged(seed=seed), ["site"], "accuracy", resamples=200)
        alarms += any(gap.beyond_chance for gap in audit.columns[0].gaps)
        assert "worse" not in audit.finding or any(gap.beyond_chance for gap in audit.columns[0].gaps)
    assert alarms <= 5  # 5% of 40, and as many again for chance


def test_p_values_are_corrected_over_all_columns():
    rng = np.random.default_rng(0)
    noise = {f"noise{i}": SITES[rng.integers(0, 4, 800)] for i in range(6)}
    outputs = harmed()
    outputs = replace(outputs, meta=dict(outputs.meta) | noise)
    alone = audit_subgroups(outputs, ["site"], "accuracy")
    together = audit_subgroups(outputs, None, "accuracy")
    gaps = [gap for column in together.columns for gap in column.gaps]
    assert together.tests == len(gaps) == 28
    np.testing.assert_allclose([g.adjusted_p_value for g in gaps], holm([g.p_value for g in gaps]))
    assert together.columns[0].gap.p_value == pytest.approx(alone.columns[0].gap.p_value)
    assert together.columns[0].gap.adjusted_p_value > alone.columns[0].gap.adjusted_p_value
    # A real gap survives thirty tests with a thousand replicates.
    assert together.columns[0].gap.beyond_chance and together.worst[0] == "site"


def test_small_subgroups_are_named_and_not_judged():
    site = np.array(["large"] * 400 + ["few"] * 20 + ["one patient"] * 60 + ["other"] * 320)
    outputs = judged(site=site)
    outputs = replace(outputs, groups=np.where(site == "one patient", "p1", outputs.groups))
    audit = audit_subgroups(outputs, ["site"], "accuracy", resamples=100)
    rows = {row.name: row for row in audit.columns[0].rows}
    assert rows["few"].too_small and rows["few"].reason == "20 records: fewer than 30"
    assert rows["one patient"].too_small and rows["one patient"].reason == "1 group: fewer than 5"
    assert rows["few"].score is None and not rows["large"].too_small
    assert {gap.first for gap in audit.columns[0].gaps} == {"large", "other"}
    assert "2 subgroups are too small to judge." in audit.finding


def test_groups_and_not_records_decide_what_is_chance():
    rng = np.random.default_rng(0)
    fate = np.repeat(rng.random(40) < 0.8, 20)  # all records of a patient are right or wrong together
    site = np.repeat(np.where(np.arange(40) % 2, "north", "south"), 20)
    fate[site == "south"] = np.repeat(np.arange(20) < 12, 20)
    grouped = with_right(judged(group=20, site=site), fate)
    lone = replace(grouped, groups=grouped.ids)
    widths = []
    for outputs in (grouped, lone):
        gap = audit_subgroups(outputs, ["site"], "accuracy").columns[0].gap
        widths.append(gap.high - gap.low)
    assert widths[0] > 3 * widths[1]


def test_two_subgroups_are_one_test():
    outputs = judged(sure=np.arange(800) % 2 == 0)
    right = (outputs.predicted == outputs.targets) & (outputs.meta["sure"] | (np.arange(800) % 3 > 0))
    audit = audit_subgroups(with_right(outputs, right), ["sure"], "accuracy")
    assert audit.tests == 1
    assert (audit.columns[0].gap.first, audit.columns[0].gap.second) == ("no", "yes")
    assert audit.columns[0].gap.adjusted_p_value == audit.columns[0].gap.p_value < 0.001


def test_lower_is_better_turns_the_gap():
    ids = [f"r{i}" for i in range(400)]
    rng = np.random.default_rng(0)
    site = np.array(["good", "bad"])[np.arange(400) % 2]
    truth = rng.normal(size=400)
    mean = truth + rng.normal(size=400) * np.where(site == "bad", 2.0, 1.0)
    outputs = Outputs(ids, ids, truth, "regression", mean=mean, meta={"site": site})
    gap = audit_subgroups(outputs, ["site"], "rmse").columns[0].gap
    assert gap.first == "bad" and gap.difference == pytest.approx(-1.0, abs=0.25) and gap.beyond_chance
    assert audit_subgroups(outputs, ["site"], "rmse").columns[0].rows[0].calibration is None


def test_coverage_by_subgroup():
    outputs = judged()
    covered = np.where(outputs.meta["site"] == "west", np.arange(800) % 2, 1.0)
    covered[:10] = math.nan
    rows = audit_subgroups(outputs, ["site"], "accuracy", covered=covered, resamples=200).columns[0].rows
    found = {row.name: row.coverage for row in rows}
    assert found["west"].high < 0.7 and found["north"].value == 1.0
    with pytest.raises(ValueError, match="covered has 3 rows"):
        audit_subgroups(outputs, ["site"], "accuracy", covered=np.ones(3))


def test_seeds_are_averaged_and_widen_the_gap():
    runs = [harmed(share=share) for share in (0.4, 0.5, 0.7)]
    single, several = (audit_subgroups(part, ["site"], "accuracy").columns[0] for part in (runs[1], runs))
    row = next(row for row in several.rows if row.name == "south")
    assert row.score.seeds == 3
    assert several.gap.high - several.gap.low > 1.3 * (single.gap.high - single.gap.low)
    shuffled = [runs[0], runs[1].take(np.random.default_rng(0).permutation(800)), runs[2]]
    assert audit_subgroups(shuffled, ["site"], "accuracy").columns[0].gap == several.gap


def test_a_subgroup_of_one_class_has_no_mcc_and_says_so():
    outputs = judged()
    outputs = replace(
        outputs, meta={"site": np.where((outputs.targets == 1) & (np.arange(800) % 2), "x", "y")}
    )
    audit = audit_subgroups(outputs, ["site"], "mcc", resamples=100)
    row = next(row for row in audit.columns[0].rows if row.name == "x")
    assert "one class (b)" in row.reason and not row.too_small
    assert audit.columns[0].gap is None and audit.finding == "No subgroups could be compared."


def test_numbers_are_cut_into_bands_of_equal_size():
    ages = np.append(np.arange(100.0), [math.nan] * 5)
    levels = subgroup_levels(ages)
    assert [name for name, _ in levels] == [
        "up to 24.8",
        "24.8 to 49.5",
        "49.5 to 74.2",
        "above 74.2",
        MISSING,
    ]
    assert [int(mask.sum()) for _, mask in levels] == [25, 25, 25, 25, 5]
    assert np.stack([mask for _, mask in levels]).sum(axis=0).tolist() == [1] * 105
    as_text = np.array([*map(str, range(100)), *[""] * 5])
    assert [name for name, _ in subgroup_levels(as_text)] == [name for name, _ in levels]
    skewed = np.array([0.0] * 90 + list(range(1, 11)))
    assert [int(mask.sum()) for _, mask in subgroup_levels(skewed)] == [90, 10]
    assert [int(mask.sum()) for _, mask in subgroup_levels(10 - skewed)] == [10, 90]
    few = subgroup_levels(np.array([1, 2, 2, 1, 3]))
    assert {name: int(mask.sum()) for name, mask in few} == {"1": 2, "2": 2, "3": 1}


def test_names_missing_values_and_crowds():
    column = np.array(["b", "a", "a", " ", ""])
    assert {name: int(mask.sum()) for name, mask in subgroup_levels(column)} == {"a": 2, "b": 1, MISSING: 2}
    crowd = np.array(["big"] * 50 + [f"rare{i}" for i in range(50)])
    levels = subgroup_levels(crowd, max_levels=4)
    assert [name for name, _ in levels] == ["big", "rare0", "rare1", "48 other values"]
    assert sum(int(mask.sum()) for _, mask in levels) == 100
    assert "500 different values" in subgroup_levels(np.array([f"id{i}" for i in range(500)]))
    assert subgroup_levels(np.array(["x", "x"])) == "every record has the value x"
    assert subgroup_levels(np.array(["", ""])) == "no record has a value"


def test_columns_without_subgroups_are_told_and_unknown_ones_refused():
    outputs = judged(name=np.array([f"n{i}" for i in range(800)]), same=np.array(["x"] * 800))
    audit = audit_subgroups(outputs, None, "accuracy", resamples=50)
    assert [one.column for one in audit.columns] == ["site"]
    assert set(audit.skipped) == {"name", "same"} and "different values" in audit.skipped["name"]
    with pytest.raises(ConfigError, match=r"no column 'siet'; did you mean 'site'"):
        audit_subgroups(outputs, ["siet"], "accuracy")


def test_the_section_fits_the_published_schema():
    path = Path(scizoo.__file__).parent / "evaluation" / "report" / "schema.json"
    schema = json.loads(path.read_text(encoding="utf-8"))
    outputs = replace(
        harmed(), meta={"site": harmed().meta["site"], "few": np.array(["x"] * 790 + ["y"] * 10)}
    )
    audit = audit_subgroups(outputs, None, "accuracy", covered=np.ones(800), resamples=100)
    section = json.loads(json.dumps(plain(audit), allow_nan=False))
    jsonschema.validate(section, {"$ref": "#/$defs/subgroups", "$defs": schema["$defs"]})
    assert section["columns"][0]["gap"]["adjusted_p_value"] < 0.05
    assert section["smallest_subgroup"] == "30 records in 5 groups"
