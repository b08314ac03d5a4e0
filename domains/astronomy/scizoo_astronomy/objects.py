"""The field's objects: what a record's input is, with its units said."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from scizoo_astronomy.content import Content, check_place, vector

__all__ = ["CatalogRow", "Image", "ImageSpectrum", "LightCurve", "Spectrum"]


@dataclass(frozen=True, eq=False, repr=False, slots=True)
class LightCurve(Content):
    """Brightness of one object over time, in one or several bands.

    Parameters
    ----------
    time : ndarray of float64, shape (points,)
        Days, ascending; equal times are allowed in different bands.
    value : ndarray of float64, shape (points,)
        Magnitude (bright is small) or flux (bright is large); ``unit`` says which.
    error : ndarray of float64, shape (points,), optional
        One standard deviation in the unit of ``value``; NaN where unknown.
    band : ndarray of str, shape (points,), or str
        The passband of each point; ``""`` where it is not known.
    unit : str
        As astropy writes it: ``"mag"``, ``"nJy"``, ``"electron / s"``, or ``""`` for a relative flux.
    time_format, time_scale : str
        Of the days, as astropy.time names them where it can: ``mjd``, ``jd``, ``bkjd``, ``hjd-2450000``;
        ``utc``, ``tai``, ``tdb``. Time differences are what models see; the zero point is kept for people.
    period : float, optional
        Days, where a catalogue states it.
    ra, dec : float, optional
        Degrees, ICRS.

    Raises
    ------
    ValueError
        When lengths differ, a time or value is not finite, time goes back, or an error is negative.
    """

    time: np.ndarray
    value: np.ndarray
    error: np.ndarray = None  # type: ignore[assignment]  # an array once it is made
    band: np.ndarray | str = ""
    unit: str = "mag"
    time_format: str = "mjd"
    time_scale: str = ""
    period: float | None = None
    ra: float | None = None
    dec: float | None = None

    def __post_init__(self) -> None:
        time = vector(self.time, np.float64, None, "time")
        count = len(time)
        self._set("time", time)
        self._set("value", vector(self.value, np.float64, count, "value"))
        error = np.full(count, np.nan) if self.error is None else self.error
        self._set("error", vector(error, np.float64, count, "error"))
        self._set("band", vector(self.band, np.str_, count, "band"))
        if not count:
            raise ValueError("it has no observation")
        if not (np.isfinite(time).all() and np.isfinite(self.value).all()):
            raise ValueError("a time or value is not finite")
        if (np.diff(time) < 0).any():
            raise ValueError("time goes back")
        if (self.error < 0).any():
            raise ValueError("an error is negative")
        if self.period is not None and not self.period > 0:
            raise ValueError(f"the period is {self.period}, not above 0 days")
        check_place(self.ra, self.dec)

    @property
    def is_magnitude(self) -> bool:
        """Whether bright is small."""
        return self.unit.startswith("mag")

    @property
    def bands(self) -> tuple[str, ...]:
        """The passbands it has, sorted."""
        return tuple(np.unique(self.band).tolist())

    def select(self, rows: np.ndarray) -> LightCurve:
        """Return some of its points; ``rows`` is a mask or positions, ascending."""
        kept = {name: getattr(self, name)[rows] for name in ("time", "value", "error", "band")}
        rest = ("unit", "time_format", "time_scale", "period", "ra", "dec")
        return LightCurve(**kept, **{name: getattr(self, name) for name in rest})

    def phase(self, period: float | None = None, epoch: float | None = None) -> np.ndarray:
        """Fold the times, shape (points,), from 0 up to 1; on its own period and from its first time."""
        days = period if period is not None else self.period
        if days is None or not days > 0:
            raise ValueError("a light curve is folded on a period above 0 days")
        return np.mod((self.time - (self.time[0] if epoch is None else epoch)) / days, 1.0)

    def __len__(self) -> int:
        return len(self.time)

    def _size(self) -> str:
        return f"{len(self)} points, {self.unit or 'relative flux'}"


@dataclass(frozen=True, eq=False, repr=False, slots=True)
class Spectrum(Content):
    """Flux of one object over wavelength.

    Parameters
    ----------
    wavelength : ndarray of float64, shape (pixels,)
        Angstrom, strictly ascending.
    flux : ndarray of float64, shape (pixels,)
        Finite wherever ``mask`` is False.
    ivar : ndarray of float64, shape (pixels,), optional
        Inverse variance, in 1 / unit^2; 0 says nothing is known, NaN that no error was given.
    mask : ndarray of bool, shape (pixels,), optional
        True where a pixel must not be used.
    unit : str
        Of the flux, as astropy writes it; ``""`` for a relative flux.
    medium : {"vacuum", "air"}
        What the wavelengths are measured in.
    redshift : float, optional
        Where a catalogue states it; wavelengths are as observed all the same.
    ra, dec : float, optional
        Degrees, ICRS.

    Raises
    ------
    ValueError
        When lengths differ, wavelengths are not ascending or not positive, an inverse variance is negative,
        or no pixel can be used.
    """

    wavelength: np.ndarray
    flux: np.ndarray
    ivar: np.ndarray = None  # type: ignore[assignment]  # an array once it is made
    mask: np.ndarray = None  # type: ignore[assignment]  # an array once it is made
    unit: str = ""
    medium: str = "vacuum"
    redshift: float | None = None
    ra: float | None = None
    dec: float | None = None

    def __post_init__(self) -> None:
        wavelength = vector(self.wavelength, np.float64, None, "wavelength")
        count = len(wavelength)
        self._set("wavelength", wavelength)
        self._set("flux", vector(self.flux, np.float64, count, "flux"))
        ivar = np.full(count, np.nan) if self.ivar is None else self.ivar
        self._set("ivar", vector(ivar, np.float64, count, "ivar"))
        mask = np.zeros(count, dtype=bool) if self.mask is None else self.mask
        # A flux that is no number cannot be used, whatever the file's mask says.
        self._set("mask", vector(mask, np.bool_, count, "mask") | ~np.isfinite(self.flux))
        if not count:
            raise ValueError("it has no pixel")
        if not np.isfinite(wavelength).all() or wavelength.min() <= 0:
            raise ValueError("a wavelength is not a positive number")
        if (np.diff(wavelength) <= 0).any():
            raise ValueError("wavelengths are not ascending")
        if (self.ivar < 0).any():
            raise ValueError("an inverse variance is negative")
        if self.mask.all():
            raise ValueError("no pixel can be used: all are masked or not finite")
        if self.medium not in ("vacuum", "air"):
            raise ValueError(f"medium is '{self.medium}', not vacuum or air")
        check_place(self.ra, self.dec)

    def __len__(self) -> int:
        return len(self.wavelength)

    def _size(self) -> str:
        low, high = self.wavelength[[0, -1]]
        return f"{len(self)} pixels, {low:.0f}-{high:.0f} A {self.medium}"


@dataclass(frozen=True, eq=False, repr=False, slots=True)
class Image(Content):
    """A cut-out of the sky.

    Parameters
    ----------
    data : ndarray of float32, shape (height, width, channels)
        Row 0 is the first row of the file, which FITS counts from the bottom. A flat array gets one channel.
    mask : ndarray of bool, shape (height, width), optional
        True where no channel may be used; pixels that are not finite always are.
    unit : str
        Of the pixels, as astropy writes it; ``""`` where the file does not say.
    bands : tuple of str
        The passband of each channel, where known.
    wcs : str, optional
        World coordinates as FITS header text (``astropy.wcs.WCS(header)`` reads it).
    pixel_scale : float, optional
        Arcseconds a pixel.
    ra, dec : float, optional
        Degrees, ICRS, of the centre.

    Raises
    ------
    ValueError
        When the shape is none of an image, or no pixel is finite.
    """

    data: np.ndarray
    mask: np.ndarray = None  # type: ignore[assignment]  # an array once it is made
    unit: str = ""
    bands: tuple[str, ...] = ()
    wcs: str | None = None
    pixel_scale: float | None = None
    ra: float | None = None
    dec: float | None = None

    def __post_init__(self) -> None:
        data = np.ascontiguousarray(self.data, dtype=np.float32)
        if data.ndim == 2:
            data = data[:, :, None]
        if data.ndim != 3 or 0 in data.shape:
            raise ValueError(f"pixels have the shape {data.shape}, not (height, width, channels)")
        mask = (
            np.zeros(data.shape[:2], dtype=bool) if self.mask is None else np.asarray(self.mask, dtype=bool)
        )
        if mask.shape != data.shape[:2]:
            raise ValueError(f"the mask has the shape {mask.shape}, the pixels {data.shape[:2]}")
        mask = mask | ~np.isfinite(data).any(axis=2)
        if mask.all():
            raise ValueError("no pixel is finite and unmasked")
        self._set("data", data)
        self._set("mask", mask)
        self._set("bands", tuple(self.bands))
        if self.bands and len(self.bands) != data.shape[2]:
            raise ValueError(f"{len(self.bands)} bands are named for {data.shape[2]} channels")
        check_place(self.ra, self.dec)

    def _size(self) -> str:
        return "x".join(map(str, self.data.shape))


@dataclass(frozen=True, eq=False, repr=False, slots=True)
class CatalogRow(Content):
    """Measured quantities of one object: a row of a catalogue.

    Parameters
    ----------
    values : ndarray of float64, shape (columns,)
        NaN where missing.
    names : tuple of str
        Of the columns.
    units : tuple of str
        Of the columns, as astropy writes them; all ``""`` by default.

    Raises
    ------
    ValueError
        When lengths differ, or every value is missing.
    """

    values: np.ndarray
    names: tuple[str, ...]
    units: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        self._set("names", tuple(self.names))
        self._set("units", tuple(self.units) or ("",) * len(self.names))
        self._set("values", vector(self.values, np.float64, len(self.names), "values"))
        if len(self.units) != len(self.names):
            raise ValueError(f"{len(self.units)} units are given for {len(self.names)} columns")
        if not np.isfinite(self.values).any():
            raise ValueError("every value is missing")

    def __len__(self) -> int:
        return len(self.values)

    def _size(self) -> str:
        return ", ".join(self.names[:4]) + (", ..." if len(self.names) > 4 else "")


@dataclass(frozen=True, eq=False, repr=False, slots=True)
class ImageSpectrum(Content):
    """The image and the spectrum of one object, for the alignment of the two.

    Parameters
    ----------
    image : Image
    spectrum : Spectrum
    """

    image: Image
    spectrum: Spectrum

    def _size(self) -> str:
        return f"image {self.image._size()}, spectrum {self.spectrum._size()}"
