"""The audit's similarity: planted leaks are found, whatever their zero points; strangers are not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from scizoo.data.records import Record
from scizoo.data.splits import make_split
from scizoo.errors import ConfigError
from scizoo.evaluation.leakage import LeakageError, audit
from scizoo_astronomy.objects import CatalogRow, Image, LightCurve, Spectrum
from scizoo_astronomy.signatures import content_key, orientations, small_picture, step_hashes
from scizoo_astronomy.similarity import SkySimilarity


def curve(seed, points=120, **place):
    draw = np.random.default_rng(seed)
    time = np.sort(draw.uniform(0, 900, points)).round(5)
    return LightCurve(time, (14 + draw.normal(0, 0.2, points)).round(3), np.full(points, 0.02), "V", **place)


def galaxy(seed, size=64):
    draw = np.random.default_rng(seed)
    y, x = np.indices((size, size))
    pixels = draw.normal(0, 1, (size, size))
    for _ in range(4):
        a, b, s = *draw.uniform(10, 54, 2), draw.uniform(3, 8)
        pixels += draw.uniform(20, 90) * np.exp(-((x - a) ** 2 + (y - b) ** 2) / (2 * s * s))
    return Image(pixels)


def spectrum(seed):
    draw = np.random.default_rng(seed)
    return Spectrum(np.linspace(4000, 9000, 500).round(2), 5 + draw.normal(0, 1, 500), np.ones(500))


def records(values, prefix="a", **meta):
    return [Record(f"{prefix}{n}", value, "AB"[n % 2], None, dict(meta)) for n, value in enumerate(values)]


def test_copies_of_light_curves_from_other_zero_points():
    a = records([curve(n) for n in range(20)])
    moved = a[3].input
    copy = LightCurve(moved.time + 2450000.5, moved.value + 1.25, None, "i", time_format="jd")
    b = records([copy, curve(99)], "b")
    similarity = SkySimilarity()
    assert similarity.exact_duplicates(a, b) == [(3, 0)]
    assert similarity.near_duplicates(a, b) == [(3, 0, 1.0)]


def test_parts_of_light_curves_and_spectra():
    a = records([curve(n) for n in range(20)])
    b = records([a[5].input.select(np.arange(30, 90)), curve(77)], "b")
    similarity = SkySimilarity()
    assert similarity.exact_duplicates(a, b) == []
    assert [(i, j) for i, j, _ in similarity.near_duplicates(a, b)] == [(5, 0)]
    s = records([spectrum(n) for n in range(10)])
    cut = slice(100, 400)
    whole = s[2].input
    part = Spectrum(whole.wavelength[cut], whole.flux[cut], whole.ivar[cut])
    found = similarity.near_duplicates(s, records([part, spectrum(55)], "b"))
    assert not found or [(i, j) for i, j, _ in found] == [(2, 0)]
    scaled = replace(whole, flux=whole.flux * 1e-17, unit="erg / (s cm2 Angstrom)")
    assert similarity.exact_duplicates(s, records([scaled], "b")) == [(2, 0)]


def test_images_turned_flipped_and_with_noise():
    a = records([galaxy(n) for n in range(12)])
    pixels = a[4].input.data[:, :, 0]
    noise = np.random.default_rng(1).normal(0, 1, pixels.shape)
    b = records(
        [
            Image(np.rot90(pixels)),
            Image(np.fliplr(pixels)),
            Image(np.rot90(pixels, 3) + noise),
            galaxy(50),
        ]
    )
    similarity = SkySimilarity()
    assert similarity.exact_duplicates(a, b) == [(4, 0), (4, 1)]
    assert [(i, j) for i, j, _ in similarity.near_duplicates(a, b)] == [(4, 0), (4, 1), (4, 2)]
    assert SkySimilarity(picture=2).near_duplicates(a, b) == []


def test_places_and_identifiers():
    a = records([curve(n, ra=10.0 + n, dec=-30.0) for n in range(10)])
    b = records([curve(100, ra=13.0 + 1 / 3600, dec=-30.0), curve(101, ra=13.01, dec=-30.0)], "b")
    near = SkySimilarity(radius=2.0).near_duplicates(a, b)
    assert [(i, j) for i, j, _ in near] == [(3, 0)]
    assert np.isclose(near[0][2], 1 - 0.5 * np.cos(np.radians(30)) / 2, atol=1e-3)
    assert SkySimilarity(radius=0).near_duplicates(a, b) == []
    c = [replace(one, meta={"source_id": n % 3}) for n, one in enumerate(b)]
    d = [replace(one, meta={"source_id": n}) for n, one in enumerate(a[:3])]
    assert SkySimilarity(radius=0, identifiers=["source_id"]).exact_duplicates(d, c) == [(0, 0), (1, 1)]
    assert SkySimilarity(radius=0, identifiers=["other"]).exact_duplicates(d, c) == []


def test_planted_leaks_fail_the_audit_and_strangers_pass():
    values = [curve(n, ra=float(n), dec=0.0) for n in range(30)]
    clean = records(values)
    parts = {"train": range(20), "validation": range(20, 24), "test": range(24, 30)}
    groups = np.array([r.id for r in clean], dtype=object)
    audit(clean, make_split(parts, groups, "by hand"), SkySimilarity()).check()
    again = values[2]
    leaky = [*clean[:29], Record("leak", replace(again, ra=None, dec=None, value=again.value + 0.5), "A")]
    with pytest.raises(LeakageError, match="exact_duplicates"):
        audit(leaky, make_split(parts, groups, "by hand"), SkySimilarity()).check()
    close = [*clean[:29], Record("leak", curve(500, ra=2.0, dec=0.0002), "A")]
    with pytest.raises(LeakageError, match="near_duplicates"):
        audit(close, make_split(parts, groups, "by hand"), SkySimilarity()).check()


def test_corpora_are_remembered_by_content_steps_and_place():
    corpus = records([curve(n, points=600) for n in range(20)])
    corpus += records([curve(n + 50, ra=float(n), dec=60.0) for n in range(20)], "p")
    similarity = SkySimilarity()
    sketch = similarity.sketch(iter(corpus))
    assert sketch.dtype == np.uint64 and (np.diff(sketch.astype(float)) >= 0).all()
    asked = [
        corpus[0],
        Record("part", corpus[1].input.select(np.arange(400))),
        Record("place", curve(900, ra=5.0003, dec=60.0002)),
        Record("stranger", curve(901, ra=5.1, dec=60.0)),
        Record("nowhere", curve(902)),
    ]
    share = similarity.overlap(sketch, asked)
    assert share[0] == 1.0 and share[1] > 0.9 and share[2] == 1.0 and share[3] == 0.0 and share[4] == 0.0
    rebuilt = SkySimilarity(**similarity.settings())
    assert np.array_equal(rebuilt.sketch(corpus), sketch)
    images = records([galaxy(n) for n in range(4)])
    seen = similarity.sketch(images)
    turned = Record("t", Image(np.rot90(images[1].input.data[:, :, 0])))
    assert similarity.overlap(seen, [turned, Record("s", galaxy(9))]).tolist() == [1.0, 0.0]


def test_signatures():
    row = CatalogRow([1.0, np.nan], ("a", "b"))
    assert content_key(row) == content_key(CatalogRow([1.0 + 1e-9, np.nan], ("a", "b")))
    assert content_key(row) != content_key(CatalogRow([1.1, np.nan], ("a", "b"))) and not len(
        step_hashes(row)
    )
    picture = small_picture(galaxy(0))
    assert (
        picture.shape == (16, 16) and np.isclose(np.linalg.norm(picture), 1) and np.isclose(picture.mean(), 0)
    )
    assert not small_picture(Image(np.ones((4, 5)))).any() and len(orientations(picture)) == 8
    assert len({one.tobytes() for one in orientations(picture)}) == 8
    for wrong in ({"radius": -1}, {"threshold": 0}, {"scale": 0}):
        with pytest.raises(ConfigError):
            SkySimilarity(**wrong)
