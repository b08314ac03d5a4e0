"""Questions to tunes: no answer in the text, key finding, histograms, splits, landmarks, rendered tunes."""

from __future__ import annotations

import numpy as np
import pytest

from scizoo.config import compose, to_plain
from scizoo.data.records import Record
from scizoo.data.splits import hash_part
from scizoo.data.task import read_task
from scizoo.errors import ConfigError, DataError
from scizoo.evaluation.leakage import audit_task
from scizoo_music.abc.concealed import concealed
from scizoo_music.baselines.keys import PROFILES, KrumhanslSchmuckler, correlations, find_key, read_key
from scizoo_music.baselines.models import NoteHistograms, TimbreStatistics
from scizoo_music.datasets.labelled import LabelledTunes
from scizoo_music.datasets.labelled_files import LabelledFiles
from scizoo_music.datasets.rendered import RenderedTunes
from scizoo_music.datasets.tunes import FolkTunes
from scizoo_music.features.notes import rhythm_features
from scizoo_music.pieces import Piece, as_piece
from scizoo_music.similarity_sound import SoundSimilarity
from scizoo_music.sound.sounds import Sound
from scizoo_music.splitters_corpus import CorpusSplitter
from scizoo_music.splitters_sound import SoundSplitter

HIDE = ("key", "meter", "bars", "unit")


@pytest.fixture(scope="module")
def tunes() -> list[Record]:
    return list(FolkTunes(limit=250, variants=None, max_rejected=0.05))


def same_notes(one: Piece, other: Piece) -> bool:
    return (
        len(one) == len(other)
        and bool((one.pitch == other.pitch).all())
        and np.allclose(one.onset, other.onset)
        and np.allclose(one.duration, other.duration)
    )


def test_concealing_keeps_every_note_and_the_answer_is_gone(tunes):
    changed = set()
    for record in tunes:
        there = as_piece(record.input)
        for hide in (("key", "unit"), ("meter", "bars", "unit"), HIDE):
            text = concealed(record.input, hide)
            if not same_notes(as_piece(text), there):
                changed.add(record.id)
            assert ("\nK:C\n" in text) or "key" not in hide
            assert "[K:" not in text or "key" not in hide
            assert "|" not in text or "bars" not in hide
            assert (text.startswith("M:none\nL:1/8\n") and "[M:" not in text) or "meter" not in hide
    assert len(changed) <= len(tunes) // 100  # of 4,202 tunes two, with chords in them; why is not known


def test_accidentals_are_written_out_and_hold_as_long_as_bars_are_there():
    tune = "M:4/4\nL:1/8\nK:D\nFGAc =c2F2|[K:G]F2c2 ^c2c2|Z|"
    assert concealed(tune, ("key",)).splitlines()[-1] == "^FGA^c =c2F2|^F2c2 ^c2c2|Z|"
    without = concealed(tune, HIDE).splitlines()[-1]
    assert without == "^FGA^c=c2F2F2c2^c2c2z8" or without.replace(" ", "") == "^FGA^c=c2F2F2c2^c2c2z8"
    with pytest.raises(ConfigError, match="did you mean 'meter'"):
        concealed(tune, ("metre",))


def test_units_are_those_of_eighths_and_tuplets_keep_their_time():
    found = concealed("M:6/8\nL:1/16\nK:C\n(5CDEFG A4 [C2E2]3|", ("meter", "bars", "unit"))
    assert (
        "(5:3C/2D/2E/2F/2G/2" in found.replace(" ", "")
        and "A2" in found
        and "[CE]3" in found.replace(" ", "")
    )


def test_questions_have_answers_that_the_text_does_not_hold():
    data = LabelledTunes("key", fewest=10, limit=300, max_rejected=0.05, variants=None)
    records = list(data)
    assert len(records) > 150 and len({record.target for record in records}) > 3
    assert all("K:C\n" in record.input and "key" not in record.meta for record in records)
    again = LabelledTunes("meter", fewest=10, limit=300, max_rejected=0.05, variants=None)
    assert all("M:none" in record.input and "|" not in record.input for record in again)
    assert data.fingerprint() != again.fingerprint()
    with pytest.raises(ConfigError, match=r"data\.target"):
        LabelledTunes("keyy")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("task", "answers"),
    # One melody: a slip jig in D in O'Neill's collection, a jig in F in Ryan's, in 9/8 in both.
    [
        ("music/key", {"D major", "F major"}),
        ("music/meter", {"9/8"}),
        ("music/dance", set()),
        ("music/collection", set()),
    ],
)
def test_the_whole_of_the_embedded_tunes_passes_the_audit(task, answers):
    cfg = to_plain(compose("compare", task))
    data = read_task(cfg)
    audit_task(data, cfg).check()
    twins = {"oneill-1136-1175-26", "ryan-LimerickJig-1"}
    assert {record.target for record in data.records if record.id in twins} == answers


def test_own_pieces_do_not_tell_their_key(tmp_path):
    (tmp_path / "a.abc").write_text(
        "X:1\nM:4/4\nL:1/8\nK:A\nABcd efga|\n\nX:2\nM:3/4\nL:1/8\nK:Em\nEFGABc|\n"
    )
    records = list(LabelledFiles(tmp_path / "a.abc", target="key", form="abc"))
    assert [record.target for record in records] == ["A major", "E minor"]
    assert "^c" in records[0].input and "K:C\n" in records[0].input
    notes = list(LabelledFiles(tmp_path / "a.abc", target="meter", form="notes"))
    assert [record.target for record in notes] == ["4/4", "3/4"]
    assert all(not record.input.meters for record in notes)


@pytest.mark.parametrize("profiles", sorted(PROFILES))
def test_key_finding_finds_scales_in_every_key(profiles):
    for tonic in range(12):
        major = Piece(
            np.arange(8.0), [2, 1, 1.5, 1, 1.5, 1, 1, 2], 60 + tonic + np.array([0, 2, 4, 5, 7, 9, 11, 12])
        )
        minor = Piece(
            np.arange(8.0), [2, 1, 1.5, 1, 1.5, 1, 1, 2], 60 + tonic + np.array([0, 2, 3, 5, 7, 8, 11, 12])
        )
        assert find_key(major, profiles)[:2] == (tonic, "major")
        assert find_key(minor, profiles)[:2] == (tonic, "minor")


def test_correlations_are_those_of_music21():
    discrete = pytest.importorskip("music21.analysis.discrete")
    theirs = discrete.KrumhanslKessler()
    assert tuple(theirs.getWeights("major")) == PROFILES["krumhansl"][0]
    assert tuple(theirs.getWeights("minor")) == PROFILES["krumhansl"][1]
    piece = as_piece("M:4/4\nL:1/8\nK:D\nDFAd fdAF|G2B2 A4|")
    found = np.bincount(piece.pitch % 12, weights=piece.duration, minlength=12)
    expected = np.corrcoef(np.roll(PROFILES["krumhansl"][0], 2), found)[0, 1]
    assert correlations(piece)[0, 2] == pytest.approx(expected)


def test_keys_of_real_tunes_are_found(tunes):
    known = [one for one in tunes if one.meta["mode"] in ("major", "minor")]
    right = 0
    for record in known:
        tonic, mode, _ = find_key(as_piece(record.input))
        right += (tonic, mode) == read_key(record.meta["key"])
    assert right > 0.6 * len(known)
    names = sorted({str(one.meta["key"]) for one in known})
    records = [Record(one.id, one.input, str(one.meta["key"])) for one in known]
    targets = np.array([names.index(str(one.target)) for one in records])
    model = KrumhanslSchmuckler().fit(records, targets)
    chance = model.predict_proba(records)
    assert chance.sum(axis=1) == pytest.approx(1.0)
    assert (model.classes_[chance.argmax(axis=1)] == targets).mean() > 0.7


def test_names_of_keys():
    assert read_key("F# minor") == (6, "minor") and read_key("Bb major") == (10, "major")
    assert (
        read_key("Am") == (9, "minor")
        and read_key("dorian") == (None, "dorian")
        and read_key("G") == (7, "major")
    )
    with pytest.raises(ConfigError, match="is no key"):
        read_key("reel")


def test_rhythm_tells_jigs_from_reels(tunes):
    kept = [one for one in tunes if one.meta["meter"] in ("6/8", "2/2", "4/4")]
    records = [Record(one.id, concealed(one.input, ("meter", "bars", "unit"))) for one in kept]
    targets = np.array([int(one.meta["meter"] == "6/8") for one in kept])
    half = len(records) // 2
    model = NoteHistograms(["rhythm"]).fit(records[:half], targets[:half])
    right = model.predict_proba(records[half:]).argmax(axis=1) == targets[half:]
    assert right.mean() > 0.9
    assert rhythm_features(as_piece(records[0].input)).shape == (228,)
    assert np.isfinite(rhythm_features(Piece([0], [1], [60]))).all()
    for name in ("svm", "forest"):
        assert NoteHistograms(model=name).fit(records[:60], targets[:60]).predict_proba(
            records[:2]
        ).shape == (2, 2)
    with pytest.raises(ConfigError, match="did you mean 'logistic'"):
        NoteHistograms(model="logistc").fit(records[:9], targets[:9])


def test_the_corpus_split_is_that_of_pretraining():
    records = [Record(f"t{n}", "x", group=f"g{n // 3}") for n in range(300)]
    split = CorpusSplitter((0.8, 0.05, 0.15), 0).split(records)
    for part in ("train", "validation", "test"):
        rows = getattr(split, part)
        assert len(rows) and all(hash_part(records[row].group, (0.8, 0.05, 0.15), 0) == part for row in rows)


def test_recipe_and_tasks_share_fractions_and_seed():
    from scizoo.config import compose, to_plain

    for recipe, tasks in (
        ("music/tune-tiny", ("music/key", "music/meter", "music/dance", "music/collection")),
        ("music/mel-tiny", ("music/instruments",)),
    ):
        there = to_plain(compose("pretrain", recipe))
        for task in tasks:
            here = to_plain(compose("compare", task))
            assert (here["split"]["fractions"], here["split"]["seed"]) == (
                there["split"]["fractions"],
                there["split"]["seed"],
            )
            assert here["checkpoint"] == recipe


@pytest.fixture(scope="module")
def rendered() -> list[Record]:
    return list(RenderedTunes(40, limit=60, seconds=2.0))


def test_rendered_tunes_are_what_their_tags_say(rendered):
    assert len(rendered) == 40
    tags = np.array([[record.target[tag] for tag in sorted(record.target)] for record in rendered])
    assert tags.min() == 0 and (tags.mean(axis=0) > 0).all() and tags.shape[1] == 10
    assert all(record.input.rate == 16_000 and record.input.seconds == 2.0 for record in rendered)
    again = next(iter(RenderedTunes(1, limit=60, seconds=2.0)))
    assert again.input.digest() == rendered[0].input.digest()
    other = next(iter(RenderedTunes(1, limit=60, seconds=2.0, seed=1)))
    assert other.input.digest() != rendered[0].input.digest()
    with pytest.raises(ConfigError, match="is no tag"):
        RenderedTunes(tags=["banjo"])


def test_mfcc_statistics_tell_instruments(rendered):
    labels = np.array([[record.target["organ"], record.target["fast"]] for record in rendered], dtype=float)
    labels[0, 1] = np.nan
    model = TimbreStatistics().fit(rendered, labels)
    chance = model.predict_proba(rendered)
    assert chance.shape == (40, 2) and np.isfinite(chance).all()
    organ = labels[:, 0] == 1
    assert chance[organ, 0].mean() > chance[~organ, 0].mean() + 0.2
    with pytest.raises(DataError, match="no sound"):
        TimbreStatistics().fit([Record("a", 3)], np.array([1]))


def test_copies_of_a_recording_are_found_and_stay_together(rendered):
    few = rendered[:12]
    noise = np.random.default_rng(0).normal(0, 0.003, 32_000).astype(np.float32)
    planted = Sound(0.5 * rendered[3].input.mono() + noise, 16_000)
    alike = SoundSimilarity()
    found = alike.near_duplicates(few, [Record("copy", planted), rendered[20]])
    assert [(i, j) for i, j, _ in found] == [(3, 0)]
    assert alike.exact_duplicates(few, [few[5]]) == [(5, 0)]
    sketch = SoundSimilarity(scale=1).sketch(few)
    shares = SoundSimilarity(scale=1).overlap(sketch, [few[0], rendered[20]])
    assert shares[0] == 1.0 and shares[1] < 0.5
    plain = [Record(record.id, record.input) for record in rendered]
    split = SoundSplitter((0.6, 0.2, 0.2)).split([*plain, Record("copy", planted)])
    parts = {row: part for part in ("train", "validation", "test") for row in getattr(split, part)}
    assert parts[3] == parts[40]
    with pytest.raises(DataError, match="states no part"):
        SoundSplitter().split([Record("a", plain[0].input, meta={"split": "train"}), plain[1]])
