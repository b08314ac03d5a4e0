"""What the name in a command means: a task or recipe, or for some verbs a checkpoint."""

from __future__ import annotations

from pathlib import Path

from scizoo import plugins
from scizoo.errors import ConfigError, did_you_mean
from scizoo.overrides import group_of

#: Verbs whose name may be a checkpoint in the place of a task.
TAKES_CHECKPOINT = ("generate",)


def is_checkpoint(verb: str, name: str | None) -> bool:
    """Tell whether a name means a checkpoint to a verb.

    A task goes before a checkpoint of the same name; write ``./NAME`` for a folder.

    Raises
    ------
    ConfigError
        When the verb takes checkpoints and there is neither a task nor a checkpoint of this name.
    """
    if name is None or verb not in TAKES_CHECKPOINT or name in plugins.options(group_of(verb)):
        return False
    from scizoo.checkpoints.store import list_checkpoints

    known = [info.name for info in list_checkpoints()]
    if name in known or "://" in name or Path(name).expanduser().is_dir():
        return True
    choices = [*plugins.options(group_of(verb)), *known]
    bad = plugins.broken().get(name.partition("/")[0])
    raise ConfigError(
        f"there is no task or checkpoint '{name}': {did_you_mean(name, choices)}",
        remedy=f"{bad.problem}; {bad.remedy}" if bad else "`scizoo list` shows all; a folder works as well.",
    )


def short_name(name: str) -> str:
    """Give the name under which a run of a checkpoint is filed."""
    return name if plugins.installed().get(name.partition("/")[0]) else Path(name.rstrip("/")).name
