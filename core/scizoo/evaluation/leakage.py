"""The leakage audit: what of the test part the models have seen in another form, counted and judged."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from scizoo.config import instantiate
from scizoo.data.documents import RETRIEVAL, documents_of
from scizoo.data.records import Record
from scizoo.data.splits import PARTS, Split
from scizoo.data.targets import known_labels
from scizoo.data.task import GENERATION, TaskData
from scizoo.evaluation.leaks import KINDS, TOLERANCES, Audit, AuditSettings, Leak, LeakageError
from scizoo.evaluation.shortcuts import columns_of, names_groups, shortcuts
from scizoo.evaluation.similarity import ExactSimilarity, MinHashTextSimilarity, Similarity

__all__ = [
    "KINDS",
    "TOLERANCES",
    "Audit",
    "AuditSettings",
    "ExactSimilarity",
    "Leak",
    "LeakageError",
    "MinHashTextSimilarity",
    "Similarity",
    "audit",
    "audit_strangers",
    "audit_task",
]

log = logging.getLogger(__name__)


def audit_task(
    data: TaskData, cfg: Mapping[str, Any], corpora: Mapping[str, np.ndarray] | None = None
) -> Audit:
    """Audit a task by its config's ``audit`` group: a domain's similarity, and the keys of AuditSettings.

    Parameters
    ----------
    data : TaskData
    cfg : mapping
        A composed config; without ``audit._target_`` equal inputs alone are found.
    corpora : mapping of str to ndarray, optional
        Sketches of the pre-training corpora, by checkpoint.
    """
    settings, described = AuditSettings.split_from(cfg.get("audit"))
    similarity: Similarity = instantiate(described) if described.get("_target_") else ExactSimilarity()
    return audit(
        data.records,
        data.split,
        similarity,
        kind=data.target.kind,
        targets=data.targets if isinstance(data.targets, np.ndarray) else None,
        corpora=corpora,
        settings=settings,
    )


def audit(
    records: Sequence[Record],
    split: Split,
    similarity: Similarity,
    *,
    kind: str = "classification",
    targets: np.ndarray | None = None,
    corpora: Mapping[str, np.ndarray] | np.ndarray | None = None,
    settings: AuditSettings | None = None,
) -> Audit:
    """Look for every kind of leak.

    Parameters
    ----------
    records : sequence of Record
    split : Split
    similarity : Similarity
        The domain's.
    kind : str
        Of the task; decides what a contradiction is and how a column is judged.
    targets : ndarray, optional
        Encoded targets of all records, (records,) or (records, T); without them single features are not
        measured.
    corpora : ndarray or mapping of str to ndarray, optional
        Sketch of the pre-training corpus, as the same similarity made it; or several, by checkpoint.
    settings : AuditSettings, optional

    Returns
    -------
    Audit
    """
    chosen = settings or AuditSettings()
    auditor = _Auditor(records, split, similarity, chosen)
    findings = auditor.duplicates()
    if kind == RETRIEVAL:
        answers = documents_of(records)
        others = _Auditor(answers, split, _document_similarity(chosen, answers), chosen)
        findings += others.duplicates("exact_documents", "near_documents")
    findings += [auditor.shared_groups(), auditor.contradictions(kind)]
    findings.append(auditor.single_feature(kind, targets))
    findings += auditor.corpus_overlap(corpora)
    for leak in findings:
        if leak.failed is not None:
            log.info("audit: %s: %d of %d", leak.title.lower(), leak.count, leak.of)
    return Audit(findings, chosen.allow)


def _document_similarity(settings: AuditSettings, documents: Sequence[Record]) -> Similarity:
    """Give what says how alike documents are; see :class:`AuditSettings`."""
    if settings.document:
        found: Similarity = instantiate(settings.document)
        return found
    if all(isinstance(one.input, str) for one in documents):
        return MinHashTextSimilarity()
    return ExactSimilarity()


def audit_strangers(
    records: Sequence[Record],
    cfg: Mapping[str, Any],
    *,
    kind: str,
    groups: np.ndarray,
    corpora: Mapping[str, np.ndarray] | None = None,
) -> Audit:
    """Audit records that are judged without a training: there are no parts, only what models saw before.

    Parameters
    ----------
    records : sequence of Record
    cfg : mapping
        A composed config; read is ``audit``.
    kind : str
        Of the task.
    groups : ndarray
        Group of each record.
    corpora : mapping of str to ndarray, optional
        Sketches of what the judged checkpoint, and those that it came from, were trained on.

    Returns
    -------
    Audit
        Contradictions and overlap with each corpus.
    """
    settings, described = AuditSettings.split_from(cfg.get("audit"))
    similarity: Similarity = instantiate(described) if described.get("_target_") else ExactSimilarity()
    none = np.empty(0, dtype=np.int64)
    everything = Split(none, none, np.arange(len(records)), groups, "all records")
    auditor = _Auditor(records, everything, similarity, settings)
    return Audit([auditor.contradictions(kind), *auditor.corpus_overlap(corpora)], settings.allow)


class _Auditor:
    """One method a kind of leak."""

    def __init__(
        self, records: Sequence[Record], split: Split, similarity: Similarity, settings: AuditSettings
    ):
        self.records, self.split, self.similarity, self.settings = records, split, similarity, settings
        self.rows = {part: np.asarray(getattr(split, part)) for part in PARTS}

    def leak(self, kind: str, count: int, of: int, share: float | None = None, **facts: Any) -> Leak:
        """Hold what was found against the tolerance."""
        tolerance = self.settings.tolerance(kind)
        share = (count / of if of else 0.0) if share is None else share
        examples = facts.pop("examples", [])[: self.settings.examples]
        if tolerance is None and count:
            facts["note"] = "; ".join(filter(None, ["reported only: no tolerance is set", facts.get("note")]))
        failed = tolerance is not None and share > tolerance
        return Leak(kind, count, of, share, tolerance, examples, failed, **facts)

    def unmeasured(self, kind: str, why: str) -> Leak:
        return Leak(kind, tolerance=self.settings.tolerance(kind), failed=None, note=why)

    def some(self, rows: np.ndarray) -> list[Record]:
        return [self.records[row] for row in rows]

    def duplicates(self, equal: str = "exact_duplicates", alike_too: str = "near_duplicates") -> list[Leak]:
        """Find records of validation and test that stand in an earlier part too."""
        exact: dict[str, dict[int, int]] = {}
        near: dict[str, dict[int, tuple[int, float]]] = {}
        looks = getattr(self.similarity, "finds_near", True)
        for part, earlier in (("validation", ("train",)), ("test", ("train", "validation"))):
            known = np.concatenate([self.rows[one] for one in earlier])
            ours = self.rows[part]
            before, here = self.some(known), self.some(ours)
            exact[part] = {}
            for i, j, *_ in self.similarity.exact_duplicates(before, here):
                exact[part].setdefault(int(ours[j]), int(known[i]))
            near[part] = {}
            if looks:
                for i, j, alike in self.similarity.near_duplicates(before, here):
                    row = int(ours[j])
                    best = near[part].get(row, (0, -1.0))
                    if row not in exact[part] and alike > best[1]:
                        near[part][row] = (int(known[i]), float(alike))
        twins = {part: {row: (other, 1.0) for row, other in pairs.items()} for part, pairs in exact.items()}
        found = [self._copies(equal, twins)]
        if looks:
            found.append(self._copies(alike_too, near))
        else:
            why = "this task names no similarity: audit" + (".document" if equal == "exact_documents" else "")
            found.append(self.unmeasured(alike_too, f"{why}._target_"))
        return found

    def _copies(self, kind: str, found: Mapping[str, Mapping[int, tuple[int, float]]]) -> Leak:
        sizes = {part: len(self.rows[part]) for part in found}
        notes = [f"{len(pairs):,} of {sizes[part]:,} {part} records" for part, pairs in found.items()]
        ordered = [
            (self.records[row].id, self.records[other].id, alike)
            for part in ("test", "validation")  # a leak into test is shown first: it falsifies the result
            for row, (other, alike) in sorted(found[part].items(), key=lambda pair: (-pair[1][1], pair[0]))
        ]
        # The worse part counts: many clean validation records must not thin a leak into test out.
        share = max((len(pairs) / sizes[part] for part, pairs in found.items() if sizes[part]), default=0.0)
        return self.leak(
            kind,
            len(ordered),
            sum(sizes.values()),
            share,
            examples=ordered,
            note=", ".join(notes) if ordered else "",
        )

    def shared_groups(self) -> Leak:
        """Find groups in two parts: those that the splitter saw, and those that the records name."""
        first: dict[tuple[str, str], tuple[str, int]] = {}
        split_apart: dict[tuple[str, str], tuple[Any, ...]] = {}
        for part in PARTS:
            for row in self.rows[part].tolist():
                record = self.records[row]
                named = [("split", str(self.split.groups[row]))]
                # Most splitters group as the records do; a group is then counted once.
                if record.group is not None and str(record.group) != named[0][1]:
                    named.append(("record", str(record.group)))
                for name in named:
                    where, other = first.setdefault(name, (part, row))
                    if where != part:
                        split_apart.setdefault(name, (name[1], self.records[other].id, record.id))
        return self.leak("shared_groups", len(split_apart), len(first), examples=list(split_apart.values()))

    def contradictions(self, kind: str) -> Leak:
        """Find equal inputs with different targets, also within a part."""
        name = "contradictions"
        if kind == "segmentation":
            return self.unmeasured(name, "label maps of one image may differ, as raters do")
        if kind in ("regression", "forecast"):
            return self.unmeasured(name, "targets are measured values, which may differ in repeats")
        if kind == RETRIEVAL:
            return self.unmeasured(name, "a query may have several answers")
        if kind == GENERATION:
            return self.unmeasured(name, "records to generate have no targets")
        from scipy.sparse import coo_array
        from scipy.sparse.csgraph import connected_components

        rows = np.concatenate([self.rows[part] for part in PARTS])
        records = self.some(rows)
        pairs = np.array(
            [(i, j) for i, j, *_ in self.similarity.exact_duplicates(records, records) if i < j], dtype=int
        ).reshape(-1, 2)
        size = len(records)
        links = coo_array((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), shape=(size, size))
        inputs, member = connected_components(links, directed=False)
        labels = [_label(record.target) for record in records]
        found: dict[int, tuple[Any, ...]] = {}
        for i, j in pairs.tolist():
            if any(labels[j].get(name, value) != value for name, value in labels[i].items()):
                found.setdefault(int(member[i]), (records[i].id, records[j].id, 1.0))
        return self.leak(name, len(found), int(inputs), examples=list(found.values()))

    def single_feature(self, kind: str, targets: np.ndarray | None) -> Leak:
        """Find columns that alone predict the target on groups that were not seen."""
        name = "single_feature"
        if targets is None or kind not in ("classification", "multilabel", "regression"):
            return self.unmeasured(name, f"targets of kind {kind} are not judged by column")
        columns = columns_of(self.records, self.settings.exclude)
        groups = np.asarray(self.split.groups).astype(str)
        columns = {key: column for key, column in columns.items() if not names_groups(column, groups)}
        least = self.settings.feature_skill
        found = shortcuts(
            columns, np.asarray(targets), self.split, kind=kind, least=least, seed=self.settings.seed
        )
        if found is None:
            return self.unmeasured(name, "there are too few groups to hold some out")
        given_away = [one for one in found if one.skill >= least and one.beyond_chance]
        measure = "R2" if kind == "regression" else "balanced accuracy above chance"
        best = f"best: {found[0].column}, {measure} {found[0].skill:.2f}" if found else ""
        return self.leak(
            name,
            len(given_away),
            len(found),
            examples=[(one.column, measure, one.skill) for one in given_away],
            note=best,
        )

    def corpus_overlap(self, corpora: Mapping[str, np.ndarray] | np.ndarray | None) -> list[Leak]:
        """Measure how much of the test records each pre-training corpus held."""
        name = "corpus_overlap"
        if corpora is None or (isinstance(corpora, Mapping) and not corpora):
            return [self.unmeasured(name, "no checkpoint with a sketch of its corpus takes part")]
        sketches = corpora if isinstance(corpora, Mapping) else {"": corpora}
        test = self.some(self.rows["test"])
        found = []
        for subject, sketch in sketches.items():
            shares = np.asarray(self.similarity.overlap(sketch, test), dtype=float)
            known = np.flatnonzero(np.isfinite(shares))
            if not len(known):
                found.append(
                    self.unmeasured(
                        name, "the sketch keeps nothing of the test records, which may be too short"
                    )
                )
                continue
            held = known[shares[known] >= self.settings.corpus_share]
            held = held[np.argsort(-shares[held], kind="stable")]
            note = f"on average {shares[known].mean():.1%} of a record is in the corpus"
            if len(known) < len(test):
                rest = len(test) - len(known)
                note += f"; {rest:,} of the test records cannot be told: the sketch keeps nothing of them"
            examples = [(test[row].id, subject or "corpus", float(shares[row])) for row in held]
            found.append(
                self.leak(name, len(held), len(known), examples=examples, note=note, subject=subject)
            )
        return found


def _label(target: Any) -> dict[str, Any]:
    """Name what is known of a target by its content; the words for a long array leave numbers out."""
    if isinstance(target, np.ndarray):
        return {"": (target.shape, target.tobytes())}
    return dict(known_labels(target))
