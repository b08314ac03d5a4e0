"""Help at every level, written from the installed configs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scizoo import plugins
from scizoo.catalogue import describe, entries
from scizoo.errors import ConfigError, did_you_mean
from scizoo.jobs import JOBS, PLAIN
from scizoo.jobs.naming import TAKES_CHECKPOINT, is_checkpoint
from scizoo.overrides import group_of

if TYPE_CHECKING:
    from scizoo.cli import Command

# What a first user changes, in the order in which it is shown; a section stands for all its keys.
_MAIN = (
    "data",
    "checkpoint",
    "context.max_length",
    "context.long_records",
    "batching.batch_size",
    "batching.tokens_per_batch",
    "optimizer.lr",
    "optimizer.weight_decay",
    "schedule.warmup",
    "trainer.max_epochs",
    "trainer.max_steps",
    "trainer.devices",
    "seed",
    "run_dir",
)
_GENERATED = ("checkpoint", "prompt", "samples", "data", "seed", "output", "run_dir")
_CHOICES = (
    "adapt",
    "backbone",
    "tokenizer",
    "objective",
    "trainer",
    "precision",
    "optimizer",
    "schedule",
    "logger",
)

_PLAIN_USAGE = {
    "list": """scizoo list [tasks|recipes|checkpoints|tokenizers] [DOMAIN] [--json]

  scizoo list                     everything that is installed
  scizoo list tasks genomics      the tasks of one domain
  scizoo list checkpoints --json  for other programs""",
    "info": """scizoo info NAME [--json]

  NAME is a domain (genomics), a task, recipe or tokenizer (genomics/taxonomy), or a checkpoint
  (a name, a folder or a URL).""",
    "doctor": """scizoo doctor [DOMAIN] [data.path=FILE ...] [--json]

  Looks at Python, the libraries, devices, folders and every installed domain; with DOMAIN it also
  composes and checks each config of that domain. Exit status 1 when something is wrong.""",
    "verify": """scizoo verify CHECKPOINT

  CHECKPOINT is a name, a folder or a URL. Checks every file against SHA256SUMS and recomputes the
  reference outputs that were stored when the checkpoint was written.""",
    "config": """scizoo config show|check|copy NAME [FOLDER] [key=value ...]

  scizoo config show genomics/taxonomy          print the composed config
  scizoo config check genomics/taxonomy seed=1  import every class it names and check their settings
  scizoo config copy genomics/taxonomy my_conf  an editable copy, used with --config-dir my_conf

  NAME is a task or a recipe; verb=evaluate composes it for another verb.""",
}


def print_help(command: Command) -> None:
    """Print the help that a command line asks for.

    Raises
    ------
    ConfigError
        When it names a task or recipe that does not exist.
    """
    if command.verb is None:
        print(_top())
    elif command.verb in PLAIN:
        print(f"{PLAIN[command.verb]}\n\nusage: {_PLAIN_USAGE[command.verb]}")
    elif command.words:
        print(_named(command.verb, str(command.name())))
    else:
        print(_verb(command.verb))


def _table(rows: list[tuple[str, str]], indent: str = "  ") -> list[str]:
    width = max((len(left) for left, _ in rows), default=0)
    return [f"{indent}{left:<{width}}  {right}".rstrip() for left, right in rows]


def _top() -> str:
    example = next(iter(plugins.options("task")), "DOMAIN/TASK")
    return "\n".join(
        [
            "scizoo: a zoo of domain-specialist foundation models",
            "",
            "usage: scizoo VERB [DOMAIN/NAME] [key=value ...] [--help] [--debug] [--config-dir FOLDER]",
            "",
            "jobs (each makes one run directory and prints its path last):",
            *_table(list(JOBS.items())),
            "",
            "answers:",
            *_table(list(PLAIN.items())),
            "",
            f"installed domains: {', '.join(plugins.installed()) or 'none; pip install scizoo-DOMAIN'}",
            "",
            "try:",
            f"  scizoo finetune {example}",
            f"  scizoo finetune {example} --help        its settings",
            f"  scizoo finetune {example} seed=0,1,2 -m  one job for each seed",
            "",
            "exit status: 0 done; 2 the input or config is wrong; 1 anything else.",
        ]
    )


def _verb(verb: str) -> str:
    group = group_of(verb)
    known = [(entry.name, entry.summary) for entry in entries(group) if _fits(verb, entry.kind)]
    subject = "TASK|CHECKPOINT" if verb in TAKES_CHECKPOINT else "NAME"
    also = [
        "",
        "in place of a task: a checkpoint by its name, folder or URL; then nothing but the samples, the",
        "prompt and the seed is set.",
    ]
    return "\n".join(
        [
            f"scizoo {verb}: {JOBS[verb]}",
            "",
            f"usage: scizoo {verb} {subject} [key=value ...] [-m] [--debug] [--config-dir FOLDER]",
            "",
            f"names ({group}s):",
            *(_table(known) or ["  none" if plugins.options(group) else "  none: no domain is installed"]),
            *(also if verb in TAKES_CHECKPOINT else []),
            "",
            "choices (GROUP=OPTION):",
            *_table([(name, ", ".join(plugins.options(name))) for name in _CHOICES if plugins.options(name)]),
            "",
            "any key:      scizoo config show NAME lists them; a value may hold '='.",
            "sweeps:       key=a,b,c with -m runs one job for each combination;",
            "              hydra/launcher=... and hydra/sweeper=... choose how.",
            f"more:         scizoo {verb} NAME --help",
        ]
    )


def _named(verb: str, name: str) -> str:
    from scizoo.config import compose

    group = group_of(verb)
    files = plugins.option_files(group)
    if is_checkpoint(verb, name):
        cfg = compose(verb, None, [f"checkpoint={name}"])
        return _settings(f"scizoo {verb} {name}: {JOBS[verb]}", cfg, _GENERATED, None)
    if name not in files:
        raise ConfigError(f"there is no {group} '{name}': {did_you_mean(name, files)}")
    entry = describe(group, name, files[name])
    cfg = compose(verb, name)
    writes = verb == "generate" or cfg.task.get("kind") == "generation" if "task" in cfg else False
    keys = _GENERATED if verb == "generate" else (*_MAIN[:2], "samples", *_MAIN[2:]) if writes else _MAIN
    return _settings(f"scizoo {verb} {name}: {entry.summary}", cfg, keys, name)


def _settings(title: str, cfg: Any, keys: tuple[str, ...], name: str | None) -> str:
    """List the settings of a config, and where there is more."""
    rows: list[tuple[str, str]] = []
    for key in keys:
        section, _, rest = key.partition(".")
        node: Any = cfg._get_node(section)
        rows += _flat(key, node._get_node(rest) if rest else node)
    return "\n".join(
        [
            title,
            "",
            "main settings and their defaults (??? must be given):",
            *_table(rows),
            "",
            "choices (GROUP=OPTION):",
            *_table([(word, ", ".join(plugins.options(word))) for word in _CHOICES if plugins.options(word)]),
            "",
            *([f"all settings: scizoo config show {name}"] if name else []),
            *([f"an own copy:  scizoo config copy {name} FOLDER"] if name else []),
        ]
    )


def _fits(verb: str, kind: str) -> bool:
    """Whether a verb takes tasks of a kind."""
    if verb == "generate":
        return kind == "generation"
    return kind != "generation" or verb not in ("compare", "evaluate", "predict")


def _flat(prefix: str, node: Any) -> list[tuple[str, str]]:
    from omegaconf import OmegaConf

    if OmegaConf.is_dict(node) and not node._is_none() and not node._is_missing():
        return [
            row
            for key in node.keys()  # noqa: SIM118 - items() would raise on missing values
            if not str(key).startswith("_")
            for row in _flat(f"{prefix}.{key}", node._get_node(key))
        ]
    if node is None:
        return [(prefix, "null")]
    value = (
        OmegaConf.to_container(node) if OmegaConf.is_config(node) and not node._is_none() else node._value()
    )
    return [(prefix, "null" if value is None else str(value))]
