"""The classes that a checkpoint names for its parts: only from the allow-list, only of the right kind."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from scizoo import plugins
from scizoo.checkpoints.manifest import FILE_NAME as MANIFEST
from scizoo.errors import CheckpointError


def component_class(component: dict[str, Any], base: type, what: str, folder: Path) -> Any:
    """Resolve the class that a checkpoint names for one of its parts.

    Parameters
    ----------
    component : dict
        Has ``_target_``, a dotted class name.
    base : type
        What the class must derive from: a checkpoint may name a tokenizer, not any callable.
    what : str
        Which part it is, for messages.
    folder : Path
        The checkpoint, for messages.

    Returns
    -------
    type

    Raises
    ------
    CheckpointError
        When the name is outside the allow-list, cannot be imported or is no such class.
    """
    from scizoo.config import get_class
    from scizoo.errors import ScizooError

    target = component.get("_target_")
    if not isinstance(target, str):
        raise CheckpointError(
            f"{folder / MANIFEST} names no class for its {what}.",
            expected=f"{what}._target_",
            remedy="fetch or copy the checkpoint again.",
        )
    try:
        found = get_class(target)
    except ScizooError as error:
        raise CheckpointError(
            f"{folder} names '{target}' as its {what}, which cannot be used: {error.problem}",
            expected=error.expected or "a class of scizoo or of an installed scizoo plugin",
            remedy=error.remedy
            or "install the plugin that it comes from; never load a checkpoint you do not trust.",
        ) from error
    if not (isinstance(found, type) and issubclass(found, base)):
        raise CheckpointError(
            f"{folder} names '{target}' as its {what}, but that is not a {base.__name__}. It was refused.",
            remedy="do not use this checkpoint; ask whoever gave it to you.",
        )
    return found


def load_views(component: dict[str, Any] | None, folder: Path) -> Callable[[Any], list[Any]] | None:
    """Make the callable that gives the views of an input that prediction averages over.

    Parameters
    ----------
    component : dict or None
        ``_target_``, a class of a plugin with a method ``views``, and its plain ``settings``.
    folder : Path
        The checkpoint, for messages.

    Returns
    -------
    callable or None
        None when there are no views, or they serve training alone.

    Raises
    ------
    CheckpointError
        When the class is not allowed, or what it makes gives no views.
    """
    if component is None:
        return None
    found = component_class(component, object, "augment", folder)
    # Any class derives from object; only scizoo and its plugins have augmentations.
    own = found.__module__.partition(".")[0] in {"scizoo", *plugins.installed().values()}
    if not own or not callable(getattr(found, "views", None)):
        raise CheckpointError(
            f"{folder} names '{component['_target_']}' as its augment, which gives no views. It was refused.",
            remedy="do not use this checkpoint; ask whoever gave it to you.",
        )
    try:
        augment = found(**component.get("settings", {}))
    except (TypeError, ValueError) as error:
        raise CheckpointError(f"{folder}: its augment cannot be made: {error}") from error
    return augment.views if getattr(augment, "predict", True) else None
