"""One token a base."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from scizoo.data.ragged import Ragged
from scizoo_genomics.tokenizers.lookup import ALPHABET, LookupTokenizer, codes_of


class NucleotideTokenizer(LookupTokenizer):
    """One token a base; every IUPAC ambiguity code has a token of its own, so decoding is exact."""

    def __init__(self) -> None:
        super().__init__(k=1, stride=1)

    @property
    def vocab(self) -> Sequence[str]:
        """Special tokens, then A, C, G, T and the ambiguity codes."""
        return (*self.SPECIAL, *ALPHABET)

    @property
    def vocab_size(self) -> int:
        """How many ids there are."""
        return self._first

    def encode(self, inputs: Sequence[Any]) -> dict[str, Ragged]:
        """Encode sequences into ``input_ids``, int32, one row a sequence.

        Raises
        ------
        DataError
            When an input holds a letter that is neither DNA nor RNA.
        """
        codes, offsets = codes_of(inputs)
        return {"input_ids": Ragged(np.add(codes, len(self.SPECIAL), dtype=np.int32), offsets)}

    def settings(self) -> dict[str, Any]:
        """Return no settings: there is nothing to choose."""
        return {}
