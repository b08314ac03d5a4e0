"""What a leakage audit knows: the kinds of leak, what is tolerated of each, and what was found."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from scizoo.errors import ConfigError, DataError, did_you_mean

_TITLES = {
    "exact_duplicates": "Exact duplicates across parts",
    "near_duplicates": "Near duplicates across parts",
    "exact_documents": "Equal documents across parts",
    "near_documents": "Near copies of documents across parts",
    "shared_groups": "Groups split apart",
    "contradictions": "Equal inputs with different targets",
    "single_feature": "Target given away by a single column",
    "corpus_overlap": "Test records in the pre-training corpus",
}
_COUNTED = {
    "exact_duplicates": "validation and test records with a copy in another part",
    "near_duplicates": "validation and test records with a near copy in another part",
    "exact_documents": "validation and test records whose document is in another part",
    "near_documents": "validation and test records with a near copy of their document in another part",
    "shared_groups": "groups in more than one part",
    "contradictions": "inputs with different targets",
    "single_feature": "columns that alone predict the target",
    "corpus_overlap": "test records that are largely in the pre-training corpus",
}
_REMEDIES = {
    "contradictions": "correct the targets",
    "single_feature": "exclude columns that may know it (audit.exclude), or balance the data",
    "corpus_overlap": "use a checkpoint that has not seen them",
}
KINDS = tuple(_TITLES)
#: Shares up to which each kind is tolerated; None: it is reported and never fails.
TOLERANCES: dict[str, float | None] = {
    "exact_duplicates": 0.0,
    "near_duplicates": 0.01,
    "exact_documents": 0.0,
    "near_documents": 0.01,
    "shared_groups": 0.0,
    "contradictions": 0.0,
    "single_feature": None,
    "corpus_overlap": None,
}


class LeakageError(DataError):
    """The split leaks more than is tolerated, and nobody allowed it by name."""


@dataclass(frozen=True)
class AuditSettings:
    """What the audit measures and tolerates.

    Parameters
    ----------
    allow : tuple of str
        Kinds that may leak; they are reported as allowed.
    tolerances : mapping
        By kind, where they differ from ``TOLERANCES``: a share, or None to report only.
    exclude : tuple of str
        Columns that are not looked at as single features, because they may know the target (a rank
        above it, a unit of it). Columns that name the groups are left out by themselves.
    feature_skill : float
        From which skill on (0 chance, 1 perfect) a column gives the target away.
    corpus_share : float
        From which share on a record counts as part of the pre-training corpus.
    examples : int
        Shown of each kind.
    seed : int
    document : mapping, optional
        Of retrieval: ``_target_`` and settings of what says how alike documents are. By default texts are
        compared by their shingles, everything else for equality.

    Raises
    ------
    ConfigError
        When a kind is unknown, or a tolerance is no share.
    """

    allow: tuple[str, ...] = ()
    tolerances: Mapping[str, float | None] = field(default_factory=dict)
    exclude: tuple[str, ...] = ()
    feature_skill: float = 0.5
    corpus_share: float = 0.5
    examples: int = 5
    seed: int = 0
    document: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        check_kinds(self.allow, "audit.allow")
        check_kinds(self.tolerances, "audit.tolerances")
        for kind, tolerance in self.tolerances.items():
            number = isinstance(tolerance, int | float) and not isinstance(tolerance, bool)
            if tolerance is not None and not (number and 0 <= tolerance <= 1):
                raise ConfigError(
                    f"audit.tolerances.{kind}={tolerance}", expected="a share from 0 to 1, or null"
                )

    @classmethod
    def split_from(cls, group: Mapping[str, Any] | None) -> tuple[AuditSettings, dict[str, Any]]:
        """Part a config's ``audit`` group into the audit's own keys and what describes the similarity."""
        rest = dict(group or {})
        own = {name: rest.pop(name) for name in cls.__dataclass_fields__ if name in rest}
        for name in ("allow", "exclude"):
            given = own.get(name)
            own[name] = (given,) if isinstance(given, str) else tuple(given or ())
        own["tolerances"] = dict(own.get("tolerances") or {})
        return cls(**own), rest

    def tolerance(self, kind: str) -> float | None:
        """Give the tolerated share of a kind."""
        return self.tolerances[kind] if kind in self.tolerances else TOLERANCES[kind]


def check_kinds(names: Iterable[str], where: str) -> None:
    """Refuse names that no kind of leak has."""
    for name in names:
        if name not in KINDS:
            raise ConfigError(f"{where}: no leak is called '{name}': {did_you_mean(str(name), KINDS)}")


@dataclass(frozen=True)
class Leak:
    """What was found of one kind of leak.

    Parameters
    ----------
    kind : str
        One of ``KINDS``, as ``audit.allow`` names it.
    count, of : int
        How many leak, of how many.
    share : float
        What is held against the tolerance: of the part that leaks most, where parts are told apart.
    tolerance : float or None
        None: reported only.
    examples : list of (id, id, similarity)
        For groups: group and two records; for columns: column, how it is judged, skill.
    failed : bool or None
        None: not measured, and the note says why.
    note : str
    subject : str
        Which checkpoint, where there are several.
    """

    kind: str
    count: int = 0
    of: int = 0
    share: float = 0.0
    tolerance: float | None = None
    examples: list[tuple[Any, ...]] = field(default_factory=list)
    failed: bool | None = False
    note: str = ""
    subject: str = ""

    @property
    def title(self) -> str:
        """The kind in words."""
        return _TITLES[self.kind] + (f": {self.subject}" if self.subject else "")

    def to_dict(self, allow: Iterable[str] = ()) -> dict[str, Any]:
        """Give the plain form for report.json."""
        return {
            "name": self.kind,
            "title": self.title,
            "count": self.count,
            "of": self.of,
            "share": self.share,
            "tolerance": self.tolerance,
            "judged": self.tolerance is not None and self.failed is not None,
            "passed": None if self.failed is None else not self.failed,
            "allowed": bool(self.failed) and self.kind in set(allow),
            "note": self.note,
            "examples": [list(example) for example in self.examples],
        }


@dataclass(frozen=True)
class Audit:
    """All findings of an audit.

    Parameters
    ----------
    findings : list of Leak
        One a kind, also of those that found nothing.
    allow : tuple of str
        Kinds that the config allows.
    """

    findings: list[Leak]
    allow: tuple[str, ...] = ()

    def failed(self, allow: Iterable[str] = ()) -> list[Leak]:
        """Give what leaks more than is tolerated and was not allowed by name."""
        allowed = {*self.allow, *allow}
        check_kinds(allowed, "audit.allow")
        return [leak for leak in self.findings if leak.failed and leak.kind not in allowed]

    def to_dict(self, allow: Iterable[str] = ()) -> dict[str, Any]:
        """Give the plain form for report.json: ``passed`` and ``checks``.

        ``passed`` is also false for what was allowed: a reader must know that the test is not clean.
        """
        allowed = {*self.allow, *allow}
        return {
            "passed": not any(leak.failed for leak in self.findings),
            "checks": [leak.to_dict(allowed) for leak in self.findings],
        }

    def check(self, allow: Iterable[str] = ()) -> None:
        """Refuse a split that leaks.

        Raises
        ------
        LeakageError
            Naming every kind that leaks, how much of it there is, examples, and what to do.
        """
        failed = self.failed(allow)
        if not failed:
            return
        kinds = list(dict.fromkeys(leak.kind for leak in failed))
        mend = list(dict.fromkeys(_REMEDIES.get(kind, "mend the split") for kind in kinds))
        accepted = [kind for kind in KINDS if kind in {*self.allow, *allow, *kinds}]
        raise LeakageError(
            "this split leaks: " + "; ".join(map(_told, failed)) + ".",
            expected=", ".join(f"{k} at most {self._tolerance(k):.2%}" for k in kinds),
            remedy=f"{', '.join(mend)}; or allow it by name: audit.allow=[{','.join(accepted)}]",
        )

    def _tolerance(self, kind: str) -> float:
        return next(leak.tolerance or 0.0 for leak in self.findings if leak.kind == kind)


def _told(leak: Leak) -> str:
    shown = ", ".join(" ~ ".join(_word(part) for part in example) for example in leak.examples[:3])
    about = f" ({leak.subject})" if leak.subject else ""
    return f"{leak.kind}{about}, {leak.count:,} of {leak.of:,} {_COUNTED[leak.kind]}" + (
        f", such as {shown}" if shown else ""
    )


def _word(part: Any) -> str:
    return f"{part:.2f}" if isinstance(part, float) else f"'{part}'"
