"""Reverse complement, in training, in prediction, or both."""

from __future__ import annotations

from scizoo.data.augment import Augment
from scizoo_genomics.alphabet import reverse_complement


class ReverseComplement(Augment):
    """The two strands of a sequence are two views of one record.

    In training one view is drawn at random each epoch; in prediction the outputs of both are averaged.
    Not for tasks where the strand carries the label, such as splice sites of a known strand.

    Parameters
    ----------
    train : bool
        Whether training draws either strand.
    predict : bool
        Whether prediction averages over both strands.
    """

    def views(self, input: str) -> list[str]:
        """Return the sequence and its reverse complement."""
        return [input, reverse_complement(input)]
