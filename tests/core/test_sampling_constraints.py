"""Constraints on what a language model writes, likelihood per unit, and groups of near duplicates."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from scizoo.data.bytes_tokenizer import ByteTokenizer
from scizoo.data.records import Record
from scizoo.data.tokenizer import TokenTokenizer
from scizoo.data.windows import Context
from scizoo.errors import ConfigError
from scizoo.evaluation.generators import NGramGenerator
from scizoo.evaluation.likelihood import Likelihood
from scizoo.evaluation.similarity import MinHashTextSimilarity
from scizoo.models.generation import LogitsProcessor
from scizoo.models.objectives import CausalLM
from scizoo.models.sampling import Constraint, Sampling, draw
from scizoo.models.transformers_backbone import TransformersBackbone

TOKENIZER = ByteTokenizer()
CONTEXT = Context(24, add_cls=True, add_sep=True)


class Letters(Constraint):
    """Only some letters, and no word that holds a forbidden one."""

    def __init__(self, letters: str = "ab", without: str = "") -> None:
        self.letters, self.without = letters, without

    def processor(self, tokenizer: TokenTokenizer) -> LogitsProcessor | None:
        kept = [len(tokenizer.SPECIAL) + ord(letter) for letter in self.letters]

        def process(ids: Tensor, logits: Tensor) -> Tensor:
            changed = torch.full_like(logits, -torch.inf)
            changed[:, kept] = logits[:, kept]
            return changed

        return process

    def accepts(self, value: Any) -> bool:
        return not self.without or self.without not in value


def described(**settings: Any) -> dict[str, Any]:
    return {"_target_": "scizoo_constraint_for_tests.Letters", **settings}


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "scizoo.models.sampling.instantiate",
        lambda node: Letters(**{k: v for k, v in node.items() if k != "_target_"}),
    )


def model() -> tuple[TransformersBackbone, CausalLM]:
    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "num_key_value_heads": 2}
    backbone = TransformersBackbone.from_config(
        "llama", {**sizes, "intermediate_size": 16, "vocab_size": TOKENIZER.vocab_size}
    )
    head = CausalLM(backbone.hidden_size, TOKENIZER.vocab_size)
    head.bind(backbone)
    return backbone.eval(), head.eval()


def written(rows: Sequence[np.ndarray]) -> list[str]:
    return [TOKENIZER.decode(row) for row in rows]


def test_no_forbidden_token_is_written_and_refused_records_are_written_anew(made: None) -> None:
    backbone, head = model()
    shared: dict[str, Any] = {"count": 12, "max_tokens": 5}
    free = Sampling(**shared, constraint=described())
    texts = written(draw(backbone, head, TOKENIZER, CONTEXT, free).rows)
    assert set("".join(texts)) == {"a", "b"}
    first = Sampling(**shared, constraint=described(without="aa"))
    again = Sampling(**shared, constraint=described(without="aa"), attempts=8)
    once = written(draw(backbone, head, TOKENIZER, CONTEXT, first).rows)
    often = written(draw(backbone, head, TOKENIZER, CONTEXT, again).rows)
    assert once == texts  # refused records stay when there is one attempt
    assert sum("aa" in text for text in often) < sum("aa" in text for text in once)
    assert all(new == old for new, old in zip(often, once) if "aa" not in old)


def test_the_ngram_model_keeps_to_a_constraint_too(made: None) -> None:
    rows = [np.array([2, *row, 3]) for row in TOKENIZER.encode(["abcabc", "cabcab"])["input_ids"]]
    model = NGramGenerator([2]).fit(rows, rows, TOKENIZER)
    drawn = model.draw(
        np.full((10, 1), 2), Sampling(count=10, constraint=described()), TOKENIZER, CONTEXT, most=6, seed=0
    )
    assert set("".join(written(drawn.rows))) == {"a", "b"}


def test_what_is_no_constraint_is_refused() -> None:
    node = {"_target_": "scizoo.data.bytes_tokenizer.ByteTokenizer"}
    with pytest.raises(ConfigError, match="no Constraint"):
        Sampling(constraint=node).constrained()
    with pytest.raises(ConfigError, match="attempts"):
        Sampling(attempts=0)


def test_likelihood_per_unit() -> None:
    groups = np.array(["a", "b", "c"])
    found = Likelihood(
        np.array([-6.0, -4.0, -2.0]), np.array([4, 4, 4]), groups, np.array([2, 3, 1]), "frame", in_nats=True
    )
    estimates = found.estimates(resamples=50, level=0.95)
    assert estimates["nll_per_frame"].value == pytest.approx(2.0)
    assert estimates["nll_per_token"].value == pytest.approx(1.0)
    plain = Likelihood(np.array([-6.0, -4.0]), np.array([4, 4]), groups[:2]).estimates(
        resamples=50, level=0.95
    )
    assert not any("frame" in name for name in plain)


def test_near_duplicates_of_near_duplicates_are_one_group() -> None:
    rng = np.random.default_rng(0)
    base = "".join(rng.choice(list("abcdefghij"), 300))
    other = "".join(rng.choice(list("abcdefghij"), 300))
    texts = [base, other, base[:280], base[:280] + other[:10], other + "x"]
    records = [Record(str(number), text) for number, text in enumerate(texts)]
    groups = MinHashTextSimilarity(shingle=5, threshold=0.8).groups(records)
    assert groups.tolist() == [0, 1, 0, 0, 1]
    assert MinHashTextSimilarity().groups([]).tolist() == []
