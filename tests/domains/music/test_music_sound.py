"""Sound files, their faults, resampling, mel spectra against librosa, the synthesiser."""

from __future__ import annotations

import io
import wave
from pathlib import Path

import numpy as np
import pytest
import soundfile

from scizoo.errors import ConfigError, DataError
from scizoo_music.datasets.sounds import SoundFiles
from scizoo_music.pieces import Piece, Tempo
from scizoo_music.readers.audio import read_sound
from scizoo_music.sound import synth
from scizoo_music.sound.mel import (
    MelSettings,
    hertz_to_mel,
    log_mel,
    mel_filters,
    mel_power,
    mel_to_hertz,
    mfcc,
)
from scizoo_music.sound.sounds import Sound, as_sound, encoded

RATE = 16_000


def tone(hertz: float = 440.0, seconds: float = 1.0, rate: int = RATE) -> np.ndarray:
    return (0.5 * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)).astype(np.float32)


def peak_frequency(samples: np.ndarray, rate: int) -> float:
    power = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    return float(np.argmax(power) * rate / len(samples))


@pytest.mark.parametrize("ending", ["wav", "flac", "ogg", "mp3"])
@pytest.mark.parametrize("channels", [1, 2])
def test_formats_and_channels_are_read(tmp_path: Path, ending: str, channels: int):
    samples = np.tile(tone(seconds=1.0, rate=44_100)[:, None], (1, channels))
    soundfile.write(tmp_path / f"a.{ending}", samples, 44_100)
    sound = read_sound(tmp_path / f"a.{ending}")
    assert (sound.rate, sound.channels) == (44_100, channels)
    assert sound.seconds == pytest.approx(1.0, abs=0.06)
    assert peak_frequency(sound.mono(), 44_100) == pytest.approx(440, abs=2)


@pytest.mark.parametrize("rate", [8_000, 11_025, 44_100, 48_000, 96_000, 192_000])
def test_any_rate_is_resampled_to_the_same_sound(rate: int):
    there = Sound(tone(440, 1.0, rate), rate)
    samples = there.mono(RATE)
    assert len(samples) == pytest.approx(RATE, abs=2)
    assert peak_frequency(samples, RATE) == pytest.approx(440, abs=1)
    assert np.abs(samples[1000:-1000]).max() == pytest.approx(0.5, abs=0.01)


def test_resampling_does_not_fold_high_tones_back():
    above = Sound(tone(30_000, 0.5, 192_000), 192_000).mono(RATE)
    assert np.abs(above[100:-100]).max() < 2e-3


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("one.wav", encoded(Sound(np.full(1, 0.5), 44_100)), "1 sample "),
        ("silent.wav", encoded(Sound(np.zeros(4000), RATE)), "silent"),
        ("half.wav", encoded(Sound(tone(), RATE))[:9000], "ends early"),
        ("half.flac", encoded(Sound(tone(), RATE), "FLAC")[:3000], "cannot be read"),
        ("text.wav", b"Once upon a time " * 20, "cannot be read"),
        ("empty.wav", b"", "is empty"),
    ],
)
def test_a_file_that_cannot_be_used_gets_one_message(tmp_path: Path, name: str, content: bytes, says: str):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError) as caught:
        read_sound(tmp_path / name)
    assert name in str(caught.value) and says in str(caught.value)
    assert caught.value.expected or caught.value.remedy


def test_samples_that_are_no_numbers_are_refused(tmp_path: Path):
    samples = tone()
    samples[7] = np.nan
    soundfile.write(tmp_path / "nan.wav", samples, RATE, subtype="FLOAT")
    with pytest.raises(DataError, match="not finite"):
        read_sound(tmp_path / "nan.wav")


def test_a_part_of_a_file_is_read_and_beyond_its_end_there_is_nothing(tmp_path: Path):
    soundfile.write(tmp_path / "a.wav", np.concatenate([tone(440), tone(880)]), RATE)
    part = read_sound(tmp_path / "a.wav", start=1.0, seconds=0.5)
    assert part.seconds == pytest.approx(0.5) and peak_frequency(part.mono(), RATE) == pytest.approx(
        880, abs=3
    )
    with pytest.raises(DataError, match=r"nothing from 3 s"):
        read_sound(tmp_path / "a.wav", start=3.0)


def test_a_wave_of_hours_is_refused_before_it_is_read(tmp_path: Path, monkeypatch):
    monkeypatch.setattr("scizoo_music.readers.audio.MOST", 10_000)
    soundfile.write(tmp_path / "long.wav", tone(), RATE)
    with pytest.raises(DataError, match=r"hours") as caught:
        read_sound(tmp_path / "long.wav")
    assert "data.seconds" in str(caught.value)


def test_mel_spectra_are_those_of_librosa():
    """Numbers of librosa 0.11.0, and librosa itself where it is installed."""
    settings = MelSettings(RATE, 8, 512, 128, low=0.0)
    weights = mel_filters(settings)
    assert weights.shape == (8, 257) and (weights.max(axis=1) > 0).all()
    assert hertz_to_mel(1000.0) == pytest.approx(15.0) and hertz_to_mel(6400.0) == pytest.approx(42.0)
    assert mel_to_hertz(hertz_to_mel([60.0, 440.0, 4000.0])) == pytest.approx([60.0, 440.0, 4000.0])
    librosa = pytest.importorskip("librosa")
    rng = np.random.default_rng(0)
    samples = (tone(440, 0.7) + rng.normal(0, 0.05, round(0.7 * RATE))).astype(np.float32)
    for bands, window, hop, low in ((8, 512, 128, 0.0), (64, 1024, 256, 30.0)):
        mine = MelSettings(RATE, bands, window, hop, low=low)
        np.testing.assert_allclose(
            mel_filters(mine), librosa.filters.mel(sr=RATE, n_fft=window, n_mels=bands, fmin=low), atol=1e-6
        )
        theirs = librosa.feature.melspectrogram(
            y=samples, sr=RATE, n_fft=window, hop_length=hop, n_mels=bands, fmin=low
        )
        np.testing.assert_allclose(mel_power(samples, mine).T, theirs, rtol=2e-3, atol=1e-5)
    theirs = librosa.feature.mfcc(
        y=samples, sr=RATE, n_mfcc=20, n_fft=1024, hop_length=256, n_mels=64, fmin=30.0
    )
    np.testing.assert_allclose(mfcc(samples, MelSettings(RATE)).T, theirs, atol=0.05)


def test_a_spectrogram_of_silence_and_of_one_sample_is_finite():
    for samples in (np.zeros(1, np.float32), np.zeros(4000, np.float32)):
        assert np.isfinite(log_mel(samples, MelSettings(RATE))).all()
    with pytest.raises(ConfigError):
        MelSettings(rate=8000, high=5000.0)


def test_a_note_sounds_at_its_pitch_and_time_in_every_timbre():
    piece = Piece([0, 2], [1, 1], [69, 76], tempos=[Tempo(0.0, 60.0)])
    for timbre in synth.TIMBRES:
        sound = synth.synthesise(piece, RATE, timbre)
        assert sound.peak == pytest.approx(0.9, abs=1e-3)
        first = sound.mono()[2000:14_000]
        power = np.abs(np.fft.rfft(first * np.hanning(len(first))))
        bins = np.arange(len(power)) * RATE / len(first)
        harmonics = 440.0 * np.arange(1, 12)
        near = (np.abs(bins[:, None] - harmonics) < 25).any(axis=1)
        assert (power[near] ** 2).sum() > 0.95 * (power**2).sum(), timbre
        gap = sound.mono()[round(1.5 * RATE) : round(1.9 * RATE)]
        assert np.abs(gap).max() < 0.02, timbre


def test_what_is_written_is_a_wave_that_others_read():
    content = synth.wav("X:1\nM:4/4\nL:1/4\nK:C\nCDEF|\n")
    with wave.open(io.BytesIO(content)) as file:
        assert file.getframerate() == synth.RATE and file.getsampwidth() == 2
        assert file.getnframes() / synth.RATE == pytest.approx(2.3, abs=0.05)
    assert synth.wav("M:4/4\nL:1/4\nK:C\nCDEF|") == content


def test_high_notes_do_not_fold_back_and_hours_are_cut():
    high = synth.note(120.0, 0.2, synth.TIMBRES["clarinet"], 8_000)
    assert np.isfinite(high).all() and np.abs(high).max() < 1e-9
    long = Piece([0, 100_000], [1, 1], [60, 62])
    assert synth.synthesise(long, 2_000, seconds=2.0).seconds == pytest.approx(2.0, abs=0.01)
    with pytest.raises(ConfigError, match="did you mean 'flute'"):
        synth.synthesise(long, RATE, "flut")


def test_a_soundfont_that_is_missing_is_said(monkeypatch):
    monkeypatch.setenv(synth.SOUNDFONT, "/nowhere/a.sf2")
    with pytest.raises(ConfigError, match=r"a\.sf2 does not exist"):
        synth.wav("M:4/4\nL:1/4\nK:C\nC|")


def test_own_recordings_are_read_with_their_labels(tmp_path: Path):
    for name in ("a", "b", "c"):
        soundfile.write(tmp_path / f"{name}.wav", tone(), RATE)
    (tmp_path / "broken.wav").write_bytes(b"RIFF")
    (tmp_path / "labels.csv").write_text(
        "file,vocal,guitar,artist\na.wav,1,0,x\nb,0,1,y\nz.wav,1,1,y\nbroken,0,0,x\n"
    )
    data = SoundFiles(
        tmp_path, labels=tmp_path / "labels.csv", target=["vocal", "guitar"], group="artist", max_rejected=0.9
    )
    records = list(data)
    assert [(one.id, one.group) for one in records] == [("a.wav", "x"), ("b.wav", "y")]
    assert {name: int(value) for name, value in records[1].target.items()} == {"vocal": 0, "guitar": 1}
    reasons = {one.id: one.reason for one in data.rejections.rejected}
    assert (
        "no row" in reasons["c.wav"] and "no such sound file" in reasons["z.wav"] and "broken.wav" in reasons
    )
    with pytest.raises(ConfigError, match="did you mean 'vocal'"):
        list(SoundFiles(tmp_path, labels=tmp_path / "labels.csv", target="vocl"))


def test_a_list_of_files_and_folders_as_classes(tmp_path: Path):
    for folder in ("blues", "rock"):
        (tmp_path / folder).mkdir()
        soundfile.write(tmp_path / folder / "1.flac", tone(), RATE)
    records = list(SoundFiles(tmp_path, target="folder"))
    assert [(one.id, one.target) for one in records] == [("blues/1.flac", "blues"), ("rock/1.flac", "rock")]
    (tmp_path / "list.csv").write_text("sound,tags\nblues/1.flac,a;b\nnone.flac,a\n")
    data = SoundFiles(tmp_path / "list.csv", input="sound", target="tags", max_rejected=0.5)
    assert [one.target for one in data] == ["a;b"] and "does not exist" in data.rejections.rejected[0].reason


def test_a_sound_is_made_of_what_users_have(tmp_path: Path):
    soundfile.write(tmp_path / "a.wav", tone(), RATE)
    assert as_sound(tmp_path / "a.wav").rate == RATE
    assert as_sound((tone(), RATE)).digest() == Sound(tone(), RATE).digest()
    with pytest.raises(DataError, match="no sound"):
        as_sound(3)
    with pytest.raises(ValueError, match="rate of 10 Hz"):
        Sound(tone(), 10)
