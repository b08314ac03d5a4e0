"""What generated molecules are worth: the figures of MOSES, and a distance of physicochemical descriptors."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from scizoo.errors import ConfigError, DataError
from scizoo.evaluation.generation import Scorer
from scizoo.evaluation.sample_figures import SampleFigure, linearised, pick
from scizoo_chemistry.generation.distances import descriptor_distance, scaffold_similarity
from scizoo_chemistry.generation.molecules import (
    descriptors,
    fingerprints,
    nearest_similarity,
    pair_similarity,
    scaffold,
)
from scizoo_chemistry.molecules import canonical_smiles, parse_smiles, smiles_of, to_mol

_TITLES = {
    "internal_diversity": ("IntDiv1", "higher"),
    "nearest_heldout": ("SNN to held-out", "higher"),
    "scaffold_similarity": ("scaffold similarity", "higher"),
    "one_fragment": ("in one piece", "higher"),
    "descriptor_distance": ("Fréchet distance of descriptors", "lower"),
}


class MoleculeScorer(Scorer):
    """Judges generated SMILES as MOSES does (Polykovskiy et al. 2020, Front. Pharmacol. 11:565644).

    The core measures validity (the share that RDKit parses and sanitises), uniqueness (distinct canonical
    SMILES among the valid ones, MOSES's unique@n with n all of them) and novelty (the share of the distinct
    ones whose canonical SMILES is not in training). This class adds, over the valid molecules:

    - ``internal_diversity``: IntDiv1, one minus the mean Tanimoto similarity of all ordered pairs, each
      molecule with itself included, on Morgan fingerprints of radius 2 and 1,024 bits;
    - ``nearest_heldout``: SNN, the mean Tanimoto similarity to the nearest held-out molecule;
    - ``scaffold_similarity``: Scaf, the cosine of the counts of Bemis-Murcko scaffolds of two rings or more
      among generated and held-out molecules;
    - ``one_fragment``: the share of molecules in one piece, without counter-ions and the like;
    - ``descriptor_distance``: the Frechet distance between normal distributions fitted to ten standardised
      descriptors. It is not the Frechet ChemNet distance (FCD), whose network's features it does without, and
      its values cannot be compared with those of FCD.

    Parameters
    ----------
    reference : int
        Held-out molecules that generated ones are compared with, at most: evenly spread ones.
    recanonicalise : bool
        Whether training SMILES are parsed and spelled anew for the look-up of novelty. Records that
        ``MoleculeFiles`` reads are canonical already, which saves minutes on a million of them.
    unique_at : int, optional
        Measure uniqueness among so many valid molecules too, the first ones, as unique@k.
    """

    main = "descriptor_distance"

    def __init__(self, reference: int = 10_000, recanonicalise: bool = True, unique_at: int | None = None):
        for name, value, least in (("reference", reference, 2), ("unique_at", unique_at, 1)):
            if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < least):
                raise ConfigError(f"scorer.{name}={value}", expected=f"a whole number from {least}")
        self.reference, self.recanonicalise, self.unique_at = reference, recanonicalise, unique_at

    def key(self, value: Any) -> Hashable | None:
        """Give RDKit's canonical, isomeric SMILES; None where RDKit cannot read it."""
        try:
            mol, _ = parse_smiles(smiles_of(value))
        except DataError:  # an empty text, or coordinates without bonds
            return None
        return None if mol is None else canonical_smiles(mol)

    def known_keys(self, training: Sequence[Any]) -> list[Hashable | None]:
        """Name the training molecules; see ``recanonicalise``."""
        if self.recanonicalise:
            return self.keys(training)
        return [smiles_of(value) for value in training]

    def text(self, value: Any) -> str:
        """Write a molecule as SMILES."""
        return value if isinstance(value, str) else smiles_of(value)

    def prepare(self, training: Sequence[Any], heldout: Sequence[Any]) -> None:
        """Compute what generated molecules are compared with, from the held-out ones."""
        rows = np.unique(np.linspace(0, len(heldout) - 1, min(self.reference, len(heldout))).astype(int))
        mols = [to_mol(heldout[row]) for row in rows.tolist()]
        self._prints = fingerprints(mols)
        self._scaffolds = [scaffold(mol) for mol in mols]
        self._described = descriptors(mols)

    def figures(
        self, generated: Sequence[Any], keys: Sequence[Hashable | None]
    ) -> Mapping[str, SampleFigure]:
        """Measure the valid molecules; see the class."""
        rows = np.flatnonzero([key is not None for key in keys])
        if not len(rows):
            nothing = np.full(len(keys), np.nan)
            return {name: _figure(name, values=nothing, reason="no sample is valid") for name in _TITLES}
        smiles = [str(keys[row]) for row in rows.tolist()]
        mols = [to_mol(one) for one in smiles]
        prints = fingerprints(mols)
        alike = pair_similarity(prints)
        whole = partial(_spread, len(keys), rows)
        scaffolds = scaffold_similarity([scaffold(mol) for mol in mols], self._scaffolds)
        found = {
            # Each molecule stands in a pair twice, first and second.
            "internal_diversity": linearised(1 - float(alike.mean()), -2 * alike),
            "scaffold_similarity": scaffolds,
            "descriptor_distance": descriptor_distance(descriptors(mols), self._described),
        }
        made = {
            name: _figure(name, statistic=pick(one, rows)) for name, one in found.items() if one is not None
        }
        if scaffolds is None:
            made["scaffold_similarity"] = _figure(
                "scaffold_similarity", values=whole(np.nan), reason="no scaffold of two rings or more"
            )
        made["nearest_heldout"] = _figure(
            "nearest_heldout", values=whole(nearest_similarity(prints, self._prints))
        )
        pieces = np.array([float("." not in one) for one in smiles])
        made["one_fragment"] = _figure("one_fragment", values=whole(pieces))
        if self.unique_at is not None:
            made[f"unique_at_{self.unique_at}"] = self._unique_at(smiles, rows, len(keys))
        order = [*_TITLES, *(name for name in made if name not in _TITLES)]
        return {name: made[name] for name in order}

    def _unique_at(self, smiles: Sequence[str], rows: np.ndarray, count: int) -> SampleFigure:
        assert self.unique_at is not None
        title = f"unique@{self.unique_at:,}"
        first = list(smiles[: self.unique_at])
        if len(first) < self.unique_at:
            nothing = np.full(count, np.nan)
            return SampleFigure(title, "higher", nothing, reason=f"only {len(first):,} samples are valid")
        alone = np.array([float(first.count(one) == 1) for one in first])
        statistic = pick(linearised(len(set(first)) / len(first), alone), rows[: len(first)])
        return SampleFigure(title, "higher", statistic=statistic, bounds=(0, 1))


def _figure(name: str, **facts: Any) -> SampleFigure:
    title, direction = _TITLES[name]
    bounds = (0.0, np.inf) if direction == "lower" else (0.0, 1.0)
    return SampleFigure(title, direction, bounds=bounds, **facts)  # type: ignore[arg-type]


def _spread(count: int, rows: np.ndarray, values: Any) -> np.ndarray:
    """Lay values of the valid samples out over all samples."""
    whole = np.full(count, np.nan)
    whole[rows] = values
    return whole
