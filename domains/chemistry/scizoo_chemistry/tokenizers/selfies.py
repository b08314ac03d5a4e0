"""SELFIES tokens: any row of the usual ones spells a molecule (Krenn et al. 2020, MLST 1:045024)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from scizoo.data.units import add_up
from scizoo.errors import DataError
from scizoo_chemistry.molecules import canonical_smiles, parse_smiles, smiles_of
from scizoo_chemistry.tokenizers.atoms import sign_scores, signs_of
from scizoo_chemistry.tokenizers.bracketed import BracketTokenizer

_ATOMS = (
    "[C] [=C] [#C] [N] [=N] [#N] [O] [=O] [S] [=S] [#S] [P] [=P] [#P] [F] [Cl] [Br] [I] [B] [=B] [#B] "
    "[H] [2H] [3H] [N+1] [=N+1] [#N+1] [N-1] [=N-1] [#N-1] [O+1] [=O+1] [#O+1] [O-1] [C+1] [=C+1] "
    "[#C+1] [C-1] [=C-1] [#C-1] [S+1] [=S+1] [#S+1] [S-1] [=S-1] [#S-1] [P+1] [=P+1] [#P+1] [P-1] "
    "[=P-1] [#P-1] [B+1] [=B+1] [B-1] [=B-1] [#B-1] [C@H1] [C@@H1] [C@] [C@@] [=C@H1] [N@] [N@@] "
    "[N@+1] [N@@+1] [S@] [S@@] [S@+1] [S@@+1] [P@] [P@@] [NH1] [=NH1] [NH1+1] [=NH1+1] [NH2+1] "
    "[=NH2+1] [NH3+1] [NH1-1] [OH1+1] [OH1-1] [CH1-1] [CH2-1] [CH1] [PH1] [/C] [\\C] [/N] [\\N] [/O] "
    "[\\O] [/S] [\\S] [/F] [\\F] [/Cl] [\\Cl] [/Br] [\\Br] [/I] [\\I] [/N+1] [\\N+1] [/C@H1] "
    "[\\C@H1] [/C@@H1] "
    "[\\C@@H1] [/C@] [\\C@] [/C@@] [\\C@@] [/NH1] [\\NH1] [/H] [\\H] [Si] [Se] [=Se] [Se+1] [As] [Sn] "
    "[Na+1] [K+1] [Li+1] [Ca+2] [Mg+2] [Zn+2] [F-1] [Cl-1] [Br-1] [I-1] [Branch1] [Branch2] [Branch3] "
    "[=Branch1] [=Branch2] [=Branch3] [#Branch1] [#Branch2] [#Branch3] [Ring1] [Ring2] [Ring3] "
    "[=Ring1] [=Ring2] [=Ring3] [#Ring1] [#Ring2] [#Ring3] [/\\Ring1] [\\/Ring1] [-/Ring1] [-\\Ring1] "
    "[/\\Ring2] [\\/Ring2] [-/Ring2] [-\\Ring2]"
)


class SelfiesTokenizer(BracketTokenizer):
    """SELFIES of each molecule, cut into its symbols; decoding gives canonical SMILES.

    The library ``selfies`` translates each SMILES; the symbols are then cut and looked up for the whole
    batch. Decoding gives the same molecule in RDKit's canonical spelling, which for canonical input is the
    input itself. Rare symbols that training did not see are spelled out. Any row of the symbols in
    ``selfies.get_semantic_robust_alphabet()`` is a molecule; charged halogens and metals, which real data
    hold too, have no valence there and can make rows that are none.

    Parameters
    ----------
    brackets : sequence of str, optional
        Symbols of the vocabulary.
    learn : int
        How many more are at most learnt in training.
    min_count : int
        A symbol seen less often in training is not learnt.
    strict : bool
        Whether molecules beyond SELFIES' own valences (hypervalent ones) are refused; else they are spelled
        all the same, and decoding may give a molecule with fewer bonds.
    """

    BRACKETS: ClassVar[tuple[str, ...]] = tuple(_ATOMS.split())

    def __init__(
        self,
        brackets: Sequence[str] | None = None,
        learn: int = 256,
        min_count: int = 2,
        strict: bool = False,
    ):
        super().__init__(brackets, learn, min_count)
        self._strict = strict

    def texts(self, inputs: Sequence[Any]) -> list[str]:
        """Translate SMILES into SELFIES, one by one.

        Raises
        ------
        DataError
            When SELFIES cannot spell a molecule (wildcards, quadruple bonds), with the library's reason.
        """
        import selfies

        found = []
        for position, input in enumerate(inputs):
            smiles = smiles_of(input)
            try:
                found.append(selfies.encoder(smiles, strict=self._strict))
            except selfies.EncoderError as error:
                lines = [line.strip() for line in str(error).splitlines() if line.strip()]
                why = lines[-1] if lines else "no reason given"
                raise DataError(
                    f"Input {position}, '{smiles[:60]}', cannot be spelled in SELFIES: {why}",
                    expected="a molecule of single, double and triple bonds without wildcards",
                    remedy="leave it out, or use tokenizer=chemistry/smiles.",
                ) from error
        return found

    def decode(self, ids: Sequence[int]) -> str:
        """Give back the molecule as canonical SMILES; an empty text where the ids spell none."""
        import selfies

        try:
            smiles = selfies.decoder(self.text_of(ids))
        except selfies.DecoderError:  # a bracket spelled out and broken off
            return ""
        mol, _ = parse_smiles(smiles)
        return str(smiles) if mol is None else canonical_smiles(mol)

    def attribute(self, input: Any, scores: np.ndarray) -> np.ndarray | None:
        """Add the scores of symbols up to atoms, by the library's own account of where each comes from.

        A symbol that closes a ring belongs to the atom before it, one that opens a branch to the one after;
        None where the account does not fit.
        """
        import selfies

        smiles = smiles_of(input)
        spelled, account = selfies.encoder(smiles, strict=self._strict, attribute=True)
        symbols, signs = list(selfies.split_selfies(spelled)), signs_of(smiles)
        owner = np.repeat(np.arange(len(symbols)), [len(symbol) for symbol in symbols])
        lengths = self.lengths(self.encode([smiles])["input_ids"].values)
        by_symbol = add_up(owner[np.cumsum(lengths) - lengths], scores, len(symbols))
        origin = np.full(len(symbols), -1)
        for one in account:
            # Branches are counted one too far in the account, and rings have no origin in it.
            if not one.attribution or symbols[one.index] != one.token:
                continue
            sign = one.attribution[0]
            if signs[sign.index] != sign.token:
                return None
            origin[one.index] = sign.index
        places = np.flatnonzero(origin >= 0)
        if not len(places):
            return None
        opens = np.array(["Branch" in symbol for symbol in symbols])
        nearest = np.searchsorted(places, np.arange(len(symbols)), side="right") - 1
        nearest = np.where(opens & (origin < 0), nearest + 1, nearest).clip(0, len(places) - 1)
        return sign_scores(smiles, add_up(origin[places[nearest]], by_symbol, len(signs)))

    def settings(self) -> dict[str, Any]:
        """Return the symbols and the options."""
        return {**super().settings(), "strict": self._strict}
