"""What the tokenizers of source code share: lossless on any bytes, with marks for filling in the middle."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from scizoo.data.ragged import Ragged
from scizoo.data.tokenizer import TokenTokenizer
from scizoo.data.units import characters_of_bytes, deal_out
from scizoo.errors import DataError
from scizoo_code.fim import MARKS, Arranged, is_mark, layout, restore
from scizoo_code.sources import Documented, Gap, Problem, from_bytes, text_of, to_bytes


class SourceTokenizer(TokenTokenizer):
    """Source text to tokens and back, byte for byte.

    Inputs are what :mod:`scizoo_code.sources` names. A gap is laid out prefix first; as
    :class:`~scizoo_code.fim.Arranged` says, where that says it. A problem is laid out from left to right. A
    mark that stands in a text as text is encoded like any other text.
    """

    SPECIAL: ClassVar[tuple[str, ...]] = (*TokenTokenizer.SPECIAL, *MARKS)
    unit: ClassVar[str | None] = "byte"

    @abstractmethod
    def _encode_texts(self, texts: Sequence[str]) -> list[np.ndarray]:
        """Encode texts; an empty text gives an empty row."""

    @abstractmethod
    def _decode_bytes(self, ids: Sequence[int]) -> bytes:
        """Give the bytes of ids that are no special tokens."""

    def encode(self, inputs: Sequence[Any]) -> dict[str, Ragged]:
        """Encode sources into ``input_ids``, int32, one row an input.

        Raises
        ------
        DataError
            When an input is no source.
        """
        plans = [_plan(value, position) for position, value in enumerate(inputs)]
        return {"input_ids": Ragged.from_rows(self._rows(plans), dtype=np.int32)}

    def _rows(self, plans: Sequence[Sequence[str]]) -> list[np.ndarray]:
        """Encode marks and texts; all texts at once, which is what the library is fast at."""
        texts = [piece for plan in plans for piece in plan if not is_mark(piece)]
        rows = iter(self._encode_texts(texts))
        marks = {mark: np.array([self.SPECIAL.index(mark)], dtype=np.int32) for mark in MARKS}
        none = np.empty(0, dtype=np.int32)
        return [
            np.concatenate([none, *(marks[piece] if is_mark(piece) else next(rows) for piece in plan)])
            for plan in plans
        ]

    def decode(self, ids: Sequence[int]) -> str:
        """Give the text back, whatever the order in which its parts stood; special tokens are left out."""
        parts: list[tuple[str, bytes]] = []
        mark, run = "", list[int]()
        for id in [int(one) for one in ids]:
            if id >= len(self.SPECIAL):
                run.append(id)
            elif self.SPECIAL[id] in MARKS:
                parts.append((mark, self._decode_bytes(run)))
                mark, run = self.SPECIAL[id], []
        parts.append((mark, self._decode_bytes(run)))
        return from_bytes(restore(parts))

    def attribute(self, input: Any, scores: np.ndarray) -> np.ndarray | None:
        """Share the score of each token among its characters; None for sources with a gap or a problem."""
        if not isinstance(input, str | Documented):
            return None
        ids = self.encode([input])["input_ids"].values
        sizes = [len(self._decode_bytes([int(id)])) for id in ids]
        return characters_of_bytes(text_of(input), deal_out(scores, sizes))

    def size(self, input: Any) -> int:
        """Return the length of an input in bytes."""
        return sum(len(to_bytes(piece)) for piece in _plan(input) if not is_mark(piece))


def _plan(value: Any, position: int = 0) -> list[str]:
    """Marks and texts of an input, in the order in which they are encoded; what is written on comes last."""
    if isinstance(value, Arranged):
        plan = layout(value.gap, value.form)
    elif isinstance(value, Gap):
        plan = layout(value, "psm")
    elif isinstance(value, Problem):
        plan = [value.prompt, value.solution]
    elif isinstance(value, str | Documented):
        plan = [text_of(value)]
    else:
        raise DataError(
            f"Input {position} is a {type(value).__name__}.",
            expected="source as text",
            remedy="leave it out.",
        )
    return plan
