"""ASAS variable stars: V-band light curves of 28 classes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from scizoo.data.records import Licence, Record
from scizoo.data.sources import fingerprint_files, resolve
from scizoo.data.table import TableReader
from scizoo.errors import ConfigError, DataError, did_you_mean
from scizoo_astronomy.datasets.base import AstronomyDataset
from scizoo_astronomy.readers.lightcurves import read_light_curves
from scizoo_astronomy.readers.points import LightCurveOptions

#: Families of the 28 classes, after Richards et al. 2011 (ApJ 733, 10), figure 1; stars whose light
#: changes by spots or rotation stand apart.
FAMILIES = {
    "giant": ("Mira", "Semireg_PV", "SARG_A", "SARG_B", "LSP", "RSG", "RV_Tauri"),
    "cepheid": ("Classical_Cepheid", "PopII_Cepheid", "MultiMode_Cepheid"),
    "rr_lyrae": ("RR_Lyrae_FM", "RR_Lyrae_FO", "RR_Lyrae_DM"),
    "main_sequence_pulsator": ("Delta_Scuti", "SX_Phe", "Beta_Cephei", "Pulsating_Be"),
    "rotating": ("ChemPeculiar", "RS_CVn"),
    "eruptive": ("RCB", "Herbig_AEBE", "ClassT_Tauri", "Weakline_T_Tauri", "S_Doradus"),
    "binary": ("Beta_Persei", "Beta_Lyrae", "W_Ursae_Maj", "Ellipsoidal"),
}
#: Kinds of variability to their families.
KINDS = {
    "pulsating": ("giant", "cepheid", "rr_lyrae", "main_sequence_pulsator"),
    "intrinsic": ("rotating", "eruptive"),
    "multi_star": ("binary",),
}
_FAMILY_OF = {name: family for family, names in FAMILIES.items() for name in names}
_KIND_OF = {family: kind for kind, families in KINDS.items() for family in families}


class AsasVariables(AstronomyDataset):
    """The labelled set of the Machine-learned ASAS Classification Catalog: 810 stars of 28 classes.

    Parameters
    ----------
    path : str
        The folder with ``asas_training_set.tar.gz`` (or the archive itself beside the classes) and
        ``asas_training_set_classes.dat``.
    target : {"class", "family", "kind"}
        The 28 classes, or what stands above them in ``FAMILIES`` and ``KINDS``; all three are kept.
    min_per_class : int
        Classes with fewer stars are left out, and counted.
    max_rejected : float
    cache : Path, optional
    """

    licence = Licence("none stated (data of the All Sky Automated Survey, to be cited)")
    citation = (
        "Richards, Starr, Miller et al. (2012) Construction of a Calibrated Probabilistic Classification "
        "Catalog: Application to 50k Variable Sources in the All-Sky Automated Survey. ApJS 203, 32; "
        "Pojmanski (2002) Acta Astronomica 52, 397; as kept by the cesium-ml project"
    )

    def __init__(
        self,
        path: str | Path | None = None,
        *,
        target: str = "class",
        min_per_class: int = 1,
        max_rejected: float = 0.01,
        cache: Path | None = None,
    ):
        super().__init__(max_rejected=max_rejected)
        if path is None:
            raise ConfigError(
                "data.path is not given.",
                expected="the folder with asas_training_set.tar.gz and asas_training_set_classes.dat",
                remedy="fetch both from github.com/cesium-ml/cesium-data (asas_training); data.path=FOLDER",
            )
        if target not in ("class", "family", "kind"):
            raise ConfigError(f"data.target={target}: {did_you_mean(target, ('class', 'family', 'kind'))}")
        self.path, self.target, self.min_per_class, self.cache = path, target, min_per_class, cache

    @property
    def name(self) -> str:
        """What is read."""
        return f"ASAS variable stars ({self.path})"

    def settings(self) -> dict[str, Any]:
        """Return the options that change the records."""
        return {"target": self.target, "min_per_class": self.min_per_class}

    def _files(self) -> tuple[Path, Path]:
        """Return the archive and the table of classes."""
        path = resolve(self.path, self.cache)
        folder = path if path.is_dir() else path.parent
        archives = [path] if path.is_file() else sorted(folder.glob("*training_set*.tar*"))
        classes = sorted(folder.glob("*classes.dat"))
        if not archives or not classes:
            raise DataError(
                f"{folder} has no {'archive of light curves' if not archives else 'table of classes'}.",
                expected="asas_training_set.tar.gz and asas_training_set_classes.dat",
            )
        return archives[0], classes[0]

    def fingerprint(self) -> str:
        """Digest of the files and of the options."""
        return self._digest(fingerprint_files(list(self._files())))

    def records(self) -> Iterator[Record]:
        """Yield the stars in the archive's order."""
        self.left_out.clear()
        archive, table = self._files()
        classes = {str(cells["filename"]): str(cells["class"]) for _, cells in TableReader(table).rows()}
        counts: dict[str, int] = {}
        for label in map(self._label, classes.values()):
            counts[label] = counts.get(label, 0) + 1
        options = LightCurveOptions(layout="asas", sort=True, duplicates="first")
        for entry in read_light_curves(archive, self.rejections, options):
            name = classes.get(entry.id)
            if name is None:
                self.rejections.reject(entry.source, entry.id, f"has no row in {table.name}")
                continue
            label = self._label(name)
            if counts[label] < self.min_per_class:
                self.left_out[f"of classes with fewer than {self.min_per_class} stars"] += 1
                continue
            family = _FAMILY_OF.get(name, name)
            meta = {"class": name, "family": family, "kind": _KIND_OF.get(family, family)}
            del meta[self.target]
            yield Record(entry.id, entry.value, label, None, meta, entry.source)
        self._say_left_out()

    def _label(self, name: str) -> str:
        family = _FAMILY_OF.get(name, name)
        return {"class": name, "family": family, "kind": _KIND_OF.get(family, family)}[self.target]
