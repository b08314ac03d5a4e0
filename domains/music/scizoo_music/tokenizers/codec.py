"""Sound as tokens: the codes of a trained codec, in one sequence by a pattern that inverts."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from scizoo.data.ragged import Ragged
from scizoo.data.tokenizer import TokenTokenizer
from scizoo.errors import ConfigError, DataError, did_you_mean
from scizoo.files import sha256_json
from scizoo_music.codec.codes import CodedSound
from scizoo_music.codec.patterns import delay, flattened, from_delay, from_flattened
from scizoo_music.sound.sounds import as_sound

_FOLDER = "codec"
_PATTERNS = ("flattened", "delay")


class CodecTokenizer(TokenTokenizer):
    """Tokens of a codec's codes, each book with its own ids, for causal language models.

    ``flattened`` writes frame by frame, in each the first book first. ``delay`` writes step by step the
    delayed books of MusicGen, with an empty token where a book has not begun or has ended. Both give the
    codes back exactly; that a sound does not come back exactly is the codec's doing.

    Parameters
    ----------
    codec : str
        A checkpoint of a codec: a name, path or URL. It is opened when the first sound is encoded, and its
        weights are saved beside those of the model that reads its codes.
    books, size : int
        Codebooks, and codes of each, as the codec has them.
    pattern : {"flattened", "delay"}
    """

    def __init__(
        self, codec: str = "music/codec-tiny", books: int = 4, size: int = 256, pattern: str = "flattened"
    ):
        if pattern not in _PATTERNS:
            raise ConfigError(f"tokenizer.pattern={pattern}: {did_you_mean(str(pattern), _PATTERNS)}")
        if books < 1 or size < 2:
            raise ConfigError(f"tokenizer: books={books}, size={size}", expected="books from 1, size from 2")
        self.codec, self.books, self.per_book, self.pattern = str(codec), int(books), int(size), pattern
        codes = [f"c{book}.{code}" for book in range(self.books) for code in range(self.per_book)]
        self._vocab = (*self.SPECIAL, "[EMPTY]", *codes)
        self._first = len(self.SPECIAL) + 1
        self._opened: Any = None
        self._folder: Path | None = None

    @property
    def vocab(self) -> Sequence[str]:
        """Special tokens, the empty token, then the codes book by book."""
        return self._vocab

    def settings(self) -> dict[str, Any]:
        """Return the plain settings of this tokenizer."""
        return {"codec": self.codec, "books": self.books, "size": self.per_book, "pattern": self.pattern}

    def fingerprint(self) -> str:
        """Digest of the settings, and of the codec's weights once it is open."""
        weights = ""
        if self._opened is not None:
            found = hashlib.sha256()
            for name, value in sorted(self._opened.state_dict().items()):
                found.update(name.encode() + value.detach().cpu().float().numpy().tobytes())
            weights = found.hexdigest()
        return sha256_json(["CodecTokenizer", 1, self.settings(), weights])

    def save_files(self, folder: Path) -> None:
        """Write the codec, where one was opened, into a folder of its own."""
        if self._opened is not None:
            self._opened.save(Path(folder) / _FOLDER)

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any], folder: Path) -> CodecTokenizer:
        """Build the tokenizer again; its codec lies beside it, or is named by the settings."""
        made = cls(**settings)
        if (Path(folder) / _FOLDER / "config.json").is_file():
            made._open(Path(folder) / _FOLDER)
        return made

    def model(self) -> Any:
        """Give the codec, in evaluation mode.

        Raises
        ------
        ConfigError
            When there is none of this name, it is no codec, or it has other codebooks.
        """
        if self._opened is None:
            from scizoo.checkpoints.format import load_checkpoint

            self._check(load_checkpoint(self.codec).backbone)
        return self._opened

    def _open(self, folder: Path) -> None:
        from scizoo.models.backbones import load_backbone

        self._check(load_backbone(folder))

    def _check(self, backbone: Any) -> None:
        found = (getattr(backbone, "books", None), getattr(backbone, "size", None))
        if found != (self.books, self.per_book):
            raise ConfigError(
                f"tokenizer.codec={self.codec} has {found[0]} books of {found[1]}.",
                expected=f"a codec with {self.books} books of {self.per_book}",
                remedy="set tokenizer.books and tokenizer.size as the codec has them.",
            )
        self._opened = backbone.eval()

    def encode(self, inputs: Sequence[Any]) -> dict[str, Ragged]:
        """Encode sounds, or coded sounds, into ``input_ids``, int32.

        Raises
        ------
        DataError
            When an input is no sound, or has codes that the codec does not; naming its position.
        """
        rows = []
        for place, value in enumerate(inputs):
            try:
                codes = value.codes if isinstance(value, CodedSound) else self._codes(value)
            except DataError as error:
                raise DataError(f"input {place}: {error.problem}", expected=error.expected) from error
            if codes.shape[1] != self.books or int(codes.max()) >= self.per_book:
                raise DataError(
                    f"input {place} has {codes.shape[1]} books with codes up to {int(codes.max())}.",
                    expected=f"{self.books} books with codes up to {self.per_book - 1}",
                )
            rows.append(self._ids(codes))
        offsets = np.concatenate([[0], np.cumsum([len(row) for row in rows])]).astype(np.int64)
        values = np.concatenate(rows) if rows else np.empty(0)
        return {"input_ids": Ragged(values.astype(np.int32), offsets)}

    def _codes(self, value: Any) -> np.ndarray:
        codec = self.model()
        return np.asarray(codec.code(as_sound(value).mono(codec.rate)))

    def _ids(self, codes: np.ndarray) -> np.ndarray:
        steps = delay(codes) if self.pattern == "delay" else codes
        ids = np.where(
            steps >= 0, steps + self._first + self.per_book * np.arange(self.books), self._first - 1
        )
        return flattened(ids.astype(np.int64))

    def decode(self, ids: Sequence[int]) -> CodedSound:
        """Give the codes back; special tokens are left out.

        Raises
        ------
        DataError
            When the tokens are no whole frames, or a book stands in another's place.
        """
        row = np.asarray(ids, dtype=np.int64)
        steps = from_flattened(row[row >= len(self.SPECIAL)], self.books)
        books = (steps - self._first) // self.per_book
        empty = steps == self._first - 1
        if ((books != np.arange(self.books)) & ~empty).any() or not len(steps):
            raise DataError("the tokens are no frames of codes: a book stands in another's place.")
        codes = np.where(empty, -1, (steps - self._first) % self.per_book)
        if self.pattern == "delay":
            codes = from_delay(codes)
        elif empty.any():
            raise DataError("an empty token stands among flattened codes.")
        return CodedSound(codes, self._opened)
