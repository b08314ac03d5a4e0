"""What the report lets one hear and read of a record: a sound, and a melody's whole score."""

from __future__ import annotations

import io
from typing import Any

from scizoo.data.records import Record
from scizoo_music.drawing.engraving import is_melody
from scizoo_music.drawing.score import draw_score, height
from scizoo_music.picture import sounding
from scizoo_music.pieces import Piece
from scizoo_music.sound.sounds import Sound, encoded, resampled
from scizoo_music.sound.synth import rendered, soundfont

#: Seconds of a record that a report holds, and frames a second.
SECONDS, RATE = 30.0, 22_050
#: Rates that MP3 knows and that need no resampling.
_RATES = (8_000, 11_025, 12_000, 16_000, RATE)
_SYSTEMS = 12


def of(record: Record, prediction: Any = None) -> list[tuple[str, str, bytes]]:
    """Give what a report holds of a record beside its picture; see :attr:`scizoo.domain.Domain.media`.

    Parameters
    ----------
    record : Record
    prediction : Any, optional
        Not used.

    Returns
    -------
    list of (str, str, bytes)
        Label, MIME type and content; empty where the input neither is a sound nor stands for one.
    """
    value = sounding(record.input)
    if value is None:
        return []
    if isinstance(value, Sound):
        part = value.part(0.0, SECONDS)
        rate = part.rate if part.rate in _RATES else RATE
        sound = Sound(resampled(part.samples, part.rate, rate)[:, :2], rate)
        cut = f", the first {SECONDS:g} s" if value.seconds > SECONDS else ""
        return [(f"the recording{cut}", *_playable(sound))]
    sound = rendered(value, RATE, SECONDS)
    by = "by the soundfont" if soundfont() else "synthesised"
    cut = f", the first {SECONDS:g} s" if float(value.seconds(value.end)) > SECONDS else ""
    found = [(f"{by}{cut}", *_playable(sound))]
    if is_melody(value):
        found.append(("score", "image/png", score_png(value)))
    return found


def _playable(sound: Sound) -> tuple[str, bytes]:
    """Encode a sound as MP3, which every browser plays, or as WAV where libsndfile cannot."""
    import soundfile

    if "MP3" in soundfile.available_formats():
        return "audio/mpeg", encoded(sound, "MP3")
    return "audio/wav", encoded(sound)


def score_png(piece: Piece, systems: int = _SYSTEMS, width: float = 7.0, dpi: int = 130) -> bytes:
    """Draw a melody's score as a PNG file."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, width * height(piece, systems)))
    axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
    draw_score(axes, piece, systems)
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=dpi, metadata={"Software": None})
    return stream.getvalue()
