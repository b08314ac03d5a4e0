"""K-mer tokens, overlapping or not."""

from __future__ import annotations

from typing import Any

from scizoo.errors import ConfigError
from scizoo_genomics.tokenizers.lookup import ALPHABET, LookupTokenizer


class KmerTokenizer(LookupTokenizer):
    """Words of ``k`` bases, one every ``stride`` bases.

    Bases left over after the last word (at most ``stride - 1``, or all of a sequence shorter than
    ``k``) become one token a base, as in the Nucleotide Transformer, so nothing is dropped. A word that
    holds an ambiguity code is ``[UNK]``.

    Parameters
    ----------
    k : int
        Bases a word, 1 to 12.
    stride : int
        Bases from one word to the next: 1 overlaps fully, ``k`` (the default) not at all.
    max_vocab : int
        The largest vocabulary allowed; there are ``4**k`` words. Raise it for k above 9.

    Raises
    ------
    ConfigError
        When k, stride or the size of the vocabulary is out of range.
    """

    def __init__(self, k: int = 6, stride: int | None = None, max_vocab: int = 300_000):
        stride = k if stride is None else stride
        if not 1 <= k <= 12:
            raise ConfigError(f"tokenizer.k is {k}.", expected="1 to 12")
        if not 1 <= stride <= k:
            raise ConfigError(
                f"tokenizer.stride is {stride}.", expected=f"1 (overlapping) to {k} (k: not overlapping)"
            )
        size = 4**k + len(ALPHABET) + len(self.SPECIAL)
        if size > max_vocab:
            raise ConfigError(
                f"tokenizer.k={k} makes {size:,} tokens; tokenizer.max_vocab allows {max_vocab:,}.",
                remedy="choose a smaller k, or raise tokenizer.max_vocab (the embedding grows with it).",
            )
        super().__init__(k=k, stride=stride)
        self._max_vocab = max_vocab

    def settings(self) -> dict[str, Any]:
        """Return k, stride and the vocabulary's limit."""
        return {"k": self._k, "stride": self._stride, "max_vocab": self._max_vocab}
