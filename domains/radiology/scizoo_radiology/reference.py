"""Made-up inputs on which a checkpoint's outputs are checked again: no patient's data travels with it."""

from __future__ import annotations

from dataclasses import dataclass

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


#: Sentences as radiologists write them, of nobody.
REPORTS = (
    "The heart is normal in size. The lungs are clear. No acute disease.",
    "Small left pleural effusion. No pneumothorax.",
    "Calcified granuloma in the right upper lobe. Stable cardiomegaly.",
    "Bibasilar atelectasis.",
)


@dataclass(frozen=True)
class MadeUp:
    """A patient that does not exist; each tokenizer of this domain takes what it reads.

    Parameters
    ----------
    picture : RadiologyImage
    report : str
    step : float
        How far all measures lie from their medians, in interquartile ranges.
    """

    picture: RadiologyImage
    report: str
    step: float = 0.0


def inputs() -> list[MadeUp]:
    """Return a few of them, the same each time."""
    steps = (-1.0, 0.0, 0.5, 1.0)
    return [MadeUp(*parts) for parts in zip(pictures(), REPORTS, steps, strict=True)]


def pairs() -> list[tuple[MadeUp, MadeUp]]:
    """Return pairs of a query and its document."""
    return [(one, one) for one in inputs()]
