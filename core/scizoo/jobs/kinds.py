"""Which verbs fit which kind of task."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from scizoo.data.task import GENERATION
from scizoo.errors import ConfigError


def is_generation(cfg: Mapping[str, Any]) -> bool:
    """Whether a config's task is to write records."""
    return (cfg.get("task") or {}).get("kind") == GENERATION


def need_labels(cfg: Mapping[str, Any], verb: str) -> None:
    """Refuse a task of generation where a verb needs labels.

    Raises
    ------
    ConfigError
        Naming the verb that does it.
    """
    if not is_generation(cfg):
        return
    name = cfg["task"].get("name")
    raise ConfigError(
        f"scizoo {verb} is for tasks with labels; {name} is a task of generation.",
        remedy=f"`scizoo finetune {name}` compares the pre-trained model with one from scratch and its "
        f"baselines; `scizoo generate {name} checkpoint=...` writes records.",
    )
