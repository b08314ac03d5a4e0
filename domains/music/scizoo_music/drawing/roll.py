"""Piano-roll: time to the right, pitch upwards, a colour a voice, bar lines and the keys of the piano."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np

from scizoo_music.pieces import Piece

#: Colours of voices, told apart by colour-blind readers (Okabe and Ito 2008).
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#6B6B6B", "#000000")
NAMES = ("C", "C♯", "D", "E♭", "E", "F", "F♯", "G", "A♭", "A", "B♭", "B")
_BLACK = (1, 3, 6, 8, 10)
_MOST_BARS = 16  # bars that are drawn of a long piece: more cannot be told apart
_FOUR = ("soprano", "alto", "tenor", "bass")


def pitch_name(pitch: int) -> str:
    """Name a pitch as in ``C4``, middle C (MIDI 60)."""
    return f"{NAMES[pitch % 12]}{pitch // 12 - 1}"


def draw_roll(
    axes: Any,
    piece: Piece,
    bars: int = _MOST_BARS,
    fontsize: float = 7.0,
    colours: np.ndarray | None = None,
) -> str:
    """Draw a piece, or its beginning, as a piano-roll.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
    piece : Piece
    bars : int
        How many bars to draw at most.
    fontsize : float
        In points.
    colours : ndarray, shape (notes, 4), optional
        Of the notes, in the place of a colour a voice.

    Returns
    -------
    str
        What was drawn, in words.
    """
    from matplotlib.collections import PatchCollection
    from matplotlib.patches import Rectangle

    lines = piece.bars()
    pickup = int(piece.pickup > 0)
    shown = lines[: bars + pickup + 1]
    end = float(shown[-1]) if len(lines) > len(shown) else max(piece.end, float(lines[-1]))
    kept = piece.onset < end - 1e-9
    low, high = int(piece.pitch[kept].min()) - 2, int(piece.pitch[kept].max()) + 2
    if high - low < 12:
        low, high = low - (12 - high + low) // 2, high + (13 - high + low) // 2
    for pitch in range(low, high + 1):
        if pitch % 12 in _BLACK:
            axes.axhspan(pitch - 0.5, pitch + 0.5, color="#F1F1EE", linewidth=0, zorder=0)
        if pitch % 12 in (0, 5):  # between B and C, and E and F, two white keys meet
            axes.axhline(pitch - 0.5, color="#DDDDD8", linewidth=0.5, zorder=0.5)
    _draw_grid(axes, piece, shown, end)
    voices = [int(one) for one in np.unique(piece.voice)]
    for place, voice in enumerate(voices):
        rows = np.flatnonzero(kept & (piece.voice == voice))
        boxes = [
            Rectangle(
                (piece.onset[row], piece.pitch[row] - 0.42),
                max(min(piece.duration[row], end - piece.onset[row]) * 0.98 - 0.02, 0.04),
                0.84,
            )
            for row in rows
        ]
        colour = COLOURS[place % len(COLOURS)]
        # Soft notes are paler; with velocities all alike, as in scores, every note is full.
        loud = piece.velocity[rows].astype(float)
        alpha: Any = 0.92 if len(loud) == 0 or np.ptp(piece.velocity) == 0 else 0.35 + 0.6 * loud / 127.0
        drawn = PatchCollection(boxes, facecolor=colour, edgecolor="none", zorder=2 + 0.01 * place)
        if colours is None:
            drawn.set_alpha(alpha)
        else:
            drawn.set_facecolor([tuple(one) for one in colours[rows]])
        axes.add_collection(drawn)
        if len(voices) > 1 and colours is None:
            axes.plot([], [], color=colour, linewidth=4, label=_voice_name(place, len(voices)))
    axes.set(xlim=(0, end), ylim=(low - 0.5, high + 0.5))
    _label(axes, shown, pickup, low, high, fontsize)
    if 1 < len(voices) <= 6 and colours is None:
        axes.legend(
            fontsize=fontsize - 1, ncols=len(voices), loc="lower right", frameon=False,
            bbox_to_anchor=(1, 0.99), borderpad=0, handlelength=1.0, columnspacing=0.9, borderaxespad=0.1,
        )  # fmt: skip
    return _words(piece, len(lines) - 1 - pickup, len(shown) - 1 - pickup)


def _draw_grid(axes: Any, piece: Piece, lines: np.ndarray, end: float) -> None:
    """Draw bar lines and, within bars, beats."""
    for first, last in pairwise(lines):
        now = [meter for meter in piece.meters if meter.onset <= first + 1e-9]
        meter = now[-1] if now else piece.meter
        beat = 3 * 4 / meter.unit if meter.unit == 8 and meter.beats % 3 == 0 else 4 / meter.unit
        for place in np.arange(last - beat, first + 1e-6, -beat):
            axes.axvline(place, color="#E3E3DE", linewidth=0.5, zorder=0.6)
    for line in lines:
        if line <= end + 1e-9:
            axes.axvline(line, color="#A9A9A2", linewidth=0.8, zorder=0.7)


def _label(axes: Any, lines: np.ndarray, pickup: int, low: int, high: int, fontsize: float) -> None:
    """Name the Cs and bars."""
    cs = [pitch for pitch in range(low, high + 1) if pitch % 12 == 0]
    if len(cs) < 2:
        cs = sorted({*cs, *(pitch for pitch in range(low, high + 1) if pitch % 12 in (0, 4, 7))})
    axes.set_yticks(cs, [pitch_name(pitch) for pitch in cs], fontsize=fontsize)
    starts = lines[pickup:-1] if len(lines) > pickup + 1 else lines[:1]
    step = max(1, -(-len(starts) // 16))
    axes.set_xticks(starts[::step], [str(n) for n in range(1, len(starts) + 1, step)], fontsize=fontsize)
    axes.tick_params(length=0, pad=2)
    for side in ("top", "right", "left", "bottom"):
        axes.spines[side].set_visible(False)


def _voice_name(place: int, voices: int) -> str:
    return _FOUR[place] if voices == 4 else f"voice {place + 1}"


def _words(piece: Piece, bars: int, shown: int) -> str:
    facts = [f"{len(piece)} notes"]
    if piece.key is not None:
        facts.append(str(piece.key))
    if piece.meters:
        facts.append(str(piece.meter))
    facts.append(f"bars 1 to {shown} of {bars}" if shown < bars else f"{bars} bar{'s' if bars != 1 else ''}")
    return ", ".join(facts)
