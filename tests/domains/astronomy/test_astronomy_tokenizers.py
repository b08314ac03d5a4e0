"""Tokenizers: numbers against plain computation, one by one as in a batch, and refusals by name."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from astropy.visualization import AsinhStretch, ZScaleInterval

from scizoo.data.tokenizer import Tokenizer, load_tokenizer, save_tokenizer
from scizoo.errors import ConfigError, DataError
from scizoo_astronomy.augment import Dihedral, Noisy, Thinned
from scizoo_astronomy.objects import CatalogRow, Image, LightCurve, Spectrum
from scizoo_astronomy.periodogram import best_peak
from scizoo_astronomy.tokenizers.image import ImageTokenizer, stretched
from scizoo_astronomy.tokenizers.lightcurve import LightCurveTokenizer
from scizoo_astronomy.tokenizers.resample import air_to_vacuum, log_grid, pixel_edges, resample
from scizoo_astronomy.tokenizers.segments import segment_median, thin
from scizoo_astronomy.tokenizers.spectrum import SpectrumTokenizer
from scizoo_astronomy.tokenizers.table import TableTokenizer


def star(count: int = 120, cycle: float = 2.3, seed: int = 0, **settings: Any) -> LightCurve:
    """A pulsating star in magnitudes, brightest at phase 0.25, with errors that differ."""
    draw = np.random.default_rng(seed)
    time = np.sort(draw.uniform(0, 200, count))
    error = draw.uniform(0.01, 0.04, count)
    value = 15.0 - 0.4 * np.cos(2 * np.pi * (time / cycle - 0.25)) + draw.normal(0, error)
    band = draw.choice(["V", "I"], count)
    return LightCurve(time + 5000, value, error, band, **settings)


def galaxy(redshift: float = 0.1, pixels: int = 2000, **settings: Any) -> Spectrum:
    """A flat continuum with one strong line at 6563 A at rest."""
    wavelength = np.linspace(3700, 9500, pixels)
    flux = 2.0 + 9.0 * np.exp(-0.5 * ((wavelength - 6563 * (1 + redshift)) / 6.0) ** 2)
    flux += np.random.default_rng(0).normal(0, 0.1, pixels)
    return Spectrum(wavelength, flux, np.full(pixels, 100.0), redshift=redshift, **settings)


def blob(side: int = 50, seed: int = 0, channels: int = 1) -> Image:
    draw = np.random.default_rng(seed)
    y, x = np.indices((side, side)) - side / 2
    shape = 30 * np.exp(-(x**2 / 60 + y**2 / 20))
    return Image(np.stack([shape + draw.normal(0, 1, (side, side)) for _ in range(channels)], axis=-1))


TABLE = [
    CatalogRow(np.random.default_rng(n).normal(size=3) * (1, 100, 1e-3), ("a", "b", "c")) for n in range(30)
]
CASES: dict[str, tuple[Tokenizer, list[Any]]] = {
    "lightcurve": (LightCurveTokenizer(), [star(), star(500, 0.7, 1, period=0.7), star(5, seed=2)]),
    "unfolded": (LightCurveTokenizer(phase="none", scale="std"), [star(), star(20, seed=3)]),
    "spectrum": (SpectrumTokenizer(), [galaxy(), galaxy(0.3, 900)]),
    "image": (ImageTokenizer(size=32), [blob(), blob(33, 1)]),
    "table": (TableTokenizer(), TABLE[:3]),
}


@pytest.mark.parametrize("name", CASES)
def test_neighbours_do_not_show_and_settings_give_the_same_again(name: str, tmp_path: Any) -> None:
    tokenizer, inputs = CASES[name]
    tokenizer.train(iter(TABLE if name == "table" else inputs))
    encoded = tokenizer.encode(inputs)
    lengths = encoded[tokenizer.main_input].lengths
    for key, rows in encoded.items():
        np.testing.assert_array_equal(rows.lengths, lengths, err_msg=key)
        assert np.isfinite(rows.values.astype(float)).all(), key
    save_tokenizer(tokenizer, tmp_path)
    again = load_tokenizer(tmp_path)
    assert again.fingerprint() == tokenizer.fingerprint()
    for row, one in enumerate(inputs):
        alone = again.encode([one])
        for key, rows in encoded.items():
            np.testing.assert_array_equal(alone[key][0], rows[row], err_msg=key)


def test_brightness_is_that_of_the_light_curve_and_comes_back() -> None:
    curve = star()
    encoded = LightCurveTokenizer(max_observations=None).encode([curve])
    values, channel = encoded["values"][0], encoded["channel"][0]
    centred = np.array(curve.value)
    for band in ("V", "I"):
        centred[curve.band == band] -= np.median(curve.value[curve.band == band])
    scale = 1.4826 * np.median(np.abs(centred))
    np.testing.assert_allclose(np.sinh(values[:, 0]) * -scale, centred, atol=1e-5)
    np.testing.assert_allclose(10 ** values[:, 1] * scale, curve.error, rtol=1e-5)
    np.testing.assert_allclose(10 ** values[:, 2], scale, rtol=1e-5)
    assert set(channel[curve.band == "V"]) == {3}
    assert set(channel[curve.band == "I"]) == {5}
    weight = encoded["weight"][0]
    np.testing.assert_allclose(weight * curve.error**2, np.median(weight * curve.error**2), rtol=1e-4)
    assert np.median(weight) == pytest.approx(1.0)
    np.testing.assert_allclose(encoded["times"][0][:, 0] * 100, curve.time - curve.time[0], atol=1e-3)


def test_light_curves_are_folded_from_their_maximum() -> None:
    curve = star(400)
    peak = best_peak(curve.time, -curve.value, curve.error)
    assert peak is not None
    assert peak.period == pytest.approx(2.3, rel=2e-3)
    encoded = LightCurveTokenizer(max_observations=None).encode([curve])
    sine, cosine = encoded["times"][0][:, 1], encoded["times"][0][:, 2]
    np.testing.assert_allclose(sine**2 + cosine**2, 1.0, atol=1e-5)
    bright = encoded["values"][0][:, 0]
    assert bright[cosine > 0.9].mean() > 0.7
    assert bright[cosine < -0.9].mean() < -0.7
    # The half angle is that of the same phase on twice the period.
    half_sine, half_cosine = encoded["times"][0][:, 3], encoded["times"][0][:, 4]
    np.testing.assert_allclose(2 * half_sine * half_cosine, sine, atol=1e-4)
    stated = LightCurveTokenizer(phase="given").encode([star(period=1.7)])
    np.testing.assert_allclose(stated["values"][0][:, 3], np.log10(1.7), rtol=1e-5)
    without = LightCurveTokenizer(phase="given").encode([star()])
    assert not without["observed"][0][:, 3].any()
    assert not without["times"][0][:, 1:].any()


def test_a_shift_of_time_or_magnitude_changes_nothing_but_flux_is_told_from_it() -> None:
    curve = star(60, period=2.3)
    moved = LightCurve(curve.time + 100, curve.value + 3, curve.error, curve.band, period=2.3)
    one, two = (LightCurveTokenizer().encode([each]) for each in (star(60, period=2.3), moved))
    # A star of another period folds otherwise; the same star elsewhere does not.
    np.testing.assert_allclose(one["values"][0][:, 0], two["values"][0][:, 0], atol=1e-4)
    flux = LightCurve(curve.time, 10 ** (-0.4 * (curve.value - 25)), band=curve.band, unit="nJy")
    bright = LightCurveTokenizer().encode([flux])
    assert np.corrcoef(bright["values"][0][:, 0], one["values"][0][:, 0])[0, 1] > 0.98
    np.testing.assert_allclose(bright["values"][0][:, 2], one["values"][0][:, 2], atol=0.1)
    assert not bright["observed"][0][:, 1].any()  # no error was stated


def test_odd_light_curves_are_encoded() -> None:
    constant = LightCurve(np.arange(10.0), np.full(10, 12.0))
    single = LightCurve([1.0], [12.0], [0.1])
    encoded = LightCurveTokenizer().encode([constant, single])
    assert (encoded["values"][0][:, 0] == 0).all()
    assert len(encoded["values"][1]) == 1
    assert np.isfinite(encoded["values"].values).all()
    with pytest.raises(DataError, match="input 0"):
        LightCurveTokenizer().encode(["no light curve"])
    with pytest.raises(ConfigError, match="phase"):
        LightCurveTokenizer(phase="guessed")


def test_segments_agree_with_numpy() -> None:
    draw = np.random.default_rng(0)
    lengths = draw.integers(1, 30, 20)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    values = draw.normal(size=offsets[-1])
    owner = np.repeat(np.arange(20), lengths)
    parts = [values[offsets[i] : offsets[i + 1]] for i in range(20)]
    np.testing.assert_allclose(segment_median(values, owner, 20), [np.median(part) for part in parts])
    mixed = draw.integers(0, 19, len(values))  # in any order, one segment far longer, one without values
    mixed[draw.random(len(values)) < 0.8] = 0
    values[::7] = np.nan
    for any_owner in (owner, mixed):
        own = [values[any_owner == i] for i in range(20)]
        expected = [np.nanmedian(one) if np.isfinite(one).any() else np.nan for one in own]
        np.testing.assert_allclose(segment_median(values, any_owner, 20), expected)
    rows, ends = thin(offsets, 8)
    for i in range(20):
        kept = rows[ends[i] : ends[i + 1]]
        assert len(kept) == min(8, lengths[i])
        assert (np.diff(kept) > 0).all()
        assert offsets[i] <= kept[0] <= kept[-1] < offsets[i + 1]
        if lengths[i] <= 8:
            np.testing.assert_array_equal(kept, np.arange(offsets[i], offsets[i + 1]))


def test_resampling_conserves_flux_and_weighs_by_errors() -> None:
    draw = np.random.default_rng(0)
    wavelength = np.sort(draw.uniform(3000, 9000, 800))
    flux = draw.uniform(0, 5, 800)
    old = pixel_edges(wavelength)
    edges = log_grid(3500, 8500, 300)
    mean, _, covered = resample(wavelength, flux, np.ones(800), edges)
    assert covered == pytest.approx(np.ones(300))
    running = np.concatenate([[0], np.cumsum(flux * np.diff(old))])
    inside = np.interp(edges[-1], old, running) - np.interp(edges[0], old, running)
    assert (mean * np.diff(edges)).sum() == pytest.approx(inside, rel=1e-10)
    # Plain computation of one pixel: overlaps times inverse variances.
    ivar = draw.uniform(0.1, 2, 800)
    ivar[100:110] = 0
    mean, weight, _ = resample(wavelength, flux, ivar, edges)
    for pixel in (0, 17, 250):
        low, high = edges[pixel : pixel + 2]
        overlap = np.clip(np.minimum(old[1:], high) - np.maximum(old[:-1], low), 0, None)
        assert mean[pixel] == pytest.approx((overlap * ivar * flux).sum() / (overlap * ivar).sum())
    assert (weight >= 0).all()
    # Four equal pixels in one have four times the inverse variance of each.
    _, weight, _ = resample(np.arange(0.5, 8), np.ones(8), np.full(8, 3.0), np.array([0.0, 4.0, 8.0]))
    assert weight == pytest.approx([12.0, 12.0])
    # Ciddor's and Morton's conversions agree to a thousandth of an Angstrom: H alpha is 6562.80 A in air.
    assert air_to_vacuum(np.array([6562.80]))[0] == pytest.approx(6564.61, abs=5e-3)


def test_spectra_are_patches_of_log_wavelength() -> None:
    tokenizer = SpectrumTokenizer()
    spectrum = galaxy(0.1)
    encoded = tokenizer.encode([spectrum])
    values, times = encoded["values"][0], encoded["times"][0][:, 0]
    assert values.shape[1] == tokenizer.input_sizes()["features"] == 17
    brightest = int(values[:, :16].max(axis=1).argmax())
    assert 5000 * np.exp(times[brightest] / 10) == pytest.approx(6563 * 1.1, rel=5e-3)
    rest = SpectrumTokenizer(frame="rest").encode([spectrum])
    np.testing.assert_allclose(times - rest["times"][0][:, 0], 10 * np.log(1.1), atol=1e-4)
    np.testing.assert_array_equal(rest["values"][0], values)
    with pytest.raises(DataError, match="redshift"):
        SpectrumTokenizer(frame="rest").encode([Spectrum(spectrum.wavelength, spectrum.flux)])
    with pytest.raises(DataError, match="no usable pixel"):
        tokenizer.encode([Spectrum(spectrum.wavelength * 10, spectrum.flux)])


def test_masked_pixels_are_not_observed_and_say_nothing() -> None:
    clean = galaxy(0.1)
    mask = (clean.wavelength > 5000) & (clean.wavelength < 6000)
    flux = np.where(mask, 1e6, clean.flux)
    holed = Spectrum(clean.wavelength, flux, clean.ivar, mask, redshift=0.1)
    encoded = SpectrumTokenizer().encode([holed])
    wavelength = 5000 * np.exp(encoded["times"][0][:, 0] / 10)
    assert not ((wavelength > 5100) & (wavelength < 5900)).any()
    assert np.abs(encoded["values"][0]).max() < 10
    hidden = ~encoded["observed"][0]
    assert hidden.any()
    assert not encoded["values"][0][hidden].any()


def test_images_are_stretched_as_astropy_does() -> None:
    image = blob()
    low, high = ZScaleInterval().get_limits(image.data)
    expected = np.clip((image.data - low) / (high - low), 0, 1)
    np.testing.assert_allclose(stretched(image, "zscale"), expected, atol=1e-6)
    data = image.data
    scaled = np.clip((data - np.median(data)) / (np.percentile(data, 99.5) - np.median(data)), 0, 1)
    np.testing.assert_allclose(stretched(image), AsinhStretch(0.1)(scaled), atol=1e-5)
    holed = np.array(image.data)
    holed[10:12, 10:12] = np.nan
    shown = stretched(Image(holed))
    assert (shown[10:12, 10:12] == 0).all()
    assert np.isfinite(shown).all()
    flat = ImageTokenizer(size=16).encode([Image(np.full((20, 20), 7.0))])
    assert np.isfinite(flat["pixel_values"].values).all()


def test_images_are_cut_and_scaled_to_one_size() -> None:
    data = np.zeros((40, 60))
    data[18:22, 28:32] = 1.0
    encoded = ImageTokenizer(size=10, crop=20, stretch="linear", mean=0, std=1).encode([Image(data)])
    pixels = encoded["pixel_values"][0]
    assert pixels.shape == (1, 1, 10, 10)
    assert pixels[0, 0].sum() == pytest.approx(4.0, rel=1e-3)  # 16 pixels of 1, four to one
    assert pixels[0, 0, 4:6, 4:6].min() > 0.5
    assert ImageTokenizer(size=10, channels=3).encode([Image(data)])["pixel_values"][0].shape == (
        1,
        3,
        10,
        10,
    )
    with pytest.raises(DataError, match="2 channels"):
        ImageTokenizer(size=10).encode([blob(channels=2)])


def test_tables_are_standardised_by_what_they_were_trained_on() -> None:
    tokenizer = TableTokenizer(centre="mean", compress=False)
    with pytest.raises(ConfigError, match="not seen a table"):
        tokenizer.encode(TABLE)
    tokenizer.train(TABLE)
    encoded = tokenizer.encode(TABLE)
    diagonal = encoded["values"].values.reshape(30, 3, 3)[:, range(3), range(3)]
    table = np.array([row.values for row in TABLE])
    np.testing.assert_allclose(diagonal, (table - table.mean(0)) / table.std(0), atol=1e-5)
    missing = CatalogRow([1.0, np.nan, 0.0], ("a", "b", "c"))
    observed = tokenizer.encode([missing])["observed"][0]
    np.testing.assert_array_equal(observed, np.diag([True, False, True]))
    with pytest.raises(DataError, match="lacks c; has d besides"):
        tokenizer.encode([CatalogRow([1.0, 2.0, 3.0], ("a", "b", "d"))])


def test_views_are_the_object_itself_and_others() -> None:
    image = Image(np.arange(12.0).reshape(3, 4))
    views = Dihedral().views(image)
    assert views[0] is image
    assert len({view.digest() for view in views}) == 8
    assert len(Dihedral(mirror=False).views(image)) == 4
    curve = star(120)
    whole, *parts = Thinned(3).views(curve)
    assert whole is curve
    assert sorted(np.concatenate([part.time for part in parts])) == curve.time.tolist()
    noisy = Noisy(2).views(curve)
    assert [view.digest() for view in Noisy(2).views(star(120))] == [view.digest() for view in noisy]
    ratio = (noisy[1].value - curve.value) / curve.error
    assert 0.7 < ratio.std() < 1.3
