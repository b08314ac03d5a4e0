"""Pictures of music for the report: a melody's score over its piano-roll, a piano-roll, or a spectrogram."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from scizoo.data.records import Record
from scizoo.errors import DataError
from scizoo.evaluation.colouring import draw_marked_text, explained, note, solid_colours
from scizoo_music.codec.codes import CodedSound
from scizoo_music.drawing.engraving import is_melody
from scizoo_music.drawing.roll import draw_roll
from scizoo_music.drawing.score import draw_score
from scizoo_music.pieces import Piece, as_piece
from scizoo_music.sound.sounds import Sound


def draw(axes: Any, record: Record, prediction: Any = None) -> None:
    """Draw a piece, a tune or a sound.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
    record : Record
        ``input`` is a Piece, the ABC text of a tune, or a Sound.
    prediction : Any, optional
        What was predicted, in words or as a number, for the title; or with what the network used of the
        notes, the characters or the time, see :func:`scizoo.evaluation.colouring.explained`.
    """
    value = sounding(record.input)
    prediction, used, output = explained(prediction)
    # Of a tune as text what its characters added, of a piece what its notes did.
    used = {} if used is None else used if isinstance(used, Mapping) else {"characters": used}
    colours = solid_colours(used["notes"]) if "notes" in used else None
    pad = 3.0
    if isinstance(value, Sound):
        from scizoo_music.drawing.spectrogram import draw_sound

        about, pad = draw_sound(axes, value, used=used if "stretches" in used else None), 24.0
    elif isinstance(value, Piece) and (is_melody(value) or "characters" in used):
        axes.set_axis_off()
        left = 0.0 if "characters" in used else 0.05
        upper, lower = axes.inset_axes([0, 0.56, 1, 0.46]), axes.inset_axes([left, 0.0, 1 - left, 0.52])
        if "characters" in used:
            lower.set_axis_off()
            draw_marked_text(lower, str(record.input), used["characters"], lines=10, size=5.5)
        if is_melody(value):
            draw_score(upper, value, systems=1)
            about = f"{len(value)} notes"
            if "characters" not in used:
                about = draw_roll(lower, value, fontsize=6, colours=colours)
        else:
            about = draw_roll(upper, value, fontsize=6)
    elif isinstance(value, Piece):
        about, pad = draw_roll(axes, value, colours=colours), 11.0
    else:
        about = type(record.input).__name__
        axes.set_axis_off()
    title = getattr(value, "title", "")
    name = f"{title}: " if title else ""
    words = f"{record.id}  ({name}{about})"
    if record.target is not None:
        words += f"\ntrue: {record.target}"
    if prediction is not None:
        words += f"   predicted: {prediction}"
    axes.set_title(words, fontsize=7, loc="left", pad=pad)
    if used:
        note(axes, output, "The colours of the waveform's ground are meant." if "stretches" in used else "")


def sounding(value: Any) -> Piece | Sound | None:
    """Give the notes or the sound that an input stands for; None where it stands for neither."""
    if isinstance(value, Sound):
        return value
    if isinstance(value, CodedSound):
        return None if value.codec is None else value.sound()
    try:
        return as_piece(value)
    except DataError:
        return None
