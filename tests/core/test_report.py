# ruff: noqa: E501 -- the sample stays compact
"""The report: its schema, what it leaves out and escapes, and how it looks in a browser."""

from __future__ import annotations

import base64
import copy
import html
import importlib.util
import io
import json
import math
import os
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest

from scizoo.evaluation.intervals import Estimate
from scizoo.evaluation.report import figures
from scizoo.evaluation.report.markup import Markup, tag, text
from scizoo.evaluation.report.render import render, schema, write_report

HOSTILE = '"><script>alert(1)</script><img src=x onerror=alert(2)> $\\frac{ & \ud800'
CONTENDERS = (
    ("probe", "dna-tiny, frozen, with a linear probe", "pretrained", 0.74),
    ("lora", "dna-tiny with LoRA", "pretrained", 0.83),
    ("full", "dna-tiny, fine-tuned in full", "pretrained", 0.82),
    ("scratch", "dna-tiny's architecture from scratch", "scratch", 0.66),
    ("kmer", "6-mer counts, logistic regression", "baseline", 0.79),
    ("boost", "6-mer counts, gradient boosting", "baseline", 0.76),
    ("majority", "majority class", "floor", 0.0),
)
CLASSES = ("Bacteria", "Archaea", "Fungi", "Viridiplantae", "Vertebrata", "Viruses")
BUDGETS = (20, 100, 500, 2134)


def guess(value: float, half: float = 0.02, **extra: Any) -> dict[str, Any]:
    return Estimate(value, value - half, value + half, records=612, groups=97, seeds=3, **extra).to_dict()


def picture() -> str:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5, 2.4), layout="constrained")
    axes = figure.subplots()
    axes.imshow(np.random.default_rng(0).integers(0, 4, (8, 100)), aspect="auto", cmap="viridis")
    axes.set_title("a record as its domain draws it", fontsize=8)
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=110)
    return "data:image/png;base64," + base64.b64encode(stream.getvalue()).decode()


def reliability(shift: float) -> dict[str, Any]:
    confidence = np.linspace(0.3, 0.98, 10)
    frequency = np.clip(confidence - shift * (confidence - 0.25), 0, 1)
    bins = [
        {"confidence": c, "frequency": f, "low": max(0, f - 0.08), "high": min(1, f + 0.08), "count": 61}
        for c, f in zip(confidence, frequency, strict=True)
    ]
    return {
        "ece": guess(shift * 0.5, 0.012),
        "reliability": {"bins": bins, "ece": shift * 0.5},
        "brier": 0.21 + shift,
        "log_loss": 0.6,
    }


@pytest.fixture(scope="module")
def sample() -> dict[str, Any]:
    """What a comparison of a classification reports: the numbers are made up, their shape is real."""
    rng = np.random.default_rng(0)
    metrics = [
        {"name": "mcc", "title": "MCC", "direction": "higher"},
        {"name": "balanced_accuracy", "title": "balanced accuracy", "direction": "higher"},
        {"name": "macro_f1", "title": "macro F1", "direction": "higher"},
        {"name": "log_loss", "title": "log loss", "direction": "lower"},
    ]
    rows, curves, cost, tuned = [], [], [], []
    for key, title, role, best in CONTENDERS:
        points = []
        for place, labels in enumerate(BUDGETS):
            value = 0.0 if role == "floor" else best * (1 - 0.62 * math.exp(-0.75 * place))
            score = guess(value, 0.0 if role == "floor" else 0.055 / (1 + place))
            most = labels == BUDGETS[-1]
            more = {
                "balanced_accuracy": guess(min(0.97, value + 0.08)),
                "macro_f1": guess(value + 0.04),
                "log_loss": guess(1.6 - value),
            }
            rows.append(
                {
                    "name": title,
                    "role": role,
                    "labels": labels,
                    "scores": {"mcc": score, **(more if most else {})},
                    "extra": {},
                }
            )
            points.append({"labels": labels, **score})
            network = role in ("pretrained", "scratch")
            cost.append(
                {
                    "name": title, "role": role, "labels": labels, "seconds": 3.0 + labels / (18 if network else 900),
                    "cpu_seconds": 4.0 + labels / 12, "energy": 0.02 + labels / 9000, "peak_memory": 1_340_000_000,
                    "parameters": 1_216_518 if network else None,
                    "trained_parameters": {"probe": 774, "lora": 66_310}.get(key, 1_216_518) if network else None,
                    "steps": 320 if network else None, "trials": 8,
                    "assumption": "Energy is an estimate: 10 W per busy CPU core, 0.3725 W per GB of memory.",
                }
            )  # fmt: skip
        if role != "floor":
            settings = {"lr": 0.0012, "epochs": 8} if role != "baseline" else {"C": 3.2}
            tuned.append(
                {"name": title, "labels": 2134, "settings": settings, "trials": [{}] * 8, "note": None}
            )
        curves.append({"name": title, "key": key, "role": role, "points": points})
    rows.sort(key=lambda row: row["labels"])
    compared = []
    for labels, change, half, p in (
        (20, -0.021, 0.06, 0.51),
        (100, 0.012, 0.03, 0.44),
        (500, 0.031, 0.019, 0.0004),
        (2134, 0.041, 0.017, 0.0002),
    ):
        for second, role, more in (
            ("6-mer counts, logistic regression", "baseline", 0.0),
            ("dna-tiny's architecture from scratch", "scratch", 0.11),
        ):
            for first in ("dna-tiny with LoRA", "dna-tiny, fine-tuned in full"):
                d = change + more
                compared.append({
                    "labels": labels, "first": first, "second": second, "role": role, "headline": "LoRA" in first,
                    "difference": d, "low": d - half, "high": d + half, "level": 0.95, "p_value": p / 2, "adjusted_p_value": p,
                })  # fmt: skip
    matrix = rng.integers(0, 9, (6, 6)) + np.diag([93, 71, 80, 96, 104, 58])
    shot = picture()
    mistakes = [
        {
            "id": f"NZ_CP0{4711 + place}.1:{place * 20000}-{place * 20000 + 1000}", "group": f"NZ_CP0{4711 + place}",
            "true": CLASSES[place % 6], "predicted": CLASSES[(place + 2) % 6], "confidence": 0.996 - place / 70,
            "probability_of_true": 0.002 + place / 300, "meta": {"organism": "Thermococcus kodakarensis", "length": 1000}, "picture": shot,
        }
        for place in range(4)
    ]  # fmt: skip
    content = {
        "format_version": 1,
        "verb": "compare",
        "task": {"name": "genomics/taxonomy", "summary": "Which group of life does a fragment of DNA come from?", "domain": "genomics", "kind": "classification", "metric": metrics[0]},
        "verdict": {
            "sentence": "With 500 labels, dna-tiny with LoRA beats the 6-mer baseline by 0.031 MCC [0.012, 0.049]; with 20 labels there is no evidence that it does.",
            "outcome": "mixed",
            "versus_scratch": "Pre-training helps: with 20, 100, 500 and all 2,134 labels, dna-tiny with LoRA beats dna-tiny's architecture from scratch, by 0.151 MCC [0.134, 0.168] with all 2,134 labels.",
            "evidence": [
                f"{row['labels']:,} labels: {row['first']} against {row['second']}: higher by {row['difference']:.3f} "
                f"[{row['low']:.3f}, {row['high']:.3f}] (95% interval, adjusted p = {row['adjusted_p_value']:.3f}; 612 test records in 97 groups, 3 seeds)."
                for row in reversed(compared) if row["headline"]
            ],
            "comparisons": [row for row in compared if row["headline"]],
        },
        "data": {
            "name": "refseq-fragments", "licence": "CC0-1.0", "citation": "O'Leary et al. (2016), Nucleic Acids Research 44, D733.", "split": "by genome: fragments of one genome stay together",
            "parts": {"train": {"records": 2134, "groups": 310}, "validation": {"records": 598, "groups": 94}, "test": {"records": 612, "groups": 97}},
            "fingerprint": "9f2c4e0d71ab63", "rejected": 3,
        },
        "main": {"name": "dna-tiny with LoRA", "labels": 2134, "seeds": [0, 1, 2]},
        "table": {"metrics": metrics, "rows": rows, "caption": "[95% interval], bootstrap over groups and seeds; 612 test records in 97 groups, 3 seeds."},
        "curves": curves,
        "comparisons": compared,
        "calibration": {"name": "dna-tiny with LoRA", "labels": 2134, "seed": 0, "kind": "classification", "temperature": 1.38, "before": reliability(0.16), "after": reliability(0.03)},
        "conformal": {
            "name": "dna-tiny with LoRA", "labels": 2134, "seed": 0, "method": "aps", "asked": 0.9, "measured": guess(0.913, 0.021), "size": guess(1.84, 0.11), "size_unit": "classes",
            "worst_groups": [{"group": f"NZ_CP00{n}", "records": 24 - n, "coverage": 0.71 + n / 20} for n in range(4)],
        },
        "ood": {
            "method": "relative Mahalanobis distance", "quantile": 0.95, "threshold": 31.0, "flagged": 37, "records": 612, "auroc": guess(0.94, 0.01), "against": "test sequences with their bases shuffled",
            "histogram": figures.score_histogram({"test records": rng.gamma(9, 2.2, 612), "shuffled": rng.gamma(16, 2.8, 612)}),
        },
        "errors": {"name": "dna-tiny with LoRA", "labels": 2134, "seed": 0, "kind": "classification", "classes": list(CLASSES), "matrix": matrix.tolist()},
        "subgroups": {
            "finding": "For phylum Bacillota the model is worse than for all other records: by 0.070 MCC [−0.130, −0.010], adjusted p 0.040. 1 subgroup is too small to judge.",
            "skipped": {"accession": "612 different values, none of them frequent"}, "correction": "Holm, over 2 tests", "smallest_subgroup": "30 records in 5 groups",
            "columns": [
                {
                    "column": "phylum", "metric": metrics[0],
                    "rows": [
                        {"name": "Pseudomonadota", "records": 212, "groups": 31, "score": guess(0.86), "coverage": guess(0.93), "too_small": False},
                        {"name": "Bacillota", "records": 144, "groups": 22, "score": guess(0.79, 0.05), "coverage": guess(0.88), "too_small": False},
                        {"name": "Nanoarchaeota", "records": 6, "groups": 1, "score": None, "coverage": None, "too_small": True, "reason": "6 records: fewer than 30"},
                    ],
                    "gap": {"first": "Bacillota", "second": "all other records", "difference": -0.07, "low": -0.13, "high": -0.01, "p_value": 0.02, "adjusted_p_value": 0.04},
                }
            ]
        },
        "leakage": {
            "passed": True,
            "checks": [
                {"name": "exact", "title": "exact duplicates across parts", "count": 0, "of": 612, "tolerance": 0.0, "passed": True, "allowed": False, "examples": []},
                {"name": "near", "title": "near duplicates, 6-mer Jaccard from 0.8", "count": 4, "of": 612, "tolerance": 0.01, "passed": True, "allowed": False, "examples": [["test NZ_CP04711.1", "train NC_000913.3", 0.83]]},
                {"name": "groups", "title": "groups split apart", "count": 0, "of": 97, "tolerance": 0.0, "passed": True, "allowed": False, "examples": []},
                {"name": "corpus", "title": "overlap with the pre-training corpus", "count": None, "of": 612, "tolerance": None, "passed": None, "allowed": False, "note": "the checkpoint carries no sketch", "examples": []},
            ],
        },
        "mistakes": mistakes,
        "cost": cost,
        "tuning": {"trials": 8, "search": {"lr": {"low": 0.1, "high": 10}}, "fit": {"min_steps": 100}, "contenders": tuned},
        "reproduce": {
            "command": "scizoo compare genomics/taxonomy labels=[20,100,500,all] seeds=[0,1,2] tuning.trials=8 evaluation.coverage=0.9 evaluation.subgroups=[phylum]",
            "seeds": [0, 1, 2], "versions": {"scizoo": "0.1.0", "torch": "2.13.0", "transformers": "5.17.1", "scizoo-genomics": "0.1.0"}, "machine": "Linux x86_64, Python 3.11.7",
            "config": {"task": {"name": "genomics/taxonomy", "metric": "mcc"}, "seed": 0, "data": {"path": "fragments.fasta"}},
        },
        "failed": [],
        "disclaimer": "For research. Not a diagnostic device; no decision about a patient may rest on it.",
    }  # fmt: skip
    return json.loads(json.dumps(content, default=float))


def regression(sample: dict[str, Any]) -> dict[str, Any]:
    rng = np.random.default_rng(1)
    true = rng.normal(0, 2, 400)
    metric = {"name": "rmse", "title": "RMSE", "direction": "lower"}
    levels = [0.1, 0.3, 0.5, 0.7, 0.9]
    found = {
        key: copy.deepcopy(sample[key]) for key in ("format_version", "verb", "data", "main", "reproduce")
    }
    score = {"rmse": guess(0.61)}
    return found | {
        "verb": "evaluate",
        "task": {**sample["task"], "name": "chemistry/solubility", "kind": "regression", "metric": metric},
        "table": {"metrics": [metric], "rows": [{"name": "mol-tiny", "role": "pretrained", "labels": None, "scores": score}]},
        "calibration": {
            "name": "mol-tiny", "labels": None, "seed": None, "kind": "regression", "variance_factor": [1.7],
            "before": {"coverage": [{"level": level, "coverage": level * 0.8} for level in levels]},
            "after": {"coverage": [{"level": level, "coverage": level} for level in levels]},
        },
        "errors": {"kind": "regression", "classes": ["logS"], "true": true[:, None].tolist(), "predicted": (true + rng.normal(0, 0.6, 400))[:, None].tolist()},
        "mistakes": [{"id": "mol-1", "group": "g", "true": [1.5], "predicted": [4.0], "error": [2.5], "meta": {}}],
    }  # fmt: skip


def multilabel(sample: dict[str, Any]) -> dict[str, Any]:
    found = {key: copy.deepcopy(sample[key]) for key in ("format_version", "verb", "task", "data")}
    found["task"]["kind"] = "multilabel"
    names = [f"finding number {place}" for place in range(14)]
    counts = list(range(14, 0, -1))
    found["errors"] = {
        "kind": "multilabel",
        "classes": names,
        "right": counts,
        "missed": [3] * 14,
        "false": [2] * 14,
    }
    return found


class Outline(HTMLParser):
    """What a page consists of: elements that are not closed, headings, ids, links."""

    VOID = frozenset({"meta", "link", "img", "br", "hr", "col"})

    def __init__(self, page: str):
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.headings: list[tuple[int, str]] = []
        self.feed(page)

    def handle_starttag(self, name: str, attributes: list[tuple[str, str | None]]) -> None:
        self.elements.append((name, dict(attributes)))
        if re.fullmatch("h[1-6]", name):
            self.headings.append((int(name[1]), ""))
        if name not in self.VOID:
            self.open.append(name)

    def handle_startendtag(self, name: str, attributes: list[tuple[str, str | None]]) -> None:
        self.elements.append((name, dict(attributes)))

    def handle_endtag(self, name: str) -> None:
        assert self.open.pop() == name, f"</{name}> closes another element"

    def handle_data(self, data: str) -> None:
        if self.open and re.fullmatch("h[1-6]", self.open[-1]):
            self.headings[-1] = (self.headings[-1][0], self.headings[-1][1] + data)

    def titles(self, level: int) -> list[str]:
        return [words for found, words in self.headings if found == level]

    def named(self, name: str) -> list[dict[str, str | None]]:
        return [attributes for found, attributes in self.elements if found == name]


def check(content: Any) -> None:
    jsonschema.Draft202012Validator(schema()).validate(content)


def test_the_schema_is_sound_and_accepts_what_jobs_report(sample: dict[str, Any]) -> None:
    jsonschema.Draft202012Validator.check_schema(schema())
    for content in (sample, regression(sample), multilabel(sample)):
        check(content)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("task", "metric", "direction"), "up"),
        (("table", "rows", 0, "scores", "mcc", "value"), "0.8"),
        (("comparisons", 0, "adjusted_p_value"), 1.5),
        (("errors", "matrix", 0, 0), -1),
        (("mistakes", 0, "picture"), "https://example.org/picture.png"),
        (("format_version",), 2),
        (("verdict",), {"outcome": "pretrained"}),
    ],
)
def test_the_schema_refuses(sample: dict[str, Any], path: tuple[Any, ...], value: Any) -> None:
    content = copy.deepcopy(sample)
    inner = content
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    with pytest.raises(jsonschema.ValidationError):
        check(content)


def test_both_files_are_written_and_numbers_that_are_none_become_null(
    sample: dict[str, Any], tmp_path: Path
) -> None:
    content = copy.deepcopy(sample)
    content["table"]["rows"][0]["scores"]["mcc"] = Estimate(math.nan, reason="one class only")
    content["curves"][0]["points"][0]["value"] = np.float64("nan")
    content["errors"]["matrix"] = np.array(content["errors"]["matrix"])
    content["conformal"]["size"] = Estimate(math.inf, math.nan, math.nan)
    path = write_report(tmp_path, content)
    assert path == tmp_path / "report.html"
    assert sorted(file.name for file in tmp_path.iterdir()) == ["report.html", "report.json"]
    found = json.loads((tmp_path / "report.json").read_text(), parse_constant=lambda word: pytest.fail(word))
    check(found)
    assert found["table"]["rows"][0]["scores"]["mcc"]["value"] is None
    assert found["curves"][0]["points"][0]["value"] is None
    assert found["conformal"]["size"]["value"] is None
    page = path.read_text()
    assert not re.search(r"\b(nan|NaN|inf|None)\b", re.sub(r"<style>.*?</style>", "", page, flags=re.DOTALL))
    assert write_report(tmp_path / "again", content).read_text() == page  # the same content, the same page


def test_the_verdict_comes_first_and_headings_are_in_order(sample: dict[str, Any]) -> None:
    outline = Outline(render(sample))
    assert not outline.open
    assert outline.headings[0] == (1, sample["verdict"]["sentence"])
    levels = [level for level, _ in outline.headings]
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    assert outline.titles(2) == [
        "Results", "Pre-trained against its rivals", "Learning curves", "Reliability", "Confusion matrix", "Subgroups",
        "Leakage audit", "Conformal coverage", "Out of distribution", "Worst mistakes", "Cost", "Tuning", "Data",
        "How to reproduce",
    ]  # fmt: skip


def test_the_page_stands_alone_and_every_figure_has_words(sample: dict[str, Any]) -> None:
    for content in (sample, regression(sample), multilabel(sample)):
        page = render(content)
        outline = Outline(page)
        assert not outline.named("script")
        for _, attributes in outline.elements:
            for key in ("src", "href", "xlink:href", "data", "action"):
                address = attributes.get(key)
                assert address is None or address.startswith(("#", "data:")), address
        assert "@import" not in page and not re.search(r"url\((?!#)", page)
        drawings = [one for one in outline.named("svg") if one.get("class") == "drawing"]
        assert drawings and all(
            one["role"] == "img" and len(one["aria-label"] or "") > 20 for one in drawings
        )
        assert all(one.get("alt") for one in outline.named("img"))
        ids = [attributes["id"] for _, attributes in outline.elements if "id" in attributes]
        assert len(ids) == len(set(ids))
        wanted = re.findall(r'(?:href="|url\()#([^")]+)', page)
        assert set(wanted) <= set(ids)


def test_values_stand_with_their_intervals(sample: dict[str, Any]) -> None:
    page = render(sample)
    best = next(
        row
        for row in sample["table"]["rows"]
        if row["name"] == "dna-tiny with LoRA" and row["labels"] == 2134
    )
    score = best["scores"]["mcc"]
    expected = f'<span class="value">{score["value"]:.3f}</span><span class="interval">{score["low"]:.3f} to {score["high"]:.3f}'
    assert expected in page
    assert "10 W per busy CPU core" in page and "1.22 M" in page
    assert sample["disclaimer"] in page


def test_a_single_checkpoint_says_its_main_result_first(sample: dict[str, Any]) -> None:
    outline = Outline(render(regression(sample)))
    assert outline.titles(1) == ["mol-tiny reaches 0.610 RMSE [0.590, 0.630] on 612 records."]
    assert outline.titles(2) == [
        "Results",
        "Reliability",
        "Residuals",
        "Worst mistakes",
        "Data",
        "How to reproduce",
    ]


def test_sections_that_are_not_there_are_left_out(sample: dict[str, Any]) -> None:
    least = {name: sample[name] for name in ("format_version", "verb", "task")}
    check(least)
    assert Outline(render(least)).titles(2) == []
    rest = set(sample) - set(least)
    nothing = least | dict.fromkeys(rest)
    check(nothing)
    assert render(nothing) == render(least)
    assert render(least | {name: type(sample[name])() for name in rest}) == render(least)
    for name in rest:  # each of them alone
        content = least | {name: sample[name]}
        check(content)
        outline = Outline(render(content))
        assert not outline.open
        assert outline.headings[0][0] == 1 and outline.headings[0][1]
        assert len(outline.titles(2)) == (name not in ("verdict", "disclaimer", "failed", "main"))


def poisoned(value: Any) -> Any:
    """Put a hostile string wherever the content holds words that people or files choose."""
    if isinstance(value, dict):
        kept = ("role", "kind", "direction", "outcome", "picture", "verb")
        return {key: inner if key in kept else poisoned(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [poisoned(inner) for inner in value]
    return f"{value}{HOSTILE}" if isinstance(value, str) else value


def test_hostile_words_stay_words(sample: dict[str, Any], tmp_path: Path) -> None:
    for content in (sample, regression(sample), multilabel(sample)):
        content = poisoned(content)
        for row in (content.get("table") or {}).get("rows", []):
            row["scores"] = {name + HOSTILE: score for name, score in row["scores"].items()}
        if content.get("data"):
            content["data"]["parts"] = {
                HOSTILE + name: part for name, part in content["data"]["parts"].items()
            }
        page = write_report(tmp_path, content).read_text(encoding="utf-8")
        outline = Outline(page)
        assert not outline.open and not outline.named("script")
        assert all("onerror" not in attributes for _, attributes in outline.elements)
        assert html.escape("<script>") in page
        json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))


def test_a_picture_from_elsewhere_is_not_loaded(sample: dict[str, Any]) -> None:
    content = copy.deepcopy(sample)
    for address in (
        "https://example.org/x.png",
        "data:text/html;base64,PHN2Zz4=",
        'data:image/png;base64,AA" onload="x',
    ):
        content["mistakes"] = [{"id": "one", "true": "a", "predicted": "b", "picture": address}]
        assert not Outline(render(content)).named("img")


def test_what_the_page_has_no_form_for_is_still_written(sample: dict[str, Any]) -> None:
    content = copy.deepcopy(sample)
    content["leakage"]["sketch_of_corpus"] = {"records": 12345, "similarity": guess(0.42)}
    content["subgroups"]["weakest_band"] = "short"
    page = render(content)
    assert "sketch of corpus" in page and "12,345" in page and "0.420" in page and "weakest band" in page


def test_a_split_that_leaks_and_runs_that_failed_are_said_at_the_top(sample: dict[str, Any]) -> None:
    content = copy.deepcopy(sample)
    content["leakage"]["passed"] = False
    content["leakage"]["checks"][0].update(passed=False, count=12)
    content["failed"] = [{"name": "LoRA, 20 labels, seed 1", "problem": "the loss is not a number"}]
    page = render(content)
    top = page[: page.index("<main>")]
    assert "not clean" in top and "LoRA, 20 labels, seed 1" in top and "the loss is not a number" in top
    assert "12 of 612 (1.96%)" in page


def test_what_was_found_without_a_tolerance_is_not_called_passed(sample: dict[str, Any]) -> None:
    content = copy.deepcopy(sample)
    found = {"count": 527, "tolerance": None, "judged": False, "passed": True}
    content["leakage"]["checks"] = [content["leakage"]["checks"][3] | found]
    page = render(content)
    assert "reported only" in page and "527" in page and ">passed<" not in page.replace("✓ ", "")


def test_many_classes_become_a_picture_of_the_matrix(sample: dict[str, Any]) -> None:
    content = copy.deepcopy(sample)
    for count in (13, 60):
        content["errors"] = {
            "kind": "classification",
            "classes": [f"class {n}" for n in range(count)],
            "matrix": (np.eye(count, dtype=int) * 5).tolist(),
        }
        assert f"Confusion matrix of {count} classes: 100%" in render(content)


def test_a_histogram_of_scores_counts_every_record() -> None:
    found = figures.score_histogram(
        {"a": [0.0, 1.0, 2.0, math.nan], "b": np.append(np.zeros(999), 1e6)}, bins=4
    )
    assert len(found["edges"]) == 5
    assert sum(found["counts"]["a"]) == 3 and sum(found["counts"]["b"]) == 1000
    assert found["edges"][-1] < 10  # one record far away does not squeeze the others into one bin
    assert figures.score_histogram({"a": []}) == {"edges": [], "counts": {}}


def test_elements_escape_their_text() -> None:
    assert tag("p", "a < b", Markup("<b>c</b>"), class_="x", title='"', hidden=True, id=None) == (
        '<p class="x" title="&quot;" hidden>a &lt; b<b>c</b></p>'
    )
    assert text(["<", None, 1, tag("br")]) == "&lt;1<br>"


# In a browser


def load_tool() -> Any:
    path = Path(__file__).parents[2] / "tools" / "screenshot.py"
    spec = importlib.util.spec_from_file_location("screenshot", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    tool = load_tool()
    program = tool.find_chromium()
    if program is None:
        reason = "Chromium is not on PATH (Debian: apt-get install chromium)"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    with tool.Browser(program) as found:
        yield found


_MEASURE = """(() => {
  const shapes = [...document.querySelectorAll('svg.drawing, img')].map(one => {
    const box = one.getBoundingClientRect();
    return [one.tagName, box.width, box.height, one.tagName != 'IMG' || one.naturalWidth > 0];
  });
  const wide = [...document.body.querySelectorAll('*')].filter(
    one => !one.closest('.scroll, pre, svg') && one.getBoundingClientRect().right > document.documentElement.clientWidth + 0.5
  ).map(one => one.outerHTML.slice(0, 120));
  const letters = [...document.querySelectorAll('svg.drawing text')].map(one => one.getBoundingClientRect().height);
  return {
    width: document.documentElement.scrollWidth, window: innerWidth, shapes, wide,
    letters: Math.min(...letters, 99), first: document.querySelector('h1').getBoundingClientRect().top,
  };
})()"""


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["classification", "regression", "multilabel", "hostile"])
def test_in_a_browser(browser: Any, sample: dict[str, Any], tmp_path: Path, kind: str) -> None:
    makers = {"regression": regression, "multilabel": multilabel, "hostile": poisoned}
    content = makers.get(kind, copy.deepcopy)(sample)
    path = write_report(tmp_path, content)
    figures_there = [one for one in Outline(path.read_text()).named("svg") if one.get("class") == "drawing"]
    for width, dark in ((390, False), (390, True), (320, False), (1280, False)):
        browser.complaints.clear()
        browser.requests.clear()
        browser.open(path, width=width, dark=dark, mobile=width < 700)
        found = browser.evaluate(_MEASURE)
        assert browser.complaints == []
        assert [one for one in browser.requests if not one.startswith(("file:", "data:"))] == []
        assert found["window"] == width
        assert found["width"] <= width, found["wide"]
        assert found["wide"] == []
        pictures = [one for one in found["shapes"] if one[0] == "IMG"]
        assert len(found["shapes"]) - len(pictures) == len(figures_there) > 0
        assert all(across > 100 and high > 40 and loaded for _, across, high, loaded in found["shapes"])
        assert found["letters"] >= 7 or kind == "hostile"
        assert found["first"] < 300
    assert browser.pdf().startswith(b"%PDF-")
    assert browser.complaints == []
