"""Windows, splits in time, and the audit that finds what leaks."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest

from scizoo.data.splits import PARTS
from scizoo.errors import ConfigError, DataError
from scizoo.evaluation.corpora import sketch_corpus
from scizoo_timeseries.datasets.embedded import EmbeddedWindows
from scizoo_timeseries.datasets.labelled import LabelledSeries
from scizoo_timeseries.datasets.m4 import M4Windows
from scizoo_timeseries.datasets.windows import ForecastWindows
from scizoo_timeseries.series import seasonal_scale
from scizoo_timeseries.similarity import SeriesSimilarity
from scizoo_timeseries.splitters import BorderSplitter, HeldOutSeries, RollingOrigin


@pytest.fixture
def windows(write_long, wave):
    def make(count=4, length=240, **settings):
        stamps = pd.date_range("2020-01-01", periods=length, freq="h")
        path = write_long({f"s{n}": (stamps, wave(length, 24, n)) for n in range(count)})
        return list(ForecastWindows(str(path), **{"horizon": 12, "stride": 4, **settings}))

    return make


def parts_of(records, split):
    return {part: [records[row] for row in getattr(split, part)] for part in PARTS}


def test_history_ends_before_the_target(windows):
    records = windows(context=48)
    whole = {r.meta["series"]: r for r in windows(context=None)}
    for record in records:
        assert len(record.target) == 12
        assert len(record.input) <= 48
        assert record.input.stamps[-1] < whole[record.meta["series"]].input.stamps[0] + np.timedelta64(
            400, "h"
        )
        stop = record.meta["start"]
        full = whole[record.meta["series"]].input.values
        if stop <= len(full):
            np.testing.assert_array_equal(record.input.values, full[max(0, stop - 48) : stop])
            assert record.meta["scale"] == pytest.approx(seasonal_scale(full[:stop], 24))
    assert len({record.id for record in records}) == len(records)


@pytest.mark.parametrize(("count", "gap"), [(1, 0), (2, 0), (3, 8)])
def test_rolling_origin_shares_no_target_time(windows, count, gap):
    records = windows()
    split = RollingOrigin(windows=count, validation_windows=2, gap=gap).split(records)
    parts = parts_of(records, split)
    for name in {record.meta["series"] for record in records}:
        spans = {
            part: [(r.meta["start"], r.meta["stop"]) for r in chosen if r.meta["series"] == name]
            for part, chosen in parts.items()
        }
        assert len(spans["test"]) == count
        assert max(stop for _, stop in spans["test"]) == 240
        starts = sorted(start for start, _ in spans["test"])
        assert all(b - a >= 12 for a, b in pairwise(starts))
        assert max(stop for _, stop in spans["validation"]) + gap <= starts[0]
        assert max(stop for _, stop in spans["train"]) + gap <= min(s for s, _ in spans["validation"])
    assert SeriesSimilarity().exact_duplicates(parts["train"], parts["test"]) == []


@pytest.fixture
def staggered(write_long, wave):
    """Windows of three series, one of which ends two days before the others."""
    stamps = pd.date_range("2020-01-01", periods=240, freq="h")
    series = {f"s{n}": (stamps, wave(240, 24, n)) for n in range(2)}
    series["early"] = (stamps[:192], wave(192, 24, 5))
    return list(ForecastWindows(str(write_long(series)), horizon=12, stride=4))


def test_a_calendar_cut_parts_all_series_by_one_date(staggered):
    def crossing(split):
        parts = parts_of(staggered, split)
        tested = min(np.datetime64(r.meta["cutoff"]) for r in parts["test"])
        return [r for part in ("train", "validation") for r in parts[part]
                if np.datetime64(r.meta["until"]) > tested]  # fmt: skip

    assert crossing(RollingOrigin().split(staggered)), "each series is parted at its own end"
    split = RollingOrigin(calendar=True).split(staggered)
    assert not crossing(split)
    assert all(len(getattr(split, part)) for part in PARTS)
    assert "any series is in two parts" in split.method


def test_a_calendar_cut_needs_dates_and_series_of_about_the_same_end(staggered, write_long, wave):
    undated = [replace(r, meta={**r.meta, "cutoff": str(r.meta["start"])}) for r in staggered]
    undated = [replace(r, meta={**r.meta, "until": "x"}) for r in undated]
    with pytest.raises(DataError, match=r"has no date.*split\.calendar"):
        RollingOrigin(calendar=True).split(undated)
    stamps = pd.date_range("2020-01-01", periods=400, freq="h")
    apart = {"old": (stamps[:60], wave(60, 24, 1)), "new": (stamps[200:], wave(200, 24, 2))}
    records = list(ForecastWindows(str(write_long(apart)), horizon=12, stride=4))
    with pytest.raises(DataError, match="end so far apart"):
        RollingOrigin(windows=3, calendar=True).split(records)


def test_rolling_origin_says_when_series_are_too_short(windows):
    with pytest.raises(DataError, match=r"split\.windows"):
        RollingOrigin(windows=50).split(windows(length=40))
    with pytest.raises(ConfigError):
        RollingOrigin(windows=0)


def test_borders_keep_whole_targets_inside(windows):
    records = windows(standardise=120, min_history=48)
    split = BorderSplitter([120, 60, 60]).split(records)
    edges = {"train": (0, 120), "validation": (120, 180), "test": (180, 240)}
    for part, chosen in parts_of(records, split).items():
        assert chosen
        assert all(edges[part][0] <= r.meta["start"] and r.meta["stop"] <= edges[part][1] for r in chosen)
    first = records[0].meta["series"]
    pieces = [r for r in records if r.meta["series"] == first and r.meta["stop"] <= 120]
    assert abs(np.mean([r.target.mean() for r in pieces])) < 0.5  # standardised by the training part


def test_held_out_series_stay_whole(windows):
    records = windows(count=10)
    parts = parts_of(records, HeldOutSeries((0.6, 0.2, 0.2)).split(records))
    names = {part: {record.meta["series"] for record in chosen} for part, chosen in parts.items()}
    assert not names["train"] & names["test"]


def test_the_audit_finds_planted_leaks(windows):
    records = windows()
    split = RollingOrigin(windows=2, validation_windows=2).split(records)
    parts = parts_of(records, split)
    audit = SeriesSimilarity(threshold=0.995, scale=4)
    assert audit.near_duplicates(parts["train"], parts["test"]) == []
    planted = parts["test"][0]
    late = replace(planted, id="late", meta={**planted.meta, "start": planted.meta["start"] - 6})
    assert audit.exact_duplicates([*parts["train"], late], parts["test"]) != []
    # The same values in other units, under another name.
    twin = replace(
        planted,
        id="twin",
        input=replace(planted.input, values=planted.input.values * 3 + 100, unique_id="twin"),
        target=planted.target * 3 + 100,
        meta={**planted.meta, "series": "twin"},
    )
    pairs = audit.exact_duplicates([*parts["train"], twin], parts["test"])
    assert (len(parts["train"]), 0) in pairs
    rng = np.random.default_rng(0)
    noisy = replace(twin, id="noisy", target=twin.target + rng.normal(0, 0.01, 12))
    found = audit.near_duplicates([*parts["train"], noisy], parts["test"])
    assert [(i, j) for i, j, _ in found] == [(len(parts["train"]), 0)]
    sketch = audit.sketch(parts["test"])
    assert audit.overlap(sketch, parts["test"]).min() > 0.9
    other = audit.sketch([replace(planted, input=np.arange(90.0) ** 2)])
    assert audit.overlap(other, parts["test"][-1:])[0] < 0.2
    assert np.isnan(audit.overlap(np.empty(0, np.uint64), parts["test"])).all()


def test_short_series_are_rejected_and_constant_ones_flagged(write_long, wave):
    stamps = pd.date_range("2020-01-01", periods=100, freq="h")
    path = write_long(
        {"good": (stamps, wave(100)), "flat": (stamps, [3.0] * 100), "short": (stamps[:15], range(15))}
    )
    data = ForecastWindows(str(path), horizon=12, max_rejected=0.9)
    records = list(data)
    assert {r.meta["series"] for r in records} == {"good", "flat"}
    assert "horizon of 12 is too long" in data.rejections.rejected[0].reason
    flat = [r for r in records if r.meta["series"] == "flat"]
    assert all(np.isnan(r.meta["scale"]) and r.meta["constant"] for r in flat)


def test_m4_tests_on_the_official_part(tmp_path):
    rng = np.random.default_rng(0)
    waves = {f"H{n}": rng.normal(50, 5, 148).round(3) for n in range(3)}
    for part, cut in (("train", slice(None, 100)), ("test", slice(100, None))):
        rows = [",".join([name, *map(str, values[cut])]) for name, values in waves.items()]
        width = len(rows[0].split(","))
        (tmp_path / f"Hourly-{part}.csv").write_text(
            ",".join(f"V{n + 1}" for n in range(width)) + "\n" + "\n".join(rows)
        )
    records = list(M4Windows(str(tmp_path), subset="Hourly", min_history=2, stride=1))
    split = RollingOrigin().split(records)
    for row in split.test:
        record = records[row]
        np.testing.assert_array_equal(record.target, waves[record.meta["series"]][100:])
        assert record.meta["scale"] == pytest.approx(seasonal_scale(waves[record.meta["series"]][:100], 24))
    with pytest.raises(DataError, match=r"Weekly-train\.csv"):
        list(M4Windows(str(tmp_path), subset="Weekly"))


def test_embedded_data_are_read_in_place():
    data = EmbeddedWindows(sets=["macrodata"], horizon=8, season=4)
    names = {record.meta["series"] for record in data}
    assert len(names) == 12
    assert "macrodata/realgdp" in names
    with pytest.raises(ConfigError, match="did you mean 'co2'"):
        EmbeddedWindows(sets=["co3"])


def test_labelled_series_know_their_parts(tmp_path):
    head = "@classLabel true a b\n@data\n"
    for part, rows in (("TRAIN", "1,2,3:a\n3,2,1:b\n"), ("TEST", "2,3,4:a\n")):
        (tmp_path / f"one_{part}.ts").write_text(head + rows)
    records = list(LabelledSeries(str(tmp_path)))
    assert [r.meta["split"] for r in records] == ["test", "train", "train"]
    (tmp_path / "two_TRAIN.ts").write_text(head + "1,2:a\n")
    with pytest.raises(DataError, match=r"data\.problem=one"):
        list(LabelledSeries(str(tmp_path)))
    long = LabelledSeries(str(tmp_path), problem="one", longest=2)
    assert all(len(r.input) == 2 for r in long)
    assert long.counts["series were averaged down to 2 values"] == 3


def test_of_a_corpus_only_the_measured_series_are_sketched(wave):
    class Corpus:
        """Two drawn series, one measured one: what is drawn at random holds nobody's data."""

        def __iter__(self):
            raise AssertionError("the drawn series are not asked for")

        def measured_values(self):
            yield wave(300, 24, 3)

    settings = {"_target_": "scizoo_timeseries.similarity.SeriesSimilarity", "scale": 1}
    found = sketch_corpus(settings, Corpus())
    assert found is not None
    np.testing.assert_array_equal(found.values, SeriesSimilarity(scale=1)._sampled(wave(300, 24, 3)))
