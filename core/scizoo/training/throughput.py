"""How fast this machine multiplies matrices, and how much of that a run uses."""

from __future__ import annotations

import time
from functools import lru_cache

import torch


@lru_cache(maxsize=8)
def matmul_peak(device: str = "cpu", dtype: torch.dtype = torch.float32, seconds: float = 0.2) -> float:
    """Measure the matrix-multiply peak of a device, once a process.

    Parameters
    ----------
    device : str
        ``"cpu"``, ``"cuda:0"``, ...
    dtype : torch.dtype
    seconds : float
        How long to measure, after a warm-up.

    Returns
    -------
    float
        The best FLOP/s of repeated square products.
    """
    place = torch.device(device)
    size = 1024 if place.type == "cpu" else 8192
    flops = 2.0 * size**3

    def wait() -> None:
        if place.type == "cuda":
            torch.cuda.synchronize(place)
        elif place.type == "mps":
            torch.mps.synchronize()

    with torch.no_grad():
        # A generator of its own: the global random state of a run stays untouched.
        generator = torch.Generator(place).manual_seed(0)
        left = torch.randn(size, size, device=place, generator=generator).to(dtype)
        right = torch.randn(size, size, device=place, generator=generator).to(dtype)
        for _ in range(2):
            left @ right
        wait()
        best = float("inf")
        stop = time.perf_counter() + seconds
        while time.perf_counter() < stop or best == float("inf"):
            start = time.perf_counter()
            left @ right
            wait()
            best = min(best, time.perf_counter() - start)
    return flops / best


class Rate:
    """A rate over the last seconds: robust to a slow first step and to pauses for validation.

    Parameters
    ----------
    horizon : float
        Seconds of work that the rate looks back on.
    """

    def __init__(self, horizon: float = 30.0):
        self.horizon = horizon
        self._samples: list[tuple[float, float]] = []

    def add(self, amount: float, seconds: float) -> None:
        """Note an amount of work and the time that it took."""
        self._samples.append((amount, seconds))
        kept = sum(took for _, took in self._samples)
        while len(self._samples) > 1 and kept - self._samples[0][1] > self.horizon:
            kept -= self._samples.pop(0)[1]

    @property
    def value(self) -> float:
        """Amount a second; 0 before the first sample."""
        took = sum(seconds for _, seconds in self._samples)
        return sum(amount for amount, _ in self._samples) / took if took > 0 else 0.0
