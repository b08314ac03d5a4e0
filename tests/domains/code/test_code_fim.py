"""Filling in the middle: exact inversion, shares, and what the model sees of a gap."""

from __future__ import annotations

import numpy as np
import pytest

from scizoo.data.encoding import encode_records
from scizoo.data.module import DataModule
from scizoo.data.records import Record
from scizoo.data.windows import Context
from scizoo.errors import ConfigError
from scizoo_code.fim import FORMS, MARKS, Arranged, FillInTheMiddle, random_gap
from scizoo_code.sources import Gap
from scizoo_code.tokenizers.bytes import SourceBytesTokenizer

TOKENS = SourceBytesTokenizer()
PREFIX, MIDDLE, SUFFIX = (TOKENS.SPECIAL.index(mark) for mark in MARKS)


def ids(value) -> list[int]:
    return TOKENS.encode([value])["input_ids"][0].tolist()


def spelled(text: str) -> list[int]:
    return [byte + len(TOKENS.SPECIAL) for byte in text.encode()]


def test_the_forms_are_those_of_the_paper():
    gap = Gap(prefix="ab", suffix="ef", middle="cd")
    psm = [PREFIX, *spelled("ab"), SUFFIX, *spelled("ef"), MIDDLE, *spelled("cd")]
    spm = [PREFIX, SUFFIX, *spelled("ef"), MIDDLE, *spelled("abcd")]
    assert ids(Arranged(gap, "psm")) == ids(gap) == psm
    assert ids(Arranged(gap, "spm")) == spm
    assert ids(Arranged(gap, "left")) == spelled("abcd")


@pytest.mark.parametrize("form", FORMS)
def test_every_gap_is_inverted_exactly(form):
    rng = np.random.default_rng(1)
    texts = [
        "def f(x):\n    return x\n",
        "x",
        "\u6f22\u5b57 = '\U0001f389'\r\n\t",
        "caf\udce9",
        "a<fim_suffix>b",
    ]
    for text in texts:
        gaps = [random_gap(text, rng) for _ in range(20)]
        gaps += [Gap("", "", text), Gap(text, "", ""), Gap("", text, "")]
        for gap in gaps:
            assert gap.source == text
            found = TOKENS.decode(ids(Arranged(gap, form)))
            assert found == (gap.prefix + gap.middle if form == "left" else text)


def test_rate_and_share_are_exact_and_gaps_follow_from_the_seed():
    views = FillInTheMiddle(rate=0.5, spm=0.5, count=8)("some text of a file")
    assert views[0] == "some text of a file" and views.count(views[0]) == 4
    forms = [view.form for view in views if isinstance(view, Arranged)]
    assert sorted(forms) == ["psm", "psm", "spm", "spm"]
    assert views == FillInTheMiddle(rate=0.5, spm=0.5, count=8)("some text of a file")
    assert views != FillInTheMiddle(rate=0.5, spm=0.5, count=8, seed=1)("some text of a file")
    assert {view.form for view in FillInTheMiddle(spm=0.0, count=4)("text")[2:]} == {"psm"}
    assert FillInTheMiddle(rate=0.0)("text") == ["text"]


def test_cuts_fall_anywhere_between_characters():
    rng = np.random.default_rng(0)
    places = {len(random_gap("abcdefgh", rng).prefix) for _ in range(300)}
    assert places == set(range(9))


def test_training_draws_gaps_at_the_rate_and_validation_reads_from_left_to_right():
    records = [Record(f"r{n}", f"line number {n} = {n * n}\n" * 3) for n in range(60)]
    augment = FillInTheMiddle()
    encoded = encode_records(records, TOKENS, context=Context(256, add_cls=True, add_sep=True), views=augment)
    data = DataModule(encoded, batch_size=None, tokens_per_batch=2048, packing=True, train_views=True)
    seen = shown = 0
    for epoch in range(4):
        sampler = data.train_sampler()
        sampler.set_epoch(epoch)
        for batch in sampler:
            for window in batch:
                row = encoded[int(window)]["input_ids"]
                seen += 1
                shown += bool(np.isin([MIDDLE], row)[0])
                if MIDDLE in row:  # a whole gap lies in one window: the marks stand in their order
                    marks = [int(id) for id in row if id in (PREFIX, MIDDLE, SUFFIX)]
                    assert marks == [PREFIX, SUFFIX, MIDDLE]
    assert seen == 240 and 0.38 < shown / seen < 0.62
    plain = DataModule(encoded, batch_size=8, predict_views=augment.predict).eval_sampler("all")
    assert not any(MIDDLE in encoded[int(window)]["input_ids"] for batch in plain for window in batch)


def test_mistakes_get_one_message():
    for wrong in ({"rate": 1.5}, {"spm": -0.1}, {"count": 1}, {"rate": 0.01}):
        with pytest.raises(ConfigError):
            FillInTheMiddle(**wrong)
