"""Callbacks: stop on bad numbers, keep the best weights."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from torch import Tensor

from scizoo.errors import TrainingError

#: Gives the names of records for window numbers, for messages.
RecordNames = Callable[[Sequence[int]], Sequence[str]]


@dataclass
class _Seen:
    step: int
    loss: Tensor
    index: Tensor | None
    bad_inputs: dict[str, Tensor]


class DivergenceGuard(pl.Callback):
    """Stops a run whose loss is not finite, or far above where it began, and says why.

    On the CPU every loss is looked at before its backward pass. On an accelerator looking costs a
    wait for the device, so losses are looked at in groups, always before a validation and before a
    checkpoint is written.

    Parameters
    ----------
    factor : float
        The smoothed loss may rise this many times ``max(1, |initial loss|)`` above its start.
    patience : int
        Optimizer steps for which it may stay there.
    every : int
        Steps in a group on an accelerator.
    record_names : callable, optional
        Window numbers to record ids.
    """

    def __init__(
        self,
        factor: float = 3.0,
        patience: int = 50,
        every: int = 10,
        record_names: RecordNames | None = None,
    ):
        self.factor = factor
        self.patience = patience
        self.every = every
        self.record_names = record_names
        self.start: float | None = None
        self.smooth = 0.0
        self.above = 0
        self._pending: list[_Seen] = []
        self._batch: Mapping[str, Any] = {}

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Keep the batch, to name its records."""
        self._batch = batch if isinstance(batch, Mapping) else {}

    def on_before_backward(self, trainer: pl.Trainer, pl_module: pl.LightningModule, loss: Tensor) -> None:
        """Look at the loss, or note it for later."""
        index = self._batch.get("index")
        # Lightning has divided the loss by the number of accumulated batches.
        value = loss.detach() * trainer.accumulate_grad_batches
        bad = {}
        if loss.device.type != "cpu":
            bad = {
                key: ~torch.isfinite(tensor).all()
                for key, tensor in self._batch.items()
                if isinstance(tensor, Tensor) and tensor.is_floating_point() and key != "target"
            }
        self._pending.append(_Seen(trainer.global_step, value, index, bad))
        if loss.device.type == "cpu" or len(self._pending) >= self.every:
            self._look(trainer, pl_module)

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Look at the gradient norm, where that costs nothing."""
        norm = getattr(pl_module, "grad_norm", None)
        if norm is None or norm.device.type != "cpu" or str(trainer.precision) == "16-mixed":
            return  # a gradient scaler skips steps with infinite gradients by design
        if not math.isfinite(float(norm)):
            seen = _Seen(trainer.global_step - 1, torch.tensor(float("nan")), self._batch.get("index"), {})
            self._fail(trainer, pl_module, seen, "the gradient is not finite")

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Look at what is pending."""
        self._look(trainer, pl_module)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Look at what is pending."""
        self._look(trainer, pl_module)

    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Look at what is pending: weights after a bad step are not worth keeping."""
        self._look(trainer, pl_module)

    def state_dict(self) -> dict[str, Any]:
        """Give the smoothed loss, as plain numbers."""
        return {"start": self.start, "smooth": self.smooth, "above": self.above}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue from a resumed run."""
        self.start, self.smooth, self.above = (state_dict[key] for key in ("start", "smooth", "above"))

    def _look(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        if not self._pending:
            return
        pending, self._pending = self._pending, []
        values = torch.stack([seen.loss.float() for seen in pending]).tolist()
        for seen, value in zip(pending, values):
            if not math.isfinite(value):
                self._fail(trainer, module, seen, f"the loss is {value}")
            if self.start is None:
                self.start = self.smooth = value
            self.smooth += 0.05 * (value - self.smooth)
            limit = self.start + self.factor * max(1.0, abs(self.start))
            self.above = self.above + 1 if self.smooth > limit else 0
            if self.above >= self.patience:
                self._fail(
                    trainer,
                    module,
                    seen,
                    f"the loss diverges: {self.smooth:.4g} (smoothed), from {self.start:.4g} at the start",
                )

    def _fail(self, trainer: pl.Trainer, module: pl.LightningModule, seen: _Seen, what: str) -> None:
        rates = [group["lr"] for optimizer in trainer.optimizers for group in optimizer.param_groups]
        cause, remedy = self._cause(module, seen)
        norm = self._norm(module)
        raise TrainingError(
            f"training stopped at step {seen.step}: {what}. {cause} "
            f"Learning rate {max(rates, default=0.0):.3g}, gradient norm {norm}, "
            f"records of the batch: {self._records(seen.index)}.",
            remedy=remedy,
        )

    def _cause(self, module: pl.LightningModule, seen: _Seen) -> tuple[str, str]:
        found = [key for key, flag in seen.bad_inputs.items() if bool(flag)]
        for key, tensor in self._batch.items():
            if isinstance(tensor, Tensor) and tensor.is_floating_point() and key not in found:
                # A missing label of a multi-label task is NaN by convention.
                broken = torch.isinf(tensor) if key == "target" else ~torch.isfinite(tensor)
                if bool(broken.any()):
                    found.append(key)
        if found:
            names = ", ".join(f"'{key}'" for key in found)
            return (
                f"Cause: the input {names} holds values that are not finite.",
                "mend or remove the records named above.",
            )
        if any(not bool(torch.isfinite(p).all()) for p in module.parameters()):
            return (
                "Cause: the weights are not finite any more, so an earlier update was too large.",
                "lower optimizer.lr, lengthen schedule.warmup or set trainer.gradient_clip_val=1.",
            )
        return (
            "Cause: inputs and weights are finite, so the values grew too large inside the model.",
            "lower optimizer.lr, lengthen schedule.warmup, set trainer.gradient_clip_val=1 or precision=32.",
        )

    def _norm(self, module: pl.LightningModule) -> str:
        norm = getattr(module, "grad_norm", None)
        if norm is None:
            grads = [p.grad for p in module.parameters() if p.grad is not None]
            if not grads:
                return "not known yet"
            norm = torch.nn.utils.get_total_norm(grads)
        return f"{float(norm):.4g}"

    def _records(self, index: Tensor | None) -> str:
        if index is None:
            return "not numbered"
        numbers = [int(number) for number in index.flatten().tolist()]
        shown = numbers[:16]
        names = list(self.record_names(shown)) if self.record_names else [str(n) for n in shown]
        more = f" and {len(numbers) - len(shown)} more" if len(numbers) > len(shown) else ""
        return ", ".join(names) + more


class RestoreBest(pl.Callback):
    """Puts the weights with the best validation metric into the module when the fit is over.

    It has the very last step validated too, wherever it falls: the weights of a schedule that ends
    between two validations would otherwise never be compared, and be lost.

    Parameters
    ----------
    checkpoint : ModelCheckpoint
        The callback that kept them.
    """

    def __init__(self, checkpoint: ModelCheckpoint):
        self.checkpoint = checkpoint

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Ask for a validation after the last step."""
        total = getattr(getattr(pl_module, "schedule", None), "total_steps", None)
        if total is not None and trainer.global_step >= total:
            trainer.should_stop = True  # Lightning validates before it stops

    def on_fit_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Load the best weights and note them in ``pl_module.best``."""
        trainer.strategy.barrier("restore best")
        path = trainer.strategy.broadcast(self.checkpoint.best_model_path)
        if not path or not Path(path).exists():
            return
        saved = torch.load(path, map_location="cpu", weights_only=True)
        if pl_module.device_mesh is None:
            pl_module.load_state_dict(saved["state_dict"], strict=True)
        else:
            from torch.distributed.checkpoint.state_dict import StateDictOptions, set_model_state_dict

            # Under sharding the strategy's own loading does nothing outside a resumed run.
            set_model_state_dict(
                pl_module, saved["state_dict"], options=StateDictOptions(full_state_dict=True, strict=True)
            )
        score = self.checkpoint.best_model_score
        best = {
            "metric": self.checkpoint.monitor,
            "value": None if score is None else float(score),
            "step": int(saved["global_step"]),
            "path": str(path),
        }
        pl_module.__dict__["best"] = best
