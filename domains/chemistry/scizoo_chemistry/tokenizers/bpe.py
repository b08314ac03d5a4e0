"""Byte-pair encoding over the atom-level tokens of SMILES, by the Rust library ``tokenizers``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice, pairwise
from typing import Any

import numpy as np

from scizoo.data.merges import LearntMerges
from scizoo.data.ragged import Ragged
from scizoo.data.tokenizer import TokenTokenizer
from scizoo.data.units import deal_out
from scizoo.errors import ConfigError
from scizoo_chemistry.molecules import smiles_of
from scizoo_chemistry.tokenizers.atoms import atom_scores
from scizoo_chemistry.tokenizers.scan import Scan
from scizoo_chemistry.tokenizers.smiles import SmilesTokenizer

_PRIVATE = 0xE000  # Unicode's private use area: a character for each atom-level token
_CHUNK = 10_000


class SmilesBPETokenizer(LearntMerges, TokenTokenizer):
    """Words learnt by merging the most frequent neighbours among atoms, bonds and rings.

    As in SMILES pair encoding (Li and Fourches 2021, J. Chem. Inf. Model. 61:1560): merges join whole
    atom-level tokens, so that no word cuts Cl or ``[C@@H]`` in two. Every atom-level token is in the
    vocabulary from the start, so decoding is exact.

    Parameters
    ----------
    vocab_size : int
        Tokens to learn, special and atom-level ones included.
    min_frequency : int
        A pair seen less often is not merged.
    train_molecules : int
        Training stops after so many; the library's memory grows with them.
    atoms : mapping, optional
        Settings of the atom-level tokenizer underneath; filled in training.
    """

    learns_from = "training molecules"

    def __init__(
        self,
        vocab_size: int = 1024,
        min_frequency: int = 2,
        train_molecules: int = 200_000,
        atoms: Mapping[str, Any] | None = None,
    ):
        self._atoms = SmilesTokenizer(**(atoms or {}))
        if vocab_size < self._atoms.vocab_size:
            raise ConfigError(
                f"tokenizer.vocab_size is {vocab_size}.",
                expected=f"at least {self._atoms.vocab_size}, the atom-level tokens and the special ones",
            )
        self._size, self._min_frequency, self._molecules = vocab_size, min_frequency, train_molecules

    def train(self, inputs: Iterable[Any]) -> None:
        """Learn rare bracket atoms, then the merges, from training molecules."""
        from tokenizers import Tokenizer, models

        molecules = list(islice(inputs, self._molecules))
        self._atoms.train(molecules)
        room = self._size - self._atoms.vocab_size
        if room < 0:
            raise ConfigError(
                f"tokenizer.vocab_size is {self._size}, but training found {self._atoms.vocab_size} "
                "atom-level tokens.",
                remedy="raise it, or lower tokenizer.atoms.learn.",
            )
        alphabet = [chr(_PRIVATE + id) for id in range(len(self.SPECIAL), self._atoms.vocab_size)]
        chunks = (molecules[start : start + _CHUNK] for start in range(0, len(molecules), _CHUNK))
        words = (word for chunk in chunks for word in self._words(chunk))
        self.learn(Tokenizer(models.BPE()), words, alphabet, self._size, self._min_frequency)
        self._vocab = None

    def _words(self, inputs: Sequence[Any]) -> Iterator[str]:
        """Write each molecule as one private character an atom-level token."""
        rows = self._atoms._encode(Scan(inputs))
        text = (rows.values.astype("<u4") + _PRIVATE).tobytes().decode("utf-32-le")
        return (text[start:end] for start, end in pairwise(rows.offsets.tolist()))

    _vocab: tuple[str, ...] | None = None

    @property
    def vocab(self) -> Sequence[str]:
        """Every token by id, as it stands in SMILES."""
        if self._vocab is None:
            words = [self.model.id_to_token(id) for id in range(self.model.get_vocab_size())]
            atoms = self._atoms.vocab
            special = set(self.SPECIAL)
            self._vocab = tuple(
                word if word in special else "".join(atoms[ord(letter) - _PRIVATE] for letter in word)
                for word in words
            )
            if len(set(self._vocab)) != len(self._vocab):
                # A merge may spell a bracket atom that the atom-level vocabulary has whole.
                seen: dict[str, int] = {}
                self._vocab = tuple(
                    word if seen.setdefault(word, id) == id else f"{word} ({id})"
                    for id, word in enumerate(self._vocab)
                )
        return self._vocab

    def encode(self, inputs: Sequence[Any]) -> dict[str, Ragged]:
        """Encode molecules into ``input_ids``, int32, one row a molecule.

        Raises
        ------
        DataError
            When an input is no SMILES.
        """
        words = list(self._words(inputs))
        rows = [
            np.array(encoding.ids, dtype=np.int32)
            for encoding in self.model.encode_batch_fast(words, add_special_tokens=False)
        ]
        return {"input_ids": Ragged.from_rows(rows, dtype=np.int32)}

    def decode(self, ids: Sequence[int]) -> str:
        """Join the tokens; special ones are left out."""
        atoms = self._atoms.vocab
        letters = "".join(self.model.id_to_token(int(id)) for id in ids if id >= len(self.SPECIAL))
        return "".join(atoms[ord(letter) - _PRIVATE] for letter in letters)

    def attribute(self, input: Any, scores: np.ndarray) -> np.ndarray | None:
        """Share the scores of words among their atom-level tokens, and add these up to atoms."""
        smiles = smiles_of(input)
        atoms = self._atoms.encode([smiles])["input_ids"].values
        words = self.encode([smiles])["input_ids"].values
        sizes = [len(self.model.id_to_token(int(word))) for word in words]
        return atom_scores(smiles, self._atoms.lengths(atoms), deal_out(scores, sizes))

    def settings(self) -> dict[str, Any]:
        """Return what training was asked for and the atom-level vocabulary; tokenizer.json has the merges."""
        return {
            "vocab_size": self._size,
            "min_frequency": self._min_frequency,
            "train_molecules": self._molecules,
            "atoms": self._atoms.settings(),
        }
