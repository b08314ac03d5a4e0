"""Progress for people: a bar on a terminal, a line now and then in a log."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Mapping
from typing import Any, TextIO

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import ProgressBar
from torch import Tensor

from scizoo.training.joint import batch_size
from scizoo.training.throughput import Rate, matmul_peak


def human_time(seconds: float) -> str:
    """Write a duration as ``m:ss`` or ``h:mm:ss``."""
    whole = max(0, round(seconds))
    hours, rest = divmod(whole, 3600)
    minutes, secs = divmod(rest, 60)
    return f"{hours}:{minutes:02d}:{secs:02d}" if hours else f"{minutes}:{secs:02d}"


def human_number(value: float) -> str:
    """Write a number with three digits and k, M, G or T."""
    for unit in ("", "k", "M", "G", "T"):
        if abs(value) < 999.5 or unit == "T":
            return f"{value:.3g}{unit}"
        value /= 1000
    return str(value)


class Progress(ProgressBar):
    """Step, epoch, loss, speed, share of the matrix-multiply peak, and when the run will be done.

    It reads the loss and draws at most a few times a second, so that its cost does not grow with the
    number of steps.

    Parameters
    ----------
    title : str
        What is being trained, e.g. ``"from scratch"``.
    every_seconds : float
        Between two lines where the output is not a terminal.
    mfu : bool
        Measure the matrix-multiply peak (0.2 s) and show the model FLOPs utilisation.
    stream : text file, optional
        Where to write; by default standard error, so that results can be piped.
    """

    def __init__(
        self,
        title: str = "training",
        every_seconds: float = 10.0,
        mfu: bool = True,
        stream: TextIO | None = None,
    ):
        super().__init__()
        self.title = title
        self.mfu = mfu
        self.stream = stream or sys.stderr
        self.terminal = bool(getattr(self.stream, "isatty", lambda: False)())
        self.interval = 0.25 if self.terminal else float(every_seconds)
        self.tokens: Rate = Rate()
        self.samples: Rate = Rate()
        self.steps: Rate = Rate()
        self.utilisation: float | None = None
        self._enabled = True
        self._bar: Any = None
        self._task: Any = None

    def disable(self) -> None:
        """Lightning's switch: silent on every rank but the first."""
        self._enabled = False

    def enable(self) -> None:
        """Lightning's switch."""
        self._enabled = True

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Measure the peak, then start the clock."""
        self._peak: float | None = None
        flops = getattr(getattr(pl_module, "backbone", None), "flops_per_token", None)
        if self._enabled and self.mfu and callable(flops):
            self._peak = matmul_peak(
                str(pl_module.device), torch.bfloat16 if "16" in str(trainer.precision) else torch.float32
            )
        now = time.perf_counter()
        self._drawn = self._wall = self._mark = now
        self._began, self._began_step = now, trainer.global_step
        self._sequences = 0
        self._length = 0.0
        self._real: Tensor | int = 0
        self._last_step = trainer.global_step
        self._loss: Tensor | None = None

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Count the batch's examples and tokens without waiting for the device."""
        if not isinstance(batch, Mapping):
            return
        self._sequences += batch_size(batch)
        mask = batch.get("attention_mask")
        if isinstance(mask, Tensor) and mask.shape[-1] > 1:
            self._real = self._real + mask.sum()

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Draw, when it is time to."""
        if isinstance(outputs, Mapping) and isinstance(outputs.get("loss"), Tensor):
            self._loss = outputs["loss"]
        now = time.perf_counter()
        if now - self._drawn < self.interval:
            return
        self._measure(trainer, pl_module, now)
        self._draw(trainer, pl_module)

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Stop the clock of the training speed."""
        if trainer.state.fn == "fit" and hasattr(self, "_mark"):
            self._measure(trainer, pl_module, time.perf_counter())

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Print the validation metrics and start the clock again."""
        if trainer.sanity_checking or trainer.state.fn != "fit" or not hasattr(self, "_mark"):
            return
        self._mark = time.perf_counter()
        shown = [
            f"{name.removeprefix('validation/')} {float(value):.4g}"
            for name, value in trainer.callback_metrics.items()
            if name.startswith("validation/")
        ]
        if shown:
            self._line(f"{self.title}: step {trainer.global_step:,} validation: {', '.join(shown)}")

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Draw the last state."""
        self._measure(trainer, pl_module, time.perf_counter())
        self._draw(trainer, pl_module, last=True)
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def on_exception(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException
    ) -> None:
        """Give the terminal back."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def _measure(self, trainer: pl.Trainer, module: pl.LightningModule, now: float) -> None:
        took = now - self._mark
        real = float(self._real)
        if took > 0 and self._sequences:
            self._length = real / self._sequences
            self.samples.add(self._sequences * trainer.world_size, took)
            if real:
                self.tokens.add(real * trainer.world_size, took)
                self.utilisation = self._share_of_peak(trainer, module)
        steps = trainer.global_step - self._last_step
        # Steps count against the wall clock, so that the ETA includes validation.
        self.steps.add(steps, now - self._wall)
        self._last_step, self._wall, self._mark = trainer.global_step, now, now
        self._sequences, self._real = 0, 0

    def _share_of_peak(self, trainer: pl.Trainer, module: Any) -> float | None:
        if self._peak is None:
            return None
        trained = any(parameter.requires_grad for parameter in module.backbone.parameters())
        length = max(1, round(self._length))
        a_token = float(module.backbone.flops_per_token(length, training=trained))
        head = getattr(module.head, "flops_per_token", None)
        if callable(head):
            a_token += float(head(length))
        return self.tokens.value * a_token / (self._peak * trainer.world_size)

    def _total(self, trainer: pl.Trainer, module: pl.LightningModule) -> int | None:
        return getattr(getattr(module, "schedule", None), "total_steps", None)

    def eta(self, trainer: pl.Trainer, module: pl.LightningModule) -> float | None:
        """Seconds that the run will still take; None while that is not known."""
        total = self._total(trainer, module)
        done = trainer.global_step - self._began_step
        if total is None or done <= 0:
            return None
        elapsed = time.perf_counter() - self._began
        recent = self.steps.value or done / elapsed
        return max(0, total - trainer.global_step) / recent

    def _text(self, trainer: pl.Trainer, module: pl.LightningModule, last: bool) -> str:
        parts = []
        if trainer.max_epochs and trainer.max_epochs > 0:
            epoch = min(trainer.current_epoch + (0 if last else 1), trainer.max_epochs)
            parts.append(f"epoch {epoch}/{trainer.max_epochs}")
        if self._loss is not None:
            parts.append(f"loss {float(self._loss):.4g}")
        if self.tokens.value:
            parts.append(f"{human_number(self.tokens.value)} tokens/s")
        elif self.samples.value:
            parts.append(f"{human_number(self.samples.value)} samples/s")
        if self.utilisation is not None and math.isfinite(self.utilisation):
            parts.append(f"MFU {self.utilisation:.0%}")
        if last:
            parts.append(f"took {human_time(time.perf_counter() - self._began)}")
        else:
            seconds = self.eta(trainer, module)
            parts.append(f"ETA {human_time(seconds)}" if seconds is not None else "ETA -")
        return "  ".join(parts)

    def _draw(self, trainer: pl.Trainer, module: pl.LightningModule, last: bool = False) -> None:
        if not self._enabled:
            return
        self._drawn = time.perf_counter()
        total = self._total(trainer, module)
        text = self._text(trainer, module, last)
        if not self.terminal:
            of = f"/{total:,}" if total else ""
            self._line(f"{self.title}: step {trainer.global_step:,}{of}  {text}")
            return
        if self._bar is None:
            self._bar = self._make_bar()
            self._task = self._bar.add_task(self.title, total=total, text="")
        self._bar.update(self._task, completed=trainer.global_step, total=total, text=text)
        self._bar.refresh()

    def _make_bar(self) -> Any:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
        from rich.progress import Progress as Bar

        bar = Bar(
            TextColumn("[bold]{task.description}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("{task.fields[text]}"),
            console=Console(file=self.stream),
            auto_refresh=False,  # its thread would compete with the training for the processor
        )
        bar.start()
        return bar

    def _line(self, text: str) -> None:
        if not self._enabled:
            return
        if self._bar is not None:
            self._bar.console.print(text, highlight=False, markup=False)
        else:
            print(text, file=self.stream, flush=True)
