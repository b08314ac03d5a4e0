"""Music for scizoo: scores, tunes and sound."""

from scizoo.domain import Domain

DOMAIN = Domain(
    name="music",
    summary="Language models of tunes and scores, and models of sound: generation, harmony, classification",
    package="scizoo_music",
    formats=("MIDI", "MusicXML", "ABC", "Humdrum **kern", "WAV", "FLAC", "OGG"),
    checkpoints={
        "codec-tiny": "checkpoints/codec-tiny",
        "mel-tiny": "checkpoints/mel-tiny",
        "tune-tiny": "checkpoints/tune-tiny",
    },
    picture="scizoo_music.picture.draw",
    media="scizoo_music.media.of",
    writes={
        "mid": "scizoo_music.writing.midi",
        "abc": "scizoo_music.writing.abc",
        "musicxml": "scizoo_music.writing.musicxml",
        "wav": "scizoo_music.sound.synth.wav",
    },
    reference="scizoo_music.reference.inputs",
    requires=("music21", "symusic", "miditok", "soundfile", "soxr"),
)
