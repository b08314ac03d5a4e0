"""Opening files of molecules: what is surely something else is told apart."""

from __future__ import annotations

from functools import partial

from scizoo.data import opening

EXPECTED = "SMILES, SDF, MOL, InChI or extended XYZ (plain or gzip), or a CSV, TSV or Parquet table"
_DRAWN = "give the file of the structures that it shows."
FOREIGN: opening.Foreign = {
    **opening.FOREIGN,
    b"\x89PNG": ("a PNG picture", _DRAWN),
    b"\xff\xd8\xff": ("a JPEG picture", _DRAWN),
    b"%PDF": ("a PDF", _DRAWN),
    b"VjCD0100": ("a ChemDraw CDX file", "save it as SDF or SMILES in ChemDraw."),
    b"<?xml": ("an XML file", "convert it to SDF or SMILES, for instance with Open Babel."),
    b"data_": ("a CIF file", "convert it to extended XYZ, for instance with ase convert."),
    b"HEADER ": ("a PDB file", "convert it to SDF, which states the bonds."),
    b"@<TRIPOS>": ("a MOL2 file", "convert it to SDF, for instance with Open Babel."),
}

head = partial(opening.head, expected=EXPECTED, size=1 << 16, foreign=FOREIGN)
lines = partial(opening.lines, expected=EXPECTED, foreign=FOREIGN)
