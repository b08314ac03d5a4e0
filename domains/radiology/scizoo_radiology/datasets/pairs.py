"""The user's own pictures with the report of each, for search from one to the other."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from scizoo.data.records import Record
from scizoo.errors import ConfigError
from scizoo_radiology.datasets.files import ImageFiles
from scizoo_radiology.readers.entry import Entry

#: What stands in the place of what was taken out, as in the Indiana reports.
MARK = "XXXX"
_MONTHS = r"jan|feb|mar|apr|may|jun|jul|aug|sept?|oct|nov|dec"
_IDENTIFYING = re.compile(
    rf"""
    \b\d{{1,4}}[./-]\d{{1,2}}[./-]\d{{1,4}}\b                  # dates in numbers
    | \b\d{{1,2}}\s+(?i:{_MONTHS})[a-z]*\.?,?\s+\d{{2,4}}\b      # 3 March 2021
    | \b(?i:{_MONTHS})[a-z]*\.?\s+\d{{1,2}},?\s+\d{{4}}\b        # March 3, 2021
    | \b\d{{1,2}}:\d{{2}}(?::\d{{2}})?\b                       # times
    | \b[\w.+-]+@[\w-]+\.[\w.]+                                # mail
    | \+?\d[\d\s()/-]{{7,}}\d                                  # telephone numbers
    | \b[A-Z]{{0,4}}\d{{5,}}\b                                 # numbers of patients and of examinations
    | \b(?:Dr|Prof|Mr|Mrs|Ms|Miss|Herr|Frau)\b\.?(?:\s+(?:med\.?|[A-Z]\.))*\s+[A-Z][\w'-]+(?:\s+[A-Z][\w'-]+)?
    """,
    re.VERBOSE,
)


def scrubbed(text: str, secrets: set[str] | frozenset[str] = frozenset()) -> str:
    """Return a report with what may name somebody replaced by :data:`MARK`.

    Dates, times, addresses of mail, telephone numbers, long numbers, names after a title, and words of
    ``secrets``. Names without a title are not found: a report that was not de-identified by other means is
    not safe after this.

    Parameters
    ----------
    text : str
    secrets : set of str
        In lower case: what the picture's own header says of the patient.
    """
    found = _IDENTIFYING.sub(MARK, text)
    for secret in sorted(secrets, key=len, reverse=True):
        found = re.sub(rf"(?<!\w){re.escape(secret)}(?!\w)", MARK, found, flags=re.IGNORECASE)
    return " ".join(found.split())


class ReportPairs(ImageFiles):
    """Records of pictures whose target is the text of their report.

    Parameters
    ----------
    path : str
        A table that lists a picture and its report in each row.
    input, report : str
        Its columns with the picture's file and with the report's text.
    **options
        As of :class:`~scizoo_radiology.datasets.files.ImageFiles`, but ``target``. With ``pseudonyms``
        reports pass through :func:`scrubbed`.
    """

    def __init__(
        self,
        path: str | Path | None = None,
        *,
        input: str = "image",
        report: str = "report",
        **options: Any,
    ):
        if options.get("target") is not None or options.get("labels") is not None:
            raise ConfigError(
                "data.target and data.labels are not for pairs.",
                expected="data.report, the column with reports",
            )
        super().__init__(path, input=input, **{**options, "target": None})
        self.report = report

    def settings(self) -> dict[str, Any]:
        """Return the options that change the records."""
        return {**super().settings(), "report": self.report, "scrubbed": self.pseudonyms}

    def _record(self, entry: Entry, row: Mapping[str, Any]) -> Record:
        if self.report not in row:
            raise ConfigError(f"{self.path} has no column '{self.report}' (data.report).")
        text = " ".join(str(row[self.report] or "").split())
        if not text:
            raise ValueError("its report is empty")
        if self.pseudonyms:
            text = scrubbed(text, entry.names.secrets())
        rest = {name: value for name, value in row.items() if name != self.report}
        return replace(super()._record(entry, rest), target=text)
