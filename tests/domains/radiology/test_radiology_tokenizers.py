"""Pictures, volumes, reports and measures as model inputs, and the views of pictures."""

from __future__ import annotations

import numpy as np
import pytest

from scizoo.data.tokenizer import load_tokenizer, save_tokenizer
from scizoo.errors import ConfigError, DataError
from scizoo_radiology.augment import OUTSIDE, Positions
from scizoo_radiology.images import RadiologyImage, Volume
from scizoo_radiology.reference import inputs, pictures
from scizoo_radiology.tokenizers.fitting import fitted
from scizoo_radiology.tokenizers.image import ImageTokenizer
from scizoo_radiology.tokenizers.measures import MeasuresTokenizer
from scizoo_radiology.tokenizers.report import ReportTokenizer


def _pixels(tokenizer: ImageTokenizer, value: object) -> np.ndarray:
    return tokenizer.encode([value])["pixel_values"][0].astype(float) * tokenizer.std + tokenizer.mean


@pytest.mark.parametrize(
    ("window", "hu", "shown"),
    [
        ("calibrated", [-1000, 0, 1000, 3000], [0, 0.5, 1, 1]),
        ("lung", [-1350, -600, 150, 1000], [0, 0.5, 1, 1]),
        ([40, 400], [-160, 40, 240, -2000], [0, 0.5, 1, 0]),
    ],
)
def test_windows_of_ct(window, hu, shown):
    image = RadiologyImage(np.array(hu, dtype=float).reshape(2, 2), unit="HU")
    found = _pixels(ImageTokenizer(size=2, window=window), image)
    np.testing.assert_allclose(found.ravel(), shown, atol=2e-3)


def test_eight_bits_are_taken_as_they_are_and_arbitrary_units_by_percentiles():
    eight = RadiologyImage(np.array([[0, 51], [102, 255]]))
    np.testing.assert_allclose(_pixels(ImageTokenizer(size=2), eight).ravel(), [0, 0.2, 0.4, 1], atol=2e-3)
    mr = np.random.default_rng(0).normal(5000, 800, (32, 32))
    one, other = (_pixels(ImageTokenizer(size=32), RadiologyImage(mr * factor)) for factor in (1.0, 37.0))
    np.testing.assert_allclose(one, other, atol=4e-3)
    assert one.min() == pytest.approx(0, abs=1e-3)
    assert one.max() == pytest.approx(1, abs=1e-3)


def test_nan_is_black_and_several_windows_are_channels():
    image = RadiologyImage(np.array([[np.nan, 50.0], [50.0, 50.0]], dtype=np.float32), unit="HU")
    found = _pixels(ImageTokenizer(size=2, window=["lung", "soft-tissue", "bone"]), image)
    assert found.shape == (1, 3, 2, 2)
    np.testing.assert_allclose(found[0, :, 0, 0], 0, atol=2e-3)
    np.testing.assert_allclose(found[0, :, 1, 1], [0.933, 0.5, 0.306], atol=2e-3)


def test_shapes_become_square_by_padding_cutting_or_stretching():
    plane = np.ones((4, 8), dtype=np.float32)
    assert fitted(plane, 8, "pad").sum() == 32
    assert fitted(plane, 8, "pad")[0].sum() == 0
    assert fitted(plane, 8, "crop").sum() == fitted(plane, 8, "stretch").sum() == 64
    # Rows twice as far apart as columns: 4 x 8 pixels of 2 x 1 mm are a square.
    assert fitted(plane, 8, "pad", (2.0, 1.0)).sum() == 64


def test_resampling_to_a_spacing_keeps_millimetres():
    plane = np.zeros((40, 40), dtype=np.float32)
    plane[10:30, 10:30] = 1.0  # 20 x 20 mm at 1 mm
    found = fitted(plane, 16, spacing=(1.0, 1.0), target=2.0)
    assert found.sum() == pytest.approx(100, rel=0.02)  # 10 x 10 pixels of 2 mm
    with pytest.raises(DataError, match="does not say how large its pixels are"):
        ImageTokenizer(spacing=1.0).encode([RadiologyImage(np.eye(4))])


def test_a_volume_is_a_bag_of_slices_with_their_neighbours():
    voxels = np.broadcast_to(np.arange(20.0)[:, None, None], (20, 6, 6)) * 10
    volume = Volume(voxels.astype(np.uint8))
    bag = _pixels(ImageTokenizer(size=6, channels=3, slices=5), volume) * 255 / 10
    assert bag.shape == (5, 3, 6, 6)
    np.testing.assert_allclose(bag[:, 1, 0, 0], [2, 6, 10, 14, 18], atol=0.1)
    np.testing.assert_allclose(bag[2, :, 0, 0], [9, 10, 11], atol=0.1)
    every = _pixels(ImageTokenizer(size=6, channels=3, slices=None), volume) * 255 / 10
    np.testing.assert_allclose(every[0, :, 0, 0], [0, 0, 1], atol=0.1)  # there is none below the lowest
    assert _pixels(ImageTokenizer(size=6, slices=4, plane="coronal"), volume).shape == (4, 1, 6, 6)


def test_settings_give_the_tokenizer_again(tmp_path):
    tokenizer = ImageTokenizer(size=12, window=["lung", [40, 400]], spacing=None, plane="sagittal")
    save_tokenizer(tokenizer, tmp_path)
    again = load_tokenizer(tmp_path)
    assert again.settings() == tokenizer.settings()
    np.testing.assert_array_equal(
        again.encode(pictures())["pixel_values"].values, tokenizer.encode(pictures())["pixel_values"].values
    )


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"window": "lungs"}, "'lung'"),
        ({"window": [40, -1]}, "window"),
        ({"window": []}, "empty"),
        ({"fit": "squash"}, "squash"),
        ({"size": 0}, "size=0"),
        ({"window": ["lung", "bone"], "channels": 3}, "2 windows"),
    ],
)
def test_settings_that_mean_nothing_are_refused(settings, words):
    with pytest.raises(ConfigError, match=words):
        ImageTokenizer(**settings)


def test_what_is_no_picture_is_refused_by_its_place():
    with pytest.raises(DataError, match=r"input 1 \(str\)"):
        ImageTokenizer().encode([np.eye(3), "no"])


@pytest.mark.parametrize("fit", ["pad", "crop", "stretch"])
@pytest.mark.parametrize("spacing", [None, 1.5])
def test_a_map_goes_where_its_picture_goes_and_comes_back(fit, spacing):
    rows, columns = np.indices((50, 70))
    disc = ((rows - 25) ** 2 + (columns - 35) ** 2 < 150).astype(np.uint8)
    image = RadiologyImage(disc * 255, spacing=(1.2, 1.0))
    tokenizer = ImageTokenizer(size=40, fit=fit, spacing=spacing)
    place = tokenizer.placement(image)
    shown = _pixels(tokenizer, image)[0, 0] > 0.5
    placed = place.map_to_plane(disc.astype(np.int16), -1)
    assert ((placed == 1) == shown)[placed >= 0].mean() > 0.98
    back = place.labels_of(np.stack([placed != 1, placed == 1]).astype(np.float32))
    assert (back == disc).mean() > 0.98
    with pytest.raises(DataError, match="no place in one plane"):
        tokenizer.placement(np.zeros((3, 4, 5)))


REPORTS = ["No pleural effusion. Größe 5 µm; x-XXXX.", "line\nbreak\t[MASK] [PAD]", "\N{SNOWMAN}"]


def test_reports_come_back_exactly_and_marks_in_them_are_text(tmp_path):
    tokenizer = ReportTokenizer(vocab_size=300, min_frequency=2)
    tokenizer.train(["pleural effusion pleural effusion"] * 3)
    rows = tokenizer.encode(REPORTS)["input_ids"]
    assert [tokenizer.decode(row) for row in rows] == REPORTS
    assert min(row.min() for row in rows) >= len(tokenizer.SPECIAL)
    save_tokenizer(tokenizer, tmp_path)
    again = load_tokenizer(tmp_path)
    assert [again.decode(row) for row in again.encode(REPORTS)["input_ids"]] == REPORTS
    assert again.fingerprint() == tokenizer.fingerprint()


def test_rare_words_such_as_names_do_not_get_into_the_vocabulary():
    tokenizer = ReportTokenizer(vocab_size=2000, min_frequency=20)
    tokenizer.train([*["No pleural effusion."] * 50, *["Discussed with Doctor Quackenbush."] * 19])
    joined = " ".join(tokenizer.vocab)
    assert "effusion" in joined
    assert not any(piece in joined for piece in ("Quack", "bush", "Doctor"))


def test_measures_are_standardised_and_missing_ones_marked():
    rows = [{"snr": float(n), "cjv": 5.0, "efc": np.nan if n == 3 else n * 10.0} for n in range(7)]
    tokenizer = MeasuresTokenizer()
    tokenizer.train(rows)
    encoded = tokenizer.encode(rows)
    assert encoded["values"].values.shape == (21, 3)
    middle = encoded["values"][3]
    assert middle[0, 0] == 0.0  # the median
    assert not encoded["observed"][3][2, 2]
    assert encoded["observed"][2].diagonal().all()
    assert tokenizer.input_sizes() == {"features": 3, "times": 0, "channels": 3}
    with pytest.raises(DataError, match="lacks efc"):
        tokenizer.encode([{"snr": 1.0, "cjv": 2.0}])
    with pytest.raises(ConfigError, match="not seen a row"):
        MeasuresTokenizer().encode(rows)


def test_made_up_patients_are_read_by_every_tokenizer():
    report, measures = ReportTokenizer(min_frequency=1), MeasuresTokenizer()
    report.train(["a report"])
    measures.train([{"snr": 1.0, "cjv": 2.0}, {"snr": 2.0, "cjv": 3.0}])
    for tokenizer in (ImageTokenizer(), report, measures):
        assert len(tokenizer.encode(inputs())[tokenizer.main_input]) == len(inputs())


def test_views_move_a_picture_and_its_map_alike_and_mirror_nothing():
    rows, columns = np.indices((60, 60))
    disc = ((rows - 20) ** 2 + (columns - 15) ** 2 < 64).astype(np.uint8)
    views = Positions(draws=6)
    shown, maps = views.views(RadiologyImage(disc * 200)), views.label_views(disc)
    assert len(shown) == len(maps) == 7
    np.testing.assert_array_equal(shown[0].pixels, disc * 200)
    for image, labels in zip(shown[1:], maps[1:]):
        inside = image.pixels > image.pixels.max() / 2
        assert (inside == (labels == 1)).mean() > 0.99
        assert columns[inside].mean() < 30  # the disc stays on its side
        assert (image.pixels != shown[0].pixels).any()
    assert (np.stack(maps[1:]) == OUTSIDE).any()
    mirrored = Positions(draws=2, flip=True).views(RadiologyImage(disc * 200))[2]
    assert columns[mirrored.pixels > 100].mean() > 30


def test_views_leave_calibrated_values_and_are_the_same_each_time():
    image = RadiologyImage(np.full((20, 20), 40.0) + np.eye(20), unit="HU", modality="CT")
    one, other = (Positions(rotate=0, shift=0, zoom=0).views(image) for _ in range(2))
    assert one == other
    np.testing.assert_array_equal(one[3].pixels, image.pixels)  # no other brightness of Hounsfield units
    with pytest.raises(ConfigError, match="draws=0"):
        Positions(draws=0)
