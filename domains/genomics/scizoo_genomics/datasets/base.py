"""What the datasets of this domain share: records left out by design are counted and said."""

from __future__ import annotations

import logging
from collections import Counter
from typing import Any

from scizoo.data.records import Dataset
from scizoo.files import sha256_json

log = logging.getLogger(__name__)


class SequenceDataset(Dataset):
    """A dataset of sequences.

    Records that are fine but not part of the task (no genus known, class too small) are no rejections;
    they are counted in ``left_out`` by reason and reported when the reading ends.
    """

    def __init__(self, *, max_rejected: float = 0.01):
        super().__init__(max_rejected=max_rejected)
        #: How many records were left out by design, by reason; filled while the records are read.
        self.left_out: Counter[str] = Counter()

    def _say_left_out(self) -> None:
        if self.left_out:
            reasons = "; ".join(f"{count:,} {reason}" for reason, count in self.left_out.items() if count)
            log.info("%s: left out by design: %s.", self.name, reasons)

    def settings(self) -> dict[str, Any]:
        """Return the reading options that change the records."""
        return {}

    def _digest(self, files: list[str] | str) -> str:
        return sha256_json(
            {"class": type(self).__qualname__, "files": files, "settings": self.settings(), "version": 1}
        )
