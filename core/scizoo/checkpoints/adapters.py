"""Low-rank adapters that were not merged, as PEFT's own files beside the backbone.

``AutoModel.from_pretrained`` finds them there too, and so gives the adapted model where peft is installed.
"""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from scizoo.errors import CheckpointError

CONFIG = "adapter_config.json"
WEIGHTS = "adapter_model.safetensors"
_PREFIX = "base_model.model."


def has_adapters(backbone: nn.Module) -> bool:
    """Tell whether a backbone carries low-rank matrices that are not merged."""
    return any(
        hasattr(module, "lora_A") and hasattr(module, "get_base_layer") for module in backbone.modules()
    )


def save_adapters(backbone: nn.Module, folder: Path) -> None:
    """Write ``adapter_config.json`` and ``adapter_model.safetensors``.

    Raises
    ------
    CheckpointError
        When the backbone has no adapter named "default".
    """
    from peft import get_peft_model_state_dict

    model = _inner(backbone)
    configs: dict[str, Any] = getattr(model, "peft_config", {})
    if "default" not in configs:
        raise CheckpointError("The backbone has no adapter to save.")
    config = copy.deepcopy(configs["default"])
    config.inference_mode = True
    config.base_model_name_or_path = None  # the base lies in the same folder; paths are not portable
    state = get_peft_model_state_dict(model, save_embedding_layers=False)
    tensors = {
        f"{_PREFIX}{name.removeprefix(_PREFIX)}": value.detach().cpu().contiguous()
        for name, value in state.items()
    }
    save_file(tensors, folder / WEIGHTS, metadata={"format": "pt"})
    config.save_pretrained(str(folder))


def load_adapters(backbone: nn.Module, folder: Path) -> None:
    """Put the adapters of a folder on a backbone, in place.

    Raises
    ------
    CheckpointError
        When they are damaged or do not fit the backbone, naming the tensors.
    """
    from peft import LoraConfig, inject_adapter_in_model, set_peft_model_state_dict

    model = _inner(backbone)
    try:
        config = LoraConfig.from_pretrained(str(folder))
        tensors = load_file(folder / WEIGHTS)
        config.inference_mode = True
        inject_adapter_in_model(config, model)
        state = {name.removeprefix(_PREFIX): value for name, value in tensors.items()}
        result: Any = set_peft_model_state_dict(model, state)
    except (OSError, ValueError, TypeError, RuntimeError, SafetensorError) as error:
        raise CheckpointError(
            f"The adapter in {folder} cannot be put on its backbone: {error}",
            expected=f"{CONFIG} and {WEIGHTS} as PEFT writes them",
        ) from error
    missing = [name for name in result.missing_keys if "lora_" in name]
    if missing or result.unexpected_keys:
        raise CheckpointError(
            f"The adapter in {folder} does not fit its backbone: missing {missing[:5]}, "
            f"unexpected {list(result.unexpected_keys)[:5]}."
        )


def _inner(backbone: nn.Module) -> nn.Module:
    inner = getattr(backbone, "model", None)
    return inner if isinstance(inner, nn.Module) else backbone
