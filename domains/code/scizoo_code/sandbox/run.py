"""Running programs that nobody trusts, in a sandbox that is closed or not used at all."""

from __future__ import annotations

import json
import os
import secrets
import selectors
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any, Literal

from scizoo.errors import MachineError
from scizoo_code.sandbox.limits import Limits, Outcome

_LAUNCHER = Path(__file__).with_name("launcher.py")
_FIRST_UID, _UIDS = 61_184, 4_000  # the range that systemd keeps for users that exist for a moment
_GRACE = 10.0  # seconds that closing may take
_OVERRUN = -signal.SIGXCPU & 0xFF  # exit status of a launcher whose program used its processor time up
_TAIL = 4_000  # characters of output that are kept


class SandboxError(MachineError):
    """The sandbox cannot be closed on this machine; nothing was run."""


class Sandbox:
    """Runs Python programs with no network, no files, no other processes, and limits on all else.

    Linux only; see :mod:`scizoo_code.sandbox.launcher` for the walls. Where one of them cannot be put up,
    nothing is run. A program sees the standard library and an empty ``/tmp`` in memory. It is judged by
    whether it runs to its end: a program that searches the interpreter for the means to say so itself can
    cheat, but not get out.

    Parameters
    ----------
    limits : Limits, optional
    """

    def __init__(self, limits: Limits | None = None):
        self.limits = limits or Limits()

    def check(self) -> None:
        """Make sure that the sandbox can be closed here, by closing one.

        Raises
        ------
        SandboxError
            When it cannot, with the reason.
        """
        found = _try_out()
        if found is not None:
            raise _refusal(found)

    def run(self, program: str) -> Outcome:
        """Run a program.

        Raises
        ------
        SandboxError
            When the sandbox cannot be closed; the program was not run then.
        """
        return _run(program, self.limits)

    def run_many(self, programs: Sequence[str], workers: int | None = None) -> list[Outcome]:
        """Run programs side by side, equal ones once; the order is that of ``programs``.

        Parameters
        ----------
        programs : sequence of str
        workers : int, optional
            How many at once; by default as many as there are processors for this process.
        """
        self.check()
        different = list(dict.fromkeys(programs))
        with ThreadPoolExecutor(workers or len(os.sched_getaffinity(0))) as pool:
            outcomes = dict(zip(different, pool.map(self.run, different), strict=True))
        return [outcomes[program] for program in programs]


@cache
def _try_out() -> str | None:
    """Close a sandbox around an empty program; returns why that fails."""
    try:
        _run("", Limits())
    except SandboxError as error:
        return error.problem
    return None


def _refusal(reason: str) -> SandboxError:
    return SandboxError(
        reason,
        expected="Linux on x86-64 or ARM64, with user namespaces or as root, and seccomp",
        remedy="run it on such a machine; in a container, allow user namespaces (or grant CAP_SYS_ADMIN) and "
        "the default seccomp profile must not forbid unshare, mount and pivot_root.",
    )


@cache
def _library() -> tuple[list[str], list[str]]:
    """Return the folders of the standard library, and the ones within that do not belong to it."""
    code = "import sys; print('\\n'.join(sys.path))"
    shown = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, check=True, env={}
    )
    found = [str(Path(line).resolve()) for line in shown.stdout.splitlines() if Path(line).is_dir()]
    folders = [one for one in dict.fromkeys(found) if not any(one.startswith(f"{other}/") for other in found)]
    hidden = [f"{folder}/{name}" for folder in folders for name in ("site-packages", "dist-packages", "test")]
    return folders, hidden


def _job(program: str, limits: Limits, base: str, token: str) -> bytes:
    folders, hidden = _library()
    return json.dumps(
        {
            "program": program,
            "base": base,
            "folders": folders,
            "hidden": hidden,
            "token": token,
            "uid": _FIRST_UID + secrets.randbelow(_UIDS),
            "limits": {name: getattr(limits, name) for name in ("cpu", "memory", "files", "processes")},
        }
    ).encode()


def _run(program: str, limits: Limits) -> Outcome:
    if not sys.platform.startswith("linux"):
        raise _refusal(f"the sandbox cannot be closed on {sys.platform}.")
    token = secrets.token_hex(16)
    with tempfile.TemporaryDirectory(prefix="scizoo-sandbox-") as base:
        job = _job(program, limits, base, token)
        reading, writing = os.pipe()
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-B", str(_LAUNCHER), str(writing)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            pass_fds=(writing,),
            env={},
            cwd="/",
            start_new_session=True,
        )
        os.close(writing)
        try:
            return _Watch(process, reading, token, limits).outcome(job)
        finally:
            _end(process)
            os.close(reading)


def _end(process: subprocess.Popen[bytes]) -> None:
    """End everything that was started; the kernel ends the inner processes with the outer one."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        process.kill()
    process.wait()
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            stream.close()


class _Watch:
    """Feeds a sandbox its job and follows what it says and prints."""

    def __init__(self, process: subprocess.Popen[bytes], status: int, token: str, limits: Limits):
        self.process, self.status, self.token, self.limits = process, status, token, limits
        self.said, self.printed = b"", b""
        self.started: float | None = None

    def outcome(self, job: bytes) -> Outcome:
        assert self.process.stdin is not None and self.process.stdout is not None
        try:
            self.process.stdin.write(job)
            self.process.stdin.close()
        except BrokenPipeError:
            pass  # it ended early, and has said why
        begin = time.monotonic()
        stopped = self._follow(self.process.stdout.fileno(), begin)
        facts = self._facts()
        refused = next((one for one in facts if one.get("closed") is False), None)
        closed = any(one.get("closed") and one.get("token") == self.token for one in facts)
        if refused is not None and not closed:
            raise _refusal(f"the sandbox cannot be closed: {refused.get('reason')}.")
        if not closed:
            said = self.printed.decode("utf-8", "replace").strip()[-300:]
            why = "it took too long" if stopped == "time" else said or "it ended without a word"
            raise _refusal(f"the sandbox cannot be closed: {why}.")
        output = self.printed[-_TAIL:].decode("utf-8", "replace")
        seconds = time.monotonic() - (self.started or begin)
        if stopped is not None:
            detail = {
                "time": f"{self.limits.seconds:g} s of time",
                "output": f"{self.limits.output} bytes of output",
            }
            return Outcome(stopped, f"more than {detail[stopped]}", output, seconds)
        ended = next((one for one in facts if "outcome" in one and one.get("token") == self.token), None)
        if ended is not None and ended["outcome"] in ("passed", "failed", "memory"):
            return Outcome(ended["outcome"], str(ended.get("detail", "")), output, seconds)
        if seconds >= self.limits.cpu or self._overran():
            return Outcome("time", f"more than {self.limits.cpu} s of processor time", output, seconds)
        return Outcome("killed", "it ended without a result", output, seconds)

    def _overran(self) -> bool:
        """Tell whether the kernel ended the program for its processor time, whatever the clock says."""
        try:
            return self.process.wait(1.0) == _OVERRUN
        except subprocess.TimeoutExpired:
            return False

    def _follow(self, stdout: int, begin: float) -> Literal["time", "output"] | None:
        """Read until both ends are closed; returns the limit that was met."""
        with selectors.DefaultSelector() as selector:
            for file in (stdout, self.status):
                selector.register(file, selectors.EVENT_READ)
            while selector.get_map():
                start = begin + _GRACE if self.started is None else self.started + self.limits.seconds
                left = start - time.monotonic()
                if left <= 0:
                    return "time"
                for key, _ in selector.select(left):
                    data = os.read(key.fd, 1 << 16)
                    if not data:
                        selector.unregister(key.fd)
                    elif key.fd == self.status:
                        self.said = (self.said + data)[: 1 << 20]
                        if self.started is None and self.token.encode() in self.said:
                            self.started = time.monotonic()
                    else:
                        self.printed += data
                        if len(self.printed) > self.limits.output:
                            return "output"
        return None

    def _facts(self) -> list[dict[str, Any]]:
        facts = []
        for line in self.said.splitlines():
            try:
                fact = json.loads(line)
            except ValueError:
                continue
            if isinstance(fact, dict):
                facts.append(fact)
        return facts
