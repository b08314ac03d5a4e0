"""OGLE-III stars in two lots: those that tasks test on, and the others, for pre-training."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from scizoo.data.records import Record
from scizoo.data.splits import hash_part
from scizoo.errors import ConfigError, did_you_mean
from scizoo_astronomy.datasets.ogle import OgleVariables

PARTS = ("all", "corpus")


def is_held_out(id: str, share: float, seed: int) -> bool:
    """Tell whether a star is tested on, from its name alone: the same in every task and recipe."""
    return hash_part(f"ogle-iii:{id}", (1.0 - share, 0.0, share), seed) == "test"


class OgleHeldOut(OgleVariables):
    """OGLE-III variables with a fixed share of the stars held out, whatever the task.

    Parameters
    ----------
    part : {"all", "corpus"}
        All stars, those held out with ``meta["split"] = "test"``; or only the others, without target, for
        pre-training.
    heldout_share, heldout_seed
        The share of stars that is held out, by a hash of the name; the same for tasks and recipes.
    **settings
        As in :class:`~scizoo_astronomy.datasets.ogle.OgleVariables`.
    """

    def __init__(
        self, *, part: str = "all", heldout_share: float = 0.2, heldout_seed: int = 0, **settings: Any
    ):
        if part not in PARTS:
            raise ConfigError(f"data.part={part}: {did_you_mean(part, PARTS)}")
        if not 0 < heldout_share < 1:
            raise ConfigError(f"data.heldout_share={heldout_share}", expected="a share between 0 and 1")
        super().__init__(**settings)
        self.part, self.heldout_share, self.heldout_seed = part, float(heldout_share), int(heldout_seed)

    def settings(self) -> dict[str, Any]:
        """Return the options that change the records."""
        own = {name: getattr(self, name) for name in ("part", "heldout_share", "heldout_seed")}
        return {**super().settings(), **own}

    def records(self) -> Iterator[Record]:
        """Yield the stars in the catalogue's order."""
        for record in super().records():
            held = is_held_out(record.id, self.heldout_share, self.heldout_seed)
            if self.part == "all":
                yield replace(record, meta={**record.meta, "split": "test" if held else "train"})
            elif held:
                self.left_out["that tasks test on"] += 1
            else:
                yield replace(record, target=None)
