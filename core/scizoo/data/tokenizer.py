"""The Tokenizer contract: records to model inputs, vectorised, saved with the checkpoint."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from scizoo.data.ragged import Ragged
from scizoo.errors import CheckpointError, ConfigError
from scizoo.files import write_json

SETTINGS_FILE = "tokenizer_settings.json"


class Tokenizer(ABC):
    """Turns the field's objects into model inputs.

    A tokenizer is defined by plain settings plus whatever files it writes; it is written beside the
    weights and read back by :func:`load_tokenizer`. ``encode`` adds no special tokens: the core adds
    them when it cuts windows, so that one cache serves every context length.

    One of images that serves segmentation has a method ``placement(input)`` too; see
    :class:`~scizoo.data.placement.Placement`.
    """

    #: The key of ``encode`` whose row lengths count as the length of an example.
    main_input: ClassVar[str] = "input_ids"
    #: Whether a row must not be cut into windows, because its positions name each other.
    whole: ClassVar[bool] = False

    @abstractmethod
    def encode(self, inputs: Sequence[Any]) -> dict[str, Ragged]:
        """Encode a batch of inputs.

        Parameters
        ----------
        inputs : sequence
            ``Record.input`` of each record.

        Returns
        -------
        dict of str to Ragged
            One Ragged a model input, one row an input; rows of all keys are of equal length.

        Raises
        ------
        DataError
            When an input cannot be encoded; the message names its position and the remedy.
        """

    @abstractmethod
    def settings(self) -> dict[str, Any]:
        """Return the plain (JSON) settings with which the constructor gives this tokenizer again."""

    def input_sizes(self) -> dict[str, int]:
        """Return the sizes of the inputs by the names of the backbone's settings, for a new backbone.

        A tokenizer of numbers gives ``features`` (values a position), and ``channels`` and ``times`` where
        it has them; one of images ``in_chans`` and ``img_size``. Settings that the backbone does not have
        are left out.
        """
        return {}

    def attribute(self, input: Any, scores: np.ndarray) -> np.ndarray | Mapping[str, np.ndarray] | None:
        """Turn what each position added to an output into numbers of the field's own units.

        The inverse of :meth:`encode`, for the pictures of reports: a number an atom, pixel, character or
        observation, in the order of ``input`` and of its full length. What was not read is NaN. Where a
        position stands for several units its score is dealt out among them, and where several stand for one
        they are added up, so that the total stays the same.

        Parameters
        ----------
        input : Any
            ``Record.input``.
        scores : ndarray of float64, shape (positions, ...)
            Along the first axis the positions of ``encode``; of numbers and pixels also the further axes of
            the main input. NaN at positions that the network did not look at.

        Returns
        -------
        ndarray, mapping of str to ndarray, or None
            None, the default, where this tokenizer cannot say.
        """
        return None

    def save_files(self, folder: Path) -> None:  # noqa: B027 (most tokenizers have none)
        """Write what does not fit in the settings, such as a trained vocabulary."""

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any], folder: Path) -> Tokenizer:
        """Build the tokenizer again from its settings and the files in ``folder``."""
        return cls(**settings)

    def train(self, inputs: Iterable[Any]) -> None:  # noqa: B027 (as its summary says)
        """Learn a vocabulary or statistics from training inputs; most tokenizers need none."""

    @abstractmethod
    def fingerprint(self) -> str:
        """Return a hex digest that changes when the encoding changes."""


class TokenTokenizer(Tokenizer):
    """A tokenizer into discrete tokens; the first ids are the special tokens, in this order."""

    SPECIAL: ClassVar[tuple[str, ...]] = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
    pad_id: ClassVar[int] = 0
    unk_id: ClassVar[int] = 1
    cls_id: ClassVar[int] = 2
    sep_id: ClassVar[int] = 3
    mask_id: ClassVar[int] = 4
    #: What :meth:`size` counts, such as "byte". The likelihood of language models is then told per unit, so
    #: that models of different tokenizers can be compared. None: nothing but tokens can be counted.
    unit: ClassVar[str | None] = None
    #: Whether the field states that likelihood in nats; in bits otherwise.
    in_nats: ClassVar[bool] = False

    @property
    @abstractmethod
    def vocab(self) -> Sequence[str]:
        """Every token, special ones first; its index is its id."""

    @property
    def vocab_size(self) -> int:
        """How many ids there are."""
        return len(self.vocab)

    @abstractmethod
    def decode(self, ids: Sequence[int]) -> Any:
        """Give back the input of one row of ids; special tokens are left out."""

    def size(self, input: Any) -> int:
        """Return the length of an input in units.

        Raises
        ------
        ConfigError
            When the tokenizer names no unit.
        """
        raise ConfigError(f"{type(self).__name__} counts inputs in nothing but its own tokens.")


def tokenizer_entry(tokenizer: Tokenizer) -> dict[str, Any]:
    """Return a tokenizer's class and settings as plain data."""
    kind = type(tokenizer)
    return {"_target_": f"{kind.__module__}.{kind.__qualname__}", "settings": tokenizer.settings()}


def save_tokenizer(tokenizer: Tokenizer, folder: Path) -> None:
    """Write a tokenizer's settings and files into `folder`."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save_files(folder)
    write_json(folder / SETTINGS_FILE, tokenizer_entry(tokenizer))


def load_tokenizer(folder: Path) -> Tokenizer:
    """Read the tokenizer that :func:`save_tokenizer` wrote into `folder`.

    Raises
    ------
    CheckpointError
        When there is none, it is damaged, or its class is no Tokenizer.
    ConfigError
        When its class is outside the allow-list.
    """
    from scizoo.config import get_class  # imports Hydra

    path = Path(folder) / SETTINGS_FILE
    try:
        entry = json.loads(path.read_text(encoding="utf-8"))
        target, settings = entry["_target_"], entry["settings"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CheckpointError(
            f"{path} does not describe a tokenizer: {error}",
            remedy="fetch or write the checkpoint again.",
        ) from error
    kind = get_class(target)
    if not (isinstance(kind, type) and issubclass(kind, Tokenizer)):
        raise CheckpointError(f"{path} names '{target}', which is not a tokenizer.")
    try:
        return kind.from_settings(settings, Path(folder))
    except (TypeError, OSError) as error:
        raise CheckpointError(f"{path}: {target} cannot be built from these settings: {error}") from error
