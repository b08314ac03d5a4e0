"""Helpers to read config groups."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from scizoo.errors import ConfigError, did_you_mean


def plain(node: Any) -> dict[str, Any]:
    """Turn a config node into plain dicts; None becomes an empty one."""
    if node is None:
        return {}
    from omegaconf import DictConfig, OmegaConf

    if isinstance(node, DictConfig):
        plain = OmegaConf.to_container(node, resolve=True)
        return {str(key): value for key, value in plain.items()} if isinstance(plain, dict) else {}
    return dict(node)


def refuse_unknown(group: str, given: Mapping[str, Any], known: Iterable[str]) -> None:
    """Refuse a key that a group does not have, with the nearest valid ones."""
    known = set(known)
    for key in given:
        if key not in known:
            raise ConfigError(f"{group}.{key} is unknown: {did_you_mean(str(key), known)}")
