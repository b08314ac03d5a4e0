"""What makes load() refuse a checkpoint; each reason has a message of its own."""

from __future__ import annotations

import json
import pickle
import re
import subprocess
import zipfile
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from scizoo.checkpoints import migrations
from scizoo.checkpoints.manifest import Manifest, portable, portable_text, read_manifest
from scizoo.checkpoints.migrations import FORMAT_VERSION, migrate
from scizoo.checkpoints.safety import SUMS, check_folder, write_sums
from scizoo.errors import CheckpointError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A checkpoint that holds everything but a model that works."""
    made = tmp_path / "checkpoint"
    made.mkdir()
    (made / "README.md").write_text("# card\n")
    (made / "config.json").write_text('{"model_type": "bert"}')
    (made / "metrics.json").write_text('{"figures": []}')
    for name in ("model.safetensors", "reference.safetensors"):
        save_file({"a": np.arange(1000, dtype=np.float32)}, made / name)
    seal(made)
    return made


def seal(folder: Path, **changes: object) -> None:
    """Write a manifest and checksums that fit the folder as it is now."""
    manifest = Manifest(
        name="test/tiny",
        domain="test",
        kind="embedding",
        summary="a test",
        licence="MIT",
        backbone={"_target_": "scizoo.models.backbones.TransformersBackbone"},
        context={"max_length": 8},
        files={
            path.name: path.stat().st_size
            for path in folder.iterdir()
            if path.name not in {"scizoo.json", SUMS}
        },
    )
    (folder / "scizoo.json").write_text(json.dumps({**manifest.to_dict(), **changes}))
    write_sums(folder)


def refused(folder: Path) -> str:
    with pytest.raises(CheckpointError) as caught:
        check_folder(folder)
    assert caught.value.exit_status == 2
    return str(caught.value)


def test_a_good_checkpoint_passes_here_and_in_sha256sum(folder: Path) -> None:
    assert check_folder(folder).name == "test/tiny"
    done = subprocess.run(["sha256sum", "-c", "--strict", SUMS], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count(": OK") == 6


def test_flipped_byte_is_corruption(folder: Path) -> None:
    path = folder / "model.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    message = refused(folder)
    assert "model.safetensors does not match its checksum" in message
    assert "corrupted or changed" in message


def test_short_file_is_truncated(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    assert re.search(r"model\.safetensors is truncated: \d+ of \d+ bytes", refused(folder))


def test_short_safetensors_is_truncated_even_when_checksums_fit(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    raw = json.loads((folder / "scizoo.json").read_text())
    raw["files"] = {}
    (folder / "scizoo.json").write_text(json.dumps(raw))
    write_sums(folder)
    assert "is truncated" in refused(folder)


def test_changed_text_is_tampering(folder: Path) -> None:
    (folder / "README.md").write_text("# cart\n")
    assert "README.md does not match its checksum" in refused(folder)


def test_missing_file(folder: Path) -> None:
    (folder / "metrics.json").unlink()
    assert "incomplete: metrics.json is missing" in refused(folder)


@pytest.mark.parametrize("name", ["helper.py", "notes.txt", "sub/more.json"])
def test_added_file(folder: Path, name: str) -> None:
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_text("print('hello')")
    message = refused(folder)
    assert name in message
    assert "was added" in message


def test_code_is_refused_even_when_listed(folder: Path) -> None:
    (folder / "modeling_evil.py").write_text("print('hello')")
    seal(folder)
    message = refused(folder)
    assert "modeling_evil.py" in message
    assert "never code" in message


@pytest.mark.parametrize("name", ["pytorch_model.bin", "weights.pt", "model.pkl", "last.ckpt"])
def test_pickles_are_refused_by_name(folder: Path, name: str) -> None:
    (folder / name).write_bytes(pickle.dumps({"a": 1}))
    seal(folder)
    message = refused(folder)
    assert name in message
    assert "is a pickle" in message


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_pickle_in_disguise(folder: Path, protocol: int) -> None:
    (folder / "model.safetensors").write_bytes(pickle.dumps({"a": list(range(50))}, protocol=protocol))
    seal(folder)
    assert "model.safetensors is a pickle" in refused(folder)


def test_torch_zip_in_disguise(folder: Path) -> None:
    with zipfile.ZipFile(folder / "model.safetensors", "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps({}))
    seal(folder)
    assert "model.safetensors is a pickle" in refused(folder)


def test_a_header_that_only_looks_like_a_pickle_is_read(folder: Path) -> None:
    # A header of 0x0280 = 640 bytes starts with the bytes of a protocol 2 pickle.
    header = json.dumps({"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}).ljust(0x280)
    path = folder / "model.safetensors"
    path.write_bytes((0x280).to_bytes(8, "little") + header.encode() + bytes(4))
    assert path.read_bytes()[:2] == b"\x80\x02"
    seal(folder)
    check_folder(folder)


def test_newer_format_says_so(folder: Path) -> None:
    seal(folder, format_version=FORMAT_VERSION + 1, something_new=True)
    message = refused(folder)
    assert f"format version {FORMAT_VERSION + 1}" in message
    assert "upgrade scizoo" in message


def test_a_forged_version_is_tampering_not_news(folder: Path) -> None:
    raw = json.loads((folder / "scizoo.json").read_text())
    (folder / "scizoo.json").write_text(json.dumps({**raw, "format_version": 99}))
    assert "scizoo.json does not match its checksum" in refused(folder)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{", "cut off or damaged"),
        ("[]", "does not state a format version"),
        ('{"format_version": "1"}', "state"),
    ],
)
def test_damaged_manifest(folder: Path, content: str, words: str) -> None:
    (folder / "scizoo.json").write_text(content)
    write_sums(folder)
    assert words in refused(folder)


def test_not_a_checkpoint_at_all(tmp_path: Path) -> None:
    assert "is not a scizoo checkpoint" in refused(tmp_path)


def test_no_sums(folder: Path) -> None:
    (folder / SUMS).unlink()
    assert f"has no {SUMS}" in refused(folder)


def test_sums_cut_within_and_between_lines(folder: Path) -> None:
    text = (folder / SUMS).read_text()
    (folder / SUMS).write_text(text[:-120])
    assert "cut off or damaged at line" in refused(folder)
    lines = [line for line in text.splitlines(keepends=True) if "metrics.json" not in line]
    (folder / SUMS).write_text("".join(lines))
    assert "incomplete: it does not list metrics.json" in refused(folder)


@pytest.mark.parametrize(
    "name", ["../../etc/passwd", "/etc/passwd", "sub/../../x", "..\\x", "C:\\x", "./x", "a//b", "x\x07"]
)
def test_path_traversal(folder: Path, name: str) -> None:
    with (folder / SUMS).open("a") as stream:
        stream.write(f"{'0' * 64}  {name}\n")
    message = refused(folder)
    assert "outside the checkpoint" in message


@pytest.mark.parametrize(
    "key_and_value",
    [("auto_map", {"AutoModel": "modeling_evil.Evil"}), ("_attn_implementation", "evil/kernel:fast")],
)
def test_remote_code_in_the_config(folder: Path, key_and_value: tuple[str, object]) -> None:
    key, value = key_and_value
    (folder / "config.json").write_text(json.dumps({"model_type": "bert", key: value}))
    seal(folder)
    assert f"({key})" in refused(folder)


def test_unknown_and_missing_fields(folder: Path) -> None:
    seal(folder, surprise=1)
    assert "unknown fields surprise" in refused(folder)
    raw = json.loads((folder / "scizoo.json").read_text())
    del raw["surprise"], raw["kind"]
    (folder / "scizoo.json").write_text(json.dumps(raw))
    write_sums(folder)
    assert "lacks kind" in refused(folder)


def test_migrations_lead_from_any_older_version_to_the_newest(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migrations, "MIGRATIONS", {})

    @migrations.migration(1)
    def rename(raw: dict) -> dict:
        raw["words"] = raw.pop("summary")
        return raw

    @migrations.migration(2)
    def shorten(raw: dict) -> dict:
        return {**raw, "words": raw["words"].upper()}

    with pytest.raises(ValueError, match="already"):
        migrations.migration(2)(shorten)
    old = {"format_version": 1, "summary": "abc"}
    assert migrate(old, folder, to=3) == {"format_version": 3, "words": "ABC"}
    assert old == {"format_version": 1, "summary": "abc"}
    with pytest.raises(CheckpointError, match="no migration is known"):
        migrate(old, folder, to=4)


def test_an_older_checkpoint_is_migrated_when_it_is_read(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw = json.loads((folder / "scizoo.json").read_text())
    raw["words"] = raw.pop("summary")
    (folder / "scizoo.json").write_text(json.dumps(raw))
    write_sums(folder)
    monkeypatch.setattr(migrations, "FORMAT_VERSION", 2)
    monkeypatch.setattr(migrations, "MIGRATIONS", {})

    @migrations.migration(1)
    def rename(old: dict) -> dict:
        old["summary"] = old.pop("words")
        return old

    assert check_folder(folder).summary == "a test"
    assert read_manifest(folder).format_version == 2


def test_portable_leaves_the_machine_out() -> None:
    config = {
        "data": {
            "path": "/home/me/genomes/a.fa",
            "url": "https://me:secret@host/x",
            "columns": ["a", "/tmp/b/c"],
        },
        "run_dir": "/runs/1",
        "cache": "/tmp/cache",
        "windows": "C:\\Users\\me\\x.csv",
        "home": "~/data/x.csv",
        "where": Path("/srv/data/y.csv"),
        "source": "pypi:pkg==1.0!path/in/archive#sha256=00",
        "rate": 0.1,
        "name": "genomics/dna-tiny",
        "none": None,
        "title": "a set, train (/home/my own/data/set)",
        "words": "either (and/or both) or (~/notes/a.txt)",
    }
    assert portable(config) == {
        "data": {"path": "a.fa", "url": "https://host/x", "columns": ["a", "c"]},
        "windows": "x.csv",
        "home": "x.csv",
        "where": "y.csv",
        "source": "pypi:pkg==1.0!path/in/archive#sha256=00",
        "rate": 0.1,
        "name": "genomics/dna-tiny",
        "none": None,
        "title": "a set, train (set)",
        "words": "either (and/or both) or (a.txt)",
    }


@pytest.mark.parametrize(
    ("command", "left"),
    [
        (
            "/opt/bin/scizoo finetune a/b data.path=/home/me/x.csv seed=1",
            "scizoo finetune a/b data.path=x.csv seed=1",
        ),
        (
            "scizoo x 'data.path=/home/me/my.fa' data.files=[/a/b.fa,~/c/d.fa]",
            "scizoo x 'data.path=my.fa' data.files=[b.fa,d.fa]",
        ),
        (
            "scizoo x data.path=file:///a/b.fa checkpoint=./runs/1",
            "scizoo x data.path=b.fa checkpoint=./runs/1",
        ),
        (
            "scizoo x data.path=https://me:pw@host/a/b.fa task=a/b",
            "scizoo x data.path=https://host/a/b.fa task=a/b",
        ),
    ],
)
def test_commands_on_cards_leave_the_machine_out(command: str, left: str) -> None:
    assert portable_text(command) == left
