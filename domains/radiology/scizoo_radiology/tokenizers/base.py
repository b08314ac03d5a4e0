"""What the tokenizers of this domain share: objects read one by one, settings that name the encoding."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar, TypeVar

from scizoo.data.tokenizer import Tokenizer
from scizoo.errors import ConfigError, DataError, did_you_mean
from scizoo.files import sha256_json

Object = TypeVar("Object")


class ObjectTokenizer(Tokenizer):
    """A tokenizer whose encoding is named by its class and its settings alone."""

    #: Raised when the same settings begin to mean another encoding.
    version: ClassVar[int] = 1

    def fingerprint(self) -> str:
        """Digest of the class, its version and its settings."""
        return sha256_json(
            {"class": type(self).__qualname__, "version": self.version, "settings": self.settings()}
        )


def read_objects(inputs: Sequence[Any], make: Callable[[Any], Object]) -> list[Object]:
    """Make objects of inputs.

    Parameters
    ----------
    inputs : sequence
        What a user has at hand.
    make : callable
        From :mod:`scizoo_radiology.coerce`.

    Raises
    ------
    DataError
        Naming the position of an input that cannot be understood.
    """
    made: list[Object] = []
    for position, value in enumerate(inputs):
        try:
            made.append(make(value))
        except (TypeError, ValueError) as error:
            raise DataError(
                f"input {position} ({type(value).__name__}) cannot be used: {error}.",
                expected=f"what {make.__module__}.{make.__name__} takes",
                remedy="mend or remove it.",
            ) from error
    return made


def check_choice(key: str, value: Any, choices: Sequence[str]) -> str:
    """Return a setting that is one of several words.

    Raises
    ------
    ConfigError
        When it is none of them.
    """
    if value not in choices:
        raise ConfigError(
            f"tokenizer.{key}={value} is not known: {did_you_mean(str(value), choices)}",
            expected=" or ".join(choices),
        )
    return str(value)


def check_positive(**settings: float | None) -> None:
    """Refuse settings that are not above zero; None is left alone.

    Raises
    ------
    ConfigError
        Naming the first.
    """
    for key, value in settings.items():
        if value is not None and not value > 0:
            raise ConfigError(f"tokenizer.{key}={value} cannot be used.", expected="a number above 0")
