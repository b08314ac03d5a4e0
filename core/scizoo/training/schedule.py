"""Learning-rate schedules as plain functions of the optimizer step."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from scizoo.errors import ConfigError, did_you_mean

SHAPES = ("cosine", "wsd", "linear", "constant")
_KEYS = ("name", "warmup", "decay", "final")


@dataclass
class Schedule:
    """Factor on the learning rate at each optimizer step: a warm-up, then one of four shapes.

    An instance is the ``lr_lambda`` of :class:`torch.optim.lr_scheduler.LambdaLR`; its fields are
    plain numbers, so that LambdaLR writes them into the checkpoint of a run.

    Parameters
    ----------
    name : {"cosine", "wsd", "linear", "constant"}
        ``wsd`` (warm-up, stable, decay; arXiv 2405.18392) stays at the peak and falls over the last
        ``decay`` of the run as ``1 - sqrt``.
    warmup : float
        Steps of linear warm-up; a value below 1 is a share of the run.
    decay : float
        For ``wsd``: steps, or share of the run, of the final fall.
    final : float
        The factor at the end of the run (``constant`` has none).
    total_steps : int, optional
        Optimizer steps of the run. None until the trainer knows it.
    """

    name: str = "cosine"
    warmup: float = 0.05
    decay: float = 0.2
    final: float = 0.0
    total_steps: int | None = None

    def __post_init__(self) -> None:
        if self.name not in SHAPES:
            raise ConfigError(
                f"schedule.name={self.name} is no schedule: {did_you_mean(str(self.name), SHAPES)}"
            )
        for key in ("warmup", "decay"):
            if getattr(self, key) < 0:
                raise ConfigError(
                    f"schedule.{key}={getattr(self, key)} is negative.",
                    expected="a number of steps, or a share of the run below 1",
                )
        if not 0 <= self.final <= 1:
            raise ConfigError(f"schedule.final={self.final}", expected="a factor between 0 and 1")

    @classmethod
    def from_config(cls, settings: Mapping[str, Any], total_steps: int | None = None) -> Schedule:
        """Build a schedule from the ``schedule`` group of a config.

        Raises
        ------
        ConfigError
            For an unknown key, shape or range.
        """
        for key in settings:
            if key not in _KEYS:
                raise ConfigError(f"schedule.{key} is unknown: {did_you_mean(str(key), _KEYS)}")
        return cls(**settings, total_steps=total_steps)

    @property
    def needs_total(self) -> bool:
        """Whether the shape depends on the length of the run."""
        return self.name != "constant" or 0 < self.warmup < 1

    def _steps(self, value: float) -> int:
        if value < 1:
            return round(value * (self.total_steps or 0))
        return int(value)

    def __call__(self, step: int) -> float:
        """Give the factor for optimizer step ``step``, counted from 0."""
        warmup = self._steps(self.warmup)
        if step < warmup:
            return (step + 1) / (warmup + 1)
        if self.name == "constant" or self.total_steps is None:
            return 1.0
        total = max(self.total_steps, warmup + 1)
        if self.name == "wsd":
            fall = max(1, min(self._steps(self.decay), total - warmup))
            progress = min(1.0, max(0, step - (total - fall)) / fall)
            return self.final + (1 - self.final) * (1 - math.sqrt(progress))
        progress = min(1.0, (step - warmup) / (total - warmup))
        if self.name == "linear":
            return self.final + (1 - self.final) * (1 - progress)
        return self.final + (1 - self.final) * 0.5 * (1 + math.cos(math.pi * progress))
