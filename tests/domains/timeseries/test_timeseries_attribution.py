"""From patches and bins to values, and how they are drawn."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from scizoo.data.records import Record
from scizoo_timeseries.picture import draw
from scizoo_timeseries.tokenizers.binned import BinnedTokenizer
from scizoo_timeseries.tokenizers.patches import PatchTokenizer


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize(("size", "length"), [(37, None), (32, None), (50, 24), (5, 24)])
def test_each_value_gets_the_score_of_its_own_place(channels: int, size: int, length: int | None):
    values = np.arange(1.0, size * channels + 1).reshape(size, channels)
    series = values[:, 0] if channels == 1 else values
    tokenizer = PatchTokenizer(patch=8, length=length, scaling="none", clip=1e6, calendar=False)
    tokenizer.train([series])
    given = tokenizer.encode([series])["values"].values
    found = tokenizer.attribute(series, given.astype(float))  # as if each had added what it is
    unread = 0 if length is None else max(0, size - length)
    np.testing.assert_allclose(found[unread:], values[unread:])
    assert found.shape == values.shape and np.isnan(found[:unread]).all()


def test_bins_are_values():
    series = np.sin(np.arange(30.0))
    tokenizer = BinnedTokenizer(length=20)
    found = tokenizer.attribute(series, np.arange(20.0))
    assert found.shape == (30, 1) and np.isnan(found[:10]).all() and found[10:, 0].tolist() == list(range(20))


@pytest.mark.parametrize("channels", [1, 3])
def test_values_are_coloured(channels: int):
    values = np.random.default_rng(0).normal(size=(40, channels))
    values[5] = np.nan
    used = np.zeros((40, channels))
    used[12, 0], used[30, -1] = 2.0, -1.0
    figure = Figure(layout="constrained")
    axes = figure.subplots()
    series = values[:, 0] if channels == 1 else values
    draw(axes, Record("s", series, "a"), {"value": "b", "attributions": used, "output": "b"})
    lines = [one for one in axes.collections if isinstance(one, LineCollection)]
    assert len(lines) == channels and "predicted: b" in axes.get_title()
    assert "blue lowered the prediction of “b”" in figure.get_supxlabel()
    first = lines[0].get_colors()
    assert len(first) == 39 and first[11, 0] > first[11, 2] + 0.3  # one value is missing before
    figure.canvas.draw()
