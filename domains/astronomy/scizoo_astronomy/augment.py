"""Views of an object: symmetries of the sky, and other samplings of the same light curve."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from scizoo.data.augment import Augment
from scizoo.errors import ConfigError
from scizoo_astronomy import coerce
from scizoo_astronomy.objects import Image, LightCurve


class Dihedral(Augment):
    """The four rotations of an image, and their mirror images: nothing in the sky says which way is up.

    As in Dieleman et al. 2015 (MNRAS 450:1441) for the morphology of galaxies.

    Parameters
    ----------
    mirror : bool
        Whether mirror images are views too; not where handedness is asked for, as of spiral arms.
    train, predict : bool
        See :class:`scizoo.data.augment.Augment`.
    """

    def __init__(self, mirror: bool = True, train: bool = True, predict: bool = True):
        super().__init__(train, predict)
        self.mirror = bool(mirror)

    def views(self, input: Any) -> list[Image]:
        """Return the views; the first is the image itself. They have no world coordinates."""
        image = coerce.image(input)
        return [image, *(self._turned(image, turns, mirrored) for turns, mirrored in self._others())]

    def _others(self) -> list[tuple[int, bool]]:
        every = [(turns, mirrored) for mirrored in (False, True) for turns in range(4)]
        return [(turns, mirrored) for turns, mirrored in every[1:] if self.mirror or not mirrored]

    @staticmethod
    def _turned(image: Image, turns: int, mirrored: bool) -> Image:
        data, mask = image.data, image.mask
        if mirrored:
            data, mask = data[:, ::-1], mask[:, ::-1]
        return replace(image, data=np.rot90(data, turns), mask=np.rot90(mask, turns), wcs=None)

    def settings(self) -> dict[str, Any]:
        """Return the plain settings that build it again."""
        return {"mirror": self.mirror, **super().settings()}


class Thinned(Augment):
    """Every n-th observation of a light curve, once from each start: n sparser samplings of one object.

    Parameters
    ----------
    parts : int
        How many, n.
    shortest : int
        Light curves with fewer observations than this in a part are left whole.
    train, predict : bool
        See :class:`scizoo.data.augment.Augment`.
    """

    def __init__(self, parts: int = 3, shortest: int = 30, train: bool = True, predict: bool = True):
        super().__init__(train, predict)
        if parts < 2 or shortest < 1:
            raise ConfigError(
                f"augment: parts={parts}, shortest={shortest} cannot be used.",
                expected="parts of at least 2, shortest of at least 1",
            )
        self.parts, self.shortest = int(parts), int(shortest)

    def views(self, input: Any) -> list[LightCurve]:
        """Return the whole light curve, then its parts."""
        curve = coerce.light_curve(input)
        if len(curve) < self.parts * self.shortest:
            return [curve] * (self.parts + 1)
        return [
            curve,
            *(curve.select(np.arange(start, len(curve), self.parts)) for start in range(self.parts)),
        ]

    def settings(self) -> dict[str, Any]:
        """Return the plain settings that build it again."""
        return {"parts": self.parts, "shortest": self.shortest, **super().settings()}


class Noisy(Augment):
    """Light curves with their errors drawn once more: what the same star might as well have shown.

    The draws follow from the content of the light curve, so that they are the same each time.

    Parameters
    ----------
    draws : int
        How many views beside the light curve itself.
    factor : float
        Standard deviation of what is added, in units of the stated errors. The sum is noisier than the data
        by the square root of 1 + factor squared.
    train, predict : bool
        See :class:`scizoo.data.augment.Augment`.
    """

    def __init__(self, draws: int = 3, factor: float = 1.0, train: bool = True, predict: bool = False):
        super().__init__(train, predict)
        if draws < 1 or factor <= 0:
            raise ConfigError(
                f"augment: draws={draws}, factor={factor} cannot be used.",
                expected="draws of at least 1, a factor above 0",
            )
        self.draws, self.factor = int(draws), float(factor)

    def views(self, input: Any) -> list[LightCurve]:
        """Return the light curve, then the noisier ones; where no error is stated nothing is added."""
        curve = coerce.light_curve(input)
        draw = np.random.default_rng(int(curve.digest(), 16))
        error = self.factor * np.nan_to_num(curve.error, nan=0.0)
        grown = np.hypot(curve.error, error)
        noise = draw.normal(size=(self.draws, len(curve))) * error
        return [curve, *(replace(curve, value=curve.value + one, error=grown) for one in noise)]

    def settings(self) -> dict[str, Any]:
        """Return the plain settings that build it again."""
        return {"draws": self.draws, "factor": self.factor, **super().settings()}
