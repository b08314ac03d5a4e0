"""Composition of configs, and the one place that turns a ``_target_`` into an object."""

from __future__ import annotations

import functools
import importlib
import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import ModuleType
from typing import TYPE_CHECKING, Any

from scizoo import plugins
from scizoo.errors import ConfigError, ScizooError, did_you_mean

if TYPE_CHECKING:
    from omegaconf import DictConfig

#: Packages whose classes a config may name; installed plugins are added to them.
ALLOWED = ("scizoo", "torch", "lightning", "transformers", "timm", "peft", "torchmetrics", "sklearn")

# Outside scizoo and its plugins only classes of these kinds are made: a package of that size also
# holds things that start processes or read pickles, and a config may come from a stranger.
_KINDS = {
    "torch.nn.modules.module.Module",
    "torch.optim.optimizer.Optimizer",
    "torch.optim.lr_scheduler.LRScheduler",
    "torch.utils.data.sampler.Sampler",
    "lightning.fabric.loggers.logger.Logger",
    "lightning.fabric.plugins.environments.cluster_environment.ClusterEnvironment",
    "lightning.fabric.strategies.strategy.Strategy",
    "lightning.pytorch.accelerators.accelerator.Accelerator",
    "lightning.pytorch.callbacks.callback.Callback",
    "lightning.pytorch.plugins.precision.precision.Precision",
    "lightning.pytorch.profilers.profiler.Profiler",
    "lightning.pytorch.strategies.strategy.Strategy",
    "lightning.pytorch.trainer.trainer.Trainer",
    "peft.config.PeftConfigMixin",
    "sklearn.base.BaseEstimator",
    "sklearn.model_selection._split.BaseCrossValidator",
    "sklearn.model_selection._split._MetadataRequester",
    "transformers.configuration_utils.PreTrainedConfig",
    "transformers.configuration_utils.PretrainedConfig",
}

# Parts of scizoo that a config has no business to call.
_NEVER = ("scizoo.cli", "scizoo.jobs", "scizoo.files", "scizoo.plugins", "scizoo.data.sources")

_OWN_KEYS = ("_target_", "_partial_", "_args_", "_recursive_", "_convert_")


def allowed_packages() -> tuple[str, ...]:
    """Return the top-level packages that a ``_target_`` may come from."""
    return (*ALLOWED, *sorted(set(plugins.installed().values()) - set(ALLOWED)))


def check_allowed(dotted: str, key: str) -> None:
    """Refuse a dotted name from outside the allow-list; nothing is imported.

    Raises
    ------
    ConfigError
        Naming the key and the packages that are allowed.
    """
    top, allowed = dotted.partition(".")[0], allowed_packages()
    if top not in allowed or any(dotted == word or dotted.startswith(word + ".") for word in _NEVER):
        raise ConfigError(
            f"{key}: '{dotted}' is not something a config may use.",
            expected=f"a class of one of the packages {', '.join(allowed)}",
            remedy="correct the name, or install the plugin that it belongs to.",
        )


def get_class(dotted: str, *, key: str = "_target_") -> Any:
    """Import what a dotted name means, if the allow-list holds it.

    Parameters
    ----------
    dotted : str
        For example ``scizoo.models.heads.Classification`` or ``torch.optim.AdamW``. Of scizoo and
        its plugins functions and class methods may be named too.
    key : str
        The config key that holds the name, for messages.

    Returns
    -------
    type or callable

    Raises
    ------
    ConfigError
        When the name is outside the allow-list, does not exist, or cannot be imported.
    """
    check_allowed(dotted, key)
    top, allowed = dotted.partition(".")[0], allowed_packages()
    found = _locate(dotted, key)
    if top in ("scizoo", *plugins.installed().values()):
        home = getattr(found, "__module__", None) or ""
        good = callable(found) and home.partition(".")[0] in allowed
    else:
        good = inspect.isclass(found) and any(
            f"{base.__module__}.{base.__qualname__}" in _KINDS for base in found.__mro__
        )
    if not good:
        raise ConfigError(
            f"{key}: '{dotted}' is not something a config may use.",
            expected="a class or function of scizoo or a plugin, or a model part, optimizer, callback, "
            "logger, metric or estimator of another library",
        )
    return found


def _locate(dotted: str, key: str) -> Any:
    parts = dotted.split(".")
    if not all(part.isidentifier() for part in parts):
        raise ConfigError(f"{key}: '{dotted}' is not a dotted Python name.")
    found: Any = None
    for count in range(1, len(parts) + 1):
        name, parent = ".".join(parts[:count]), found
        found = None if parent is None else getattr(parent, parts[count - 1], None)
        if found is not None and not isinstance(found, ModuleType):
            continue  # lazily loading packages give their classes by attribute
        if parent is None or isinstance(parent, ModuleType):
            try:
                found = importlib.import_module(name)
                continue
            except ModuleNotFoundError as error:
                if error.name != name:
                    raise _import_failed(dotted, key, error) from error
            except Exception as error:  # whatever a plugin's module raises is the plugin's fault
                raise _import_failed(dotted, key, error) from error
        near = did_you_mean(parts[count - 1], [n for n in dir(parent) if not n.startswith("_")])
        raise ConfigError(f"{key}: {'.'.join(parts[: count - 1])} has no '{parts[count - 1]}': {near}")
    return found


def _import_failed(dotted: str, key: str, error: BaseException) -> ConfigError:
    package = dotted.partition(".")[0]
    names = [name for name, value in plugins.installed().items() if value == package]
    return ConfigError(
        f"{key}: '{dotted}' cannot be imported: {type(error).__name__}: {error}",
        remedy=f"run `scizoo doctor {names[0]}`." if names else "run `scizoo doctor`.",
    )


def to_plain(cfg: Any) -> Any:
    """Return a config as dicts, lists and scalars with all interpolations resolved.

    Raises
    ------
    ConfigError
        When a required key has no value or an interpolation cannot be resolved.
    """
    from omegaconf import OmegaConf
    from omegaconf.errors import MissingMandatoryValue, OmegaConfBaseException

    if not OmegaConf.is_config(cfg):
        return cfg
    try:
        return OmegaConf.to_container(cfg, resolve=True, throw_on_missing=True)
    except MissingMandatoryValue as error:
        missing = sorted(OmegaConf.missing_keys(cfg))
        raise ConfigError(
            f"{', '.join(missing) or error.full_key} must be given.",
            remedy=f"add {' '.join(f'{name}=...' for name in missing)} to the command.",
        ) from error
    except OmegaConfBaseException as error:
        raise ConfigError(f"{error.full_key or 'config'}: {str(error).splitlines()[0]}") from error


def instantiate(cfg: Any, *args: Any, **kwargs: Any) -> Any:
    """Make the object that a config describes; nested descriptions are made first.

    Parameters
    ----------
    cfg : DictConfig, dict, list or scalar
        A mapping with ``_target_`` is made by calling that class with the other keys. ``_partial_:
        true`` gives a `functools.partial` instead, ``_args_`` holds positional arguments,
        ``_recursive_: false`` leaves the values as plain data. None gives None.
    *args, **kwargs
        Handed to the outermost class; a keyword replaces the config's value.

    Returns
    -------
    object
        Containers without ``_target_`` come back as plain dicts and lists.

    Raises
    ------
    ConfigError
        When a ``_target_`` is not allowed, or does not take the keys it is given.
    """
    key = ""
    if hasattr(cfg, "_get_full_key"):
        key = cfg._get_full_key(None) or ""
    return _make(to_plain(cfg), key, args, kwargs)


def _make(node: Any, key: str, args: Sequence[Any] = (), extra: Mapping[str, Any] | None = None) -> Any:
    if isinstance(node, list | tuple):
        return [_make(value, f"{key}[{index}]") for index, value in enumerate(node)]
    if not isinstance(node, Mapping):
        return node
    if "_target_" not in node:
        if args or extra:
            raise ConfigError(f"{key or 'config'} names no class.", expected="a key _target_")
        return {name: _make(value, _join(key, name)) for name, value in node.items()}
    target = get_class(str(node["_target_"]), key=_join(key, "_target_"))
    settings = {name: value for name, value in node.items() if name not in _OWN_KEYS}
    settings.update(extra or {})
    if node.get("_recursive_", True):
        given = extra or {}
        settings = {k: v if k in given else _make(v, _join(key, k)) for k, v in settings.items()}
    positional = tuple(args) or tuple(_make(list(node.get("_args_", ())), _join(key, "_args_")))
    partial = bool(node.get("_partial_", False))
    check_arguments(target, positional, settings, key=key, partial=partial)
    if partial:
        return functools.partial(target, *positional, **settings)
    try:
        return target(*positional, **settings)
    except ScizooError:
        raise
    except ValueError as error:
        raise ConfigError(
            f"{key or node['_target_']}: {node['_target_']} refused its settings: {error}"
        ) from error


def _join(key: str, name: Any) -> str:
    return f"{key}.{name}" if key else str(name)


def check_arguments(
    target: Callable[..., Any],
    args: Sequence[Any],
    settings: Mapping[str, Any],
    *,
    key: str,
    partial: bool = False,
) -> None:
    """Check that a class takes the keys it is given and is given those it needs.

    Raises
    ------
    ConfigError
        Naming the key, with the nearest names that are accepted.
    """
    try:
        signature = inspect.signature(target)
    except (TypeError, ValueError):  # classes written in C may have no signature
        return
    name = getattr(target, "__qualname__", str(target))
    takes = [p for p in signature.parameters.values() if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)]
    if not any(p.kind is p.VAR_KEYWORD for p in signature.parameters.values()):
        known = [p.name for p in takes if p.kind is not p.POSITIONAL_ONLY]
        for wrong in settings:
            if wrong not in known:
                raise ConfigError(
                    f"{_join(key, wrong)} is no setting of {name}: {did_you_mean(wrong, known)}"
                )
    if partial:
        return
    needed = [p.name for p in takes[len(args) :] if p.default is p.empty and p.kind is not p.POSITIONAL_ONLY]
    for absent in needed:
        if absent not in settings:
            raise ConfigError(f"{_join(key, absent)} must be given: {name} needs it.")
    try:
        signature.bind(*args, **settings)
    except TypeError as error:
        raise ConfigError(f"{key or name}: {name}: {error}") from error


def targets(node: Any, key: str = "") -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield key and mapping of every description with a ``_target_`` in a plain config."""
    if isinstance(node, Mapping):
        if "_target_" in node:
            yield key, node
        for name, value in node.items():
            yield from targets(value, _join(key, name))
    elif isinstance(node, list | tuple):
        for index, value in enumerate(node):
            yield from targets(value, f"{key}[{index}]")


def compose(verb: str, name: str | None = None, overrides: Sequence[str] = ()) -> DictConfig:
    """Compose the config of a job.

    Parameters
    ----------
    verb : str
        ``finetune``, ``pretrain``, ...
    name : str, optional
        The task, or the recipe for ``pretrain``; None composes what all of them share.
    overrides : sequence of str
        ``key=value`` words; values may hold ``=``.

    Returns
    -------
    DictConfig
        In struct mode: an unknown key is an error.

    Raises
    ------
    ConfigError
        When a name, group, option or key is unknown, with the nearest valid ones.
    """
    from scizoo.overrides import Overrides

    return Overrides.parse(verb, name, overrides).compose()
