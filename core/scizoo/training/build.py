"""From a config to the parts of a model: a checkpoint's, or new ones."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import chain
from typing import TYPE_CHECKING, Any

import torch

from scizoo.checkpoints.format import Checkpoint, load_checkpoint
from scizoo.config import get_class, instantiate, to_plain
from scizoo.data.augment import Augment
from scizoo.data.documents import RETRIEVAL
from scizoo.data.tokenizer import Tokenizer
from scizoo.data.windows import Context
from scizoo.errors import ConfigError
from scizoo.models.backbones import Backbone, build_backbone
from scizoo.models.heads import Head
from scizoo.models.retrieval import DocumentSide, DualEncoder, pooled_head

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
    document : DocumentSide or None
        What encodes the documents of a task of retrieval; backbone and tokenizer are for its queries.
    """

    backbone: Backbone
    tokenizer: Tokenizer
    context: Context
    augment: Augment | None = None
    checkpoint: Checkpoint | None = None
    document: DocumentSide | None = None

    @property
    def trained(self) -> Backbone:
        """The network that a head stands on: the backbone, or both sides of a retrieval together."""
        return self.backbone if self.document is None else DualEncoder(self.backbone, self.document.backbone)

    @property
    def origin(self) -> str | None:
        """The name of the checkpoint, if there is one."""
        return None if self.checkpoint is None else self.checkpoint.manifest.name


def build_parts(
    cfg: Mapping[str, Any],
    training_inputs: Callable[[], Iterable[Any]] | None = None,
    training_documents: Callable[[], Iterable[Any]] | None = None,
) -> ModelParts:
    """Open the checkpoint that a config names, or build a new backbone and tokenizer.

    For a task of retrieval the group ``document`` says what encodes the documents: a ``checkpoint``, or a
    ``backbone`` with a ``tokenizer``. Without any of them the network of the queries serves both sides.

    Parameters
    ----------
    cfg : mapping
        A composed config; read are ``checkpoint``, ``backbone``, ``tokenizer``, ``context``, ``augment``,
        ``document``, ``task.kind``, and ``seed``, from which new weights are drawn.
    training_inputs : callable, optional
        Gives the inputs of the training part, for a tokenizer that learns a vocabulary.
    training_documents : callable, optional
        Gives the documents of the training part, likewise.

    Raises
    ------
    ConfigError
        When neither a checkpoint nor a backbone with a tokenizer is named, or both are.
    """
    # Not forked: what is drawn next, such as a head, must not repeat the draws of the backbone.
    torch.manual_seed(int(cfg.get("seed") or 0))
    return _parts(cfg, training_inputs, training_documents)


def _parts(
    cfg: Mapping[str, Any],
    training_inputs: Callable[[], Iterable[Any]] | None,
    training_documents: Callable[[], Iterable[Any]] | None,
) -> ModelParts:
    if (cfg.get("task") or {}).get("kind") != RETRIEVAL:
        return _build(cfg, training_inputs)
    second = {key: value for key, value in dict(cfg.get("document") or {}).items() if value}
    inputs = training_inputs
    if "tokenizer" not in second and training_inputs is not None and training_documents is not None:
        asked, answered = training_inputs, training_documents

        def both() -> Iterable[Any]:  # one tokenizer reads both sides
            return chain(asked(), answered())

        inputs = both
    parts = _build(cfg, inputs)
    parts.document = _document_side(parts, second, training_documents)
    return parts


def _document_side(
    parts: ModelParts,
    settings: Mapping[str, Any],
    training_documents: Callable[[], Iterable[Any]] | None,
) -> DocumentSide:
    """Build or open what encodes documents; see :func:`build_parts`."""
    trained = None if parts.checkpoint is None else parts.checkpoint.document
    encoders = [key for key in ("checkpoint", "backbone", "tokenizer") if key in settings]
    if trained is not None and encoders:
        raise ConfigError(
            f"document.{encoders[0]} is given, but {parts.origin} brings a network for documents.",
            remedy=f"leave document.{encoders[0]} out.",
        )
    if trained is not None:
        return DocumentSide(
            trained.backbone, trained.tokenizer, make_context(settings.get("context"), trained.context)
        )
    if "checkpoint" in settings or "backbone" in settings:
        with _said_of_documents():
            second = _build({**settings, "augment": None}, training_documents)
        return DocumentSide(second.backbone, second.tokenizer, second.context)
    own = settings.get("context") or {}
    context = replace(parts.context, **{key: value for key, value in own.items() if value is not None})
    if "tokenizer" not in settings:
        return DocumentSide(parts.backbone, parts.tokenizer, context)
    tokenizer: Tokenizer = instantiate(settings["tokenizer"])
    if training_documents is not None:
        tokenizer.train(training_documents())
    for fact in ("main_input", "vocab_size"):
        mine, theirs = getattr(parts.tokenizer, fact, None), getattr(tokenizer, fact, None)
        if mine != theirs:
            raise ConfigError(
                f"document.tokenizer has {fact}={theirs}, that of the queries {mine}: "
                "one network cannot read both.",
                remedy="name a network for the documents: document.backbone or document.checkpoint.",
            )
    return DocumentSide(parts.backbone, tokenizer, context)


@contextmanager
def _said_of_documents() -> Iterator[None]:
    """Say of a fault that it is in the group ``document``."""
    try:
        yield
    except ConfigError as error:
        raise ConfigError(
            f"document: {error.problem}", expected=error.expected, remedy=error.remedy
        ) from error


def _build(cfg: Mapping[str, Any], training_inputs: Callable[[], Iterable[Any]] | None) -> ModelParts:
    """Open or build one network with its tokenizer."""
    augment = instantiate(cfg["augment"]) if cfg.get("augment") else None
    if cfg.get("checkpoint"):
        for key in ("backbone", "tokenizer"):
            if cfg.get(key):
                raise ConfigError(
                    f"{key} and checkpoint are both given, but a checkpoint brings its own {key}.",
                    remedy="set backbone=null tokenizer=null to take the checkpoint's, or checkpoint=null to "
                    "train from initial weights.",
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
    trained = parts.trained
    if isinstance(trained, DualEncoder) and parts.checkpoint is not None:
        # Of a network that never saw pairs the mean states are compared.
        return own if own is not None and own.kind == RETRIEVAL else pooled_head(trained)
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
