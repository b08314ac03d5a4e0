"""DICOM files: what the header says, and the pixels as calibrated values."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from scizoo.data.opening import reading
from scizoo.errors import DataError
from scizoo_radiology.privacy import quiet
from scizoo_radiology.readers.entry import ReadingOptions
from scizoo_radiology.readers.files import File, Limits, UnusableError, inflate
from scizoo_radiology.readers.header import text

if TYPE_CHECKING:
    from pydicom import Dataset

_DEFLATED = "1.2.840.10008.1.2.1.99"
_LUMA = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601, as DICOM's YBR_FULL
_AS_READ = "copy or export it again"
#: Values in HU beyond which a CT's stored type must be wrong; metal reaches 30,710 on extended scales.
_HU_LOW, _HU_HIGH = -9_000.0, 32_000.0
_UNSIGNED = ("CR", "DX", "MG", "IO", "PX")


class NoPictureError(UnusableError):
    """A sound DICOM object that is no picture to learn from: a report, a plan, contours, a localizer.

    Parameters
    ----------
    kind : str
        What it is.
    """

    def __init__(self, kind: str):
        self.kind = kind
        super().__init__(f"it is no picture to learn from ({kind}); leave it out")


@contextmanager
def plainly() -> Iterator[None]:
    """Say in own words what pydicom and its decoders found wrong; theirs repeat the file's values.

    pydicom converts an element when it is first looked at, so that whatever looks at one stands in here.

    Raises
    ------
    UnusableError
    """
    from pydicom.errors import BytesLengthException, InvalidDicomError

    try:
        with quiet():
            yield
    except (UnusableError, DataError):
        raise
    except InvalidDicomError as error:
        raise UnusableError(f"it is not DICOM; {_AS_READ}, or leave it out") from error
    except (EOFError, struct.error, BytesLengthException) as error:
        raise UnusableError(f"it ends before its data do (truncated), or is damaged; {_AS_READ}") from error
    except (NotImplementedError, MemoryError) as error:
        raise UnusableError(
            "its types, transfer syntax or size are of no kind that is read here; export it uncompressed"
        ) from error
    except RuntimeError as error:
        if "available plugins" in str(error) or "missing dependencies" in str(error):
            raise UnusableError(
                "its compressed pixels cannot be decoded: they are damaged, or of a kind that needs "
                "pip install 'scizoo-radiology[libjpeg]' (12-bit JPEG); else export it uncompressed"
            ) from error
        raise UnusableError(f"its header or pixel data are damaged; {_AS_READ}") from error
    except (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, zlib.error) as error:
        raise UnusableError(f"its header or pixel data are damaged; {_AS_READ}") from error


def read_header(file: File, limits: Limits, pixels: bool = False) -> Dataset:
    """Read a file's data set, by default without its pixels.

    Raises
    ------
    NoPictureError
        When it is a sound object without a picture.
    UnusableError
        When it cannot be used; the words name no patient.
    """
    import pydicom
    from pydicom import config
    from pydicom.filereader import read_file_meta_info

    with file.open(limits) as stream, reading(file.shown), plainly():
        before = config.settings.reading_validation_mode
        config.settings.reading_validation_mode = config.IGNORE
        try:
            start = stream.read(132)
            stream.seek(0)
            bare = start[128:132] != b"DICM"
            if not bare and not file.member and read_syntax(read_file_meta_info(file.path)) == _DEFLATED:
                stream = _inflated(stream.read(), limits)
            found = pydicom.dcmread(stream, stop_before_pixels=not pixels, force=bare)
        finally:
            config.settings.reading_validation_mode = before
        if "SOPClassUID" not in found and "Rows" not in found:
            raise _damaged(found)
        _check_picture(found)
        return found


def read_syntax(meta: Any) -> str:
    """Return the transfer syntax that a file's meta information states, or ``""``."""
    return str(meta.get("TransferSyntaxUID", ""))


def _inflated(content: bytes, limits: Limits) -> io.BytesIO:
    """Unpack a deflated file within the limits, and give it as an explicit little-endian one."""
    from pydicom.dataset import FileMetaDataset
    from pydicom.filebase import DicomBytesIO
    from pydicom.filewriter import write_file_meta_info
    from pydicom.uid import ExplicitVRLittleEndian

    length = struct.unpack("<I", content[140:144])[0]  # value of (0002,0000), which stands first
    body = inflate(content[144 + length :], limits)
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    head = DicomBytesIO()
    write_file_meta_info(head, meta, enforce_standard=False)
    return io.BytesIO(bytes(128) + b"DICM" + head.getvalue() + body)


def _damaged(found: Dataset) -> UnusableError:
    if "DirectoryRecordSequence" in found or str(found.file_meta.get("MediaStorageSOPClassUID", "")).endswith(
        "1.3.10"
    ):
        return NoPictureError("DICOMDIR, an index of other files")
    return UnusableError(f"it is not a DICOM object that can be told (no SOP class, no rows); {_AS_READ}")


#: SOP classes (their names in PS3.6) with pixels or without, that are no pictures of a patient.
_OTHER = (
    *("Segmentation", "Report", " SR", "Presentation State", "Waveform", "Encapsulated", "Key Object"),
    *("Raw Data", "Registration", "Media Storage Directory", "Surface", "Tractography"),
)


def _check_picture(found: Dataset) -> None:
    from pydicom.uid import UID

    uid = UID(str(found.get("SOPClassUID", "")))
    known = "an object of an unknown class" if uid.name == str(uid) else uid.name
    if any(word in known for word in _OTHER) or (known.startswith("RT ") and "Image" not in known):
        raise NoPictureError(known)
    if "LOCALIZER" in text(found, "ImageType").upper():
        raise NoPictureError("localizer of a scan")
    if "Rows" not in found or "Columns" not in found:
        raise UnusableError(
            f"it has no pixels ({known}, no rows and columns); leave it out, or export it again"
        )


def read_pixels(found: Dataset, index: int, options: ReadingOptions) -> tuple[np.ndarray, str, Any]:
    """Decode a frame and calibrate it.

    Parameters
    ----------
    found : Dataset
        Read with its pixels.
    index : int
        The frame, from 0.
    options : ReadingOptions

    Returns
    -------
    pixels : ndarray, shape (rows, columns)
    unit : str
    window : (float, float) or None

    Raises
    ------
    UnusableError
        When the pixels are missing, truncated, damaged, or stored otherwise than the header says.
    """
    from scizoo_radiology.readers.calibration import calibrate

    if not any(word in found for word in ("PixelData", "FloatPixelData", "DoubleFloatPixelData")):
        raise UnusableError("it has no pixel data; leave it out, or export it again with its pixels")
    _check_length(found)
    if options.signed is not None:
        found.PixelRepresentation = int(options.signed)
    raw = _decode(found, index)
    # PS3.3 wants radiographs unsigned; below zero are values above half of the range.
    radiograph = options.signed is None and text(found, "Modality") in _UNSIGNED
    if radiograph and found.get("PixelRepresentation") and raw.min() < 0:
        raise UnusableError(
            f"its stored values go down to {raw.min():,}, which no radiograph has: they are tagged as "
            "signed and stored otherwise (Pixel Representation); read them with data.signed=false"
        )
    values, unit, window = calibrate(found, raw, index, voi=options.voi)
    if unit == "HU":
        _check_sign(float(values.min()), float(values.max()), options)
    return values, unit, window


def _check_length(found: Dataset) -> None:
    """Refuse native pixel data that are shorter than the header declares."""
    from pydicom.pixels.utils import get_expected_length

    syntax = found.file_meta.get("TransferSyntaxUID") if hasattr(found, "file_meta") else None
    if "PixelData" not in found or (syntax is not None and syntax.is_compressed):
        return
    expected, have = get_expected_length(found), len(found.PixelData)
    if have < expected:
        raise UnusableError(f"its pixel data are truncated: {have:,} of {expected:,} bytes; {_AS_READ}")


def _decode(found: Dataset, index: int) -> np.ndarray:
    from pydicom.pixels import apply_color_lut, pixel_array
    from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

    if not hasattr(found, "file_meta") or not read_syntax(found.file_meta):
        from pydicom.dataset import FileMetaDataset

        implicit, little = found.original_encoding
        explicit = ExplicitVRLittleEndian if little else ExplicitVRBigEndian
        found.file_meta = FileMetaDataset()
        found.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian if implicit else explicit
    raw = pixel_array(found, index=index)
    if text(found, "PhotometricInterpretation") == "PALETTE COLOR":
        colours = apply_color_lut(raw, found)
        raw = colours[..., :3] / (256.0 if colours.dtype.itemsize == 2 else 1.0)
    if raw.ndim == 3 and raw.shape[-1] in (3, 4):
        return np.rint(raw[..., :3] @ _LUMA)
    if raw.ndim != 2:
        raise UnusableError(f"its pixels have the shape {raw.shape}, not rows and columns; {_AS_READ}")
    return raw


def _check_sign(low: float, high: float, options: ReadingOptions) -> None:
    if options.signed is None and (high > _HU_HIGH or low < _HU_LOW):
        found, other = ("unsigned", "true") if high > _HU_HIGH else ("signed", "false")
        raise UnusableError(
            f"its values run from {low:,.0f} to {high:,.0f} HU, which no CT has: they are tagged as {found} "
            f"and stored otherwise (Pixel Representation); read them with data.signed={other}"
        )
