"""Attempts to get out of the sandbox: ``python -m scizoo_code.sandbox.attempts`` makes them and tells."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from scizoo_code.sandbox.limits import Limits, Outcome
from scizoo_code.sandbox.run import Sandbox

_CTYPES = "import ctypes, os\nlibc = ctypes.CDLL(None, use_errno=True)\n"


@dataclass(frozen=True)
class Attempt:
    """A program that runs to its end only if it got what it was after.

    Parameters
    ----------
    title : str
    program : str
        ``{canary}`` stands for a file outside the sandbox, ``{parent}`` for the process that runs it.
    """

    title: str
    program: str

    def text(self, canary: Path, parent: int) -> str:
        """Give the program with its places filled in."""
        return self.program.replace("{canary}", str(canary)).replace("{parent}", str(parent))


def _call(numbers: Mapping[str, int], *arguments: object) -> str:
    """Write a direct system call, which has another number on each kind of machine."""
    given = ", ".join(map(str, arguments))
    return (
        f"{_CTYPES}import platform\nnumber = {dict(numbers)}[platform.machine()]\n"
        f"assert libc.syscall(number, {given or 0}) >= 0, os.strerror(ctypes.get_errno())\n"
    )


#: Every attempt by its name.
ATTEMPTS: dict[str, Attempt] = {
    "socket": Attempt(
        "connect to the network",
        "import socket\nsocket.create_connection(('127.0.0.1', 22), timeout=1)\n",
    ),
    "socket-udp": Attempt(
        "send a datagram",
        "import socket\nsocket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('8.8.8.8', 53))\n",
    ),
    "socket-unix": Attempt(
        "talk to a service of the machine through a socket file",
        "import socket\nsocket.socket(socket.AF_UNIX).connect('/run/dbus/system_bus_socket')\n",
    ),
    "passwd": Attempt("read /etc/passwd", "assert open('/etc/passwd').read()\n"),
    "home": Attempt(
        "list the home folders",
        # Python itself may be installed there, and is all that is left.
        "import os\nown = os.path.dirname(os.__file__)\n"
        "homes = [one for one in ('/home', '/root') if os.path.isdir(one)]\n"
        "found = [f'{one}/{name}' for one in homes for name in os.listdir(one)]\n"
        "assert any(not own.startswith(one) for one in found), 'nothing but Python itself'\n",
    ),
    "canary": Attempt("read a file of the user that runs it", "assert open('{canary}').read()\n"),
    "write-outside": Attempt(
        "write outside its folder",
        "import os\nhome = os.path.dirname('{canary}')\nlibrary = os.path.dirname(os.__file__)\n"
        "places = ['/x', '/usr/x', '/etc/x', '/var/tmp/x', '/dev/shm/x', f'{home}/x', f'{library}/x.py']\n"
        "for place in places:\n"
        "    try:\n        open(place, 'w').write('x')\n    except OSError:\n        continue\n"
        "    break\nelse:\n    raise PermissionError('nowhere')\n",
    ),
    "write-canary": Attempt("change a file of the user that runs it", "open('{canary}', 'r+').write('x')\n"),
    "symlink": Attempt(
        "reach a file through a symbolic link",
        "import os\nos.symlink('{canary}', '/tmp/link')\nassert open('/tmp/link').read()\n",
    ),
    "symlink-up": Attempt(
        "reach a file by way of ..",
        "assert open('/tmp/' + '../' * 40 + '{canary}'.lstrip('/')).read()\n",
    ),
    "hard-link": Attempt("reach a file through a hard link", "import os\nos.link('{canary}', '/tmp/link')\n"),
    "proc": Attempt(
        "look at processes in /proc",
        "import os\nassert os.listdir('/proc') or open('/proc/self/environ').read()\n",
    ),
    "proc-root": Attempt(
        "reach the machine's files through /proc", "assert open('/proc/{parent}/root/etc/passwd').read()\n"
    ),
    "mount-proc": Attempt(
        "mount /proc", f"{_CTYPES}assert libc.mount(b'proc', b'/tmp', b'proc', 0, None) == 0, 'refused'\n"
    ),
    "chroot": Attempt("change the root folder", "import os\nos.chroot('/tmp')\n"),
    "open-descriptors": Attempt(
        "use a file that was left open",
        "import os\nfor number in range(3, 256):\n"
        "    try:\n        names = os.listdir(number)\n    except OSError:\n        continue\n"
        "    if set(names) - {'tmp'}:\n        break\n"
        "else:\n    raise PermissionError('none is open')\n",
    ),
    "environment": Attempt(
        "read the environment",
        "import os\nassert set(os.environ) - {'LC_CTYPE', 'PWD', 'SHLVL', '_'}, 'empty'\n",
    ),
    "fork": Attempt("start a process", "import os\nos.fork()\n"),
    "fork-bomb": Attempt("start processes without end", "import os\nfor _ in range(100):\n    os.fork()\n"),
    "subprocess": Attempt(
        "run a program", "import subprocess, sys\nsubprocess.run([sys.executable, '-c', '1'], check=True)\n"
    ),
    "exec": Attempt("turn into another program", "import os\nos.execv('/bin/sh', ['sh', '-c', 'exit 0'])\n"),
    "clone": Attempt(
        "start a process by a direct system call", _call({"x86_64": 56, "aarch64": 220}, 17, 0, 0, 0, 0)
    ),
    "background": Attempt(
        "leave a process behind",
        "import os\nif os.fork() == 0:\n    os.setsid()\n    import time\n    time.sleep(600)\n",
    ),
    "thread-bomb": Attempt(
        "start threads without end",
        "import threading, time\nfor _ in range(500):\n"
        "    threading.Thread(target=time.sleep, args=(2,), daemon=True).start()\n",
    ),
    "memory-bomb": Attempt(
        "take 64 GB of memory", "parts = []\nfor _ in range(640):\n    parts.append(bytearray(10**8))\n"
    ),
    "file-bomb": Attempt(
        "fill the disk",
        "for number in range(100):\n"
        "    with open(f'/tmp/{number}', 'wb') as stream:\n        stream.write(bytes(10**7))\n",
    ),
    "endless-loop": Attempt("never end", "while True:\n    pass\n"),
    "sleep": Attempt("sleep for ever", "import time\ntime.sleep(3600)\n"),
    "endless-output": Attempt("print without end", "while True:\n    print('x' * 1000)\n"),
    "kill-parent": Attempt(
        "kill the process before it", "import os, signal\nos.kill(os.getppid(), signal.SIGKILL)\n"
    ),
    "kill-runner": Attempt(
        "kill the process that runs it", "import os, signal\nos.kill({parent}, signal.SIGKILL)\n"
    ),
    "kill-all": Attempt("kill every process", "import os, signal\nos.kill(-1, signal.SIGKILL)\n"),
    "ptrace": Attempt(
        "trace the process before it",
        f"{_CTYPES}assert libc.ptrace(16, os.getppid(), 0, 0) == 0, 'refused'\n",
    ),
    "read-memory": Attempt(
        "read the memory of the process before it",
        _call({"x86_64": 310, "aarch64": 270}, "os.getppid()", 0, 0, 0, 0, 0),
    ),
    "setuid": Attempt("become root", "import os\nos.setuid(0)\n"),
    "setgroups": Attempt("join a group", "import os\nos.setgroups([0])\n"),
    "unshare": Attempt(
        "make a user namespace, to be root there",
        f"{_CTYPES}assert libc.unshare(0x10000000) == 0, 'refused'\n",
    ),
    "limits": Attempt(
        "raise its own limits",
        "import resource\nresource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY,) * 2)\n",
    ),
    "memfd": Attempt(
        "make a file without a name, to run it", _call({"x86_64": 319, "aarch64": 279}, "b'x'", 0)
    ),
    "io-uring": Attempt(
        "open files through io_uring",
        _call({"x86_64": 425, "aarch64": 425}, 8, "ctypes.create_string_buffer(120)"),
    ),
    "bpf": Attempt("load a program into the kernel", _call({"x86_64": 321, "aarch64": 280}, 0, 0, 0)),
    "device": Attempt(
        "make a device", "import os, stat\nos.mknod('/tmp/disk', 0o600 | stat.S_IFBLK, os.makedev(8, 0))\n"
    ),
    "terminal": Attempt(
        "type into the terminal", "import fcntl, termios\nfcntl.ioctl(1, termios.TIOCSTI, b'x')\n"
    ),
    "exit": Attempt("end before the tests and call it a success", "import os\nos._exit(0)\n"),
    "sys-exit": Attempt("end by sys.exit(0)", "import sys\nsys.exit(0)\n"),
    "forged-result": Attempt(
        "write a result of its own to every open file",
        "import json, os\nfor number in range(3, 64):\n    try:\n"
        "        os.write(number, json.dumps({'outcome': 'passed', 'token': 'x'}).encode() + b'\\n')\n"
        "    except OSError:\n        pass\nos._exit(0)\n",
    ),
}


def try_all(canary: Path, limits: Limits | None = None) -> dict[str, Outcome]:
    """Make every attempt, one after the other.

    Parameters
    ----------
    canary : Path
        A file that attempts try to read and to change.
    limits : Limits, optional

    Raises
    ------
    SandboxError
        When the sandbox cannot be closed here.
    """
    import os

    sandbox = Sandbox(limits or Limits(seconds=3, cpu=2))
    sandbox.check()
    return {name: sandbox.run(one.text(canary, os.getpid())) for name, one in ATTEMPTS.items()}


def table(outcomes: Mapping[str, Outcome]) -> str:
    """Write what became of the attempts as a Markdown table."""
    lines = ["| attempt | outcome | |", "| --- | --- | --- |"]
    for name, outcome in outcomes.items():
        word = (
            "GOT OUT"
            if outcome.passed
            else {"failed": "refused"}.get(outcome.status, f"stopped: {outcome.status}")
        )
        lines.append(f"| {ATTEMPTS[name].title} | {word} | {_short(outcome.detail)} |")
    return "\n".join(lines) + "\n"


def _short(detail: str) -> str:
    return detail.partition(": '")[0].replace("|", "\\|")[:80]


def main() -> int:
    """Make every attempt and print the table; returns 1 when one got out."""
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        canary = Path(folder) / "canary.txt"
        canary.write_text("a secret", encoding="utf-8")
        outcomes = try_all(canary)
    print(table(outcomes), end="")
    return int(any(one.passed for one in outcomes.values()))


if __name__ == "__main__":
    sys.exit(main())
