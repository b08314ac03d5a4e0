"""Tokenizers of source: every byte comes back, indentation is cheap, marks in a text stay text."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from scizoo.data.tokenizer import load_tokenizer, save_tokenizer
from scizoo.errors import CheckpointError, ConfigError, DataError
from scizoo_code.fim import MARKS, Arranged
from scizoo_code.sources import Documented, Gap, Problem, from_bytes
from scizoo_code.tokenizers.bpe import SourceBPETokenizer
from scizoo_code.tokenizers.bytes import SourceBytesTokenizer

MODULES = ("ast", "argparse", "textwrap", "json/decoder", "logging/__init__")


@pytest.fixture(scope="module")
def sources() -> list[str]:
    folder = Path(os.__file__).parent
    return [from_bytes((folder / f"{name}.py").read_bytes()) for name in MODULES]


@pytest.fixture(scope="module")
def bpe(sources: list[str]) -> SourceBPETokenizer:
    made = SourceBPETokenizer(vocab_size=1500)
    made.train(sources)
    return made


@pytest.fixture(params=["bpe", "bytes"])
def tokenizer(request: pytest.FixtureRequest, bpe: SourceBPETokenizer):
    return bpe if request.param == "bpe" else SourceBytesTokenizer()


def row(tokenizer, value) -> np.ndarray:
    return tokenizer.encode([value])["input_ids"][0]


def test_any_bytes_come_back(tokenizer):
    rng = np.random.default_rng(0)
    given = [
        bytes(range(256)),
        b"\xff\xfe",
        b"\x00",
        "caf\u00e9 \u6f22\u5b57 \U0001f389\r\n\t".encode(),
        b"caf\xe9 = 1\n",
    ]
    given += [rng.integers(0, 256, size=size).astype(np.uint8).tobytes() for size in (1, 7, 500)]
    for data in given:
        text = from_bytes(data)
        ids = row(tokenizer, text)
        assert ids.min() >= len(tokenizer.SPECIAL)
        assert tokenizer.decode(ids).encode("utf-8", "surrogateescape") == data
        assert tokenizer.size(text) == len(data)


def test_whole_modules_come_back_and_each_alone_as_in_a_batch(tokenizer, sources):
    rows = tokenizer.encode(sources)["input_ids"]
    for text, ids in zip(sources, rows, strict=True):
        assert tokenizer.decode(ids) == text
    np.testing.assert_array_equal(row(tokenizer, sources[2]), rows[2])


def test_marks_that_stand_in_a_text_stay_text(tokenizer):
    text = "print('<fim_middle>[SEP]<fim_prefix>')\n"
    ids = row(tokenizer, text)
    assert ids.min() >= len(tokenizer.SPECIAL) and tokenizer.decode(ids) == text
    # In a gap they are neither taken for its marks when it is laid out nor when it is read back.
    gap = Arranged(Gap("a <fim_suffix>", "<fim_middle> c", "<fim_prefix>"), "spm")
    assert tokenizer.decode(row(tokenizer, gap)) == gap.source


@pytest.mark.parametrize("depth", [1, 2, 3, 4, 5])
def test_a_line_end_with_its_indentation_is_one_token(bpe, depth):
    ids = row(bpe, "x:\n" + "    " * depth + "y")
    assert [bpe.vocab[id] for id in ids][-2:] == ["\u010a" + "\u0120" * 4 * depth, "y"]


def test_merges_shorten_code_and_are_the_librarys_own(bpe, sources):
    ids = bpe.encode(sources)["input_ids"]
    assert sum(map(len, sources)) / len(ids.values) > 2.5
    # The file that is saved gives the same ids in the library itself.
    for text, mine in zip(sources, ids, strict=True):
        assert bpe.model.encode(text, add_special_tokens=False).ids == mine.tolist()
        assert bpe.model.decode(mine.tolist()) == text


def test_saved_and_loaded_it_encodes_as_before(bpe, sources, tmp_path):
    save_tokenizer(bpe, tmp_path)
    again = load_tokenizer(tmp_path)
    assert again.fingerprint() == bpe.fingerprint()
    text = sources[0] + "<fim_prefix>" + from_bytes(b"\xff")
    np.testing.assert_array_equal(row(again, text), row(bpe, text))
    (tmp_path / "tokenizer.json").write_text("{")
    with pytest.raises(CheckpointError, match="cannot be read"):
        load_tokenizer(tmp_path)


def test_every_kind_of_input_is_encoded(tokenizer):
    assert tokenizer.decode(row(tokenizer, Documented("Add.", "a + b"))) == "Add.\na + b"
    assert (
        tokenizer.decode(row(tokenizer, Problem("def f():\n", "    return 1\n")))
        == "def f():\n    return 1\n"
    )
    # A problem without its solution is the beginning of the same one with it.
    whole, start = row(tokenizer, Problem("def f():\n", " pass")), row(tokenizer, Problem("def f():\n"))
    np.testing.assert_array_equal(whole[: len(start)], start)
    assert row(tokenizer, Gap("a", "c", "b"))[0] == tokenizer.SPECIAL.index(MARKS[0])
    with pytest.raises(DataError, match="is a int"):
        tokenizer.encode([1])


def test_mistakes_get_one_message(bpe):
    with pytest.raises(ConfigError, match="264"):
        SourceBPETokenizer(vocab_size=100)
    with pytest.raises(ConfigError, match="no vocabulary yet"):
        SourceBPETokenizer().encode(["x"])
    with pytest.raises(DataError, match="lone surrogate"):
        bpe.encode(["x \ud800"])
