"""Reverse complement, in training, in prediction, or both."""

from __future__ import annotations

from scizoo.data.augment import Augment

from scizoo_genomics.alphabet import reverse_complement


class ReverseComplement(Augment):
    """The two strands of a sequence are two views of one record.

    Not for tasks where the strand carries the label, such as splice sites of a known strand.
    """

    def views(self, input: str) -> list[str]:
        """Return the sequence and its reverse complement."""
        return [input, reverse_complement(input)]
