"""What the contenders of a task of generation come to: the table, the comparisons and the verdict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from scizoo.data.records import Record
from scizoo.evaluation.cost import duration
from scizoo.evaluation.findings import Settings
from scizoo.evaluation.generation import Scorer
from scizoo.evaluation.intervals import Estimate, holm
from scizoo.evaluation.likelihood import NLL_RECORD, NLL_TOKEN, difference_of_likelihood
from scizoo.evaluation.metrics import Metric
from scizoo.evaluation.plain import plain
from scizoo.evaluation.sample_figures import (
    SampleFigure,
    describe_metric,
    difference_of_figures,
    estimate_figure,
)
from scizoo.evaluation.table import Row, number, table_section
from scizoo.evaluation.verdict import BudgetComparison, Verdict, verdict
from scizoo.evaluation.writers import Written

_ONE_SEED = " (one seed was run)"


@dataclass(frozen=True)
class Findings:
    """Everything that was measured.

    Parameters
    ----------
    main : str
        The scorer's figure of which the verdict speaks.
    metrics : list of Metric
        The columns: likelihood, the main figure, the others.
    figures : dict
        The figures of each contender, by its key.
    scores : dict
        Their values with intervals, and those of the likelihood.
    validation : dict of str to float
        Negative log-likelihood per token on validation, by which the best baseline is chosen.
    rows : list of Row
    comparisons : list of dict
        As report.json holds them.
    verdict : dict
    best_baseline : Written or None
    samples : str
        What was judged, in words.
    """

    main: str
    metrics: list[Metric]
    figures: dict[str, dict[str, SampleFigure]]
    scores: dict[str, dict[str, Estimate]]
    validation: dict[str, float]
    rows: list[Row]
    comparisons: list[dict[str, Any]]
    verdict: dict[str, Any]
    best_baseline: Written | None
    samples: str

    def plain_verdict(self) -> dict[str, Any]:
        """Give the ``verdict`` section of report.json."""
        found: dict[str, Any] = plain(
            {key: value for key, value in self.verdict.items() if key != "sentences"}
        )
        return found

    def table(self) -> dict[str, Any]:
        """Give the ``table`` section of report.json."""
        section = table_section(self.rows, self.metrics)
        words = [section["caption"], self.samples[0].upper() + self.samples[1:] + "."]
        return section | {"caption": " ".join(one for one in words if one)}


def find(written: Sequence[Written], scorer: Scorer, main: str, settings: Settings) -> Findings:
    """Judge what contenders wrote.

    Parameters
    ----------
    written : sequence of Written
        The contender that the verdict is about first.
    scorer : Scorer
        Fitted.
    main : str
        The scorer's figure of which the verdict speaks.
    settings : Settings
        How intervals are made.
    """
    how: dict[str, Any] = {"resamples": settings.resamples, "level": settings.level}
    figures = {one.contender.key: scorer.score(one.generated) for one in written}
    scores: dict[str, dict[str, Estimate]] = {}
    validation: dict[str, float] = {}
    for one in written:
        key = one.contender.key
        likelihood = one.likelihood.get("test")
        scores[key] = {} if likelihood is None else likelihood.estimates(**how)
        for name, figure in figures[key].items():
            scores[key][name] = estimate_figure(figure, len(one.generated), **how)
        known = one.likelihood.get("validation")
        if known is not None:
            validation[key] = float(known.per_token(np.ones((1, len(known.sums))))[0])
    judged = written[0].likelihood.get("test")
    unit = None if judged is None else judged.unit_metric()
    metrics = _columns(figures[written[0].contender.key], main, unit)
    baselines = [one for one in written if one.contender.role == "baseline"]
    best = min(baselines, key=lambda one: validation[one.contender.key], default=None)
    scratch = next((one for one in written[1:] if one.contender.role == "scratch"), None)
    rivals = [one for one in (best, scratch) if one is not None]
    budgets = {
        metric.name: [_compare(written[0], rival, metric, figures, how) for rival in rivals]
        for metric in (metrics[0], next(one for one in metrics if one.name == main))
    }
    rows = [
        Row(
            one.contender.title,
            scores[one.contender.key],
            role=one.contender.role,
            extra={} if one.cost is None else {"time": duration(one.cost.seconds)},
        )
        for one in written
    ]
    return Findings(
        main,
        metrics,
        figures,
        scores,
        validation,
        rows,
        _listed(budgets[NLL_TOKEN]),
        _verdict(budgets[NLL_TOKEN], budgets[main], _alone(rows[0], metrics)),
        best,
        _words(written),
    )


def _columns(figures: Mapping[str, SampleFigure], main: str, unit: tuple[str, str] | None) -> list[Metric]:
    return [
        describe_metric(NLL_TOKEN, "NLL per token", "lower"),
        figures[main].metric(main),
        *([] if unit is None else [describe_metric(*unit, "lower")]),
        *(figure.metric(name) for name, figure in figures.items() if name != main),
        describe_metric(NLL_RECORD, "NLL per record", "lower"),
    ]


def _compare(
    first: Written, second: Written, metric: Metric, figures: Mapping[str, Any], how: Mapping[str, Any]
) -> BudgetComparison:
    if metric.name == NLL_TOKEN:
        paired = difference_of_likelihood(first.likelihood["test"], second.likelihood["test"], **how)
    else:
        ours, theirs = (
            (figures[one.contender.key][metric.name], len(one.generated)) for one in (first, second)
        )
        paired = difference_of_figures(ours, theirs, **how)
    return BudgetComparison(
        None,
        first.contender.title,
        second.contender.title,
        paired,
        second.contender.role,
        metric,
        first.contender.role,
    )


def _listed(found: Sequence[BudgetComparison]) -> list[dict[str, Any]]:
    """Give comparisons as report.json holds them."""
    adjusted = holm([one.paired.p_value for one in found])
    return [
        {
            "labels": None,
            "first": one.first,
            "second": one.second,
            "role": one.role,
            "headline": True,
            "adjusted_p_value": float(p),
            **one.paired.to_dict(),
        }
        for one, p in zip(found, adjusted, strict=True)
    ]


def _alone(row: Row, metrics: Sequence[Metric]) -> str:
    """Say what a model reaches with which nothing is compared: the likelihood and the main figure."""
    said = [
        f"{number(row.scores[one.name].value, 3)} {one.title}"
        for one in metrics[:2]
        if one.name in row.scores and row.scores[one.name].value is not None
    ]
    return f"{row.name} reaches {' and '.join(said)}; nothing was compared with it." if said else row.name


def _verdict(
    likelihood: Sequence[BudgetComparison], figure: Sequence[BudgetComparison], alone: str
) -> dict[str, Any]:
    """Say in a sentence each what the held-out records and the written ones show; else ``alone``."""
    if not likelihood:
        return {"sentence": alone, "sentences": [alone], "outcome": None, "evidence": []}
    found: tuple[Verdict, Verdict] = (verdict(likelihood), verdict(figure))
    for entry in found[1].evidence:
        entry["words"] = entry["words"].replace(" test record", " written record")
    subjects = ("On held-out records", "On the records they wrote")
    sentences = [f"{subject}, {_lowered(one.sentence)}" for subject, one in zip(subjects, found, strict=True)]
    sentences[0] = sentences[0].replace(_ONE_SEED, "")
    scratch = found[0].versus_scratch
    comparisons = [entry for one in found for entry in one.evidence]
    lines = [*([scratch] if scratch else []), *([found[1].versus_scratch] if found[1].versus_scratch else [])]
    return {
        "sentence": " ".join(sentences),
        "sentences": [*sentences, *lines],
        "versus_scratch": scratch,
        # One mark for both, and none where they differ.
        "outcome": found[0].outcome if found[0].outcome == found[1].outcome else None,
        "evidence": [*lines, *(entry["words"] for entry in comparisons)],
        "comparisons": comparisons,
    }


def _lowered(sentence: str) -> str:
    """Begin with a small letter after a comma; a name keeps its own."""
    return f"t{sentence[1:]}" if sentence.startswith("There ") else sentence


def _words(written: Sequence[Written]) -> str:
    count = len(written[0].generated)
    real = next((one.generated for one in written if one.contender.role == "ceiling"), None)
    if written[0].generated.answers is not None and real is not None and count > len(real):
        words, which = f"{count // len(real):,} answers to each of {len(real):,} held-out prompts", ""
    elif written[0].generated.references is None:
        words, which = f"{count:,} records written by each model", "of the validation part "
    else:
        words, which = f"{count:,} held-out records continued by each model", "as they go on "
    return words + (f"; {len(real):,} real ones {which}stand for the best possible" if real else "")


def shown_samples(
    one: Written, scorer: Scorer, figures: Mapping[str, Mapping[str, SampleFigure]], count: int
) -> tuple[list[dict[str, Any]], list[Record | None]]:
    """Give the first records that a contender wrote for the report, and as Records where there are any."""
    assert one.drawn is not None
    shown, records = [], []
    for place, value in enumerate(one.generated.inputs[:count]):
        values = {
            name: float(figure.values[place])
            for name, figure in figures[one.contender.key].items()
            if figure.values is not None and np.isfinite(figure.values[place])
        }
        name = f"{one.contender.key}-{place + 1}"
        shown.append(
            {
                "id": name,
                "text": None if value is None else scorer.text(value),
                "listing": not isinstance(value, str | None),  # the text spells an object out
                "log_likelihood_per_token": float(one.drawn.per_token[place]),
                "finished": bool(one.drawn.finished[place]),
                "figures": values,
            }
        )
        valid = value is not None and scorer.key(value) is not None
        records.append(Record(name, value) if valid else None)
    return shown, records
