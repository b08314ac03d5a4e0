"""Reverse complement, in training, in prediction, or both."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from scizoo_genomics.alphabet import reverse_complement


class ReverseComplement:
    """The two strands of a sequence are two views of one record.

    In training one view is drawn at random each time; in prediction the outputs of both are averaged.
    Not for tasks where the strand carries the label, such as splice sites of a known strand.

    Parameters
    ----------
    train : bool
        Whether training draws either strand.
    predict : bool
        Whether prediction averages over both strands.
    """

    def __init__(self, train: bool = True, predict: bool = True):
        self.train = train
        self.predict = predict

    def views(self, input: str) -> list[str]:
        """Return the sequence and its reverse complement."""
        return [input, reverse_complement(input)]

    def settings(self) -> dict[str, Any]:
        """Return the plain settings that build it again."""
        return {"train": self.train, "predict": self.predict}

    def fingerprint(self) -> str:
        """Return a digest of what :meth:`views` does; it does not depend on when the views are used."""
        return hashlib.sha256(json.dumps(["ReverseComplement", 1]).encode()).hexdigest()
