"""Views of a sequence: its two strands, and its reading frames."""

from __future__ import annotations

from typing import Any

from scizoo.data.augment import Augment
from scizoo.errors import ConfigError
from scizoo_genomics.alphabet import reverse_complement


class ReverseComplement(Augment):
    """The two strands of a sequence are two views of one record.

    Not for tasks where the strand carries the label, such as splice sites of a known strand.
    """

    def views(self, input: str) -> list[str]:
        """Return the sequence and its reverse complement."""
        return [input, reverse_complement(input)]


class Frames(Augment):
    """Reading frames of a sequence, for tokenizers that step several bases at a time.

    A k-mer tokenizer of stride 3 sees another third of the words in each of three frames; together they
    are all of them. With both strands the three frames are six.

    Parameters
    ----------
    frames : int
        How many: view i begins at base i. Best the tokenizer's stride.
    strands : int
        1, or 2 to add the frames of the reverse complement.
    train, predict : bool
        See :class:`scizoo.data.augment.Augment`.
    """

    def __init__(self, frames: int = 3, strands: int = 1, train: bool = True, predict: bool = True):
        super().__init__(train, predict)
        if frames < 1 or strands not in (1, 2):
            raise ConfigError(
                f"augment: frames={frames}, strands={strands} cannot be used.",
                expected="frames of at least 1, strands of 1 or 2",
            )
        self.frames = frames
        self.strands = strands

    def views(self, input: str) -> list[str]:
        """Return the frames; a sequence too short for a frame repeats the first one."""
        strands = [input] if self.strands == 1 else [input, reverse_complement(input)]
        return [strand[start:] or strand for strand in strands for start in range(self.frames)]

    def settings(self) -> dict[str, Any]:
        """Return the plain settings that build it again."""
        return {"frames": self.frames, "strands": self.strands, **super().settings()}
