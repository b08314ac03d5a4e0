"""Pictures of the field's objects for the report: folded light curves, spectra, cut-outs, rows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from scizoo.data.records import Record
from scizoo.evaluation.colouring import (
    draw_coloured_line,
    draw_marked_list,
    draw_saliency,
    explained,
    note,
    solid_colours,
)
from scizoo_astronomy.lines import lines_within
from scizoo_astronomy.objects import CatalogRow, Image, ImageSpectrum, LightCurve, Spectrum
from scizoo_astronomy.periodogram import best_peak
from scizoo_astronomy.tokenizers.image import stretched

#: Colours of passbands, told apart by colour-blind readers (Okabe and Ito 2008).
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
FAINT = "#BBBBBB"
_FEATURE = 0.003  # half the width of a spectral feature in log wavelength: 900 km/s


def draw(axes: Any, record: Record, prediction: Any = None) -> None:
    """Draw an object.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
    record : Record
        ``input`` is one of :mod:`scizoo_astronomy.objects`.
    prediction : Any, optional
        What was predicted, in words or as a number, for the title; or with what the network used of the
        object, see :func:`scizoo.evaluation.colouring.explained`.
    """
    value = record.input
    prediction, used, output = explained(prediction)
    more = ""
    if isinstance(value, LightCurve):
        found = dict(used or {})
        about = draw_light_curve(axes, value, found.pop("observations", None))
        more = _of_the_whole(found)
    elif isinstance(value, Spectrum):
        about = draw_spectrum(axes, value, redshift_of(record), used)
    elif isinstance(value, Image) and used is not None:
        axes.set_axis_off()
        left, right = axes.inset_axes([0, 0, 0.49, 1]), axes.inset_axes([0.51, 0, 0.49, 1])
        about = draw_image(left, value)
        draw_image(right, value)
        height, width = value.data.shape[:2]
        draw_saliency(right, used, (-0.5, width - 0.5, -0.5, height - 0.5), origin="lower")
    elif isinstance(value, Image):
        about = draw_image(axes, value)
    elif isinstance(value, ImageSpectrum):
        about = draw_spectrum(axes, value.spectrum, redshift_of(record))
        draw_image(axes.inset_axes([0.72, 0.62, 0.27, 0.37]), value.image)
    elif isinstance(value, CatalogRow):
        about = draw_row(axes, value, used)
    else:
        about = type(value).__name__
        axes.set_axis_off()
    title = f"{record.id} ({about})" if about else record.id
    if record.target is not None:
        title += f"\ntrue: {record.target}"
    if prediction is not None:
        title += f"   predicted: {prediction}"
    axes.set_title(title, fontsize=8)
    if used is not None:
        note(axes, output, more)


def _of_the_whole(found: Mapping[str, Any]) -> str:
    """Say what the numbers added that are equal for all observations."""
    if not found:
        return ""
    return "Added by what is equal for all: " + ", ".join(
        f"{name} {float(value):+.2g}" for name, value in found.items()
    )


def draw_light_curve(axes: Any, curve: LightCurve, used: Any = None) -> str:
    """Draw two cycles of a light curve that folds, else all of it; returns what was drawn, in words.

    ``used`` holds what each observation added to a prediction; it colours them in the place of passbands.
    """
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
                color=colour if used is None else FAINT,
                alpha=0.8,
                label=(band or None) if cycle == 0 else None,
            )
            if used is not None:
                colours = solid_colours(used)[shown]
                edge = colour if len(curve.bands) > 1 else "none"
                axes.scatter(
                    across + cycle, curve.value[shown], 12, colours, zorder=3, edgecolors=edge, linewidths=0.4
                )
    axes.set_xlabel(f"time ({curve.time_format}, days)" if period is None else "phase", fontsize=7)
    axes.set_ylabel(curve.unit or "relative flux", fontsize=7)
    axes.tick_params(labelsize=7)
    if curve.is_magnitude:
        axes.invert_yaxis()
    if any(curve.bands) and len(curve.bands) > 1 and used is None:
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


def draw_spectrum(axes: Any, spectrum: Spectrum, redshift: float | None = None, used: Any = None) -> str:
    """Draw a spectrum with its error and, where the redshift is known, its lines; returns the words.

    ``used`` holds what each pixel added to a prediction; it colours them, and the strongest features are
    named by their wavelength, at rest where the redshift is known.
    """
    usable = ~spectrum.mask
    wavelength = spectrum.wavelength
    flux = np.where(usable, spectrum.flux, np.nan)
    with np.errstate(divide="ignore"):
        error = np.where(usable & (spectrum.ivar > 0), 1.0 / np.sqrt(spectrum.ivar), np.nan)
    if np.isfinite(error).any():
        axes.fill_between(wavelength, flux - error, flux + error, color="#BBBBBB", linewidth=0)
    if used is None:
        axes.plot(wavelength, flux, color=COLOURS[0], linewidth=0.6)
    else:
        smooth = features_of(wavelength, np.asarray(used, dtype=float))
        draw_coloured_line(axes, wavelength, flux, solid_colours(smooth), 1.1)
    low, high = np.nanpercentile(flux, [0.5, 99.5])
    room = 0.25 * (high - low) or 1.0
    axes.set_ylim(low - 0.5 * room, high + room)
    if used is not None:
        _name_features(axes, wavelength, smooth, redshift, low - 0.45 * room)
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


def features_of(wavelength: np.ndarray, used: np.ndarray) -> np.ndarray:
    """Sum what pixels added over the width of a feature, some 30 Angstrom at 5000; NaN stays NaN."""
    from scipy.ndimage import gaussian_filter1d

    known = np.isfinite(used)
    pixel = float(np.median(np.diff(np.log(wavelength)))) if len(wavelength) > 1 else 1.0
    smooth = gaussian_filter1d(np.where(known, used, 0.0), max(_FEATURE / pixel, 0.3))
    return np.where(known, smooth, np.nan)


def strongest_features(wavelength: np.ndarray, smooth: np.ndarray, most: int = 3) -> list[float]:
    """Return the wavelengths where pixels added most, up or down, each a feature of its own."""
    strength = np.abs(np.nan_to_num(smooth))
    largest = float(strength.max(initial=0.0))
    found: list[float] = []
    for place in np.argsort(-strength, kind="stable"):
        if len(found) == most or strength[place] < 0.3 * largest or largest == 0:
            break
        if all(abs(np.log(wavelength[place] / other)) > 6 * _FEATURE for other in found):
            found.append(float(wavelength[place]))
    return found


def _name_features(
    axes: Any, wavelength: np.ndarray, smooth: np.ndarray, redshift: float | None, height: float
) -> None:
    for place in strongest_features(wavelength, smooth):
        rest = place if redshift is None else place / (1 + redshift)
        words = f"{rest:.0f} Å" + ("" if redshift is None else " at rest")
        axes.text(place, height, words, fontsize=5.5, ha="center", va="bottom", color="#333333")


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


def draw_row(axes: Any, row: CatalogRow, used: Any = None) -> str:
    """List the first columns of a catalogue's row, or those that were used most; returns the words."""
    axes.set_axis_off()
    if used is not None:
        words = [f"{n}  {v:.5g} {u}".rstrip() for n, v, u in zip(row.names, row.values, row.units)]
        draw_marked_list(axes, words, used)
        return f"{len(row)} columns"
    lines = [
        f"{name}  {value:.5g} {unit}".rstrip()
        for name, value, unit in zip(row.names[:16], row.values[:16], row.units[:16])
    ]
    axes.text(
        0.02, 0.98, "\n".join(lines), transform=axes.transAxes, va="top", fontsize=7, family="monospace"
    )
    return f"{len(row)} columns"
