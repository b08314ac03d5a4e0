"""What the datasets of this domain share: what was left out by design is counted and said."""

from __future__ import annotations

import logging
from abc import abstractmethod
from collections import Counter
from collections.abc import Iterator
from typing import Any

from scizoo.data.records import Dataset, RejectionLog
from scizoo.files import sha256_json
from scizoo_code.readers.entry import Entry

log = logging.getLogger(__name__)

_TOLD = 20  # files left out that are named one by one
_NAMED = ("too large", "minified", "generated")  # what a reader may not expect


class SourceDataset(Dataset):
    """A dataset of source code.

    Files that are fine but not wanted (in another language, generated, too large) are no rejections; they
    are counted in ``left_out`` by reason and reported when the reading ends.

    Parameters
    ----------
    max_rejected : float
        The share of files or records that may be unreadable.
    """

    def __init__(self, *, max_rejected: float = 0.01):
        super().__init__(max_rejected=max_rejected)
        #: How many were left out by design, by reason; filled while the records are read.
        self.left_out: Counter[str] = Counter()
        self._told = 0

    @abstractmethod
    def entries(self, rejections: RejectionLog) -> Iterator[Entry]:
        """Yield the source files that are wanted; what cannot be read is told to ``rejections``."""

    @abstractmethod
    def settings(self) -> dict[str, Any]:
        """Return the reading options that change the records."""

    def _begin(self) -> None:
        self.left_out.clear()
        self._told = 0

    def _note(self, why: str, path: str) -> None:
        """Name a file that was left out, where one would not expect it; of many, the first ones."""
        if why.startswith(_NAMED):
            self._told += 1
            if self._told <= _TOLD:
                log.info("%s: %s is left out: %s.", self.name, path, why)
            elif self._told == _TOLD + 1:
                log.info("%s: further files that are left out are counted only.", self.name)

    def _say(self) -> None:
        reasons = [f"{count:,} {reason}" for reason, count in self.left_out.items() if count]
        if reasons:
            log.info("%s: left out by design: %s.", self.name, "; ".join(reasons))

    def _digest(self, files: list[str] | str) -> str:
        return sha256_json(
            {"class": type(self).__qualname__, "files": files, "settings": self.settings(), "version": 1}
        )
