"""Closes itself in and runs one program; started by :mod:`scizoo_code.sandbox.run`, never imported.

A fresh interpreter (``-I -S``) reads a job from its standard input, gives up everything in turn, checks that
it did, and only then runs the program. What it gives up:

1. namespaces of its own for processes, network, mounts, inter-process communication and host name (as root
   directly, else through a user namespace); the process is the second one of its world;
2. a root folder of its own, empty but for the standard library (read-only) and a small ``/tmp`` in memory;
   neither ``/proc`` nor ``/dev`` nor any other file of the machine is there;
3. user id, groups and all capabilities; nothing can be gained by starting a program (no_new_privs);
4. system calls: a seccomp filter with an allow-list. No sockets, no new processes, no programs, no signals to
   others, no tracing, no mounts; threads are allowed;
5. resources: processor time, memory, sizes and numbers of files, processes and threads.

It imports the standard library alone and can be read in one go.
"""

# System calls by their names; pathlib would only hide them.
# ruff: noqa: PTH103, PTH112, PTH116, PTH123, PTH208

from __future__ import annotations

import contextlib
import ctypes
import errno
import json
import os
import resource
import signal
import struct
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

NAMESPACES = {"mount": 0x20000, "uts": 0x4000000, "ipc": 0x8000000, "pid": 0x20000000, "net": 0x40000000}
NEW_USER = 0x10000000
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC = 1, 2, 4, 8
MS_REMOUNT, MS_NOATIME, MS_NODIRATIME, MS_BIND, MS_REC, MS_PRIVATE = (
    0x20,
    0x400,
    0x800,
    0x1000,
    0x4000,
    0x40000,
)
MS_RELATIME = 0x200000
MNT_DETACH = 2
PR_SET_PDEATHSIG, PR_GET_SECCOMP, PR_SET_SECCOMP, PR_CAPBSET_DROP = 1, 21, 22, 24
PR_SET_NO_NEW_PRIVS, PR_GET_NO_NEW_PRIVS, PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL = 38, 39, 47, 4
SECCOMP_FILTER = 2
ALLOW, DENY, UNKNOWN = 0x7FFF0000, 0x00050000 | errno.EPERM, 0x00050000 | errno.ENOSYS
CLONE_THREAD, CLONE_NEW_ANY = 0x10000, 0x7E020080
M_ARENA_MAX = -8
REFUSED, BROKEN = 97, 98

#: Per machine: its number in seccomp, system calls by number, and those with a meaning of their own here.
X86_64: dict[str, Any] = {
    "audit": 0xC000003E,
    "pivot_root": 155,
    "capset": 126,
    "clone": 56,
    "clone3": 435,
    "ioctl": 16,
    "prlimit64": 302,
    "tgkill": 234,
    # read write open close stat fstat lstat poll lseek mmap mprotect munmap brk rt_sigaction rt_sigprocmask
    # rt_sigreturn pread64 pwrite64 readv writev access pipe select sched_yield mremap madvise dup dup2
    # nanosleep getpid exit uname fcntl fsync truncate ftruncate getdents getcwd chdir fchdir rename mkdir
    # rmdir unlink readlink chmod fchmod umask gettimeofday getrusage sysinfo times getuid getgid geteuid
    # getegid getppid sigaltstack statfs fstatfs gettid time futex sched_getaffinity getdents64
    # set_tid_address restart_syscall clock_gettime clock_getres clock_nanosleep exit_group openat mkdirat
    # newfstatat unlinkat renameat readlinkat fchmodat faccessat pselect6 ppoll set_robust_list dup3 pipe2
    # renameat2 getrandom membarrier statx rseq close_range faccessat2
    "allowed": (
        "0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 17 18 19 20 21 22 23 24 25 28 32 33 35 39 60 63 72 74 76 "
        "77 78 79 80 81 82 83 84 87 89 90 91 95 96 98 99 100 102 104 107 108 110 131 137 138 186 201 202 "
        "204 217 218 219 228 229 230 231 257 258 262 263 264 267 268 269 270 271 273 292 293 316 318 324 "
        "332 334 436 439"
    ),
}
AARCH64: dict[str, Any] = {
    "audit": 0xC00000B7,
    "pivot_root": 41,
    "capset": 91,
    "clone": 220,
    "clone3": 435,
    "ioctl": 29,
    "prlimit64": 261,
    "tgkill": 131,
    # The same calls as above, as far as this machine has them.
    "allowed": (
        "17 23 24 25 34 35 38 43 44 45 46 48 49 50 52 53 56 57 59 61 62 63 64 65 66 67 68 72 73 78 79 80 "
        "82 93 94 96 98 99 101 113 114 115 123 124 128 132 134 135 139 153 160 165 166 169 172 173 174 "
        "175 176 177 178 179 214 215 216 222 226 233 276 278 283 291 293 436 439"
    ),
}
MACHINES = {"x86_64": X86_64, "amd64": X86_64, "aarch64": AARCH64, "arm64": AARCH64}
#: Loaded while the machine's files are still there, for the libraries behind them.
MODULES = (
    "array",
    "bisect",
    "cmath",
    "collections",
    "datetime",
    "heapq",
    "itertools",
    "math",
    "random",
    "re",
    "time",
)

libc = ctypes.CDLL(None, use_errno=True)


class Refusal(Exception):
    """The sandbox cannot be closed here."""


def call(what: str, function: Callable[..., int], *arguments: Any) -> int:
    """Call a function of libc; a failure is a refusal."""
    ctypes.set_errno(0)
    result = function(*arguments)
    if result == -1:
        number = ctypes.get_errno()
        raise Refusal(f"{what}: {os.strerror(number)}")
    return int(result)


def say(status: int, **facts: Any) -> None:
    """Report to the process that started this one."""
    os.write(status, json.dumps(facts).encode() + b"\n")


def own_namespaces() -> bool:
    """Leave the machine's namespaces; returns whether this was done with root's own rights."""
    flags = sum(NAMESPACES.values())
    if os.geteuid() == 0 and libc.unshare(flags) == 0:
        return True
    uid, gid = os.geteuid(), os.getegid()
    call("no user namespace can be made (kernel.unprivileged_userns_clone, user.max_user_namespaces or a "
         "security module forbid it)", libc.unshare, flags | NEW_USER)  # fmt: skip
    for name, text in (
        ("setgroups", "deny"),
        ("uid_map", f"65534 {uid} 1"),
        ("gid_map", f"65534 {gid} 1"),
    ):
        with open(f"/proc/self/{name}", "w") as stream:
            stream.write(text)
    return False


def mount(
    what: str, source: str, target: str, kind: str | None, flags: int, options: str | None = None
) -> None:
    """Mount something."""
    encoded = [None if text is None else os.fsencode(text) for text in (source, target, kind, options)]
    call(f"{what} cannot be mounted", libc.mount, *encoded[:3], ctypes.c_ulong(flags), encoded[3])


def own_root(base: str, folders: list[str], hidden: list[str], size: int) -> None:
    """Exchange the root folder for an empty one with some folders of the old one in it, read-only.

    Parameters
    ----------
    base : str
        An existing folder, over which the new root is mounted.
    folders : list of str
        Folders that stay, under their own paths.
    hidden : list of str
        Folders within these that are hidden.
    size : int
        Bytes that ``/tmp`` can hold.
    """
    mount("a private tree", "none", "/", None, MS_REC | MS_PRIVATE)
    mount(
        "a root folder in memory",
        "root",
        base,
        "tmpfs",
        MS_NOSUID | MS_NODEV,
        "size=1m,nr_inodes=2000,mode=755",
    )
    for folder in folders:
        target = base + folder
        os.makedirs(target, exist_ok=True)
        mount(folder, folder, target, None, MS_BIND | MS_REC)
        # Flags of the original mount are locked in a user namespace and must be repeated.
        kept = os.statvfs(folder).f_flag
        flags = MS_BIND | MS_REMOUNT | MS_RDONLY | MS_NOSUID | MS_NODEV
        flags |= kept & (MS_NOEXEC | MS_NOATIME | MS_NODIRATIME) | (MS_RELATIME if kept & 0x1000 else 0)
        mount(f"{folder} read-only", "none", target, None, flags)
    for folder in hidden:
        if os.path.isdir(base + folder):
            mount(
                f"nothing over {folder}",
                "none",
                base + folder,
                "tmpfs",
                MS_RDONLY | MS_NOSUID,
                "size=4k,mode=555",
            )
    os.makedirs(base + "/tmp", exist_ok=True)
    mount("/tmp", "tmp", base + "/tmp", "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC,
          f"size={size},nr_inodes=1000,mode=1777")  # fmt: skip
    os.chdir(base)
    call("the root folder cannot be exchanged", libc.syscall, MACHINE["pivot_root"], b".", b".")
    call("the old root folder cannot be let go", libc.umount2, b".", MNT_DETACH)
    os.chdir("/")
    mount(
        "the root folder read-only",
        "none",
        "/",
        None,
        MS_REMOUNT | MS_RDONLY | MS_NOSUID | MS_NODEV | MS_BIND,
    )
    os.chdir("/tmp")


def drop_rights(as_root: bool, uid: int) -> None:
    """Give up user, groups and capabilities for good."""
    for capability in range(64):
        if libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) == -1:
            break  # the last one that this kernel has
    if as_root:
        os.setgroups([])
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)
    libc.prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0)
    header = struct.pack("=Ii", 0x20080522, 0)
    call("capabilities cannot be dropped", libc.syscall, MACHINE["capset"], header, b"\0" * 24)
    call("no_new_privs cannot be set", libc.prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)


def limit(limits: dict[str, int]) -> None:
    """Set the limits of this process and of all that it might start."""
    memory = limits["memory"]
    for name, soft, hard in (
        ("RLIMIT_CPU", limits["cpu"], limits["cpu"] + 1),
        ("RLIMIT_AS", memory, memory),
        ("RLIMIT_DATA", memory, memory),
        ("RLIMIT_FSIZE", limits["files"], limits["files"]),
        ("RLIMIT_NOFILE", 64, 64),
        ("RLIMIT_NPROC", limits["processes"], limits["processes"]),
        ("RLIMIT_CORE", 0, 0),
        ("RLIMIT_MEMLOCK", 0, 0),
        ("RLIMIT_MSGQUEUE", 0, 0),
    ):
        resource.setrlimit(getattr(resource, name), (soft, hard))


def filter_calls() -> None:
    """Let through the system calls on the list alone; all others fail with EPERM."""
    load, equal, at_least, any_bit, give = 0x20, 0x15, 0x35, 0x45, 0x06
    steps = [
        (load, 0, 0, 4),
        (equal, 1, 0, MACHINE["audit"]),
        (give, 0, 0, DENY),
        (load, 0, 0, 0),
        (at_least, 0, 1, 0x40000000),  # the other numbering of x86-64
        (give, 0, 0, DENY),
        # The C library falls back to clone, whose flags can be looked at.
        (equal, 0, 1, MACHINE["clone3"]),
        (give, 0, 0, UNKNOWN),
        # Threads of this process and nothing else.
        (equal, 0, 6, MACHINE["clone"]),
        (load, 0, 0, 16),
        (any_bit, 1, 0, CLONE_THREAD),
        (give, 0, 0, DENY),
        (any_bit, 0, 1, CLONE_NEW_ANY),
        (give, 0, 0, DENY),
        (give, 0, 0, ALLOW),
        # Signals to this process only.
        (equal, 0, 4, MACHINE["tgkill"]),
        (load, 0, 0, 16),
        (equal, 1, 0, os.getpid()),
        (give, 0, 0, DENY),
        (give, 0, 0, ALLOW),
        # Whether a file is a terminal, and closing on exec.
        (equal, 0, 5, MACHINE["ioctl"]),
        (load, 0, 0, 24),
        (equal, 2, 0, 0x5401),
        (equal, 1, 0, 0x5451),
        (give, 0, 0, DENY),
        (give, 0, 0, ALLOW),
        # Limits may be read.
        (equal, 0, 6, MACHINE["prlimit64"]),
        (load, 0, 0, 32),
        (equal, 0, 2, 0),
        (load, 0, 0, 36),
        (equal, 1, 0, 0),
        (give, 0, 0, DENY),
        (give, 0, 0, ALLOW),
    ]
    for number in map(int, MACHINE["allowed"].split()):
        steps += [(equal, 0, 1, number), (give, 0, 0, ALLOW)]
    steps.append((give, 0, 0, DENY))
    code = b"".join(struct.pack("=HBBI", *step) for step in steps)
    buffer = ctypes.create_string_buffer(code, len(code))
    program = struct.pack(
        "HxxxxxxP" if struct.calcsize("P") == 8 else "HxxP", len(steps), ctypes.addressof(buffer)
    )
    call("system calls cannot be filtered (seccomp)", libc.prctl, PR_SET_SECCOMP, SECCOMP_FILTER,
         ctypes.c_char_p(program), 0, 0)  # fmt: skip


def check(folders: list[str]) -> None:
    """Try the walls; a hole is a refusal."""
    import _socket

    def fails(what: str, attempt: Callable[[], object]) -> None:
        try:
            attempt()
        except OSError:
            return
        raise Refusal(f"the sandbox has a hole: {what}")

    fails("a socket was opened", lambda: _socket.socket(_socket.AF_INET, _socket.SOCK_STREAM))
    fails("a process was started", os.fork)
    fails("a program was started", lambda: os.execv("/bin/true", ["true"]))
    fails("the machine's files are there", lambda: os.stat("/etc"))
    fails("/proc is there", lambda: os.stat("/proc/self"))
    fails("a file was made outside /tmp", partial(os.open, "/x", os.O_CREAT | os.O_WRONLY))
    for folder in folders:
        fails(f"a file was made in {folder}", partial(os.open, f"{folder}/x", os.O_CREAT | os.O_WRONLY))
    fails("the user could be changed", lambda: os.setuid(0))
    fails("the process before it was reached", lambda: os.kill(1, 0))
    expected = {"tmp", *(folder.split("/")[1] for folder in folders)}
    if set(os.listdir("/")) - expected:
        raise Refusal("the sandbox has a hole: its root folder is not empty")
    if os.getpid() != 2 or os.getppid() != 1:
        raise Refusal("the sandbox has a hole: it is not alone in its namespace of processes")


def prove() -> None:
    """Check what the filter would not let one ask for later."""
    if libc.prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1:
        raise Refusal("no_new_privs did not last")
    if 0 in (os.getuid(), os.geteuid(), os.getgid(), os.getegid()):
        raise Refusal("the process is still root")


def run(program: str) -> tuple[str, str]:
    """Run the program; returns what became of it."""
    space = {"__name__": "__main__", "__builtins__": __builtins__}
    try:
        exec(compile(program, "<program>", "exec"), space)  # what the sandbox is for
    except SystemExit:
        return "failed", "the program ended before its tests"
    except MemoryError:
        space.clear()
        return "memory", "MemoryError"
    except BaseException as error:
        return "failed", f"{type(error).__name__}: {error}"[:500]
    return "passed", ""


def inside(job: dict[str, Any], status: int, as_root: bool) -> None:
    """Be the second process: give up the rest, check, run, report."""
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    for name in MODULES:
        with contextlib.suppress(ImportError):
            __import__(name)
    import _socket  # noqa: F401  (for the check)

    # One pool of memory for all threads: pools of their own would use the address space up.
    libc.mallopt(M_ARENA_MAX, 1)
    limit(job["limits"])
    drop_rights(as_root, job["uid"])
    prove()
    os.close(0)
    os.open("/", os.O_RDONLY)  # standard input: nothing can be read
    os.dup2(1, 2)
    os.closerange(3, status)
    os.closerange(status + 1, 1024)
    filter_calls()
    check(job["folders"])
    say(status, closed=True, token=job["token"])
    outcome, detail = run(job.pop("program"))
    with contextlib.suppress(BaseException):
        sys.stdout.flush()
    say(status, outcome=outcome, detail=detail, token=job["token"])


def first(job: dict[str, Any], status: int, as_root: bool) -> None:
    """Be the first process of the new world; when it ends, the kernel ends all others."""
    own_root(job["base"], job["folders"], job["hidden"], job["limits"]["files"])
    child = os.fork()
    if child == 0:
        guarded(status, lambda: inside(job, status, as_root))
    os.close(status)
    if as_root:
        drop_rights(as_root, job["uid"])
    end_as(child)


def end_as(child: int) -> None:
    """Wait for a process and end as it did; of one that a signal ended, the status is minus the signal."""
    _, code = os.waitpid(child, 0)
    os._exit(os.waitstatus_to_exitcode(code) & 0xFF)


def guarded(status: int, work: Callable[[], None]) -> None:
    """Do some work and end the process; a refusal and a fault are told."""
    code = 0
    try:
        work()
    except Refusal as refusal:
        code = REFUSED
        say(status, closed=False, reason=str(refusal))
    except BaseException as error:
        code = BROKEN
        with contextlib.suppress(OSError):
            say(status, closed=False, reason=f"{type(error).__name__}: {error}")
    os._exit(code)


def main(status: int) -> None:
    """Be the outermost process: read the job, leave the namespaces, wait."""
    job = json.load(sys.stdin.buffer)
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if not MACHINE:
        raise Refusal(f"system calls of this kind of machine ({os.uname().machine}) are not known here")
    as_root = own_namespaces()
    child = os.fork()
    if child == 0:
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        guarded(status, lambda: first(job, status, as_root))
    os.close(status)
    end_as(child)


MACHINE = MACHINES.get(os.uname().machine.lower(), {}) if struct.calcsize("P") == 8 else {}
if __name__ == "__main__":
    guarded(int(sys.argv[1]), lambda: main(int(sys.argv[1])))
