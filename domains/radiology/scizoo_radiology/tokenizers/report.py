"""Radiology reports as tokens: byte-pair encoding by the Rust library ``tokenizers``."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Any, ClassVar

import numpy as np

from scizoo.data.merges import LearntMerges
from scizoo.data.ragged import Ragged
from scizoo.data.tokenizer import TokenTokenizer
from scizoo.data.units import characters_of_bytes, deal_out
from scizoo.errors import ConfigError
from scizoo_radiology import coerce
from scizoo_radiology.tokenizers.base import check_positive, read_objects


class ReportTokenizer(LearntMerges, TokenTokenizer):
    """Pieces of words learnt from reports (Sennrich et al. 2016, arXiv 1508.07909), over bytes.

    Any text comes back exactly, since every byte is in the vocabulary from the start. A piece of several
    bytes must occur ``min_frequency`` times in the training reports: names are rare, and a vocabulary that
    held them would carry them along with every checkpoint.

    Parameters
    ----------
    vocab_size : int
        Tokens to learn, the 256 bytes and the special ones included.
    min_frequency : int
        A pair seen less often is not merged.
    lowercase : bool
        Whether case is forgotten; then a text comes back in small letters.
    train_reports : int
        Training stops after so many.
    """

    learns_from: ClassVar[str] = "training reports"

    def __init__(
        self,
        vocab_size: int = 2048,
        min_frequency: int = 20,
        lowercase: bool = False,
        train_reports: int = 200_000,
    ):
        check_positive(min_frequency=min_frequency, train_reports=train_reports)
        least = 256 + len(self.SPECIAL)
        if vocab_size < least:
            raise ConfigError(
                f"tokenizer.vocab_size is {vocab_size}.",
                expected=f"at least {least}: bytes and special tokens",
            )
        self._size, self._min_frequency = int(vocab_size), int(min_frequency)
        self._lowercase, self._reports = bool(lowercase), int(train_reports)

    def train(self, inputs: Iterable[Any]) -> None:
        """Learn the merges from training reports."""
        from tokenizers import Tokenizer, decoders, models, pre_tokenizers

        model = Tokenizer(models.BPE())
        model.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        model.decoder = decoders.ByteLevel()
        texts = (self._text(coerce.report(text)) for text in islice(inputs, self._reports))
        self.learn(model, texts, pre_tokenizers.ByteLevel.alphabet(), self._size, self._min_frequency)

    def use(self, model: Any) -> None:
        """Take a trained model of the library."""
        # Special tokens spelt out in a report are text, not marks.
        model.encode_special_tokens = True
        super().use(model)
        self._vocab = None

    def _text(self, text: str) -> str:
        return text.lower() if self._lowercase else text

    _vocab: tuple[str, ...] | None = None

    @property
    def vocab(self) -> Sequence[str]:
        """Every token by id, bytes written as the library does."""
        if self._vocab is None:
            self._vocab = tuple(self.model.id_to_token(id) for id in range(self.model.get_vocab_size()))
        return self._vocab

    def encode(self, inputs: Sequence[Any]) -> dict[str, Ragged]:
        """Encode reports into ``input_ids``, int32, one row a report.

        Raises
        ------
        DataError
            When an input is no text.
        """
        texts = [self._text(text) for text in read_objects(inputs, coerce.report)]
        rows = [
            np.array(encoding.ids, dtype=np.int32)
            for encoding in self.model.encode_batch_fast(texts, add_special_tokens=False)
        ]
        return {"input_ids": Ragged.from_rows(rows, dtype=np.int32)}

    def decode(self, ids: Sequence[int]) -> str:
        """Join the tokens; special ones are left out."""
        kept = [int(id) for id in ids if id >= len(self.SPECIAL)]
        return self.model.decode(kept, skip_special_tokens=False)

    def attribute(self, input: Any, scores: np.ndarray) -> np.ndarray | None:
        """Share the score of each piece of a word among its characters."""
        (text,) = read_objects([input], coerce.report)
        if len(self._text(text)) != len(text):  # a few capitals become two small letters
            return None
        words = self.encode([text])["input_ids"].values
        # The library writes a letter a byte.
        sizes = [len(self.model.id_to_token(int(word))) for word in words]
        return characters_of_bytes(self._text(text), deal_out(scores, sizes))

    def settings(self) -> dict[str, Any]:
        """Return what training was asked for; tokenizer.json has the merges."""
        return {
            "vocab_size": self._size,
            "min_frequency": self._min_frequency,
            "lowercase": self._lowercase,
            "train_reports": self._reports,
        }
