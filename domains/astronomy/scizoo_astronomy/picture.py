"""Pictures of the field's objects for the report: folded light curves, spectra, cut-outs, rows."""

from __future__ import annotations

from typing import Any

import numpy as np

from scizoo.data.records import Record
from scizoo_astronomy.lines import lines_within
from scizoo_astronomy.objects import CatalogRow, Image, ImageSpectrum, LightCurve, Spectrum
from scizoo_astronomy.periodogram import best_peak
from scizoo_astronomy.tokenizers.image import stretched

#: Colours of passbands, told apart by colour-blind readers (Okabe and Ito 2008).
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")


def draw(axes: Any, record: Record, prediction: Any = None) -> None:
    """Draw an object.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
    record : Record
        ``input`` is one of :mod:`scizoo_astronomy.objects`.
    prediction : Any, optional
        What was predicted, in words or as a number, for the title.
    """
    value = record.input
    if isinstance(value, LightCurve):
        about = draw_light_curve(axes, value)
    elif isinstance(value, Spectrum):
        about = draw_spectrum(axes, value, redshift_of(record))
    elif isinstance(value, Image):
        about = draw_image(axes, value)
    elif isinstance(value, ImageSpectrum):
        about = draw_spectrum(axes, value.spectrum, redshift_of(record))
        draw_image(axes.inset_axes([0.72, 0.62, 0.27, 0.37]), value.image)
    elif isinstance(value, CatalogRow):
        about = draw_row(axes, value)
    else:
        about = type(value).__name__
        axes.set_axis_off()
    title = f"{record.id} ({about})" if about else record.id
    if record.target is not None:
        title += f"\ntrue: {record.target}"
    if prediction is not None:
        title += f"   predicted: {prediction}"
    axes.set_title(title, fontsize=8)


def draw_light_curve(axes: Any, curve: LightCurve) -> str:
    """Draw two cycles of a light curve that folds, else all of it; returns what was drawn, in words."""
    period, stated = curve.period, "stated"
    if period is None:
        deviation = np.array(curve.value)
        for band in curve.bands:
            deviation[curve.band == band] -= np.median(curve.value[curve.band == band])
        peak = best_peak(curve.time, deviation, curve.error)
        period, stated = None if peak is None else peak.period, "by periodogram"
    for number, band in enumerate(curve.bands):
        shown = curve.band == band
        colour = COLOURS[number % len(COLOURS)]
        known = np.nan_to_num(curve.error[shown], nan=0.0)
        across = curve.time[shown] if period is None else curve.phase(period)[shown]
        for cycle in (0,) if period is None else (0, 1):
            axes.errorbar(
                across + cycle,
                curve.value[shown],
                yerr=known if known.any() else None,
                fmt=".",
                markersize=3,
                elinewidth=0.5,
                color=colour,
                alpha=0.8,
                label=(band or None) if cycle == 0 else None,
            )
    axes.set_xlabel(f"time ({curve.time_format}, days)" if period is None else "phase", fontsize=7)
    axes.set_ylabel(curve.unit or "relative flux", fontsize=7)
    axes.tick_params(labelsize=7)
    if curve.is_magnitude:
        axes.invert_yaxis()
    if any(curve.bands) and len(curve.bands) > 1:
        axes.legend(fontsize=6)
    many = f"{len(curve)} observation" + ("s" if len(curve) > 1 else "")
    return many if period is None else f"{many}, period {period:.5g} d {stated}"


def redshift_of(record: Record) -> float | None:
    """Return the redshift that an object or its record states."""
    spectrum = record.input.spectrum if isinstance(record.input, ImageSpectrum) else record.input
    stated = getattr(spectrum, "redshift", None)
    for key in ("redshift", "z"):
        stated = record.meta.get(key) if stated is None else stated
    try:
        return None if stated is None else float(stated)
    except (TypeError, ValueError):
        return None


def draw_spectrum(axes: Any, spectrum: Spectrum, redshift: float | None = None) -> str:
    """Draw a spectrum with its error and, where the redshift is known, its lines; returns the words."""
    usable = ~spectrum.mask
    wavelength = spectrum.wavelength
    flux = np.where(usable, spectrum.flux, np.nan)
    with np.errstate(divide="ignore"):
        error = np.where(usable & (spectrum.ivar > 0), 1.0 / np.sqrt(spectrum.ivar), np.nan)
    if np.isfinite(error).any():
        axes.fill_between(wavelength, flux - error, flux + error, color="#BBBBBB", linewidth=0)
    axes.plot(wavelength, flux, color=COLOURS[0], linewidth=0.6)
    low, high = np.nanpercentile(flux, [0.5, 99.5])
    room = 0.25 * (high - low) or 1.0
    axes.set_ylim(low - 0.5 * room, high + room)
    if redshift is not None:
        for line in lines_within(float(wavelength[0]), float(wavelength[-1]), redshift):
            axes.axvline(line.wavelength, color=COLOURS[1], linewidth=0.5, linestyle=":")
            axes.text(
                line.wavelength, high + 0.95 * room, line.name, rotation=90, fontsize=5, va="top", ha="right"
            )
    axes.set_xlabel(f"wavelength ({spectrum.medium}, Å)", fontsize=7)
    axes.set_ylabel(spectrum.unit or "relative flux", fontsize=7)
    axes.tick_params(labelsize=7)
    return "redshift not stated" if redshift is None else f"lines at redshift {redshift:.4g}"


def draw_image(axes: Any, image: Image) -> str:
    """Draw a cut-out in the asinh stretch, the first row of the file at the bottom; returns the words."""
    shown = stretched(image)
    colours = shown.shape[2] in (3, 4)
    axes.imshow(
        shown[:, :, :3] if colours else shown[:, :, 0],
        cmap=None if colours else "gray",
        origin="lower",
        vmin=0,
        vmax=1,
        interpolation="nearest",
    )
    axes.set_xticks([])
    axes.set_yticks([])
    height, width, channels = image.data.shape
    about = f"{width} x {height} pixels" + (f", {channels} channels" if channels > 1 else "")
    if image.pixel_scale:
        about += f", {width * image.pixel_scale:.3g} arcsec wide"
    return about + ", asinh"


def draw_row(axes: Any, row: CatalogRow) -> str:
    """List the first columns of a catalogue's row; returns the words."""
    axes.set_axis_off()
    lines = [
        f"{name}  {value:.5g} {unit}".rstrip()
        for name, value, unit in zip(row.names[:16], row.values[:16], row.units[:16])
    ]
    axes.text(
        0.02, 0.98, "\n".join(lines), transform=axes.transAxes, va="top", fontsize=7, family="monospace"
    )
    return f"{len(row)} columns"
