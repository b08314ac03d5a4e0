"""Which precision a run computes in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from scizoo.errors import ConfigError, did_you_mean

PRECISIONS = ("auto", "32-true", "bf16-mixed", "bf16-true", "16-mixed", "64-true")


def resolve_precision(cfg: Any, accelerator: str = "auto") -> str:
    """Choose the precision of a run.

    Parameters
    ----------
    cfg : str or mapping
        A precision of Lightning, or ``auto``; or a mapping with it under ``value``.
    accelerator : str
        ``auto``, ``cpu``, ``gpu``, ...

    Returns
    -------
    str
        With ``auto``: bf16-mixed where the device has bfloat16 units, else 32-true.

    Raises
    ------
    ConfigError
        For an unknown precision.
    """
    value = str(cfg.get("value", "auto") if isinstance(cfg, Mapping) else (cfg or "auto"))
    value = {"32": "32-true", "bf16": "bf16-mixed", "16": "16-mixed", "64": "64-true"}.get(value, value)
    if value not in PRECISIONS:
        raise ConfigError(f"precision={value} is unknown: {did_you_mean(value, PRECISIONS)}")
    if value != "auto":
        return value
    if accelerator in ("auto", "gpu", "cuda") and torch.cuda.is_available():
        return "bf16-mixed" if torch.cuda.is_bf16_supported(including_emulation=False) else "32-true"
    if accelerator in ("mps",) or (accelerator == "auto" and torch.backends.mps.is_available()):
        return "32-true"
    return "bf16-mixed" if cpu_prefers_bf16() else "32-true"


def cpu_prefers_bf16() -> bool:
    """Tell whether this CPU has bfloat16 units (AVX512-BF16 or AMX), with which training is faster.

    Decided by what the CPU is, not by a measurement, so that a run has one precision whatever else
    the machine is doing.
    """
    checks = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    units = any(bool(getattr(torch.cpu, name, lambda: False)()) for name in checks)
    return units and torch.backends.mkldnn.is_available()
