"""Baselines: periods against astropy, features against numbers known beforehand, and models that learn."""

from __future__ import annotations

import time as clock

import numpy as np
import pytest
from astropy.timeseries import LombScargle
from sklearn.base import clone

from scizoo.data.records import Record
from scizoo.errors import ConfigError, DataError
from scizoo.evaluation.baseline import Labelled, baseline_outputs, tune
from scizoo_astronomy.baselines import (
    CatalogFeatures,
    ImageFeatures,
    LightCurveFeatures,
    SpectrumLines,
    SpectrumPCA,
)
from scizoo_astronomy.features.cache import forget
from scizoo_astronomy.features.image import MOMENTS, hog_features, moment_features
from scizoo_astronomy.features.lightcurve import NAMES, harmonic_fit, light_curve_features
from scizoo_astronomy.features.spectrum import continuum_removed, log_grid, resample
from scizoo_astronomy.objects import CatalogRow, Image, LightCurve, Spectrum
from scizoo_astronomy.periodogram import best_peak, lomb_scargle


def pulsator(seed, period=0.61, points=150, span=900.0, saw=False, noise=0.03):
    draw = np.random.default_rng(seed)
    time = np.sort(draw.uniform(0, span, points))
    phase = (time / period) % 1
    shape = phase - 0.5 if saw else 0.4 * np.cos(2 * np.pi * phase)
    error = np.full(points, noise)
    return LightCurve(time, 15 + 0.8 * shape + draw.normal(0, noise, points), error, "V")


def feature(curve, name):
    return light_curve_features(curve)[NAMES.index(name)]


# --- periods ----------------------------------------------------------------------------------------


def test_the_periodogram_is_that_of_astropy():
    for seed, errors in ((0, True), (1, False)):
        curve = pulsator(seed, period=0.37)
        error = np.random.default_rng(seed).uniform(0.01, 0.05, len(curve)) if errors else None
        found = lomb_scargle(curve.time, curve.value, error, max_frequency=8.0)
        wanted = LombScargle(curve.time, curve.value, error).power(found.frequency, method="cython")
        assert np.abs(found.power - wanted).max() < 0.01
        assert found.power.argmax() == wanted.argmax()


@pytest.mark.parametrize("period", [0.0871, 0.61, 3.97, 121.7])
def test_periods_are_found(period):
    peak = best_peak(*(getattr(pulsator(3, period), name) for name in ("time", "value", "error")))
    assert abs(peak.period / period - 1) < 1e-2 * max(period / 900, 0.01) * 10 and peak.power > 0.9


def test_rhythms_of_the_night_are_passed_over():
    draw = np.random.default_rng(0)
    time = np.arange(800) + 0.7 + draw.uniform(-0.01, 0.01, 800)
    value = 12 + np.sin(2 * np.pi * time / 640.0)
    assert best_peak(time, value).period > 300
    assert best_peak(time[:4], value[:4]) is None and best_peak(time, np.full(800, 3.0)) is None


# --- features ---------------------------------------------------------------------------------------


def test_features_of_known_curves():
    cosine, saw = pulsator(0, noise=0.002), pulsator(0, saw=True, noise=0.002)
    assert len(light_curve_features(cosine)) == len(NAMES)
    assert abs(feature(cosine, "log_period") - np.log10(0.61)) < 1e-4
    assert feature(cosine, "power") > 0.99 and feature(cosine, "explained") > 0.99
    assert feature(cosine, "r21") < 0.02 and abs(feature(saw, "r21") - 0.5) < 0.05
    assert abs(feature(saw, "r31") - 1 / 3) < 0.05
    assert abs(10 ** feature(cosine, "log_amplitude") - 0.32) < 0.01
    assert abs(10 ** feature(cosine, "amplitude") - 0.32) < 0.01
    assert feature(cosine, "folded_eta") < 0.05 < 1.5 < feature(cosine, "eta")
    # 15.0 in magnitudes; a straight line has Stetson's K of sqrt(3)/2, Gaussian noise that of sqrt(2/pi).
    assert abs(feature(cosine, "level") - 15.0) < 0.1
    noise = LightCurve(np.arange(4000.0), np.random.default_rng(0).normal(size=4000), np.ones(4000))
    assert abs(feature(noise, "stetson_k") - np.sqrt(2 / np.pi)) < 0.02
    assert abs(feature(noise, "eta") - 2.0) < 0.1 and abs(feature(noise, "skew")) < 0.1
    assert abs(feature(noise, "chi2")) < 0.05 and abs(feature(noise, "mad") - 0.6745) < 0.03


def test_bright_is_large_whatever_the_unit():
    draw = np.random.default_rng(0)
    time = np.sort(draw.uniform(0, 100, 200))
    dips = np.where((time / 3.3) % 1 < 0.1, 0.8, 1.0) + draw.normal(0, 0.005, 200)
    flux = LightCurve(time, dips, np.full(200, 0.005), unit="")
    magnitude = LightCurve(time, -2.5 * np.log10(dips), np.full(200, 0.005))
    assert feature(flux, "skew") < -1 and feature(magnitude, "skew") < -1
    assert 0.02 < feature(flux, "eclipse_width") < 0.4


def test_a_fit_returns_phases():
    time = np.sort(np.random.default_rng(0).uniform(0, 50, 300))
    angle = 2 * np.pi * (time - time[0]) / 1.7
    height = 3 + 0.5 * np.cos(angle + 1.0) + 0.2 * np.cos(2 * angle + 2.5)
    amplitude, phase, model = harmonic_fit(time, height, np.full(300, np.nan), 1.7)
    assert np.allclose(amplitude[:2], [0.5, 0.2], atol=0.002) and np.allclose(
        phase[:2], [1.0, 2.5], atol=0.01
    )
    assert np.abs(model - height).max() < 0.01


def test_short_curves_have_fewer_features_but_no_error():
    short = LightCurve([0.0, 1.0], [5.0, 6.0])
    flat = LightCurve(np.arange(20.0), np.full(20, 7.0))
    for curve in (short, flat):
        assert len(light_curve_features(curve)) == len(NAMES) and np.isnan(light_curve_features(curve)).any()


def test_eight_hundred_curves_are_a_matter_of_minutes():
    curve = pulsator(0, points=500, span=3300.0)
    light_curve_features(curve)
    start = clock.process_time()
    for seed in range(3):
        light_curve_features(pulsator(seed, points=500, span=3300.0))
    assert (clock.process_time() - start) / 3 * 800 < 180


def test_features_of_images_do_not_turn():
    y, x = np.indices((60, 60))
    pixels = np.exp(-(((x - 28) / 9.0) ** 2 + ((y - 33) / 4.0) ** 2)) * 50
    pixels[40:44, 10:14] += 60
    one = moment_features(Image(pixels))
    assert len(one) == len(MOMENTS) and np.isfinite(one).all()
    for turned in (np.rot90(pixels), np.fliplr(pixels)):
        assert np.allclose(moment_features(Image(turned)), one, atol=1e-6)
    assert one[MOMENTS.index("bright_parts")] == np.log2(3) and one[MOMENTS.index("parts_apart")] > 0.2
    round_one = np.exp(-((x - 30) ** 2 + (y - 30) ** 2) / 50.0)
    assert moment_features(Image(round_one))[MOMENTS.index("ellipticity")] < 0.01
    assert moment_features(Image(round_one))[MOMENTS.index("asymmetry_180")] < 0.1
    assert not moment_features(Image(np.ones((20, 20)))).any()
    assert (
        hog_features(Image(pixels)).shape == (7 * 7 * 32,)
        and np.isfinite(hog_features(Image(pixels[:9, :5]))).all()
    )


def test_spectra_are_averaged_on_a_grid():
    wavelength = np.linspace(4000, 5000, 1001)
    flux = np.where(np.abs(wavelength - 4500) < 3, 10.0, 2.0)
    ivar = np.where(wavelength < 4100, 0.0, 1.0)
    grid = log_grid(3900, 5000, 100)
    found = resample(Spectrum(wavelength, flux, ivar), grid)
    assert np.isnan(found[grid[1:] < 4099]).all() and np.nanmedian(found) == 1.0 and np.nanmax(found) > 1.5
    lines = continuum_removed(found)
    assert abs(grid[lines.argmax()] - 4500) < 15 and lines[np.isnan(found)].sum() == 0


# --- models -----------------------------------------------------------------------------------------


def curves(count):
    values = [pulsator(n, 0.4 + 0.01 * n, points=60, span=200, saw=n % 2 == 1) for n in range(count)]
    return [Record(f"c{n}", value, n % 2) for n, value in enumerate(values)], np.arange(count) % 2


def galaxies(count, size=32):
    draw = np.random.default_rng(0)
    y, x = np.indices((size, size)) - size / 2
    found = []
    for n in range(count):
        apart = 8.0 if n % 2 else 0.0
        pixels = sum(np.exp(-((x - s * apart) ** 2 + y**2) / 8) for s in (-1, 1)) * 60
        found.append(Record(f"g{n}", Image(pixels + draw.normal(0, 1, x.shape)), n % 2))
    return found, np.arange(count) % 2


@pytest.mark.parametrize(
    ("baseline", "make"),
    [
        (LightCurveFeatures(n_estimators=50), curves),
        (ImageFeatures(n_estimators=50), galaxies),
        (ImageFeatures("hog", model="linear"), galaxies),
        (ImageFeatures("both", model="linear", balanced=True), galaxies),
    ],
)
def test_classes_are_learned(baseline, make):
    records, targets = make(60)
    model = clone(baseline).fit(records[:40], targets[:40])
    outputs = baseline_outputs(
        model,
        records[40:],
        targets[40:],
        np.arange(20).astype(str),
        kind="classification",
        classes=("a", "b"),
    )
    assert (outputs.probability.argmax(axis=1) == targets[40:]).mean() >= 0.9
    assert np.allclose(outputs.probability.sum(axis=1), 1) and baseline.title != "the baseline"
    assert (model.predict(records[40:]) == outputs.probability.argmax(axis=1)).all()


@pytest.mark.parametrize("baseline", [SpectrumPCA(10, 256), SpectrumLines(n_estimators=60, cells=256)])
def test_redshifts_are_learned_with_their_errors(baseline):
    draw = np.random.default_rng(0)
    wavelength = np.linspace(4000, 8000, 600)
    redshift = draw.uniform(0, 0.1, 120)
    records = []
    for n, z in enumerate(redshift):
        flux = 1 + 3 * np.exp(-0.5 * ((wavelength - 5008 * (1 + z)) / 40) ** 2) + draw.normal(0, 0.1, 600)
        records.append(Record(f"s{n}", Spectrum(wavelength, flux, np.full(600, 100.0)), z))
    model = clone(baseline).fit(records[:90], redshift[:90])
    predicted = model.predict(records[90:])
    assert predicted.shape == (30, 1)
    rmse = np.sqrt(np.mean((predicted[:, 0] - redshift[90:]) ** 2))
    assert rmse < 0.4 * redshift.std()
    assert 0.3 < np.sqrt(model.predict_variance(records[90:]).mean()) / rmse < 3


def test_several_labels_and_missing_numbers():
    draw = np.random.default_rng(0)
    x = draw.normal(size=(120, 3))
    x[::7, 2] = np.nan
    records = [Record(f"r{n}", CatalogRow(row, ("a", "b", "c"))) for n, row in enumerate(x)]
    labels = np.stack([x[:, 0] > 0, x[:, 1] > 0, np.zeros(120)], axis=1).astype(float)
    labels[::5, 0] = np.nan
    model = CatalogFeatures(n_estimators=40).fit(records[:80], labels[:80])
    found = model.predict_proba(records[80:])
    assert found.shape == (40, 3) and (found[:, 2] < 0.05).all()
    assert ((found[:, 1] > 0.5) == (x[80:, 1] > 0)).mean() > 0.9
    numbers = np.stack([x[:, 0] * 2, x[:, 1]], axis=1)
    numbers[:10, 0] = np.nan
    for kind in ("forest", "linear"):
        fitted = CatalogFeatures(kind, n_estimators=40).fit(records[:80], numbers[:80])
        assert fitted.predict(records[80:]).shape == fitted.predict_variance(records[80:]).shape == (40, 2)
        assert np.corrcoef(fitted.predict(records[80:])[:, 1], numbers[80:, 1])[0, 1] > 0.9


def test_baselines_are_tuned_and_cached():
    records, targets = curves(40)
    groups = np.array([record.id for record in records])
    forget()
    start = clock.process_time()
    parts = (
        Labelled(records[:30], targets[:30], groups[:30]),
        Labelled(records[30:], targets[30:], groups[30:]),
    )
    result = tune(
        LightCurveFeatures(n_estimators=20),
        *parts,
        kind="classification",
        classes=("a", "b"),
        metric="balanced_accuracy",
        n_trials=3,
    )
    first = clock.process_time() - start
    assert len(result.trials) == 3 and result.value > 0.8
    start = clock.process_time()
    LightCurveFeatures(n_estimators=20).fit(records[:30], targets[:30])
    assert clock.process_time() - start < 0.5 * first


def test_several_bands_add_colours():
    draw = np.random.default_rng(0)
    records = []
    for n in range(40):
        band = np.array(["g", "r"] * 30)
        value = 15 + draw.normal(0, 0.05, 60) + np.where(band == "r", -1.0 * (n % 2), 0.0)
        records.append(Record(f"b{n}", LightCurve(np.arange(60.0) + 0.3, value, None, band), n % 2))
    targets = np.arange(40) % 2
    model = LightCurveFeatures(n_estimators=30).fit(records[:30], targets[:30])
    assert model.bands_ == ("g", "r")
    assert (model.predict(records[30:]) == targets[30:]).all()
    only_g = Record("g", records[0].input.select(records[0].input.band == "g"))
    assert model.predict_proba([only_g]).shape == (1, 2)


def test_wrong_inputs_and_settings_are_named():
    records, targets = curves(4)
    with pytest.raises(DataError, match="record 'c0' is a LightCurve"):
        ImageFeatures().fit(records, targets)
    images, classes = galaxies(4)
    with pytest.raises(ConfigError, match="did you mean 'forest'"):
        ImageFeatures(model="forrest").fit(images, classes)
    with pytest.raises(ConfigError, match="did you mean 'hog'"):
        ImageFeatures("hogs").fit(images, classes)
