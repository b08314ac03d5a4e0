"""From tokens to characters, and how they are drawn."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from scizoo.data.records import Record
from scizoo_code.picture import draw
from scizoo_code.sources import Documented, Gap
from scizoo_code.tokenizers.bpe import SourceBPETokenizer
from scizoo_code.tokenizers.bytes import SourceBytesTokenizer

SOURCE = "def area(radius):\n\treturn 3.14 * radius ** 2  # f\u00fcr \U0001f389\n"


@pytest.fixture(scope="module", params=["bpe", "bytes"])
def tokenizer(request):
    if request.param == "bytes":
        return SourceBytesTokenizer()
    made = SourceBPETokenizer(vocab_size=300)
    made.train([SOURCE * 5, "radius = 4\nreturn radius\n" * 9])
    return made


@pytest.mark.parametrize("source", [SOURCE, "caf\udce9 = 1\n", Documented("The area", "def area(): ...")])
def test_pieces_become_characters_and_nothing_is_lost(tokenizer, source):
    text = source if isinstance(source, str) else f"{source.query}\n{source.code}"
    ids = tokenizer.encode([source])["input_ids"].values
    scores = np.random.default_rng(0).normal(size=len(ids))
    found = tokenizer.attribute(source, scores)
    assert found.shape == (len(text),) and found.sum() == pytest.approx(scores.sum())


def test_a_word_marks_its_own_characters_and_windows_that_were_not_read_nothing(tokenizer):
    ids = tokenizer.encode([SOURCE])["input_ids"].values
    spelled = [tokenizer.decode([id]) for id in ids]
    place = next(n for n, word in enumerate(spelled) if "r" in word and n > 3)
    alone = np.zeros(len(ids))
    alone[place] = 1.0
    reached = np.flatnonzero(tokenizer.attribute(SOURCE, alone))
    assert SOURCE[reached[0] : reached[-1] + 1] == spelled[place]
    begun = np.ones(len(ids))
    begun[5:] = np.nan
    found = tokenizer.attribute(SOURCE, begun)
    read = len("".join(spelled[:5]))
    assert np.isfinite(found[:read]).all() and np.isnan(found[read:]).all()
    assert tokenizer.attribute(Gap("a", "b", "c"), np.ones(6)) is None


def test_the_lines_that_were_used_are_shown_with_coloured_grounds():
    text = "".join(f"value_{number} = {number}\n" for number in range(80))
    used = np.zeros(len(text))
    start = text.index("value_70")
    used[start : start + 8] = 1.0
    figure = Figure(layout="constrained")
    axes = figure.subplots()
    given = {"value": "yes", "attributions": used, "output": "misuse"}
    draw(axes, Record("s", text, "no"), given)
    assert any("value_70" in one.get_text() for one in axes.texts)
    boxes = [one for one in axes.patches if isinstance(one, Rectangle)]
    assert len(boxes) == 1
    row = next(one for one in axes.texts if "value_70" in one.get_text())
    assert boxes[0].get_y() < row.get_position()[1] < boxes[0].get_y() + boxes[0].get_height()
    assert "misuse" in figure.get_supxlabel() and "predicted: yes" in axes.get_title()
    figure.canvas.draw()
    ground, letters = (one.get_window_extent().width for one in (boxes[0], row))
    assert ground == pytest.approx(letters * 8 / len(row.get_text()), rel=0.1), "letters on their ground"
