"""Bringing molecules into one form: salts, charges, tautomers, stereo and isotopes, each as an option."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from scizoo_chemistry.rdkit_log import listening

if TYPE_CHECKING:
    from rdkit.Chem import Mol

SALT = "salt or solvent removed"
NORMALISED = "functional groups normalised"
CHARGE = "charge neutralised"
TAUTOMER = "tautomer changed"
CUT_SHORT = "tautomer search cut short"
STEREO = "stereochemistry removed"
ISOTOPE = "isotopes removed"


@dataclass
class Changes:
    """Counts what standardisation changed, so that it can be said."""

    seen: int = 0
    touched: int = 0
    counts: Counter[str] = field(default_factory=Counter)

    def note(self, changes: list[str]) -> None:
        """Count one molecule and what was done to it."""
        self.seen += 1
        self.touched += bool(changes)
        self.counts.update(changes)

    def __str__(self) -> str:
        if not self.touched:
            return f"none of {self.seen:,} changed"
        told = "; ".join(f"{count:,}: {what}" for what, count in self.counts.most_common())
        return f"{self.touched:,} of {self.seen:,} changed ({told})"


@dataclass(frozen=True)
class Standardiser:
    """Brings a molecule into the form that was asked for; by default it changes nothing.

    The steps run in this order, as in ChEMBL's pipeline (Bento et al. 2020, J. Cheminform. 12:51), on RDKit's
    ``rdMolStandardize``.

    Parameters
    ----------
    salts : bool
        Keep the largest fragment, an organic one if there is one.
    normalise : bool
        Write functional groups in one way (nitro groups, sulphoxides, charge-separated forms).
    charges : bool
        Neutralise by moving protons; charges that no proton can remove stay (quaternary ammonium).
    tautomers : bool
        Take RDKit's canonical tautomer. Slow (some milliseconds a molecule) and bold: it may move protons
        that matter to your property.
    stereo : bool
        Whether to keep stereochemistry.
    isotopes : bool
        Whether to keep isotope labels.
    max_tautomers : int
        How many tautomers are looked at; a molecule with more is counted as cut short.
    """

    salts: bool = False
    normalise: bool = False
    charges: bool = False
    tautomers: bool = False
    stereo: bool = True
    isotopes: bool = True
    max_tautomers: int = 300

    @property
    def is_idle(self) -> bool:
        """Whether it leaves every molecule as it is."""
        return not (self.salts or self.normalise or self.charges or self.tautomers) and (
            self.stereo and self.isotopes
        )

    @cached_property
    def _steps(self) -> dict[str, Any]:
        from rdkit.Chem.MolStandardize import rdMolStandardize

        tautomers = rdMolStandardize.TautomerEnumerator()
        tautomers.SetMaxTautomers(self.max_tautomers)
        return {
            "fragments": rdMolStandardize.LargestFragmentChooser(preferOrganic=True),
            "normaliser": rdMolStandardize.Normalizer(),
            "uncharger": rdMolStandardize.Uncharger(),
            "tautomers": tautomers,
        }

    def __call__(self, mol: Mol) -> tuple[Mol, list[str]]:
        """Standardise one molecule.

        Parameters
        ----------
        mol : Mol
            Sanitised; not changed in place.

        Returns
        -------
        mol : Mol
        changes : list of str
            What was changed, in words; empty where nothing was.

        Raises
        ------
        ValueError
            With RDKit's reason, when a step fails on this molecule.
        """
        if self.is_idle:
            return mol, []
        with listening():
            try:
                return self._apply(mol)
            except (RuntimeError, ValueError) as error:
                line = str(error).strip().split("\n", 1)[0]
                raise ValueError(f"cannot be standardised: {line or type(error).__name__}") from error

    def _apply(self, mol: Mol) -> tuple[Mol, list[str]]:
        from rdkit import Chem

        steps, changes = self._steps, []
        if self.salts and len(Chem.GetMolFrags(mol)) > 1:
            mol = steps["fragments"].choose(mol)
            changes.append(SALT)
        if self.normalise:
            mol = _changed(mol, steps["normaliser"].normalize(mol), NORMALISED, changes)
        if self.charges and any(atom.GetFormalCharge() for atom in mol.GetAtoms()):
            mol = _changed(mol, steps["uncharger"].uncharge(mol), CHARGE, changes)
        if self.tautomers:
            found = steps["tautomers"].Enumerate(mol)
            if str(found.status).rsplit(".", 1)[-1] != "Completed":
                changes.append(CUT_SHORT)
            mol = _changed(mol, steps["tautomers"].PickCanonical(found), TAUTOMER, changes)
        if not self.stereo:
            flat = Chem.Mol(mol)
            Chem.RemoveStereochemistry(flat)
            mol = _changed(mol, flat, STEREO, changes)
        if not self.isotopes and any(atom.GetIsotope() for atom in mol.GetAtoms()):
            plain = Chem.Mol(mol)
            for atom in plain.GetAtoms():
                atom.SetIsotope(0)
            mol = Chem.RemoveHs(plain)
            changes.append(ISOTOPE)
        return mol, changes


def _changed(before: Mol, after: Mol, what: str, changes: list[str]) -> Mol:
    """Note a step that made another molecule."""
    from rdkit import Chem

    if Chem.MolToSmiles(before) != Chem.MolToSmiles(after):
        changes.append(what)
    return after
