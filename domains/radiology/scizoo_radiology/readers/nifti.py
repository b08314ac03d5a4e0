"""NIfTI files: volumes with their directions, units and scaling."""

from __future__ import annotations

import gzip
import io
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from scizoo.data.opening import reading
from scizoo_radiology.images import Volume
from scizoo_radiology.privacy import Names, quiet
from scizoo_radiology.readers.entry import Entry, ReadingOptions, no_fields
from scizoo_radiology.readers.files import File, Limits, UnusableError
from scizoo_radiology.readers.geometry import BrokenOrientationError, place_volume
from scizoo_radiology.readers.series import volume_entries

if TYPE_CHECKING:
    import nibabel

_TO_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
_MILLIMETRES = {1: 1000.0, 2: 1.0, 3: 0.001}  # by the header's code: metre, millimetre, micrometre


def read_nifti(file: File, options: ReadingOptions) -> Iterator[Entry]:
    """Read a NIfTI file as slices or as one volume.

    Raises
    ------
    UnusableError
        When it cannot be used; the words name no patient.
    """
    volume = nifti_volume(file, options)
    fields = {**no_fields(), "modality": options.modality}
    yield from volume_entries(volume, Entry(volume, Names(file.name), fields, file.shown, file.name), options)


def nifti_volume(file: File, options: ReadingOptions) -> Volume:
    """Read a NIfTI file's volume, turned to S, P and L; labels of a mask stay whole numbers.

    Parameters
    ----------
    file : File
    options : ReadingOptions

    Raises
    ------
    UnusableError
        When it is truncated, has another number of axes, or orientation tags that cannot be true.
    """
    image = _load(file, options.limits)
    voxels = _voxels(image, options)
    if voxels.dtype.kind == "f" and not np.isfinite(voxels).any():
        raise UnusableError("no voxel is finite; export it again")
    try:
        affine, spacing = _affine(image, options)
    except BrokenOrientationError as error:
        if options.broken_orientation == "refuse":
            raise UnusableError(
                f"{error}; correct the header, or read it as it lies with data.broken_orientation=ignore"
            ) from error
        affine, spacing = None, None
    about: dict[str, Any] = {
        "unit": "HU" if options.modality == "CT" else "",
        "modality": options.modality or "",
    }
    return place_volume(voxels.transpose(2, 1, 0), affine, spacing=spacing, **about)


def _load(file: File, limits: Limits) -> Any:
    """Open it in memory, after its header has been held against the limits."""
    import nibabel
    from nibabel.spatialimages import HeaderDataError

    with file.open(limits) as stream, reading(file.shown):
        packed = stream.read(2) == b"\x1f\x8b"
        stream.seek(0, io.SEEK_END)
        size = stream.tell()
        stream.seek(0)
        source: Any = gzip.GzipFile(fileobj=stream) if packed else stream
        start = source.read(540)
        kinds = (nibabel.Nifti1Image, nibabel.Nifti2Image)
        kind: Any = kinds[1] if start[4:7] in (b"n+2", b"ni2") else kinds[0]
        length = 540 if kind is kinds[1] else 348
        try:
            with quiet():
                header = kind.header_class(start[:length], check=True)
                shape, kept = header.get_data_shape(), header.get_data_dtype().itemsize
        except (HeaderDataError, ValueError, TypeError, KeyError) as error:
            raise UnusableError("its header is damaged; copy or export it again") from error
        count = int(np.prod([int(side) for side in shape], dtype=float))
        if count <= 0:
            raise UnusableError("its header declares no voxel; export it again")
        limits.check_pixels(count)
        needed = int(float(header["vox_offset"])) + count * kept
        limits.check_ratio(needed, size)
        content = start + source.read(max(needed - len(start), 0))
        if len(content) < needed:
            raise UnusableError(
                f"it is truncated: {len(content):,} of {needed:,} bytes; copy or export it again"
            )
    with quiet():
        return kind.from_bytes(content)


def _voxels(image: nibabel.Nifti1Image, options: ReadingOptions) -> np.ndarray:
    """Return the scaled voxels with axes (i, j, k)."""
    shape = image.shape
    while len(shape) > 3 and shape[-1] == 1:
        shape = shape[:-1]
    if len(shape) == 2:
        shape = (*shape, 1)
    voxels = np.asarray(image.dataobj)
    if voxels.dtype.kind not in "iuf":
        raise UnusableError(
            f"its voxels are of the type {voxels.dtype}, not numbers; export them as grey values"
        )
    if len(shape) == 4 and options.frame is not None:
        if not 0 <= options.frame < shape[3]:
            raise UnusableError(f"it has {shape[3]} volumes, and none is number {options.frame} (data.frame)")
        return np.asarray(voxels.reshape(shape)[..., options.frame])
    if len(shape) != 3:
        raise UnusableError(
            f"it has the shape {'x'.join(map(str, shape))}, not three axes; choose a volume with data.frame=0"
        )
    voxels = voxels.reshape(shape)
    return voxels.astype(np.float32) if voxels.dtype.itemsize > 4 and voxels.dtype.kind == "f" else voxels


def _affine(image: Any, options: ReadingOptions) -> tuple[np.ndarray | None, Any]:
    """Return the affine to LPS in millimetres, and the spacing where there is no affine."""
    from nibabel import aff2axcodes

    header = image.header
    factor = _MILLIMETRES.get(int(header["xyzt_units"]) & 7, 1.0)
    steps = np.abs(np.asarray(header["pixdim"][1:4], dtype=float))[::-1] * factor
    spacing = tuple(steps.tolist()) if (steps > 0).all() and np.isfinite(steps).all() else None
    if spacing is None and options.assume_spacing is not None and len(options.assume_spacing) == 3:
        spacing = options.assume_spacing
    qform, sform = (
        (image.get_qform(coded=True)[0], image.get_sform(coded=True)[0]) if _sound(header) else (None,) * 2
    )
    known = [one for one in (sform, qform) if one is not None]
    if not known:
        return None, spacing
    for one in known:
        if not np.isfinite(one).all() or abs(np.linalg.det(one[:3, :3])) < 1e-9:
            raise BrokenOrientationError("its affine cannot be inverted")
    if len(known) == 2 and aff2axcodes(known[0]) != aff2axcodes(known[1]):
        one, other = ("".join(aff2axcodes(affine)) for affine in known)
        raise BrokenOrientationError(f"its sform says that axes run to {one}, its qform to {other}")
    affine = _TO_LPS @ known[0]
    affine[:3] *= factor
    return affine, None


def _sound(header: Any) -> bool:
    """Whether the quaternion can be read; nibabel fails on one that is longer than a unit."""
    parts = np.array([float(header[f"quatern_{one}"]) for one in "bcd"])
    if int(header["qform_code"]) > 0 and (not np.isfinite(parts).all() or (parts**2).sum() > 1.001):
        raise BrokenOrientationError("its qform is no rotation")
    return True
