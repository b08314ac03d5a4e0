"""What a plugin hands to the contract suite: a few inputs, tiny files, and files that must be refused."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from scizoo import plugins
from scizoo.errors import ConfigError

#: Writes a tiny labelled file into a folder and returns the overrides that name it, such as
#: ``["data.path=/tmp/x/tiny.csv", "data.target=label"]``. It must write the same bytes each time.
WriteData = Callable[[Path], Sequence[str]]


@dataclass(frozen=True)
class BadFile:
    """A file that a task must refuse with one message.

    Parameters
    ----------
    task : str
        A task that takes ``data.path``.
    name : str
        The file's name; the message must hold it.
    content : bytes
        What stands in it.
    says : sequence of str
        Words that the message must hold besides, in any order; upper and lower case count alike. Name
        the record here where a record is at fault.
    settings : sequence of str
        Further overrides.
    """

    task: str
    name: str
    content: bytes
    says: Sequence[str]
    settings: Sequence[str] = ()


@dataclass(frozen=True)
class Examples:
    """What the contract suite needs to know of a domain.

    Parameters
    ----------
    inputs : sequence, or mapping of str to sequence
        A few valid inputs (``Record.input``) that every token tokenizer gives back unchanged when it
        decodes what it encoded. Where tokenizers take objects of different kinds, by the tokenizer's name.
    own_data : mapping of str to callable
        For each task that cannot run without the user's data, what writes a tiny file of it: some 40
        records that a small model can learn, with labels in every part of the split.
    bad_files : sequence of BadFile
        Files that must be refused.
    model : sequence of str
        Overrides that give a labelled task a new model in the place of its checkpoint. The suite makes
        backbones from transformers tiny by itself; for others name a tiny one here.
    settings : mapping of str to sequence of str
        Further overrides of a task or recipe by its name, for instance to read less.
    """

    inputs: Sequence[Any] | Mapping[str, Sequence[Any]]
    own_data: Mapping[str, WriteData] = field(default_factory=dict)
    bad_files: Sequence[BadFile] = ()
    model: Sequence[str] = ()
    settings: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def inputs_of(self, tokenizer: str) -> list[Any]:
        """Return the inputs for a tokenizer, by its name (``"genomics/kmer3"``).

        Raises
        ------
        ConfigError
            When there are none for it.
        """
        if not isinstance(self.inputs, Mapping):
            return list(self.inputs)
        if tokenizer not in self.inputs:
            raise ConfigError(
                f"the examples hold no inputs for the tokenizer '{tokenizer}'.",
                expected=f"one of {', '.join(self.inputs)}",
                remedy="add them to Examples.inputs in the plugin's contract.py.",
            )
        return list(self.inputs[tokenizer])


def examples_of(domain: str) -> Examples:
    """Import the examples of an installed domain.

    Raises
    ------
    ConfigError
        When there is no such domain, or it brings no examples.
    """
    package = plugins.installed().get(domain)
    if package is None:
        raise ConfigError(
            f"no domain '{domain}' is installed.",
            expected=f"one of {', '.join(plugins.installed()) or 'none'}",
        )
    name = f"{package}.contract"
    if importlib.util.find_spec(name) is None:
        raise ConfigError(
            f"{package} has no contract.py.",
            expected="EXAMPLES, a scizoo.testing.Examples",
            remedy=f"write {package}/contract.py; the help of scizoo.testing shows one.",
        )
    found = getattr(importlib.import_module(name), "EXAMPLES", None)
    if not isinstance(found, Examples):
        raise ConfigError(f"{name} has no EXAMPLES.", expected="a scizoo.testing.Examples")
    return found
