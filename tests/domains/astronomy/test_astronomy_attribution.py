"""From positions to observations, wavelengths, pixels and columns; and how they are drawn."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure

from scizoo.data.records import Record
from scizoo_astronomy.objects import CatalogRow, Image, LightCurve, Spectrum
from scizoo_astronomy.picture import draw, features_of, strongest_features
from scizoo_astronomy.tokenizers.image import ImageTokenizer
from scizoo_astronomy.tokenizers.lightcurve import LightCurveTokenizer
from scizoo_astronomy.tokenizers.spectrum import SpectrumTokenizer
from scizoo_astronomy.tokenizers.table import TableTokenizer

TIME = np.sort(np.random.default_rng(0).uniform(0, 90, 80))
CURVE = LightCurve(TIME, 15 + np.sin(2 * np.pi * TIME / 3.3), np.full(80, 0.1), "V", period=3.3)
WAVELENGTH = np.linspace(3700.0, 9500.0, 3000)


def drawn(value: Any, used: Any, **record: Any) -> tuple[Figure, Any]:
    figure = Figure(layout="constrained")
    axes = figure.subplots()
    given = {"value": "guess", "attributions": used, "output": "star"}
    draw(axes, Record("object-1", value, "truth", **record), given)
    figure.canvas.draw()
    assert "predicted: guess" in axes.get_title()
    assert "red raised, blue lowered the prediction of “star”" in figure.get_supxlabel()
    return figure, axes


def test_observations_get_their_own_scores_and_those_left_out_none():
    tokenizer = LightCurveTokenizer(max_observations=20)
    times = tokenizer.encode([CURVE])["times"].values[:, 0]
    scores = np.zeros((20, 4))
    scores[3, 0], scores[4, 1], scores[:, 2], scores[:, 3] = 1.0, -2.0, 0.1, 0.05
    found = tokenizer.attribute(CURVE, scores)
    used = found["observations"]
    assert used.shape == (80,) and np.isfinite(used).sum() == 20
    place = int(np.nanargmax(used))
    assert used[place] == 1 and CURVE.time[place] - CURVE.time[0] == pytest.approx(100 * times[3], abs=1e-4)
    assert float(found["amplitude"]) == pytest.approx(2.0) and float(found["period"]) == pytest.approx(1.0)
    figure, axes = drawn(CURVE, found)
    assert "amplitude +2" in figure.get_supxlabel() and "period +1" in figure.get_supxlabel()
    assert len(axes.collections) >= 2
    two = LightCurve(TIME, CURVE.value, CURVE.error, np.array(["g", "r"] * 40), period=3.3)
    drawn(two, LightCurveTokenizer().attribute(two, np.ones((80, 4))))


def spectrum(redshift: float | None = None, **more: Any) -> Spectrum:
    shift = 1 + (redshift or 0)
    flux = 1 + 5 * np.exp(-0.5 * ((WAVELENGTH - 5008.24 * shift) / 6) ** 2)
    flux = flux + 0.05 * np.random.default_rng(0).normal(size=len(flux))
    return Spectrum(WAVELENGTH, flux, np.full(len(flux), 400.0), redshift=redshift, **more)


@pytest.mark.parametrize("medium", ["vacuum", "air"])
def test_a_line_that_added_lies_at_its_wavelength(medium: str):
    one = spectrum(medium=medium, mask=WAVELENGTH < 4000)
    tokenizer = SpectrumTokenizer(patch=8, patches=200)
    values = tokenizer.encode([one])["values"].values.astype(float)
    scores = np.where(values > 3, values, 0.0)  # as if the bright pixels had added what they are
    found = tokenizer.attribute(one, scores)
    assert found.shape == WAVELENGTH.shape and np.isnan(found[WAVELENGTH < 3990]).all()
    assert np.isnan(tokenizer.attribute(one, scores)[one.mask]).all()
    weight = np.nan_to_num(found)
    assert np.average(WAVELENGTH, weights=weight) == pytest.approx(5008.2, abs=4)
    assert np.nansum(found) == pytest.approx(scores[:, :8].sum(), rel=0.02)
    assert np.isfinite(found[(WAVELENGTH > 4010) & (WAVELENGTH < 9480)]).all()


def test_the_strongest_features_are_named_by_their_wavelength_at_rest():
    one = spectrum(redshift=0.2)
    used = np.zeros(len(WAVELENGTH))
    used[np.abs(WAVELENGTH - 5008.24 * 1.2) < 8] = 1.0
    used[np.abs(WAVELENGTH - 7000) < 8] = -0.6
    smooth = features_of(WAVELENGTH, used)
    found = strongest_features(WAVELENGTH, smooth)
    assert (
        len(found) == 2
        and found[0] == pytest.approx(6009.9, abs=6)
        and found[1] == pytest.approx(7000, abs=6)
    )
    _, axes = drawn(one, used)
    named = [text.get_text() for text in axes.texts if "at rest" in text.get_text()]
    assert len(named) == 2 and abs(float(named[0].split()[0]) - 5008) < 6
    _, axes = drawn(spectrum(), used)
    assert any(text.get_text().endswith("Å") for text in axes.texts)
    assert strongest_features(WAVELENGTH, np.zeros(len(WAVELENGTH))) == []


@pytest.mark.parametrize(("shape", "crop"), [((64, 64), None), ((40, 90), None), ((200, 160), 50)])
def test_pixels_lie_where_they_are_in_the_image(shape: tuple[int, int], crop: int | None):
    data = np.zeros((*shape, 1))
    row, column = shape[0] // 2 + 5, shape[1] // 2 - 9
    data[row : row + 6, column : column + 6] = 1.0
    image = Image(data)
    tokenizer = ImageTokenizer(size=48, crop=crop, mean=0.0, std=1.0, stretch="linear")
    seen = tokenizer.encode([image])["pixel_values"].values.astype(float)
    found = tokenizer.attribute(image, seen)
    scale = shape[0] / found.shape[0]
    known = np.nan_to_num(found)
    place = [np.average(np.arange(size) + 0.5, weights=known.sum(axis=1 - axis)) * scale
             for axis, size in enumerate(found.shape)]  # fmt: skip
    assert place[0] == pytest.approx(row + 3, abs=1.5) and place[1] == pytest.approx(column + 3, abs=1.5)
    assert np.nansum(found) == pytest.approx(seen.sum(), rel=0.1)
    assert np.isnan(found).any() == (shape[0] != shape[1] or crop is not None)
    drawn(image, found)


def test_columns_of_a_catalogue_are_marked():
    rows = [CatalogRow([float(n), 2.0 * n, 1.0], ("a", "b", "c")) for n in range(9)]
    tokenizer = TableTokenizer()
    tokenizer.train(rows)
    used = tokenizer.attribute(rows[1], np.diag([1.0, -2.0, 0.0]))
    assert used.tolist() == [1, -2, 0]
    _, axes = drawn(rows[1], used)
    assert len(axes.texts) == 3
