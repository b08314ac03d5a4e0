"""scizoo: a zoo of domain-specialist foundation models."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from scizoo.api import Model, load
    from scizoo.checkpoints.store import list_checkpoints
    from scizoo.errors import ScizooError

__version__ = "0.1.0"
__all__ = ["Model", "ScizooError", "__version__", "list_checkpoints", "load"]

# Where each public name lives. They are imported when they are first used, so that `import scizoo`
# and the light commands stay free of torch.
_HOMES = {
    "Model": "scizoo.api",
    "load": "scizoo.api",
    "list_checkpoints": "scizoo.checkpoints.store",
    "ScizooError": "scizoo.errors",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'scizoo' has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
