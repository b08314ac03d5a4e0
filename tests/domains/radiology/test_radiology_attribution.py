"""From what the model saw to pixels of the picture, measures and characters; and how they are drawn."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.figure import Figure

from scizoo.data.records import Record
from scizoo_radiology.images import RadiologyImage, Volume
from scizoo_radiology.picture import draw
from scizoo_radiology.tokenizers.image import ImageTokenizer
from scizoo_radiology.tokenizers.measures import MeasuresTokenizer
from scizoo_radiology.tokenizers.report import ReportTokenizer


def spot(shape: tuple[int, int], row: int, column: int, side: int = 8) -> np.ndarray:
    found = np.zeros(shape, dtype=np.uint8)
    found[row : row + side, column : column + side] = 255
    return found


@pytest.mark.parametrize("fit", ["pad", "crop", "stretch"])
@pytest.mark.parametrize("shape", [(64, 64), (48, 96), (300, 200), (20, 30)])
def test_a_spot_that_added_lies_where_it_is_in_the_picture(fit: str, shape: tuple[int, int]):
    row, column = shape[0] // 2 - 4, shape[1] // 2 + 1
    image = RadiologyImage(spot(shape, row, column))
    tokenizer = ImageTokenizer(size=64, fit=fit, mean=0.0, std=1.0, channels=2)
    seen = tokenizer.encode([image])["pixel_values"].values.astype(float)
    found = tokenizer.attribute(image, seen)  # as if each pixel had added its brightness
    scale = shape[0] / found.shape[0]
    known = np.nan_to_num(found)
    place = [np.average(np.arange(size), weights=known.sum(axis=1 - axis)) * scale
             for axis, size in enumerate(found.shape)]  # fmt: skip
    assert place[0] == pytest.approx(row + 3.5, abs=2.5) and place[1] == pytest.approx(column + 3.5, abs=2.5)
    assert (max(found.shape) <= 256 and found.sum() == pytest.approx(seen.sum(), rel=0.15)) or fit == "crop"
    assert np.isnan(found).any() == (fit == "crop" and shape[0] != shape[1])


def test_of_a_volume_the_slice_that_added_most_is_given_and_drawn():
    stack = np.random.default_rng(0).normal(0, 300, (9, 40, 40))
    volume = Volume(stack, spacing=(5, 1, 1), unit="HU", modality="CT")
    tokenizer = ImageTokenizer(size=32, slices=3)
    scores = np.zeros((3, 1, 32, 32))
    scores[2, 0, 4, 5] = -1.0
    found = tokenizer.attribute(volume, scores)
    assert int(found["slice"]) == 7 and str(found["plane"]) == "axial" and found["map"].shape == (40, 40)
    figure = Figure(layout="constrained")
    draw(figure.subplots(), Record("r", volume, "a"), {"value": "b", "attributions": found, "output": "b"})
    assert "red raised, blue lowered the prediction of “b”" in figure.get_supxlabel()
    figure.canvas.draw()


def test_the_plain_picture_stands_beside_the_coloured_one():
    image = RadiologyImage(spot((50, 80), 10, 20), modality="CR")
    used = np.zeros((50, 80))
    used[10:18, 20:28] = 1.0
    figure = Figure(layout="constrained")
    axes = figure.subplots()
    given = {"value": "nodule", "attributions": used, "output": "nodule"}
    draw(axes, Record("r", image, {"effusion": 1}), given)
    left, right = axes.child_axes
    assert len(left.images) == 1 and len(right.images) == 2
    colours = np.asarray(right.images[1].get_array())
    assert colours[14, 24, 3] > 0.6 and colours[14, 24, 0] > colours[14, 24, 2] and colours[40, 70, 3] == 0
    assert "true: effusion   predicted: nodule" in axes.get_title()
    figure.canvas.draw()


def test_measures_and_reports_are_marked():
    rows = [{"snr": float(n), "cjv": 0.1 * n, "efc": 1.0} for n in range(9)]
    measures = MeasuresTokenizer()
    measures.train(rows)
    scores = np.diag([1.0, -2.0, 0.0])
    used = measures.attribute(rows[0], scores)
    assert used.tolist() == [1, -2, 0]
    reports = ReportTokenizer(vocab_size=300, min_frequency=2)
    text = "No pleural effusion. Heart size is normal, 37\u00b0C."
    reports.train([text] * 5)
    ids = reports.encode([text])["input_ids"].values
    scores = np.random.default_rng(0).normal(size=len(ids))
    found = reports.attribute(text, scores)
    assert found.shape == (len(text),) and found.sum() == pytest.approx(scores.sum())
    for value, marks in ((rows[0], used), (text, found)):
        figure = Figure(layout="constrained")
        draw(figure.subplots(), Record("r", value, "a"), {"value": "b", "attributions": marks, "output": "b"})
        figure.canvas.draw()
