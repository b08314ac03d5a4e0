"""Features against the values of the IBSI's digital phantom, and baselines that learn from them."""

from __future__ import annotations

import numpy as np
import pytest

from scizoo.data.records import Record
from scizoo.errors import ConfigError, DataError
from scizoo_radiology.baselines import MeasuresForest, PixelForest, Radiomics, ReportWords
from scizoo_radiology.features import first_order, texture
from scizoo_radiology.features.radiomics import names, radiomics
from scizoo_radiology.images import RadiologyImage, Volume

# The digital phantom of the reference manual, slice by slice; 0 is outside of the region.
PHANTOM = np.array(
    [
        [[1, 4, 4, 1, 1], [1, 4, 6, 1, 1], [4, 1, 6, 4, 1], [4, 4, 6, 4, 1]],
        [[1, 4, 4, 1, 1], [1, 1, 6, 1, 1], [0, 1, 3, 1, 1], [4, 4, 6, 1, 1]],
        [[1, 4, 4, 0, 0], [1, 1, 1, 1, 1], [1, 1, 0, 1, 1], [1, 1, 6, 1, 1]],
        [[1, 4, 4, 0, 0], [1, 1, 1, 1, 1], [1, 1, 1, 1, 1], [1, 1, 6, 1, 1]],
    ]
)
# Consensus values of the manual, in the order of first_order.NAMES.
FIRST_ORDER = [2.15, 3.05, 1.08, -0.355, 1, 1, 1, 4, 6, 3, 5, 1.55, 1.11, 1.15, 0.812, 0.6, 567, 2.77]
# Of co-occurrence matrices by slice, averaged over directions (2D, averaged).
COOCCURRENCE = {
    "joint_maximum": 0.519,
    "joint_average": 2.14,
    "joint_variance": 2.69,
    "joint_entropy": 2.05,
    "difference_average": 1.42,
    "difference_entropy": 1.4,
    "sum_average": 4.28,
    "sum_variance": 5.47,
    "sum_entropy": 1.6,
    "angular_second_moment": 0.368,
    "contrast": 5.28,
    "dissimilarity": 1.42,
    "inverse_difference": 0.678,
    "autocorrelation": 5.09,
    "cluster_tendency": 5.47,
}


def test_first_order_statistics_are_those_of_the_phantom():
    found = first_order.first_order(PHANTOM[PHANTOM > 0])
    np.testing.assert_allclose(found, FIRST_ORDER, rtol=0.006)
    np.testing.assert_allclose(first_order.histogram(PHANTOM[PHANTOM > 0], 6), [1.27, 0.512], rtol=0.006)


def test_cooccurrence_is_that_of_the_phantom():
    found = dict(
        zip(texture.NAMES, np.mean([texture.texture(plane, 6) for plane in PHANTOM], axis=0), strict=True)
    )
    for name, value in COOCCURRENCE.items():
        assert found[name] == pytest.approx(value, rel=0.006), name


def test_discretisation_uses_every_level_and_is_flat_where_the_picture_is():
    levels = first_order.discretised(np.linspace(-3, 5, 320), 32)
    np.testing.assert_array_equal(np.bincount(levels)[1:], np.full(32, 10))
    assert (first_order.discretised(np.full((3, 3), 7.0), 32) == 1).all()


def test_local_binary_patterns_tell_flat_from_spotted_whatever_the_brightness():
    flat, spots = np.ones((9, 9)), np.zeros((9, 9))
    spots[1::2, 1::2] = 1.0
    assert texture.local_binary_patterns(flat)[8] == 1.0
    found = texture.local_binary_patterns(spots)
    np.testing.assert_allclose(found, texture.local_binary_patterns(3.0 * spots + 100.0))
    assert found[0] > 0.2  # single bright pixels: no neighbour is as bright
    assert found.sum() == pytest.approx(1.0)
    np.testing.assert_allclose(found, texture.local_binary_patterns(np.rot90(spots)))


def test_gradients_of_a_ramp():
    found = texture.gradients(np.tile(np.arange(10.0) * 3, (10, 1)))
    np.testing.assert_allclose(found, [3, 0, 3, 3, 3], atol=1e-12)


def test_features_of_pictures_are_finite_and_named():
    draw = np.random.default_rng(0)
    picture = RadiologyImage(draw.integers(0, 255, (40, 30)).astype(np.uint8))
    assert radiomics(picture).shape == (len(names()),) == (145,)
    assert np.isfinite(radiomics(picture)).all()
    volume = Volume(draw.normal(0, 300, (7, 20, 20)), unit="HU")
    assert np.isfinite(radiomics(volume)).all()
    assert len(radiomics(RadiologyImage(np.array([[1.0, np.nan], [2.0, 3.0]])))) == 145


def _records(count: int = 40) -> tuple[list[Record], np.ndarray]:
    draw = np.random.default_rng(0)
    records = []
    for number in range(count):
        pixels = draw.normal(100, 20, (24, 24))
        if number % 2:  # smoother
            pixels = (pixels + np.roll(pixels, 1, 0) + np.roll(pixels, 1, 1)) / 3
        records.append(Record(str(number), RadiologyImage(pixels.clip(0, 255).astype(np.uint8))))
    return records, np.arange(count) % 2


@pytest.mark.parametrize("model", ["boosting", "forest", "linear"])
def test_radiomics_learns_a_texture(model):
    records, targets = _records()
    fitted = Radiomics(model=model, rounds=30).fit(records[:30], targets[:30])
    found = fitted.predict_proba(records[30:])
    assert found.shape == (10, 2)
    assert (found.argmax(axis=1) == targets[30:]).mean() >= 0.9


def test_several_labels_are_learnt_one_by_one_and_unknown_ones_left_out():
    records, targets = _records()
    labels = np.stack([targets, 1 - targets, np.ones(40)], axis=1).astype(float)
    labels[:10, 1] = np.nan
    found = PixelForest(rounds=20, side=24).fit(records, labels).predict_proba(records)
    assert found.shape == (40, 3)
    assert np.allclose(found[:, 2], found[0, 2])  # only one answer was ever seen
    assert found[0, 2] > 0.9


def test_words_of_reports_are_learnt():
    texts = ["clear lungs no disease", "large effusion on the left"] * 10
    records = [Record(str(n), f"{text} {n}") for n, text in enumerate(texts)]
    fitted = ReportWords().fit(records[:14], np.arange(14) % 2)
    assert (fitted.predict_proba(records[14:]).argmax(axis=1) == np.arange(6) % 2).all()


def test_measures_keep_their_names_whatever_their_order():
    rows = [{"snr": float(n % 2), "cjv": 0.1 * n} for n in range(20)]
    fitted = MeasuresForest(rounds=20).fit(
        [Record(str(n), row) for n, row in enumerate(rows)], np.arange(20) % 2
    )
    turned = Record("x", {"cjv": 0.5, "snr": 1.0})
    assert fitted.predict_proba([turned])[0, 1] > 0.5
    with pytest.raises(DataError, match=r"'y' lacks the measure 'snr'"):
        fitted.predict_proba([Record("y", {"cjv": 0.5})])


def test_faults_are_told():
    with pytest.raises(ConfigError, match="forrest"):
        Radiomics(model="forrest").fit(*_records(8))
    with pytest.raises(DataError, match=r"record 'a' is a str"):
        Radiomics().fit([Record("a", "text")], np.array([0]))
