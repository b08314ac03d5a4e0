"""How much of a pre-trained backbone is trained: all, LoRA, a probe, nothing; or the same from scratch."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from scizoo.checkpoints.adapters import has_adapters
from scizoo.errors import CheckpointError, ConfigError, did_you_mean
from scizoo.training.optim import repeated_blocks

MODES = ("full", "lora", "probe", "scratch", "none")
_LORA_KEYS = {"rank", "alpha", "dropout", "target_modules", "use_rslora", "use_dora", "merge"}
_KEYS = {
    "full": set(),
    "probe": {"cache_features"},
    "scratch": {"seed"},
    "none": set(),
    "lora": _LORA_KEYS,
}


@dataclass(frozen=True)
class AdaptReport:
    """What became trainable.

    Parameters
    ----------
    mode : str
    trainable, total : int
        Parameters of the backbone.
    targets : tuple of str
        The modules that got LoRA matrices.
    seed : int, optional
        The seed of a re-initialised backbone.
    """

    mode: str
    trainable: int
    total: int
    targets: tuple[str, ...] = field(default=())
    seed: int | None = None

    def __str__(self) -> str:
        if self.mode == "none":
            return f"adapt=none: nothing is trained, {self.total:,} backbone parameters are used as they are"
        share = self.trainable / self.total if self.total else 0.0
        text = f"adapt={self.mode}: {self.trainable:,} of {self.total:,} backbone parameters are trained"
        text += f" ({share:.2%})"
        if self.targets:
            text += f", LoRA on {len(self.targets)} modules"
        return text if self.seed is None else f"{text}, initialised with seed {self.seed}"


def apply_adapt(backbone: nn.Module, cfg: Mapping[str, Any] | str, *, seed: int = 0) -> AdaptReport:
    """Prepare a backbone, in place, for one way of adaptation.

    Parameters
    ----------
    backbone : Backbone
    cfg : mapping or str
        The ``adapt`` group: ``mode`` and, for ``lora``, ``rank``, ``alpha``, ``dropout``,
        ``target_modules`` (null finds them), ``use_rslora``, ``use_dora``; for ``scratch``, ``seed``.
    seed : int
        Seeds LoRA matrices, and a fresh backbone whose ``adapt.seed`` is not given.

    Raises
    ------
    ConfigError
        For an unknown mode or key, or a backbone that the mode does not fit.
    """
    settings: dict[str, Any] = {"mode": cfg} if isinstance(cfg, str) else dict(cfg)
    mode = str(settings.pop("mode", "full"))
    if mode not in MODES:
        raise ConfigError(f"adapt.mode={mode} is unknown: {did_you_mean(mode, MODES)}")
    for key in settings:
        if key not in _KEYS[mode]:
            raise ConfigError(
                f"adapt.{key} is unknown for adapt={mode}: {did_you_mean(str(key), _KEYS[mode] or {'mode'})}"
            )
    total = sum(parameter.numel() for parameter in backbone.parameters())
    targets: tuple[str, ...] = ()
    fresh_seed: int | None = None
    if mode == "scratch":
        chosen = settings.get("seed")
        fresh_seed = int(seed if chosen is None else chosen)
        for number, network in enumerate(_networks(backbone)):
            reinitialise(network, fresh_seed + number)
    backbone.requires_grad_(mode in ("full", "scratch"))
    if mode == "lora":
        networks = _networks(backbone)
        targets = tuple(name for network in networks for name in add_lora(network, settings, seed=seed))
    trainable = sum(parameter.numel() for parameter in backbone.parameters() if parameter.requires_grad)
    return AdaptReport(mode, trainable, total, targets, fresh_seed)


def _networks(backbone: nn.Module) -> list[nn.Module]:
    """Give the networks of a backbone: both sides of a retrieval, else itself."""
    return list(getattr(backbone, "encoders", None) or [backbone])


def inner_model(backbone: nn.Module) -> nn.Module:
    """Give the library's own model inside a backbone, whose names adapters refer to."""
    inner = getattr(backbone, "model", None)
    return inner if isinstance(inner, nn.Module) else backbone


def find_targets(model: nn.Module) -> tuple[str, ...]:
    """Find the matrices that LoRA is to adapt: all linear layers inside the repeated blocks.

    Attention and MLP alike, as the comparison in arXiv 2305.14314 recommends. A network without linear
    layers in its blocks gives its convolutions.

    Parameters
    ----------
    model : nn.Module

    Returns
    -------
    tuple of str
        Full names inside ``model``.
    """
    from transformers.pytorch_utils import Conv1D  # the linear layer of GPT-2

    linear: tuple[type[nn.Module], ...] = (nn.Linear, Conv1D)
    blocks = repeated_blocks(model) or [("", model)]
    for kinds in (linear, (nn.Conv2d, nn.Conv1d)):
        names: list[str] = []
        for prefix, block in blocks:
            # torch's own attention reads the weight of its projection without calling the module.
            bypassed = {
                id(child)
                for owner in block.modules()
                if isinstance(owner, nn.MultiheadAttention)
                for child in owner.modules()
            }
            for name, module in block.named_modules():
                grouped = isinstance(module, nn.Conv2d | nn.Conv1d) and module.groups > 1
                if isinstance(module, kinds) and id(module) not in bypassed and not grouped:
                    names.append(f"{prefix}.{name}".strip("."))
        if names:
            return tuple(names)
    return ()


def add_lora(backbone: nn.Module, settings: Mapping[str, Any], *, seed: int = 0) -> tuple[str, ...]:
    """Inject LoRA matrices; the backbone computes the same as before until they are trained.

    Parameters
    ----------
    backbone : Backbone
    settings : mapping
        ``rank`` (8), ``alpha`` (2 * rank), ``dropout`` (0), ``target_modules`` (found),
        ``use_rslora``, ``use_dora``.
    seed : int

    Returns
    -------
    tuple of str
        Names of the adapted modules.

    Raises
    ------
    ConfigError
        When there is nothing to adapt, or the backbone has adapters already.
    """
    from peft import LoraConfig, inject_adapter_in_model

    if has_adapters(backbone):
        raise ConfigError(
            "the backbone has LoRA adapters already.",
            remedy="merge them first (adapt.merge=true in the run that made them).",
        )
    model = inner_model(backbone)
    rank = int(settings.get("rank") or 8)
    given = settings.get("target_modules")
    targets = [str(name) for name in given] if given else list(find_targets(model))
    if not targets:
        raise ConfigError(
            f"adapt=lora found no linear or convolution layer in {type(model).__name__}.",
            remedy="name them in adapt.target_modules, or use adapt=full.",
        )
    config = LoraConfig(
        r=rank,
        lora_alpha=float(settings.get("alpha") or 2 * rank),  # type: ignore[arg-type]
        lora_dropout=float(settings.get("dropout") or 0.0),
        target_modules=targets,
        use_rslora=bool(settings.get("use_rslora", False)),
        use_dora=bool(settings.get("use_dora", False)),
        bias="none",
    )
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        torch.manual_seed(seed)
        # PEFT sees by itself that GPT-2's linear layers are transposed, and remarks on it.
        warnings.filterwarnings("ignore", message="fan_in_fan_out is set to False")
        try:
            inject_adapter_in_model(config, model)
        except ValueError as error:
            names = [name for name, module in model.named_modules() if isinstance(module, nn.Linear)]
            raise ConfigError(
                f"adapt.target_modules does not fit {type(model).__name__}: {error}",
                expected=f"names among {', '.join(names[:12])}, ...",
            ) from error
    for name, parameter in model.named_parameters():
        parameter.requires_grad_("lora_" in name)
    if any(isinstance(module, nn.TransformerEncoderLayer) for module in model.modules()):
        # torch's fused encoder layer reads base weights directly and would skip the adapters.
        torch.backends.mha.set_fastpath_enabled(False)
    return tuple(name for name, module in model.named_modules() if _is_adapted(module))


def _is_adapted(module: nn.Module) -> bool:
    return hasattr(module, "lora_A") and hasattr(module, "get_base_layer")


def merge_lora(backbone: nn.Module) -> int:
    """Add the LoRA products to the weights and take the adapters out, in place.

    Returns
    -------
    int
        How many modules were merged.

    Raises
    ------
    CheckpointError
        When a merged weight is not finite.
    """
    networks = _networks(backbone)
    if len(networks) > 1 or networks[0] is not backbone:
        return sum(merge_lora(network) for network in networks)
    model = inner_model(backbone)
    adapted = [(name, module) for name, module in model.named_modules() if _is_adapted(module)]
    for name, module in adapted:
        try:
            module.merge(safe_merge=True)  # type: ignore[operator]
        except ValueError as error:
            raise CheckpointError(f"the LoRA adapter of '{name}' cannot be merged: {error}") from error
        parent, _, last = name.rpartition(".")
        setattr(model.get_submodule(parent), last, module.get_base_layer())  # type: ignore[operator]
    if hasattr(model, "peft_config"):
        del model.peft_config
    return len(adapted)


def reinitialise(backbone: nn.Module, seed: int) -> None:
    """Give a backbone new initial weights, in place, by its library's own initialisation.

    Parameters
    ----------
    backbone : Backbone
        A backbone of neither transformers nor timm may bring a method ``reinitialise()``; else
        every module that has weights needs torch's ``reset_parameters``.
    seed : int

    Raises
    ------
    ConfigError
        When some weights could not be initialised anew.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        own = getattr(backbone, "reinitialise", None)
        if callable(own):
            own()
            return
        model = inner_model(backbone)
        fresh = _fresh_model(backbone, model)
        if fresh is None:
            _reset_parts(model)
            return
    state = fresh.state_dict()
    current = model.state_dict()
    lost = [name for name, value in current.items() if name not in state or state[name].shape != value.shape]
    if lost:
        raise ConfigError(
            f"adapt=scratch cannot build {type(model).__name__} anew: "
            f"{', '.join(lost[:5])} have no counterpart.",
        )
    with torch.no_grad():
        for name, value in current.items():
            value.copy_(state[name])


def _fresh_model(backbone: nn.Module, model: nn.Module) -> nn.Module | None:
    architecture = getattr(backbone, "architecture", None)
    if isinstance(architecture, str):
        import timm

        return timm.create_model(
            architecture, pretrained=False, num_classes=0, **getattr(backbone, "model_args", {})
        )
    from transformers import PreTrainedModel

    if isinstance(model, PreTrainedModel):
        return type(model)(copy.deepcopy(model.config))
    return None


def _reset_parts(model: nn.Module) -> None:
    for name, module in model.named_modules():
        reset = getattr(module, "reset_parameters", None)
        if callable(reset):
            reset()
        elif any(True for _ in module.parameters(recurse=False)):
            raise ConfigError(
                f"adapt=scratch cannot initialise '{name}' ({type(module).__name__}) anew.",
                expected="a backbone of transformers or timm, or one with a method reinitialise()",
            )
