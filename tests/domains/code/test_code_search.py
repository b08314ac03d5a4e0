"""Search of functions by their documentation, and the cloze by likelihood."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
import pytest

from scizoo.data.splits import HashSplitter, hash_part
from scizoo.errors import ConfigError, DataError
from scizoo.evaluation.rankers import Bm25Ranking
from scizoo_code.cloze import Blank, Cloze, ClozeMaxMin
from scizoo_code.datasets.search import SourceSearch

CODE = '''def read_lines(path):
    """Read all lines of a file."""
    with open(path) as stream:
        return list(stream)


def count_words(text):
    """Count how often each word occurs."""
    found = {}
    for word in text.split():
        found[word] = found.get(word, 0) + 1
    return found


def bare(number):
    total = number
    return total
'''


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.py").write_text(CODE.replace("found", f"found_{name}").replace("stream", name))
    return tmp_path


def test_queries_are_docstrings_and_documents_hold_none(tree):
    data = SourceSearch(tree, min_lines=1)
    records = list(data)
    assert {record.input for record in records} == {
        "Read all lines of a file.",
        "Count how often each word occurs.",
    }
    assert len(records) == 4 and {record.group for record in records} == {"one", "two"}
    for record in records:
        assert record.target.startswith("def ") and record.input not in record.target
        assert "name" not in record.meta
    every = list(data.documents())
    assert len(every) == 5 and len({record.id for record in every}) == 5  # the two bare ones are equal
    assert {record.target for record in records} <= {record.input for record in every}
    assert [record.input for record in data] == [record.input for record in records]


def test_words_of_names_count_one_by_one_in_the_ranking(tree):
    records = list(SourceSearch(tree, min_lines=1))
    ranking = Bm25Ranking(
        query_text="scizoo_code.baselines.query_words", document_text="scizoo_code.baselines.query_words"
    )
    documents = [record.target for record in records]
    scores = ranking.scores(["read the lines", "count a word"], documents)
    assert all("read_lines" in documents[place] for place in np.argsort(-scores[0])[:2])
    assert all("count_words" in documents[place] for place in np.argsort(-scores[1])[:2])


def test_the_hash_splitter_divides_as_pre_training_does(tree):
    from scizoo.data.records import Record

    records = [Record(str(n), "x", group=f"g{n // 3}") for n in range(300)]
    split = HashSplitter((0.8, 0.1, 0.1), seed=11).split(records)
    for part in ("train", "validation", "test"):
        for row in getattr(split, part):
            assert hash_part(records[row].group, (0.8, 0.1, 0.1), 11) == part
    # Which other records there are does not matter.
    fewer = HashSplitter((0.8, 0.1, 0.1), seed=11).split(records[::3])
    kept = {records[::3][row].group for row in fewer.test}
    assert kept == {records[row].group for row in split.test}
    with pytest.raises(DataError, match="would be empty"):
        HashSplitter().split(records[:3])


def write_cloze(folder: Path) -> Path:
    rows = [
        {"idx": f"maxmin-{n}", "pl_tokens": ["def", "f", "(", ")", ":", "return", "<mask>", "(", str(n), ")"]}
        for n in range(4)
    ]
    path = folder / "python.json.gz"
    path.write_bytes(gzip.compress(json.dumps([*rows, {"idx": "x", "pl_tokens": ["a"]}]).encode()))
    return path


class Prefers:
    """A model that finds texts likelier the more often a word stands in them."""

    def __init__(self, word: str):
        self.word = word

    def score(self, texts: list[str]) -> np.ndarray:
        return np.array([text.split().count(self.word) * 2.0 - 5 for text in texts])


def test_the_likelier_word_is_chosen_and_counted_where_answers_are_known(tmp_path):
    path = write_cloze(tmp_path)
    data = ClozeMaxMin(path, window=2, max_rejected=0.5)
    assert next(iter(data)).input == Blank(": return", "( 0")
    found = Cloze(data, batch=3).predict(Prefers("min"))
    assert found["prediction"].tolist() == ["min"] * 4 and found["margin"].tolist() == [2.0] * 4
    assert "correct" not in found and len(data.rejections.rejected) == 1
    answers = tmp_path / "answers.txt"
    answers.write_text(
        "".join(f"maxmin-{n}<CODESPLIT>{word}\n" for n, word in enumerate(("min", "max", "min")))
    )
    found = Cloze(ClozeMaxMin(path, answers, max_rejected=0.5)).predict(Prefers("min"))
    assert found["correct"].tolist()[:3] == [True, False, True] and found["correct"].isna().tolist()[3]


def test_mistakes_get_one_message(tmp_path):
    path = write_cloze(tmp_path)
    with pytest.raises(ConfigError, match=r"data\.path"):
        ClozeMaxMin()
    with pytest.raises(ConfigError, match="two different words"):
        Cloze(ClozeMaxMin(path), words=["max"])
    (tmp_path / "bad.json").write_text("[1,")
    with pytest.raises(DataError, match="no JSON"):
        list(ClozeMaxMin(tmp_path / "bad.json"))
    (tmp_path / "answers.txt").write_text("nothing\n")
    with pytest.raises(DataError, match="line 1"):
        list(ClozeMaxMin(path, tmp_path / "answers.txt", max_rejected=0.5))
