"""Cards and licences."""

from __future__ import annotations

import math

import pytest
import yaml

from scizoo.checkpoints.card import Card, CardFacts, Figure, TrainingData, build_card
from scizoo.checkpoints.licences import check_licence, hub_fields
from scizoo.errors import CheckpointError

CARD = Card(
    name="test/tiny",
    summary="A model of nothing.",
    licence="apache-2.0",
    intended_use="Tests.",
    limits="Everything else.",
    training_data=(
        TrainingData("bytes", "CC0-1.0", citation="Nobody 2020", records=1234, hub_id="org/bytes"),
    ),
    command="scizoo pretrain test/tiny seed=1",
    tags=("bytes", "scizoo"),
    disclaimer="Not for use on patients.",
)
FACTS = CardFacts(
    "test", "classification", "bert", "transformers", 12345, "bfloat16", 64, (1, 2), {"torch": "2"}
)
FIGURE = Figure(
    "accuracy",
    0.91234,
    "bytes|x",
    "by group, test part",
    interval=(0.9, 0.93),
    seeds=(1, 2),
    records=500,
    baseline=0.8,
    baseline_name="logistic regression",
    baseline_interval=(0.78, 0.82),
    scratch=0.85,
)


@pytest.mark.parametrize(
    ("given", "canonical"),
    [
        ("apache-2.0", "Apache-2.0"),
        ("MIT", "MIT"),
        ("mit or apache-2.0", "MIT OR Apache-2.0"),
        ("LicenseRef-GISAID", "LicenseRef-GISAID"),
    ],
)
def test_spdx_names_are_made_canonical(given: str, canonical: str) -> None:
    assert check_licence(given) == canonical


def test_a_wrong_licence_is_refused_with_the_nearest() -> None:
    with pytest.raises(CheckpointError, match=r"'Apache2' is not an SPDX.*did you mean 'Apache-2\.0'"):
        check_licence("Apache2")
    with pytest.raises(CheckpointError, match="SPDX"):
        Card("a/b", "s", "free for all", "u", "l")


@pytest.mark.parametrize(
    ("licence", "fields"),
    [
        ("CC-BY-4.0", {"license": "cc-by-4.0"}),
        ("GPL-3.0-only", {"license": "gpl-3.0", "license_name": "GPL-3.0-only"}),
        ("MIT OR Apache-2.0", {"license": "other", "license_name": "MIT OR Apache-2.0"}),
    ],
)
def test_licence_fields_of_the_hub(licence: str, fields: dict[str, str]) -> None:
    assert hub_fields(licence) == fields


def test_front_matter_is_what_the_hub_reads() -> None:
    text = build_card(CARD, [FIGURE], FACTS)
    front = yaml.safe_load(text.split("---\n")[1])
    assert front["license"] == "apache-2.0"
    assert front["library_name"] == "scizoo"
    assert front["tags"] == ["scizoo", "test", "classification", "bert", "bytes"]
    assert front["datasets"] == ["org/bytes"]
    assert front["metrics"] == ["accuracy"]
    result = front["model-index"][0]["results"][0]
    assert result["metrics"][0] == {"type": "accuracy", "value": 0.91234, "name": "accuracy"}


def test_the_hub_library_accepts_the_card() -> None:
    from huggingface_hub import ModelCard

    card = ModelCard(build_card(CARD, [FIGURE], FACTS))
    assert card.data.license == "apache-2.0"
    assert card.data.eval_results[0].metric_value == 0.91234


def test_every_section_and_every_number_is_there() -> None:
    text = build_card(CARD, [FIGURE], FACTS)
    heads = [line for line in text.splitlines() if line.startswith("## ")]
    assert heads == [
        "## What it is",
        "## Intended use",
        "## Limits",
        "## Training data",
        "## Results",
        "## How to load it",
        "## How to reproduce it",
    ]
    assert "> Not for use on patients." in text
    assert "0.9123 [0.9, 0.93]" in text
    assert "0.8 [0.78, 0.82] (logistic regression)" in text
    assert "| 0.85 |" in text
    assert "bytes\\|x" in text
    assert "Nobody 2020" in text and "CC0-1.0" in text and "1,234 records" in text
    assert 'scizoo.load("test/tiny")' in text
    assert "scizoo verify test/tiny" in text
    assert "scizoo pretrain test/tiny seed=1" in text


def test_a_card_without_figures_says_so() -> None:
    text = build_card(CARD, [], FACTS)
    assert "No figure was measured" in text
    assert "model-index" not in text


def test_figures_are_finite() -> None:
    with pytest.raises(CheckpointError, match="finite"):
        Figure("accuracy", math.nan, "d", "s")


def test_an_interval_that_could_not_be_made_is_left_out() -> None:
    one_group = Figure(
        "mcc", 0.5, "toy", "test", interval=(math.nan, math.nan), scratch_interval=(0.1, math.nan)
    )
    assert (one_group.interval, one_group.scratch_interval) == (None, None)
    assert "nan" not in build_card(CARD, [one_group], FACTS)
