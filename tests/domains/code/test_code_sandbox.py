"""The sandbox is closed: no attempt gets out, every limit holds, and where it is open it refuses."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from math import comb
from pathlib import Path

import numpy as np
import pytest

from scizoo.errors import ConfigError
from scizoo.evaluation.generation import Generated, TokenView
from scizoo_code.problems.completions import cut, program
from scizoo_code.problems.examples import easy_problems
from scizoo_code.problems.passk import pass_at_k
from scizoo_code.problems.scorer import PassAtK
from scizoo_code.sandbox import run as running
from scizoo_code.sandbox.attempts import ATTEMPTS, table
from scizoo_code.sandbox.limits import Limits, Outcome
from scizoo_code.sandbox.run import Sandbox, SandboxError


@pytest.fixture(scope="module")
def sandbox() -> Sandbox:
    made = Sandbox(Limits(seconds=5, cpu=2, memory=256 * 1024**2))
    try:
        made.check()
    except SandboxError as error:
        pytest.skip(f"the sandbox refuses to work here: {error.problem}")
    return made


@pytest.mark.parametrize("name", ATTEMPTS)
def test_no_attempt_gets_out(name, sandbox, tmp_path):
    canary = tmp_path / "canary.txt"
    canary.write_text("a secret")
    outcome = sandbox.run(ATTEMPTS[name].text(canary, os.getpid()))
    assert not outcome.passed, ATTEMPTS[name].title
    assert outcome.detail and "Error: name" not in outcome.detail and "SyntaxError" not in outcome.detail
    assert canary.read_text() == "a secret" and [one.name for one in tmp_path.iterdir()] == ["canary.txt"]
    expected = {
        "endless-loop": "time",
        "sleep": "time",
        "endless-output": "output",
        "memory-bomb": "memory",
        "exit": "killed",
        "forged-result": "killed",
    }
    assert outcome.status == expected.get(name, "failed")


def test_nothing_is_left_behind(sandbox, tmp_path):
    def children() -> set[str]:
        shown = subprocess.run(["ps", "-eo", "pid,args"], capture_output=True, text=True, check=True).stdout
        return {line for line in shown.splitlines() if "launcher.py" in line}

    if shutil.which("ps") is None:
        pytest.skip("ps is not installed")
    before = children()
    for text in (
        "while True: pass",
        "import threading, time\nthreading.Thread(target=time.sleep, args=(60,)).start()",
    ):
        sandbox.run(text)
    time.sleep(0.2)
    assert children() <= before


def test_ordinary_programs_run(sandbox):
    text = (
        "import collections, datetime, decimal, fractions, functools, hashlib, heapq, itertools, json\n"
        "import math, os, random, re, statistics, string, sys, tempfile, threading, time\n"
        "assert math.isclose(math.sqrt(2) ** 2, 2) and hashlib.md5(b'x').hexdigest()\n"
        "worker = threading.Thread(target=lambda: None)\nworker.start()\nworker.join()\n"
        "with tempfile.TemporaryFile() as stream:\n    stream.write(b'x')\n"
        "open('note.txt', 'w').write('mine')\nassert open('/tmp/note.txt').read() == 'mine'\n"
        "print('done', os.getcwd(), os.listdir('/tmp'))\n"
    )
    outcome = sandbox.run(text)
    assert outcome.passed, outcome
    assert outcome.output == "done /tmp ['note.txt']\n"
    assert sandbox.run("assert 1 == 2, 'no'").detail == "AssertionError: no"
    assert "SyntaxError" in sandbox.run("def f(:").detail
    # Each has a folder and an interpreter of its own.
    assert sandbox.run("import os\nassert os.listdir('/tmp') == []").passed


def test_many_programs_keep_their_order_and_equal_ones_run_once(sandbox, monkeypatch):
    ran: list[str] = []
    whole = running._run
    monkeypatch.setattr(running, "_run", lambda text, limits: ran.append(text) or whole(text, limits))
    programs = ["assert True", "assert False", "assert True", "x = 1"]
    assert [one.passed for one in sandbox.run_many(programs, workers=2)] == [True, False, True, True]
    assert sorted(ran) == sorted(set(programs))


def test_it_is_closed_for_an_ordinary_user_too(tmp_path):
    python = shutil.which("python3", path="/usr/bin:/usr/local/bin")
    if os.geteuid() != 0 or shutil.which("setpriv") is None or python is None:
        pytest.skip("needs root, setpriv and a system Python to become somebody else")
    folder = Path("/tmp") / f"scizoo-launcher-{os.getpid()}"
    folder.mkdir(mode=0o755)
    try:
        launcher = shutil.copy(Path(running.__file__).with_name("launcher.py"), folder)
        base = folder / "base"
        base.mkdir()
        os.chown(base, 65534, 65534)
        code = "import sys; print(*sys.path, sep='\\n')"
        shown = subprocess.run([python, "-I", "-S", "-c", code], capture_output=True, text=True, check=True)
        folders = [str(Path(one).resolve()) for one in shown.stdout.split() if Path(one).is_dir()]
        folders = [one for one in folders if not any(one.startswith(f"{other}/") for other in folders)]
        attempt = "import os\nassert os.getuid() == 65534 and not os.path.exists('/etc')\n"
        job = {
            "program": attempt + ATTEMPTS["fork"].program,
            "base": str(base),
            "folders": folders,
            "hidden": [],
            "token": "t",
            "uid": 61184,
            "limits": {"cpu": 2, "memory": 2**29, "files": 2**20, "processes": 16},
        }
        reading, writing = os.pipe()
        nobody = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"]
        ran = subprocess.run(
            [*nobody, python, "-I", "-S", str(launcher), str(writing)],
            input=json.dumps(job).encode(),
            pass_fds=(writing,),
            capture_output=True,
            timeout=60,
            check=False,
        )
        os.close(writing)
        with os.fdopen(reading, "rb") as stream:
            said = [json.loads(line) for line in stream]
    finally:
        shutil.rmtree(folder)
    if said and said[0].get("closed") is False and "user namespace" in said[0]["reason"]:
        pytest.skip(f"user namespaces are not for ordinary users here: {said[0]['reason']}")
    assert said[0]["closed"] is True, (said, ran.stdout)
    assert said[1]["outcome"] == "failed" and "Operation not permitted" in said[1]["detail"]


@pytest.mark.parametrize("lost", ["filter_calls()", 'drop_rights(as_root, job["uid"])', "own_root(job"])
def test_a_wall_that_is_missing_is_noticed_and_nothing_is_run(lost, sandbox, tmp_path, monkeypatch):
    text = Path(running._LAUNCHER).read_text()
    assert text.count(f"    {lost}") >= 1
    broken = tmp_path / "launcher.py"
    broken.write_text(text.replace(f"    {lost}", f"    0 and {lost}"))
    monkeypatch.setattr(running, "_LAUNCHER", broken)
    monkeypatch.setattr(running, "_try_out", running._try_out.__wrapped__)
    with pytest.raises(SandboxError, match="cannot be closed"):
        Sandbox().run("print('ran')")
    with pytest.raises(SandboxError, match="closed"):
        Sandbox().run_many(["1"])


def test_other_systems_are_refused(monkeypatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    with pytest.raises(SandboxError, match="darwin") as caught:
        Sandbox().run("1")
    assert "Linux" in str(caught.value)


def test_limits_without_meaning_are_refused():
    for wrong in ({"seconds": 0}, {"memory": 1}, {"cpu": "many"}, {"processes": 0}):
        with pytest.raises(ConfigError, match=next(iter(wrong))):
            Limits(**wrong)


def test_the_table_names_every_attempt_and_shouts_when_one_got_out():
    outcomes = {name: Outcome("failed", "PermissionError: x") for name in ATTEMPTS}
    text = table(outcomes)
    assert text.count("| refused |") == len(ATTEMPTS) and "GOT OUT" not in text
    assert "GOT OUT" in table({"passwd": Outcome("passed")})


def test_pass_at_k_is_the_share_of_draws_that_hold_a_correct_one():
    for samples, correct, k in ((10, 3, 1), (10, 3, 5), (20, 1, 10), (5, 0, 5), (5, 5, 1), (200, 37, 100)):
        exact = 1 - comb(samples - correct, k) / comb(samples, k)
        assert pass_at_k(samples, correct, k) == pytest.approx(exact)
    assert np.isnan(pass_at_k(3, 1, 5))
    with pytest.raises(ConfigError):
        pass_at_k(3, 4, 1)


def test_completions_end_where_the_function_does():
    assert cut("    return 1\n\ndef g():\n    pass\n") == "    return 1\n\n"
    assert cut("    return [\n        1,\n]\n\nprint(1)\n") == "    return [\n        1,\n]\n\n"
    assert cut("    x = 1\n# next\n") == "    x = 1\n"
    assert cut("\treturn 1") == "\treturn 1"


def test_known_solutions_pass_and_wrong_ones_do_not(sandbox):
    problems = easy_problems()
    outcomes = sandbox.run_many([program(one, one.solution) for one in problems])
    assert all(one.passed for one in outcomes)
    scorer = PassAtK(k=[1, 2, 5], seconds=3, cpu=2)
    heldout = problems[:3]
    scorer.fit(problems[3:], heldout, TokenView([np.arange(5)], [np.arange(5)]))
    answers = [
        *(heldout[0].solution, "    return 0\n"),
        *(heldout[1].solution, heldout[1].solution),
        *("    return (", "    import os\n    os._exit(0)\n"),
    ]
    references = [problem for problem in heldout for _ in range(2)]
    found = scorer.score(Generated(answers, [np.arange(3)] * 6, references, answers))
    ones = np.ones((1, 6))
    assert found["pass_at_1"].function()(ones)[0] == pytest.approx((0.5 + 1 + 0) / 3)
    assert found["pass_at_2"].function()(ones)[0] == pytest.approx((1 + 1 + 0) / 3)
    assert found["pass_at_5"].reason and len(set(found["pass_at_1"].groups.tolist())) == 3
    assert found["passed"].values.tolist() == [1, 0, 1, 1, 0, 0]
    assert found["validity"].values.tolist() == [1, 1, 1, 1, 0, 1]
    assert scorer.prompt(heldout[0]) == heldout[0].prompt and scorer.main == "pass_at_1"


def test_the_scorer_refuses_before_anything_is_trained(monkeypatch):
    monkeypatch.setattr(running, "_try_out", lambda: "no walls")
    with pytest.raises(SandboxError, match="no walls"):
        PassAtK().fit([], [], TokenView([np.arange(2)], [np.arange(2)]))
    with pytest.raises(ConfigError, match=r"scorer\.k"):
        PassAtK(k=[0])


def test_processor_time_is_told_where_the_clock_says_nothing(monkeypatch, sandbox):
    # As if the start had been noticed late.
    monkeypatch.setattr("scizoo_code.sandbox.run.time.monotonic", lambda: 0.0)
    outcome = Sandbox(Limits(seconds=60, cpu=1, memory=256 * 1024**2)).run("while True:\n    pass\n")
    assert outcome.status == "time" and "processor time" in outcome.detail
