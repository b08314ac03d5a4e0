"""Readers: every format, units checked and converted, and one message for each kind of bad input."""

from __future__ import annotations

import gzip
import io
import tarfile
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
from astropy import units as u
from astropy.io import fits
from astropy.table import Table
from astropy.time import Time
from astropy.wcs import WCS

from scizoo.data.records import RejectionLog
from scizoo.errors import ConfigError, DataError
from scizoo_astronomy.objects import Spectrum
from scizoo_astronomy.readers.images import read_images
from scizoo_astronomy.readers.lightcurves import read_light_curves
from scizoo_astronomy.readers.pixels import SpectrumOptions
from scizoo_astronomy.readers.points import LightCurveOptions
from scizoo_astronomy.readers.spectra import read_spectra
from scizoo_astronomy.units import air_to_vacuum, parse_unit

LSST = "objectId,midpointMjdTai,psfFlux,psfFluxErr,band,ra,dec,kind\n"


def curves(path: Path, **options):
    log = RejectionLog(1.0)
    return list(read_light_curves(path, log, LightCurveOptions(**options))), log.rejected


def spectra(path: Path, **options):
    log = RejectionLog(1.0)
    return list(read_spectra(path, log, SpectrumOptions(**options))), log.rejected


def images(path: Path, **options):
    log = RejectionLog(1.0)
    return list(read_images(path, log, **options)), log.rejected


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


# --- light curves -----------------------------------------------------------------------------------


def test_lsst_columns_need_no_unit_and_the_rest_of_a_bad_file_is_read(tmp_path):
    rows = [
        *("good,60000.1,100,5,g,10.0,-5.0,A", "good,60000.2,101,5,r,10.0,-5.0,A"),
        *("negative,60000.1,5,-1,g,1,1,A", "negative,60000.2,5,1,g,1,1,A"),
        "single,60000.0,5,1,g,1,1,A",
        *("back,60002.0,5,1,g,1,1,A", "back,60001.0,5,1,g,1,1,A"),
        *("twice,60001.0,5,1,g,1,1,A", "twice,60001.0,5,1,g,1,1,A"),
        *("gap,60001.0,5,1,g,1,1,A", "gap,60001.5,nan,1,g,1,1,A", "gap,60002.0,6,1,g,1,1,A"),
    ]
    found, rejected = curves(write(tmp_path / "lsst.csv", LSST + "\n".join(rows) + "\n"))
    assert [entry.id for entry in found] == ["good", "gap"]
    curve = found[0].value
    assert (curve.unit, curve.time_format, curve.time_scale) == ("nJy", "mjd", "tai")
    assert curve.bands == ("g", "r") and (curve.ra, curve.dec) == (10.0, -5.0)
    assert found[0].fields["kind"] == "A" and len(found[1].value) == 2
    reasons = {item.id: item.reason for item in rejected}
    assert "negative (-1)" in reasons["negative"] and "data.missing" in reasons["negative"]
    assert "has 1 observation" in reasons["single"] and "min_points" in reasons["single"]
    assert "goes back from 60002.00000 to 60001.00000" in reasons["back"]
    assert "data.sort=true" in reasons["back"]
    assert "twice at time 60001.00000 in band g" in reasons["twice"]


def test_what_to_do_with_disorder_is_the_users_choice(tmp_path):
    text = "mjd,mag,mag_err\n3,10.0,0.1\n1,11.0,0.1\n2,12.0,-9\n2,13.0,0.3\n4,99.999,0.1\n"
    path = write(tmp_path / "star.csv", text)
    found, _ = curves(path, sort=True, duplicates="mean", missing=[99.999, -9])
    curve = found[0].value
    assert curve.time.tolist() == [1.0, 2.0, 3.0] and curve.value.tolist() == [11.0, 12.5, 10.0]
    assert np.isnan(curve.error[1]) and curve.error[0] == 0.1
    first, _ = curves(path, sort=True, duplicates="first", missing=[99.999, -9])
    assert first[0].value.value.tolist() == [11.0, 12.0, 10.0]


@pytest.mark.parametrize(
    ("header", "units", "words"),
    [
        ("time,flux", {}, ("column 'time' has no unit", "data.units.time=d")),
        ("mjd,flux", {}, ("column 'flux' has no unit", "data.units.value=nJy")),
        ("mjd,flux", {"value": "s"}, ("column 'flux' is in 's'", "a time")),
        ("mjd,flux", {"value": "furlong2"}, ("'furlong2'", "not understood")),
        ("mjd,mag", {"time": "mag"}, ("column 'mjd' is in 'mag'", "a time")),
        ("mjd,colour", {}, ("known to be the value", "data.columns.value=COLUMN")),
    ],
)
def test_units_are_never_assumed(tmp_path, header, units, words):
    path = write(tmp_path / "star.csv", f"{header}\n1,2\n2,3\n")
    with pytest.raises(DataError) as error:
        curves(path, units=units)
    for word in ("star.csv", *words):
        assert word in str(error.value)


def test_units_are_converted(tmp_path):
    path = write(tmp_path / "star.csv", "time,flux,flux_err\n86400,2,0.5\n172800,3,0.5\n")
    curve = curves(path, units={"time": "s", "value": "uJy"})[0][0].value
    assert curve.time.tolist() == [1.0, 2.0]
    assert curve.unit == "nJy" and curve.value.tolist() == [2000.0, 3000.0] and curve.error[0] == 500.0
    mixed = curves(path, units={"time": "d", "value": "uJy", "error": "nJy"})[0][0].value
    assert mixed.error.tolist() == [0.5, 0.5]
    log = curves(path, units={"time": "d", "value": "uJy", "error": "mag"})
    assert not log[0] and "'flux_err' is in mag" in log[1][0].reason


def test_headerless_text_is_named_by_layout_or_names(tmp_path):
    path = write(tmp_path / "215153.dat", "1873.5,11.6,0.03\n1875.5,11.1,0.03\n")
    with pytest.raises(DataError, match=r"no header line.*(?s:.*)data.names"):
        curves(path)
    entry = curves(path, layout="asas")[0][0]
    assert entry.id == "215153" and entry.value.bands == ("V",) and entry.value.unit == "mag"
    assert entry.value.time_format == "hjd-2450000"
    named = curves(path, names=["jd", "flux", "err"], units={"value": "relative"})[0][0].value
    assert named.unit == "" and not named.is_magnitude and named.time_format == "jd"
    spaced = write(tmp_path / "space.txt", "# mjd mag err\n 1.0  10.5   0.1\n 2.0  10.6   0.1\n")
    assert curves(spaced)[0][0].value.value.tolist() == [10.5, 10.6]


def test_dates_in_iso_8601_become_mjd(tmp_path):
    path = write(tmp_path / "star.csv", "date,mag\n2020-01-01T00:00:00,10\n2020-01-02T12:00:00Z,11\n")
    curve = curves(path)[0][0].value
    assert curve.time.tolist() == [58849.0, 58850.5] and curve.time_scale == "utc"


def kepler(path: Path, zero: str = "BJD - 2454833, days") -> None:
    columns = [
        fits.Column("TIME", "D", unit=zero, array=[131.5, 131.6, np.nan, 131.8]),
        fits.Column("PDCSAP_FLUX", "E", unit="e-/s", array=[1000.0, 1001.0, 5.0, 1003.0]),
        fits.Column("PDCSAP_FLUX_ERR", "E", unit="e-/s", array=[1.0, 1.0, 1.0, 1.0]),
        fits.Column("SAP_QUALITY", "J", array=[0, 128, 0, 0]),
    ]
    primary = fits.PrimaryHDU()
    primary.header.update(KEPLERID=757076, RA_OBJ=291.03, DEC_OBJ=36.6)
    fits.HDUList([primary, fits.BinTableHDU.from_columns(columns, name="LIGHTCURVE")]).writeto(path)


def test_kepler_files_drop_flagged_points(tmp_path):
    kepler(tmp_path / "k.fits")
    entry = curves(tmp_path / "k.fits")[0][0]
    assert entry.id == "757076" and entry.value.unit == "electron / s" and entry.value.bands == ("Kepler",)
    assert entry.value.time.tolist() == [131.5, 131.8] and entry.value.time_format == "bkjd"
    assert entry.value.ra == 291.03 and entry.header["KEPLERID"] == 757076
    options = LightCurveOptions()
    list(read_light_curves(tmp_path / "k.fits", RejectionLog(), options))
    assert options.left_out["points with a quality flag"] == 1
    assert len(curves(tmp_path / "k.fits", quality="keep")[0][0].value) == 3
    assert len(curves(tmp_path / "k.fits", quality=64)[0][0].value) == 3
    kepler(tmp_path / "t.fits", "BJD - 2457000, days")
    assert curves(tmp_path / "t.fits")[0][0].value.time_format == "btjd"


def test_votable_ecsv_and_parquet_give_the_same_curve(tmp_path):
    table = Table({"mjd": [1.0, 2.0], "flux": [3.0, 4.0], "flux_err": [0.1, 0.2]})
    table["mjd"].unit, table["flux"].unit, table["flux_err"].unit = "d", "mJy", "uJy"
    table.write(tmp_path / "a.ecsv")
    table.write(tmp_path / "a.vot", format="votable")
    table.write(tmp_path / "a.fits")
    schema = pa.schema(
        [
            pa.field(name, pa.float64(), metadata={b"unit": str(table[name].unit).encode()})
            for name in table.colnames
        ]
    )
    arrays = [np.asarray(table[name]) for name in table.colnames]
    pyarrow.parquet.write_table(pa.table(arrays, schema=schema), tmp_path / "a.parquet")
    found = [curves(tmp_path / f"a.{end}")[0][0].value for end in ("ecsv", "vot", "fits", "parquet")]
    assert found[0].value.tolist() == [3e6, 4e6] and found[0].error.tolist() == [100.0, 200.0]
    assert len({curve.digest() for curve in found}) == 1


def test_time_columns_and_rows_of_arrays(tmp_path):
    table = Table({"time": Time([60000.0, 60001.5], format="mjd", scale="tdb"), "mag": [1.0, 2.0] * u.mag})
    table.write(tmp_path / "t.ecsv")
    curve = curves(tmp_path / "t.ecsv")[0][0].value
    assert (curve.time.tolist(), curve.time_scale) == ([60000.0, 60001.5], "tdb")
    nested = pa.table(
        {"id": ["a", "b"], "mjd": [[1.0, 2.0], [1.0, 2.0, 3.0]], "mag": [[5.0, 6], [5.0, 6, 7]]}
    )
    pyarrow.parquet.write_table(nested, tmp_path / "n.parquet")
    found, _ = curves(tmp_path / "n.parquet")
    assert [(entry.id, len(entry.value)) for entry in found] == [("a", 2), ("b", 3)]


def test_ids_keep_their_leading_zeros(tmp_path):
    path = write(tmp_path / "s.csv", "object_id,mjd,mag\n007,1,2\n007,2,2\n010,1,2\n010,2,2\n")
    assert [entry.id for entry in curves(path)[0]] == ["007", "010"]


def test_archives_reject_single_files(tmp_path):
    with tarfile.open(tmp_path / "lc.tar.gz", "w:gz") as archive:
        for name, text in {"a.dat": "1,2,0.1\n2,3,0.1\n", "b.dat": "1,2,0.1\n1,2\n", "c.dat": ""}.items():
            member = tarfile.TarInfo(f"set/{name}")
            member.size = len(text)
            archive.addfile(member, io.BytesIO(text.encode()))
    found, rejected = curves(tmp_path / "lc.tar.gz", layout="asas")
    assert [entry.id for entry in found] == ["a"] and {item.id for item in rejected} == {"b", "c"}
    whole = (tmp_path / "lc.tar.gz").read_bytes()
    (tmp_path / "cut.tar.gz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match="damaged"):
        curves(tmp_path / "cut.tar.gz", layout="asas")


def test_options_without_meaning_are_refused():
    for wrong in ({"duplicates": "maybe"}, {"quality": "good"}, {"min_points": 1}):
        with pytest.raises(ConfigError, match=next(iter(wrong))):
            LightCurveOptions(**wrong)


# --- files of no use --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "content", "word"),
    [
        ("empty.fits", b"", "is empty"),
        ("page.fits", b"<html>404 not found</html>" + b" " * 300, "not FITS, whatever its name says"),
        ("x.csv", bytes(range(256)) * 20, "binary"),
        ("x.csv", b"mjd,mag\n", "no row"),
        ("x.pkl", b"\x80\x04\x95" + b"\0" * 64, "pickle"),
        ("x.csv.gz", gzip.compress(b"mjd,mag\n1,2\n" * 999, mtime=0)[:-40], "damaged"),
        ("x.ecsv", b"# %ECSV 1.0\n# ---\n# nonsense: [\n", "damaged ECSV"),
    ],
)
def test_files_of_no_use_are_told_in_one_message(tmp_path, name, content, word):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=word):
        curves(tmp_path / name)


def test_truncated_fits_and_headers_without_data(tmp_path):
    fits.PrimaryHDU(np.zeros((200, 200), dtype=np.float32)).writeto(tmp_path / "whole.fits")
    whole = (tmp_path / "whole.fits").read_bytes()
    (tmp_path / "cut.fits").write_bytes(whole[:40000])
    with pytest.raises(DataError, match="cut off"):
        images(tmp_path / "cut.fits")
    (tmp_path / "cut.fits.gz").write_bytes(gzip.compress(whole)[:-30])
    with pytest.raises(DataError, match=r"damaged|cut off"):
        images(tmp_path / "cut.fits.gz")
    fits.PrimaryHDU().writeto(tmp_path / "bare.fits")
    with pytest.raises(DataError, match="a header but no image"):
        images(tmp_path / "bare.fits")
    with pytest.raises(DataError, match="a header but no table"):
        curves(tmp_path / "bare.fits")
    with pytest.raises(DataError, match="a header but no spectrum"):
        spectra(tmp_path / "bare.fits")


# --- images -----------------------------------------------------------------------------------------


def sky(shape=(20, 30), scale=0.5) -> WCS:
    wcs = WCS(naxis=2)
    wcs.wcs.ctype, wcs.wcs.crval = ["RA---TAN", "DEC--TAN"], [150.0, 2.0]
    wcs.wcs.crpix = [(shape[1] + 1) / 2, (shape[0] + 1) / 2]
    wcs.wcs.cd = np.array([[-scale, 0], [0, scale]]) / 3600
    return wcs


@pytest.mark.parametrize("kind", ["u1", "i2", "i4", "i8", "f4", "f8", "u2"])
def test_every_bit_depth(tmp_path, kind):
    data = np.arange(600).reshape(20, 30).astype(kind) % 200
    fits.PrimaryHDU(data).writeto(tmp_path / "x.fits")
    image = images(tmp_path / "x.fits")[0][0].value
    assert image.data.dtype == np.float32 and np.array_equal(image.data[:, :, 0], data)


def test_scaling_blanks_masks_and_world_coordinates(tmp_path):
    raw = np.arange(600, dtype=np.int16).reshape(20, 30)
    hdu = fits.PrimaryHDU(raw.copy(), header=sky().to_header())
    hdu.header.update(BUNIT="Jy/beam", MORPH="Sb")
    hdu.writeto(tmp_path / "raw.fits")
    with fits.open(tmp_path / "raw.fits", mode="update", do_not_scale_image_data=True) as hdus:
        hdus[0].header.update(BSCALE=2.0, BZERO=10.0, BLANK=7)
        bad = np.zeros((20, 30), dtype=np.uint8)
        bad[3, 4] = 1
        hdus.append(fits.ImageHDU(bad, name="MASK"))
    entry = images(tmp_path / "raw.fits")[0][0]
    image = entry.value
    assert image.data[1, 0, 0] == 2 * 30 + 10 and image.mask[0, 7] and image.mask[3, 4]
    assert image.mask.sum() == 2 and image.unit == "Jy/beam" and entry.header["MORPH"] == "Sb"
    assert abs(image.pixel_scale - 0.5) < 1e-6 and abs(image.ra - 150) < 1e-6 and abs(image.dec - 2) < 1e-6
    again = WCS(fits.Header.fromstring(image.wcs))
    assert np.allclose(again.pixel_to_world_values(3, 5), sky().pixel_to_world_values(3, 5))


def test_the_hdu_can_be_chosen_and_third_axes_are_channels(tmp_path):
    hdus = fits.HDUList(
        [
            fits.PrimaryHDU(),
            fits.ImageHDU(np.ones((8, 8)), name="SCI"),
            fits.ImageHDU(np.arange(3 * 64.0).reshape(3, 8, 8), name="RGB"),
            fits.CompImageHDU(np.full((8, 8), 5.0, dtype=np.float32), name="PACKED"),
        ]
    )
    hdus.writeto(tmp_path / "m.fits")
    assert images(tmp_path / "m.fits")[0][0].source.endswith("'SCI'")
    rgb = images(tmp_path / "m.fits", hdu="RGB")[0][0].value
    assert rgb.data.shape == (8, 8, 3) and rgb.data[0, 1, 2] == 129.0
    assert images(tmp_path / "m.fits", hdu=3)[0][0].value.data.mean() == 5.0
    with pytest.raises(DataError, match=r"no HDU 'DQ'(?s:.*)1: SCI"):
        images(tmp_path / "m.fits", hdu="DQ")
    with pytest.raises(DataError, match="a header but no image"):
        images(tmp_path / "m.fits", hdu=0)


def test_nan_only_images_and_broken_coordinates_are_rejected_by_name(tmp_path):
    fits.PrimaryHDU(np.full((5, 5), np.nan)).writeto(tmp_path / "nan.fits")
    assert "NaN" in images(tmp_path / "nan.fits")[1][0].reason
    header = sky().to_header()
    for key, value in {"PC1_1": 0.0, "PC1_2": 0.0}.items():
        header[key] = value
    fits.PrimaryHDU(np.ones((20, 30)), header=header).writeto(tmp_path / "wcs.fits")
    found, rejected = images(tmp_path / "wcs.fits")
    assert not found and "WCS" in rejected[0].reason and "broken_wcs=ignore" in rejected[0].reason
    entry = images(tmp_path / "wcs.fits", broken_wcs="ignore")[0][0]
    assert entry.value.wcs is None and entry.fields["wcs_broken"]


def test_npz_and_pictures(tmp_path):
    stack = np.random.default_rng(0).integers(0, 255, (3, 6, 6)).astype(np.uint8)
    np.savez(tmp_path / "a.npz", images=stack, labels=[0, 1, 1], filenames=["x.png", "y.png", "z.png"])
    found, _ = images(tmp_path / "a.npz")
    assert [(e.id, e.fields["labels"]) for e in found] == [("x", 0), ("y", 1), ("z", 1)]
    np.savez(tmp_path / "b.npz", pictures=stack)
    with pytest.raises(DataError, match=r"no array 'images'(?s:.*)pictures"):
        images(tmp_path / "b.npz")
    np.savez(tmp_path / "c.npz", images=np.array([{"a": 1}], dtype=object))
    with pytest.raises(DataError, match="cannot be read as NPZ"):
        images(tmp_path / "c.npz")
    pillow = pytest.importorskip("PIL.Image")
    pillow.fromarray(stack[0]).save(tmp_path / "p.png")
    assert np.array_equal(images(tmp_path / "p.png")[0][0].value.data[:, :, 0], stack[0])


# --- spectra ----------------------------------------------------------------------------------------


def test_tables_of_spectra_with_units(tmp_path):
    path = write(tmp_path / "g.csv", "wavelength,flux,err,mask\n500,1,0.1,0\n501,2,0,0\n502,3,0.1,1\n")
    with pytest.raises(DataError, match=r"data\.units\.wavelength=Angstrom"):
        spectra(path)
    with pytest.raises(DataError, match="is in 's', which is a time"):
        spectra(path, units={"wavelength": "nm", "flux": "s"})
    with pytest.raises(DataError, match="is in 'kg'"):
        spectra(path, units={"wavelength": "kg", "flux": "Jy"})
    value = spectra(path, units={"wavelength": "nm", "flux": "Jy"})[0][0].value
    wanted = (1.0 * u.Jy).to_value("1e-17 erg / (s cm2 Angstrom)", u.spectral_density(5000 * u.AA))
    assert value.wavelength.tolist() == [5000.0, 5010.0, 5020.0] and np.isclose(value.flux[0], wanted)
    assert np.isclose(value.ivar[0], (0.1 * wanted) ** -2) and value.ivar[1] == 0
    assert value.mask.tolist() == [False, False, True]


def test_frequencies_run_backwards_and_air_becomes_vacuum(tmp_path):
    path = write(tmp_path / "g.csv", "wave,flux\n400,1\n500,2\n600,3\n")
    value = spectra(path, units={"wavelength": "THz", "flux": "relative"})[0][0].value
    assert np.allclose(value.wavelength[0], (600 * u.THz).to_value(u.AA, u.spectral()))
    assert value.flux.tolist() == [3.0, 2.0, 1.0] and value.unit == ""
    air = spectra(path, units={"wavelength": "nm", "flux": "ct"}, medium="air")[0][0].value
    assert air.medium == "vacuum" and 4001.0 < air.wavelength[0] < 4001.3
    # [O III] and H alpha of the NIST tables, air to vacuum.
    assert np.allclose(air_to_vacuum(np.array([5006.843, 6562.79])), [5008.240, 6564.60], atol=0.01)


@pytest.mark.parametrize(
    ("rows", "word"),
    [
        ("500,1,1\n499,2,1\n501,2,1\n", "not ascending"),
        ("500,1,1\n500,2,1\n", "not ascending"),
        ("500,1,-4\n501,2,1\n", "inverse variance of pixel 0 is negative"),
        ("500,nan,1\n501,nan,1\n", "no pixel can be used"),
        ("-500,1,1\n501,2,1\n", "positive"),
    ],
)
def test_bad_spectra_are_rejected_with_a_reason(tmp_path, rows, word):
    path = write(tmp_path / "g.csv", "wavelength,flux,ivar\n" + rows)
    found, rejected = spectra(path, units={"wavelength": "nm", "flux": "relative"})
    assert not found and word in rejected[0].reason


def test_spectral_headers_linear_and_logarithmic(tmp_path):
    flux = np.arange(1.0, 6.0)
    hdu = fits.PrimaryHDU(flux)
    hdu.header.update(CRVAL1=3.5, CDELT1=1e-4, CRPIX1=1.0, BUNIT="1e-17 erg / (s cm2 Angstrom)")
    hdu.header["DC-FLAG"] = 1
    hdu.writeto(tmp_path / "iraf.fits")
    with pytest.raises(DataError, match="CUNIT1"):
        spectra(tmp_path / "iraf.fits")
    value = spectra(tmp_path / "iraf.fits", units={"wavelength": "Angstrom"})[0][0].value
    assert np.allclose(value.wavelength, 10 ** (3.5 + 1e-4 * np.arange(5)))
    header = {"CTYPE1": "AWAV", "CUNIT1": "nm", "CRVAL1": 500.0, "CDELT1": 0.1, "BUNIT": "adu"}
    both = fits.HDUList([fits.PrimaryHDU(np.stack([flux, flux])), fits.ImageHDU(np.ones((2, 5)), name="ERR")])
    both[0].header.update(header)
    both.writeto(tmp_path / "rows.fits")
    found = spectra(tmp_path / "rows.fits", to_vacuum=False)[0]
    assert [entry.id for entry in found] == ["rows:0", "rows:1"]
    assert found[0].value.medium == "air" and np.isclose(found[0].value.wavelength[1], 5001.0)
    assert found[0].value.ivar.tolist() == [1.0] * 5
    log = fits.PrimaryHDU(flux)
    log.header.update(CTYPE1="WAVE-LOG", CUNIT1="Angstrom", CRVAL1=4000.0, CDELT1=2.0, BUNIT="Jy")
    log.writeto(tmp_path / "log.fits")
    found = spectra(tmp_path / "log.fits")[0][0].value
    assert np.allclose(found.wavelength, 4000 * np.exp(np.arange(5) * 2 / 4000)) and found.medium == "vacuum"


def test_sdss_files_are_recognised(tmp_path):
    loglam = np.linspace(3.58, 3.95, 50)
    columns = [
        fits.Column("flux", "E", array=np.ones(50)),
        fits.Column("loglam", "E", array=loglam),
        fits.Column("ivar", "E", array=np.ones(50)),
        fits.Column("and_mask", "J", array=np.zeros(50)),
    ]
    fits.HDUList([fits.PrimaryHDU(), fits.BinTableHDU.from_columns(columns, name="COADD")]).writeto(
        tmp_path / "spec-1.fits"
    )
    value = spectra(tmp_path / "spec-1.fits")[0][0].value
    assert np.allclose(value.wavelength, 10**loglam, rtol=1e-5)
    assert value.unit == "1e-17 erg / (s cm2 Angstrom)" and value.medium == "vacuum"


def test_arms_are_joined_by_inverse_variance(tmp_path):
    hdus = fits.HDUList([fits.PrimaryHDU()])
    arms = {"B": ([4000.0, 4001.0, 4002.0], 1.0, 1.0), "R": ([4002.0, 4003.0], 4.0, 3.0)}
    for arm, (wave, flux, ivar) in arms.items():
        for name, data, unit in (
            ("WAVELENGTH", np.array(wave), "Angstrom"),
            ("FLUX", np.full((2, len(wave)), flux), "10**-17 erg/(s cm2 Angstrom)"),
            ("IVAR", np.full((2, len(wave)), ivar), None),
            ("MASK", np.array([[0] * len(wave), [1] * len(wave)], dtype=np.int32), None),
        ):
            hdus.append(fits.ImageHDU(data, name=f"{arm}_{name}"))
            if unit:
                hdus[-1].header["BUNIT"] = unit
    found, rejected = [], []
    hdus.writeto(tmp_path / "d.fits")
    found, rejected = spectra(tmp_path / "d.fits")
    value = found[0].value
    assert value.wavelength.tolist() == [4000.0, 4001.0, 4002.0, 4003.0]
    assert np.isclose(value.flux[2], (1 * 1 + 4 * 3) / 4) and value.ivar[2] == 4.0
    assert len(found) == 1 and "no pixel" in rejected[0].reason


def test_real_desi_spectra_lie_in_specutils_wheel():
    found = find_spec("specutils")
    if found is None:
        pytest.skip("specutils is not installed")
    folder = Path(found.submodule_search_locations[0], "io", "default_loaders", "tests", "desi_test_data")
    path = folder / "coadd-5-169-thru20210419.fits"
    if not path.exists():
        pytest.skip("this version of specutils ships no DESI file")
    entries, rejected = spectra(path)
    assert len(entries) == 5 and not rejected and entries[1].id == "39633297352951412"
    value = entries[1].value
    assert isinstance(value, Spectrum) and len(value) == 7781 and value.unit == "1e-17 erg / (s cm2 Angstrom)"
    assert np.allclose(value.wavelength[[0, -1]], [3600.0, 9824.0]) and np.allclose(
        np.diff(value.wavelength), 0.8
    )
    with fits.open(path) as hdus:
        assert np.allclose(value.flux[:2000], hdus["B_FLUX"].data[1, :2000])
        assert np.isclose(value.ra, hdus["FIBERMAP"].data["TARGET_RA"][1])


def test_spellings_of_units():
    assert parse_unit("MJD", "", "") == u.day and parse_unit("e-/s", "", "") == u.electron / u.s
    assert parse_unit("10**-17 erg/(s cm2 Angstrom)", "", "").is_equivalent(u.erg / u.s / u.cm**2 / u.AA)
