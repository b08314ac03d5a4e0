"""Byte-level byte-pair encoding of source code, trained and run by the Rust library ``tokenizers``."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from itertools import chain
from typing import Any, ClassVar

import numpy as np

from scizoo.data.merges import LearntMerges
from scizoo.errors import ConfigError, DataError
from scizoo_code.sources import text_of, to_bytes
from scizoo_code.tokenizers.base import SourceTokenizer

_FILE = "tokenizer.json"
#: Stretches whose borders no merge crosses, tried in this order. A line's end with the indentation of the
#: next line, and the blank lines between, is one; so are the letters of a name, signs, and the space before
#: either. Digits stand alone, as in StarCoder (Li et al. 2023, arXiv 2305.06161).
STRETCHES = (
    r"(?:[ \t]*\r?\n)+[ \t]*",
    r" ?[\p{L}_]+",
    r"\p{N}",
    r" ?[^\s\p{L}\p{N}_]+",
    r"[^\S\r\n]+(?=[^\S\r\n])",
    r"\s+",
)
#: The same where all letters are ASCII, which this engine cuts several times faster.
_ASCII = re.compile(
    r"(?:[ \t]*\r?\n)+[ \t]*| ?[A-Za-z_]+|[0-9]| ?[^\sA-Za-z0-9_]+|[^\S\r\n]+(?=[^\S\r\n])|\s+", re.ASCII
)
_KEPT = 500_000  # words whose ids are remembered
_ESCAPED = re.compile("([\udc80-\udcff]+)")
_BYTES = 256


@cache
def byte_letters() -> tuple[str, ...]:
    """Return the printable letter that stands for each byte (Radford et al. 2019, GPT-2)."""
    own = [*range(ord("!"), ord("~") + 1), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = iter(range(_BYTES, 2 * _BYTES))
    return tuple(chr(byte) if byte in own else chr(next(others)) for byte in range(_BYTES))


class SourceBPETokenizer(LearntMerges, SourceTokenizer):
    """Merges of frequent neighbouring bytes, learnt from source code.

    Every byte is in the vocabulary from the start, so that any file comes back byte for byte. Indentation is
    cheap: a line's end and the spaces that follow are one token where they are frequent. The file
    ``tokenizer.json`` is the library's own and gives the same ids there for valid UTF-8.

    Parameters
    ----------
    vocab_size : int
        Tokens to learn, the 256 bytes and the special tokens included.
    min_frequency : int
        A pair seen less often is not merged.
    train_bytes : int
        Training stops after so many; the library's memory grows with them.
    """

    learns_from: ClassVar[str] = "source code"

    def __init__(self, vocab_size: int = 4096, min_frequency: int = 2, train_bytes: int = 20_000_000):
        least = _BYTES + len(self.SPECIAL)
        if vocab_size < least:
            raise ConfigError(
                f"tokenizer.vocab_size is {vocab_size}.",
                expected=f"at least {least}: the 256 bytes and the special tokens",
            )
        self._size, self._min_frequency, self._train_bytes = vocab_size, min_frequency, train_bytes

    def train(self, inputs: Iterable[Any]) -> None:
        """Learn the merges from training sources; bytes that are no text are passed over."""
        from tokenizers import Regex, decoders, models, pre_tokenizers
        from tokenizers import Tokenizer as Library

        model = Library(models.BPE())
        model.pre_tokenizer = pre_tokenizers.Sequence(
            [
                pre_tokenizers.Split(Regex("|".join(STRETCHES)), behavior="isolated"),
                pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
            ]
        )
        model.decoder = decoders.ByteLevel()
        self.learn(model, self._training_texts(inputs), byte_letters(), self._size, self._min_frequency)

    def _training_texts(self, inputs: Iterable[Any]) -> Iterator[str]:
        left = self._train_bytes
        for value in inputs:
            text = _ESCAPED.sub("", text_of(value))
            yield text
            left -= len(text)
            if left <= 0:
                return

    def use(self, model: Any) -> None:
        """Take a trained model of the library."""
        # A mark that stands in a file is text: it must neither become the mark nor be lost.
        model.encode_special_tokens = True
        super().use(model)
        self._words: tuple[str, ...] | None = None
        self._ids: dict[str, list[int]] = {}
        self._letters = dict(enumerate(byte_letters()))
        places = {letter: byte for byte, letter in enumerate(byte_letters())}
        self._spelled = [
            b"" if word in self.SPECIAL else bytes(places[letter] for letter in word) for word in self.vocab
        ]
        self._of_byte = np.array([model.token_to_id(letter) for letter in byte_letters()], dtype=np.int32)

    @property
    def vocab(self) -> Sequence[str]:
        """Every token by id, a printable letter a byte."""
        model = self.model
        if self._words is None:
            self._words = tuple(model.id_to_token(id) for id in range(model.get_vocab_size()))
        return self._words

    def _encode_texts(self, texts: Sequence[str]) -> list[np.ndarray]:
        found = [self._encode_ascii(text) if text.isascii() else None for text in texts]
        others = [place for place, row in enumerate(found) if row is None]
        rows = self._encode_others([texts[place] for place in others]) if others else []
        for place, row in zip(others, rows, strict=True):
            found[place] = row
        return [row for row in found if row is not None]

    def _encode_ascii(self, text: str) -> np.ndarray:
        """Look the ids of each stretch up; the library merges those that were not seen before."""
        merge = self.model.model.tokenize
        words, kept, letters = _ASCII.findall(text), self._ids, self._letters
        if len(kept) > _KEPT:
            kept.clear()
        for word in {*words}.difference(kept):
            kept[word] = [token.id for token in merge(word.translate(letters))]
        return np.fromiter(chain.from_iterable(map(kept.__getitem__, words)), dtype=np.int32)

    def _encode_others(self, texts: list[str]) -> list[np.ndarray]:
        try:
            found = self.model.encode_batch_fast(texts, add_special_tokens=False)
        except (UnicodeEncodeError, TypeError):  # bytes that are no UTF-8: the library takes none
            return [self._encode_pieces(text) for text in texts]
        return [np.array(encoding.ids, dtype=np.int32) for encoding in found]

    def _encode_pieces(self, text: str) -> np.ndarray:
        """Encode a text around its bytes that are no UTF-8, each of which becomes a token."""
        rows = [np.empty(0, dtype=np.int32)]
        for number, piece in enumerate(_ESCAPED.split(text)):
            if number % 2:
                rows.append(self._of_byte[np.frombuffer(to_bytes(piece), dtype=np.uint8)])
                continue
            try:
                ids = self.model.encode(piece, add_special_tokens=False).ids
            except (UnicodeEncodeError, TypeError) as error:
                raise DataError(
                    "A text holds a lone surrogate, which stands for no byte.",
                    expected="text as Python decodes it, bytes that are no UTF-8 as surrogate escapes",
                    remedy="read it with errors='surrogateescape'.",
                ) from error
            rows.append(np.array(ids, dtype=np.int32))
        return np.concatenate(rows)

    def _decode_bytes(self, ids: Sequence[int]) -> bytes:
        spelled = self._spelled
        return b"".join([spelled[id] for id in ids])

    def settings(self) -> dict[str, Any]:
        """Return what training was asked for; tokenizer.json has the merges."""
        return {
            "vocab_size": self._size,
            "min_frequency": self._min_frequency,
            "train_bytes": self._train_bytes,
        }
