"""Small installed plugins made of a few lines, for tests of discovery and of the command."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from scizoo import plugins

FACE = """from scizoo.domain import Domain

DOMAIN = Domain(name="{name}", summary="About {name}", package="scizoo_{name}")
"""

TASK = """# @package _global_
defaults:
  - override /adapt: probe
task:
  name: {name}/sum
  summary: Add numbers
  domain: {name}
  kind: regression
data:
  _target_: scizoo_{name}.things.Things
  path: ???
  size: 3
"""

THINGS = """
class Things:
    def __init__(self, path, size=1):
        self.path, self.size = path, size
"""


def _make(folder: Path, name: str, *, face: str = FACE, files: dict[str, str] | None = None) -> Path:
    """Lay an importable package and the metadata of its distribution into `folder`."""
    info = folder / f"scizoo_{name}-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: scizoo-{name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[scizoo.domains]\n{name} = scizoo_{name}:DOMAIN\n")
    given = {
        "__init__.py": face.replace("{name}", name),
        "things.py": THINGS,
        f"conf/task/{name}/sum.yaml": TASK.replace("{name}", name),
        **(files or {}),
    }
    for path, text in given.items():
        target = folder / f"scizoo_{name}" / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
    return folder / f"scizoo_{name}"


@pytest.fixture
def make_plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Path]]:
    """Install plugins for one test: ``make_plugin("toy")`` returns the package's folder."""
    site = tmp_path / "site"
    site.mkdir()
    monkeypatch.syspath_prepend(str(site))
    monkeypatch.setenv("PYTHONPATH", str(site))
    monkeypatch.setattr(plugins, "user_conf_dirs", [])
    before = set(sys.modules)

    def make(name: str, **options: object) -> Path:
        package = _make(site, name, **options)
        plugins._scan.cache_clear()
        plugins._faces.cache_clear()
        return package

    yield make
    plugins._scan.cache_clear()
    plugins._faces.cache_clear()
    for module in set(sys.modules) - before:
        if module.startswith("scizoo_"):
            del sys.modules[module]
