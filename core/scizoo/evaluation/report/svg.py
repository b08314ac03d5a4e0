"""Matplotlib figures as inline SVG that takes its colours and its font from the page around it."""

from __future__ import annotations

import io
import logging
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from scizoo.evaluation.report.markup import Markup, tag

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Matplotlib wants colours, the page wants variables that change with dark mode and in print. So figures are
# drawn in colours that nothing else has, and these become variables of style.css.
INK, MUTED, LINE, PAPER, HEAT, ON_HEAT = (f"#1011{place:02x}" for place in range(16, 22))
SERIES = tuple(f"#1011{place:02x}" for place in range(32, 40))
#: The same colours for HTML.
VARIABLES = {
    INK: "var(--ink)",
    MUTED: "var(--muted)",
    LINE: "var(--line)",
    PAPER: "var(--paper)",
    HEAT: "var(--heat)",
    ON_HEAT: "var(--on-heat)",
    **{colour: f"var(--series-{place})" for place, colour in enumerate(SERIES)},
}
WIDTH = 4.6  # inches, 331 CSS pixels: as wide as a phone, so that letters keep their size there

_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",  # letters stay letters: they can be read aloud, searched and styled
    "text.parse_math": False,  # a name such as "a$b$" is a name
    "font.size": 9.5,
    "axes.titlesize": 9.5,
    "axes.labelsize": 9.5,
    "xtick.labelsize": 9,
    "ytick.labelsize": 9,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": MUTED,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "axes.unicode_minus": True,
    "grid.color": LINE,
    "grid.linewidth": 0.7,
    "xtick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.color": MUTED,
    "ytick.labelcolor": INK,
    "xtick.major.size": 3,
    "ytick.major.size": 0,
    "xtick.minor.visible": False,
    "lines.linewidth": 1.8,
    "lines.solid_capstyle": "round",
}


@contextmanager
def page_style() -> Iterator[None]:
    """Draw in the style of the report, whatever the user's matplotlibrc says."""
    import matplotlib

    fonts, level = logging.getLogger("matplotlib.font_manager"), logging.ERROR
    before = fonts.level
    fonts.setLevel(level)
    # rc_context alone would keep what the user's own file has changed.
    with matplotlib.rc_context(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=r"Glyph .* missing from")  # the browser has other fonts
        matplotlib.rcParams.update(matplotlib.rcParamsDefault)
        matplotlib.rcParams.update(_STYLE)
        try:
            yield
        finally:
            fonts.setLevel(before)


def canvas(height: float = 3.0, width: float = WIDTH) -> tuple[Figure, Axes]:
    """Make a figure without pyplot, which keeps figures and may open windows.

    Parameters
    ----------
    height, width : float
        Inches.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.subplots()


def inline_svg(figure: Figure, name: str, label: str) -> Markup:
    """Write a figure as an ``svg`` element for a page.

    Parameters
    ----------
    figure : Figure
        Drawn inside :func:`page_style`.
    name : str
        Unique on the page; it goes before every id.
    label : str
        What the figure shows, for those who cannot see it.

    Returns
    -------
    Markup
    """
    import matplotlib

    figure.patch.set_visible(False)
    for axes in figure.axes:
        axes.patch.set_visible(False)
    stream = io.StringIO()
    with matplotlib.rc_context({"svg.hashsalt": name, "svg.id": None}):
        figure.savefig(
            stream, format="svg", metadata={"Date": None, "Creator": None, "Type": None, "Format": None}
        )
    source = stream.getvalue()
    source = source[source.index("<svg") :]
    opening, _, body = source.partition(">")
    box = re.search(r'viewBox="([-\d. ]+)"', opening)
    assert box is not None
    body = body.rpartition("</svg>")[0]
    body = re.sub(r"<metadata>.*?</metadata>|<style[^>]*>.*?</style>", "", body, flags=re.DOTALL)
    used = set(re.findall(r'(?:xlink:href="|url\()#([^")]+)', body))

    def for_the_page(found: re.Match[str]) -> str:
        element = found[0]
        element = re.sub(
            r' id="([^"]+)"', lambda one: f' id="{name}-{one[1]}"' if one[1] in used else "", element
        )
        element = re.sub(r'(xlink:href="|url\()#', rf"\1#{name}-", element)
        element = re.sub(r"#1011[12][0-9a-f]", lambda one: VARIABLES.get(one[0], one[0]), element)
        # The page's own font; matplotlib measured with a wider one, so nothing comes to overlap.
        element = re.sub(r"font-family: [^;\"]+;?", "", element)
        element = re.sub(r"font: ([\d.]+px) [^;\"]+", r"font-size: \1", element)
        return re.sub(r"\s*\n\s*", " ", element)

    body = re.sub(r"<[^>]*>", for_the_page, body)  # only inside of elements, never in what is written
    body = re.sub(r">\s*\n\s*<", "><", body)
    return tag("svg", Markup(body), viewBox=box[1], role="img", aria_label=label, class_="drawing")
