"""Codon tokens in a reading frame."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from scizoo.data.ragged import Ragged
from scizoo.errors import ConfigError, DataError
from scizoo_genomics.tokenizers.lookup import LookupTokenizer

Stops = Literal["keep", "strip", "refuse"]


class CodonTokenizer(LookupTokenizer):
    """One token a codon.

    Bases before the frame and after the last whole codon become one token a base, so nothing is
    dropped. A codon that holds an ambiguity code is ``[UNK]``.

    Parameters
    ----------
    frame : {0, 1, 2}
        Bases before the first codon.
    stops : {"keep", "strip", "refuse"}
        Stop codons are tokens like others ("keep"); a stop at the very end is left out ("strip"; decoding
        then gives the sequence without it); or a stop before the last codon is an error that names
        sequence and codon ("refuse"), for coding sequences that must be open.
    genetic_code : int
        NCBI's number of the translation table, which says what a stop is: 1 standard, 11 bacterial.

    Raises
    ------
    ConfigError
        When a setting is out of range.
    """

    def __init__(self, frame: int = 0, stops: Stops = "keep", genetic_code: int = 11):
        if frame not in (0, 1, 2):
            raise ConfigError(f"tokenizer.frame is {frame}.", expected="0, 1 or 2")
        if stops not in ("keep", "strip", "refuse"):
            raise ConfigError(f"tokenizer.stops is '{stops}'.", expected="keep, strip or refuse")
        super().__init__(k=3, stride=3, lead=frame)
        self._stops, self._code = stops, genetic_code
        self._table = _translation_table(genetic_code)
        #: The ids of the stop codons; generation ends at them.
        self.stop_ids = np.flatnonzero(self._table == ord("*")).astype(np.int32) + self._first

    def encode(self, inputs: Sequence[Any]) -> dict[str, Ragged]:
        """Encode sequences into ``input_ids``, int32, one row a sequence.

        Raises
        ------
        DataError
            When an input is not DNA or RNA, or holds a stop before its end and ``stops`` is "refuse".
        """
        encoded = super().encode(inputs)
        if self._stops == "keep":
            return encoded
        ids, offsets = encoded["input_ids"].values, encoded["input_ids"].offsets
        stop = np.isin(ids, self.stop_ids)
        last = np.zeros(len(ids), dtype=bool)
        last[offsets[1:][np.diff(offsets) > 0] - 1] = True
        if self._stops == "refuse":
            early = np.flatnonzero(stop & ~last)
            if len(early):
                row = int(np.searchsorted(offsets, early[0], side="right")) - 1
                codon = int(early[0] - offsets[row]) - min(self._lead, len(inputs[row])) + 1
                raise DataError(
                    f"Input {row} has a stop ({self.vocab[int(ids[early[0]])]}) at codon {codon}.",
                    expected="an open reading frame",
                    remedy="check tokenizer.frame and tokenizer.genetic_code, or set tokenizer.stops=keep.",
                )
            return encoded
        keep = ~(stop & last)
        removed = np.zeros(len(ids) + 1, dtype=np.int64)
        np.cumsum(~keep, out=removed[1:])
        return {"input_ids": Ragged(ids[keep], offsets - removed[offsets])}

    def translate(self, ids: Sequence[int] | np.ndarray) -> str:
        """Return the amino acids of a row of ids: ``*`` for a stop, ``X`` for an unknown codon."""
        row = np.asarray(ids, dtype=np.int64)
        row = row[(row == self.unk_id) | (row >= self._first)]
        letters = np.full(len(row), ord("X"), dtype=np.uint8)
        known = row >= self._first
        letters[known] = self._table[row[known] - self._first]
        return letters.tobytes().decode("ascii")

    def settings(self) -> dict[str, Any]:
        """Return frame, stop handling and genetic code."""
        return {"frame": self._lead, "stops": self._stops, "genetic_code": self._code}


def _translation_table(number: int) -> np.ndarray:
    """Return the amino acid of each codon, in alphabetical order of codons; shape (64,), uint8."""
    from Bio.Data import CodonTable

    try:
        table = CodonTable.unambiguous_dna_by_id[number]
    except KeyError:
        known = ", ".join(map(str, sorted(CodonTable.unambiguous_dna_by_id)))
        raise ConfigError(
            f"tokenizer.genetic_code is {number}.", expected=f"one of NCBI's tables: {known}"
        ) from None
    codons = (a + b + c for a in "ACGT" for b in "ACGT" for c in "ACGT")
    # Codons that are both (some tables read a stop as an amino acid by context) are not stops here.
    return np.array([ord(table.forward_table.get(codon, "*")) for codon in codons], dtype=np.uint8)
