"""Views of a picture: what another position of the patient or another exposure might have shown."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from scizoo.data.augment import Augment
from scizoo.errors import ConfigError
from scizoo_radiology import coerce
from scizoo_radiology.images import RadiologyImage, Volume

OUTSIDE = -1  # class of pixels that a turned map does not cover: they do not count


class Positions(Augment):
    """Small turns, shifts, zooms and another brightness; the same ones for every picture.

    Pictures are not mirrored unless asked for: a mirrored chest has its heart on the right (situs inversus)
    and its liver on the left, sides are findings in themselves, and the letters burned in by the technician
    would say so. Where sides mean nothing, ``flip=true`` adds mirror images.

    Parameters
    ----------
    draws : int
        How many views beside the picture itself.
    rotate : float
        Degrees, at most.
    shift : float
        Share of the sides, at most.
    zoom : float
        Share of the size, at most.
    brightness : float
        Values are multiplied by 1 plus or minus at most this; of calibrated values (HU) nothing is changed.
    flip : bool
        Whether every second view is mirrored left to right.
    seed : int
        Of the draws.
    train, predict : bool
        See :class:`scizoo.data.augment.Augment`.
    """

    def __init__(
        self,
        draws: int = 8,
        rotate: float = 7.0,
        shift: float = 0.05,
        zoom: float = 0.1,
        brightness: float = 0.1,
        flip: bool = False,
        seed: int = 0,
        train: bool = True,
        predict: bool = False,
    ):
        super().__init__(train, predict)
        shares = (shift, zoom, brightness)
        if draws < 1 or not 0 <= rotate <= 180 or not all(0 <= share < 1 for share in shares):
            raise ConfigError(
                f"augment: draws={draws}, rotate={rotate}, shift={shift}, zoom={zoom}, "
                f"brightness={brightness} cannot be used.",
                expected="draws from 1, rotate from 0 to 180 degrees, the others from 0 up to 1",
            )
        self.draws, self.rotate, self.shift, self.zoom = int(draws), float(rotate), float(shift), float(zoom)
        self.brightness, self.flip, self.seed = float(brightness), bool(flip), int(seed)

    def settings(self) -> dict[str, Any]:
        """Return the plain settings that build it again."""
        names = ("draws", "rotate", "shift", "zoom", "brightness", "flip", "seed")
        return {**{name: getattr(self, name) for name in names}, **super().settings()}

    def views(self, input: Any) -> list[RadiologyImage | Volume]:
        """Return the views; the first is the picture itself. A volume's slices move together."""
        picture = coerce.picture(input)
        return [picture, *(self._moved(picture, draw) for draw in self._draws())]

    def label_views(self, map: np.ndarray) -> list[np.ndarray]:
        """Return a map of classes as each view shows it; pixels from outside are :data:`OUTSIDE`."""
        labels = np.asarray(map).astype(np.int32)
        return [labels, *(_turned(labels, draw, 0, OUTSIDE) for draw in self._draws())]

    def _draws(self) -> list[tuple[np.ndarray, np.ndarray, float]]:
        """Return of each view the 2 x 2 matrix, the shift as a share of the sides, and the brightness."""
        random = np.random.default_rng(self.seed)
        found = []
        for number in range(self.draws):
            angle = np.deg2rad(random.uniform(-self.rotate, self.rotate))
            scale = 1.0 + random.uniform(-self.zoom, self.zoom)
            shift, gain = random.uniform(-self.shift, self.shift, 2), random.uniform(-1, 1) * self.brightness
            matrix = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]) / scale
            if self.flip and number % 2:
                matrix = matrix @ np.diag([1.0, -1.0])
            found.append((matrix, shift, 1.0 + gain))
        return found

    @staticmethod
    def _moved(
        picture: RadiologyImage | Volume, draw: tuple[np.ndarray, np.ndarray, float]
    ) -> RadiologyImage | Volume:
        values = picture.values
        darkest = float(np.nanmin(values))
        filled = np.nan_to_num(values, nan=darkest)
        gain = 1.0 if picture.unit else draw[2]
        planes = filled if filled.ndim == 3 else filled[None]
        moved = np.stack([_turned(plane, draw, 1, darkest) for plane in planes])
        moved = darkest + (moved - darkest) * gain
        kind = picture.pixels.dtype
        if kind.kind in "iu":
            moved = np.clip(np.rint(moved), np.iinfo(kind).min, np.iinfo(kind).max)
        return replace(picture, pixels=moved if filled.ndim == 3 else moved[0])


def _turned(
    plane: np.ndarray, draw: tuple[np.ndarray, np.ndarray, float], order: int, fill: float
) -> np.ndarray:
    from scipy.ndimage import affine_transform

    matrix, shift, _ = draw
    sides = np.array(plane.shape, dtype=float)
    middle = (sides - 1) / 2
    offset = middle - matrix @ middle + shift * sides
    return affine_transform(plane, matrix, offset, order=order, mode="constant", cval=fill)
