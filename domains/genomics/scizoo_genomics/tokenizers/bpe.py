"""Byte-pair encoding, trained and run by the Rust library ``tokenizers``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from scizoo.data.merges import LearntMerges
from scizoo.data.ragged import Ragged
from scizoo.data.tokenizer import TokenTokenizer
from scizoo.data.units import deal_out
from scizoo.errors import ConfigError
from scizoo_genomics.alphabet import LETTERS
from scizoo_genomics.tokenizers.lookup import codes_of


class BPETokenizer(LearntMerges, TokenTokenizer):
    """Words learnt by merging the most frequent neighbours, as in DNABERT-2.

    Every letter is in the vocabulary from the start, so decoding is exact.

    Parameters
    ----------
    vocab_size : int
        Tokens to learn, special tokens and letters included.
    min_frequency : int
        A pair seen less often is not merged.
    train_piece : int
        Training cuts sequences into pieces of this many bases: merges never need a longer context, and
        the library's memory grows with the number of different pieces.
    train_bases : int
        Training stops after this many bases.
    """

    learns_from = "training sequences"

    def __init__(
        self,
        vocab_size: int = 4096,
        min_frequency: int = 2,
        train_piece: int = 128,
        train_bases: int = 20_000_000,
    ):
        smallest = len(self.SPECIAL) + len(LETTERS)
        if vocab_size < smallest:
            raise ConfigError(f"tokenizer.vocab_size is {vocab_size}.", expected=f"at least {smallest}")
        self._size, self._min_frequency = vocab_size, min_frequency
        self._piece, self._bases = train_piece, train_bases

    def train(self, inputs: Iterable[Any]) -> None:
        """Learn the merges from training sequences."""
        from tokenizers import Tokenizer, models

        model = Tokenizer(models.BPE(unk_token="[UNK]"))
        self.learn(model, self._pieces(inputs), LETTERS, self._size, self._min_frequency)

    def _pieces(self, inputs: Iterable[str]) -> Iterator[str]:
        left = self._bases
        for sequence in inputs:
            text = sequence.upper().replace("U", "T")
            for start in range(0, len(text), self._piece):
                yield text[start : start + self._piece]
            left -= len(text)
            if left <= 0:
                return

    @property
    def vocab(self) -> Sequence[str]:
        """Every token by id."""
        return tuple(self.model.id_to_token(id) for id in range(self.model.get_vocab_size()))

    def encode(self, inputs: Sequence[Any]) -> dict[str, Ragged]:
        """Encode sequences into ``input_ids``, int32, one row a sequence.

        Raises
        ------
        DataError
            When an input holds a letter that is neither DNA nor RNA.
        """
        codes_of(inputs)  # the library would turn foreign letters into [UNK] in silence
        texts = [sequence.upper().replace("U", "T") for sequence in inputs]
        rows = [
            np.array(encoding.ids, dtype=np.int32)
            for encoding in self.model.encode_batch_fast(texts, add_special_tokens=False)
        ]
        return {"input_ids": Ragged.from_rows(rows, dtype=np.int32)}

    def decode(self, ids: Sequence[int]) -> str:
        """Join the tokens; special ones are left out."""
        return "".join(self.model.id_to_token(int(id)) for id in ids if id >= len(self.SPECIAL))

    def attribute(self, input: Any, scores: np.ndarray) -> np.ndarray:
        """Share the score of each word among its bases."""
        words = self.encode([input])["input_ids"].values
        return deal_out(scores, [len(self.model.id_to_token(int(word))) for word in words])

    def settings(self) -> dict[str, Any]:
        """Return what training was asked for; the merges are in tokenizer.json."""
        return {
            "vocab_size": self._size,
            "min_frequency": self._min_frequency,
            "train_piece": self._piece,
            "train_bases": self._bases,
        }
