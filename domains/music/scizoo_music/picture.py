"""Pictures of music for the report: a melody's score over its piano-roll, a piano-roll, or a spectrogram."""

from __future__ import annotations

from typing import Any

from scizoo.data.records import Record
from scizoo.errors import DataError
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
        What was predicted, in words or as a number, for the title.
    """
    value = sounding(record.input)
    pad = 3.0
    if isinstance(value, Sound):
        from scizoo_music.drawing.spectrogram import draw_sound

        about, pad = draw_sound(axes, value), 24.0
    elif isinstance(value, Piece) and is_melody(value):
        axes.set_axis_off()
        upper, lower = axes.inset_axes([0, 0.56, 1, 0.46]), axes.inset_axes([0.05, 0.0, 0.95, 0.52])
        draw_score(upper, value, systems=1)
        about = draw_roll(lower, value, fontsize=6)
    elif isinstance(value, Piece):
        about, pad = draw_roll(axes, value), 11.0
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
