"""The base of a backbone that a plugin brings because no library has its architecture."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import torch
from safetensors.torch import save_file

from scizoo.errors import CheckpointError
from scizoo.files import write_json
from scizoo.models.backbones import Adapters, Backbone, bare_state, cast_state, read_config
from scizoo.models.initialise import WEIGHTS, load_into


class PluginBackbone(Backbone):
    """A backbone defined by plain settings: a plugin gives ``settings()`` and ``forward()``.

    The constructor takes the settings as keywords, sets ``hidden_size``, and sets ``input_key``, ``causal``
    or ``max_length`` where they are not the defaults. It is saved as ``config.json``, which names the class
    and its settings, and ``model.safetensors`` under the names of its own modules; the class is opened again
    only if it is scizoo's or an installed plugin's.
    """

    @abstractmethod
    def settings(self) -> dict[str, Any]:
        """Return the plain (JSON) settings with which the constructor gives this backbone again."""

    def save(
        self, directory: str | Path, dtype: torch.dtype | str | None = None, adapters: Adapters = "refuse"
    ) -> None:
        """Write ``config.json`` and ``model.safetensors``; see :meth:`Backbone.save`."""
        folder = Path(directory)
        folder.mkdir(parents=True, exist_ok=True)
        state = cast_state(bare_state(self, adapters), dtype)
        # Weights that two modules share would be refused as one memory under two names.
        save_file({name: value.clone() for name, value in state.items()}, folder / WEIGHTS, {"format": "pt"})
        kind = type(self)
        named = {"backbone": f"{kind.__module__}.{kind.__qualname__}", "settings": self.settings()}
        write_json(folder / "config.json", named)

    @classmethod
    def load(cls, directory: str | Path) -> Self:
        """Open a folder written by :meth:`save`.

        Raises
        ------
        CheckpointError
            When the config is of another class, or the weights do not fit it.
        """
        config = read_config(directory)
        found = plugin_class(config, directory)
        if not issubclass(found, cls):
            raise CheckpointError(
                f"{Path(directory) / 'config.json'} describes a {found.__name__}.",
                expected=f"a {cls.__name__}",
            )
        try:
            backbone = found(**config.get("settings", {}))
        except TypeError as error:
            raise CheckpointError(
                f"{Path(directory) / 'config.json'}: {found.__name__} refuses these settings: {error}",
                remedy="install the version of the plugin that it was written with.",
            ) from error
        backbone.load_report = load_into(backbone, Path(directory) / WEIGHTS)
        return backbone

    def reinitialise(self) -> None:
        """Take new initial weights, as the constructor gives them."""
        self.load_state_dict(type(self)(**self.settings()).state_dict())


def plugin_class(config: Mapping[str, Any], directory: str | Path) -> Any:
    """Return the backbone class that a ``config.json`` names.

    Raises
    ------
    CheckpointError
        When it names none, or one that is no PluginBackbone.
    ConfigError
        When the class is outside the allow-list or cannot be imported.
    """
    from scizoo.config import get_class

    path = Path(directory) / "config.json"
    target = config.get("backbone")
    if not isinstance(target, str):
        raise CheckpointError(f"{path} names no backbone class.", expected="backbone: a dotted class name")
    found = get_class(target, key=f"{path}: backbone")
    if not (isinstance(found, type) and issubclass(found, PluginBackbone)):
        raise CheckpointError(
            f"{path} names '{target}' as its backbone, but that is not a PluginBackbone. It was refused.",
            remedy="do not use this checkpoint; ask whoever gave it to you.",
        )
    return found
