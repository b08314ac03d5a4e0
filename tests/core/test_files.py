from __future__ import annotations

import errno
import json

import pytest

from scizoo.errors import MachineError
from scizoo.files import atomic_dir, atomic_path, cache_dir, data_dir, sha256_file, sha256_json, write_json


def test_a_file_appears_whole_or_not_at_all(tmp_path):
    target = tmp_path / "deep" / "a.txt"
    with pytest.raises(RuntimeError), atomic_path(target) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert list(target.parent.iterdir()) == []
    with atomic_path(target) as temporary:
        temporary.write_text("whole")
        assert not target.exists()
    assert target.read_text() == "whole"
    assert list(target.parent.iterdir()) == [target]


def test_a_failed_write_keeps_the_older_folder(tmp_path):
    target = tmp_path / "checkpoint"
    with atomic_dir(target) as temporary:
        (temporary / "old").touch()
    with pytest.raises(RuntimeError), atomic_dir(target) as temporary:
        (temporary / "new").touch()
        raise RuntimeError
    assert [path.name for path in target.iterdir()] == ["old"]
    with atomic_dir(target) as temporary:
        (temporary / "new").touch()
    assert [path.name for path in target.iterdir()] == ["new"]
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EROFS])
def test_a_full_disk_is_the_machines_fault_and_leaves_nothing(tmp_path, number):
    with pytest.raises(MachineError, match=r"a\.bin") as caught, atomic_path(tmp_path / "a.bin") as temporary:
        temporary.write_bytes(b"some")
        raise OSError(number, "told by the system")
    assert caught.value.exit_status == 1
    assert list(tmp_path.iterdir()) == []


def test_other_errors_of_the_system_stay_what_they_are(tmp_path):
    with pytest.raises(PermissionError), atomic_path(tmp_path / "a") as _:
        raise PermissionError(errno.EACCES, "no")


def test_json_is_readable_by_other_programs(tmp_path):
    path = write_json(tmp_path / "a.json", {"µ": [1, None]})
    assert json.loads(path.read_text(encoding="utf-8")) == {"µ": [1, None]}
    with pytest.raises(ValueError):
        write_json(tmp_path / "b.json", {"a": float("nan")})
    assert not (tmp_path / "b.json").exists()


def test_digests(tmp_path):
    (tmp_path / "a").write_bytes(b"abc")
    known = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # FIPS 180-2, appendix B.1
    assert sha256_file(tmp_path / "a") == known
    assert sha256_json({"a": 1, "b": 2}) == sha256_json({"b": 2, "a": 1}) != sha256_json({"a": 1, "b": 3})


def test_folders_follow_the_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("SCIZOO_DATA_DIR", str(tmp_path / "d"))
    monkeypatch.setenv("SCIZOO_CACHE_DIR", str(tmp_path / "c"))
    assert (data_dir(), cache_dir()) == (tmp_path / "d", tmp_path / "c")
