"""Well-known molecules on which a checkpoint's outputs are checked again; nobody's data."""

from __future__ import annotations


def inputs() -> list[str]:
    """Return a few SMILES, the same each time; one has charges, one stereochemistry."""
    return [
        "CC(=O)Oc1ccccc1C(=O)O",  # aspirin
        "Cn1c(=O)c2c(ncn2C)n(C)c1=O",  # caffeine
        "C[C@H](N)C(=O)O",  # alanine
        "[Cl-].[Na+]",
    ]
