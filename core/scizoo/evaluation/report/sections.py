"""The sections of the page, in the order in which one reads them; each is made from the content alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from scizoo.evaluation.report import appendix, figures, mistaken, tables
from scizoo.evaluation.report.appendix import Content, Part, judged
from scizoo.evaluation.report.audits import leakage, subgroups
from scizoo.evaluation.report.figures import Drawing, shown, usable
from scizoo.evaluation.report.markup import Markup, tag


def drawn(drawings: Sequence[Drawing | None]) -> Markup:
    """Lay figures side by side where there is room, each with its legend and caption."""
    made = []
    for one in drawings:
        if one is None:
            continue
        keys = tag("ul", (tag("li", key.swatch, tag("span", key.name)) for key in one.keys), class_="keys")
        caption = tag("figcaption", keys if one.keys else None, tag("p", one.caption))
        made.append(tag("figure", one.svg, caption, id=f"figure-{one.name}"))
    return tag("div", made, class_="figures") if made else Markup("")


def _results(content: Content) -> Part | None:
    body = tables.results(content.get("table") or {})
    if not body:
        return None
    lead = "Every value is measured on the same test records and stands above its interval."
    if content.get("samples"):
        lead = (
            "NLL (negative log-likelihood, in nats) is measured on the same test records for all, everything "
            "else on the records that each wrote. Every value stands above its interval."
        )
    return Part("results", "Results", lead, Markup("".join(body)))


def _comparisons(content: Content) -> Part | None:
    rows = list(content.get("comparisons") or [])
    if not rows:
        return None
    metric = (content.get("task") or {}).get("metric") or {}
    first = [row for row in rows if row.get("headline")] or rows
    rest = [row for row in rows if row not in first]
    body = tables.comparisons(first, metric)
    if rest:
        more = tag("summary", f"{len(rest)} further comparisons")
        body = Markup(body + tag("details", more, tables.comparisons(rest, metric)))
    level = rows[0].get("level")
    words = f" with {level:.0%} intervals" if usable(level) else ""
    lead = (
        f"Paired differences over the same test records and seeds{words}. To the right of zero the "
        "pre-trained model is better. p-values are adjusted for the number of comparisons below (Holm)."
    )
    return Part("differences", "Pre-trained against its rivals", lead, body)


def _curves(content: Content) -> Part | None:
    metric = (content.get("task") or {}).get("metric") or {}
    made = figures.learning_curves(content.get("curves") or [], metric)
    if made is None:
        return None
    lead = "How the result grows with the number of labels."
    if (content.get("task") or {}).get("kind") == "forecast":
        lead += " A label is a training window: one history with its future."
    if (content.get("task") or {}).get("kind") == "segmentation":
        lead += " A label is a training image with its map."
    return Part("curves", "Learning curves", lead, drawn([made]))


def _reliability(content: Content) -> Part | None:
    section = content.get("calibration")
    made = figures.reliability_diagram(section) if section else None
    if not section or made is None:
        return None
    names = {
        "ece": "calibration error\N{NO-BREAK SPACE}↓",
        "brier": "Brier score\N{NO-BREAK SPACE}↓",
        "mean_brier": "mean Brier score\N{NO-BREAK SPACE}↓",
        "log_loss": "log loss\N{NO-BREAK SPACE}↓",
    }
    stages = [
        (words, section.get(key)) for key, words in (("before", "as trained"), ("after", "after scaling"))
    ]
    stages = [(words, stage) for words, stage in stages if stage]
    rows = [
        [title, *(_measured(stage.get(name)) for _, stage in stages)]
        for name, title in names.items()
        if any(name in stage for _, stage in stages)
    ]
    body = drawn([made, figures.coverage_by_step(section)])
    if rows:
        body = Markup(body + tables.grid(["", *(words for words, _ in stages)], rows, label="Calibration"))
    factor, words = section.get("temperature"), "temperature"
    if factor is None:
        factor, words = section.get("variance_factor"), "factor of the variance"
    lead = f"Whether the model knows how sure it may be: {judged(section)}."
    if factor is not None:
        values = factor if isinstance(factor, list) else [factor]
        written = ", ".join(shown(value, 2) for value in values)
        lead += f" Scaling was fitted on validation ({words} {written}; above 1 the model was too sure)."
    return Part("calibration", "Reliability", lead, body)


def _measured(value: Any) -> Any:
    return tables.estimated(value) if isinstance(value, Mapping) else shown(value)


def _errors(content: Content) -> Part | None:
    section = content.get("errors")
    if section and section.get("kind") == "segmentation":
        return _classes(section)
    made = mistaken.error_figures(section) if section else []
    if not section or not made:
        return None
    body = drawn(made)
    title = {
        "multilabel": "Labels",
        "regression": "Residuals",
        "forecast": "Errors by step",
        "retrieval": "Ranks",
    }.get(str(section.get("kind")), "Confusion matrix")
    if section.get("matrix"):
        pairs = mistaken.confused(section)
        if pairs:
            rows = [[true, said, f"{times:,}"] for true, said, times in pairs]
            table = tables.grid(["true", "taken for", "records"], rows, label="Most confused", words=(0, 1))
            body = tag("div", body, tag("div", tag("h3", "Most often confused"), table), class_="beside")
    return Part("errors", title, f"What {judged(section)} gets right and wrong on test.", body)


def _classes(section: Content) -> Part:
    """Lay out the classes of a segmentation: overlap and distances of each."""
    unit = section.get("unit") or "pixels"
    header = [
        "class",
        "Dice ↑",
        "IoU ↑",
        f"HD95 ({unit}) ↓",
        f"ASSD ({unit}) ↓",
        "true in",
        "missed",
        "false",
    ]
    rows = [
        [
            one["class"],
            *(tables.estimated(one[name]) for name in ("dice", "iou", "hd95", "assd")),
            *(f"{one[name]:,}" for name in ("true", "missed", "false")),
        ]
        for one in section.get("by_class") or []
    ]
    body = Markup(drawn([mistaken.dice_by_class(section)]) + tables.grid(header, rows, label="Classes"))
    lead = (
        f"Each class by itself: {judged(section)}. Means over records; a record that has a class neither in "
        "truth nor in the prediction does not count for it, and one that has it in only one of them has no "
        "overlap and the image's diagonal for a distance. HD95 is the 95th percentile of distances between "
        "the outlines, ASSD their mean. Missed: true, but nothing predicted; false: the other way round."
    )
    return Part("errors", "Classes", lead, body)


def _operating(content: Content) -> Part | None:
    section = content.get("operating")
    if not section or not section.get("points"):
        return None
    names = ["AUROC", "threshold", "sensitivity", "specificity", "PPV", "NPV", "F1"]
    keys = ("sensitivity", "specificity", "ppv", "npv", "f1")
    rows = [
        [
            one["label"],
            f"{one['positives']:,}",
            f"{one['negatives']:,}",
            tables.estimated(one["auroc"]),
            shown(one["threshold"], 2) if usable(one.get("threshold")) else "–",
            *(tables.estimated(one[key]) for key in keys),
        ]
        for one in section["points"]
    ]
    table = tables.grid(["positive", "records with", "without", *names], rows, label="Operating points")
    rule = section.get("rule") or {}
    reached = f" of {rule['value']:.0%} or more" if usable(rule.get("value")) else ""
    words = {
        "youden": "the largest sum of sensitivity and specificity",
        "f1": "the largest F1",
        "sensitivity": f"a sensitivity{reached}",
        "specificity": f"a specificity{reached}",
    }.get(str(rule.get("rule")))
    chosen = (
        f"Thresholds were chosen on validation for {words}."
        if section.get("chosen") and words
        else "Decisions are made at a probability of one half; evaluation.threshold chooses another one."
    )
    lead = f"What {judged(section)} tells apart and decides. AUROC has DeLong's interval. {chosen}"
    return Part("operating", "Operating points", lead, table)


def _conformal(content: Content) -> Part | None:
    section = content.get("conformal")
    if not section:
        return None
    body = drawn([figures.conformal_coverage(section)])
    unit = str(section.get("size_unit") or "")
    rows = [
        ("asked for", f"{section['asked']:.0%}" if usable(section.get("asked")) else None),
        ("measured", tables.estimated(section.get("measured"))),
        (
            "mean size" if unit == "classes" else "mean width",
            Markup(f"{tables.estimated(section.get('size'), 2)}"),
        ),
        ("counted in", unit),
        ("method", section.get("method")),
    ]
    lead = (
        "Sets or intervals, fitted on validation, that shall hold the truth as often as asked: "
        f"{judged(section)}. The promise is about all records together, not about each group."
    )
    return Part("conformal", "Conformal coverage", lead, Markup(body + tables.facts(rows)))


def _ood(content: Content) -> Part | None:
    section = content.get("ood")
    if not section:
        return None
    body = drawn([figures.ood_histogram(section)])
    flagged, records = section.get("flagged"), section.get("records")
    share = f" ({flagged / records:.1%})" if usable(flagged) and records else ""
    pairs = [
        ("score", section.get("method")),
        ("flagged on test", f"{flagged:,} of {records:,}{share}" if share else None),
        ("AUROC", tables.estimated(section["auroc"]) if section.get("auroc") else None),
        ("against", section.get("against")),
        ("threshold", shown(section["threshold"], 2) if usable(section.get("threshold")) else None),
    ]
    quantile = section.get("quantile")
    lead = "How strange records look to the model, by where their embeddings lie."
    if usable(quantile):
        lead += f" The threshold leaves {quantile:.0%} of the validation records unflagged."
    return Part("ood", "Out of distribution", lead, Markup(body + tables.facts(pairs)))


def _leakage(content: Content) -> Part | None:
    section = content.get("leakage")
    if not section:
        return None
    lead = "Whether the test part holds what the models had seen in another form."
    return Part("leakage", "Leakage audit", lead, leakage(section))


def _subgroups(content: Content) -> Part | None:
    section = content.get("subgroups")
    if not section:
        return None
    lead = (
        "The same results by parts of the test records. "
        "Differences are tested with correction for their number."
    )
    return Part("subgroups", "Subgroups", lead, subgroups(section))


_ORDER: tuple[Callable[[Content], Part | None], ...] = (
    _results,
    _comparisons,
    _curves,
    _reliability,
    _operating,
    _errors,
    _subgroups,
    _leakage,
    _conformal,
    _ood,
    appendix.mistakes,
    appendix.samples,
    appendix.cost,
    appendix.tuning,
    appendix.data,
    appendix.reproduce,
)


def parts(content: Content) -> list[Part]:
    """Make every section that the content has something for."""
    return [made for made in (make(content) for make in _ORDER) if made is not None]
