"""What a run cost: time, memory, parameters, and an estimate of the energy with its assumptions.

Energy is estimated, not measured, by the formula of Lannelongue, Grealey and Inouye (2021), "Green
Algorithms", Advanced Science 8, 2100707, without the factor for the data centre::

    energy = CPU-seconds x watts per core + GPU-seconds x GPU watts + seconds x 0.3725 W per GB of memory

CPU-seconds are counted by the operating system, children included, so waiting costs nothing.
"""

from __future__ import annotations

import os
import resource
import sys
import time
from dataclasses import dataclass
from types import TracebackType
from typing import Any

MEMORY_WATTS_PER_GB = 0.3725


@dataclass(frozen=True)
class Cost:
    """What a piece of work cost.

    Parameters
    ----------
    seconds : float
        Wall clock.
    cpu_seconds : float
        Of all cores together.
    peak_memory : int
        Bytes of resident memory at the highest, of the whole process so far.
    device_memory : int, optional
        Bytes allocated at the highest on the accelerator.
    energy : float
        Estimated watt-hours.
    parameters, trained_parameters : int, optional
        All of the model, and those that were trained.
    assumption : str
        How the energy was estimated, in words.
    """

    seconds: float
    cpu_seconds: float
    peak_memory: int
    energy: float
    assumption: str
    device_memory: int | None = None
    parameters: int | None = None
    trained_parameters: int | None = None

    def to_dict(self) -> dict[str, Any]:
        """Give the plain form for report.json."""
        return dict(self.__dict__)


def estimate_energy(
    *,
    cpu_seconds: float,
    seconds: float,
    memory: int,
    core_watts: float = 10.0,
    device_seconds: float = 0.0,
    device_watts: float = 300.0,
) -> float:
    """Estimate energy in watt-hours by the formula at the top of this module.

    Parameters
    ----------
    cpu_seconds, seconds, device_seconds : float
    memory : int
        Bytes.
    core_watts, device_watts : float
        Thermal design power of one core and of the accelerator.

    Returns
    -------
    float
    """
    joules = cpu_seconds * core_watts + device_seconds * device_watts
    return (joules + seconds * memory / 1e9 * MEMORY_WATTS_PER_GB) / 3600


def _peak_memory() -> int:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024  # kilobytes everywhere but on macOS


def _cpu_seconds() -> float:
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


class CostMeter:
    """Measures the cost of a block.

    Parameters
    ----------
    core_watts, device_watts : float
        Assumed power of one CPU core and of the accelerator.

    Examples
    --------
    >>> with CostMeter() as meter:
    ...     work()
    >>> meter.cost.seconds
    """

    cost: Cost

    def __init__(self, *, core_watts: float = 10.0, device_watts: float = 300.0):
        self.core_watts = core_watts
        self.device_watts = device_watts

    @staticmethod
    def _accelerator() -> Any:
        # Only where the job has loaded torch already: measuring must not cost an import of seconds.
        torch = sys.modules.get("torch")
        return torch.cuda if torch is not None and torch.cuda.is_available() else None

    def __enter__(self) -> CostMeter:
        accelerator = self._accelerator()
        if accelerator is not None:
            accelerator.reset_peak_memory_stats()
        self._start, self._cpu = time.monotonic(), _cpu_seconds()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.cost = self._measure()

    def _measure(self) -> Cost:
        seconds, cpu = time.monotonic() - self._start, _cpu_seconds() - self._cpu
        memory, accelerator = _peak_memory(), self._accelerator()
        energy = estimate_energy(
            cpu_seconds=cpu,
            seconds=seconds,
            memory=memory,
            core_watts=self.core_watts,
            device_seconds=seconds if accelerator is not None else 0.0,
            device_watts=self.device_watts,
        )
        words = f"{self.core_watts:g} W per busy CPU core, {MEMORY_WATTS_PER_GB} W per GB of memory"
        if accelerator is not None:
            words += f", {self.device_watts:g} W for the accelerator throughout"
        return Cost(
            seconds,
            cpu,
            memory,
            energy,
            f"Energy is an estimate: {words}.",
            device_memory=None if accelerator is None else int(accelerator.max_memory_allocated()),
        )


def count_parameters(module: Any) -> tuple[int, int]:
    """Count the parameters of a torch module: all, and those that are trained."""
    parameters = list(module.parameters())
    return sum(p.numel() for p in parameters), sum(p.numel() for p in parameters if p.requires_grad)


def duration(seconds: float) -> str:
    """Write a time as people say it: ``4 min 10 s``."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if minutes else f"{hours} h"
