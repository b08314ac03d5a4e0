"""The split of the embedded tunes: what a shipped checkpoint was not pre-trained on is what tasks test on."""

from __future__ import annotations

from collections.abc import Sequence

from scizoo.data.records import Record
from scizoo.data.splits import Split, Splitter, hash_split, parse_fractions


class CorpusSplitter(Splitter):
    """Divides records by a hash of their group, as pre-training does.

    With the fractions and the seed of a recipe, a group lies in the same part in both: the test part of a
    task holds tunes, and their variants, that the recipe's model never saw.

    Parameters
    ----------
    fractions : sequence of three floats
        Shares of train, validation and test; those of the recipe.
    seed : int
        Likewise.
    """

    def __init__(self, fractions: Sequence[float] = (0.8, 0.05, 0.15), seed: int = 0):
        parse_fractions(tuple(fractions))
        self.fractions, self.seed = tuple(fractions), int(seed)

    def split(self, records: Sequence[Record]) -> Split:
        """Split the records; see the class."""
        ids = [record.id for record in records]
        groups = [None if record.group is None else record.group for record in records]
        return hash_split(groups, ids, self.fractions, self.seed)
