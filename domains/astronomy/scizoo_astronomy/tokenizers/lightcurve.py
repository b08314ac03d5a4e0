"""Irregular light curves: one position an observation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from scizoo.data.ragged import Ragged
from scizoo.data.units import add_up
from scizoo_astronomy import coerce
from scizoo_astronomy.objects import LightCurve
from scizoo_astronomy.periodogram import best_peak
from scizoo_astronomy.tokenizers.base import (
    ObjectTokenizer,
    check_choice,
    check_positive,
    offsets_of,
    read_objects,
    rows_of,
)
from scizoo_astronomy.tokenizers.segments import owners, segment_median, thin

#: Passbands in the order of their channels; channel 0 is any other, or none stated.
BANDS = (
    *("U", "B", "V", "R", "I", "J", "H", "K"),
    *("u", "g", "r", "i", "z", "y"),
    *("G", "BP", "RP", "Kepler", "TESS", "W1", "W2"),
)
PHASES = ("none", "given", "estimated", "auto")
SCALES = ("mad", "std")
#: What the columns of ``values`` hold.
COLUMNS = ("brightness", "log_error", "log_amplitude", "log_period")
_MAGNITUDE = 2.5 / np.log(10.0)  # a small relative change of flux, in magnitudes


class LightCurveTokenizer(ObjectTokenizer):
    """Observations as positions, with their times, passbands and weights.

    Columns of ``values``: the brightness less its band's median, in units of the object's scale and bright
    upwards; the logarithm of its error in the same units; the logarithm of the scale in magnitudes; and, when
    light curves are folded, the logarithm of the period in days. The last two are equal for all positions of
    an object, and keep what normalising takes away.

    Folded light curves have four more columns of ``times``: sine and cosine of the phase, from the maximum of
    its first harmonic, and of half of it, for a periodogram finds half the period of a binary with two like
    minima. All four are 0 where there is no period.

    ``weight`` is the inverse variance over its median in the object. An objective that hides observations
    should predict the first column alone: the others are no brightness.

    Parameters
    ----------
    bands : sequence of str
        Passbands that get a channel of their own.
    scale : {"mad", "std"}
        The object's scale: 1.4826 times the median absolute deviation, or the standard deviation.
    compress : bool
        Whether brightness passes through ``asinh``, which is linear within the scale and keeps deep eclipses
        and outbursts within bounds beyond it.
    flip : bool
        Whether magnitudes change their sign, so that bright is up as in fluxes.
    phase : {"auto", "given", "estimated", "none"}
        Where the period comes from on which light curves are folded: the object's own where it states one,
        else from a Lomb-Scargle periodogram ("auto"); only one of both; or no folding.
    max_frequency : float
        Highest frequency searched, per day.
    time_scale : float
        Days that become one unit of ``times``.
    max_observations : int, optional
        Longer light curves are thinned to so many observations at even steps; None keeps them all, and
        ``context`` cuts windows.
    max_weight : float
        Largest weight of an observation; a few lucky errors must not decide the loss.
    """

    main_input: ClassVar[str] = "values"

    def __init__(
        self,
        bands: Sequence[str] = BANDS,
        scale: str = "mad",
        compress: bool = True,
        flip: bool = True,
        phase: str = "auto",
        max_frequency: float = 20.0,
        time_scale: float = 100.0,
        max_observations: int | None = 200,
        max_weight: float = 10.0,
    ):
        check_positive(
            max_frequency=max_frequency,
            time_scale=time_scale,
            max_observations=max_observations,
            max_weight=max_weight,
        )
        self.bands = [str(band) for band in bands]
        self.scale = check_choice("scale", scale, SCALES)
        self.phase = check_choice("phase", phase, PHASES)
        self.compress, self.flip = bool(compress), bool(flip)
        self.max_frequency, self.time_scale = float(max_frequency), float(time_scale)
        self.max_observations = None if max_observations is None else int(max_observations)
        self.max_weight = float(max_weight)

    @property
    def folds(self) -> bool:
        """Whether phases are given beside times."""
        return self.phase != "none"

    @property
    def features(self) -> int:
        """Columns of ``values``."""
        return len(COLUMNS) if self.folds else len(COLUMNS) - 1

    @property
    def coordinates(self) -> int:
        """Columns of ``times``: the time, and the place on two circles of phases."""
        return 5 if self.folds else 1

    def input_sizes(self) -> dict[str, int]:
        """Return the sizes of a backbone for these inputs; channel 0 is any other passband."""
        return {
            "features": self.features,
            "times": self.coordinates,
            "channels": len(self.bands) + 1,
        }

    def settings(self) -> dict[str, Any]:
        """Return the plain settings of this tokenizer."""
        names = ("bands", "scale", "compress", "flip", "phase", "max_frequency", "time_scale")
        return {name: getattr(self, name) for name in (*names, "max_observations", "max_weight")}

    def encode(self, inputs: Sequence[Any]) -> dict[str, Ragged]:
        """Encode light curves.

        Parameters
        ----------
        inputs : sequence of LightCurve
            Or what :func:`scizoo_astronomy.coerce.light_curve` takes.

        Returns
        -------
        dict
            ``values`` [T, F] float32, ``observed`` [T, F] bool, ``times`` [T, K] float32 (time since the
            first observation over ``time_scale``; phases), ``channel`` [T] int16, ``weight`` [T] float32.

        Raises
        ------
        DataError
            When an input is no light curve; naming its position.
        """
        curves = read_objects(inputs, coerce.light_curve)
        offsets = offsets_of(np.array([len(curve) for curve in curves]))
        owner = owners(offsets)
        joined = {
            name: np.concatenate([getattr(curve, name) for curve in curves])
            for name in ("time", "value", "error")
        }
        channel = self._channels(curves)
        bright, log_scale, scale = self._normalised(curves, joined["value"], channel, owner)
        error = joined["error"] / scale[owner]
        error[~(error > 0)] = np.nan
        first = joined["time"][offsets[:-1]]
        days = joined["time"] - first[owner]
        columns = [np.arcsinh(bright) if self.compress else bright, np.log10(error), log_scale[owner]]
        coordinates = [days / self.time_scale]
        if self.folds:
            period = self._periods(curves, bright, joined["error"], offsets)
            columns.append(np.log10(period)[owner])
            coordinates.extend(_circles(days, bright, period, owner, len(curves)))
        rows, ends = thin(offsets, self.max_observations)
        values = np.stack(columns, axis=1)[rows]
        observed = np.isfinite(values)
        values = np.where(observed, values, 0.0).astype(np.float32)
        weight = self._weights(error, owner, len(curves))[rows]
        times = np.stack(coordinates, axis=1)[rows]
        return rows_of(
            {
                "values": values,
                "observed": observed,
                "times": times.astype(np.float32),
                "channel": channel[rows],
                "weight": weight,
            },
            ends,
        )

    def attribute(self, input: Any, scores: np.ndarray) -> dict[str, np.ndarray]:
        """Give a number an observation, and one each of what is said of the whole light curve.

        Returns
        -------
        dict
            ``observations`` (n,): what brightness and error of each added, NaN of those thinned out;
            ``amplitude`` and, when light curves are folded, ``period``.
        """
        (curve,) = read_objects([input], coerce.light_curve)
        rows, _ = thin(np.array([0, len(curve)]), self.max_observations)
        found = {"observations": add_up(rows, scores[:, :2].sum(axis=1), len(curve))}
        for place, name in enumerate(("amplitude", "period"), start=2):
            if place < scores.shape[1]:
                found[name] = np.array(np.nansum(scores[:, place]))
        return found

    def _channels(self, curves: Sequence[LightCurve]) -> np.ndarray:
        known = {band: number for number, band in enumerate(self.bands, start=1)}
        names, place = np.unique(np.concatenate([curve.band for curve in curves]), return_inverse=True)
        # "LSST g", "ztf_r" and "Bessell:V" are told by their last word where the whole is not known.
        numbers = [
            known.get(n) or known.get(n.replace("_", " ").replace(":", " ").split(" ")[-1], 0) for n in names
        ]
        return np.array(numbers, dtype=np.int16)[place.reshape(-1)]

    def _normalised(
        self, curves: Sequence[LightCurve], value: np.ndarray, channel: np.ndarray, owner: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return brightness in units of the scale, log10 of the scale in magnitudes, and the scale."""
        count, bands = len(curves), len(self.bands) + 1
        channel = channel.astype(np.int64)
        by_band = segment_median(value, owner * bands + channel, count * bands)
        baseline = by_band[owner * bands + channel]
        deviation = value - baseline
        if self.scale == "mad":
            scale = 1.4826 * segment_median(np.abs(deviation), owner, count)
        else:
            scale = np.full(count, np.nan)
        spread = np.sqrt(
            np.bincount(owner, deviation**2, minlength=count) / np.bincount(owner, minlength=count)
        )
        # Half of the points on one value have no deviation; an object that never changes has no spread.
        scale = np.where(scale > 1e-3 * spread, scale, spread)
        level = np.abs(segment_median(value, owner, count))
        smallest = 1e-6 * np.where(level > 0, level, 1.0)
        scale = np.maximum(scale, smallest)
        magnitude = np.array([curve.is_magnitude for curve in curves])
        sign = np.where(magnitude & self.flip, -1.0, 1.0)
        with np.errstate(divide="ignore", invalid="ignore"):
            relative = np.where(level > scale, _MAGNITUDE * scale / level, np.nan)
        amplitude = np.where(magnitude, scale, relative)
        return sign[owner] * deviation / scale[owner], np.log10(amplitude), scale

    def _weights(self, error: np.ndarray, owner: np.ndarray, count: int) -> np.ndarray:
        weight = 1.0 / error**2
        typical = segment_median(weight, owner, count)
        weight = np.minimum(weight / typical[owner], self.max_weight)
        return np.where(np.isfinite(weight), weight, 1.0).astype(np.float32)

    def _periods(
        self, curves: Sequence[LightCurve], bright: np.ndarray, error: np.ndarray, offsets: np.ndarray
    ) -> np.ndarray:
        """Return the period of each light curve in days; NaN where there is none."""
        periods = np.full(len(curves), np.nan)
        for number, curve in enumerate(curves):
            if self.phase in ("auto", "given") and curve.period is not None:
                periods[number] = curve.period
            elif self.phase in ("auto", "estimated"):
                part = slice(offsets[number], offsets[number + 1])
                peak = best_peak(curve.time, bright[part], error[part], max_frequency=self.max_frequency)
                periods[number] = np.nan if peak is None else peak.period
        return periods


def _circles(
    days: np.ndarray, bright: np.ndarray, period: np.ndarray, owner: np.ndarray, count: int
) -> list[np.ndarray]:
    """Fold each object on its period and on twice its period; sines and cosines of both."""
    folded = np.isfinite(period)
    half = np.pi * np.where(folded, 1.0 / period, 0.0)[owner] * days
    clipped = np.clip(bright, -5.0, 5.0)

    def first_harmonic(angle: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        sums = (np.bincount(owner, clipped * wave(angle), minlength=count) for wave in (np.cos, np.sin))
        return next(sums), next(sums)

    cosine, sine = first_harmonic(2.0 * half)
    half = half - 0.5 * np.arctan2(sine, cosine)[owner]
    # Two turns of the half angle fit the whole one; the brighter maximum is taken.
    cosine, _ = first_harmonic(half)
    half = half + np.where(cosine < 0, np.pi, 0.0)[owner]
    there = folded[owner].astype(float)
    return [there * wave(angle) for angle in (2.0 * half, half) for wave in (np.sin, np.cos)]
