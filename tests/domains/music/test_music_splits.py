"""Variants of a melody: found in any key, kept together, reported when they are not."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from scizoo.data.records import Record
from scizoo.errors import DataError
from scizoo_music.abc.plain import transpose_abc
from scizoo_music.datasets.polyphony import PolyphonicRolls
from scizoo_music.datasets.tunes import FolkTunes
from scizoo_music.similarity import MelodySimilarity, interval_text
from scizoo_music.splitters import PieceSplitter


@pytest.fixture(scope="module")
def tunes() -> list[Record]:
    return list(FolkTunes(limit=60, variants=None))


def altered(tune: str) -> str:
    """Change one note in twenty, as another player would."""
    head, music = tune.split("K:", 1)
    key, music = music.split("\n", 1)
    letters = list(music)
    places = [place for place, letter in enumerate(letters) if letter in "ABcdef"]
    for place in places[10::20]:
        letters[place] = {"A": "B", "B": "A", "c": "d", "d": "e", "e": "d", "f": "e"}[letters[place]]
    return f"{head}K:{key}\n{''.join(letters)}"


def test_transpositions_are_the_same_piece(tunes: list[Record]) -> None:
    alike = MelodySimilarity()
    moved = [Record(f"m{one.id}", transpose_abc(one.input, 5)) for one in tunes]
    assert {(place, place) for place in range(len(tunes))} <= set(alike.exact_duplicates(tunes, moved))
    assert interval_text(tunes[0].input) == interval_text(moved[0].input)


def test_variants_are_near_and_strangers_are_not(tunes: list[Record]) -> None:
    alike = MelodySimilarity(threshold=0.3)
    variants = [Record(f"v{one.id}", transpose_abc(altered(one.input), -2)) for one in tunes]
    found = alike.near_duplicates(tunes, variants)
    assert len(found) > 0.9 * len(tunes)
    assert sum(i == j for i, j, _ in found) > 0.95 * len(found)
    half = len(tunes) // 2
    assert len(alike.near_duplicates(tunes[:half], tunes[half:])) <= 2


def test_a_corpus_knows_its_pieces_in_any_key(tunes: list[Record]) -> None:
    alike = MelodySimilarity(scale=2)
    half = len(tunes) // 2
    sketch = alike.sketch(tunes[:half])
    moved = [Record(one.id, transpose_abc(one.input, 3)) for one in tunes]
    held = alike.overlap(sketch, moved)
    assert np.nanmin(held[:half]) == 1.0
    assert np.nanmean(held[half:]) < 0.2


def test_a_split_keeps_variants_together_and_finds_a_planted_one(tunes: list[Record]) -> None:
    records = [*tunes, *(Record(f"v{one.id}", transpose_abc(altered(one.input), 4)) for one in tunes[:30])]
    splitter = PieceSplitter(fractions=(0.6, 0.2, 0.2))
    groups = splitter.groups(records)
    together = sum(groups[place] == groups[len(tunes) + place] for place in range(30))
    assert together >= 28
    split = splitter.split(records)
    parts = {place: part for part in ("train", "validation", "test") for place in getattr(split, part)}
    assert sum(parts[place] == parts[len(tunes) + place] for place in range(30)) >= 28
    apart = PieceSplitter(fractions=(0.6, 0.2, 0.2), near=None)
    assert len(set(apart.groups(records))) == len(records)
    assert "in any key" in split.method


def test_composers_stay_together(tunes: list[Record]) -> None:
    named = [
        Record(one.id, one.input, meta={"composer": "abcde"[place % 5]}) for place, one in enumerate(tunes)
    ]
    split = PieceSplitter(fractions=(0.6, 0.2, 0.2), by="composer", near=None).split(named)
    held = {part: {named[row].meta["composer"] for row in getattr(split, part)} for part in ("train", "test")}
    assert not held["train"] & held["test"]
    with pytest.raises(DataError, match="composer"):
        PieceSplitter(by="composer").split(tunes)


def test_groups_of_the_corpus_hold_a_tune_of_two_transcribers() -> None:
    records = list(FolkTunes(["oneill"]))
    sizes = Counter(record.group for record in records)
    twice = [record for record in records if "1556-1576" in record.id or "1556-1624" in record.id]
    joined = [record for record in twice if sizes[record.group] > 1]
    assert len(joined) > 0.8 * len(twice)  # the same pages of the book, typed in by two people


def test_rolls_in_given_parts(tmp_path: Path) -> None:
    path = tmp_path / "rolls.json"
    path.write_text('{"train": [[[60, 64], [60]], [[50], [-1]]], "valid": [[[62]]], "test": [[[-1], [70]]]}')
    records = list(PolyphonicRolls(path))
    assert [record.meta["split"] for record in records] == ["train", "train", "validation", "test"]
    assert records[0].input.duration.tolist() == [2.0, 1.0]
    path.write_text('{"train": 3}')
    with pytest.raises(DataError, match="no piano-rolls"):
        list(PolyphonicRolls(path))
