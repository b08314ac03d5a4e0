"""What the transformers backbone asks of the library's configs and classes."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from fnmatch import fnmatchcase
from typing import Any

import torch
from torch import Tensor
from transformers import AutoModel, PretrainedConfig, PreTrainedModel
from transformers.models.auto.configuration_auto import CONFIG_MAPPING
from transformers.models.auto.modeling_auto import (
    MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
    MODEL_FOR_MASKED_LM_MAPPING_NAMES,
    MODEL_MAPPING,
)
from transformers.utils import logging as library_logging

from scizoo.errors import ConfigError, did_you_mean
from scizoo.models.initialise import LoadReport
from scizoo.models.packed_attention import NAME, PACKABLE

# These count positions from padding_idx + 1, and need as many more rows in the table.
_OFFSET_POSITIONS = frozenset({"camembert", "esm", "roberta", "roberta-prelayernorm", "xlm-roberta"})
# Constant tables that older releases stored beside the weights; models now compute them.
_OLD_BUFFERS = (
    "*.position_ids",
    "*.rotary_emb.inv_freq",
    "*.attention.bias",
    "*.attention.masked_bias",
    "*.attn.bias",
    "*.attn.masked_bias",
)
# Older spellings that the configs of transformers still take and translate.
_OLD_KEYS = frozenset(
    {
        "global_attn_every_n_layers",
        "global_rope_theta",
        "local_rope_theta",
        "partial_rotary_factor",
        "rope_scaling",
        "rope_theta",
        "rotary_emb_base",
        "rotary_pct",
    }
)


def model_class_of(config: PretrainedConfig) -> type[PreTrainedModel]:
    """Return the class that AutoModel opens for a config.

    Raises
    ------
    ConfigError
        When there is none, or it is an encoder-decoder.
    """
    if type(config) not in MODEL_MAPPING:
        raise ConfigError(f"backbone: AutoModel has no model for the type '{config.model_type}'.")
    if getattr(config, "is_encoder_decoder", False):
        raise ConfigError(
            f"backbone: '{config.model_type}' is an encoder-decoder; its hidden states are not one sequence.",
            expected="an encoder (bert, modernbert, ...) or a decoder (llama, gpt_neox, ...)",
        )
    found: Any = MODEL_MAPPING[type(config)]
    return found[0] if isinstance(found, tuple) else found


def new_model(config: PretrainedConfig) -> PreTrainedModel:
    """Build a float32 model with initial weights and without an unused pooler."""
    model_class = model_class_of(config)
    model = AutoModel.from_config(
        config, dtype=torch.float32, attn_implementation=attention_of(config), **without_pooler(model_class)
    )
    model.config.architectures = [model_class.__name__]
    return model


def attention_of(config: PretrainedConfig) -> str | None:
    """Return our attention function for the types that are tested with it, else the library's choice."""
    return NAME if config.model_type in PACKABLE else None


def without_pooler(model_class: type[PreTrainedModel]) -> dict[str, bool]:
    """Return the argument that leaves the pooler out, for classes that take it."""
    known = inspect.signature(model_class.__init__).parameters
    return {"add_pooling_layer": False} if "add_pooling_layer" in known else {}


def identity_pooler(model: PreTrainedModel, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors of the pooler that AutoModel will look for, as the identity."""
    if not without_pooler(type(model)):
        return {}
    with torch.device("meta"):
        full = type(model)(model.config)
    return {
        name: torch.eye(tensor.shape[0]) if tensor.ndim == 2 else torch.zeros(tensor.shape)
        for name, tensor in full.state_dict().items()
        if name not in state and name.startswith("pooler.")
    }


def head_tensors(tensors: Mapping[str, Tensor], prefix: str, report: LoadReport) -> list[str]:
    """Return what may be left over: the pooler, old constant tables and the task head of the file's class."""
    headed = any(name.startswith(prefix) for name in tensors)
    bare = {name.removeprefix(prefix) for name in tensors if name.startswith(prefix)}
    return [
        name
        for name in report.unexpected
        if name.removeprefix(prefix).startswith("pooler.")
        or any(fnmatchcase(name, glob) for glob in _OLD_BUFFERS)
        or (headed and not name.startswith(prefix) and name not in bare)
    ]


def is_causal(config: PretrainedConfig) -> bool:
    """Tell whether a position sees only itself and earlier ones."""
    kind = config.model_type
    decoder = kind in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES and kind not in MODEL_FOR_MASKED_LM_MAPPING_NAMES
    return bool(getattr(config, "is_causal", True)) and (
        decoder or bool(getattr(config, "is_decoder", False))
    )


def position_offset(config: PretrainedConfig) -> int:
    """Return the number of the first position in the table of positions."""
    if config.model_type not in _OFFSET_POSITIONS:
        return 0
    return int(config.pad_token_id or 0) + 1


def check_keys(model_type: str, given: Mapping[str, Any]) -> None:
    """Refuse keys that the config of a type does not have, with the nearest that it has."""
    defaults = CONFIG_MAPPING[model_type]()
    known = {
        *defaults.to_dict(),
        *defaults.attribute_map,
        *_OLD_KEYS,
        "sliding_window",
        "head_dim",
        "layer_types",
    }
    for key in given:
        if key not in known:
            raise ConfigError(
                f"backbone.config: '{model_type}' has no key '{key}'.",
                remedy=did_you_mean(key, (name for name in known if not name.startswith("_"))),
            )


def fit_positions(
    given: dict[str, Any], defaults: PretrainedConfig, model_type: str, max_length: int
) -> None:
    """Set the table of positions to the context, or refuse one that is too short."""
    key = defaults.attribute_map.get("max_position_embeddings", "max_position_embeddings")
    chosen = given.pop("max_position_embeddings", given.pop(key, None))
    offset = int(given.get("pad_token_id") or 0) + 1 if model_type in _OFFSET_POSITIONS else 0
    needed = max_length + offset
    if chosen is not None and int(chosen) < needed:
        raise ConfigError(
            f"backbone.config.{key}={chosen} is too short for max_length={max_length}.",
            expected=f"at least {needed}",
        )
    given[key] = needed if chosen is None else int(chosen)


@contextmanager
def quiet() -> Iterator[None]:
    """Silence the library's own report and progress bars; ours says the same."""
    level = library_logging.get_verbosity()
    bars = library_logging.is_progress_bar_enabled()
    library_logging.set_verbosity_error()
    library_logging.disable_progress_bar()
    try:
        yield
    finally:
        library_logging.set_verbosity(level)
        if bars:
            library_logging.enable_progress_bar()
