"""Tokenizers: reversible, blind to the future, robust to what is flat, missing or huge."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from scizoo.errors import ConfigError, DataError
from scizoo_timeseries.series import Series
from scizoo_timeseries.tokenizers.binned import BinnedTokenizer
from scizoo_timeseries.tokenizers.calendar import calendar_features
from scizoo_timeseries.tokenizers.patches import PatchTokenizer


@pytest.fixture
def odd():
    """Series of every kind that breaks a scale."""
    rng = np.random.default_rng(0)
    return [
        rng.normal(100, 5, 512).cumsum(),
        rng.normal(100, 5, 300),
        rng.normal(size=17),
        np.array([4.0]),
        np.full(50, 7.0),
        np.zeros(40),
        np.array([np.nan, 1, 2, np.nan, 3]),
        np.full(3, np.nan),
        np.concatenate([np.zeros(100), 1e9 + rng.normal(size=100)]),
    ]


@pytest.mark.parametrize("statistics", ["history", "running"])
def test_patches_give_the_values_back(odd, statistics):
    tokenizer = PatchTokenizer(statistics=statistics, channels=1, clip=1e6)
    encoded = tokenizer.encode(odd)
    for number, values in enumerate(odd):
        scale, loc = (encoded[key][number].astype(float)[:, None] for key in ("scale", "loc"))
        assert (scale > 0).all()
        seen = encoded["observed"][number].ravel()
        own = (encoded["values"][number] * scale + loc).ravel()[seen]
        known = values[np.isfinite(values)]
        np.testing.assert_allclose(own, known, rtol=1e-5, atol=1e-4 * np.abs(known).max(initial=0))


def test_running_statistics_are_those_of_what_was_seen():
    values = np.random.default_rng(1).normal(50, 4, 320) + np.arange(320) * 0.01
    whole = PatchTokenizer(statistics="running", channels=1).encode([values])
    for patch in (3, 9, 19):
        seen = values[: 16 * (patch + 1)]
        assert whole["loc"][0][patch] == pytest.approx(seen.mean(), rel=1e-5)
        assert whole["scale"][0][patch] == pytest.approx(seen.std(), rel=1e-4)
    # What comes later changes nothing before.
    cut = PatchTokenizer(statistics="running", channels=1).encode([values[:160]])
    np.testing.assert_allclose(whole["values"][0][:10], cut["values"][0], rtol=1e-5, atol=1e-6)


def test_history_alone_enters_the_scale():
    rng = np.random.default_rng(2)
    values = rng.normal(size=128)
    other = values.copy()
    other[96:] = 1e6
    tokenizer = PatchTokenizer(channels=1, clip=5)
    stamps = np.arange(128)
    one, two = (tokenizer.encode([Series(v, stamps, origin=96)]) for v in (values, other))
    assert one["scale"][0][0] == two["scale"][0][0] == pytest.approx(values[:96].std(), rel=1e-6)
    assert two["values"][0].max() == 5


def test_covariates_stand_where_they_are_needed():
    stamps = pd.date_range("2020-01-01", periods=64, freq="h").to_numpy("datetime64[ns]")
    future = np.arange(80.0)
    series = Series(np.arange(64.0), stamps, "h", "a", 24, past={"p": np.arange(64.0)}, future={"f": future})
    tokenizer = PatchTokenizer(patch=16, past=["p"], future=["f"], calendar=True, channels=1)
    assert tokenizer.features == 16 * 3 + 6
    values = tokenizer.encode([series])["values"][0]
    assert values.shape == (4, 54)
    scaled = (future - future[:64].mean()) / future[:64].std()
    np.testing.assert_allclose(values[3, 32:48], scaled[64:80], rtol=1e-5)  # of the patch to come
    np.testing.assert_allclose(values[0, 48:], calendar_features(stamps[16:17])[0], atol=1e-6)
    with pytest.raises(DataError, match="lacks the future covariate 'f'"):
        tokenizer.encode([Series(np.arange(64.0), stamps, "h", past={"p": np.arange(64.0)})])


def test_calendar_is_that_of_pandas():
    stamps = pd.date_range("2021-05-03", periods=50, freq="7h")
    found = calendar_features(stamps.to_numpy("datetime64[ns]"))
    np.testing.assert_allclose(found[:, 0], np.sin(2 * np.pi * stamps.hour / 24), atol=1e-9)
    np.testing.assert_allclose(found[:, 3], np.cos(2 * np.pi * stamps.dayofweek / 7), atol=1e-9)
    np.testing.assert_allclose(found[:, 4], np.sin(2 * np.pi * (stamps.month - 1) / 12), atol=1e-9)
    assert np.isnan(calendar_features(np.arange(3))).all()


@pytest.mark.parametrize("bins", [256, 1024, 4096])
def test_bins_decode_to_within_half_a_bin(bins, odd):
    tokenizer = BinnedTokenizer(bins=bins)
    for values in odd[:7]:
        encoded = tokenizer.encode([values])
        back = tokenizer.decode(encoded["input_ids"][0]) * encoded["scale"][0][0]
        np.testing.assert_array_equal(np.isnan(back), np.isnan(values))
        known = np.isfinite(values) & (np.abs(values / encoded["scale"][0][0]) < 15)
        assert np.abs(back - values)[known].max(initial=0) <= tokenizer.step * encoded["scale"][0][0] * 0.51


def test_several_channels_and_wrong_ones():
    cube = [np.random.default_rng(n).normal(size=(40, 3)) for n in range(2)]
    tokenizer = PatchTokenizer(patch=8)
    tokenizer.train(iter(cube))
    encoded = tokenizer.encode(cube)
    assert encoded["values"].values.shape == (10, 24)
    assert encoded["scale"].values.shape == (10, 3)
    with pytest.raises(DataError, match="has 1 channels"):
        tokenizer.encode([np.arange(20.0)])
    with pytest.raises(ConfigError):
        PatchTokenizer(statistics="future")
