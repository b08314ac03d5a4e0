from __future__ import annotations

import subprocess
import sys

import pytest

from scizoo import plugins
from scizoo.domain import Domain
from scizoo.errors import ConfigError


def test_a_plugin_is_found_with_its_configs_and_face(make_plugin):
    package = make_plugin("toy")
    assert plugins.installed()["toy"] == "scizoo_toy"
    assert plugins.domains()["toy"] == Domain(name="toy", summary="About toy", package="scizoo_toy")
    assert plugins.version("toy") == "1.0"
    assert "toy/sum" in plugins.options("task")
    assert plugins.conf_dirs()[0] == plugins.core_conf_dir()
    assert package / "conf" in plugins.conf_dirs()


def test_finding_configs_imports_no_plugin(make_plugin):
    make_plugin("toy", face="raise RuntimeError('imported')\n")
    code = "import sys, scizoo.plugins as p; print(p.options('task'), 'scizoo_toy' in sys.modules)"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert "toy/sum" in out
    assert out.endswith(" False\n")


FACE = """from scizoo.domain import Domain

DOMAIN = Domain(name="{name}", summary="", package="scizoo_bad")
"""


@pytest.mark.parametrize(
    ("face", "problem"),
    [
        ("import no_such_library\n", "no_such_library"),
        ("1 / 0\n", "ZeroDivisionError"),
        ("DOMAIN = 3\n", "not a scizoo.domain.Domain"),
        ("", "DOMAIN"),
        (FACE.replace('name="{name}"', 'name="tool"'), "'tool'"),
    ],
)
def test_a_broken_plugin_leaves_the_others_alone(make_plugin, face, problem):
    make_plugin("bad", face=face)
    make_plugin("toy")
    assert "toy" in plugins.domains()
    assert "bad" not in plugins.domains()
    assert problem in plugins.broken()["bad"].problem
    assert "scizoo-bad" in plugins.broken()["bad"].remedy or "entry point" in plugins.broken()["bad"].problem


def test_an_entry_point_without_its_package_is_passed_over(make_plugin):
    package = make_plugin("gone")
    for path in sorted(package.rglob("*"), reverse=True):
        path.unlink() if path.is_file() else path.rmdir()
    package.rmdir()
    make_plugin("toy")
    assert "toy/sum" in plugins.options("task")
    assert "gone/sum" not in plugins.options("task")
    assert "gone" in plugins.broken()


def test_the_users_folder_goes_first(make_plugin, tmp_path):
    make_plugin("toy")
    mine = tmp_path / "mine" / "task" / "toy" / "sum.yaml"
    mine.parent.mkdir(parents=True)
    mine.write_text("# mine\n")
    plugins.add_user_conf_dir(tmp_path / "mine")
    assert plugins.option_files("task")["toy/sum"] == mine
    assert plugins.options("task").count("toy/sum") == 1
    with pytest.raises(ConfigError, match="nowhere"):
        plugins.add_user_conf_dir(tmp_path / "nowhere")


def test_names_with_an_underscore_are_not_offered(make_plugin):
    make_plugin("toy", files={"conf/task/toy/_base.yaml": "a: 1\n", "conf/task/_toy/x.yaml": "a: 1\n"})
    assert [name for name in plugins.options("task") if "toy" in name] == ["toy/sum"]
