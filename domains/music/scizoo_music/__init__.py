"""Music for scizoo: scores, tunes and sound."""

from scizoo.domain import Domain

DOMAIN = Domain(
    name="music",
    summary="Language models of tunes and scores, and models of sound: generation, harmony, classification",
    package="scizoo_music",
    formats=("MIDI", "MusicXML", "ABC", "Humdrum **kern", "WAV", "FLAC", "OGG"),
    checkpoints={},
    requires=("music21", "symusic", "miditok", "soundfile", "librosa"),
)
