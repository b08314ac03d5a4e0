"""A few processes that work through tasks; one that dies takes only its own task with it."""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import traceback
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from scizoo.errors import ScizooError

Handler = Callable[[Any], Any]
_MEMORY = 3 * 2**30  # bytes that a worker with torch and a small model may need


@dataclass(frozen=True)
class Lanes:
    """How work is laid over the machine.

    Parameters
    ----------
    jobs : int
        Processes at once; 1 works in this process.
    threads : int
        Of torch and BLAS in each.
    devices : tuple of str
        Accelerators, as ``CUDA_VISIBLE_DEVICES`` names them; each worker sees one.
    """

    jobs: int
    threads: int
    devices: tuple[str, ...] = ()


def plan(
    jobs: int | str | None = "auto", threads: int | str | None = "auto", accelerator: str = "auto"
) -> Lanes:
    """Lay work over cores and devices.

    Without an accelerator there is a process a core, as far as the memory goes. The threads of each do not
    depend on how many jobs were asked for, only on the machine: torch rounds differently with another
    number of threads, and results must not depend on ``jobs``.

    Parameters
    ----------
    jobs, threads : int or "auto"
    accelerator : str
        Of the ``trainer`` group.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    devices = _devices(accelerator)
    most = len(devices) or max(1, min(cores, _memory() // _MEMORY))
    wanted = most if jobs in ("auto", None) else max(1, int(jobs))  # type: ignore[arg-type]
    share = max(1, cores // most) if threads in ("auto", None) else max(1, int(threads))  # type: ignore[arg-type]
    return Lanes(wanted, share, devices)


def _devices(accelerator: str) -> tuple[str, ...]:
    import torch

    if accelerator in ("auto", "gpu", "cuda") and torch.cuda.is_available():
        seen = os.environ.get("CUDA_VISIBLE_DEVICES")
        names = seen.split(",") if seen else [str(number) for number in range(torch.cuda.device_count())]
        return tuple(names[: torch.cuda.device_count()])
    if accelerator in ("auto", "gpu", "mps") and torch.backends.mps.is_available():
        return ("mps",)
    return ()


def _memory() -> int:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError, AttributeError):  # a system that does not tell
        return 2 * _MEMORY


@contextmanager
def limited_threads(count: int) -> Iterator[None]:
    """Bound the threads of torch and BLAS in a block."""
    import torch
    from threadpoolctl import threadpool_limits

    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        with threadpool_limits(count):
            yield
    finally:
        torch.set_num_threads(before)


@dataclass(frozen=True)
class Outcome:
    """What became of a task.

    Parameters
    ----------
    task : Any
    value : Any
        What the handler gave; None where it failed.
    error : str, optional
        Why it failed, in words.
    exit_status : int
        2 where the input is at fault, else 1.
    """

    task: Any
    value: Any = None
    error: str | None = None
    exit_status: int = 0


class Workers:
    """Processes that handle tasks as they come.

    Parameters
    ----------
    lanes : Lanes
    setup : callable
        ``setup(*arguments) -> handler``; run once in each process. With ``jobs=1`` no process is started.
    arguments : sequence
        Must survive being sent to another process.
    logs : Path, optional
        Folder for the log of each process.

    Notes
    -----
    Use it as a context manager: leaving it, by Ctrl-C too, ends the processes.
    """

    def __init__(
        self, lanes: Lanes, setup: Callable[..., Handler], arguments: Sequence[Any], logs: Path | None = None
    ):
        self.lanes, self.setup, self.arguments, self.logs = lanes, setup, tuple(arguments), logs
        self.waiting: deque[Any] = deque()
        self._idle: list[_Worker] = []
        self._busy: dict[_Worker, Any] = {}
        self._free = list(range(lanes.jobs))[::-1]

    def submit(self, task: Any) -> None:
        """Add a task; allowed while outcomes are read."""
        self.waiting.append(task)

    def outcomes(self) -> Iterator[Outcome]:
        """Yield what became of each task, in the order in which they are done."""
        if self.lanes.jobs == 1:
            yield from self._here()
            return
        while self.waiting or self._busy:
            while self.waiting and len(self._busy) < self.lanes.jobs:
                worker = self._idle.pop() if self._idle else self._start()
                task = self.waiting.popleft()
                self._busy[worker] = task
                worker.send(task)
            by_handle = {worker.connection: worker for worker in self._busy}
            for handle in wait(list(by_handle)):
                worker = by_handle[handle]  # type: ignore[index]
                task = self._busy.pop(worker)
                outcome = worker.receive(task)
                if worker.alive:
                    self._idle.append(worker)
                else:
                    self._free.append(worker.lane)
                yield outcome

    def _here(self) -> Iterator[Outcome]:
        handler: Handler | None = None
        with limited_threads(self.lanes.threads):
            while self.waiting:
                task = self.waiting.popleft()
                if handler is None:
                    handler = self.setup(*self.arguments)
                yield _attempt(handler, task)

    def _start(self) -> _Worker:
        lane, devices = self._free.pop(), self.lanes.devices
        device = devices[lane % len(devices)] if devices else None
        log = None if self.logs is None else self.logs / f"worker-{lane}.log"
        return _Worker(lane, self.setup, self.arguments, self.lanes.threads, device, log)

    def __enter__(self) -> Workers:
        return self

    def __exit__(self, *_: object) -> None:
        for worker in [*self._idle, *self._busy]:
            worker.stop()


class _Worker:
    """One process and the line to it."""

    def __init__(
        self,
        lane: int,
        setup: Callable[..., Handler],
        arguments: tuple[Any, ...],
        threads: int,
        device: str | None,
        log: Path | None,
    ):
        self.lane = lane
        context = multiprocessing.get_context("spawn")
        self.connection, far = context.Pipe()
        self.process = context.Process(
            target=_work, args=(far, setup, arguments, threads, device, log), name="scizoo-worker"
        )
        self.process.start()
        far.close()  # so that its death is seen as the end of the line
        self.alive = True

    def send(self, task: Any) -> None:
        try:
            self.connection.send(task)
        except (BrokenPipeError, ConnectionResetError):
            self.alive = False  # receive() tells what happened

    def receive(self, task: Any) -> Outcome:
        try:
            return self.connection.recv()
        except (EOFError, ConnectionResetError):
            self.alive = False
            self.process.join(10)
            code = self.process.exitcode
            reason = f"signal {-code}, perhaps for lack of memory" if code and code < 0 else f"status {code}"
            return Outcome(task, error=f"its process ended with {reason}", exit_status=1)

    def stop(self) -> None:
        self.connection.close()
        self.process.terminate()
        self.process.join(5)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()


def _work(
    line: Connection,
    setup: Callable[..., Handler],
    arguments: tuple[Any, ...],
    threads: int,
    device: str | None,
    log: Path | None,
) -> None:
    # Ctrl-C reaches every process of the terminal; the parent ends this one.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if device is not None and device != "mps":
        os.environ["CUDA_VISIBLE_DEVICES"] = device
    if log is not None:
        log.parent.mkdir(parents=True, exist_ok=True)
        logging.basicConfig(
            filename=log, level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
        )
        logging.getLogger("scizoo").setLevel(logging.DEBUG)
        logging.captureWarnings(True)
    handler: Handler | None = None
    with limited_threads(threads):
        while True:
            try:
                task = line.recv()
            except EOFError:  # the parent is gone
                return
            if handler is None:
                try:
                    handler = setup(*arguments)
                except Exception as error:
                    line.send(_failure(task, error))
                    continue
            line.send(_attempt(handler, task))


def _attempt(handler: Handler, task: Any) -> Outcome:
    try:
        return Outcome(task, handler(task))
    except Exception as error:  # whatever a cell raises must not lose the others
        return _failure(task, error)


def _failure(task: Any, error: Exception) -> Outcome:
    if isinstance(error, ScizooError):
        return Outcome(task, error=str(error), exit_status=error.exit_status)
    logging.getLogger(__name__).debug("%s", "".join(traceback.format_exception(error)))
    return Outcome(task, error=f"{type(error).__name__}: {error}", exit_status=1)
