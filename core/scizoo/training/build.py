"""From a config to the parts of a model: a checkpoint's, or new ones."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from scizoo.checkpoints.format import Checkpoint, load_checkpoint
from scizoo.config import get_class, instantiate, to_plain
from scizoo.data.augment import Augment
from scizoo.data.tokenizer import Tokenizer
from scizoo.data.windows import Context
from scizoo.errors import ConfigError
from scizoo.models.backbones import Backbone, build_backbone
from scizoo.models.heads import Head

if TYPE_CHECKING:
    from scizoo.data.targets import TargetEncoder

_DEFAULT_CONTEXT = {"max_length": 512, "add_cls": True, "add_sep": True}


@dataclass
class ModelParts:
    """What a run starts from.

    Parameters
    ----------
    backbone : Backbone
    tokenizer : Tokenizer
    context : Context
    augment : Augment or None
    checkpoint : Checkpoint or None
        Where backbone and tokenizer came from.
    """

    backbone: Backbone
    tokenizer: Tokenizer
    context: Context
    augment: Augment | None = None
    checkpoint: Checkpoint | None = None

    @property
    def origin(self) -> str | None:
        """The name of the checkpoint, if there is one."""
        return None if self.checkpoint is None else self.checkpoint.manifest.name


def build_parts(
    cfg: Mapping[str, Any], training_inputs: Callable[[], Iterable[Any]] | None = None
) -> ModelParts:
    """Open the checkpoint that a config names, or build a new backbone and tokenizer.

    Parameters
    ----------
    cfg : mapping
        A composed config; read are ``checkpoint``, ``backbone``, ``tokenizer``, ``context`` and
        ``augment``.
    training_inputs : callable, optional
        Gives the inputs of the training part, for a tokenizer that learns a vocabulary.

    Raises
    ------
    ConfigError
        When neither a checkpoint nor a backbone with a tokenizer is named, or both are.
    """
    augment = instantiate(cfg["augment"]) if cfg.get("augment") else None
    if cfg.get("checkpoint"):
        for key in ("backbone", "tokenizer"):
            if cfg.get(key):
                raise ConfigError(
                    f"{key} and checkpoint are both given, but a checkpoint brings its own {key}.",
                    remedy=f"leave {key} out, or set checkpoint=null to train from initial weights.",
                )
        found = load_checkpoint(str(cfg["checkpoint"]))
        context = make_context(cfg.get("context"), found.context)
        return ModelParts(found.backbone, found.tokenizer, context, augment, found)
    lacking = [key for key in ("backbone", "tokenizer") if not cfg.get(key)]
    if lacking:
        raise ConfigError(
            f"{' and '.join(lacking)} must be given where there is no checkpoint.",
            expected="checkpoint=NAME, or backbone=... with tokenizer=...",
            remedy="`scizoo list checkpoints` and `scizoo list tokenizers` show what there is.",
        )
    tokenizer: Tokenizer = instantiate(cfg["tokenizer"])
    if training_inputs is not None:
        tokenizer.train(training_inputs())
    context = make_context(cfg.get("context"), None, tokenizer)
    backbone = build_backbone(to_plain(cfg["backbone"]), tokenizer, context.max_length)
    return ModelParts(backbone, tokenizer, context, augment)


def make_context(
    settings: Mapping[str, Any] | None, trained: Context | None, tokenizer: Tokenizer | None = None
) -> Context:
    """Make the context of a run; what the config leaves null is the checkpoint's, or the default.

    Parameters
    ----------
    settings : mapping or None
        The ``context`` group.
    trained : Context or None
        The checkpoint's.
    tokenizer : Tokenizer, optional
        One without special tokens gets none by default.

    Raises
    ------
    ConfigError
        When a window would be longer than the checkpoint was trained for.
    """
    given = {key: value for key, value in dict(to_plain(settings) or {}).items() if value is not None}
    default = dict(_DEFAULT_CONTEXT)
    if tokenizer is not None:
        default |= {f"add_{name}": hasattr(tokenizer, f"{name}_id") for name in ("cls", "sep")}
    if trained is not None:
        default = {key: getattr(trained, key) for key in _DEFAULT_CONTEXT}
        if given.get("max_length", 0) > trained.max_length:
            raise ConfigError(
                f"context.max_length={given['max_length']} is more than the checkpoint was trained for.",
                expected=f"at most {trained.max_length} tokens",
                remedy="leave context.max_length out; longer records are windowed.",
            )
    return Context(**{**default, **given})


def zero_shot_head(parts: ModelParts, target: TargetEncoder) -> Head:
    """Give the head of a checkpoint for a task it was not trained for (``adapt=none``).

    Parameters
    ----------
    parts : ModelParts
    target : TargetEncoder
        Of the task.

    Raises
    ------
    ConfigError
        When there is no checkpoint, or its head predicts nothing of the kind.
    """
    own = None if parts.checkpoint is None else parts.checkpoint.head
    if own is None:
        raise ConfigError(
            "adapt=none uses what a checkpoint learned in pre-training, and there is none here.",
            expected="a checkpoint with the head of its pre-training",
            remedy="name a checkpoint, or train: adapt=probe, lora or full.",
        )
    return own.zero_shot(parts.backbone, target)


def build_head(cfg: Mapping[str, Any], backbone: Backbone, target: TargetEncoder) -> Head:
    """Build the head of a task.

    Parameters
    ----------
    cfg : mapping
        A composed config; read is ``head``.
    backbone : Backbone
        Gives the width of the states.
    target : TargetEncoder
        Gives the number of classes, labels or values, and to a head that takes ``classes`` their names.

    Raises
    ------
    ConfigError
        When the head is not of the task's kind.
    """
    if not cfg.get("head"):
        raise ConfigError("head is not given.", expected="a head with _target_")
    kind = get_class(str(cfg["head"].get("_target_")), key="head._target_")
    sizes: dict[str, Any] = {"hidden_size": backbone.hidden_size, "outputs": target.outputs}
    if callable(getattr(kind, "fitted", None)):
        sizes |= kind.fitted(cfg["head"], backbone)
    if "classes" in inspect.signature(kind).parameters and cfg["head"].get("classes") is None:
        # A head that knows its classes by name gets them in the order of the outputs.
        sizes["classes"] = list(getattr(target, "classes", ()))
    if "background" in inspect.signature(kind).parameters and cfg["head"].get("background") is None:
        sizes["background"] = bool(getattr(target, "background", True))
    head = instantiate(cfg["head"], **sizes)
    if not isinstance(head, Head) or head.kind != target.kind:
        raise ConfigError(
            f"head: {cfg['head'].get('_target_')} does not fit a {target.kind} task.",
            expected=f"a head of kind {target.kind}",
        )
    bind = getattr(head, "bind", None)
    return head if bind is None else bind(backbone)
