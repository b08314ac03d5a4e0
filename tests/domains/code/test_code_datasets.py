"""Source files, functions and problems as records; splits by repository; what similarity finds."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import numpy as np
import pytest

from scizoo.data.records import Record
from scizoo.data.splits import PARTS
from scizoo.errors import ConfigError, DataError
from scizoo.evaluation.leakage import audit
from scizoo_code.datasets.files import SourceFiles
from scizoo_code.datasets.functions import SourceFunctions
from scizoo_code.datasets.problems import Mbpp, Problems
from scizoo_code.datasets.stdlib import StandardLibrary, StandardLibraryFunctions
from scizoo_code.similarity import CodeSimilarity
from scizoo_code.sources import Documented, Problem
from scizoo_code.splitters import RepositorySplitter


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCIZOO_CACHE_DIR", str(tmp_path / "cache"))


def _write(root: Path, files: dict[str, str | bytes]) -> Path:
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return root


def _add(name: str, part: int) -> str:
    return f'def {name}(x):\n    """Add {part} to the number x."""\n    return x + {part}\n'


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    files = {
        f"repo{number}/src/mod{part}.py": _add(f"f{number}_{part}", part)
        for number in range(4)
        for part in range(3)
    }
    return _write(tmp_path / "corpus", files)


def test_a_folder_of_repositories_becomes_records_by_repository(corpus):
    data = SourceFiles(corpus)
    records = list(data)
    assert len(records) == 12 and {record.group for record in records} == {f"repo{n}" for n in range(4)}
    first = records[0]
    assert first.id == "repo0/src/mod0.py" and first.input.startswith("def f0_0")
    assert first.meta["path"] == "src/mod0.py" and first.meta["package"] == "src"
    assert first.meta["language"] == "python" and first.meta["encoding"] == "utf-8"
    assert list(SourceFiles(corpus)) == records
    assert SourceFiles(corpus).fingerprint() == data.fingerprint()
    (corpus / "repo0/src/mod0.py").write_text("x = 1\n")
    assert SourceFiles(corpus).fingerprint() != data.fingerprint()
    assert SourceFiles(corpus, limit=3).fingerprint() != SourceFiles(corpus).fingerprint()


def test_bad_files_are_told_one_by_one_and_the_rest_goes_on(corpus, caplog):
    _write(
        corpus,
        {
            "repo0/binary.py": b"\x7fELF" + bytes(100),
            "repo0/huge.py": b"x = '" + b"y" * 40_000_000 + b"'",
            "repo1/latin.py": ("# é à ü ça déjà élève étudié où\n" + "x = 1\n" * 9).encode("cp1252"),
            "repo1/wrong.py": b"# coding: ascii\nx = '\xc3\xa9'\n",
        },
    )
    (corpus / "repo2" / "loop").symlink_to(corpus)
    data = SourceFiles(corpus, max_rejected=0.5)
    with caplog.at_level(logging.INFO):
        records = list(data)
    assert len(records) == 13
    told = {one.id: one.reason for one in data.rejections.rejected}
    assert "binary file" in told["repo0/binary.py"] and "declares ascii" in told["repo1/wrong.py"]
    assert "repo0/huge.py is left out: too large: 40.0 MB, data.max_bytes allows 1 MB" in caplog.text
    assert "1 symbolic links" in caplog.text and "(1 guessed)" in caplog.text
    with pytest.raises(DataError, match=r"repo0/binary\.py.*binary file"):
        list(SourceFiles(corpus))


def test_one_file_of_any_name_is_read(tmp_path):
    path = _write(tmp_path, {"notes.txt": "def f():\n    pass\n"}) / "notes.txt"
    (record,) = SourceFiles(path)
    assert record.input.startswith("def f") and record.meta["language"] == "unknown"


def test_json_lines_and_tables_are_found_by_their_usual_names(tmp_path, caplog):
    rows = [
        {"code": f"x = {n}\n", "repo_name": f"r{n % 3}", "lang": "Python", "label": n % 2} for n in range(6)
    ]
    text = "\n".join(json.dumps(row) for row in rows) + '\nno json\n[1]\n{"code": ""}\n'
    path = _write(tmp_path, {"set.jsonl": text}) / "set.jsonl"
    with caplog.at_level(logging.INFO):
        records = list(SourceFiles(path, target="label", max_rejected=0.5))
    assert [record.target for record in records] == [0, 1, 0, 1, 0, 1]
    assert records[4].group == "r1" and records[0].meta["language"] == "python"
    assert "column 'code' is taken" in caplog.text
    data = SourceFiles(path, target="label", max_rejected=0.5)
    list(data)
    reasons = [one.reason for one in data.rejections.rejected]
    assert len(reasons) == 3 and "no JSON" in reasons[0] and "list" in reasons[1] and "empty" in reasons[2]
    with pytest.raises(DataError, match=r"no 'lable' \(data\.target\): did you mean 'label'"):
        list(SourceFiles(path, target="lable"))
    with pytest.raises(DataError, match=r"data\.input"):
        list(SourceFiles(path, input="body_of_it"))
    csv = _write(tmp_path, {"t.csv": 'content,defect\n"x = 1",0\n"y = 2",1\n'}) / "t.csv"
    assert [record.target for record in SourceFiles(csv, target="defect")] == ["0", "1"]


def test_files_named_after_parts_give_the_split(tmp_path):
    root = _write(
        tmp_path / "set",
        {
            f"{part}.jsonl": json.dumps({"func": f"{part} = 1", "target": 0})
            for part in ("train", "valid", "test")
        },
    )
    records = list(SourceFiles(root, target="target"))
    assert {record.id.split(".")[0]: record.meta["split"] for record in records} == {
        "train": "train",
        "valid": "validation",
        "test": "test",
    }


def test_nothing_to_read_is_said(tmp_path):
    with pytest.raises(ConfigError, match=r"data\.path"):
        SourceFiles()
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"empty.* holds no (record|file)"):
        list(SourceFiles(tmp_path / "empty"))
    with pytest.raises(DataError, match="does not exist"):
        list(SourceFiles(tmp_path / "nowhere"))


def test_functions_are_records_with_their_file_and_name(corpus):
    _write(
        corpus,
        {
            "repo0/more.py": "def g(x):\n    return x\n\ndef g(x):\n    return -x\n",
            "repo3/copy.py": "def other( x ):\n    return x\n\ndef g(x):\n    return  x\n",
        },
    )
    records = {record.id: record for record in SourceFunctions(corpus, documented=False)}
    assert "repo0/more.py:g#2" in records and "repo3/copy.py:g" not in records
    assert records["repo0/more.py:g"].meta["name"] == "g" and records["repo0/more.py:g#2"].meta["line"] == 4
    pairs = list(SourceFunctions(corpus, give="documented"))
    assert len(pairs) == 12
    assert pairs[0].input == Documented("Add 0 to the number x.", "def f0_0(x):\n    return x + 0\n")
    named = list(SourceFunctions(corpus, give="bare", target="name", documented=True))
    assert named[0].target == "f0_0" and '"""' not in named[0].input and "name" not in named[0].meta
    with pytest.raises(ConfigError, match="give"):
        SourceFunctions(corpus, give="words")


def test_the_standard_library_is_read_by_package():
    data = StandardLibrary(limit=200)
    records = list(data)
    assert len(records) == 200 and all(record.meta["licence"] == "PSF-2.0" for record in records)
    groups = {record.id: record.group for record in records}
    assert groups["argparse.py"] == "argparse" and groups["asyncio/events.py"] == "asyncio"
    assert not [id for id in groups if "test/" in id or "site-packages" in id]
    assert "standard library" in data.name and data.licence.name == "PSF-2.0"
    pairs = list(StandardLibraryFunctions(give="documented", limit=30))
    assert all(len(pair.input.query.split()) >= 3 for pair in pairs)


def test_repositories_are_never_split_apart(corpus):
    records = list(SourceFiles(corpus))
    split = RepositorySplitter((0.5, 0.25, 0.25)).split(records)
    groups = [{records[row].group for row in getattr(split, part)} for part in PARTS]
    assert sum(map(len, groups)) == 4 and all(groups)
    stated = [
        Record(str(n), "x", group="r", meta={"split": part})
        for n, part in enumerate(["train", "test", "validation"])
    ]
    with pytest.raises(DataError, match="both"):
        RepositorySplitter().split(stated)


def test_one_repository_is_refused_with_a_way_out(tmp_path):
    root = _write(tmp_path / "alone", {"one/a.py": "x\n", "one/b.py": "y\n", "one/c/d.py": "z\n"})
    with pytest.raises(DataError, match=r"come from one repository \(one\)[\s\S]*data\.group=package"):
        RepositorySplitter().split(list(SourceFiles(root)))
    assert {record.group for record in SourceFiles(root, group="package")} == {"a", "b", "c"}


def _function(name: str, steps: int) -> str:
    return f"def {name}(values):\n" + "".join(
        f"    {name}_{step} = values[{step}] * {step + 7} - {name}\n" for step in range(steps)
    )


def test_a_planted_copy_is_found_by_the_audit():
    records = [Record(f"r{n}", _function(f"f{n}", 20), group=f"g{n}") for n in range(30)]
    copied = records[3].input.replace("f3_1 ", "other ").replace("    ", "\t")
    records.append(Record("near", copied, group="g30"))
    records.append(Record("same", records[4].input.replace("    ", "\t"), group="g31"))
    split = RepositorySplitter((0.6, 0.2, 0.2), seed=1)

    class Planted(RepositorySplitter):
        def split(self, given):
            from scizoo.data.splits import make_split, record_groups

            parts = {"train": range(20), "validation": range(20, 25), "test": range(25, 32)}
            return make_split(parts, record_groups(given), "planted")

    found = {leak.kind: leak for leak in audit(records, Planted().split(records), CodeSimilarity()).findings}
    assert found["exact_duplicates"].count == 1 and found["near_duplicates"].count >= 1
    assert split.split(records).train.size


def test_near_duplicates_and_overlap_agree_with_counting():
    texts = [_function(f"f{n}", 15) for n in range(10)]
    one = [Record(str(n), text) for n, text in enumerate(texts)]
    two = [Record("a", texts[2].replace("f2_3 ", "g ")), Record("b", "def f(x):\n    pass\n")]
    similarity = CodeSimilarity(threshold=0.7, scale=1)
    ((i, j, score),) = similarity.near_duplicates(one, two)
    a, b = (set(similarity._shingles(record, 5).tolist()) for record in (one[2], two[0]))
    assert (i, j) == (2, 0) and score == pytest.approx(len(a & b) / len(a | b))
    assert similarity.near_duplicates([Record("x", "f(x)")], [Record("y", "f(x)")]) == []
    sketch = similarity.sketch(one)
    assert similarity.overlap(sketch, [one[0]])[0] == 1.0
    assert similarity.overlap(sketch, [Record("z", _function("zz", 15))])[0] < 0.5
    assert np.isnan(similarity.overlap(sketch, [Record("e", "")])[0])


def test_problems_are_read_in_humanevals_form(tmp_path):
    rows = [
        {
            "task_id": "A/11",
            "prompt": "def f(x):\n",
            "entry_point": "f",
            "test": "def check(c):\n    assert c(1)\n",
            "canonical_solution": "    return x\n",
        },
        {
            "task_id": "A/601",
            "prompt": "def g(x):\n",
            "entry_point": "g",
            "test": ["assert g(1)", "assert g(2)"],
        },
        {"task_id": "A/520", "prompt": "def h(x):\n", "entry_point": "not a name", "test": "assert 1"},
    ]
    path = _write(tmp_path, {"p.jsonl": "\n".join(map(json.dumps, rows))}) / "p.jsonl"
    data = Problems(path, max_rejected=0.5)
    first, second = data
    assert first.input == Problem(
        "def f(x):\n", "    return x\n", "def check(c):\n    assert c(1)\n\ncheck(f)\n", "f"
    )
    assert second.input.test == "assert g(1)\nassert g(2)"
    assert "no name of a function" in data.rejections.rejected[0].reason
    assert [record.meta["split"] for record in Mbpp(path, max_rejected=0.5)] == ["test", "train"]
    with pytest.raises(DataError, match=r"data\.prompt"):
        list(Problems(_write(tmp_path, {"q.jsonl": '{"text": "x"}'}) / "q.jsonl"))
