"""What a program in the sandbox may use, and what became of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from scizoo.errors import ConfigError

Status = Literal["passed", "failed", "time", "memory", "output", "killed"]


@dataclass(frozen=True)
class Limits:
    """What a program may use.

    Parameters
    ----------
    seconds : float
        Of wall-clock time.
    cpu : int
        Seconds of processor time, of all threads together.
    memory : int
        Bytes of address space, the interpreter's own 50 MB or so included.
    output : int
        Bytes that it may print.
    files : int
        Bytes that it may write into its folder in memory.
    processes : int
        Threads; new processes are never allowed.

    Raises
    ------
    ConfigError
        When a limit is too small for the interpreter to start.
    """

    seconds: float = 5.0
    cpu: int = 5
    memory: int = 512 * 1024**2
    output: int = 64 * 1024
    files: int = 8 * 1024**2
    processes: int = 16

    def __post_init__(self) -> None:
        least = {
            "seconds": 0.1,
            "cpu": 1,
            "memory": 128 * 1024**2,
            "output": 1,
            "files": 4096,
            "processes": 1,
        }
        for name, low in least.items():
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float) or value < low:
                raise ConfigError(f"limits.{name}={value}", expected=f"a number from {low:g}")


@dataclass(frozen=True)
class Outcome:
    """What became of a program.

    Parameters
    ----------
    status : {"passed", "failed", "time", "memory", "output", "killed"}
        ``passed`` where it ran to its end; otherwise that it raised an error or ended itself, or which limit
        it met; ``killed`` by a signal, such as a fault in memory.
    detail : str
        The error, or the limit.
    output : str
        The end of what it printed.
    seconds : float
    """

    status: Status
    detail: str = ""
    output: str = ""
    seconds: float = 0.0

    @property
    def passed(self) -> bool:
        """Whether it ran to its end."""
        return self.status == "passed"
