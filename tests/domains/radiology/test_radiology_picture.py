"""Pictures of every kind of record, and what they say."""

from __future__ import annotations

import numpy as np
import pytest

from scizoo.data.records import Record
from scizoo_radiology.images import RadiologyImage, Volume
from scizoo_radiology.picture import draw


@pytest.fixture
def axes():
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, found = pyplot.subplots()
    yield found
    pyplot.close(figure)


CT = Volume(np.random.default_rng(0).normal(0, 300, (5, 90, 90)), spacing=(5, 1, 1), unit="HU", modality="CT")


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (CT, ("CT axial", "-1000 to 1000 HU", "bar 50 mm")),
        (RadiologyImage(np.arange(64).reshape(8, 8), modality="CR"), ("CR", "0 to 255")),
        ("The heart is normal. " * 80, ("320 words",)),
        ({"snr": 3.0, "cjv": 0.4}, ("2 measures",)),
    ],
)
def test_every_record_is_drawn_with_what_is_known(axes, value, words):
    draw(axes, Record("r1", value, {"effusion": 1, "nodule": 0}), "nodule")
    title = axes.get_title()
    for word in ("r1", "true: effusion", "predicted: nodule", *words):
        assert word in title
    axes.figure.canvas.draw()


def test_sides_of_the_patient_are_marked(axes):
    draw(axes, Record("r1", CT.slice(2)))
    assert {text.get_text() for text in axes.texts} == {"R", "A"}


def test_a_segmentation_is_drawn_as_contours(axes):
    slice_ = CT.slice(2)
    truth, found = np.zeros((2, *slice_.shape), dtype=int)
    truth[20:50, 20:50], found[25:55, 20:50] = 1, 1
    draw(axes, Record("r1", slice_, truth), found)
    assert "true" not in axes.get_title()
    assert axes.collections or len(axes.lines) > 1
    axes.figure.canvas.draw()
