"""Made-up sequences on which a checkpoint's outputs are checked again; nobody's data."""

from __future__ import annotations

import random


def inputs() -> list[str]:
    """Return a few random sequences, the same each time; one holds ambiguity codes."""
    draw = random.Random(0)
    sequences = ["".join(draw.choices("ACGT", k=length)) for length in (600, 300, 120)]
    return [*sequences, "ACGTNNRYACGT" * 20]
