"""Where statements end, gaps are made and files are cut, on code that is written here."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from scizoo.errors import ConfigError
from scizoo_code.datasets.gaps import SourceGaps, first_lines, last_lines
from scizoo_code.grammars import parse
from scizoo_code.pieces import pieces
from scizoo_code.syntax import LEVELS, end_of, gaps

CODE = '''"""A module."""

import os


class Store:
    """Keeps things."""

    def __init__(self, path, mode="r"):
        self.path = os.path.join(path, "things")
        self.mode = mode

    def load(self, name, default=None):
        """Read one."""
        if name in self.cache:
            found = self.cache[name]
            self.hits += 1
            return found
        result = self.reader(
            name,
            default=default,
        )
        return result
'''


@pytest.mark.parametrize(
    ("prefix", "written", "kept"),
    [
        (
            "def f(x):\n    ",
            "return g(x,\n             1)\n\n\ndef h():\n    pass\n",
            "return g(x,\n             1)",
        ),
        ("def f(x):\n    return ", "x + 1\n    y = 2\n", "x + 1"),
        ("x = ", "[1,\n     2]\ny = 3\n", "[1,\n     2]"),
        ("", "import os\nimport sys\n", "import os"),
        ("if a:\n    ", "b()\nelse:\n    c()\n", "b()"),
        # Nothing tells what came before: an unfinished string must not swallow what follows.
        ("''' a text\n\n    def f(self):\n        ", "self.x = 1\n        self.y = 2\n", "self.x = 1"),
    ],
)
def test_a_statement_ends_where_its_tree_says(prefix, written, kept):
    assert written[: end_of(prefix, written, "python")] == kept


def test_a_block_ends_where_it_is_left():
    written = "a = 1\n    if a:\n        b()\n    return a\n\ndef g():\n    pass\n"
    assert written[: end_of("def f():\n    ", written, "python", "block")].rstrip() == (
        "a = 1\n    if a:\n        b()\n    return a"
    )


def test_an_unfinished_statement_and_nothing_at_all_are_kept_whole():
    assert end_of("def f():\n    ", "return 1 + 2", "python") == 12
    assert end_of("def f():\n    ", "", "python") == 0
    assert end_of("def f():\n    ", " \n ", "python") == 3


@pytest.mark.parametrize("level", LEVELS)
def test_gaps_are_cut_where_a_perfect_answer_is_kept(level):
    found = list(gaps(CODE, "python", np.random.default_rng(0), level=level, count=20, longest=200))
    assert len(found) >= 2
    for gap in found:
        assert gap.source == CODE
        assert not gap.middle.startswith(("#", '"""'))
        rest = gap.middle + gap.suffix
        assert rest[: end_of(gap.prefix, rest, "python", level)].rstrip() == gap.middle.rstrip()
        if level == "statement":
            assert gap.prefix == "" or gap.prefix.rpartition("\n")[2].strip() == ""
            assert not parse(gap.middle, "python").root_node.has_error
    assert found == list(gaps(CODE, "python", np.random.default_rng(0), level=level, count=20, longest=200))


def test_gaps_have_the_length_that_is_asked_for_and_do_not_overlap():
    found = list(gaps(CODE, "python", np.random.default_rng(0), count=20, shortest=20, longest=45))
    assert found and all(20 <= len(gap.middle) <= 45 for gap in found)
    spans = sorted((len(gap.prefix), len(gap.prefix) + len(gap.middle)) for gap in found)
    assert all(one[1] <= other[0] for one, other in pairwise(spans))


def test_the_dataset_shows_whole_lines_and_says_what_it_leaves_out(tmp_path):
    for repository in ("one", "two"):
        (tmp_path / repository).mkdir()
        (tmp_path / repository / "store.py").write_text(CODE + f"\n\nNAME = {repository!r}\n")
        (tmp_path / repository / "empty.py").write_text("x\n")
    data = SourceGaps(tmp_path, form="spm", before=60, after=40)
    records = list(data)
    assert {record.group for record in records} == {"one", "two"} and len(records) >= 6
    assert data.left_out["files without a place for a gap"] == 2
    for record in records:
        gap = record.input.gap
        assert record.input.form == "spm" and len(gap.prefix) <= 60 and len(gap.suffix) <= 40
        assert gap.source in CODE + "\n\nNAME = 'one'\n" + CODE + "\n\nNAME = 'two'\n"
    assert [record.input for record in data] == [record.input for record in records]
    assert data.fingerprint() != SourceGaps(tmp_path, form="psm", before=60, after=40).fingerprint()
    for wrong in ({"form": "mps"}, {"level": "word"}, {"a_file": 0}, {"longest": 1}):
        with pytest.raises(ConfigError):
            SourceGaps(tmp_path, **wrong)


def test_lines_are_shown_whole_where_they_fit():
    assert last_lines("aaa\nbbb\nccc", 8) == "bbb\nccc" and last_lines("aaa\nbbb\nccc", 7) == "bbb\nccc"
    assert last_lines("abcdef", 3) == "def"
    assert first_lines("aaa\nbbb\nccc", 9) == "aaa\nbbb\n" and first_lines("abcdef", 3) == "abc"


@pytest.mark.parametrize("size", [1, 40, 120, 300, 10_000])
def test_pieces_joined_are_the_text(size):
    made = pieces(CODE, size)
    assert "".join(made) == CODE and all(0 < len(piece) <= size for piece in made)


def test_pieces_begin_where_a_reader_would_cut():
    text = "".join(f"def f{n}(x):\n    y = x + {n}\n\n    return y\n\n\n" for n in range(12))
    made = pieces(text, 200)
    assert len(made) > 2 and all(piece.startswith("def f") for piece in made)
    assert pieces("", 10) == []
