"""What filled-in code is worth, against figures worked out by hand; and a run from files to a report."""

from __future__ import annotations

import csv
import json
import math
import zipfile
from pathlib import Path

import numpy as np
import pytest

import scizoo
from scizoo import cli
from scizoo.errors import ConfigError, DataError
from scizoo.evaluation.generation import Generated, TokenView
from scizoo.evaluation.sample_figures import estimate_figure
from scizoo_code.datasets.pairs import AlignedLines, JavaToCSharp, Nl2Bash
from scizoo_code.filling import GapScorer, bleu
from scizoo_code.fim import Arranged
from scizoo_code.sources import Gap

TRUE = Gap("def add(a, b):\n    ", "\n\n\nx = 1\n", "return a + b")


def scorer_of(**options) -> GapScorer:
    made = GapScorer(**options)
    row = np.arange(3)
    return made.fit([Arranged(TRUE)], [Arranged(TRUE)], TokenView([row], [row]))


def value(figure, count: int) -> float:
    return estimate_figure(figure, count, resamples=20, level=0.95).value


def test_what_is_written_ends_with_its_statement():
    scorer = scorer_of()
    asked = scorer.prompt(Arranged(TRUE, "spm"))
    assert (
        asked == Arranged(Gap(TRUE.prefix, TRUE.suffix), "spm")
        and scorer.answer(Arranged(TRUE)) == "return a + b"
    )
    for answer in ("return a + b", "return a + b\n\nprint(add(1, 2))\n", "return a + b\n    x = 3\n"):
        assert scorer.complete(asked, answer).gap.middle == "return a + b"
    assert scorer.complete(asked, None).gap.middle == ""
    assert scorer.complete("plain text", "more") is None


def test_exact_match_edit_similarity_and_parsing_are_what_they_say():
    scorer = scorer_of(bleu=True)
    truth = [Arranged(TRUE)] * 4
    written = ["return a + b  ", "return a - b", "return a +", ""]
    made = [Arranged(Gap(TRUE.prefix, TRUE.suffix, one)) for one in written]
    figures = scorer.score(Generated(made, [np.arange(4)] * 4, truth))
    assert figures["exact_match"].values.tolist() == [1, 0, 0, 0]
    # 11 of 12 characters match on both sides; the ten first of 10 and 12.
    assert figures["edit_similarity"].values.tolist() == pytest.approx([1.0, 22 / 24, 20 / 22, 0.0])
    assert figures["parses"].values.tolist() == [1, 1, 0, 0]
    assert figures["validity"].values.tolist() == [1, 1, 1, 0]
    perfect = scorer.score(Generated(truth, [np.arange(4)] * 4, truth))
    assert value(perfect["exact_match"], 4) == value(perfect["parses"], 4) == 1.0
    assert value(perfect["bleu"], 4) == pytest.approx(1.0)


def test_bleu_is_that_of_codexglue():
    statistic = bleu(["the cat sat on the mat"], ["the cat sat on a mat"])
    # Matches 5, 3, 2, 1 of 6, 5, 4, 3 candidates, one added to each; lengths are equal.
    expected = math.exp(sum(math.log((m + 1) / (c + 1)) for m, c in ((5, 6), (3, 5), (2, 4), (1, 3))) / 4)
    assert statistic(np.ones((1, 1)))[0] == pytest.approx(expected)
    short = bleu(["a b"], ["a b c d"])(np.ones((1, 1)))[0]
    assert short == pytest.approx(math.exp(1 - 4 / 2))
    assert bleu([""], ["a"])(np.ones((1, 1)))[0] == 0.0


def test_a_prompt_is_typed_with_a_mark():
    scorer = GapScorer()
    assert scorer.read("x = <fill>\ny = 2\n") == Arranged(Gap("x = ", "\ny = 2\n"), "psm")
    assert scorer.read("def f():") == Arranged(Gap("def f():", ""), "left")
    with pytest.raises(DataError, match="more than once"):
        scorer.read("<fill> + <fill>")
    with pytest.raises(ConfigError, match=r"scorer\.level"):
        GapScorer(level="word")


def write_pairs(folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    words = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
    names = [f"{a} {b}" for a in words for b in words]
    (folder / "all.nl").write_text("".join(f"Show file {name}\n" for name in names))
    (folder / "all.cm").write_text("".join(f"cat {name.replace(' ', '_')}\n" for name in names))
    return folder


def test_aligned_lines_are_pairs(tmp_path):
    data = Nl2Bash(write_pairs(tmp_path), between="\n$ ")
    records = list(data)
    assert len(records) == 100 and records[0].input == Arranged(
        Gap("Show file one one\n$ ", "", "cat one_one"), "left"
    )
    found = list(AlignedLines(tmp_path, shape="search", limit=3))
    assert [(one.input, one.target) for one in found][2] == ("Show file one three", "cat one_three")
    (tmp_path / "all.cm").write_text("cat one_one\n")
    with pytest.raises(DataError, match="as many lines"):
        list(data)
    (tmp_path / "all.cm").unlink()
    with pytest.raises(DataError, match="no file beside it"):
        list(data)
    with zipfile.ZipFile(tmp_path / "x.zip", "w"), pytest.raises(DataError, match="holds no file"):
        list(JavaToCSharp(tmp_path))


def test_parts_are_told_by_the_names_of_files(tmp_path):
    for part in ("train", "valid", "test"):
        for end in ("java", "cs"):
            (tmp_path / f"{part}.java-cs.txt.{end}").write_text(
                f"{part} {end}\n\n" if part == "test" else f"{part} {end}\n"
            )
    data = JavaToCSharp(tmp_path, max_rejected=0.5)
    assert {record.meta["split"] for record in data} == {"train", "validation", "test"}
    assert [one.reason for one in data.rejections.rejected] == ["a line of the pair is empty"]


NEW = (
    "checkpoint=null",
    "tokenizer=code/bytes",
    "backbone=llama-tiny",
    "backbone.config.hidden_size=32",
    "backbone.config.num_hidden_layers=1",
    "backbone.config.num_attention_heads=2",
    "backbone.config.num_key_value_heads=1",
    "trainer.accelerator=cpu",
    "precision=32",
)


def scores(run: Path) -> dict[str, dict[str, float]]:
    found: dict[str, dict[str, float]] = {}
    for line in json.loads((run / "metrics.json").read_text())["metrics"]:
        found.setdefault(line["contender"], {})[line["metric"]] = line["value"]
    return found


def test_a_run_from_pairs_to_a_report_and_back_from_its_checkpoint(tmp_path, capsys):
    run, folder = tmp_path / "run", write_pairs(tmp_path / "pairs")
    words = [f"data.path={folder}", "context.max_length=96", "samples.max_tokens=24", "adapt=full"]
    given = ["finetune", "code/nl2bash", *words, *NEW, "trainer.max_epochs=1", f"run_dir={run}"]
    assert cli.main([*given, "versus=[baselines]", "evaluation.resamples=50", "evaluation.shown=2"]) == 0
    found = scores(run)
    assert found["heldout"]["exact_match"] == 1.0 and found["heldout"]["bleu"] == pytest.approx(1.0)
    for key in ("scratch", "ngram"):
        assert 0 < found[key]["bits_per_byte"] < 20
        # Only what follows the prompt counts, in both units.
        assert found[key]["bits_per_byte"] == pytest.approx(
            found[key]["nll_per_token"] / math.log(2) * tokens_a_byte(folder, run), rel=1e-6
        )
    with (run / "samples.csv").open(newline="") as stream:
        rows = [row for row in csv.DictReader(stream) if row["contender"].startswith("the ")]
    assert rows and all(row["text"].startswith("Show file ") and "\n$ " in row["text"] for row in rows)
    model = scizoo.load(run / "checkpoint", device="cpu")
    told = model.generate(Arranged(Gap("Show file one two\n$ ", ""), "left"), 8, temperature=0)
    assert isinstance(told, str) and told.startswith("Show file one two\n$ ")


def tokens_a_byte(folder: Path, run: Path) -> float:
    """Tokens (the end included) per byte of the commands of the test part; with bytes for tokens."""
    from scizoo.data.splits import GroupSplitter

    records = list(Nl2Bash(folder, between="\n$ "))
    rows = GroupSplitter((0.8, 0.1, 0.1), seed=0).split(records).test
    sizes = [len(records[row].input.gap.middle) for row in rows]
    return (sum(sizes) + len(sizes)) / sum(sizes)
