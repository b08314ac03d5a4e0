"""The data card: what a corpus was, what each filter took out of it, and what is left."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from scizoo.files import write_json, write_text

#: The filters in their order, and what people call them.
STAGES = {
    "licence": "licence not on the allow-list",
    "opt_out": "opted out",
    "long_lines": "long lines, or few letters and digits",
    "exact": "equal to an earlier file",
    "near": "near duplicate of an earlier file",
    "benchmark": "holds a piece of a benchmark",
}
_REDACTED = {"email": "e-mail addresses", "key": "keys and tokens", "ip": "IP addresses"}


@dataclass
class Stage:
    """One filter and what it removed.

    Parameters
    ----------
    name, title : str
    records, bytes : int
    examples : list of str
        Ids of the first few.
    """

    name: str
    title: str
    records: int = 0
    bytes: int = 0
    examples: list[str] = field(default_factory=list)

    def note(self, id: str, size: int, shown: int) -> None:
        """Count one file."""
        self.records += 1
        self.bytes += size
        if len(self.examples) < shown:
            self.examples.append(id)


@dataclass
class Plan:
    """What becomes of a corpus.

    Parameters
    ----------
    name : str
    read, read_bytes, left, left_bytes : int
        Files that could be read, and those that are left.
    before : dict of str to int
        What the reader left out, by reason.
    stages : list of Stage
    redacted : dict of str to int
        What was replaced in the files that are left, by kind.
    redacted_files : int
    languages, licences : dict of str to int
        Of the files that are left.
    licences_read : dict of str to int
        Of all files.
    settings : dict
    removed : dict of int to str
        Position of each removed file in the order of reading, and the filter.
    """

    name: str
    read: int
    read_bytes: int
    left: int
    left_bytes: int
    before: dict[str, int]
    stages: list[Stage]
    redacted: dict[str, int]
    redacted_files: int
    languages: dict[str, int]
    licences: dict[str, int]
    licences_read: dict[str, int]
    settings: dict[str, Any]
    removed: dict[int, str]

    def to_dict(self) -> dict[str, Any]:
        """Give plain data."""
        return asdict(self) | {"removed": {str(number): stage for number, stage in self.removed.items()}}

    @classmethod
    def from_dict(cls, state: dict[str, Any]) -> Plan:
        """Build it again from plain data."""
        stages = [Stage(**stage) for stage in state["stages"]]
        removed = {int(number): stage for number, stage in state["removed"].items()}
        return cls(**{**state, "stages": stages, "removed": removed})

    def card(self) -> dict[str, Any]:
        """Give the content of ``data_card.json``: all but the list of removed files."""
        return {
            "format_version": 1,
            **{key: value for key, value in self.to_dict().items() if key != "removed"},
        }


def write_card(folder: Path, plan: Plan) -> Path:
    """Write ``data_card.md`` and ``data_card.json``; returns the first."""
    write_json(folder / "data_card.json", plan.card())
    return write_text(folder / "data_card.md", markdown(plan))


def markdown(plan: Plan) -> str:
    """Write the card for people."""
    lines = [
        f"# Data card: {plan.name}",
        "",
        _first_words(plan),
        "",
        "| step | files | size | for example |",
        "| --- | ---: | ---: | --- |",
        *(f"| left out on reading: {reason} | {count:,} | | |" for reason, count in plan.before.items()),
        f"| **read** | {plan.read:,} | {_size(plan.read_bytes)} | |",
    ]
    for stage in plan.stages:
        shown = ", ".join(f"`{id}`" for id in stage.examples[:2])
        lines.append(f"| removed: {stage.title} | {stage.records:,} | {_size(stage.bytes)} | {shown} |")
    lines += [
        f"| **left** | {plan.left:,} | {_size(plan.left_bytes)} | |",
        "",
        "## Redaction",
        "",
    ]
    if plan.settings["redact"]:
        found = [f"{plan.redacted.get(kind, 0):,} {title}" for kind, title in _REDACTED.items()]
        lines.append(
            f"In {plan.redacted_files:,} of the files that are left: {', '.join(found)} were replaced by "
            "placeholders. Rules find them; names of persons are not looked for."
        )
    else:
        lines.append("Nothing was redacted.")
    for title, counts in (
        ("Licences of what is left", plan.licences),
        ("Licences of what was read", plan.licences_read),
        ("Languages", plan.languages),
    ):
        lines += ["", f"## {title}", ""]
        lines += [f"- {name}: {count:,}" for name, count in counts.items()] or ["- none"]
    lines += ["", "## How", "", *_settings(plan.settings), ""]
    return "\n".join(lines)


def _first_words(plan: Plan) -> str:
    read, left = (
        f"{plan.read:,} files ({_size(plan.read_bytes)})",
        f"{plan.left:,} ({_size(plan.left_bytes)})",
    )
    return f"{read} were read; {left} are left."


_METHOD = (
    "The steps and their order are those of StarCoder (Li et al. 2023, arXiv 2305.06161); licences are told "
    "from SPDX headers, licence files and package metadata, whose statements may be wrong."
)
_NEAR = (
    "MinHash of five-token shingles, 256 permutations, Jaccard similarity from {:g}; "
    "the first of each cluster stays"
)


def _settings(settings: dict[str, Any]) -> list[str]:
    allowed = settings["licences"]
    near = settings["near"]
    return [
        "- licences allowed: " + ("all" if allowed is None else ", ".join(allowed)),
        "- near duplicates: " + ("kept" if near is None else _NEAR.format(near)),
        "- benchmarks: "
        + (
            f"n-grams of {settings['ngram']} words in common"
            if settings["benchmarks"]
            else "none was given to look for"
        ),
        f"- opt-out list: {len(settings['opt_out']):,} entries",
        "",
        _METHOD,
    ]


def _size(count: int) -> str:
    return f"{count / 1e6:,.2f} MB" if count >= 10_000 else f"{count / 1e3:,.1f} kB"
