"""Sound files: WAV, FLAC, OGG and what else libsndfile reads; one message for each that cannot be used."""

from __future__ import annotations

import logging
import struct
from pathlib import Path

import numpy as np

from scizoo.data.opening import check_file
from scizoo.errors import DataError
from scizoo_music.sound.sounds import HIGHEST_RATE, LOWEST_RATE, Sound

log = logging.getLogger(__name__)

SUFFIXES = (".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aif", ".aiff")
#: What is read of one file at most, in samples of all channels: an hour of 48 kHz stereo and some more.
MOST = 400_000_000
_EXPECTED = "a sound file: WAV, FLAC, OGG (Vorbis or Opus), MP3 or AIFF"
#: A peak below this, -80 dB of full scale, is silence.
SILENT = 1e-4


def read_sound(
    path: Path,
    *,
    start: float = 0.0,
    seconds: float | None = None,
    shortest: float = 0.05,
    silence: bool = False,
) -> Sound:
    """Read a sound file, or a part of it.

    Parameters
    ----------
    path : Path
    start : float
        Where the part begins, in seconds.
    seconds : float, optional
        How long the part is at most; None reads all.
    shortest : float
        Seconds below which a sound is too short to be judged.
    silence : bool
        Whether a silent sound may pass.

    Returns
    -------
    Sound
        At the rate and with the channels of the file.

    Raises
    ------
    DataError
        When the file is missing, empty, no sound, damaged, ends before its header says, too short, silent, or
        holds samples that are no numbers.
    """
    import soundfile

    path = Path(path)
    check_file(path, "a sound")
    _check_wave(path)
    try:
        with soundfile.SoundFile(path) as file:
            if not LOWEST_RATE <= file.samplerate <= HIGHEST_RATE:
                raise DataError(
                    f"{path.name} states a rate of {file.samplerate} Hz.",
                    expected=f"{LOWEST_RATE:,} to {HIGHEST_RATE:,} Hz",
                    remedy="mend the header, or convert the file with sox or ffmpeg.",
                )
            wanted = _wanted(file, path, start, seconds)
            file.seek(round(start * file.samplerate))
            samples = file.read(wanted, dtype="float32", always_2d=True)
            rate = file.samplerate
    except soundfile.LibsndfileError as error:
        raise DataError(
            f"{path.name} cannot be read as sound: {str(error.error_string).strip().rstrip('.')}.",
            expected=_EXPECTED,
            remedy="convert it with sox or ffmpeg, or copy it again.",
        ) from error
    if len(samples) < wanted:
        raise _ends_early(path, wanted, len(samples), "samples")
    return _checked(path, samples, rate, shortest, silence)


def _wanted(file: object, path: Path, start: float, seconds: float | None) -> int:
    """How many frames to read.

    Raises
    ------
    DataError
        When the part begins beyond the end, or the file is too long to be read whole.
    """
    frames, rate, channels = (int(getattr(file, name)) for name in ("frames", "samplerate", "channels"))
    first = round(start * rate)
    if first and first >= frames:
        raise DataError(
            f"{path.name} lasts {frames / rate:.3g} s and has nothing from {start:g} s on.",
            remedy="lower data.start.",
        )
    left = frames - first
    wanted = left if seconds is None else min(left, max(1, round(seconds * rate)))
    if wanted * channels > MOST:
        raise DataError(
            f"{path.name} lasts {frames / rate / 3600:.1f} hours.",
            expected=f"at most {MOST / rate / channels / 3600:.1f} hours at {rate:,} Hz, {channels} channels",
            remedy="read a part of it: data.start and data.seconds.",
        )
    return wanted


def _checked(path: Path, samples: np.ndarray, rate: int, shortest: float, silence: bool) -> Sound:
    if len(samples) < max(1, round(shortest * rate)):
        raise DataError(
            f"{path.name} holds {len(samples)} sample{'s' if len(samples) != 1 else ''} "
            f"({1000 * len(samples) / rate:.3g} ms).",
            expected=f"at least {1000 * shortest:g} ms of sound (data.shortest)",
        )
    try:
        sound = Sound(samples, rate, title=path.stem, source=path.name)
    except ValueError as error:
        raise DataError(f"{path.name}: {error}.", expected="samples that are finite numbers") from error
    if sound.peak < SILENT and not silence:
        raise DataError(
            f"{path.name} is silent: its loudest sample is {sound.peak:.1e} of full scale.",
            remedy="leave it out, or set data.silence=true where silence is a class.",
        )
    return sound


def _check_wave(path: Path) -> None:
    """Refuse a WAV whose data chunk is shorter than its header says, which libsndfile passes over.

    Raises
    ------
    DataError
        Saying how much is missing.
    """
    size = path.stat().st_size
    with path.open("rb") as stream:
        start = stream.read(12)
        if start[:4] != b"RIFF" or start[8:12] != b"WAVE":
            return
        while len(header := stream.read(8)) == 8:
            name, length = header[:4], struct.unpack("<I", header[4:])[0]
            if name == b"data":
                left = size - stream.tell()
                # Programs that write to a pipe leave the largest number or nothing for the length.
                if length > left and length < 0x7FFFF000:
                    raise _ends_early(path, length, left, "bytes of samples")
                return
            stream.seek(length + length % 2, 1)


def _ends_early(path: Path, stated: int, found: int, unit: str) -> DataError:
    return DataError(
        f"{path.name} ends early: it holds {found:,} of the {stated:,} {unit} that its header states.",
        remedy="copy the file again.",
    )
