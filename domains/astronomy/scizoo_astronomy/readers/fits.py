"""FITS files, opened with every mishap named."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from astropy.io import fits
from astropy.io.fits.verify import VerifyError

from scizoo.data.opening import check_file, reading
from scizoo.errors import DataError
from scizoo_astronomy.readers.opening import file_format

#: Header cards that say how a file is laid out, not what it shows.
_STRUCTURE = (
    *("SIMPLE", "BITPIX", "NAXIS", "EXTEND", "PCOUNT", "GCOUNT", "XTENSION", "BSCALE", "BZERO"),
    *("CHECKSUM", "DATASUM", "TFORM", "TTYPE", "TUNIT", "TDIM", "TNULL", "TFIELDS", "TDISP", "BLANK"),
    *("COMMENT", "HISTORY", "TSCAL", "TZERO", "CONTINUE", "THEAP"),
)


class UnusableError(ValueError):
    """An object that a sound file holds and that cannot be used."""


@contextmanager
def opened(path: Path) -> Iterator[fits.HDUList]:
    """Open a FITS file; it may be compressed.

    Raises
    ------
    DataError
        When it is not FITS, is cut off, or its headers are damaged; errors that astropy raises while data are
        read inside the context are told so too.
    """
    check_file(path)
    if file_format(path) != "fits":
        raise DataError(f"{path} is not FITS.", expected="'SIMPLE  =' at the start")
    with reading(path), warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        try:
            with fits.open(path, memmap=False, lazy_load_hdus=False) as hdus:
                cut = next((str(w.message) for w in told if "truncated" in str(w.message)), None)
                if cut is not None:
                    raise _truncated(path, cut)
                yield hdus
        except (VerifyError, TypeError, ValueError, KeyError, IndexError) as error:
            if isinstance(error, UnusableError):
                raise
            raise DataError(
                f"{path} is damaged: {_line(error)}.", remedy="copy or download the file again."
            ) from error
        except OSError as error:
            if error.errno is not None:
                raise
            raise _truncated(path, _line(error)) from error


def _truncated(path: Path, why: str) -> DataError:
    return DataError(
        f"{path} is cut off or damaged: {why.rstrip('.')}.",
        expected="a complete FITS file",
        remedy="copy or download the file again.",
    )


def _line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")


def cards(*headers: fits.Header) -> dict[str, object]:
    """Return the scalar cards of headers that say something about the object; later headers win."""
    found: dict[str, object] = {}
    for header in headers:
        for key in header:
            if key and not key.startswith(_STRUCTURE):
                value = header[key]
                if isinstance(value, str | int | float | bool):
                    found[key] = value
    return found


def find_hdu(hdus: fits.HDUList, hdu: int | str, path: Path) -> fits.hdu.base.ExtensionHDU:
    """Return an HDU by its number or name.

    Raises
    ------
    DataError
        Listing what the file has.
    """
    names = [f"{number}: {one.name or type(one).__name__}" for number, one in enumerate(hdus)]
    try:
        return hdus[int(hdu) if str(hdu).lstrip("-").isdigit() else hdu]
    except (KeyError, IndexError) as error:
        raise DataError(
            f"{path} has no HDU {hdu!r} (data.hdu).", expected="one of " + ", ".join(names)
        ) from error
