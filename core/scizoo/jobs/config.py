"""``scizoo config``: show, check or copy the config of a task or recipe."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from scizoo import plugins
from scizoo.config import check_arguments, compose, get_class, targets
from scizoo.errors import ConfigError, ScizooError, did_you_mean
from scizoo.files import write_text

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from scizoo.cli import Command

_ACTIONS = ("show", "check", "copy")


def main(command: Command) -> int:
    """Show, check or copy.

    Raises
    ------
    ConfigError
        When the action or the name is unknown, or the config is wrong.
    """
    action, name, folder = _arguments(command)
    verbs = [word.partition("=")[2] for word in command.overrides if word.startswith("verb=")]
    words = [word for word in command.overrides if not word.startswith("verb=")]
    verb = verbs[-1] if verbs else _verb_of(name)
    _known_verb(verb)
    if action == "copy":
        print(copy(name, folder or Path("conf")))
        return 0
    if folder is not None:
        raise ConfigError(f"scizoo config {action} takes one name; '{folder}' is one word too many.")
    cfg = compose(verb, name, words)
    if action == "show":
        from omegaconf import OmegaConf

        print(OmegaConf.to_yaml(cfg), end="")
        return 0
    problems = check(cfg)
    if problems:
        raise ConfigError(f"{name}: " + "\n".join(problems))
    print(f"{name}: the config is sound.")
    return 0


def _arguments(command: Command) -> tuple[str, str, Path | None]:
    words = list(command.words)
    if not words or words[0] not in _ACTIONS:
        wrong = words[0] if words else ""
        hint = did_you_mean(wrong, _ACTIONS) if wrong else f"valid choices: {', '.join(_ACTIONS)}"
        raise ConfigError(f"scizoo config needs to know what to do: {hint}")
    if not 2 <= len(words) <= 3:
        raise ConfigError(f"scizoo config {words[0]} needs one name.", remedy="see scizoo config --help.")
    return words[0], words[1], Path(words[2]) if len(words) == 3 else None


def _known_verb(verb: str) -> None:
    from scizoo.jobs import JOBS

    if verb not in JOBS:
        raise ConfigError(f"verb={verb}: {did_you_mean(verb, JOBS)}")


def _verb_of(name: str) -> str:
    tasks, recipes = plugins.options("task"), plugins.options("recipe")
    if name in tasks:
        return "finetune"
    if name in recipes:
        return "pretrain"
    raise ConfigError(f"there is no task or recipe '{name}': {did_you_mean(name, [*tasks, *recipes])}")


def check(cfg: DictConfig) -> list[str]:
    """Import every class that a config names and compare its settings with what the class takes.

    Parameters
    ----------
    cfg : DictConfig
        A composed config; values that the user must give may still be missing.

    Returns
    -------
    list of str
        What is wrong, a line each; empty when nothing is.
    """
    from omegaconf import OmegaConf

    plain: Any = OmegaConf.to_container(cfg, resolve=False)
    problems = []
    from scizoo.evaluation.leakage import AuditSettings

    # The audit's own keys stand beside those of the similarity that it makes.
    plain = {**plain, "audit": AuditSettings.split_from(plain.get("audit"))[1] or None}
    for key, node in targets(plain):
        try:
            target = get_class(str(node["_target_"]), key=f"{key}._target_")
            settings = {name: value for name, value in node.items() if not str(name).startswith("_")}
            if key == "optimizer":
                settings = {"lr": settings.get("lr")}  # the rest is scizoo's own, checked when it is built
            if key == "audit":  # its group holds the audit's own keys beside those of the similarity
                from scizoo.evaluation.leakage import AuditSettings

                settings = AuditSettings.split_from(settings)[1]
            check_arguments(target, (), settings, key=key, partial=True)
        except ScizooError as error:
            problems.append(str(error))
    return problems


def copy(name: str, folder: Path) -> Path:
    """Copy the YAML of a task or recipe into a folder for ``--config-dir``, comments and all.

    Returns
    -------
    Path
        The copy; it goes before the original of the same name.

    Raises
    ------
    ConfigError
        When the name is unknown or the copy exists already.
    """
    group = "task" if name in plugins.options("task") else "recipe"
    source = plugins.option_files(group).get(name)
    if source is None:
        _verb_of(name)
        raise ConfigError(f"there is no task or recipe '{name}'.")
    target = folder.expanduser() / group / f"{name}.yaml"
    if target.exists():
        raise ConfigError(
            f"{target} exists already; it was left as it is.", remedy="edit it, or name another folder."
        )
    return write_text(target, source.read_text(encoding="utf-8"))
