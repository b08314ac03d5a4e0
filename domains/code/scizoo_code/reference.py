"""Sources on which a checkpoint's outputs are checked again; nobody's code."""

from __future__ import annotations


def inputs() -> list[str]:
    """Return three short sources, the same each time; one is not ASCII, one is no Python."""
    return ["def add(a, b):\n    return a + b\n", "print('π')  # ≈ 3.14\n", "echo done\n"]
