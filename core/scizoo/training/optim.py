"""Optimizers with weight decay only where it belongs, and learning rates by part and depth."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import nn

from scizoo.config import get_class
from scizoo.errors import ConfigError, TrainingError

#: Keys of the ``optimizer`` group that scizoo reads itself; the rest go to the optimizer's class.
OWN_KEYS = (
    "_target_",
    "lr",
    "weight_decay",
    "head_lr_multiplier",
    "layer_decay",
    "decay_embeddings",
    "fused",
)


def repeated_blocks(module: nn.Module) -> list[tuple[str, nn.Module]]:
    """Find the stacks of layers of an architecture.

    Parameters
    ----------
    module : nn.Module

    Returns
    -------
    list of (str, nn.Module)
        Name and module of every layer, in order: the children of each outermost ``ModuleList`` or
        ``Sequential`` that holds parts of one class, each of them more than a single operation.
    """
    found: list[tuple[str, nn.Module]] = []

    def walk(parent: nn.Module, prefix: str) -> None:
        for name, child in parent.named_children():
            path = f"{prefix}{name}"
            parts = list(child.children())
            same = len({type(part) for part in parts}) == 1
            composed = all(any(True for _ in part.children()) for part in parts)
            if isinstance(child, nn.ModuleList | nn.Sequential) and parts and same and composed:
                # A timm model nests blocks in stages; the blocks are the layers then.
                inner = [
                    block
                    for index, part in child.named_children()
                    for block in stage(part, f"{path}.{index}")
                ]
                found.extend(inner)
            else:
                walk(child, f"{path}.")

    def stage(part: nn.Module, path: str) -> list[tuple[str, nn.Module]]:
        before = len(found)
        walk(part, f"{path}.")
        inner = found[before:]
        del found[before:]
        return inner if len(inner) > 1 else [(path, part)]

    walk(module, "")
    return found


def _undecayed(module: nn.Module, decay_embeddings: bool) -> set[int]:
    """Collect the ids of parameters that weight decay must not touch."""
    without: set[int] = set()
    owner: Any
    for owner in module.modules():
        embedding = isinstance(owner, nn.Embedding) and not decay_embeddings
        listed: set[str] = set()
        if callable(getattr(owner, "no_weight_decay", None)):
            listed = set(owner.no_weight_decay())  # timm's convention
        for name, parameter in owner.named_parameters(recurse=False):
            matrix = parameter.ndim >= 2
            # Class tokens and learned positions are embeddings of shape [1, T, D].
            position = parameter.ndim == 3 and parameter.shape[0] == 1 and not decay_embeddings
            if not matrix or embedding or position or name in listed:
                without.add(id(parameter))
        without |= {id(p) for name, p in owner.named_parameters() if name in listed}
    return without


def _depths(backbone: nn.Module) -> tuple[dict[int, int], int]:
    """Give each backbone parameter its depth: 0 before the layers, 1..n in them, n + 1 after."""
    networks = getattr(backbone, "encoders", None)
    if networks:  # two towers stand side by side, and end at one height
        towers = [_depths(network) for network in networks]
        highest = max(top for _, top in towers)
        return {key: depth + highest - top for each, top in towers for key, depth in each.items()}, highest
    blocks = repeated_blocks(backbone)
    inside = {id(p): depth for depth, (_, block) in enumerate(blocks, 1) for p in block.parameters()}
    depths: dict[int, int] = {}
    embeddings = {id(m.weight) for m in backbone.modules() if isinstance(m, nn.Embedding)}
    seen_block = False
    for parameter in backbone.parameters():
        key = id(parameter)
        if key in inside:
            seen_block = True
            depths[key] = inside[key]
        else:
            depths[key] = len(blocks) + 1 if seen_block and key not in embeddings else 0
    return depths, len(blocks) + 1


def parameter_groups(
    backbone: nn.Module, head: nn.Module, settings: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """Sort the trainable parameters by decay and learning rate.

    Parameters
    ----------
    backbone, head : nn.Module
        Parameters that both hold (tied embeddings) count as the backbone's.
    settings : mapping
        The ``optimizer`` group: ``lr``, ``weight_decay``, ``head_lr_multiplier``, ``layer_decay``
        (factor a layer from the top down), ``decay_embeddings``.

    Returns
    -------
    list of dict
        Groups with ``params``, ``lr``, ``weight_decay`` and ``name``.

    Raises
    ------
    TrainingError
        When nothing is trainable.
    """
    lr = float(settings["lr"])
    decay = float(settings.get("weight_decay", 0.0))
    layer_decay = float(settings.get("layer_decay") or 1.0)
    head_factor = float(settings.get("head_lr_multiplier") or 1.0)
    decay_embeddings = bool(settings.get("decay_embeddings", False))
    without = _undecayed(backbone, decay_embeddings) | _undecayed(head, decay_embeddings)
    depths, top = _depths(backbone)

    groups: dict[tuple[str, float, float], dict[str, Any]] = {}

    def add(parameter: nn.Parameter, part: str, factor: float) -> None:
        this_decay = 0.0 if id(parameter) in without else decay
        key = (part, factor, this_decay)
        if key not in groups:
            name = part if not layer_decay < 1 or part == "head" else f"{part}-x{factor:.4g}"
            name += "" if this_decay else "-nodecay"
            groups[key] = {"params": [], "lr": lr * factor, "weight_decay": this_decay, "name": name}
        groups[key]["params"].append(parameter)

    seen: set[int] = set()
    for part, parameter in _parts(backbone, head):
        if id(parameter) in seen or not parameter.requires_grad:
            continue
        seen.add(id(parameter))
        if part == "head":
            add(parameter, part, head_factor)
        else:
            add(parameter, part, layer_decay ** (top - depths[id(parameter)]))
    if not groups:
        raise TrainingError(
            "no parameter of the model is trainable.",
            remedy="choose adapt=full or adapt=lora, or a head with weights.",
        )
    return list(groups.values())


def _parts(backbone: nn.Module, head: nn.Module) -> Iterator[tuple[str, nn.Parameter]]:
    for parameter in backbone.parameters():
        yield "backbone", parameter
    for parameter in head.parameters():
        yield "head", parameter


def build_optimizer(
    backbone: nn.Module, head: nn.Module, settings: Mapping[str, Any], *, scaled: bool = False
) -> torch.optim.Optimizer:
    """Build the optimizer of the ``optimizer`` config group.

    Parameters
    ----------
    backbone, head : nn.Module
    settings : mapping
        ``_target_`` (default ``torch.optim.AdamW``), ``lr``, the keys of :func:`parameter_groups`,
        ``fused`` ("auto", true or false); whatever else there is goes to the class (``betas``, ...).
    scaled : bool
        Whether a gradient scaler is in use (16-mixed). Fused optimizers undo the scale themselves,
        after clipping, so that clipping would see scaled gradients; fused is then off.

    Raises
    ------
    ConfigError
        When ``lr`` is missing or not positive, or the class refuses an option.
    """
    if "lr" not in settings or not float(settings["lr"]) > 0:
        raise ConfigError(f"optimizer.lr={settings.get('lr')}", expected="a positive learning rate")
    target = str(settings.get("_target_", "torch.optim.AdamW"))
    cls = get_class(target)
    options = {key: value for key, value in settings.items() if key not in OWN_KEYS}
    if "betas" in options:
        options["betas"] = tuple(float(beta) for beta in options["betas"])
    groups = parameter_groups(backbone, head, settings)
    parameters = [parameter for group in groups for parameter in group["params"]]
    if "fused" in inspect.signature(cls).parameters:
        wanted = settings.get("fused", "auto")
        able = all(p.is_floating_point() and p.device.type in ("cpu", "cuda") for p in parameters)
        options["fused"] = (able and not scaled) if wanted in ("auto", None) else bool(wanted)
    try:
        return cls(groups, lr=float(settings["lr"]), **options)
    except (TypeError, ValueError) as error:
        raise ConfigError(
            f"optimizer: {target} refuses its options: {error}",
            expected=f"options of {target} and {', '.join(OWN_KEYS[1:])}",
        ) from error
