"""What tokenizers share whose merges the Rust library ``tokenizers`` learns: one file, read and written."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

from scizoo.errors import CheckpointError, ConfigError
from scizoo.files import write_text

_FILE = "tokenizer.json"


class LearntMerges:
    """Byte-pair merges of one of the library's tokenizers, mixed into a field's own tokenizer.

    The field says what the letters are, cuts its inputs into words and spells ids out again; merges are
    learnt by :meth:`learn` and travel in ``tokenizer.json``, in the library's own format.
    """

    #: What merges are learnt from, in the field's own word, for messages.
    learns_from: ClassVar[str] = "training records"
    SPECIAL: ClassVar[tuple[str, ...]]

    _model: Any = None

    def learn(
        self, model: Any, words: Iterable[str], letters: Sequence[str], size: int, min_frequency: int
    ) -> None:
        """Learn merges.

        Parameters
        ----------
        model : tokenizers.Tokenizer
            A BPE model without merges, with whatever cuts words further.
        words : iterable of str
            What to learn from; no merge crosses their borders.
        letters : sequence of str
            Of the alphabet; each is a token whether it is seen or not, so that decoding is exact.
        size : int
            Tokens, special ones and letters included.
        min_frequency : int
            A pair seen less often is not merged.
        """
        from tokenizers import trainers

        trainer = trainers.BpeTrainer(
            vocab_size=size,
            min_frequency=min_frequency,
            special_tokens=list(self.SPECIAL),
            initial_alphabet=list(letters),
            show_progress=False,
        )
        model.train_from_iterator(words, trainer)
        self.use(model)

    def use(self, model: Any) -> None:
        """Take a trained model of the library."""
        self._model = model

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
                remedy=f"train it on {self.learns_from} (a run does so), or load it from a checkpoint.",
            )
        return self._model

    @property
    def vocab_size(self) -> int:
        """How many ids there are; few training data may give fewer than were asked for."""
        return int(self.model.get_vocab_size())

    def settings(self) -> dict[str, Any]:
        """Return what training was asked for."""
        raise TypeError(f"{type(self).__name__} lacks settings")

    def save_files(self, folder: Path) -> None:
        """Write tokenizer.json, in the library's own format."""
        write_text(folder / _FILE, self.model.to_str(pretty=True))

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any], folder: Path) -> Self:
        """Build the tokenizer from its settings and tokenizer.json.

        Raises
        ------
        CheckpointError
            When the file is missing or damaged.
        """
        from tokenizers import Tokenizer

        tokenizer = cls(**settings)
        path = Path(folder) / _FILE
        if not path.exists():
            raise CheckpointError(
                f"{path} is missing.", remedy="fetch the checkpoint again; BPE needs its merges."
            )
        try:
            model = Tokenizer.from_str(path.read_text(encoding="utf-8"))
        except Exception as error:  # the Rust library raises a bare Exception
            raise CheckpointError(
                f"{path} cannot be read: {error}", remedy="fetch the checkpoint again."
            ) from error
        tokenizer.use(model)
        return tokenizer

    def fingerprint(self) -> str:
        """Return a digest of the merges, or of the settings before training."""
        state = self._model.to_str() if self._model is not None else "untrained"
        text = json.dumps([type(self).__name__, 1, self.settings(), state], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()
