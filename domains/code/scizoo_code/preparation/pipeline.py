"""The filters that a corpus goes through, in the order of the StarCoder project, with counts of each."""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from fnmatch import fnmatch
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from scizoo.data.opening import lines
from scizoo.data.records import RejectionLog
from scizoo.data.sources import fingerprint_files, resolve
from scizoo.errors import ConfigError, DataError
from scizoo.files import cache_dir, sha256_json, write_json
from scizoo_code.preparation.card import STAGES, Plan, Stage, write_card
from scizoo_code.preparation.decontamination import Benchmarks
from scizoo_code.preparation.duplicates import content_key, near_clusters
from scizoo_code.preparation.licences import PERMISSIVE, is_allowed, spdx
from scizoo_code.preparation.redaction import redact
from scizoo_code.readers.entry import Entry
from scizoo_code.similarity import CodeSimilarity

log = logging.getLogger(__name__)

_VERSION = 1
_LONGEST_LINE, _MEAN_LINE, _ALPHANUMERIC = 1000, 100, 0.25
_SHOWN = 5  # examples of each filter

Read = Callable[[RejectionLog], Iterator[Entry]]


class Preparation:
    """Prepares a corpus as StarCoder's was (Li et al. 2023, arXiv 2305.06161), and counts what each step did.

    In this order: licence allow-list, opt-out list, long lines, equal texts, near duplicates, texts with
    pieces of benchmarks; then redaction. Of equal and of near duplicates the first stays. What was done is
    kept in the cache by the content of the corpus, so that a corpus is gone through once.

    Parameters
    ----------
    licences : "permissive", sequence of str, or None
        SPDX identifiers that are allowed; None allows every file, also one whose licence is not known.
    opt_out : str, optional
        A text file of repositories whose authors do not want them used: a name or a glob a line
        (``alice/*``), ``#`` begins a comment.
    long_lines : bool
        Whether files go that are hardly written by hand: a line of more than 1,000 characters, a mean line of
        more than 100, or less than a quarter letters and digits.
    exact : bool
        Whether equal texts go.
    near : float, optional
        Jaccard similarity from which a text goes that is like another one; None keeps such texts.
    benchmarks : sequence of str
        Files of benchmarks; texts that share an n-gram with one go.
    ngram : int
        Words of these n-grams.
    redact : bool
        Whether e-mail addresses, keys and IP addresses are replaced.
    card : str, optional
        A folder into which ``data_card.md`` and ``data_card.json`` are written, besides the cache.
    """

    def __init__(
        self,
        licences: str | Sequence[str] | None = "permissive",
        opt_out: str | Path | None = None,
        long_lines: bool = True,
        exact: bool = True,
        near: float | None = 0.7,
        benchmarks: Sequence[str | Path] = (),
        ngram: int = 13,
        redact: bool = True,
        card: str | Path | None = None,
    ):
        self.allowed = _allowed(licences)
        self.opt_out, self.long_lines, self.exact = opt_out, long_lines, exact
        self.similarity = None if near is None else CodeSimilarity(threshold=near)
        self.near, self.redact, self.ngram = near, redact, ngram
        self.benchmarks = [benchmarks] if isinstance(benchmarks, str) else [str(one) for one in benchmarks]
        self.card = card

    @cached_property
    def _known(self) -> Benchmarks | None:
        return Benchmarks(self.benchmarks, self.ngram) if self.benchmarks else None

    @cached_property
    def _unwanted(self) -> list[str]:
        if self.opt_out is None:
            return []
        named = (
            line.partition("#")[0].strip() for _, line in lines(resolve(self.opt_out), "names, one a line")
        )
        return [name for name in named if name]

    def settings(self) -> dict[str, Any]:
        """Return what decides on the outcome, as plain data."""
        return {
            "version": _VERSION,
            "licences": None if self.allowed is None else sorted(self.allowed),
            "opt_out": self._unwanted,
            "long_lines": self.long_lines,
            "exact": self.exact,
            "near": self.near,
            "benchmarks": fingerprint_files(self._known.files) if self._known else None,
            "ngram": self.ngram,
            "redact": self.redact,
        }

    def run(
        self,
        read: Read,
        rejections: RejectionLog,
        *,
        name: str,
        key: str,
        before: Mapping[str, int] | None = None,
    ) -> Iterator[Entry]:
        """Yield what is left of a corpus, redacted.

        Parameters
        ----------
        read : callable
            Reads the corpus from its beginning, in the same order each time.
        rejections : RejectionLog
            Where files that cannot be read are told.
        name : str
            The corpus, for the card.
        key : str
            Digest of its content and of how it is read.
        before : mapping of str to int, optional
            What the reader left out; it is filled while ``read`` reads.
        """
        plan = self.plan(read, name=name, key=key, before=before)
        if plan.read and not plan.left:
            raise _nothing_left(plan)
        for number, entry in enumerate(read(rejections)):
            if number not in plan.removed:
                yield Entry(entry.id, self.clean(entry.text), entry.fields, entry.source)

    def clean(self, text: str) -> str:
        """Redact a text, where that is asked for."""
        return redact(text)[0] if self.redact else text

    def plan(self, read: Read, *, name: str, key: str, before: Mapping[str, int] | None = None) -> Plan:
        """Find or make the plan of a corpus: what goes, and the counts; see :meth:`run`."""
        digest = sha256_json({"corpus": key, "settings": self.settings()})
        folder = cache_dir() / "code" / "prepared" / digest
        path = folder / "plan.json"
        if path.is_file():
            plan = Plan.from_dict(json.loads(path.read_text(encoding="utf-8")))
        else:
            plan = self._plan(read, name, before if before is not None else {})
            write_card(folder, plan)
            write_json(path, plan.to_dict())
            for stage in plan.stages:
                if stage.records:
                    log.info("%s: %s: %d files removed.", name, stage.title, stage.records)
            log.info(
                "%s: %d of %d files are left; see %s", name, plan.left, plan.read, folder / "data_card.md"
            )
        if self.card is not None:
            write_card(Path(self.card), plan)
        return plan

    def _plan(self, read: Read, name: str, before: Mapping[str, int]) -> Plan:
        stages = {stage: Stage(stage, title) for stage, title in STAGES.items() if self._has(stage)}
        removed: dict[int, str] = {}
        seen: set[bytes] = set()
        waiting: list[int] = []  # what is looked at for near duplicates
        signatures: list[np.ndarray] = []
        facts: list[tuple[str, int, str, str]] = []  # id, bytes, language, licence
        private: list[Counter[str]] = []
        later: dict[int, bool] = {}  # whether it holds a piece of a benchmark
        lost = RejectionLog()
        for number, entry in enumerate(read(lost)):
            licence = str(entry.fields.get("licence") or "unknown")
            size = len(entry.text.encode("utf-8", "surrogatepass"))
            facts.append((entry.id, size, str(entry.fields.get("language") or "unknown"), licence))
            private.append(Counter())
            stage = self._first_stage(entry, licence, seen)
            if stage is not None:
                removed[number] = stage
                continue
            if self.redact:
                private[number] = redact(entry.text)[1]
            if self._known is not None:
                later[number] = self._known.holds(entry.text)
            if self.similarity is not None:
                waiting.append(number)
                signatures.append(self.similarity.signatures([entry.text])[0])
        if self.similarity is not None and waiting:
            clusters = near_clusters(np.array(signatures), self.similarity)
            for place, first in enumerate(clusters.tolist()):
                if first != place:
                    removed[waiting[place]] = "near"
        for number, holds in later.items():
            if holds and number not in removed:
                removed[number] = "benchmark"
        for number, stage in removed.items():
            stages[stage].note(facts[number][0], facts[number][1], _SHOWN)
        left = [number for number in range(len(facts)) if number not in removed]
        return Plan(
            name=name,
            read=len(facts),
            read_bytes=sum(fact[1] for fact in facts),
            left=len(left),
            left_bytes=sum(facts[number][1] for number in left),
            before={**dict(before), **({"unreadable": len(lost.rejected)} if lost.rejected else {})},
            stages=list(stages.values()),
            redacted=dict(sum((private[number] for number in left), Counter())),
            redacted_files=sum(bool(private[number]) for number in left),
            languages=dict(Counter(facts[number][2] for number in left).most_common()),
            licences=dict(Counter(facts[number][3] for number in left).most_common()),
            licences_read=dict(Counter(fact[3] for fact in facts).most_common()),
            settings=self.settings(),
            removed=removed,
        )

    def _has(self, stage: str) -> bool:
        return {
            "licence": self.allowed is not None,
            "opt_out": bool(self._unwanted),
            "long_lines": self.long_lines,
            "exact": self.exact,
            "near": self.near is not None,
            "benchmark": bool(self.benchmarks),
        }[stage]

    def _first_stage(self, entry: Entry, licence: str, seen: set[bytes]) -> str | None:
        """Name the first filter that a text does not pass on its own or as an equal copy."""
        if self.allowed is not None and not is_allowed(spdx(licence) or licence, self.allowed):
            return "licence"
        names = [str(entry.fields.get(column) or "") for column in ("repository", "path")]
        if any(fnmatch(names[0], pattern) or fnmatch("/".join(names), pattern) for pattern in self._unwanted):
            return "opt_out"
        if self.long_lines and is_unwritten(entry.text):
            return "long_lines"
        if self.exact:
            key = content_key(entry.text)
            if key in seen:
                return "exact"
            seen.add(key)
        return None


def is_unwritten(text: str) -> bool:
    """Whether a text looks like data or output: long lines, or few letters and digits."""
    sizes = [len(line) for line in text.splitlines()] or [0]
    letters = sum(map(str.isalnum, text)) / max(1, len(text))
    return max(sizes) > _LONGEST_LINE or sum(sizes) / len(sizes) > _MEAN_LINE or letters < _ALPHANUMERIC


def _nothing_left(plan: Plan) -> DataError:
    steps = ", ".join(f"{stage.records:,} {stage.title}" for stage in plan.stages if stage.records)
    return DataError(
        f"{plan.name}: data.prepare leaves none of {plan.read:,} files: {steps}.",
        expected="at least one file that passes every step",
        remedy="name further licences in data.prepare.licences, or keep all with null: files whose licence "
        "is not known are on no allow-list.",
    )


def _allowed(licences: str | Sequence[str] | None) -> frozenset[str] | None:
    if licences is None:
        return None
    if licences == "permissive":
        return frozenset(PERMISSIVE)
    names = [licences] if isinstance(licences, str) else list(licences)
    for name in names:
        if spdx(name) is None or " " in name:
            raise ConfigError(
                f"data.prepare.licences: '{name}' is no SPDX identifier.",
                expected="permissive, null, or a list of names such as [MIT, Apache-2.0]",
            )
    return frozenset(names)
