"""Splits of source code: whole repositories or packages, never single files."""

from __future__ import annotations

from collections.abc import Sequence

from scizoo.data.records import Record
from scizoo.data.splits import Fractions, GivenSplitter, GroupSplitter, Split, Splitter, parse_fractions
from scizoo.errors import DataError


class RepositorySplitter(Splitter):
    """Takes the parts that the data state, else divides them by repository or package.

    Files of one repository share names, style and copied pieces, so that a split by file is not a test. What
    ``Record.group`` names (``data.group``: repository, package) is never split apart.

    Parameters
    ----------
    fractions : sequence or mapping
        Shares of train, validation and test.
    seed : int
    stratify : bool
        Whether each class has groups in every part, where it has enough of them.
    validation : float
        Of stated parts without one for validation, the share of train that is carved out for it.
    column : str
        The column of stated parts.
    """

    def __init__(
        self,
        fractions: Fractions = (0.8, 0.1, 0.1),
        seed: int = 0,
        stratify: bool = False,
        validation: float = 0.1,
        column: str = "split",
    ):
        self.fractions, self.column = parse_fractions(fractions), column
        self.given = GivenSplitter(column, validation, seed)
        self.grouped = GroupSplitter(fractions, seed, stratify)

    def split(self, records: Sequence[Record]) -> Split:
        """Split the records; see :class:`~scizoo.data.splits.Splitter`."""
        if records and all(record.meta.get(self.column) is not None for record in records):
            return self.given.split(records)
        groups = {record.group for record in records}
        parts = sum(share > 0 for share in self.fractions.values())
        if None not in groups and len(groups) < parts and len(records) >= parts:
            named = ", ".join(sorted(map(str, groups)))
            raise DataError(
                f"all {len(records)} records come from {_count(len(groups))} ({named}): too few to split.",
                expected=f"at least {parts} repositories or packages: one for each part",
                remedy="read a folder of several repositories, or split within one by its folders: "
                "data.group=package.",
            )
        return self.grouped.split(records)


def _count(groups: int) -> str:
    return "one repository" if groups == 1 else f"{groups} repositories"
