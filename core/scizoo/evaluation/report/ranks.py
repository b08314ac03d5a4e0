"""The figure of a task of retrieval: how often the right answer stood where."""

from __future__ import annotations

import numpy as np

from scizoo.evaluation.report.figures import Drawing, Key, Section, shown, swatch
from scizoo.evaluation.report.svg import MUTED, PAPER, SERIES, canvas, inline_svg, page_style

_DIRECTIONS = (("documents for queries", 0, ""), ("queries for documents", 1, "////"))


def rank_counts(section: Section) -> Drawing:
    """Draw the histogram of the ranks of right answers, in both directions."""
    counts = np.asarray(section["counts"], dtype=float)
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    names = [f"{low}" if low == high else f"{low}–{high}" for low, high in section["bins"]]
    places = np.arange(len(names))
    with page_style():
        figure, axes = canvas(3.3)
        keys = []
        for number, (title, colour, hatch) in enumerate(_DIRECTIONS):
            axes.bar(
                places + 0.4 * (number - 0.5),
                share[number],
                width=0.38,
                color=SERIES[colour],
                hatch=hatch,
                edgecolor=PAPER,
                linewidth=0.6,
            )
            keys.append(Key(title, swatch(SERIES[colour], patch=True)))
        turned = len(names) > 7
        axes.set_xticks(places, names, rotation=40 if turned else 0, ha="right" if turned else "center")
        axes.grid(axis="x", visible=False)
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
        axes.set_xlabel("rank of the right answer")
        axes.set_title("share of records", loc="left", color=MUTED)
        words = "; ".join(
            f"{title}: the right answer is first for {share[number, 0]:.0%}"
            for number, (title, _, _) in enumerate(_DIRECTIONS)
        )
        svg = inline_svg(figure, "ranks", f"Histogram of ranks. {words}.")
    forth, back = (shown(value) for value in section.get("candidates") or (None, None))
    caption = f"Among {forth} documents a query and {back} queries a document. Bins double."
    return Drawing("ranks", svg, caption, tuple(keys))
