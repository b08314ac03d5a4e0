"""The command: a verb, a name and overrides in; a job out. Imports nothing heavy."""

from __future__ import annotations

import importlib
import os
import sys
import traceback
from collections.abc import Sequence
from dataclasses import dataclass, field

from scizoo.errors import ConfigError, ScizooError, did_you_mean
from scizoo.jobs import JOBS, PLAIN

_FLAGS = {"--help", "--debug", "--config-dir", "--version"}
_SHORT = {"-h": "--help", "-m": "--multirun", "-cd": "--config-dir", "-V": "--version"}
_HYDRA_FLAGS = ("--cfg", "-c", "--info", "-i", "--config-name", "-cn", "--config-path", "-cp", "--resolve")


@dataclass
class Command:
    """A command line, taken apart.

    Parameters
    ----------
    verb : str or None
    words : list of str
        What is neither a flag nor ``key=value``: the name, or a subject such as ``tasks``.
    overrides : list of str
        ``key=value`` words, in order.
    flags : set of str
        Long names of the flags that were given.
    config_dirs : list of str
        Values of ``--config-dir``.
    """

    verb: str | None = None
    words: list[str] = field(default_factory=list)
    overrides: list[str] = field(default_factory=list)
    flags: set[str] = field(default_factory=set)
    config_dirs: list[str] = field(default_factory=list)

    def name(self, needed: bool = False) -> str | None:
        """Return the one positional name.

        Raises
        ------
        ConfigError
            When there are several, or none although one is needed.
        """
        if len(self.words) > 1:
            raise ConfigError(
                f"'{self.words[1]}' is one word too many.",
                expected=f"scizoo {self.verb} [NAME] [key=value ...]",
                remedy=f"write a setting as key=value, for instance {self.words[1]}=VALUE.",
            )
        if needed and not self.words:
            raise ConfigError(f"scizoo {self.verb} needs a name.", remedy=f"see scizoo {self.verb} --help.")
        return self.words[0] if self.words else None


def parse(argv: Sequence[str]) -> Command:
    """Take a command line apart.

    Raises
    ------
    ConfigError
        For an unknown verb or flag, with the nearest ones.
    """
    command = Command()
    rest = list(argv)
    while rest:
        word = rest.pop(0)
        flag, sign, value = word.partition("=")
        flag = _SHORT.get(flag, flag)
        if word.startswith("-") and len(word) > 1:
            if flag == "--config-dir":
                if not sign and not rest:
                    raise ConfigError("--config-dir needs a folder.")
                command.config_dirs.append(value if sign else rest.pop(0))
            else:
                command.flags.add(flag)
        elif command.verb is None:
            command.verb = word
        elif "=" in word or word.startswith("~"):
            command.overrides.append(word)
        else:
            command.words.append(word)
    _check(command)
    return command


def _check(command: Command) -> None:
    verb = command.verb
    if verb is not None and verb not in PLAIN and verb not in JOBS:
        raise ConfigError(f"there is no verb '{verb}': {did_you_mean(verb, [*PLAIN, *JOBS])}")
    known = set(_FLAGS)
    known |= {"--multirun"} if verb in JOBS else set()
    known |= {"--json"} if verb in ("list", "info", "doctor") else set()
    for flag in sorted(command.flags - known):
        hint = did_you_mean(flag, known)
        if flag in _HYDRA_FLAGS and command.verb in JOBS:
            hint = "`scizoo config show NAME` prints the composed config."
        raise ConfigError(f"scizoo {verb or ''} has no flag {flag}: {hint}".replace("  ", " "))


def run(argv: Sequence[str]) -> int:
    """Carry out a command; errors are raised.

    Parameters
    ----------
    argv : sequence of str
        The words after ``scizoo``.

    Returns
    -------
    int
        The exit status.
    """
    from scizoo import plugins

    command = parse(argv)
    if "--version" in command.flags:
        from scizoo import __version__

        print(f"scizoo {__version__}")
        return 0
    for folder in command.config_dirs:
        plugins.add_user_conf_dir(folder)
    if "--help" in command.flags or command.verb is None:
        from scizoo.jobs.help import print_help

        print_help(command)
        return 0
    module = "scizoo.jobs.run" if command.verb in JOBS else f"scizoo.jobs.{command.verb}"
    return int(importlib.import_module(module).main(command))


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and turn errors into one message and an exit status.

    Parameters
    ----------
    argv : sequence of str, optional
        The words after ``scizoo``; by default those of this process.

    Returns
    -------
    int
        0 done; 2 the user's input or config is wrong; 1 anything else; 130 interrupted.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    debug = "--debug" in words
    try:
        return run(words)
    except ScizooError as error:
        if debug:
            traceback.print_exc()
        print(f"scizoo: {error}", file=sys.stderr)
        return error.exit_status
    except KeyboardInterrupt:
        print("scizoo: interrupted.", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader (head, less) has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        if debug:
            traceback.print_exc()
            return 1
        text = str(error).strip() or "no message"
        print(
            f"scizoo: {type(error).__name__}: {text}\n"
            "What to do: run the command again with --debug for the full trace; "
            "if this looks like a fault of scizoo, report it with that trace.",
            file=sys.stderr,
        )
        return 1
