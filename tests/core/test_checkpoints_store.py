"""Names, paths, URLs and the local store."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import fsspec
import numpy as np
import pytest
from safetensors.numpy import save_file

from scizoo.checkpoints import store
from scizoo.checkpoints.manifest import Manifest
from scizoo.checkpoints.safety import SUMS, write_sums
from scizoo.domain import Domain
from scizoo.errors import CheckpointError


def make(folder: Path, name: str = "test/tiny", summary: str = "a test") -> Path:
    folder.mkdir(parents=True)
    (folder / "README.md").write_text("# card\n")
    (folder / "config.json").write_text('{"model_type": "bert"}')
    (folder / "metrics.json").write_text('{"figures": []}')
    for file in ("model.safetensors", "reference.safetensors"):
        save_file({"a": np.arange(10, dtype=np.float32)}, folder / file)
    target = "scizoo.models.backbones.TransformersBackbone"
    manifest = Manifest(name, "test", "embedding", summary, "MIT", {"_target_": target}, {"max_length": 8})
    (folder / "scizoo.json").write_text(json.dumps(manifest.to_dict()))
    write_sums(folder)
    return folder


@pytest.fixture(autouse=True)
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A store and a cache of this test's own, and one plugin that ships a checkpoint."""
    monkeypatch.setenv("SCIZOO_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("SCIZOO_CACHE_DIR", str(tmp_path / "cache"))
    package = tmp_path / "packages" / "scizoo_rocks"
    make(package / "checkpoints" / "rock-tiny", "rocks/rock-tiny", "knows rocks")
    (package / "__init__.py").write_text("raise RuntimeError('nobody may import me')\n")
    monkeypatch.syspath_prepend(str(package.parent))
    shipped = {"rock-tiny": "checkpoints/rock-tiny", "rock-lost": "checkpoints/rock-lost"}
    rocks = Domain("rocks", "rocks", "scizoo_rocks", checkpoints=shipped)
    monkeypatch.setattr("scizoo.plugins.domains", lambda: {"rocks": rocks})
    monkeypatch.chdir(tmp_path)


def test_list_gives_names_with_summaries(tmp_path: Path) -> None:
    store.install(make(tmp_path / "a"), "test/tiny")
    found = store.list_checkpoints()
    assert found == ["rocks/rock-tiny", "test/tiny"]
    assert [info.source for info in found] == ["shipped", "store"]
    assert found[0].summary == "knows rocks"
    assert store.list_checkpoints("*tiny*") == found
    assert store.list_checkpoints("rocks/*") == ["rocks/rock-tiny"]
    assert store.list_checkpoints("*dna*") == []
    assert json.loads(json.dumps(found[1].to_dict()))["licence"] == "MIT"


def test_a_broken_manifest_is_listed_with_its_problem(tmp_path: Path) -> None:
    broken = store.install(make(tmp_path / "a"), "test/tiny")
    (broken / "scizoo.json").write_text("{")
    info = store.list_checkpoints("test/*")[0]
    assert "damaged" in info.summary


def test_shipped_names_resolve_without_importing_the_plugin(tmp_path: Path) -> None:
    path = store.resolve_ref("rocks/rock-tiny")
    assert path == tmp_path / "packages/scizoo_rocks/checkpoints/rock-tiny"
    assert "scizoo_rocks" not in sys.modules
    with pytest.raises(CheckpointError, match="belongs to an installed plugin"):
        store.resolve_ref("rocks/rock-lost")


def test_unknown_names_get_suggestions() -> None:
    with pytest.raises(
        CheckpointError, match=r"no checkpoint 'rocks/rok-tiny'; did you mean 'rocks/rock-tiny'"
    ):
        store.resolve_ref("rocks/rok-tiny")


def test_paths_and_file_urls(tmp_path: Path) -> None:
    folder = make(tmp_path / "with space")
    assert store.resolve_ref(str(folder)) == folder
    assert store.resolve_ref(folder) == folder
    assert store.resolve_ref("./with space").resolve() == folder
    assert store.resolve_ref(folder.as_uri()) == folder
    assert store.resolve_ref("with space") == Path("with space")
    with pytest.raises(CheckpointError, match="no checkpoint at"):
        store.resolve_ref("./nowhere")
    with pytest.raises(CheckpointError, match="no checkpoint at"):
        store.resolve_ref((tmp_path / "nowhere").as_uri())


def test_a_name_goes_before_a_folder_of_the_same_spelling(tmp_path: Path) -> None:
    make(tmp_path / "rocks" / "rock-tiny")
    assert "packages" in str(store.resolve_ref("rocks/rock-tiny"))
    assert "packages" not in str(store.resolve_ref("./rocks/rock-tiny").resolve())


def test_install_checks_name_and_contents_and_never_replaces_unasked(tmp_path: Path) -> None:
    folder = make(tmp_path / "a")
    path = store.install(folder, "test/tiny")
    assert store.resolve_ref("test/tiny") == path
    with pytest.raises(CheckpointError, match="already has"):
        store.install(folder, "test/tiny")
    assert store.install(folder, "test/tiny", overwrite=True) == path
    with pytest.raises(CheckpointError, match="shipped"):
        store.install(folder, "rocks/rock-tiny")
    for name in ("tiny", "../x/y", "Test/Tiny", "a/b=c", "/a/b", "a//b"):
        with pytest.raises(CheckpointError, match="cannot be the name"):
            store.install(folder, name)
    (folder / "README.md").write_text("changed")
    with pytest.raises(CheckpointError, match="does not match"):
        store.install(folder, "test/other")
    assert not (store.store_dir() / "test" / "other").exists()
    assert sorted(child.name for child in (store.store_dir() / "test").iterdir()) == ["tiny"]


@pytest.fixture
def remote(tmp_path: Path) -> str:
    """The same checkpoint on a remote file system (in memory), with a file it does not list."""
    folder = make(tmp_path / "remote")
    system = fsspec.filesystem("memory")
    for path in folder.iterdir():
        system.pipe(f"/bucket/tiny/{path.name}", path.read_bytes())
    system.pipe("/bucket/tiny/evil.py", b"print('hello')")
    return "memory://bucket/tiny"


def test_urls_are_fetched_once_and_only_what_is_listed(remote: str, tmp_path: Path) -> None:
    path = store.resolve_ref(remote)
    assert path.is_relative_to(tmp_path / "cache")
    assert not (path / "evil.py").exists()
    stamp = (path / "model.safetensors").stat().st_mtime_ns
    assert store.resolve_ref(remote) == path
    assert (path / "model.safetensors").stat().st_mtime_ns == stamp


def test_a_damaged_cache_is_fetched_again(remote: str) -> None:
    path = store.resolve_ref(remote)
    good = (path / "README.md").read_bytes()
    (path / "README.md").write_text("damaged")
    with pytest.warns(UserWarning, match="fetched again"):
        assert store.resolve_ref(remote) == path
    assert (path / "README.md").read_bytes() == good


def test_a_remote_that_changed_is_fetched_anew(remote: str, tmp_path: Path) -> None:
    first = store.resolve_ref(remote)
    newer = make(tmp_path / "newer", summary="newer")
    for path in newer.iterdir():
        fsspec.filesystem("memory").pipe(f"/bucket/tiny/{path.name}", path.read_bytes())
    second = store.resolve_ref(remote)
    assert second != first
    assert json.loads((second / "scizoo.json").read_text())["summary"] == "newer"


def test_without_the_remote_the_cache_serves(remote: str) -> None:
    path = store.resolve_ref(remote)
    fsspec.filesystem("memory").rm("/bucket/tiny", recursive=True)
    with pytest.warns(UserWarning, match="copy in the cache"):
        assert store.resolve_ref(remote) == path
    with pytest.raises(CheckpointError, match="could not be fetched"):
        store.resolve_ref("memory://bucket/nothing")


def test_a_damaged_remote_leaves_nothing_behind(remote: str, tmp_path: Path) -> None:
    fsspec.filesystem("memory").pipe("/bucket/tiny/config.json", b"{}")
    with pytest.raises(CheckpointError, match="does not match"):
        store.resolve_ref(remote)
    left = [path.name for path in (tmp_path / "cache" / "checkpoints").rglob("*") if path.is_file()]
    assert sorted(left) == sorted([SUMS, "lock"])


def test_a_remote_that_points_outside_is_refused(remote: str) -> None:
    system = fsspec.filesystem("memory")
    sums = system.cat("/bucket/tiny/SHA256SUMS") + b"0" * 64 + b"  ../../../evil\n"
    system.pipe("/bucket/tiny/SHA256SUMS", sums)
    with pytest.raises(CheckpointError, match="outside the checkpoint"):
        store.resolve_ref(remote)


def test_unknown_protocols_are_named() -> None:
    with pytest.raises(CheckpointError, match="gopher://x/y"):
        store.resolve_ref("gopher://x/y")
    with pytest.raises(CheckpointError, match="hf://org/name"):
        store.resolve_ref("hf://only-one-part")


def test_the_hub_by_its_own_cache_layout(tmp_path: Path) -> None:
    commit = "a" * 40
    repository = tmp_path / "hub" / "models--org--tiny"
    make(repository / "snapshots" / commit)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(commit)
    code = "from scizoo.checkpoints.store import resolve_ref; print(resolve_ref('hf://org/tiny'))"
    environment = {**os.environ, "HF_HUB_CACHE": str(tmp_path / "hub"), "HF_HUB_OFFLINE": "1"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert (Path(done.stdout.strip()) / "model.safetensors").is_file()
    missing = code.replace("org/tiny", "org/none")
    done = subprocess.run([sys.executable, "-c", missing], env=environment, capture_output=True, text=True)
    assert "CheckpointError" in done.stderr
    assert "could not be fetched" in done.stderr


def test_listing_imports_nothing_heavy() -> None:
    code = (
        "import sys, scizoo.checkpoints.store as s; s.list_checkpoints(); "
        "heavy = {'torch', 'transformers', 'lightning', 'pandas', 'sklearn', 'numpy'} & set(sys.modules); "
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
