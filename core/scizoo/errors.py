"""Errors that users see, and the suggestions that go with them."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class ScizooError(Exception):
    """Something the user can mend: an input, a config, a checkpoint.

    The command prints the message alone and exits with status 2.

    Parameters
    ----------
    problem : str
        What is wrong, naming the file, record or key.
    expected : str, optional
        What was expected instead.
    remedy : str, optional
        What to do about it.
    """

    exit_status = 2

    def __init__(self, problem: str, *, expected: str | None = None, remedy: str | None = None):
        self.problem = problem
        self.expected = expected
        self.remedy = remedy
        super().__init__(str(self))

    def __str__(self) -> str:
        parts = [self.problem]
        if self.expected:
            parts.append(f"Expected: {self.expected}")
        if self.remedy:
            parts.append(f"What to do: {self.remedy}")
        return "\n".join(parts)


class ConfigError(ScizooError):
    """A config key, value or name is wrong."""


class DataError(ScizooError):
    """A file or record is wrong."""


class CheckpointError(ScizooError):
    """A checkpoint is missing, damaged, unsafe or of a newer format."""


class TrainingError(ScizooError):
    """A run cannot go on: the loss diverged, the labels do not allow training."""


class MachineError(ScizooError):
    """The machine is at fault (disk full, out of memory), not the user's input."""

    exit_status = 1


def did_you_mean(wrong: str, choices: Iterable[str], *, most: int = 3) -> str:
    """Phrase the nearest valid choices for a mistyped word.

    Parameters
    ----------
    wrong : str
        What the user typed.
    choices : iterable of str
        The valid words.
    most : int
        How many suggestions at most.

    Returns
    -------
    str
        ``"did you mean 'a' or 'b'?"``, or the list of choices when nothing is near.
    """
    known = sorted(set(choices))
    near = difflib.get_close_matches(wrong, known, n=most, cutoff=0.5)
    if near:
        return "did you mean " + " or ".join(f"'{word}'" for word in near) + "?"
    if not known:
        return "there are no valid choices here."
    shown = ", ".join(known[:20]) + (", ..." if len(known) > 20 else "")
    return f"valid choices: {shown}"
