"""Pictures: what is drawn, and that each object can be drawn."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure

from scizoo.data.records import Record
from scizoo_astronomy.lines import lines_within
from scizoo_astronomy.objects import CatalogRow, Image, ImageSpectrum, LightCurve, Spectrum
from scizoo_astronomy.picture import draw

TIME = np.sort(np.random.default_rng(0).uniform(0, 90, 80))
WAVELENGTH = np.linspace(4000, 9000, 500)
CURVE = LightCurve(TIME, 15 + np.sin(2 * np.pi * TIME / 3.3), np.full(80, 0.1), "V", period=3.3)
SPECTRUM = Spectrum(WAVELENGTH, 1 + np.sin(WAVELENGTH), np.full(500, 25.0), WAVELENGTH < 4100)
IMAGE = Image(np.random.default_rng(0).normal(size=(20, 30, 1)), pixel_scale=0.5)


def drawn(value: Any, **record: Any) -> Any:
    axes = Figure().add_subplot()
    draw(axes, Record("object-1", value, "truth", **record), "guess")
    return axes


@pytest.mark.parametrize(
    "value",
    [CURVE, SPECTRUM, IMAGE, ImageSpectrum(IMAGE, SPECTRUM), CatalogRow([1.0, np.nan], ("a", "b")), "words"],
)
def test_every_object_is_drawn_with_truth_and_prediction(value: Any) -> None:
    title = drawn(value).get_title()
    assert "object-1" in title
    assert "true: truth" in title
    assert "predicted: guess" in title


def test_light_curves_are_folded_over_two_cycles_with_bright_up() -> None:
    axes = drawn(CURVE)
    assert axes.get_xlabel() == "phase"
    shown = np.concatenate([line.get_xdata() for line in axes.lines])
    assert shown.min() >= 0
    assert 1.5 < shown.max() < 2
    assert axes.yaxis_inverted()
    assert "3.3 d stated" in axes.get_title()
    unfolded = LightCurve(TIME, CURVE.value, unit="nJy")
    axes = drawn(unfolded)
    assert "by periodogram" in axes.get_title()
    assert not axes.yaxis_inverted()
    assert "days" in drawn(LightCurve([1.0, 2.0], [3.0, 3.0])).get_xlabel()


def test_lines_stand_where_the_redshift_puts_them() -> None:
    axes = drawn(SPECTRUM, meta={"z": "0.1"})
    places = {text.get_text(): text.get_position()[0] for text in axes.texts}
    assert places["Hα"] == pytest.approx(6564.61 * 1.1)
    assert "Lyα" not in places
    assert "redshift 0.1" in axes.get_title()
    assert not drawn(SPECTRUM).texts
    assert {line.name for line in lines_within(6500, 6600)} == {"Hα", "[N II]"}
