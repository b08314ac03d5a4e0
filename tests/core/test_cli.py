from __future__ import annotations

import csv
import json
import logging
import os
import re
import shlex
import subprocess
import sys
import types
from pathlib import Path

import pytest
import yaml

from scizoo import cli, plugins
from scizoo.errors import DataError, MachineError
from scizoo.jobs import run as runner


@pytest.fixture
def in_folder(make_plugin, tmp_path, monkeypatch):
    """A working directory of its own, with the domain `toy` installed."""
    make_plugin("toy")
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    return work


@pytest.fixture
def job(in_folder, monkeypatch):
    """Put a job of a few lines in the place of ``scizoo.jobs.embed``; it notes how it was called."""
    calls = []

    def work(cfg, run_dir):
        calls.append((cfg, run_dir, list(sys.argv), Path.cwd()))
        (run_dir / "embeddings.csv").write_text(str(cfg.seed))
        logging.getLogger("scizoo.test").info("worked on %s", cfg.data.path)
        return {"objective": cfg.seed * 1.5, "vectors": [1, 2]}

    module = types.ModuleType("scizoo.jobs.embed")
    module.run = work
    module.calls = calls
    monkeypatch.setitem(sys.modules, "scizoo.jobs.embed", module)
    return module


def command(*words, env=None):
    """Run the command in a fresh process."""
    return subprocess.run(
        [sys.executable, "-m", "scizoo", *words],
        capture_output=True,
        text=True,
        env={**os.environ, **(env or {})},
    )


LIGHT = """
import sys
from scizoo.cli import main
status = main(sys.argv[1:])
heavy = {"torch", "lightning", "transformers", "timm", "peft", "pandas", "sklearn", "scipy", "matplotlib"}
from scizoo.plugins import domains
heavy |= {word for domain in domains().values() for word in domain.requires}
print(sorted(heavy & set(sys.modules)), file=sys.stderr)
sys.exit(status)
"""


@pytest.mark.parametrize(
    "words",
    [
        ["--help"],
        ["--version"],
        ["list"],
        ["list", "tasks", "toy"],
        ["list", "--json"],
        ["info", "toy"],
        ["info", "toy/sum"],
        ["finetune", "--help"],
        ["finetune", "toy/sum", "--help"],
        ["generate", "--help"],
        ["generate", "toy/sum", "--help"],
        ["config", "show", "toy/sum"],
        ["config", "--help"],
    ],
    ids=" ".join,
)
def test_a_light_command_imports_nothing_heavy(in_folder, words):
    done = subprocess.run([sys.executable, "-c", LIGHT, *words], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "[]\n")
    assert done.stdout.strip()


def test_importing_scizoo_and_hydras_plugin_is_light():
    code = "import sys, scizoo, scizoo.config, hydra_plugins.scizoo_searchpath; print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "False\n"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["fintune", "toy/sum"], "did you mean 'finetune'"),
        (["finetune", "toy/smu"], "did you mean 'toy/sum'"),
        (["finetune"], "toy/sum"),
        (["finetune", "toy/sum"], "data.path must be given"),
        (["finetune", "toy/sum", "data.pth=a"], "did you mean 'data.path'"),
        (["finetune", "toy/sum", "trainer.max_stepz=3"], "trainer.max_steps"),
        (["finetune", "toy/sum", "trainer=gpuu"], "did you mean 'gpu'"),
        (["finetune", "toy/sum", "tiny"], "tiny=VALUE"),
        (["finetune", "toy/sum", "--debgu"], "--debug"),
        (["finetune", "toy/sum", "--cfg"], "scizoo config show"),
        (["finetune", "toy/sum", "data.path=a", "data._target_=os.system"], "data._target_"),
        (["finetune", "toy/sum", "data.path=${nope}"], "nope"),
        (["finetune", "toy/sum", "--config-dir", "nowhere"], "nowhere"),
        (["list", "taks"], "did you mean 'tasks'"),
        (["list", "--multirun"], "no flag --multirun"),
        (["info", "toy/smu"], "did you mean 'toy/sum'"),
        (["info"], "needs a name"),
        (["doctor", "tay"], "did you mean 'toy'"),
        (["config", "shw", "toy/sum"], "did you mean 'show'"),
        (["config", "check", "toy/sum"], None),
        (["config", "show", "toy/smu"], "did you mean 'toy/sum'"),
        (["verify", "toy/none"], "toy/none"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_mistake_gets_one_message_and_status_2(in_folder, capsys, words, said):
    status = cli.main(words)
    out, err = capsys.readouterr()
    if said is None:
        assert (status, err) == (0, "")
        return
    assert status == 2
    assert said in err
    assert "Traceback" not in err
    assert err.startswith("scizoo: ")
    assert out == ""
    assert list(in_folder.iterdir()) == []  # nothing is left behind


def test_help_works_at_every_level(in_folder, capsys):
    for words, said in [
        ([], "finetune"),
        (["--help"], "exit status"),
        (["list", "--help"], "checkpoints"),
        (["finetune", "-h"], "Add numbers"),
        (["pretrain", "--help"], "recipes"),
        (["finetune", "toy/sum", "--help"], "data.path"),
    ]:
        assert cli.main(words) == 0
        assert said in capsys.readouterr().out
    assert re.search(r"data\.size +3\n", _out(capsys, ["finetune", "toy/sum", "--help"]))


def _out(capsys, words):
    assert cli.main(words) == 0
    return capsys.readouterr().out


def test_list_is_readable_by_programs(in_folder, capsys):
    whole = json.loads(_out(capsys, ["list", "--json"]))
    assert set(whole) == {"domains", "tasks", "recipes", "tokenizers", "checkpoints"}
    (task,) = json.loads(_out(capsys, ["list", "tasks", "toy", "--json"]))["tasks"]
    assert (task["name"], task["summary"], task["kind"]) == ("toy/sum", "Add numbers", "regression")


def test_a_broken_plugin_is_reported_and_others_go_on(make_plugin, in_folder, capsys):
    make_plugin("bad", face="import no_such_library\n")
    assert "no_such_library" in _out(capsys, ["list"])
    assert "Add numbers" in _out(capsys, ["finetune", "--help"])
    assert cli.main(["config", "check", "bad/sum"]) == 2
    assert "scizoo doctor bad" in capsys.readouterr().err
    assert cli.main(["doctor", "bad"]) == 1
    out = capsys.readouterr().out
    assert "BAD  domain bad" in out
    assert "pip uninstall scizoo-bad" in out


def test_doctor_finds_a_missing_library_and_a_wrong_config(make_plugin, in_folder, capsys):
    face = (
        "from scizoo.domain import Domain\n"
        "DOMAIN = Domain(name='ill', summary='', package='scizoo_ill', requires=('no_such_library',))\n"
    )
    task = "# @package _global_\ndata: {_target_: scizoo_ill.things.Things, sise: 2}\n"
    make_plugin(
        "ill", face=face, files={"conf/task/ill/other.yaml": task, "conf/task/ill/third.yaml": "a: [\n"}
    )
    assert cli.main(["doctor", "ill", "--json"]) == 1
    findings = json.loads(capsys.readouterr().out)
    problems = " ".join(finding["text"] for finding in findings if finding["remedy"])
    assert "no_such_library" in problems
    assert "data.sise" in problems and "'size'" in problems
    assert "third.yaml" in problems


def test_doctor_lets_a_domain_look_into_the_data(make_plugin, in_folder, capsys):
    face = (
        "from scizoo.domain import Domain\n"
        "DOMAIN = Domain(name='eye', summary='', package='scizoo_eye', inspect='scizoo_eye.look.inspect')\n"
    )
    look = "def inspect(given):\n    return [f\"saw {given['path']}\", ('it is torn', 'mend it')]\n"
    make_plugin("eye", face=face, files={"look.py": look, "conf/.keep": ""})
    assert cli.main(["doctor", "eye", "data.path=mine", "--json"]) == 1
    found = [one for one in json.loads(capsys.readouterr().out) if one["what"] == "data"]
    assert [(one["text"], one["remedy"]) for one in found] == [("saw mine", ""), ("it is torn", "mend it")]


def test_config_copy_gives_an_editable_copy_that_config_dir_uses(in_folder, capsys):
    out = _out(capsys, ["config", "copy", "toy/sum", "mine"])
    copy = Path(out.strip())
    assert copy == Path("mine/task/toy/sum.yaml")
    copy.write_text(copy.read_text().replace("size: 3", "size: 9"))
    shown = yaml.safe_load(_out(capsys, ["config", "show", "toy/sum", "--config-dir", "mine"]))
    assert shown["data"]["size"] == 9
    assert cli.main(["config", "copy", "toy/sum", "mine"]) == 2
    assert "size: 9" in copy.read_text()


def test_a_job_gets_a_run_directory_with_command_config_and_log(job, in_folder, capsys):
    out = _out(capsys, ["embed", "toy/sum", "data.path=/a=b/c.fa", "seed=4"])
    folder = Path(out.splitlines()[-1])
    assert folder.parent == Path("runs/embed/toy/sum")
    ((cfg, given, argv, cwd),) = job.calls
    assert given == folder and cwd == in_folder
    assert cfg.run_dir == str(folder)
    assert (folder / "command.txt").read_text() == "scizoo embed toy/sum data.path=/a=b/c.fa seed=4\n"
    assert yaml.safe_load((folder / "config.yaml").read_text())["data"]["path"] == "/a=b/c.fa"
    assert "worked on /a=b/c.fa" in (folder / "run.log").read_text()
    assert (folder / "embeddings.csv").read_text() == "4"
    # what Lightning would start again for further ranks
    assert Path(argv[0]).name == "__main__.py"
    assert argv[1:] == ["embed", "toy/sum", "data.path=/a=b/c.fa", "seed=4"]


def test_no_run_writes_over_another(job, in_folder, capsys):
    folders = {_out(capsys, ["embed", "toy/sum", "data.path=a"]).splitlines()[-1] for _ in range(3)}
    assert len(folders) == 3
    assert cli.main(["embed", "toy/sum", "data.path=a", "run_dir=mine"]) == 0
    before = {path: path.read_bytes() for path in Path("mine").iterdir()}
    capsys.readouterr()
    assert cli.main(["embed", "toy/sum", "data.path=b", "run_dir=mine"]) == 2
    assert "mine exists already" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in Path("mine").iterdir()} == before


def test_two_runs_in_the_same_microsecond_do_not_share_a_folder(in_folder, monkeypatch):
    class Frozen(runner.datetime):
        @classmethod
        def now(cls, tz=None):
            return cls(2030, 1, 1)

    monkeypatch.setattr(runner, "datetime", Frozen)
    first, second = (runner.new_run_dir(None, "embed", "toy/sum") for _ in range(2))
    assert first != second
    assert second.is_dir()


@pytest.mark.parametrize(
    ("error", "status", "kept"),
    [
        (DataError("reads.fa, record 3: not a sequence"), 2, False),
        (MachineError("the disk is full"), 1, True),
        (RuntimeError("a fault of the program"), 1, True),
        (KeyboardInterrupt(), 130, True),
    ],
)
def test_how_a_job_fails_decides_the_exit_status(job, in_folder, capsys, error, status, kept):
    def fail(cfg, run_dir):
        raise error

    job.run = fail
    assert cli.main(["embed", "toy/sum", "data.path=a"]) == status
    err = capsys.readouterr().err
    assert "Traceback" not in err
    assert str(error) in err
    logs = list(Path("runs").rglob("run.log"))
    assert bool(logs) == kept
    if kept and status == 1:
        assert "Traceback" in logs[0].read_text()
    assert cli.main(["embed", "toy/sum", "data.path=a", "--debug"]) == status
    assert ("Traceback" in capsys.readouterr().err) == (status != 130)


def test_what_a_refused_job_has_written_is_kept(job, in_folder):
    def fail(cfg, run_dir):
        (run_dir / "rejected.csv").write_text("id,reason\n")
        raise DataError("too many records were rejected")

    job.run = fail
    assert cli.main(["embed", "toy/sum", "data.path=a"]) == 2
    assert len(list(Path("runs").rglob("rejected.csv"))) == 1


def test_a_sweep_leaves_the_logging_of_its_process_as_it_was(job, in_folder):
    root = logging.getLogger()
    before = list(root.handlers), root.level
    assert cli.main(["embed", "toy/sum", "data.path=a", "seed=1,2", "-m"]) == 0
    assert (list(root.handlers), root.level) == before


def test_a_sweep_runs_each_combination_in_its_own_folder(job, in_folder, capfd):
    assert cli.main(["embed", "toy/sum", "seed=1,2", "data.path=/a=1,/b=2", "-m"]) == 0
    root = Path(capfd.readouterr().out.splitlines()[-1])
    assert root.parent == Path("runs/embed/toy/sum")
    assert sorted(path.name for path in root.iterdir() if path.is_dir()) == ["0", "1", "2", "3"]
    assert sorted((c.seed, c.data.path) for c, *_ in job.calls) == [
        (1, "/a=1"),
        (1, "/b=2"),
        (2, "/a=1"),
        (2, "/b=2"),
    ]
    for cfg, folder, argv, cwd in job.calls:
        assert folder.parent == root and cwd == in_folder
        assert yaml.safe_load((folder / "config.yaml").read_text())["seed"] == cfg.seed
        assert (folder / "run.log").exists()
        assert argv[1] == "embed" and f"seed={cfg.seed}" in argv
    with (root / "sweep.csv").open() as stream:
        assert [row["objective"] for row in csv.DictReader(stream)] == ["1.5", "1.5", "3.0", "3.0"]
    # each job's command runs that job again
    words = shlex.split((root / "3" / "command.txt").read_text())[1:]
    assert cli.main(words) == 0
    assert (job.calls[-1][0].seed, job.calls[-1][0].data.path) == (2, "/b=2")


def test_a_sweep_over_names_and_a_failing_job(job, make_plugin, in_folder, capfd):
    make_plugin("tool")
    assert cli.main(["embed", "task=toy/sum,tool/sum", "data.path=a", "-m"]) == 0
    assert [cfg.task.name for cfg, *_ in job.calls] == ["toy/sum", "tool/sum"]
    assert cli.main(["embed", "task=toy/sum,toool/sum", "data.path=a", "-m"]) == 2
    assert "did you mean 'tool/sum'" in capfd.readouterr().err

    def fail(cfg, run_dir):
        raise DataError("a.csv: no column 'x'")

    job.run = fail
    assert cli.main(["embed", "toy/sum", "data.path=a", "seed=1,2", "-m"]) == 2
    assert "a.csv: no column 'x'" in capfd.readouterr().err


def test_further_ranks_use_the_first_ones_folder(job, in_folder, capsys, monkeypatch):
    first = _out(capsys, ["embed", "toy/sum", "data.path=a"]).splitlines()[-1]
    before = (Path(first) / "command.txt").stat().st_mtime_ns
    monkeypatch.setenv("LOCAL_RANK", "1")  # as Lightning starts them
    monkeypatch.setenv("NODE_RANK", "0")
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert _out(capsys, ["embed", "toy/sum", "data.path=a"]) == ""
    assert Path(job.calls[-1][1]) == Path(first).absolute()
    assert (Path(first) / "command.txt").stat().st_mtime_ns == before
    assert len(list(Path("runs").rglob("command.txt"))) == 1


def test_ranks_started_from_outside_agree_on_a_folder(in_folder, monkeypatch):
    for name, value in {"SLURM_JOB_ID": "7", "SLURM_STEP_ID": "2", "SLURM_STEP_NUM_TASKS": "4"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv(runner.RUN_DIR_VARIABLE, raising=False)
    folders = []
    for rank in "0123":
        monkeypatch.setenv("SLURM_PROCID", rank)
        folders.append(runner.new_run_dir(None, "embed", "toy/sum"))
    assert set(folders) == {Path("runs/embed/toy/sum/slurm-7-2")}


RELAUNCHED = """
import os, subprocess, sys, types
module = types.ModuleType("scizoo.jobs.embed")

def run(cfg, run_dir):
    rank = int(os.environ.get("LOCAL_RANK", 0))
    (run_dir / f"rank{rank}.txt").write_text(f"{cfg.data.path} {cfg.seed}")
    if rank == 0:
        from lightning.fabric.strategies.launchers.subprocess_script import _basic_subprocess_cmd
        from hydra.core.hydra_config import HydraConfig
        assert not HydraConfig.initialized()
        again = list(_basic_subprocess_cmd())
        assert again[1].endswith("__main__.py"), again
        again[1:2] = [sys.argv_of_test]  # the same script with this job
        subprocess.run(again, env={**os.environ, "LOCAL_RANK": "1", "NODE_RANK": "0"}, check=True)

module.run = run
sys.modules["scizoo.jobs.embed"] = module
sys.argv_of_test = __file__
from scizoo.cli import main
if __name__ == "__main__":
    sys.exit(main())
"""


@pytest.mark.slow
def test_lightning_starts_further_ranks_with_the_same_job(in_folder):
    script = in_folder / "front.py"
    script.write_text(RELAUNCHED)
    words = ["embed", "toy/sum", "data.path=/a=b", "seed=5", "-m"]  # inside Hydra, the harder case
    done = subprocess.run([sys.executable, str(script), *words], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    folder = Path(done.stdout.splitlines()[-1]) / "0"
    assert (folder / "rank0.txt").read_text() == (folder / "rank1.txt").read_text() == "/a=b 5"


def test_the_package_runs_as_a_module_and_as_a_script(in_folder):
    assert "toy/sum" in command("list").stdout
    script = Path(cli.__file__).parent / "__main__.py"
    done = subprocess.run([sys.executable, str(script), "fintune"], capture_output=True, text=True)
    assert done.returncode == 2
    assert "did you mean 'finetune'" in done.stderr


def test_a_reader_that_stops_early_is_no_error(in_folder):
    done = subprocess.run(
        f'"{sys.executable}" -m scizoo finetune --help | head -1', shell=True, capture_output=True, text=True
    )
    assert done.stderr == ""


def test_every_job_verb_has_its_config_and_its_help():
    primaries = {path.stem for path in plugins.core_conf_dir().glob("*.yaml")}
    assert primaries == set(cli.JOBS)
