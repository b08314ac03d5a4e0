"""The one LightningModule: pre-training and fine-tuning differ only in the head."""

from __future__ import annotations

import hashlib
import math
import random
from collections.abc import Mapping, Sequence
from typing import Any

import lightning.pytorch as pl
import numpy as np
import torch
from torch import Tensor, nn

from scizoo.errors import ConfigError
from scizoo.training.joint import JointModel, batch_size
from scizoo.training.metrics import METRICS, ValidationMetrics, loss_weight, token_accuracy
from scizoo.training.optim import build_optimizer, repeated_blocks
from scizoo.training.schedule import Schedule


def derived_seed(*parts: object) -> int:
    """Derive a 63-bit seed from anything that has a text form, the same on every machine."""
    digest = hashlib.blake2b("/".join(map(str, parts)).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1


class ScizooModule(pl.LightningModule):
    """Trains a backbone under a head or an objective.

    The randomness of a training step (dropout, masks) is a function of ``seed``, rank, epoch and
    batch number alone: every step begins by seeding torch, numpy and Python from them. A run that
    is resumed at any step therefore continues exactly, with no generator state in its checkpoint.
    Masks of validation batches depend on the seed and the batch number only, so that values are
    comparable from epoch to epoch.

    Parameters
    ----------
    backbone : Backbone
    head : Head
        An Objective (a head with ``prepare``) makes its own targets.
    optimizer : mapping
        The ``optimizer`` config group, see :func:`scizoo.training.optim.build_optimizer`.
    schedule : mapping
        The ``schedule`` config group, see :class:`scizoo.training.schedule.Schedule`.
    seed : int
    metrics : sequence of str, optional
        Validation metrics by name; by default all that fit the head's kind.
    outputs : int, optional
        Number of classes, labels or values; by default ``head.outputs``.
    target_scale : float or sequence of float, optional
        Standard deviation by which regression targets were divided, so that errors are logged in
        the target's units.
    total_steps : int, optional
        Optimizer steps of the run; by default taken from the trainer when it starts.

    Attributes
    ----------
    best : dict or None
        After a fit with a monitored metric: ``metric``, ``value``, ``step`` and ``path`` of the
        weights that the module now holds.
    """

    def __init__(
        self,
        backbone: nn.Module,
        head: nn.Module,
        *,
        optimizer: Mapping[str, Any],
        schedule: Mapping[str, Any],
        seed: int = 0,
        metrics: Sequence[str] | None = None,
        outputs: int | None = None,
        target_scale: float | Sequence[float] | None = None,
        total_steps: int | None = None,
    ):
        super().__init__()
        self.model = JointModel(backbone, head)
        self.optimizer_settings = dict(optimizer)
        self.schedule = Schedule.from_config(schedule, total_steps)
        self.given_total_steps = total_steps
        self.seed = int(seed)
        self.kind: str = getattr(head, "kind", "classification")
        scale = None if target_scale is None else torch.as_tensor(target_scale, dtype=torch.float32)
        count = outputs if outputs is not None else int(getattr(head, "outputs", 2) or 2)
        names = metrics if metrics is not None else METRICS.get(self.kind, ())
        background = bool(getattr(head, "background", True))
        self.validation_metrics = ValidationMetrics(self.kind, count, names, scale, background)
        self.grad_norm: Tensor | None = None
        self.best: dict[str, Any] | None = None
        self._loss_sum: Tensor | None = None
        self._loss_weight: Tensor | None = None

    @property
    def backbone(self) -> Any:
        """The backbone."""
        return self.model.backbone

    @property
    def head(self) -> Any:
        """The head or objective."""
        return self.model.head

    def configure_model(self) -> None:
        """Shard layer by layer under FSDP2; nothing to do under any other strategy."""
        mesh = self.device_mesh
        if mesh is None:
            return
        from torch.distributed.fsdp import FSDPModule, fully_shard

        if isinstance(self.model, FSDPModule):
            return
        data_parallel = mesh["data_parallel"]
        for _, block in repeated_blocks(self.model.backbone):
            fully_shard(block, mesh=data_parallel)
        # One root over both parts, for tied weights must be in one group.
        fully_shard(self.model, mesh=data_parallel)

    def forward(self, batch: Mapping[str, Any]) -> dict[str, Tensor]:
        """Give the head's outputs for a batch."""
        return self.model(batch)

    def _prepare(self, batch: dict[str, Any], *parts: object) -> dict[str, Any]:
        prepare = getattr(self.head, "prepare", None)
        if prepare is None:
            return batch
        # Positions are chosen on the CPU, so that every device draws the same ones.
        generator = torch.Generator().manual_seed(derived_seed(self.seed, *parts))
        return prepare(batch, generator)

    def on_fit_start(self) -> None:
        """Set every trainable part to training mode, whatever mode it was loaded in."""
        self.train()
        if not any(parameter.requires_grad for parameter in self.backbone.parameters()):
            # A frozen backbone is a fixed function: no dropout, no running statistics.
            self.backbone.eval()

    def on_train_start(self) -> None:
        """Learn the length of the run, which the trainer knows only now."""
        # trainer.estimated_stepping_batches, read in configure_optimizers, would build the loaders
        # before a resumed run has restored their state, and lose it.
        if self.given_total_steps is None:
            self.schedule.total_steps = self._steps_of_run()
        if self.schedule.total_steps is None and self.schedule.needs_total:
            raise ConfigError(
                f"schedule.name={self.schedule.name} needs the length of the run.",
                expected="trainer.max_steps, or trainer.max_epochs with data of known length",
                remedy="set trainer.max_steps, or schedule=constant with schedule.warmup in steps.",
            )
        for config in self.trainer.lr_scheduler_configs:
            scheduler = config.scheduler
            factor = self.schedule(scheduler.last_epoch)
            for group, base in zip(scheduler.optimizer.param_groups, scheduler.base_lrs):
                group["lr"] = base * factor
            scheduler._last_lr = [group["lr"] for group in scheduler.optimizer.param_groups]

    def _steps_of_run(self) -> int | None:
        trainer = self.trainer
        limits: list[int] = []
        if trainer.max_steps is not None and trainer.max_steps > 0:
            limits.append(trainer.max_steps)
        batches = trainer.num_training_batches
        if trainer.max_epochs is not None and trainer.max_epochs > 0 and batches != float("inf"):
            limits.append(trainer.max_epochs * math.ceil(batches / trainer.accumulate_grad_batches))
        return min(limits) if limits else None

    def training_step(self, batch: dict[str, Any], batch_idx: int) -> Tensor:
        """Compute the loss of one batch."""
        place = (self.global_rank, self.current_epoch, batch_idx)
        seed_everything(derived_seed(self.seed, "step", *place))
        batch = self._prepare(batch, "targets", *place)
        outputs = self.model(batch)
        loss = self.head.loss(outputs, batch)
        if self._logs_now():
            values = {"train/loss": loss.detach()}
            with torch.no_grad():
                accuracy = token_accuracy(outputs, batch)
            if accuracy is not None:
                values["train/accuracy"] = accuracy
            self.log_dict(values, batch_size=batch_size(batch))
        return loss

    def _logs_now(self) -> bool:
        return (self.global_step + 1) % max(1, int(getattr(self.trainer, "log_every_n_steps", 1))) == 0

    def configure_gradient_clipping(
        self,
        optimizer: torch.optim.Optimizer,
        gradient_clip_val: float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        """Clip by norm or value, and keep the norm for the log and the divergence guard.

        Lightning's own clipping refuses fused optimizers under bf16-mixed, where there is no
        gradient scaler and clipping is sound.
        """
        parameters = [p for group in optimizer.param_groups for p in group["params"] if p.grad is not None]
        logs = self._logs_now()
        by_value = gradient_clip_algorithm is not None and str(gradient_clip_algorithm).endswith("value")
        self.grad_norm = None
        if gradient_clip_val and not by_value:
            self.grad_norm = torch.nn.utils.clip_grad_norm_(parameters, gradient_clip_val)
        elif logs:
            self.grad_norm = torch.nn.utils.get_total_norm([p.grad for p in parameters])
        if gradient_clip_val and by_value:
            torch.nn.utils.clip_grad_value_(parameters, gradient_clip_val)
        if isinstance(self.grad_norm, Tensor) and hasattr(self.grad_norm, "full_tensor"):
            self.grad_norm = self.grad_norm.full_tensor()  # sharded parameters give a sharded norm
        if logs and self.grad_norm is not None:
            rate = max(group["lr"] for group in optimizer.param_groups)
            self.log_dict({"train/grad_norm": self.grad_norm, "train/lr": rate})

    def on_validation_epoch_start(self) -> None:
        """Begin a new mean of the loss."""
        exact = torch.float32 if self.device.type == "mps" else torch.float64
        self._loss_sum = torch.zeros((), dtype=exact, device=self.device)
        self._loss_weight = torch.zeros_like(self._loss_sum)

    def validation_step(self, batch: dict[str, Any], batch_idx: int) -> None:
        """Add one batch to the validation loss and metrics."""
        batch = self._prepare(batch, "validation", self.global_rank, batch_idx)
        outputs = self.model(batch)
        loss = self.head.loss(outputs, batch)
        weight = loss_weight(self.kind, outputs, batch)
        assert self._loss_sum is not None and self._loss_weight is not None
        if weight:  # a batch in which nothing counts has no loss
            self._loss_sum += loss.detach().to(self._loss_sum) * weight
            self._loss_weight += weight
        self.validation_metrics.update(outputs, batch)

    def on_validation_epoch_end(self) -> None:
        """Log ``validation/loss`` and every metric."""
        assert self._loss_sum is not None and self._loss_weight is not None
        both = torch.stack([self._loss_sum, self._loss_weight])
        if self.trainer.world_size > 1:
            both = self.trainer.strategy.reduce(both, reduce_op="sum")
        loss = float(both[0] / both[1]) if float(both[1]) else float("nan")
        values = {"loss": loss, **self.validation_metrics.compute(loss)}
        # The same number on every rank, so there is nothing to reduce.
        self.log_dict({f"validation/{name}": value for name, value in values.items()}, rank_zero_only=False)

    def configure_optimizers(self) -> Any:
        """Build the optimizer and the schedule, which steps with it."""
        optimizer = build_optimizer(
            self.backbone,
            self.head,
            self.optimizer_settings,
            scaled=str(self.trainer.precision) == "16-mixed",
        )
        scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, self.schedule)
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": scheduler, "interval": "step", "frequency": 1},
        }

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Note what the randomness of the steps depends on; plain values, for safe loading."""
        checkpoint["scizoo"] = {"seed": self.seed, "world_size": int(self.trainer.world_size)}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Refuse to continue a run under another seed, which would be neither run."""
        saved = checkpoint.get("scizoo", {}).get("seed", self.seed)
        if saved != self.seed:
            raise ConfigError(
                f"the run to resume had seed={saved}, this one has seed={self.seed}.",
                remedy=f"resume with seed={saved}.",
            )


def seed_everything(seed: int) -> None:
    """Seed torch (every device), numpy and Python; libraries draw from all three."""
    torch.manual_seed(seed)
    np.random.seed(seed & 0xFFFFFFFF)
    random.seed(seed)
