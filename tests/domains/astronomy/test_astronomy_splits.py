"""Splits: nothing of one object, cell or field is in two parts."""

from __future__ import annotations

import numpy as np
import pytest

from scizoo.data.records import Record
from scizoo.data.splits import PARTS, check_no_shared_groups
from scizoo.errors import ConfigError, DataError
from scizoo_astronomy.objects import CatalogRow, LightCurve
from scizoo_astronomy.sky import cells, joined, nearest, positions, within
from scizoo_astronomy.splitters import (
    FieldSplitter,
    MagnitudeSplitter,
    ObjectSplitter,
    SkySplitter,
    StratifiedFolds,
)


def record(number, ra=None, dec=None, target="a", mag=15.0, group=None, **meta):
    time = np.arange(5.0)
    curve = LightCurve(time, mag + 0.1 * np.sin(time + number), ra=ra, dec=dec)
    return Record(f"r{number}", curve, target, group, meta, f"file, row {number}")


def stars(count=200, seed=0):
    draw = np.random.default_rng(seed)
    ra, dec = draw.uniform(0, 360, count), np.degrees(np.arcsin(draw.uniform(-1, 1, count)))
    return [record(n, float(ra[n]), float(dec[n]), "ab"[n % 2]) for n in range(count)]


def parts_of(split, count):
    where = np.full(count, "", dtype=object)
    for part in PARTS:
        where[getattr(split, part)] = part
    return where


def test_cells_of_the_sky_stay_whole():
    records = stars()
    split = SkySplitter(nside=4).split(records)
    check_no_shared_groups(split)
    where = parts_of(split, len(records))
    assert all(len(getattr(split, part)) > 5 for part in PARTS) and (where != "").all()
    cell = cells(positions(records), 4)
    for one in set(cell.tolist()):
        assert len(set(where[cell == one])) == 1
    assert "HEALPix nside 4" in split.method
    with pytest.raises(ConfigError, match="power of 2"):
        SkySplitter(nside=12)
    with pytest.raises(DataError, match=r"record 'r7'.*has no position \(1 of 201"):
        SkySplitter().split([*records, record(7)])


def test_positions_may_come_from_columns():
    found = positions([Record("x", "?", meta={"ra": "10.5", "dec": "-3"})])
    assert found.tolist() == [[10.5, -3.0]]
    assert np.isnan(positions([Record("x", "?")])).all()


def test_observations_of_one_object_stay_together():
    records = []
    for number in range(60):
        ra, dec = 10.0 + 0.1 * number, 5.0
        records.append(record(2 * number, ra, dec))
        records.append(record(2 * number + 1, ra + 1.0 / 3600, dec))  # one arcsecond away
    split = ObjectSplitter(radius=2.0, stratify=False).split(records)
    where = parts_of(split, len(records))
    assert all(where[2 * n] == where[2 * n + 1] for n in range(60)) and len(set(split.groups)) == 60
    alone = ObjectSplitter(radius=0, stratify=False).split(records)
    assert len(set(alone.groups)) == 120
    named = [record(n, group=f"star {n // 3}") for n in range(60)]
    assert len(set(ObjectSplitter().split(named).groups)) == 20
    copies = [record(n % 30) for n in range(60)]
    copies = [Record(f"c{n}", one.input, "a") for n, one in enumerate(copies)]
    assert len(set(ObjectSplitter().split(copies).groups)) == 30


def test_a_stated_split_is_taken():
    records = [record(n, split="train" if n < 40 else "test") for n in range(50)]
    split = ObjectSplitter(validation=0.2).split(records)
    assert split.test.tolist() == list(range(40, 50)) and len(split.validation) == 8


def test_fields_stay_whole():
    records = [record(n, field=f"F{n % 12}") for n in range(120)]
    split = FieldSplitter().split(records)
    where = parts_of(split, 120)
    assert all(len(set(where[n::12])) == 1 for n in range(12))
    with pytest.raises(DataError, match=r"'r3'.*has no 'night'"):
        FieldSplitter(key="night").split([record(3)])


def test_faint_objects_are_tested_on():
    records = [record(n, mag=10.0 + 0.05 * n) for n in range(100)]
    split = MagnitudeSplitter(fractions=(0.6, 0.2, 0.2)).split(records)
    levels = np.array([np.median(r.input.value) for r in records])
    assert levels[split.train].max() < levels[split.validation].min()
    assert levels[split.validation].max() < levels[split.test].min()
    bright = MagnitudeSplitter(test="bright", fractions=(0.6, 0.2, 0.2)).split(records)
    assert levels[bright.test].max() < levels[bright.train].min()
    by_column = MagnitudeSplitter(key="I").split([record(n, I=str(20 - n % 7 - n / 99)) for n in range(99)])
    assert len(by_column.test) > 5
    row = Record("row", CatalogRow([1.0], ("x",)))
    with pytest.raises(DataError, match=r"record 'row'.*has no magnitude"):
        MagnitudeSplitter().split([*records, row])


def test_folds_are_stratified_and_cover_everything():
    draw = np.random.default_rng(0)
    names = [*draw.choice(["a", "b", "c"], 97, p=[0.7, 0.2, 0.1]).tolist(), "alone", "pair", "pair"]
    records = [record(n, target=name) for n, name in enumerate(names)]
    seen = np.zeros(len(records), dtype=int)
    for fold in range(5):
        split = StratifiedFolds(fold=fold, folds=5).split(records)
        check_no_shared_groups(split)
        seen[split.test] += 1
        assert 18 <= len(split.test) <= 22 and len(split.validation) >= 4
        assert len(split.train) + len(split.validation) + len(split.test) == len(records)
        share = np.mean([names[row] == "a" for row in split.test])
        assert abs(share - np.mean([name == "a" for name in names])) < 0.1
        assert {"a", "b", "c", "alone", "pair"} == {names[row] for row in split.train}
    assert (np.delete(seen, names.index("alone")) == 1).all() and seen[names.index("alone")] == 0
    assert "1 class of a single object always in train" in split.method
    for wrong in ({"fold": 5}, {"folds": 1}, {"validation": 0}):
        with pytest.raises(ConfigError):
            StratifiedFolds(**wrong)


def test_copies_are_in_one_fold():
    records = [Record(f"r{n}", record(n // 2).input, "ab"[n // 2 % 2]) for n in range(60)]
    split = StratifiedFolds(folds=3).split(records)
    where = parts_of(split, 60)
    assert all(where[2 * n] == where[2 * n + 1] for n in range(30))


def test_neighbours_on_the_sky():
    sky = np.array([[0.0, 0.0], [359.9999, 0.0], [10.0, 89.9999], [190.0, 89.9999], [np.nan, np.nan]])
    pairs = within(sky, 1.0)
    assert [(i, j) for i, j, _ in pairs] == [(0, 1), (2, 3)] and np.isclose(pairs[0][2], 0.36)
    row, separation = nearest(sky, sky[1:2])
    assert row.tolist() == [0, 0, 0, 0, -1] and np.isclose(separation[0], 0.36) and np.isinf(separation[4])
    assert joined(5, [(0, 1), (1, 4)]).tolist() == [0, 0, 2, 3, 0]
