"""Byte-pair encoding, trained and run by the Rust library ``tokenizers``."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from scizoo.data.ragged import Ragged
from scizoo.data.tokenizer import TokenTokenizer
from scizoo.errors import CheckpointError, ConfigError
from scizoo.files import write_text
from scizoo_genomics.alphabet import LETTERS
from scizoo_genomics.tokenizers.lookup import codes_of

_FILE = "tokenizer.json"


class BPETokenizer(TokenTokenizer):
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
        self._model: Any = None

    def train(self, inputs: Iterable[Any]) -> None:
        """Learn the merges from training sequences."""
        from tokenizers import Tokenizer, models, trainers

        model = Tokenizer(models.BPE(unk_token="[UNK]"))
        trainer = trainers.BpeTrainer(
            vocab_size=self._size,
            min_frequency=self._min_frequency,
            special_tokens=list(self.SPECIAL),
            initial_alphabet=list(LETTERS),
            show_progress=False,
        )
        model.train_from_iterator(self._pieces(inputs), trainer)
        self._model = model

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
    def model(self) -> Any:
        """The library's tokenizer.

        Raises
        ------
        ConfigError
            When it has not been trained.
        """
        if self._model is None:
            raise ConfigError(
                "The byte-pair tokenizer has no vocabulary yet.",
                remedy="train it on training sequences (a run does so), or load it from a checkpoint.",
            )
        return self._model

    @property
    def vocab(self) -> Sequence[str]:
        """Every token by id."""
        return tuple(self.model.id_to_token(id) for id in range(self.model.get_vocab_size()))

    @property
    def vocab_size(self) -> int:
        """How many ids there are; few training data may give fewer than were asked for."""
        return int(self.model.get_vocab_size())

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

    def settings(self) -> dict[str, Any]:
        """Return what training was asked for; the merges are in tokenizer.json."""
        return {
            "vocab_size": self._size,
            "min_frequency": self._min_frequency,
            "train_piece": self._piece,
            "train_bases": self._bases,
        }

    def save_files(self, folder: Path) -> None:
        """Write tokenizer.json, in the library's own format."""
        write_text(folder / _FILE, self.model.to_str(pretty=True))

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any], folder: Path) -> BPETokenizer:
        """Build the tokenizer from its settings and, where it was trained, tokenizer.json."""
        from tokenizers import Tokenizer

        tokenizer = cls(**settings)
        path = Path(folder) / _FILE
        if not path.exists():
            raise CheckpointError(
                f"{path} is missing.", remedy="fetch the checkpoint again; BPE needs its merges."
            )
        try:
            tokenizer._model = Tokenizer.from_str(path.read_text(encoding="utf-8"))
        except Exception as error:  # the Rust library raises a bare Exception
            raise CheckpointError(
                f"{path} cannot be read: {error}", remedy="fetch the checkpoint again."
            ) from error
        return tokenizer

    def fingerprint(self) -> str:
        """Return a digest of the merges, or of the settings before training."""
        state = self._model.to_str() if self._model is not None else "untrained"
        text = json.dumps(["BPETokenizer", 1, self.settings(), state], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()
