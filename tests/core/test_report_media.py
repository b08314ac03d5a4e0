"""Sounds and files that a domain makes of records: limits, hostile content, what fails, what is written."""

from __future__ import annotations

import base64
from pathlib import Path

import jsonschema
import pytest

from scizoo.data.records import Record
from scizoo.domain import Domain
from scizoo.errors import ConfigError
from scizoo.evaluation.report.media import MediaBudget, players
from scizoo.evaluation.report.render import render, schema
from scizoo.jobs import media
from scizoo.jobs.media import FileSettings, attach_media, write_record_files

WAV = b"RIFF$\x00\x00\x00WAVEfmt "


def test_a_sound_becomes_a_player_that_holds_its_bytes():
    entry = MediaBudget().entries([("as synthesised", "audio/wav", WAV)])[0]
    assert base64.b64decode(entry["data"].partition(",")[2]) == WAV
    page = players([entry], "Record a1")
    assert '<audio src="data:audio/wav;base64,' in page and " controls" in page
    assert 'aria-label="Record a1: as synthesised"' in page


def test_a_picture_and_a_film_are_shown_and_a_midi_file_is_offered():
    found = MediaBudget().entries(
        [("score", "image/png", b"p"), ("film", "video/mp4", b"v"), ("file", "audio/midi", b"m")]
    )
    page = players(found, "Record x/1")
    assert page.count("<img") == page.count("<video") == 1 and "<audio" not in page
    assert 'download="Record-x-1-3.mid"' in page


def test_what_is_too_large_is_left_out_with_a_word():
    budget = MediaBudget(largest=10, page=15)
    first, second, third = budget.entries(
        [("a", "audio/wav", b"x" * 11), ("b", "audio/wav", b"x" * 9), ("c", "audio/wav", b"x" * 9)]
    )
    assert "more than" in first["note"] and "data" in second and "full" in third["note"]
    assert "left out" in players([first], "r") and "<audio" not in players([first], "r")
    assert budget.left == 6


@pytest.mark.parametrize(
    ("kind", "content"), [("text/html", b"x"), ("audio/wav;x", b"x"), ("audio/wav", b""), ("audio/wav", "x")]
)
def test_what_is_no_medium_is_refused(kind, content):
    with pytest.raises(ValueError, match="'a' "):
        MediaBudget().entries([("a", kind, content)])


@pytest.mark.parametrize(
    "address",
    ["https://example.org/a.wav", 'data:audio/wav;base64,AA" onplay="x', "data:text/html;base64,AA"],
)
def test_nothing_is_loaded_from_elsewhere(address):
    page = players([{"label": "<script>", "type": "audio/wav", "data": address}], "r")
    assert "<audio" not in page and "src=" not in page and "<script>" not in page


def test_the_page_allows_sounds_inside_of_itself_alone():
    entry = {"id": "a", "true": "x", "predicted": "y"}
    entry["media"] = MediaBudget().entries([("sound", "audio/wav", WAV)])
    content = {
        "format_version": 1,
        "samples": {"name": "m", "count": 1, "shown": [{"id": "s", "text": "t", "media": entry["media"]}]},
        "mistakes": [entry],
    }
    page = render(content)
    assert (
        page.count("<audio") == 2 and "media-src data:;" in page and "http" not in page.partition("<body>")[2]
    )
    for name in ("mistake", "samples"):
        part = {**schema()["$defs"][name], "$defs": schema()["$defs"]}
        jsonschema.validate(entry if name == "mistake" else content["samples"], part)
    entry["media"][0]["data"] = "https://example.org/a.wav"
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(entry, {**schema()["$defs"]["mistake"], "$defs": schema()["$defs"]})


def test_a_medium_that_fails_loses_nothing_else(monkeypatch, caplog):
    def sound(record, prediction):
        if record.id == "a":
            raise RuntimeError("no sound")
        return [(f"{prediction}", "audio/wav", WAV)] if record.id == "b" else []

    monkeypatch.setattr(media, "get_class", lambda dotted, key: sound)
    entries: list[dict] = [{}, {}, {}]
    shown = [(one, Record(name, "x"), 0.123456) for one, name in zip(entries, "abc", strict=True)]
    attach_media(Domain("toy", "Toys", "scizoo_toy", media="scizoo_toy.sound"), shown)
    assert "media" not in entries[0] and "media" not in entries[2] and "no sound" in caplog.text
    assert entries[1]["media"][0]["label"] == "0.1235"
    attach_media(Domain("toy", "Toys", "scizoo_toy"), shown)
    attach_media(None, shown)


def test_files_of_records_have_names_of_their_own_and_appear_together(tmp_path: Path, caplog):
    def fails(value):
        if value == "bad":
            raise ValueError("cannot be written")
        return value.encode()

    names = ["a/b", "a b", "../..", "d", "e"]
    found = write_record_files(
        tmp_path / "samples", {"txt": fails}, names, ["x", "y", "z", "bad", "late"], most=4
    )
    assert found == {"txt": ["samples/a-b.txt", "samples/a-b-2.txt", "samples/record.txt", "", ""]}
    assert [(tmp_path / one).read_text() for one in found["txt"][:3]] == ["x", "y", "z"]
    assert sorted(path.name for path in tmp_path.rglob("*.txt")) == ["a-b-2.txt", "a-b.txt", "record.txt"]
    assert "d has no .txt file" in caplog.text

    def full(value):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_record_files(tmp_path / "more", {"txt": full}, ["a"], ["x"], most=1)
    assert [path.name for path in tmp_path.iterdir()] == ["samples"]
    assert write_record_files(tmp_path / "none", {}, names, names, most=4) == {}


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"formats": ["waw"]}, "did you mean 'wav'"),
        ({"formats": "wav"}, "files.formats=wav"),
        ({"most": -1}, "files.most=-1"),
        ({"fromats": []}, "did you mean 'formats'"),
    ],
)
def test_wrong_settings_of_files_get_one_message(settings, said):
    domain = Domain("toy", "Toys", "scizoo_toy", writes={"wav": "scizoo_toy.wav"})
    with pytest.raises(ConfigError) as caught:
        FileSettings.from_config(settings).writers(domain)
    assert said in str(caught.value)


def test_no_files_are_asked_of_a_domain_that_writes_none():
    assert FileSettings().writers(None) == {} == FileSettings().writers(Domain("toy", "Toys", "scizoo_toy"))
    assert (
        FileSettings(formats=[]).writers(Domain("t", "T", "scizoo_t", writes={"wav": "scizoo_t.wav"})) == {}
    )
