"""A melody on a staff, drawn by matplotlib: clef, signatures, notes with beams, ties and rests."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from scizoo_music.drawing.engraving import MIDDLE_LINE, Measure, Sign, is_melody, measures, signature
from scizoo_music.pieces import Piece

INK = "#1A1A1A"
_SHARPS = (38, 35, 39, 36, 33, 37, 34)  # steps on which a treble staff writes its sharps and flats
_FLATS = (34, 37, 33, 36, 32, 35, 31)
_WIDTH = 64.0  # of a system, in spaces between two lines
_SYSTEM = 10.5  # from one system to the next
# A G clef as a stroke, in spaces from the G line, drawn as a smooth curve through these points.
_CLEF = (
    (0.10, -0.55), (-0.42, -0.15), (-0.30, 0.55), (0.35, 0.75), (0.85, 0.15), (0.55, -0.75), (-0.25, -1.0),
    (-1.05, -0.45), (-1.15, 0.55), (-0.55, 1.65), (0.25, 2.65), (0.62, 3.75), (0.42, 4.75), (0.10, 4.45),
    (-0.08, 3.40), (0.12, 1.60), (0.38, -0.60), (0.48, -1.75), (0.15, -2.45), (-0.40, -2.35), (-0.50, -1.95),
)  # fmt: skip


def draw_score(axes: Any, piece: Piece, systems: int | None = None) -> str:
    """Draw a melody, or its beginning, on staves one below the other.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
        Its limits are set; spaces are as wide as they are high.
    piece : Piece
        Of one voice, one note at a time (:func:`~scizoo_music.drawing.engraving.is_melody`).
    systems : int, optional
        How many staves to draw at most.

    Returns
    -------
    str
        What was drawn, in words.

    Raises
    ------
    ValueError
        When the piece is no melody.
    """
    if not is_melody(piece):
        raise ValueError("a score of one staff needs a melody")
    octaves = round((MIDDLE_LINE - 2 - _mean_step(piece)) / 7) if not 24 <= _mean_step(piece) <= 43 else 0
    written = measures(piece.transposed(12 * octaves) if octaves else piece)
    rows = _rows(written, piece)
    shown = rows[:systems]
    for number, row in enumerate(shown):
        _system(axes, row, -_SYSTEM * number, piece, octaves, first=number == 0, last=row is rows[-1])
    axes.set(xlim=(-0.8, _WIDTH + 0.8), ylim=(-_SYSTEM * len(shown) + 4.2, 8.2))
    axes.set_aspect("equal", adjustable="box", anchor="C")
    axes.set_axis_off()
    bars = sum(len(row) for row in shown)
    return f"bars 1 to {bars} of {len(written)}" if bars < len(written) else f"{bars} bars"


def height(piece: Piece, systems: int | None = None) -> float:
    """How high the score is as a share of its width."""
    count = len(_rows(measures(piece), piece)[:systems])
    return (_SYSTEM * count + 4.0) / (_WIDTH + 1.6)


def _mean_step(piece: Piece) -> float:
    return float(np.mean(piece.pitch)) * 7 / 12 - 7


def _rows(found: Sequence[Measure], piece: Piece) -> list[list[Measure]]:
    """Break bars into systems by the room that their signs take."""
    head = 6.0 + abs(piece.key.fifths if piece.key else 0)
    rows: list[list[Measure]] = [[]]
    used = head
    for bar in found:
        room = _room(bar)
        if rows[-1] and used + room > _WIDTH:
            rows.append([])
            used = head - 2
        rows[-1].append(bar)
        used += room
    return rows


def _room(bar: Measure) -> float:
    return 1.6 + sum(_advance(sign) for sign in bar.signs)


def _advance(sign: Sign) -> float:
    wide = 1.9 + 2.0 * float(sign.length) ** 0.7
    return wide + (0.9 if sign.accidental else 0.0) + 0.5 * sign.dots


def _system(
    axes: Any, row: Sequence[Measure], y: float, piece: Piece, octaves: int, *, first: bool, last: bool
) -> None:
    """Draw one staff with its bars; ``y`` is its middle line."""
    for line in range(-2, 3):
        axes.plot([0, _WIDTH], [y + line] * 2, color=INK, linewidth=0.5, solid_capstyle="butt", zorder=1)
    _clef(axes, 1.7, y - 1, octaves)
    x = 3.6
    fifths = piece.key.fifths if piece.key else 0
    for step in (_SHARPS if fifths > 0 else _FLATS)[: len(signature(fifths))]:
        axes.text(x, y + (step - MIDDLE_LINE) / 2, "♯" if fifths > 0 else "♭", **_font(axes, 2.6))
        x += 1.0
    if first and piece.meters:
        for place, number in ((1.0, piece.meter.beats), (-1.0, piece.meter.unit)):
            axes.text(x + 0.9, y + place, str(number), **_font(axes, 2.25), weight="bold")
        x += 2.2
    room = sum(map(_room, row))
    # A last system that is far from full keeps its natural width.
    stretch = (_WIDTH - x) / room if not last or room > 0.7 * (_WIDTH - x) else 1.0
    for bar in row:
        end = x + _room(bar) * stretch
        _bar(axes, bar, x + 0.9 * stretch, stretch, y)
        x = end
        axes.plot([x, x], [y - 2, y + 2], color=INK, linewidth=0.8, zorder=1)
    if last:
        axes.plot([x - 0.5, x - 0.5], [y - 2, y + 2], color=INK, linewidth=0.8)
        axes.plot([x, x], [y - 2, y + 2], color=INK, linewidth=2.2)


def _bar(axes: Any, bar: Measure, x: float, stretch: float, y: float) -> None:
    places = []
    for sign in bar.signs:
        x += 0.9 if sign.accidental else 0.0
        places.append(x + 0.6)
        x += (_advance(sign) - (0.9 if sign.accidental else 0.0)) * stretch
    beamed = {place for group in bar.beams for place in group}
    for place, sign in enumerate(bar.signs):
        if sign.step is None:
            _rest(axes, places[place], y, sign)
        else:
            _head(axes, places[place], y, sign)
            if place not in beamed:
                _stem(axes, places[place], y, sign)
            if sign.tied:
                end = places[place + 1] if place + 1 < len(places) else places[place] + 3.0
                _tie(axes, places[place], end, y + (sign.step - MIDDLE_LINE) / 2, sign.step >= MIDDLE_LINE)
    for group in bar.beams:
        _beam(axes, [places[one] for one in group], [bar.signs[one] for one in group], y)
    _triplets(axes, bar, places, y)


def _head(axes: Any, x: float, y: float, sign: Sign) -> None:
    from matplotlib.patches import Ellipse

    assert sign.step is not None
    at = y + (sign.step - MIDDLE_LINE) / 2
    open_head = sign.value >= 2
    axes.add_patch(
        Ellipse(
            (x, at), 1.32, 0.9, angle=22, facecolor="white" if open_head else INK, edgecolor=INK,
            linewidth=1.1 if open_head else 0.4, zorder=4,
        )
    )  # fmt: skip
    offset = sign.step - MIDDLE_LINE
    for line in [*range(6, offset + 1, 2), *range(-6, offset - 1, -2)]:
        axes.plot([x - 1.05, x + 1.05], [y + line / 2] * 2, color=INK, linewidth=0.7, zorder=2)
    if sign.accidental:
        axes.text(x - 1.5, at, sign.accidental, **_font(axes, 2.4))
    for dot in range(sign.dots):
        raised = at + (0.5 if sign.step % 2 == 0 else 0.0)
        axes.plot(x + 1.15 + 0.6 * dot, raised, "o", color=INK, markersize=1.6, zorder=4)


def _up(signs: Sequence[Sign]) -> bool:
    offsets = [sign.step - MIDDLE_LINE for sign in signs if sign.step is not None]
    return abs(min(offsets)) > abs(max(offsets)) or max(offsets) < 0


def _stem(axes: Any, x: float, y: float, sign: Sign) -> None:
    if sign.value >= 4:
        return
    assert sign.step is not None
    up = _up([sign])
    at, side = y + (sign.step - MIDDLE_LINE) / 2, 0.6 if up else -0.6
    tip = at + (3.3 if up else -3.3)
    axes.plot([x + side] * 2, [at, tip], color=INK, linewidth=0.9, zorder=3)
    for flag in range(sign.flags):
        top = tip - (0.75 * flag if up else -0.75 * flag)
        drop = -1.5 if up else 1.5
        curve = np.array([0.0, 0.55, 1.05]), np.array([0.0, 0.42 * drop, drop])
        axes.plot(x + side + curve[0], top + curve[1], color=INK, linewidth=1.2, zorder=3)


def _beam(axes: Any, xs: Sequence[float], signs: Sequence[Sign], y: float) -> None:
    up = _up(signs)
    side = 0.6 if up else -0.6
    heads = np.array([y + (sign.step - MIDDLE_LINE) / 2 for sign in signs if sign.step is not None])
    slope = float(np.clip((heads[-1] - heads[0]) / max(xs[-1] - xs[0], 1e-6), -0.18, 0.18))
    along = slope * (np.array(xs) - xs[0])
    # The beam keeps its distance from the nearest head.
    base = (heads - along).max() + 2.7 if up else (heads - along).min() - 2.7
    tips = base + along
    for x, head, tip in zip(xs, heads, tips, strict=True):
        axes.plot([x + side] * 2, [head, tip], color=INK, linewidth=0.9, zorder=3)
    step = -0.75 if up else 0.75
    for level in range(max(sign.flags for sign in signs)):
        has = [sign.flags > level for sign in signs]
        for place in range(len(signs)):
            if not has[place]:
                continue
            joined = place + 1 < len(signs) and has[place + 1]
            alone = not joined and not (place and has[place - 1])
            if joined:
                ends = (xs[place], xs[place + 1])
            elif alone:  # a fractional beam, towards the beat
                ends = (xs[place], xs[place] + (0.9 if place == 0 else -0.9))
            else:
                continue
            at = [base + slope * (x - xs[0]) + step * level for x in ends]
            axes.fill_between(
                [x + side for x in ends], [a - 0.22 for a in at], [a + 0.22 for a in at],
                color=INK, linewidth=0, zorder=3,
            )  # fmt: skip


def _rest(axes: Any, x: float, y: float, sign: Sign) -> None:
    if sign.value >= 2:
        low = y + 0.5 if sign.value >= 4 else y
        axes.fill_between([x - 0.6, x + 0.6], low, low + 0.5, color=INK, linewidth=0, zorder=3)
    elif sign.value == 1:
        shape = np.array([(-0.3, 1.4), (0.35, 0.6), (-0.25, 0.05), (0.4, -0.75), (-0.1, -0.6), (0.1, -1.4)])
        axes.plot(x + shape[:, 0], y + shape[:, 1], color=INK, linewidth=1.5, zorder=3)
    else:
        for flag in range(sign.flags):
            top = y + 0.8 - 0.8 * flag
            axes.plot(x - 0.45, top, "o", color=INK, markersize=2.4, zorder=3)
            axes.plot([x - 0.45, x + 0.45], [top - 0.25, top], color=INK, linewidth=0.9, zorder=3)
        axes.plot(
            [x + 0.45, x - 0.1], [y + 0.8, y - 1.0 - 0.4 * sign.flags], color=INK, linewidth=0.9, zorder=3
        )
    for dot in range(sign.dots):
        axes.plot(x + 1.0 + 0.6 * dot, y + 0.5, "o", color=INK, markersize=1.6, zorder=3)


def _tie(axes: Any, x: float, end: float, at: float, above: bool) -> None:
    along = np.linspace(0, 1, 20)
    bend = 0.75 + (1.1 * np.sin(np.pi * along) ** 0.8)
    axes.plot(
        x + 0.5 + along * (end - x - 1.0), at + (bend if above else -bend), color=INK, linewidth=1.0, zorder=3
    )


def _triplets(axes: Any, bar: Measure, places: Sequence[float], y: float) -> None:
    """Write a 3 over each run of signs that fills a triplet."""
    run: list[int] = []
    for place, sign in enumerate(bar.signs):
        run = [*run, place] if sign.triplet else []
        total = sum((bar.signs[one].length for one in run), Fraction(0))
        if run and total in (Fraction(1, 2), Fraction(1), Fraction(2)):
            steps = [bar.signs[one].step or MIDDLE_LINE for one in run]
            top = y + max(2.4, (max(steps) - MIDDLE_LINE) / 2 + 0.7)
            axes.text(
                (places[run[0]] + places[run[-1]]) / 2, top + 0.9, "3", **_font(axes, 1.9), style="italic"
            )
            run = []


def _clef(axes: Any, x: float, y: float, octaves: int) -> None:
    from scipy.interpolate import make_interp_spline

    points = np.array(_CLEF)
    along = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(points, axis=0).T))])
    curve = make_interp_spline(along, points, k=3)(np.linspace(0, along[-1], 300))
    axes.plot(x + curve[:, 0], y + curve[:, 1], color=INK, linewidth=1.3, solid_capstyle="round", zorder=3)
    axes.plot(x + points[-1, 0] + 0.08, y + points[-1, 1], "o", color=INK, markersize=2.6, zorder=3)
    if octaves:
        below = octaves > 0  # written higher than it sounds
        number = {1: "8", 2: "15"}.get(abs(octaves), "22")
        axes.text(x, y + (-3.6 if below else 6.0), number, **_font(axes, 1.7), style="italic")


def _font(axes: Any, spaces: float) -> dict[str, Any]:
    """Give the settings of a text so many spaces high, by the width that the axes have on the page."""
    figure = axes.figure
    inches = axes.get_position().width * figure.get_figwidth() if figure is not None else 5.0
    points = 72 * inches / (_WIDTH + 1.6) * spaces
    return {
        "fontsize": max(2.0, points), "ha": "center", "va": "center", "color": INK, "zorder": 5,
        "family": "DejaVu Sans",
    }  # fmt: skip
