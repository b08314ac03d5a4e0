"""The common ground of the SMILES and SELFIES tokenizers: tokens in brackets, signs, learnt brackets."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cached_property
from itertools import islice
from typing import Any, ClassVar

import numpy as np

from scizoo.data.ragged import Ragged
from scizoo.data.tokenizer import TokenTokenizer
from scizoo.errors import ConfigError, DataError
from scizoo_chemistry.tokenizers.scan import Scan, key_of

_CHUNK = 20_000  # inputs that training reads at once
_BLOCK = 4_000  # inputs whose bytes and numbers fit a processor's cache


class BracketTokenizer(TokenTokenizer):
    """Whole brackets, and single signs outside of them, looked up for a whole batch at once.

    Ids are the special tokens, the single characters, then what a subclass adds, then brackets. A bracket
    that is not in the vocabulary is spelled character by character, so that nothing is unknown and
    decoding is exact.

    Parameters
    ----------
    brackets : sequence of str, optional
        The brackets of the vocabulary, such as ``[nH]``; by default the class's own.
    learn : int
        How many more are at most learnt in training, the most frequent first.
    min_count : int
        A bracket seen less often in training is not learnt.
    """

    #: Brackets that every tokenizer of this class knows from the start.
    BRACKETS: ClassVar[tuple[str, ...]] = ()
    #: Single characters; those of brackets spelled out among them.
    CHARACTERS: ClassVar[str] = (
        "BCNOPSFIbcnops0123456789()[].=#-+\\/:~@?>*$%ADEGHJKLMQRTUVWXYZadefghijklmqrtuvwxyz&'!,;|^_"
    )
    #: Tokens of more than one character outside of brackets.
    PAIRS: ClassVar[tuple[str, ...]] = ()

    def __init__(self, brackets: Sequence[str] | None = None, learn: int = 256, min_count: int = 2):
        self._brackets = tuple(self.BRACKETS if brackets is None else brackets)
        for token in self._brackets:
            if not (token.startswith("[") and token.endswith("]") and token.isascii() and len(token) > 2):
                raise ConfigError(
                    f"tokenizer.brackets holds '{token}'.", expected="tokens in brackets, such as [nH]"
                )
        if len(set(self._brackets)) != len(self._brackets):
            raise ConfigError("tokenizer.brackets holds a token twice.")
        if learn < 0 or min_count < 1:
            raise ConfigError(
                f"tokenizer.learn={learn}, tokenizer.min_count={min_count} cannot be used.",
                expected="learn of at least 0, min_count of at least 1",
            )
        self._learn, self._min_count = learn, min_count
        self._build()

    def _build(self) -> None:
        fixed = (*self.SPECIAL, *self.CHARACTERS, *self.PAIRS)
        self._vocab = (*fixed, *self._brackets)
        self._first = len(fixed)
        ids = {token: id for id, token in enumerate(self._vocab)}
        self._single = np.full(256, self.unk_id, dtype=np.int32)
        for letter in self.CHARACTERS:
            self._single[ord(letter)] = ids[letter]
        keyed = [(key_of(token[1:-1]), ids[token]) for token in self._brackets]
        short = sorted(pair for pair in keyed if pair[0])
        self._keys = np.array([key for key, _ in short], dtype=np.uint64)
        self._key_ids = np.array([id for _, id in short], dtype=np.int32)
        self._long = {token[1:-1]: ids[token] for token in self._brackets if not key_of(token[1:-1])}
        self._ids = ids
        self.__dict__.pop("_table", None)

    @property
    def vocab(self) -> Sequence[str]:
        """Special tokens, characters, pairs, brackets."""
        return self._vocab

    @property
    def vocab_size(self) -> int:
        """How many ids there are."""
        return len(self._vocab)

    def texts(self, inputs: Sequence[Any]) -> Sequence[Any]:
        """Give the strings that are cut into tokens; a subclass may translate."""
        return inputs

    def train(self, inputs: Iterable[Any]) -> None:
        """Learn brackets that the vocabulary lacks, the most frequent first."""
        counts: Counter[str] = Counter()
        iterator = iter(inputs)
        while chunk := list(islice(iterator, _CHUNK)):
            scan = Scan(self.texts(chunk))
            unknown = np.flatnonzero(self._bracket_ids(scan) < 0)
            keys, first, count = np.unique(scan.keys[unknown], return_index=True, return_counts=True)
            for key, place, number in zip(keys, first, count):
                if key:
                    counts[scan.inside_of(int(unknown[place]))] += int(number)
            for bracket in unknown[scan.keys[unknown] == 0]:
                counts[scan.inside_of(int(bracket))] += 1
        often = [(count, inside) for inside, count in counts.items() if count >= self._min_count]
        often.sort(key=lambda pair: (-pair[0], pair[1]))
        self._brackets += tuple(f"[{inside}]" for _, inside in often[: self._learn])
        # What is learnt is learnt: another training adds nothing.
        self._learn = 0
        self._build()

    def _bracket_ids(self, scan: Scan) -> np.ndarray:
        """Look every bracket up; -1 where it is not in the vocabulary."""
        keys = scan.keys
        found = np.full(len(keys), -1, dtype=np.int32)
        if len(self._keys) and len(keys):
            place = np.minimum(np.searchsorted(self._keys, keys), len(self._keys) - 1)
            same = self._keys[place] == keys
            found[same] = self._key_ids[place[same]]
        if self._long:
            for bracket in np.flatnonzero(keys == 0):
                found[bracket] = self._long.get(scan.inside_of(int(bracket)), -1)
        return found

    def encode(self, inputs: Sequence[Any]) -> dict[str, Ragged]:
        """Encode molecules into ``input_ids``, int32, one row a molecule.

        Raises
        ------
        DataError
            When an input is no SMILES; the message names it and the character.
        """
        if len(inputs) <= _BLOCK:
            return {"input_ids": self._encode(Scan(self.texts(inputs)))}
        try:
            parts = [
                self._encode(Scan(self.texts(inputs[start : start + _BLOCK])))
                for start in range(0, len(inputs), _BLOCK)
            ]
        except DataError:
            return {
                "input_ids": self._encode(Scan(self.texts(inputs)))
            }  # names the input by its place in all
        ends = np.cumsum([0, *(len(part.values) for part in parts)])
        offsets = [part.offsets[:-1] + end for part, end in zip(parts, ends)]
        values = np.concatenate([part.values for part in parts])
        return {"input_ids": Ragged(values, np.concatenate([*offsets, ends[-1:]]))}

    def _encode(self, scan: Scan) -> Ragged:
        brackets = self._bracket_ids(scan)
        begins = ~scan.inside
        known = brackets >= 0
        if not known.all():
            for bracket in np.flatnonzero(~known):  # spelled out; rare by design
                begins[scan.opens[bracket] + 1 : scan.closes[bracket] + 1] = True
        begins[scan.halogens] = False
        begins[scan.rings + 1] = False
        begins[scan.rings + 2] = False
        ids = self._single[scan.codes[begins]]
        # The number of a token is its first byte's less the bytes before that begin none: few, so that no
        # array of the length of the text is needed.
        skipped = np.flatnonzero(~begins)
        opens = scan.opens[known]
        ids[opens - np.searchsorted(skipped, opens)] = brackets[known]
        self._place_pairs(scan, skipped, ids)
        return Ragged(ids, scan.offsets - np.searchsorted(skipped, scan.offsets))

    def _place_pairs(self, scan: Scan, skipped: np.ndarray, ids: np.ndarray) -> None:
        """Write the ids of tokens of several characters outside of brackets.

        Parameters
        ----------
        scan : Scan
        skipped : ndarray of int64
            Bytes that begin no token.
        ids : ndarray of int32, shape (tokens,)
            To be changed in place.
        """

    @cached_property
    def _table(self) -> np.ndarray:
        return np.array(["" if token in self.SPECIAL else token for token in self._vocab], dtype=object)

    def text_of(self, ids: Sequence[int]) -> str:
        """Join the tokens of a row of ids; special ones are left out."""
        return "".join(self._table[np.asarray(ids, dtype=np.int64)])

    def lengths(self, ids: np.ndarray) -> np.ndarray:
        """Return how many characters each token of a row stands for, int of shape (tokens,)."""
        return np.array([len(token) for token in self._table[np.asarray(ids)]], dtype=np.int64)

    def decode(self, ids: Sequence[int]) -> str:
        """Give the input back; special tokens are left out."""
        return self.text_of(ids)

    def settings(self) -> dict[str, Any]:
        """Return the brackets, those that were learnt among them, and what may still be learnt."""
        return {"brackets": list(self._brackets), "learn": self._learn, "min_count": self._min_count}

    def fingerprint(self) -> str:
        """Return a digest of the class and its vocabulary."""
        text = json.dumps([type(self).__qualname__, 1, self.settings()], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()
