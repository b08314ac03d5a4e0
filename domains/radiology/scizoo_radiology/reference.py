"""Made-up inputs on which a checkpoint's outputs are checked again: no patient's data travels with it."""

from __future__ import annotations

import numpy as np

from scizoo_radiology.images import RadiologyImage


def pictures(count: int = 4, size: int = 48) -> list[RadiologyImage]:
    """Return pictures drawn by formula: two dark ellipses on a grey ground, and a bright disc that moves.

    Parameters
    ----------
    count : int
    size : int
        Rows and columns.
    """
    rows, columns = np.indices((size, size)) / (size - 1.0)
    found = []
    for number in range(count):
        shown = 150.0 + 40.0 * np.cos(3.0 * np.pi * rows) * (columns - 0.5)
        for side in (0.3, 0.7):
            inside = ((columns - side) / 0.16) ** 2 + ((rows - 0.5) / 0.35) ** 2 < 1.0
            shown = np.where(inside, 60.0, shown)
        disc = (columns - 0.35 - 0.1 * number) ** 2 + (rows - 0.6) ** 2 < 0.02
        found.append(RadiologyImage(np.where(disc, 230.0, shown).round().astype(np.uint8)))
    return found


def reports() -> list[str]:
    """Return sentences as radiologists write them, of nobody."""
    return [
        "The heart is normal in size. The lungs are clear. No acute disease.",
        "Small left pleural effusion. No pneumothorax.",
        "Calcified granuloma in the right upper lobe. Stable cardiomegaly.",
        "Bibasilar atelectasis.",
    ]


def inputs() -> list[RadiologyImage]:
    """Return pictures; tokenizers of other objects bring made-up inputs of their own."""
    return pictures()
