"""Log-mel spectrogram of a sound, under its waveform."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from scizoo.evaluation.colouring import signed_colours
from scizoo_music.sound.mel import MelSettings, log_mel
from scizoo_music.sound.sounds import Sound

_SETTINGS = MelSettings(rate=22_050, bands=96, window=1024, hop=256)
_LONGEST = 30.0  # seconds that are drawn
_STRETCHES = 120  # of time that can be told apart by colour


def draw_sound(
    axes: Any, sound: Sound, fontsize: float = 7.0, used: Mapping[str, np.ndarray] | None = None
) -> str:
    """Draw a sound.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
    sound : Sound
    fontsize : float
        In points.
    used : mapping, optional
        What stretches of time added to a prediction, which colours the ground of the waveform: ``seconds``
        (n + 1,) and ``stretches`` (n,).

    Returns
    -------
    str
        What was drawn, in words.
    """
    seconds = min(sound.seconds, _LONGEST)
    part = sound.part(0.0, seconds)
    samples = part.mono(_SETTINGS.rate)
    decibels = 10 / np.log(10) * log_mel(samples, _SETTINGS).T
    top = float(decibels.max())
    axes.imshow(
        decibels,
        origin="lower",
        aspect="auto",
        cmap="magma",
        vmin=top - 80,
        vmax=top,
        extent=(0, seconds, 0, _SETTINGS.bands),
        interpolation="nearest",
    )
    hertz = [value for value in (100, 300, 1000, 3000, 10_000) if value <= 0.5 * sound.rate]
    places = [_SETTINGS.band_of(value) for value in hertz]
    names = [f"{value} Hz" if value < 1000 else f"{value // 1000} kHz" for value in hertz]
    axes.set_yticks(places, names, fontsize=fontsize)
    axes.set_xlabel("seconds", fontsize=fontsize, labelpad=1)
    axes.tick_params(labelsize=fontsize, length=2, pad=2)
    above = axes.inset_axes([0, 1.01, 1, 0.16])
    width = max(1, len(samples) // 600)
    blocks = samples[: len(samples) // width * width].reshape(-1, width)
    time = np.linspace(0, seconds, len(blocks))
    above.fill_between(time, blocks.min(axis=1), blocks.max(axis=1), color="#0072B2", linewidth=0)
    if used is not None:
        _colour_time(above, used)
    above.set_xlim(0, seconds)
    above.set_axis_off()
    channels = {1: "mono", 2: "stereo"}.get(sound.channels, f"{sound.channels} channels")
    shown = f", the first {seconds:g} s" if sound.seconds > seconds + 1e-6 else ""
    return f"{sound.seconds:.3g} s, {sound.rate:,} Hz, {channels}{shown}"


def _colour_time(axes: Any, used: Mapping[str, np.ndarray]) -> None:
    """Colour the ground by what stretches of time added, summed over stretches that can be seen."""
    edges, scores = np.asarray(used["seconds"]), np.asarray(used["stretches"], dtype=float)
    many = max(1, -(-len(scores) // _STRETCHES))
    padded = np.pad(scores, (0, -len(scores) % many), constant_values=np.nan).reshape(-1, many)
    unread = np.isnan(padded).all(axis=1)
    sums = np.where(unread, np.nan, np.nansum(padded, axis=1))
    low, high = axes.get_ylim()
    step = edges[1] - edges[0]
    extent = (edges[0], edges[0] + step * many * len(sums), low, high)
    axes.imshow(signed_colours(sums)[None], extent=extent, aspect="auto", interpolation="nearest", zorder=0)
    axes.set_ylim(low, high)
