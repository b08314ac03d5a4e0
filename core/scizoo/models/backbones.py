"""The backbone contract: model inputs to hidden states, saved under the names of the library it came from."""

from __future__ import annotations

import inspect
import json
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from scizoo.data.tokenizer import TokenTokenizer
from scizoo.errors import CheckpointError, ConfigError
from scizoo.models.initialise import LoadReport

#: Settings of the input layers that a backbone for numbers has before a transformers model.
INPUTS_CONFIG = "inputs.json"

#: What to do with low-rank adapters when a backbone is saved.
Adapters = Literal["refuse", "leave_out"]


@dataclass(frozen=True)
class Hidden:
    """Hidden states and which of them belong to real positions.

    Parameters
    ----------
    states : Tensor
        ``[B, T, D]``.
    mask : Tensor
        ``[B, T]`` bool, True at real positions.
    cu_seqlens : Tensor, optional
        Borders ``[n + 1]`` of the sequences when they are packed into one row.
    maps : sequence of Tensor, optional
        Feature maps ``[B, C, h, w]`` of an image, finest first, where a head has asked for them.
    """

    states: Tensor
    mask: Tensor
    cu_seqlens: Tensor | None = None
    maps: Sequence[Tensor] | None = None

    def unpacked(self) -> Hidden:
        """Return one padded row a sequence, ``[n, longest, D]``, when this is a packed row; else itself."""
        if self.cu_seqlens is None:
            return self
        borders = self.cu_seqlens.to(self.states.device)
        lengths = borders.diff()
        mask = torch.arange(int(lengths.max()), device=self.states.device)[None] < lengths[:, None]
        states = self.states.new_zeros(*mask.shape, self.states.shape[-1])
        real = torch.zeros_like(mask)
        states[mask] = self.states[0]
        real[mask] = self.mask[0]
        return Hidden(states, real)


class Backbone(nn.Module, ABC):
    """Turns model inputs into hidden states."""

    #: Width of the hidden states, D.
    hidden_size: int
    #: Whether a position sees only itself and earlier ones.
    causal: bool = False
    #: The longest sequence that the backbone takes, when it has a limit.
    max_length: int | None = None
    #: The key of a batch that holds the main input.
    input_key: str = "input_ids"
    #: Whether several sequences may lie in one row (``cu_seqlens`` in the batch).
    supports_packing: bool = False
    #: Whether ``step`` can go on from the keys and values of earlier positions.
    supports_cache: bool = False
    #: What became of each tensor when this backbone was loaded; None for a new one.
    load_report: LoadReport | None = None

    @abstractmethod
    def forward(self, batch: Mapping[str, Tensor]) -> Hidden:
        """Compute hidden states.

        Parameters
        ----------
        batch : mapping
            The main input under ``input_key``; ``attention_mask`` ``[B, T]`` (1 = real), optional
            ``position_ids`` ``[B, T]`` and, for a packed row, ``cu_seqlens`` ``[n + 1]``. Others are ignored.

        Returns
        -------
        Hidden
            States ``[B, T, D]`` and their mask.
        """

    @abstractmethod
    def save(
        self, directory: str | Path, dtype: torch.dtype | str | None = None, adapters: Adapters = "refuse"
    ) -> None:
        """Write ``config.json`` and ``model.safetensors`` as the library of this backbone reads them.

        Parameters
        ----------
        directory : str or Path
            An existing or new folder.
        dtype : torch.dtype or str, optional
            How floating-point weights are stored (``"bfloat16"`` halves the file); as they are by default.
        adapters : {"refuse", "leave_out"}
            Whether a backbone with unmerged adapters is refused, or saved without them (PEFT saves those).
        """

    @classmethod
    @abstractmethod
    def load(cls, directory: str | Path) -> Backbone:
        """Open a folder written by ``save`` or by the library itself; in memory weights are float32."""

    def input_embeddings(self) -> nn.Embedding | None:
        """Return the token embedding, or None when inputs are not tokens."""
        return None

    def attention_flops_per_token(self, seq_len: int) -> float:
        """Return floating-point operations a token of one forward pass that are not in weight matrices."""
        return 0.0

    def flops_per_token(self, seq_len: int, training: bool = True) -> float:
        """Estimate the floating-point operations a token, for model FLOPs utilisation.

        Two a weight and token in matrix products and 4 T D a layer for attention (half of it when causal);
        the backward pass costs twice the forward one (Kaplan et al. 2020, arXiv 2001.08361; PaLM, arXiv
        2204.02311, appendix B). Embedding look-ups cost nothing.

        Parameters
        ----------
        seq_len : int
            Tokens in a sequence, T.
        training : bool
            Count the backward pass as well.
        """
        embedded = {id(parameter) for layer in self._lookups() for parameter in layer.parameters()}
        weights = sum(p.numel() for p in self.parameters() if p.ndim >= 2 and id(p) not in embedded)
        return (3.0 if training else 1.0) * (2.0 * weights + self.attention_flops_per_token(seq_len))

    def parameter_count(self, trainable: bool = False) -> int:
        """Count parameters, or only those that are trained."""
        return sum(p.numel() for p in self.parameters() if p.requires_grad or not trainable)

    def gradient_checkpointing(self, enabled: bool = True) -> None:
        """Trade time for memory: recompute activations in the backward pass.

        Raises
        ------
        ConfigError
            When the architecture cannot.
        """
        raise ConfigError(
            f"{type(self).__name__} cannot recompute activations.", remedy="leave it switched off."
        )

    def step(self, batch: Mapping[str, Tensor], cache: Any = None) -> tuple[Hidden, Any]:
        """Go on from a cache of earlier positions; see :attr:`supports_cache`.

        Raises
        ------
        ConfigError
            When the architecture keeps no such cache.
        """
        raise ConfigError(f"{type(self).__name__} keeps no cache of keys and values.")

    def _lookups(self) -> list[nn.Module]:
        return [module for module in self.modules() if isinstance(module, nn.Embedding)]


def bare_state(model: nn.Module, adapters: Adapters) -> dict[str, Tensor]:
    """Return the weights of a model under its library's names, without PEFT's adapters.

    Parameters
    ----------
    model : nn.Module
        A model, possibly with adapter layers injected.
    adapters : {"refuse", "leave_out"}
        What to do when there are adapters.

    Returns
    -------
    dict of str to Tensor
        Weights on CPU.

    Raises
    ------
    CheckpointError
        When adapters would be lost and that was not asked for.
    """
    marks = (
        ".lora_",
        ".base_layer.",
        ".modules_to_save.",
        ".original_module.",
        ".ia3_",
        ".hada_",
        ".oft_",
        ".vera_",
    )
    names = list(model.state_dict())
    adapted = [name for name in names if any(mark in name for mark in marks)]
    if adapted and adapters == "refuse":
        raise CheckpointError(
            f"The backbone carries unmerged adapters ({adapted[0]} and {len(adapted) - 1} other tensors).",
            remedy="merge them first, or save the adapters by themselves and pass adapters='leave_out'.",
        )
    state: dict[str, Tensor] = {}
    for name, tensor in model.state_dict().items():
        bare = name.replace(".base_layer.", ".").replace(".original_module.", ".")
        if bare != name or name not in adapted:
            state[bare] = tensor.detach().cpu()
    return state


def cast_state(state: Mapping[str, Tensor], dtype: torch.dtype | str | None) -> dict[str, Tensor]:
    """Convert floating-point tensors to the dtype in which they are to be stored."""
    target = getattr(torch, dtype) if isinstance(dtype, str) else dtype
    return {
        name: (
            tensor.to(target) if target is not None and tensor.is_floating_point() else tensor
        ).contiguous()
        for name, tensor in state.items()
    }


def load_backbone(directory: str | Path) -> Backbone:
    """Open a folder that a backbone was saved to, whichever kind it was.

    Parameters
    ----------
    directory : str or Path
        Holds ``config.json`` and ``model.safetensors``.

    Returns
    -------
    Backbone
        With its ``load_report``.

    Raises
    ------
    CheckpointError
        When the folder is nobody's, or its weights do not fit its config.
    ConfigError
        When it names a class outside the allow-list.
    """
    config = read_config(directory)
    if "backbone" in config:
        from scizoo.models.plugin_backbone import plugin_class

        return plugin_class(config, directory).load(directory)
    if "model_type" in config and (Path(directory) / INPUTS_CONFIG).is_file():
        from scizoo.models.continuous import ContinuousBackbone

        return ContinuousBackbone.load(directory)
    if "model_type" in config:
        from scizoo.models.transformers_backbone import TransformersBackbone

        return TransformersBackbone.load(directory)
    if "architecture" in config:
        from scizoo.models.timm_backbone import TimmBackbone

        return TimmBackbone.load(directory)
    raise CheckpointError(
        f"{Path(directory) / 'config.json'} names neither a transformers model type nor a timm architecture.",
        expected="'model_type' (transformers), 'architecture' (timm) or 'backbone' (a plugin's class)",
    )


def read_config(directory: str | Path) -> dict[str, Any]:
    """Read ``config.json`` of a folder.

    Raises
    ------
    CheckpointError
        When it is missing or not a JSON object.
    """
    path = Path(directory) / "config.json"
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise CheckpointError(
            f"{path} does not exist.", remedy="name the folder that holds the model."
        ) from error
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path} cannot be read: {error}") from error
    if not isinstance(config, dict):
        raise CheckpointError(f"{path} is not a JSON object.")
    return config


def build_backbone(cfg: Any, tokenizer: Any = None, max_length: int | None = None) -> Backbone:
    """Build a backbone from its config; what the tokenizer knows is filled in.

    Parameters
    ----------
    cfg : mapping
        Its ``_target_`` and settings, as in ``conf/backbone``.
    tokenizer : Tokenizer, optional
        Gives the size of the vocabulary and the ids of special tokens, or the sizes of its inputs
        (:meth:`~scizoo.data.tokenizer.Tokenizer.input_sizes`).
    max_length : int, optional
        The context length in tokens; a ``max_length`` in the config comes first.

    Returns
    -------
    Backbone
        New, with initial weights.

    Raises
    ------
    ConfigError
        When the config is wrong.
    """
    from scizoo.config import get_class, instantiate

    extra: dict[str, Any] = {}
    target = get_class(str(cfg.get("_target_")), key="backbone._target_")
    takes = inspect.signature(target).parameters
    if tokenizer is not None:
        extra = {key: size for key, size in tokenizer.input_sizes().items() if key in takes}
        if max_length is not None and cfg.get("max_length") is None and "max_length" in takes:
            extra["max_length"] = max_length
    if isinstance(tokenizer, TokenTokenizer):
        known = {
            "vocab_size": tokenizer.vocab_size,
            "pad_token_id": tokenizer.pad_id,
            "special_token_ids": {"cls": tokenizer.cls_id, "sep": tokenizer.sep_id},
        }
        if "vocab_size" not in takes and not any(p.kind is p.VAR_KEYWORD for p in takes.values()):
            raise _misfit(cfg, "takes no tokens", tokenizer, "tokens")
        # A plugin's backbone may need the vocabulary alone.
        own = isinstance(target, type)
        extra |= {key: value for key, value in known.items() if key in takes or not own}
    backbone = instantiate(cfg, **extra)
    if not isinstance(backbone, Backbone):
        raise ConfigError(f"backbone: {cfg.get('_target_')} does not give a Backbone.")
    if tokenizer is not None and backbone.input_key == "input_ids" != tokenizer.main_input:
        raise _misfit(cfg, "takes tokens", tokenizer, f"'{tokenizer.main_input}'")
    return backbone


def _misfit(cfg: Any, takes: str, tokenizer: Any, gives: str) -> ConfigError:
    return ConfigError(
        f"backbone: {cfg.get('_target_')} {takes}, but {type(tokenizer).__name__} gives {gives}.",
        remedy="choose a backbone for tokens (modernbert-tiny), numbers (continuous-tiny) or images (timm).",
    )
