"""Radiographs, slices and volumes as pixels for architectures of timm."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from scizoo.data.placement import Placement
from scizoo.data.ragged import Ragged
from scizoo.errors import ConfigError, DataError, did_you_mean
from scizoo_radiology import coerce
from scizoo_radiology.images import PLANES, RadiologyImage, Volume
from scizoo_radiology.tokenizers.base import ObjectTokenizer, check_choice, check_positive, read_objects
from scizoo_radiology.tokenizers.fitting import FITS, fitted, placed
from scizoo_radiology.windows import CT_PRESETS, Window, check_window, limits

#: Windows beside those of :mod:`scizoo_radiology.windows`.
CALIBRATED, STORED = "calibrated", "stored"
_KEPT_SIDE = 256  # of maps for pictures
#: Hounsfield units that ``calibrated`` shows as black and white: from air to dense bone.
CT_RANGE = (-1000.0, 1000.0)


def shown_limits(picture: RadiologyImage | Volume, window: Window) -> tuple[float, float]:
    """Return the values that become 0 and 1.

    Parameters
    ----------
    picture : RadiologyImage or Volume
        All slices of a volume share one window.
    window : str or (float, float)
        As in :func:`scizoo_radiology.windows.limits`; or ``calibrated``: :data:`CT_RANGE` for Hounsfield
        units, 0 to 255 for pictures of 8 bits, else between percentiles, since the unit is arbitrary; or
        ``stored``: 0 to the largest number of the pixels' type (of real numbers: to 1).
    """
    eight = picture.pixels.dtype == np.uint8 and picture.unit != "HU"
    if window == CALIBRATED and picture.unit == "HU":
        return CT_RANGE
    if window == STORED or (window == CALIBRATED and eight):
        kind = picture.pixels.dtype
        return 0.0, float(np.iinfo(kind).max) if kind.kind in "iu" else 1.0
    return limits(picture, "auto" if window == CALIBRATED else window)  # type: ignore[arg-type]


def scaled(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """Map values to 0 to 1, linearly between limits; what was not measured (NaN) is black. float32."""
    if not high > low:
        return np.zeros(values.shape, dtype=np.float32)
    found = (values.astype(np.float32) - low) / (high - low)
    return np.clip(np.nan_to_num(found, nan=0.0), 0.0, 1.0)


def parse_windows(value: Any) -> list[Window]:
    """Return one window a channel: of a name, a pair of numbers, or a list of these.

    Raises
    ------
    ConfigError
        When one of them is no window.
    """
    plain = isinstance(value, str) or (value and all(isinstance(one, int | float) for one in value))
    found: list[Window] = []
    for one in [value] if plain else value:
        if one in (CALIBRATED, STORED):
            found.append(one)
            continue
        if isinstance(one, str) and one not in (*CT_PRESETS, "auto", "file"):
            known = (*CT_PRESETS, "auto", "file", CALIBRATED, STORED)
            raise ConfigError(
                f"tokenizer.window={one} is no window: {did_you_mean(one, known)}",
                expected="a preset, auto, file, calibrated, stored, or [centre, width]",
            )
        found.append(check_window(one))
    if not found:
        raise ConfigError("tokenizer.window is empty.", expected="at least one window")
    return found


class ImageTokenizer(ObjectTokenizer):
    """Pictures as ``pixel_values``: windowed to 0 to 1, brought to one size, standardised.

    A picture is one position that holds all of its pixels, [C, H, W]. A volume is a bag: as many positions as
    slices are taken from it, each with its neighbours as channels (2.5D). With ``context.max_length=1`` the
    core shows the model one position at a time and averages what it says of them.

    Parameters
    ----------
    size : int
        Height and width that the model sees.
    channels : int
        Channels that the model sees where there is one window: a slice of a volume with its neighbours, half
        of them below and half above; a single picture is repeated.
    window : str, (float, float), or sequence of these
        See :func:`shown_limits`; of several each gives one channel.
    fit : {"pad", "crop", "stretch"}
        How other shapes become square; see :func:`~scizoo_radiology.tokenizers.resample.fitted`.
    spacing : float, optional
        Millimetres a pixel to which pictures are resampled first; one that does not state its spacing is then
        refused.
    mean, std : float
        Windowed pixels are taken less this, in units of that.
    slices : int, optional
        How many slices of a volume are taken, evenly over it; null takes all.
    plane : {"axial", "coronal", "sagittal"}
        In which slices of volumes are taken.
    """

    main_input: ClassVar[str] = "pixel_values"

    def __init__(
        self,
        size: int = 64,
        channels: int = 1,
        window: Any = "calibrated",
        fit: str = "pad",
        spacing: float | None = None,
        mean: float = 0.5,
        std: float = 0.25,
        slices: int | None = 16,
        plane: str = "axial",
    ):
        check_positive(size=size, channels=channels, spacing=spacing, std=std, slices=slices)
        self.windows = parse_windows(window)
        if len(self.windows) > 1 and channels not in (1, len(self.windows)):
            raise ConfigError(
                f"tokenizer.channels={channels} and {len(self.windows)} windows do not fit.",
                expected="one channel a window, or one window",
            )
        self.size = int(size)
        self.channels = len(self.windows) if len(self.windows) > 1 else int(channels)
        self.fit, self.plane = check_choice("fit", fit, FITS), check_choice("plane", plane, PLANES)
        self.spacing = None if spacing is None else float(spacing)
        self.mean, self.std = float(mean), float(std)
        self.slices = None if slices is None else int(slices)

    def input_sizes(self) -> dict[str, int]:
        """Return channels and size; architectures that take any size leave the size out."""
        return {"in_chans": self.channels, "img_size": self.size}

    def settings(self) -> dict[str, Any]:
        """Return the plain settings of this tokenizer."""
        windows = [list(one) if isinstance(one, tuple) else one for one in self.windows]
        names = ("size", "channels", "fit", "spacing", "mean", "std", "slices", "plane")
        return {"window": windows, **{name: getattr(self, name) for name in names}}

    def placement(self, input: Any) -> Placement:
        """Say where a picture lies in what the model sees; see :class:`scizoo.data.placement.Placement`.

        Raises
        ------
        DataError
            When it is no picture, or a volume.
        """
        (picture,) = read_objects([input], coerce.picture)
        if isinstance(picture, Volume):
            raise DataError(
                "a volume has no place in one plane.",
                expected="a slice",
                remedy="read volumes as slices: data.plane=acquired",
            )
        return placed(picture.shape, self.size, self.fit, picture.spacing, self.spacing)

    def encode(self, inputs: Sequence[Any]) -> dict[str, Ragged]:
        """Encode pictures and volumes.

        Parameters
        ----------
        inputs : sequence of RadiologyImage or Volume
            Or what :func:`scizoo_radiology.coerce.picture` takes.

        Returns
        -------
        dict
            ``pixel_values``, float16: [C, H, W] at each position.

        Raises
        ------
        DataError
            When an input is no picture, or states no spacing where one is needed; naming its position.
        """
        rows = []
        for number, value in enumerate(read_objects(inputs, coerce.picture)):
            if isinstance(value, Volume):
                rows.append(self._bag(value, number))
            else:
                rows.append(self._single(value, number)[None])
        empty = np.empty((0, self.channels, self.size, self.size), dtype=np.float16)
        return {"pixel_values": Ragged.from_rows(rows) if rows else Ragged(empty, np.zeros(1, np.int64))}

    def attribute(self, input: Any, scores: np.ndarray) -> np.ndarray | dict[str, np.ndarray]:
        """Lay what pixels added over the whole picture, at its own or a lower resolution.

        Returns
        -------
        ndarray or dict
            Of a picture a map (rows, columns), channels added up and NaN where the model saw nothing of it.
            Of a volume the ``map`` of the slice that added most in one direction or the other, its number as
            ``slice`` and the ``plane`` that it lies in.
        """
        (picture,) = read_objects([input], coerce.picture)
        planes = scores.sum(axis=1)
        if not isinstance(picture, Volume):
            return self._laid(planes[0], picture.shape, picture.spacing)
        weight = np.abs(np.nan_to_num(planes)).sum(axis=(1, 2))
        strongest = int(weight.argmax())
        number = int((strongest + 0.5) * picture.count(self.plane) / len(planes))
        shown = picture.slice(number, self.plane)
        return {
            "map": self._laid(planes[strongest], shown.shape, shown.spacing),
            "slice": np.array(number),
            "plane": np.array(self.plane),
        }

    def _laid(
        self, plane: np.ndarray, shape: tuple[int, int], spacing: tuple[float, float] | None
    ) -> np.ndarray:
        """Bring a map of the model's square back to a picture, whose longer side is at most 256 pixels."""
        where = placed(shape, self.size, self.fit, spacing, self.spacing)
        assert where.source is not None
        assert where.target is not None
        found = np.full(shape, np.nan, dtype=np.float32)
        top, left, height, width = where.source
        _, _, seen_height, seen_width = where.target
        # As pixels are spread over more or fewer, so is their sum.
        share = seen_height * seen_width / (height * width)
        found[top : top + height, left : left + width] = where.to_record(plane[None])[0] * share
        step = -(-max(shape) // _KEPT_SIDE)
        return found[step // 2 :: step, step // 2 :: step] * step**2

    def _single(self, image: RadiologyImage, number: int) -> np.ndarray:
        planes = [
            self._plane(scaled(image.pixels, *shown_limits(image, window)), image.spacing, number)
            for window in self.windows
        ]
        return np.stack(planes if len(planes) > 1 else planes * self.channels)

    def _bag(self, volume: Volume, number: int) -> np.ndarray:
        """Return [slices, C, H, W]."""
        stack, several = volume.stack(self.plane), len(self.windows) > 1
        count = len(stack) if self.slices is None else min(self.slices, len(stack))
        # The middles of equal parts: of a single slice the middle of the volume.
        centres = ((np.arange(count) + 0.5) * len(stack) / count).astype(int)
        around = [0] if several else list(range(-((self.channels - 1) // 2), self.channels // 2 + 1))
        wanted = np.clip(centres[:, None] + np.array(around), 0, len(stack) - 1)
        spacing = volume.slice(0, self.plane).spacing
        bounds = [shown_limits(volume, window) for window in self.windows]
        made: dict[int, list[np.ndarray]] = {}
        for index in np.unique(wanted):
            made[int(index)] = [self._plane(scaled(stack[index], *one), spacing, number) for one in bounds]
        return np.stack([np.stack([plane for index in row for plane in made[int(index)]]) for row in wanted])

    def _plane(self, plane: np.ndarray, spacing: tuple[float, float] | None, number: int) -> np.ndarray:
        if self.spacing is not None and spacing is None:
            raise DataError(
                f"input {number}: the picture does not say how large its pixels are.",
                expected=f"a spacing, since tokenizer.spacing={self.spacing:g} mm asks for one",
                remedy="set tokenizer.spacing=null, which fits pictures by their shape.",
            )
        shown = fitted(plane, self.size, self.fit, spacing, self.spacing)
        return ((shown - self.mean) / self.std).astype(np.float16)
