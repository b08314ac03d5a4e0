"""DICOM series: frames put in order, as slices in the usual display or as volumes."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from scizoo.data.records import RejectionLog
from scizoo.errors import DataError
from scizoo_radiology.images import PLANES, RadiologyImage, Volume
from scizoo_radiology.privacy import Names
from scizoo_radiology.readers.calibration import item
from scizoo_radiology.readers.dicom import NoPictureError, plainly, read_header, read_pixels
from scizoo_radiology.readers.entry import Entry, ReadingOptions
from scizoo_radiology.readers.files import File, UnusableError, short
from scizoo_radiology.readers.geometry import (
    BrokenOrientationError,
    directions,
    even_step,
    place_volume,
    slice_affine,
)
from scizoo_radiology.readers.header import declared_pixels, fields_of, frames_of, names_of, text

if TYPE_CHECKING:
    from pydicom import Dataset


@dataclass(frozen=True, repr=False)
class Frame:
    """Where a frame lies and what its header says; its pixels are read later."""

    file: File
    index: int
    shape: tuple[int, int]
    pixels: int
    names: Names
    fields: dict[str, Any]
    number: float
    spacing: tuple[float, float] | None
    spacing_at: str
    axes: np.ndarray | None
    position: np.ndarray | None

    @property
    def shown(self) -> str:
        """What messages call it."""
        return self.file.shown if self.index == 0 else f"{self.file.shown}, frame {self.index + 1}"


def read_dicom(
    files: Sequence[File], options: ReadingOptions, log: RejectionLog, left_out: Counter[str]
) -> Iterator[Entry]:
    """Read DICOM files: slices and projections one by one, or series as volumes.

    Parameters
    ----------
    files : sequence of File
    options : ReadingOptions
    log : RejectionLog
        Told of each file or series that cannot be used.
    left_out : Counter
        Told of sound objects without pictures, by what they are. Where there is nothing but one such file, it
        is rejected.
    """
    series: dict[tuple[Any, ...], list[Frame]] = {}
    for file in files:
        try:
            with plainly():
                frames = list(_frames(file, options))
            for frame in frames:
                where = frame.names.series or frame.names.instance or frame.file.name
                series.setdefault((where, frame.shape, _direction(frame)), []).append(frame)
        except NoPictureError as error:
            if len(files) == 1:
                log.reject(file.shown, short(file.shown), str(error))
            else:
                left_out[error.kind] += 1
        except (ValueError, DataError) as error:
            log.reject(file.shown, short(file.shown), reason_of(error))
    for frames in series.values():
        for stack in _stacks(frames):
            yield from _read_stack(stack, options, log)


def reason_of(error: Exception) -> str:
    """Return what an error says, in one line."""
    if isinstance(error, DataError):
        return " ".join(filter(None, (error.problem, error.remedy)))
    return str(error)


def _direction(frame: Frame) -> tuple[float, ...]:
    return () if frame.axes is None else tuple(np.round(frame.axes[:2], 2).ravel().tolist())


def _frames(file: File, options: ReadingOptions) -> Iterator[Frame]:
    """Read a file's header and describe each of its frames."""
    found = read_header(file, options.limits)
    pixels = declared_pixels(found)
    options.limits.check_pixels(pixels)
    if options.burned_in == "refuse" and text(found, "BurnedInAnnotation").upper() == "YES":
        raise UnusableError(
            "it says that annotations are burned into its pixels, which may name the patient; black "
            "them out, or accept that with data.burned_in=allow"
        )
    names = names_of(found, file)
    fields = fields_of(found, names)
    count = frames_of(found)
    for index in range(count):
        spacing, at = _spacing(found, index, options)
        try:
            axes, position = _place(found, index)
        except BrokenOrientationError as error:
            if options.broken_orientation == "refuse":
                raise UnusableError(
                    f"{error}; correct the header, or read it as it lies with data.broken_orientation=ignore"
                ) from error
            axes, position = None, None
        number = index if count > 1 else float(found.get("InstanceNumber") or 0)
        yield Frame(
            *(file, index, (int(found.Rows), int(found.Columns)), pixels // count, names, fields),
            *(number, spacing, at, axes, position),
        )


def _numbers(where: Any, keyword: str, count: int) -> np.ndarray | None:
    value: Any = None if where is None else where.get(keyword)
    try:
        found = np.array([float(one) for one in value])
    except (TypeError, ValueError):
        return None
    return found if found.shape == (count,) and np.isfinite(found).all() else None


def _spacing(found: Dataset, index: int, options: ReadingOptions) -> tuple[tuple[float, float] | None, str]:
    """Return the spacing of rows and columns, and where it holds."""
    measures = item(found, index, "PixelMeasuresSequence")
    for where, keyword, at in (
        (measures, "PixelSpacing", "patient"),
        (found, "PixelSpacing", "patient"),
        (found, "ImagerPixelSpacing", "detector"),
        (found, "NominalScannedPixelSpacing", "detector"),
    ):
        pair = _numbers(where, keyword, 2)
        if pair is not None and (pair > 0).all():
            # In projections Pixel Spacing may be calibrated, or a copy of the detector's.
            projected = str(found.get("Modality") or "") in ("CR", "DX", "MG", "RG", "XA", "RF")
            calibrated = bool(found.get("PixelSpacingCalibrationType"))
            return (float(pair[0]), float(pair[1])), "detector" if projected and not calibrated else at
    if options.assume_spacing:
        rows, columns = options.assume_spacing[-2:]
        return (float(rows), float(columns)), ""
    return None, ""


def _place(found: Dataset, index: int) -> tuple[np.ndarray | None, np.ndarray | None]:
    """Return a frame's directions and position, where it states them."""
    where = item(found, index, "PlaneOrientationSequence")
    where = found if where is None else where
    if where.get("ImageOrientationPatient") in (None, ""):
        return None, None
    cosines = _numbers(where, "ImageOrientationPatient", 6)
    if cosines is None:
        raise BrokenOrientationError("its orientation is not six numbers")
    axes = directions(cosines.tolist())
    lies = item(found, index, "PlanePositionSequence")
    return axes, _numbers(found if lies is None else lies, "ImagePositionPatient", 3)


def _along(frame: Frame) -> float:
    """Return how far a frame lies to S, P or L along its normal, in millimetres."""
    assert frame.axes is not None and frame.position is not None
    normal = frame.axes[2]
    return float(normal @ frame.position) * (1.0 if normal[np.argmax(np.abs(normal))] > 0 else -1.0)


def _stacks(frames: list[Frame]) -> list[list[Frame]]:
    """Order a series; frames at one place (phases, echoes) go to stacks of their own, by instance number."""
    if any(frame.axes is None or frame.position is None for frame in frames):
        return [sorted(frames, key=lambda frame: (frame.number, frame.file.name))]
    levels: dict[float, list[Frame]] = defaultdict(list)
    for frame in sorted(frames, key=lambda frame: (frame.number, frame.file.name)):
        levels[round(_along(frame), 2)].append(frame)
    ordered = [levels[key] for key in sorted(levels)]
    deepest = max(map(len, ordered))
    return [[level[rank] for level in ordered if len(level) > rank] for rank in range(deepest)]


def _read_stack(frames: list[Frame], options: ReadingOptions, log: RejectionLog) -> Iterator[Entry]:
    first = frames[0]
    whole = first.shown if len(frames) == 1 else f"series of {len(frames)} frames from {first.file.shown}"
    try:
        options.limits.check_pixels(sum(frame.pixels for frame in frames))
    except ValueError as error:
        log.reject(whole, short(whole), str(error))
        return
    reader = _Reader(options)
    if options.plane == "acquired":
        for place in options.chosen(len(frames)):
            frame = frames[place]
            try:
                picture = _picture(frame, reader)
            except (ValueError, DataError) as error:
                log.reject(frame.shown, short(frame.shown), reason_of(error))
                continue
            several = frame.index > 0 or any(
                other.file == frame.file for other in frames if other is not frame
            )
            key = f"{frame.names.file}#{frame.index + 1}" if several else frame.names.file
            yield Entry(_among(picture, frames, place), frame.names, frame.fields, frame.shown, key)
        return
    try:
        volume = _volume(frames, reader)
        key = f"{first.names.file}#{first.index + 1}" if first.index else first.names.file
        yield from volume_entries(volume, Entry(volume, first.names, first.fields, whole, key), options)
    except (ValueError, DataError) as error:
        log.reject(whole, short(whole), reason_of(error))


class _Reader:
    """Reads frames' pixels; of the file that was read last the data set is kept."""

    def __init__(self, options: ReadingOptions):
        self.options = options
        self._last: tuple[File, Dataset] | None = None

    def pixels(self, frame: Frame) -> tuple[np.ndarray, str, Any]:
        with plainly():
            if self._last is None or self._last[0] != frame.file:
                self._last = (frame.file, read_header(frame.file, self.options.limits, pixels=True))
            return read_pixels(self._last[1], frame.index, self.options)


def _picture(frame: Frame, reader: _Reader) -> RadiologyImage:
    pixels, unit, window = reader.pixels(frame)
    about: dict[str, Any] = {"unit": unit, "modality": frame.fields["modality"] or "", "window": window}
    if frame.axes is None:
        return RadiologyImage(pixels, spacing=frame.spacing, spacing_at=frame.spacing_at, **about)
    rows, columns = frame.spacing or (1.0, 1.0)
    affine = slice_affine(frame.axes, np.zeros(3), (1.0, rows, columns))
    volume = place_volume(pixels[None], affine, **about)
    found = volume.slice(0, volume.acquired)
    if frame.spacing is None:
        return replace(found, spacing=None, spacing_at="", slice_spacing=None)
    return replace(found, spacing_at=frame.spacing_at, slice_spacing=None)


def _among(picture: RadiologyImage, frames: list[Frame], place: int) -> RadiologyImage:
    """Say where a slice lies in its stack."""
    if len(frames) < 2 or frames[place].axes is None or frames[place].position is None:
        return replace(picture, place=None)
    other = frames[place + 1] if place + 1 < len(frames) else frames[place - 1]
    apart = abs(_along(other) - _along(frames[place]))
    return replace(picture, place=place / (len(frames) - 1), slice_spacing=apart if apart > 0 else None)


def _volume(frames: list[Frame], reader: _Reader) -> Volume:
    if len(frames) < 2 or any(frame.axes is None or frame.position is None for frame in frames):
        raise UnusableError(
            "it is no stack of slices with positions, so that it cannot be cut along a plane; read it "
            "as it is with data.plane=acquired"
        )
    step = even_step(np.array([_along(frame) for frame in frames]))
    read = [reader.pixels(frame) for frame in frames]
    pixels = np.stack([one[0] for one in read]).astype(np.float32)
    first, last = frames[0], frames[-1]
    assert first.axes is not None and first.position is not None and last.position is not None
    rows, columns = first.spacing or (1.0, 1.0)
    axes = first.axes.copy()
    # Slices were put in order along S, P or L, against the normal where that points the other way.
    axes[2] = axes[2] * np.sign(axes[2] @ (last.position - first.position))
    affine = slice_affine(axes, first.position, (step, rows, columns))
    volume = place_volume(
        pixels, affine, unit=read[0][1], modality=first.fields["modality"] or "", window=read[0][2]
    )
    return volume if first.spacing else replace(volume, spacing=None, affine=None)


def volume_entries(volume: Volume, whole: Entry, options: ReadingOptions) -> Iterator[Entry]:
    """Give a volume whole, or as the slices that are wanted."""
    if options.plane == "volume":
        yield whole
        return
    plane = options.plane if options.plane in PLANES else volume.acquired or "axial"
    for index in options.chosen(volume.count(plane)):
        picture, number = volume.slice(index, plane), index + 1
        source, key = f"{whole.source}, slice {number}", f"{whole.key}#{plane}{number}"
        yield replace(whole, value=picture, source=source, key=key)
