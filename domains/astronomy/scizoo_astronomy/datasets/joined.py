"""Several datasets read one after the other, as a corpus."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from scizoo.data.records import Dataset, Licence, Record
from scizoo.errors import ConfigError
from scizoo_astronomy.datasets.base import AstronomyDataset


class Joined(AstronomyDataset):
    """The records of several datasets; ids begin with the name of theirs.

    Parameters
    ----------
    parts : mapping of str to Dataset
        By name. A part that is None is left out.
    max_rejected : float
        The share of all records that may be rejected.
    """

    def __init__(self, parts: Mapping[str, Dataset | None], max_rejected: float = 0.01):
        super().__init__(max_rejected=max_rejected)
        self.parts = {str(name): part for name, part in parts.items() if part is not None}
        wrong = [name for name, part in self.parts.items() if not isinstance(part, Dataset)]
        if wrong or not self.parts:
            raise ConfigError(
                f"data.parts.{wrong[0]} is no dataset." if wrong else "data.parts is empty.",
                expected="datasets by name, each with _target_",
            )
        terms = [part.licence for part in self.parts.values()]
        self.licence = Licence(
            "; ".join(dict.fromkeys(one.name for one in terms)),
            all(one.commercial for one in terms),
            all(one.redistribution for one in terms),
        )
        self.citation = "; ".join(part.citation for part in self.parts.values() if part.citation)

    @property
    def name(self) -> str:
        """What is read, for messages and cards."""
        return " and ".join(part.name for part in self.parts.values())

    def settings(self) -> dict[str, Any]:
        """Return the parts' fingerprints."""
        return {name: part.fingerprint() for name, part in self.parts.items()}

    def fingerprint(self) -> str:
        """Digest of the parts."""
        return self._digest(list(self.parts))

    def records(self) -> Iterator[Record]:
        """Yield the records of each part in turn."""
        for name, part in self.parts.items():
            part.rejections = self.rejections
            for record in part.records():
                yield replace(record, id=f"{name}-{record.id}")
