"""Images: FITS (any HDU), PNG or JPEG pictures, and NPZ arrays of cut-outs."""

from __future__ import annotations

import warnings
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import TypedDict

import numpy as np
from astropy.io import fits
from astropy.io.fits.verify import VerifyError
from astropy.wcs import WCS, NoConvergence, WcsError
from astropy.wcs.utils import proj_plane_pixel_scales

from scizoo.data.opening import reading
from scizoo.data.records import RejectionLog
from scizoo.errors import ConfigError, DataError
from scizoo_astronomy.objects import Image
from scizoo_astronomy.readers.entry import Entry, stem
from scizoo_astronomy.readers.fits import UnusableError, cards, find_hdu, opened
from scizoo_astronomy.readers.opening import file_format

_MASKS = ("MASK", "DQ", "BADPIX", "BPM")
_CHANNELS = 64  # more planes than this are a data cube, not an image
_WCS_KEYS = ("CTYPE1", "CRVAL1", "CD1_1", "PC1_1", "CDELT1")
IMAGE_SUFFIXES = (
    *(".fits", ".fits.gz", ".fits.fz", ".fit", ".fit.gz", ".fts", ".fts.gz"),
    *(".npz", ".png", ".jpg", ".jpeg"),
)


class Place(TypedDict, total=False):
    """Where an image lies, as :class:`~scizoo_astronomy.objects.Image` names it."""

    wcs: str
    pixel_scale: float
    ra: float
    dec: float


class BrokenWcsError(UnusableError):
    """World coordinates that cannot be used."""


def read_images(
    path: Path, log: RejectionLog, *, hdu: int | str | None = None, broken_wcs: str = "refuse"
) -> Iterator[Entry[Image]]:
    """Read the images of a file: one of FITS and of a picture, all of an NPZ file.

    Parameters
    ----------
    path : Path
    log : RejectionLog
        Told of an image that cannot be used.
    hdu : int or str, optional
        Of FITS: which HDU; by default the first that holds an image. HDUs of the same shape called MASK, DQ,
        BADPIX or BPM mark bad pixels, where they are not zero.
    broken_wcs : {"refuse", "ignore"}
        Whether an image with broken world coordinates is rejected or used without them.

    Raises
    ------
    DataError
        When the file cannot be read at all.
    """
    if broken_wcs not in ("refuse", "ignore"):
        raise ConfigError(f"data.broken_wcs is '{broken_wcs}'.", expected="refuse or ignore")
    kind = file_format(path)
    if kind == "npz":
        yield from read_npz(path, log)
    elif kind in ("fits", "picture"):
        try:
            yield read_fits_image(path, hdu, broken_wcs) if kind == "fits" else read_picture(path)
        except ValueError as error:
            log.reject(path.name, stem(path.name), str(error))
    else:
        raise DataError(f"{path} holds no image.", expected="FITS, NPZ, PNG or JPEG")


def read_fits_image(path: Path, hdu: int | str | None = None, broken_wcs: str = "refuse") -> Entry[Image]:
    """Read one image of a FITS file, scaled by BSCALE and BZERO, with BLANK pixels as NaN.

    Two axes are an image; a third one is taken for channels; further axes must have length one.

    Raises
    ------
    DataError
        When the file is damaged or holds no image.
    UnusableError
        When the image cannot be used: no finite pixel, broken world coordinates.
    """
    with opened(path) as hdus:
        chosen = find_hdu(hdus, hdu, path) if hdu is not None else _first_image(hdus, path)
        pixels = chosen.data
        if pixels is None or chosen.header.get("NAXIS", 0) == 0 or not getattr(chosen, "is_image", False):
            raise DataError(
                f"{path}, HDU '{chosen.name}', has a header but no image.",
                expected="an HDU with an image",
                remedy="name another one: data.hdu=NUMBER or NAME.",
            )
        data = _channels_last(np.asarray(pixels), chosen.name)
        mask = _mask(hdus, chosen, data.shape[:2])
        if not (np.isfinite(data).all(axis=2) & ~mask).any():
            what = (
                "every pixel is NaN or infinite" if not np.isfinite(data).any() else "every pixel is masked"
            )
            raise UnusableError(f"HDU '{chosen.name or 'PRIMARY'}': {what}")
        header = chosen.header
        told = cards(hdus[0].header, header)
        place: Place = {}
        fields: dict[str, object] = {}
        try:
            place = read_wcs(header, data.shape[:2])
        except BrokenWcsError as error:
            if broken_wcs == "refuse":
                raise UnusableError(
                    f"its world coordinates (WCS) are broken: {error}; correct the header, or use the image "
                    "without them: data.broken_wcs=ignore"
                ) from error
            fields["wcs_broken"] = str(error)
        image = Image(data, mask, str(header.get("BUNIT", "")).strip(), **place)
        return Entry(stem(path.name), image, fields, told, f"{path.name}, HDU '{chosen.name or 'PRIMARY'}'")


def _first_image(hdus: fits.HDUList, path: Path) -> fits.hdu.base.ExtensionHDU:
    for hdu in hdus:
        if getattr(hdu, "is_image", False) and hdu.header.get("NAXIS", 0) >= 2 and hdu.data is not None:
            return hdu
    found = ", ".join(f"{number}: {hdu.name or type(hdu).__name__}" for number, hdu in enumerate(hdus))
    raise DataError(
        f"{path} has {'a header' if len(hdus) == 1 else 'headers'} but no image.",
        expected="an HDU with an image of two or three axes",
        remedy=f"check the file; its HDUs are {found}.",
    )


def _channels_last(pixels: np.ndarray, name: str) -> np.ndarray:
    while pixels.ndim > 2 and pixels.shape[0] == 1:
        pixels = pixels[0]
    if pixels.ndim == 3 and pixels.shape[0] <= _CHANNELS:
        pixels = np.moveaxis(pixels, 0, -1)
    elif pixels.ndim != 2:
        raise UnusableError(f"HDU '{name}' has the shape {pixels.shape}: a cube or a spectrum, not an image")
    else:
        pixels = pixels[:, :, None]
    return np.ascontiguousarray(pixels, dtype=np.float32)


def _mask(hdus: fits.HDUList, chosen: fits.hdu.base.ExtensionHDU, shape: tuple[int, int]) -> np.ndarray:
    mask = np.zeros(shape, dtype=bool)
    for hdu in hdus:
        if hdu is not chosen and hdu.name.upper() in _MASKS and getattr(hdu, "is_image", False):
            if hdu.data is None or hdu.data.squeeze().shape != shape:
                raise UnusableError(f"HDU '{hdu.name}' is no mask of the image's shape {shape}")
            mask |= hdu.data.squeeze() != 0
    return mask


def read_wcs(header: fits.Header, shape: tuple[int, int]) -> Place:
    """Read and check celestial world coordinates.

    Parameters
    ----------
    header : Header
    shape : (int, int)
        Height and width of the image.

    Returns
    -------
    dict
        ``wcs`` as header text, ``pixel_scale`` in arcseconds, ``ra`` and ``dec`` of the centre; empty when
        the header states none.

    Raises
    ------
    BrokenWcsError
        When it states some that are wrong.
    """
    if not any(key in header for key in _WCS_KEYS):
        return {}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            whole = WCS(header, fix=False)
            if not str(header.get("CTYPE1", "")).strip() or not whole.has_celestial:
                return {}  # linear axes: pixels of a simulation or a detector
            wcs = whole.celestial
            scales = proj_plane_pixel_scales(wcs)
            centre = wcs.pixel_to_world((shape[1] - 1) / 2, (shape[0] - 1) / 2).icrs
            back = wcs.world_to_pixel(centre)
            text = wcs.to_header_string(relax=True)
    except (WcsError, NoConvergence, VerifyError, ValueError, TypeError, KeyError) as error:
        raise BrokenWcsError(" ".join(str(error).split()) or type(error).__name__) from error
    if not np.isfinite([*scales, centre.ra.deg, centre.dec.deg, *back]).all():
        raise BrokenWcsError("the centre of the image has no place on the sky")
    if min(scales) <= 0 or np.hypot(back[0] - (shape[1] - 1) / 2, back[1] - (shape[0] - 1) / 2) > 1:
        raise BrokenWcsError("pixel to sky and back does not return (is the CD matrix singular?)")
    return {
        "wcs": text,
        "pixel_scale": float(np.mean(scales)) * 3600.0,
        "ra": float(centre.ra.deg),
        "dec": float(centre.dec.deg),
    }


def read_picture(path: Path) -> Entry[Image]:
    """Read a PNG or JPEG cut-out; a palette or transparency is resolved to grey or colours."""
    from PIL import Image as Pillow
    from PIL import UnidentifiedImageError

    try:
        with reading(path), Pillow.open(path) as picture:
            plain = picture if picture.mode in ("L", "I", "I;16", "F") else picture.convert("RGB")
            data = np.asarray(plain, dtype=np.float32)
    except (UnidentifiedImageError, SyntaxError) as error:
        raise DataError(f"{path} is a damaged picture.", remedy="copy or download the file again.") from error
    bands = ("R", "G", "B") if data.ndim == 3 else ()
    return Entry(stem(path.name), Image(data, bands=bands), source=path.name)


def read_npz(path: Path, log: RejectionLog) -> Iterator[Entry[Image]]:
    """Read an NPZ file with ``images`` (n, height, width[, channels]).

    Every other array of length n (``labels``, ``split``, ``ra``, ...) becomes a field of the images; the ids
    are those of ``ids`` or ``filenames`` where there are such, else counted from 0.

    Raises
    ------
    DataError
        When the file is damaged, holds Python objects, or has no images.
    """
    try:
        with reading(path), np.load(path, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
    except (ValueError, zipfile.BadZipFile, KeyError) as error:
        raise DataError(
            f"{path} cannot be read as NPZ: {error}.",
            expected="plain arrays, written by numpy.savez without Python objects",
        ) from error
    images = arrays.pop("images", None)
    if images is None or images.ndim not in (3, 4):
        has = ", ".join(f"{name} {array.shape}" for name, array in arrays.items()) or "nothing"
        raise DataError(
            f"{path} has no array 'images' (n, height, width[, channels]).", expected=f"it; has {has}"
        )
    count = len(images)
    fields = {name: array for name, array in arrays.items() if array.ndim == 1 and len(array) == count}
    names = next((fields.pop(name) for name in ("ids", "filenames") if name in fields), np.arange(count))
    for number in range(count):
        source, id = f"{path.name}, image {number}", stem(str(names[number]))
        try:
            value = Image(images[number])
        except ValueError as error:
            log.reject(source, id, str(error))
            continue
        yield Entry(id, value, {name: array[number].item() for name, array in fields.items()}, source=source)
