"""What the datasets of this domain share: what is left out by design is counted and said."""

from __future__ import annotations

import logging
from collections import Counter
from typing import Any

from scizoo.data.records import Dataset
from scizoo.files import sha256_json

log = logging.getLogger(__name__)


class AstronomyDataset(Dataset):
    """A dataset of this domain.

    Points and objects that are fine but not part of the task (flagged, of a class too small) are no
    rejections; they are counted in ``left_out`` by reason and reported when the reading ends.
    """

    def __init__(self, *, max_rejected: float = 0.01):
        super().__init__(max_rejected=max_rejected)
        #: How many were left out by design, by reason; filled while the records are read.
        self.left_out: Counter[str] = Counter()

    def _say_left_out(self) -> None:
        reasons = "; ".join(f"{count:,} {reason}" for reason, count in self.left_out.items() if count)
        if reasons:
            log.info("%s: left out by design: %s.", self.name, reasons)

    def settings(self) -> dict[str, Any]:
        """Return the reading options that change the records."""
        return {}

    def _digest(self, files: list[str] | str) -> str:
        return sha256_json(
            {"class": type(self).__qualname__, "files": files, "settings": self.settings(), "version": 1}
        )
