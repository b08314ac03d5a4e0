"""Readers: layouts, stamps and zones, and one message for each fault, the rest of the file still read."""

from __future__ import annotations

import gzip

import numpy as np
import pandas as pd
import pytest

from scizoo.data.records import RejectionLog
from scizoo.errors import ConfigError, DataError
from scizoo_timeseries.frequency import IrregularError, grid_after, regular_grid, season_of
from scizoo_timeseries.readers.detect import read_series
from scizoo_timeseries.readers.options import ReadOptions


def hours(count, start="2020-01-01", tz=None):
    return pd.date_range(start, periods=count, freq="h", tz=tz)


def read(path, label=None, **options):
    log = RejectionLog()
    entries = {e.series.unique_id: e for e in read_series(path, ReadOptions(**options), log, label)}
    return entries, {bad.id: bad.reason for bad in log.rejected}


@pytest.mark.parametrize(
    ("freq", "season"),
    [
        *[("h", 24), ("D", 7), ("B", 5), ("W-SUN", 52), ("MS", 12), ("ME", 12), ("QS-OCT", 4)],
        *[("YS-JAN", 1), ("15min", 96), ("2h", 12), ("30s", 2880)],
    ],
)
def test_frequencies_are_inferred_also_with_gaps(freq, season):
    stamps = pd.date_range("2020-01-01", periods=60, freq=freq).to_numpy("datetime64[ns]")
    assert regular_grid(stamps).freq == freq
    assert season_of(freq) == season
    kept = np.delete(stamps, [7, 20, 21, 40])
    grid = regular_grid(kept)
    assert len(grid.stamps) == 60
    assert grid.gaps == 4
    np.testing.assert_array_equal(grid.stamps, stamps)
    expected = pd.date_range("2020-01-01", periods=62, freq=freq)[-2:].to_numpy("datetime64[ns]")
    np.testing.assert_array_equal(grid_after(stamps[-1], freq, 2), expected)


def test_irregular_stamps_and_changing_frequency_are_told():
    drawn = np.sort(np.random.default_rng(0).integers(0, 10**17, 40)).astype("datetime64[ns]")
    with pytest.raises(IrregularError, match="irregular"):
        regular_grid(drawn)
    changed = np.concatenate([hours(50), pd.date_range("2020-02-01", periods=20, freq="D")])
    with pytest.raises(IrregularError, match="frequency changes from 'h' to every 24 steps"):
        regular_grid(changed.astype("datetime64[ns]"))


def test_a_long_file_gives_its_good_series_and_names_the_bad_ones(write_long):
    h = list(hours(40))
    path = write_long(
        {
            "good": (h, range(40)),
            "backwards": (h[::-1], range(40)),
            "twice": ([*h[:39], h[38]], range(40)),
            "alone": (h[:1], [1]),
            "constant": (h, [7.0] * 40),
            "gaps": ([*h[:10], *h[13:]], range(37)),
            "words": (h, ["1"] * 20 + ["high"] + ["2"] * 19),
            "stamp": (["soon", *h[1:]], range(40)),
            "missing": (h, [np.nan] * 40),
            "infinite": (h, [np.inf, *range(39)]),
        }
    )
    found, bad = read(path)
    assert set(found) == {"good", "backwards", "constant", "gaps"}
    assert found["good"].notes == {}
    assert found["good"].series.freq == "h"
    assert found["good"].series.season == 24
    assert found["backwards"].notes == {"sorted": True}
    np.testing.assert_array_equal(found["backwards"].series.values, np.arange(40)[::-1])
    assert found["constant"].notes == {"constant": True}
    assert found["gaps"].notes["gaps"] == 3
    assert np.isnan(found["gaps"].series.values[10:13]).all()
    for name, words in {
        "twice": "two rows at 2020-01-02 14:00:00",
        "alone": "one observation",
        "words": "'high' in column 'y' is no number",
        "stamp": "'soon' cannot be read",
        "missing": "no value at all",
        "infinite": "infinite",
    }.items():
        assert words in bad[name]
    assert "row 20" in read(write_long({"w": (h, ["1"] * 19 + ["x"] + ["2"] * 20)}))[1]["w"]


def test_options_decide_about_order_gaps_and_duplicates(write_long):
    h = list(hours(12))
    path = write_long(
        {"a": ([*h[:6], h[5], *h[6:]], [*range(6), 9, *range(6, 12)]), "b": (h[::-1], range(12))}
    )
    found, bad = read(path, order="refuse", duplicates="mean")
    assert "goes back in time" in bad["b"]
    assert "data.order=sort" in bad["b"]
    assert found["a"].series.values[5] == 7.0
    assert found["a"].notes["duplicates"] == 1
    assert read(path, duplicates="last")[0]["a"].series.values[5] == 9
    gap = write_long({"a": ([*h[:4], *h[6:]], range(10))})
    assert "2 gaps, the first at 2020-01-01 04:00:00" in read(gap, gaps="refuse")[1]["a"]
    with pytest.raises(ConfigError, match="did you mean 'sort'"):
        ReadOptions(order="srot")
    with pytest.raises(ConfigError, match="no time zone"):
        ReadOptions(tz="Europe/Berlim")


def test_summer_time_leaves_hours_regular(write_long):
    spring, autumn = hours(5, "2020-03-29", "Europe/Berlin"), hours(6, "2020-10-25", "Europe/Berlin")
    with_offsets = write_long({"s": (spring, range(5)), "a": (autumn, range(6))})
    wall = write_long(
        {"s": (spring.tz_localize(None), range(5)), "a": (autumn.tz_localize(None), range(6))}, "wall.csv"
    )
    one, _ = read(with_offsets)
    two, bad = read(wall, tz="Europe/Berlin")
    assert not bad
    for name, stamps in (("s", spring), ("a", autumn)):
        expected = stamps.tz_convert("UTC").tz_localize(None).to_numpy("datetime64[ns]")
        np.testing.assert_array_equal(one[name].series.stamps, expected)
        np.testing.assert_array_equal(two[name].series.stamps, expected)
        assert two[name].series.freq == "h"
    days = pd.date_range("2020-03-20", periods=20, freq="D", tz="Europe/Berlin")
    found, _ = read(write_long({"d": (days, range(20))}, "days.csv"), tz="Europe/Berlin")
    assert found["d"].series.freq == "D"
    assert "gaps" not in found["d"].notes
    local = pd.DatetimeIndex(found["d"].series.next_stamps(2), tz="UTC").tz_convert("Europe/Berlin")
    assert [str(stamp) for stamp in local] == ["2020-04-09 00:00:00+02:00", "2020-04-10 00:00:00+02:00"]


def test_mixed_zones_and_impossible_hours_are_refused(write_long):
    h = [str(stamp) for stamp in hours(10)]
    path = write_long(
        {
            "partly": ([f"{s}+01:00" for s in h[:5]] + h[5:], range(10)),
            "two": ([f"{s}+01:00" for s in h[:5]] + [f"{s}-05:00" for s in h[5:]], range(10)),
        }
    )
    _, bad = read(path)
    assert "with and without a time zone" in bad["partly"]
    assert "mixes time zones (-5 h, +1 h)" in bad["two"]
    skipped = write_long(
        {"x": (["2020-03-29 01:30", "2020-03-29 02:30", "2020-03-29 03:30"], range(3))}, "x.csv"
    )
    assert "does not exist in Europe/Berlin" in read(skipped, tz="Europe/Berlin")[1]["x"]


def test_columns_are_checked_with_a_suggestion(write_long, tmp_path):
    path = write_long({"a": (hours(5), range(5))})
    with pytest.raises(DataError, match=r"no column 'yy' \(data.target\).*'y'"):
        read(path, target="yy")
    with pytest.raises(DataError, match=r"data.id=null"):
        read(path, id="name")
    with pytest.raises(DataError, match=r"data.past"):
        read(path, past=["rain"])
    one = tmp_path / "one.csv"
    one.write_text("ds,y\n" + "".join(f"{stamp},{n}\n" for n, stamp in enumerate(hours(5))))
    assert set(read(one, id=None)[0]) == {"one"}
    dotted = tmp_path / "dotted.csv"
    dotted.write_text("unique_id,ds,y\n" + "".join(f"a,{day:02d}.01.2020,{day}\n" for day in range(1, 9)))
    with pytest.raises(DataError, match=r"data\.time_format"):
        read(dotted)
    assert read(dotted, time_format="%d.%m.%Y")[0]["a"].series.freq == "D"


def test_covariates_and_static_columns(write_long):
    path = write_long(
        {"a": (hours(30), [*range(24)] + [np.nan] * 6)},
        rain=lambda f: np.arange(len(f)),
        holiday=lambda f: np.arange(len(f)) % 2,
        town=lambda f: "Bonn",
    )
    found, _ = read(path, past=["rain"], future=["holiday"], static=["town"])
    series = found["a"].series
    assert len(series) == 24
    assert len(series.past["rain"]) == 24
    assert len(series.future["holiday"]) == 30  # known six steps beyond the history
    assert series.static == {"town": "Bonn"}


def test_wide_m4_parquet_and_ett_layouts(tmp_path):
    frame = pd.DataFrame(
        {"date": [str(s) for s in hours(30)], "HUFL": np.arange(30.0), "OT": np.arange(30.0) * 2}
    )
    frame.to_csv(tmp_path / "ett.csv.gz", index=False)
    found, _ = read(tmp_path / "ett.csv.gz")
    assert list(found) == ["HUFL", "OT"]
    assert found["OT"].series.freq == "h"
    long = frame.melt("date", var_name="unique_id", value_name="y").rename(columns={"date": "ds"})
    long["ds"] = pd.to_datetime(long["ds"])
    long.to_parquet(tmp_path / "long.parquet")
    again, _ = read(tmp_path / "long.parquet")
    np.testing.assert_array_equal(again["OT"].series.values, found["OT"].series.values)
    text = '"V1","V2","V3","V4"\n"H1","1","2","3"\n"H2","5","6",""\n"H3","","",""\n'
    (tmp_path / "m4.csv.gz").write_bytes(gzip.compress(text.encode()))
    m4, bad = read(tmp_path / "m4.csv.gz")
    assert m4["H2"].series.values.tolist() == [5, 6]
    assert "no value" in bad["H3"]


def test_ts_and_tsf(tmp_path):
    head = "#note\n@problemName x\n@timeStamps false\n@classLabel true a b\n@data\n"
    (tmp_path / "x_TRAIN.ts").write_text(head + "1,2,?,4:2,3,4,5:a\n1,2:1,2,3:b\n1,2:3,4:c\n1,x:1,2:a\n")
    found, bad = read(tmp_path / "x_TRAIN.ts")
    (one,) = found.values()
    assert one.series.values.shape == (4, 2)
    assert one.label == "a"
    assert np.isnan(one.series.values[2, 0])
    reasons = " ".join(bad.values())
    for words in ("different lengths", "'c'", "'x', is no number"):
        assert words in reasons
    (tmp_path / "m.tsf").write_text(
        "@relation m\n@attribute series_name string\n@attribute start_timestamp date\n"
        "@attribute kind string\n"
        "@frequency hourly\n@data\nT1:2020-01-01 00-00-00:wind:1,2,?,4,5\nT2:sometime:wind:1,2\n"
    )
    found, bad = read(tmp_path / "m.tsf")
    assert found["T1"].series.freq == "h"
    assert found["T1"].series.static == {"kind": "wind"}
    assert "'sometime'" in bad["T2"]
    (tmp_path / "bad.ts").write_text("1,2,3:a\n")
    with pytest.raises(DataError, match=r"no header of a \.ts file"):
        read(tmp_path / "bad.ts")
