"""The verdict: one sentence that can be quoted, computed from paired differences, and its evidence.

A contender "beats" another one with some number of labels only if the interval of their difference excludes
zero and the test still says so after Holm's correction over the label budgets. Everything else is told
as "no evidence", never as "no difference".
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from scizoo.evaluation.intervals import PairedResult, holm
from scizoo.evaluation.metrics import Metric, get_metric

if TYPE_CHECKING:
    from scizoo.evaluation.findings import Comparison

Outcome = Literal["wins", "loses", "none", "undefined"]


@dataclass(frozen=True)
class BudgetComparison:
    """The pre-trained contender against another one, with one label budget.

    Parameters
    ----------
    labels : int or None
        Training records that were seen; None where that is not known.
    first, second : str
        Names for people; the first is the pre-trained one.
    paired : PairedResult
        Positive where the first is better.
    role : str
        Of the second: ``"baseline"``, ``"floor"`` or ``"scratch"``.
    metric : str or Metric
    first_role : str
        ``"pretrained"``, or ``"scratch"`` where no contender is pre-trained.
    unit : str
        What a label is called: of forecasts it is a training window, one history with its future, and
        of retrieval a pair.
    """

    labels: int | None
    first: str
    second: str
    paired: PairedResult
    role: str = "baseline"
    metric: str | Metric = "mcc"
    first_role: str = "pretrained"
    unit: str = "label"

    @classmethod
    def of(cls, comparison: Comparison, metric: str) -> BudgetComparison:
        """Take it from what :func:`~scizoo.evaluation.findings.comparisons` found."""
        first, second = comparison.first, comparison.second
        return cls(
            comparison.labels,
            first.title,
            second.title,
            comparison.paired,
            second.role,
            metric,
            first.role,
            {"forecast": "training window", "segmentation": "labelled image", "retrieval": "pair"}.get(
                first.test[0].kind, "label"
            ),
        )


@dataclass(frozen=True)
class Verdict:
    """What a comparison comes to.

    Parameters
    ----------
    sentence : str
        Against the best baseline; against training from scratch where no baseline took part.
    versus_scratch : str or None
        Whether pre-training helps; None where that is not known, or is the sentence itself.
    evidence : list of dict
        One entry a comparison, largest label budget first; ``words`` says it in one line.
    outcome : str or None
        ``pretrained``, ``mixed``, ``undecided``, ``scratch`` or ``baseline``: who wins. None where a network
        that was not pre-trained beats the baseline: pre-training was not judged.
    """

    sentence: str
    versus_scratch: str | None
    evidence: list[dict[str, Any]]
    outcome: str | None

    def __str__(self) -> str:
        return f"{self.sentence} {self.versus_scratch}" if self.versus_scratch else self.sentence

    def to_dict(self) -> dict[str, Any]:
        """Give the plain form for report.json: the evidence in words, and beside it in numbers."""
        words = [one["words"] for one in self.evidence]
        return {
            "sentence": self.sentence,
            "versus_scratch": self.versus_scratch,
            "outcome": self.outcome,
            "evidence": [self.versus_scratch, *words] if self.versus_scratch else words,
            "comparisons": self.evidence,
        }


@dataclass(frozen=True)
class _Finding:
    """A comparison, and what it means once all budgets are known."""

    given: BudgetComparison
    outcome: Outcome
    adjusted_p: float
    family: int

    @property
    def pair(self) -> tuple[str, str]:
        return self.given.first, self.given.second


def headlines(comparisons: Iterable[Comparison], metric: str) -> list[BudgetComparison]:
    """Keep the comparisons between the best of their kind, chosen on validation, at each label budget."""
    return [BudgetComparison.of(one, metric) for one in comparisons if one.headline]


def verdict(findings: Sequence[BudgetComparison], *, total: int | None = None) -> Verdict:
    """Say in a sentence whether the pre-trained model is worth using, and from how many labels on.

    Parameters
    ----------
    findings : sequence of BudgetComparison
        The best pre-trained contender against the best baseline and against training from scratch, at each
        label budget; corrected for multiple comparisons over the budgets, for either rival apart.
    total : int, optional
        All labels there are; the budget that has them is called so.

    Returns
    -------
    Verdict
    """
    rival = _judge([one for one in findings if one.role != "scratch"])
    scratch = _judge([one for one in findings if one.role == "scratch"])
    evidence = [_evidence(one, total) for one in (*rival, *scratch)]
    helps = _versus_scratch(scratch, total) if scratch else None
    if rival:
        sentence = _close(_sentence(rival, total), rival)
        if sentence.startswith("with "):  # a name keeps its own first letter
            sentence = f"W{sentence[1:]}"
    elif helps is not None:
        sentence, helps = helps, None
    else:
        sentence = "There is nothing to compare: only one kind of contender took part."
    return Verdict(sentence, helps, evidence, _outcome(rival, scratch))


def _judge(findings: Sequence[BudgetComparison]) -> list[_Finding]:
    """Decide each comparison after Holm's correction; largest budget first."""
    adjusted = holm([one.paired.p_value for one in findings])
    judged = []
    for one, p in zip(findings, adjusted, strict=True):
        paired = one.paired
        outcome: Outcome = "none"
        if not all(map(math.isfinite, (paired.difference, paired.low, paired.high, p))):
            outcome = "undefined"
        elif paired.excludes_zero and p <= 1 - paired.level + 1e-12:
            outcome = "wins" if paired.low > 0 else "loses"
        judged.append(_Finding(one, outcome, float(p), len(findings)))
    return sorted(judged, key=lambda one: -(one.given.labels or 0))


def _sentence(found: list[_Finding], total: int | None) -> str:
    """Write the clauses: what is decided, largest budget first, then what is not."""
    groups: dict[tuple[str, str, str], list[_Finding]] = {}
    for one in found:
        groups.setdefault((one.outcome, *one.pair), []).append(one)
    decided = [group for (outcome, *_), group in groups.items() if outcome in ("wins", "loses")]
    open_ones = [group for (outcome, *_), group in groups.items() if outcome == "none"]
    unknown = [group for (outcome, *_), group in groups.items() if outcome == "undefined"]
    if not decided and open_ones:
        clauses = [_no_evidence(open_ones, total)]
    else:
        clauses = [_decided(group, total) for group in decided]
        clauses += [_undecided(group, decided, total) for group in open_ones]
    for group in unknown:
        same = all(one.pair == group[0].pair for one in found) and bool(clauses)
        who = "they" if same else " and ".join(group[0].pair)
        clauses.append(_with(group, total, "and", f" {who} cannot be compared ({_reason(group[0])})"))
    return "; ".join(clauses)


def _decided(group: list[_Finding], total: int | None) -> str:
    """Write who beats whom; with several budgets the figure is that of the largest."""
    first, second = group[0].pair
    winner, loser = (first, second) if group[0].outcome == "wins" else (second, first)
    largest = group[0]
    amount = _amount(largest)
    where = f" with {_labels([largest], total, 'and')}" if len(group) > 1 else ""
    metric = _metric(largest)
    if metric.direction == "lower":
        return _with(
            group, total, "and", f", {winner} beats {loser} (lower {metric.title} by {amount}{where})"
        )
    comma = "," if where else ""
    unit = f" {metric.title}" if " " not in metric.title else f" in {metric.title}"
    value, interval = amount.split(" ", 1)
    return _with(group, total, "and", f", {winner} beats {loser}{comma} by {value}{unit} {interval}{where}")


def _undecided(group: list[_Finding], decided: list[list[_Finding]], total: int | None) -> str:
    told = [one for one in decided if one[0].pair == group[0].pair]
    if len(decided) != len(told):
        first, second = group[0].pair
        what = f"that {first} beats {second}"
    elif all(one[0].outcome == "wins" for one in told):
        what = "that it does"
    else:
        what = "of a difference between them"
    return _with(group, total, "and", f" there is no evidence {what}")


def _no_evidence(groups: list[list[_Finding]], total: int | None) -> str:
    """Write that nothing is decided, with the figure of the largest budget."""
    claims = []
    for group in groups:
        first, second = group[0].pair
        known = _labels(group, total, "or")
        claims.append(f"that {first} beats {second}" + (f" with {known}" if known else ""))
    largest, many = groups[0][0], sum(map(len, groups)) > 1
    where = f"with {_labels([largest], total, 'or')} " if many and largest.given.labels is not None else ""
    title = _metric(largest).title
    subject = f"its {title}" if len(groups) == 1 else f"the {title} of {largest.given.first}"
    return f"There is no evidence {', or '.join(claims)}: {where}{subject} is {_offset(largest)}"


def _versus_scratch(found: list[_Finding], total: int | None) -> str:
    outcomes = {one.outcome for one in found}
    if outcomes == {"undefined"}:
        return f"Whether pre-training helps is not known: {_reason(found[0])}."
    if "wins" in outcomes and "loses" in outcomes:
        lead = "Pre-training helps with some numbers of labels and harms with others"
    elif "wins" in outcomes:
        lead = "Pre-training helps"
    elif "loses" in outcomes:
        lead = "Pre-training harms"
    else:
        here = [one for one in found if one.outcome == "none"]
        largest, known = here[0], _labels(here, total, "or")
        title, (first, second) = _metric(largest).title, largest.pair
        where = f"with {_labels([largest], total, 'or')} " if len(here) > 1 and known else ""
        words = (
            f"There is no evidence that pre-training helps{f' with {known}' if known else ''}: "
            f"{where}the {title} of {first} is {_offset(largest, f' than that of {second}')}"
        )
        return _close(words, found)
    return _close(f"{lead}: {_sentence(found, total)}", found)


def _close(sentence: str, found: list[_Finding]) -> str:
    # The interval cannot hold what differs between trainings when there was only one.
    single = all(one.given.paired.seeds_first == 1 for one in found)
    return sentence + (" (one seed was run)." if single else ".")


def _with(group: list[_Finding], total: int | None, word: str, rest: str) -> str:
    """Put the label budgets in front, where they are known."""
    known = _labels(group, total, word)
    return f"with {known}{rest}" if known else rest.lstrip(", ")


def _labels(group: list[_Finding], total: int | None, word: str) -> str:
    """Name label budgets in ascending order: "20, 100 and all 2,545 labels"."""
    numbers = sorted({one.given.labels for one in group if one.given.labels is not None})
    if not numbers:
        return ""
    names = [f"all {n:,}" if n == total else f"{n:,}" for n in numbers]
    listed = names[0] if len(names) == 1 else f"{', '.join(names[:-1])} {word} {names[-1]}"
    return f"{listed} {group[0].given.unit}{'' if numbers == [1] else 's'}"


def _metric(one: _Finding) -> Metric:
    return get_metric(one.given.metric)


def _reason(one: _Finding) -> str:
    return one.given.paired.reason or "the metric is undefined"


def _amount(one: _Finding) -> str:
    """Write by how much the winner is ahead: "0.031 [0.012, 0.049]"."""
    paired = one.given.paired
    turned = (paired.difference, paired.low, paired.high)
    if one.outcome == "loses":
        turned = (-paired.difference, -paired.high, -paired.low)
    return _numbers(*turned)


def _offset(one: _Finding, than: str = "") -> str:
    """Write where the first lies: "higher by 0.004 [-0.020, 0.030]", in the metric's own direction."""
    paired = one.given.paired
    better = paired.difference >= 0
    higher = better == (_metric(one).direction == "higher")
    numbers = (
        (paired.difference, paired.low, paired.high)
        if better
        else (-paired.difference, -paired.high, -paired.low)
    )
    words = f"{'higher' if higher else 'lower'}{than} by {_numbers(*numbers)}"
    if paired.excludes_zero:
        words += f", which does not hold after correction for {one.family} comparisons"
    return words


def _numbers(value: float, low: float, high: float) -> str:
    """Write a value and its interval with two digits of the interval's half width."""
    places = _places(low, high)
    # A bound away from zero must not look like zero.
    while places < 8 and any(bound and not round(bound, places) for bound in (low, high)):
        places += 1
    shown = [f"{round(number, places) + 0.0:,.{places}f}" for number in (value, low, high)]
    return f"{shown[0]} [{shown[1]}, {shown[2]}]"


def _places(low: float, high: float) -> int:
    half = abs(high - low) / 2
    if not math.isfinite(half) or half == 0:
        return 3
    return min(8, max(0, 1 - math.floor(math.log10(half))))


def _evidence(one: _Finding, total: int | None) -> dict[str, Any]:
    given, paired = one.given, one.given.paired
    return {
        "labels": given.labels,
        "first": given.first,
        "second": given.second,
        "role": given.role,
        "outcome": one.outcome,
        "metric": _metric(one).name,
        "adjusted_p_value": one.adjusted_p,
        "compared": one.family,
        **paired.to_dict(),
        "words": _words(one, total),
    }


def _words(one: _Finding, total: int | None) -> str:
    paired, title = one.given.paired, _metric(one).title
    known = _labels([one], total, "and")
    parts = [f"{known}: " if known else "", f"{one.given.first} against {one.given.second}: "]
    if one.outcome == "undefined":
        return "".join(parts) + f"not known, {_reason(one)}."
    places = _places(paired.low, paired.high)
    values = f"{title} {paired.value_first:,.{places}f} and {paired.value_second:,.{places}f}"
    p = "< 0.001" if one.adjusted_p < 0.001 else f"= {one.adjusted_p:.3f}"
    seeds = f"{paired.seeds_first} seed{'' if paired.seeds_first == 1 else 's'}"
    groups = f" in {paired.groups:,} groups" if paired.groups != paired.records else ""
    where = _offset(one).partition(", which")[0]
    return "".join(parts) + (
        f"{values}, {where} ({paired.level:.0%} interval, adjusted p {p}; "
        f"{paired.records:,} test records{groups}, {seeds})."
    )


def _outcome(rival: list[_Finding], scratch: list[_Finding]) -> str | None:
    """Say who wins, over all label budgets."""
    main, others = {one.outcome for one in rival or scratch}, {one.outcome for one in scratch}
    loser = "baseline" if rival else "scratch"
    if not main:
        return "undecided"
    if "loses" in main:
        return "mixed" if "wins" in main else loser
    if "wins" not in main:
        return "scratch" if others == {"loses"} else "undecided"
    if rival and "loses" in others:  # it beats the baseline, but so may a network that was never pre-trained
        return "scratch" if "wins" not in others else "mixed"
    if main != {"wins"}:
        return "mixed"
    fresh = any(one.given.first_role == "scratch" for one in rival)
    return None if fresh else "pretrained"
