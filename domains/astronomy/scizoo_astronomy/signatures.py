"""What an observation is known by, whatever its zero points: rounded content, points, small pictures."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np

from scizoo_astronomy.objects import CatalogRow, Image, ImageSpectrum, LightCurve, Spectrum

_RUN = 3  # steps that are named together


def content_key(value: Any) -> bytes:
    """Name an observation by its rounded content.

    Times count from the first one, magnitudes from their median, fluxes in units of their spread: a copy in
    other units or from another zero point has the same key. Of an image all flips and quarter turns have.
    """
    if isinstance(value, ImageSpectrum):
        return content_key(value.image) + content_key(value.spectrum)
    if isinstance(value, Image):
        pixels = _bins(_standard(value.data.astype(np.float64), value.mask), 100)
        # The pixels in order of brightness, and the sums of rows and columns: no turn changes either.
        sums = np.concatenate([pixels.sum(axis=(1, 2)), pixels.sum(axis=(0, 2))])
        return _digest(np.sort(pixels, axis=None), np.sort(sums))
    if isinstance(value, LightCurve):
        return _digest(_bins(value.time - value.time[0], 1e3), _bins(_levelled(value), 100))
    if isinstance(value, Spectrum):
        good = ~value.mask
        return _digest(_bins(value.wavelength[good], 10), _bins(_scaled(value.flux[good]), 100))
    if isinstance(value, CatalogRow):
        rounded = [f"{number:.6g}" for number in value.values]
        return hashlib.blake2b("|".join([*value.names, *rounded]).encode(), digest_size=8).digest()
    return hashlib.blake2b(repr(value).encode(), digest_size=8).digest()


def step_hashes(value: Any) -> np.ndarray:
    """Name every run of three steps of a light curve or spectrum, as sorted uint64.

    A step is the rounded difference of place and of brightness between neighbours, so that parts of a curve
    are found in the whole. Single steps are much the same in all stars of a survey; three in a row are not.

    Parameters
    ----------
    value : LightCurve, Spectrum or ImageSpectrum
        Other objects have none.
    """
    if isinstance(value, ImageSpectrum):
        value = value.spectrum
    if isinstance(value, LightCurve):
        step, height = _bins(np.diff(value.time), 1e4), _levelled(value)
    elif isinstance(value, Spectrum):
        good = ~value.mask
        step, height = _bins(value.wavelength[good][1:], 10), _scaled(value.flux[good])
    else:
        return np.empty(0, dtype=np.uint64)
    fine = isinstance(value, LightCurve) and value.is_magnitude
    rise = _bins(np.diff(height), 1e3 if fine else 1e2)
    if len(rise) < _RUN:
        return np.empty(0, dtype=np.uint64)
    keys = mix(mix(step.astype(np.uint64)) ^ rise.astype(np.uint64))
    runs = keys[: len(keys) - _RUN + 1]
    for place in range(1, _RUN):
        runs = mix(runs ^ keys[place : len(keys) - _RUN + 1 + place])
    return np.unique(runs)


def small_picture(image: Image, side: int = 16) -> np.ndarray:
    """Average an image to fewer pixels, of mean 0 and length 1; zeros for one without structure.

    Parameters
    ----------
    image : Image
        Channels are averaged.
    side : int
        Height and width of the result; pixels of a smaller image are repeated.

    Returns
    -------
    ndarray of float64, shape (side, side)
    """
    known = ~image.mask
    grey = np.where(known, image.data.mean(axis=2, dtype=np.float64), 0.0)
    rows, columns = (np.arange(side) * size // side for size in grey.shape)
    total, count = (
        np.add.reduceat(np.add.reduceat(one, rows, axis=0), columns, axis=1) for one in (grey, known * 1.0)
    )
    small = np.where(count > 0, total / np.maximum(count, 1.0), grey[known].mean())
    small = small - small.mean()
    length = np.linalg.norm(small)
    return small / length if length > 1e-12 else np.zeros_like(small)


def orientations(picture: np.ndarray) -> list[np.ndarray]:
    """Return the eight flips and quarter turns of an array (height, width, ...)."""
    turned = [np.rot90(picture, turns) for turns in range(4)]
    return [*turned, *(np.flip(one, axis=1) for one in turned)]


def mix(key: np.ndarray) -> np.ndarray:
    """Scramble 64-bit numbers one to one (splitmix64, Steele et al. 2014)."""
    key = key + np.uint64(0x9E3779B97F4A7C15)
    key = (key ^ (key >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    key = (key ^ (key >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return key ^ (key >> np.uint64(31))


def number(key: bytes) -> np.uint64:
    """Turn a key into a 64-bit number."""
    return np.uint64(int.from_bytes(hashlib.blake2b(key, digest_size=8).digest(), "big"))


def _bins(values: np.ndarray, per_unit: float) -> np.ndarray:
    """Return whole numbers; edges lie where numbers written with a few decimals never do."""
    return np.floor(values * per_unit + 0.370137).astype(np.int64)


def _levelled(curve: LightCurve) -> np.ndarray:
    if curve.is_magnitude:
        return curve.value - np.median(curve.value)
    return _scaled(curve.value)


def _scaled(flux: np.ndarray) -> np.ndarray:
    spread = float(np.median(np.abs(flux - np.median(flux))))
    return (flux - np.median(flux)) / (spread if spread > 0 else 1.0)


def _standard(pixels: np.ndarray, mask: np.ndarray) -> np.ndarray:
    known = pixels[~mask]
    spread = known.std()
    return np.where(mask[..., None], 0.0, (pixels - known.mean()) / (spread if spread > 0 else 1.0))


def _digest(*arrays: np.ndarray) -> bytes:
    digest = hashlib.blake2b(digest_size=8)
    for array in arrays:
        digest.update(str(array.shape).encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.digest()
