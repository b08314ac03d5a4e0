"""What the contract suite (``python -m scizoo.testing astronomy``) needs to know of this domain."""

from __future__ import annotations

import gzip
import io
import tarfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from scizoo.testing import BadFile, Examples
from scizoo_astronomy.objects import CatalogRow, Image, ImageSpectrum, LightCurve, Spectrum

_COUNT = 40


def _curve(number: int, points: int = 24) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Times, magnitudes and errors of a pulsating star (even numbers) or an eclipsing one."""
    draw = np.random.default_rng(number)
    time = 2000.0 + np.sort(draw.uniform(0, 60, points))
    phase = time / draw.uniform(0.5, 3.0) % 1.0
    pulse, eclipse = -0.4 * np.cos(2 * np.pi * phase), 0.9 * (np.abs(phase - 0.5) < 0.07)
    value = 14.0 + (pulse if number % 2 == 0 else eclipse) + draw.normal(0, 0.02, points)
    return time, value, np.full(points, 0.02)


def _spectrum(number: int) -> tuple[float, np.ndarray, np.ndarray]:
    """A redshift, and a spectrum of one line at it."""
    draw = np.random.default_rng(number)
    redshift = 0.05 + 0.01 * number
    wavelength = np.linspace(4000.0, 9500.0, 400)
    line = 8.0 * np.exp(-0.5 * ((wavelength - 5008.2 * (1 + redshift)) / 15.0) ** 2)
    return redshift, wavelength, 1.0 + line + draw.normal(0, 0.1, 400)


def _images(side: int = 24) -> np.ndarray:
    """Round sources (even numbers) and double ones, with noise."""
    draw = np.random.default_rng(0)
    y, x = np.indices((side, side)) - side / 2
    near = np.exp(-(x**2 + y**2) / 20)
    apart = np.exp(-((x - 6) ** 2 + y**2) / 6) + np.exp(-((x + 6) ** 2 + y**2) / 6)
    images = []
    for number in range(_COUNT):
        image = (near if number % 2 == 0 else apart) * 100
        for _ in range(4):  # other sources in the field, so that no two images are alike
            row, column = draw.integers(0, side, 2)
            image = image + 80 * np.exp(-((x + side / 2 - column) ** 2 + (y + side / 2 - row) ** 2) / 4)
        images.append(image)
    return np.array(images) + draw.normal(0, 5, (_COUNT, side, side))


def _points(number: int, id: str) -> list[str]:
    kind = "pulsating" if number % 2 == 0 else "eclipsing"
    return [f"{id},{t:.5f},{m:.4f},{e:.4f},V,{kind}" for t, m, e in zip(*_curve(number))]


_HEADER = "id,mjd,mag,mag_err,band,label"
_GOOD = "\n".join([_HEADER, *(line for number in range(_COUNT) for line in _points(number, f"star{number}"))])


def _light_curves(folder: Path) -> Sequence[str]:
    path = folder / "stars.csv"
    path.write_text(_GOOD + "\n", encoding="utf-8")
    return [f"data.path={path}"]


def _spectra(folder: Path) -> Sequence[str]:
    labels = ["id,redshift"]
    for number in range(_COUNT):
        redshift, wavelength, flux = _spectrum(number)
        rows = [f"{w:.2f},{f:.4f},100" for w, f in zip(wavelength, flux)]
        text = "\n".join(["wavelength,flux,ivar", *rows]) + "\n"
        (folder / f"galaxy{number}.csv").write_text(text, encoding="utf-8")
        labels.append(f"galaxy{number},{redshift:.4f}")
    (folder / "labels.csv").write_text("\n".join(labels) + "\n", encoding="utf-8")
    return [
        f"data.path={folder}",
        f"data.labels={folder}/labels.csv",
        "data.units={wavelength:Angstrom,flux:relative}",
    ]


def _pictures(folder: Path) -> Path:
    path = folder / "images.npz"
    images = _images()
    scaled = (255 * (images - images.min()) / np.ptp(images)).astype(np.uint8)
    np.savez(path, images=scaled, labels=np.arange(_COUNT) % 2)
    return path


def _own_images(folder: Path) -> Sequence[str]:
    return [f"data.path={_pictures(folder)}", "data.target=labels"]


def _asas(folder: Path) -> Sequence[str]:
    names = ("Mira", "W_Ursae_Maj")
    with (
        (folder / "asas_training_set.tar.gz").open("wb") as raw,
        gzip.GzipFile(fileobj=raw, mode="wb", mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w") as archive,
    ):
        for number in range(_COUNT):
            text = "".join(f"{t:.5f},{m:.4f},{e:.4f}\n" for t, m, e in zip(*_curve(number))).encode()
            member = tarfile.TarInfo(f"asas_training_set/{number}.dat")
            member.size = len(text)
            archive.addfile(member, io.BytesIO(text))
    rows = ["filename,class", *(f"{number},{names[number % 2]}" for number in range(_COUNT))]
    (folder / "asas_training_set_classes.dat").write_text("\n".join(rows) + "\n", encoding="utf-8")
    return [f"data.path={folder}"]


def _fr_deep(folder: Path) -> Sequence[str]:
    return [f"data.path={_pictures(folder)}"]


def _htru2(folder: Path) -> Sequence[str]:
    draw = np.random.default_rng(0)
    rows = []
    for number in range(_COUNT):
        values = draw.normal(10 + 5 * (number % 2), 1, 8)
        rows.append(",".join([*(f"{value:.5f}" for value in values), str(number % 2)]))
    path = folder / "HTRU_2.csv"
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return [f"data.path={path}"]


def _unlabelled_images(folder: Path) -> Sequence[str]:
    return [f"data.path={_pictures(folder)}"]


def _pairs(folder: Path) -> Sequence[str]:
    rows = ["id,image,spectrum"]
    for number, image in enumerate(_images()[:6]):
        np.savez(folder / f"image{number}.npz", images=image[None].astype(np.float32))
        _, wavelength, flux = _spectrum(number)
        lines = ["wavelength,flux,ivar", *(f"{w:.2f},{f:.4f},100" for w, f in zip(wavelength, flux))]
        (folder / f"galaxy{number}.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
        rows.append(f"pair{number},image{number}.npz,galaxy{number}.csv")
    (folder / "pairs.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    reading = "data.reading={units:{wavelength:Angstrom,flux:relative}}"
    return [f"data.path={folder}/pairs.csv", reading, "+data.id=id"]


def _inputs() -> dict[str, list[Any]]:
    curves = [LightCurve(*_curve(number), "V") for number in range(4)]
    spectra = [Spectrum(*_spectrum(number)[1:], np.full(400, 100.0)) for number in range(4)]
    images = [Image(image) for image in _images()[:4]]
    numbers = [np.array([number, number**2, 1.0 / (1 + number)]) for number in range(6)]
    rows = [CatalogRow(values, ("a", "b", "c")) for values in numbers]
    return {
        "astronomy/lightcurve": curves,
        "astronomy/spectrum": spectra,
        "astronomy/image": images,
        "astronomy/pair": [ImageSpectrum(*pair) for pair in zip(images, spectra)],
        "astronomy/table": rows,
    }


_CURVES = "astronomy/lightcurve-classification"
_TINY_IMAGES = ("backbone.architecture=test_resnet", "tokenizer.size=32", "~backbone.patch_size")
_FEW = ("data.max_per_class=8", "data.points=[14,20]")

EXAMPLES = Examples(
    inputs=_inputs(),
    own_data={
        _CURVES: _light_curves,
        "astronomy/spectrum-regression": _spectra,
        "astronomy/image-classification": _own_images,
        "astronomy/asas": _asas,
        "astronomy/fr-deep": _fr_deep,
        "astronomy/htru2": _htru2,
        "astronomy/image-tiny": _unlabelled_images,
        "astronomy/pair-tiny": _pairs,
    },
    bad_files=(
        BadFile(_CURVES, "empty.csv", b"", ("empty",)),
        BadFile(_CURVES, "letter.csv", b"Dear colleague,\nthe light curves follow.\n", ("column",)),
        BadFile(
            _CURVES,
            "backwards.csv",
            f"{_GOOD}\nodd,2009,14.0,0.1,V,pulsating\nodd,2001,14.1,0.1,V,pulsating\n".encode(),
            ("record 'odd'", "rejected.csv", "max_rejected"),
        ),
        BadFile(
            _CURVES,
            "alone.csv",
            f"{_GOOD}\nlonely,2009,14.0,0.1,V,pulsating\n".encode(),
            ("record 'lonely'", "rejected.csv"),
        ),
        BadFile("astronomy/image-classification", "header.fits", b"SIMPLE  =    T", (), ("data.target=X",)),
        BadFile("astronomy/htru2", "HTRU_2.csv", b"", ("empty",)),
    ),
    model=("tokenizer=astronomy/lightcurve", "backbone=continuous-tiny"),
    settings={
        "astronomy/pair-tiny": (
            "head.architecture=test_convnext",
            "tokenizer.image.size=32",
            "tokenizer.spectrum.patches=32",
        ),
        "astronomy/variables": _FEW,
        "astronomy/rrlyrae": ("data.max_per_class=20", "data.points=[30,40]"),
        "astronomy/transits": ("data.count=60", "data.days=8", "data.cadence=6"),
        "astronomy/galaxies": ("data.count=40", "data.size=32", *_TINY_IMAGES),
        "astronomy/lightcurve-tiny": (
            "data.parts.stars.max_per_class=4",
            "data.parts.stars.points=[14,20]",
            "data.parts.binaries.count=4",
        ),
        "astronomy/image-classification": _TINY_IMAGES[:2],
        "astronomy/fr-deep": _TINY_IMAGES,
        "astronomy/image-tiny": (*_TINY_IMAGES, "head.crop=1", "head.noise=0.02", "head.temperature=0.5"),
    },
)
