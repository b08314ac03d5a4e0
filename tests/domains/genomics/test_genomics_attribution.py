"""From tokens to bases, and how they are drawn."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.figure import Figure

from scizoo.data.records import Record
from scizoo_genomics.picture import draw
from scizoo_genomics.tokenizers.bpe import BPETokenizer
from scizoo_genomics.tokenizers.codon import CodonTokenizer
from scizoo_genomics.tokenizers.kmer import KmerTokenizer
from scizoo_genomics.tokenizers.nucleotide import NucleotideTokenizer

SEQUENCE = "ATGGCNTACGGATTACCATAA"


def trained() -> BPETokenizer:
    made = BPETokenizer(vocab_size=60)
    made.train([SEQUENCE * 3, SEQUENCE[::-1]])
    return made


@pytest.mark.parametrize(
    "tokenizer",
    [
        NucleotideTokenizer(),
        KmerTokenizer(6),
        KmerTokenizer(3, 1),
        KmerTokenizer(6, 3),
        KmerTokenizer(8),
        CodonTokenizer(frame=2),
        CodonTokenizer(stops="strip"),
        trained(),
    ],
    ids=["base", "6mer", "overlap", "stride", "longer", "frame", "stop", "bpe"],
)
@pytest.mark.parametrize("sequence", [SEQUENCE, "ACG", "a"])
def test_every_base_has_its_share_and_nothing_is_lost(tokenizer, sequence: str):
    ids = tokenizer.encode([sequence])["input_ids"].values
    scores = np.random.default_rng(0).normal(size=len(ids))
    found = tokenizer.attribute(sequence, scores)
    assert found.shape == (len(sequence),)
    assert np.nansum(found) == pytest.approx(scores.sum())
    for place in range(len(ids)):
        alone = np.zeros(len(ids))
        alone[place] = 1.0
        bases = np.flatnonzero(np.nan_to_num(tokenizer.attribute(sequence, alone)))
        word = tokenizer.decode(ids[place : place + 1])
        assert bases.tolist() == list(range(bases[0], bases[0] + len(word)))
        if "N" not in word:
            assert sequence[bases[0] : bases[-1] + 1].upper() == word


def test_overlapping_words_are_added_up_and_what_was_not_read_is_not_nought():
    found = KmerTokenizer(3, 1).attribute("ACGTA", np.array([3.0, 6.0, np.nan]))
    np.testing.assert_allclose(found, [1, 3, 3, 2, np.nan])
    stripped = CodonTokenizer(stops="strip").attribute("ATGTAA", np.array([3.0]))
    np.testing.assert_allclose(stripped, [1, 1, 1, np.nan, np.nan, np.nan])


@pytest.mark.parametrize("size", [30, 250, 1500])
def test_a_strip_below_the_bases_is_coloured(size: int):
    sequence = "".join(np.random.default_rng(0).choice(list("ACGT"), size))
    used = np.zeros(size)
    used[7], used[20] = 1.0, -0.5
    figure = Figure(layout="constrained")
    axes = figure.subplots()
    given = {"value": "b", "attributions": used, "output": "promoter"}
    draw(axes, Record("s", sequence, "a"), given)
    assert "predicted: b" in axes.get_title() and "promoter" in figure.get_supxlabel()
    strip = np.asarray(axes.images[1].get_array())[0]
    assert strip[7, 0] > strip[7, 2] and strip[20, 2] > strip[20, 0] and (strip[8, :3] == 1).all()
    figure.canvas.draw()
