from __future__ import annotations

import json
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOMAINS = sorted(path.parent for path in ROOT.glob("domains/*/pyproject.toml"))

BUILD = "import sys; from setuptools import build_meta; print(build_meta.{step}(sys.argv[1]))"

COMPOSE = """
import json, sys
import scizoo
from scizoo import plugins
from scizoo.config import compose
from scizoo.jobs import JOBS
names = []
for verb in JOBS:
    compose(verb)
    for name in plugins.options("recipe" if verb == "pretrain" else "task"):
        compose(verb, name)
        names.append(name)
for group in plugins.groups():
    for option in plugins.options(group):
        if group not in ("task", "recipe", "base"):
            compose("finetune", None, [f"{group}={option}"])
            names.append(f"{group}={option}")
folders = [str(path) for path in plugins.conf_dirs()]
print(json.dumps({"file": scizoo.__file__, "names": names, "conf": folders}))
"""


def build(project: Path, work: Path) -> Path:
    """Build sdist -> wheel as a release does, and return the wheel."""
    tree = work / "tree"
    ignored = shutil.ignore_patterns(
        "*.egg-info", "build", "dist", "__pycache__", "runs", ".*", "tests", "domains", "tools"
    )
    shutil.copytree(project, tree, symlinks=True, ignore=ignored)
    stale = tree / "build" / "lib" / "scizoo" / "conf"  # an old build must not come back
    stale.mkdir(parents=True)
    (stale / "stale.yaml").write_text("a: 1\n")
    source = _step("build_sdist", tree, work)
    with tarfile.open(work / source) as archive:
        archive.extractall(work / "unpacked", filter="data")
    (unpacked,) = (work / "unpacked").iterdir()
    return work / _step("build_wheel", unpacked, work)


def _step(step: str, tree: Path, out: Path) -> str:
    code = BUILD.replace("{step}", step)
    done = subprocess.run([sys.executable, "-c", code, str(out)], cwd=tree, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()[-1]


@pytest.fixture(scope="module")
def wheels(tmp_path_factory):
    return {
        project.name if project != ROOT else "core": build(project, tmp_path_factory.mktemp("build"))
        for project in [ROOT, *DOMAINS]
    }


def _shipped(folder: Path, below: Path) -> set[str]:
    return {path.relative_to(below).as_posix() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.slow
def test_wheels_hold_every_config_and_checkpoint_and_nothing_stale(wheels):
    with zipfile.ZipFile(wheels["core"]) as wheel:
        held = set(wheel.namelist())
    configs = {f"scizoo/{name}" for name in _shipped(ROOT / "conf", ROOT)}
    assert {name for name in held if name.startswith("scizoo/conf/")} == configs
    assert "scizoo/py.typed" in held
    assert "hydra_plugins/scizoo_searchpath/__init__.py" in held
    assert "hydra_plugins/__init__.py" not in held  # it would hide the plugins of other packages
    for project in DOMAINS:
        package = project / f"scizoo_{project.name}"
        with zipfile.ZipFile(wheels[project.name]) as wheel:
            held = set(wheel.namelist())
        for part in ("conf", "checkpoints"):
            wanted = {name for name in _shipped(package / part, project) if "__pycache__" not in name}
            assert wanted <= held, sorted(wanted - held)


@pytest.mark.slow
def test_installed_wheels_compose_every_config(wheels, tmp_path):
    venv.create(tmp_path / "env", with_pip=False)
    python = tmp_path / "env" / "bin" / "python"
    paths = sysconfig.get_paths(vars={"base": str(tmp_path / "env"), "platbase": str(tmp_path / "env")})
    site = Path(paths["purelib"])
    install = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--no-deps",
        "--no-index",
        "--quiet",
        "--target",
        str(site),
    ]
    subprocess.run([*install, *map(str, wheels.values())], check=True)
    # The libraries come from this environment; a .pth line does not follow its editable installs.
    (site / "libraries.pth").write_text(sysconfig.get_paths()["purelib"] + "\n")
    done = subprocess.run([python, "-c", COMPOSE], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    for path in [found["file"], *found["conf"]]:
        assert Path(path).is_relative_to(site)
    tasks = {
        path.relative_to(conf).with_suffix("").as_posix()
        for project in DOMAINS
        for conf in [project / f"scizoo_{project.name}" / "conf" / "task"]
        for path in conf.rglob("*.yaml")
        if not path.name.startswith("_")
    }
    assert tasks <= set(found["names"])
    assert "trainer=ddp" in found["names"]


def test_every_domain_is_held_to_the_direction_of_imports():
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    packages = {f"scizoo_{project.name}" for project in DOMAINS}
    contracts = {contract["type"]: contract for contract in settings["contracts"][:3]}
    assert packages <= set(settings["root_packages"])
    assert packages == set(contracts["forbidden"]["forbidden_modules"])
    assert packages == set(contracts["independence"]["modules"])
