"""Public weights as a starting point: opened with a report, refused where they do not fit."""

import logging

import pytest
import torch
from transformers import BertConfig, BertForMaskedLM

from scizoo.config import instantiate
from scizoo.data.bytes_tokenizer import ByteTokenizer
from scizoo.errors import ConfigError, ScizooError
from scizoo.models.backbones import build_backbone

TARGET = "scizoo.models.public.public_backbone"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("public")
    config = BertConfig(
        vocab_size=ByteTokenizer().vocab_size,
        hidden_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=64,
    )
    BertForMaskedLM(config).save_pretrained(path)
    return path


def test_weights_of_a_class_with_a_head_give_the_same_states_and_a_report(folder, caplog):
    with caplog.at_level(logging.INFO):
        backbone = build_backbone({"_target_": TARGET, "path": str(folder)}, ByteTokenizer(), 64).eval()
    ids = torch.randint(5, 200, (2, 10))
    batch = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    reference = BertForMaskedLM.from_pretrained(folder).eval().bert(**batch).last_hidden_state
    torch.testing.assert_close(backbone(batch).states, reference, atol=1e-5, rtol=1e-5)
    assert "loaded" in caplog.text


def test_a_tokenizer_of_another_size_is_refused_by_both_sizes(folder):
    with pytest.raises(ConfigError, match=r"token ids, the tokenizer has 300"):
        instantiate({"_target_": TARGET, "path": str(folder), "vocab_size": 300})


def test_a_context_beyond_the_positions_is_refused(folder):
    with pytest.raises(ConfigError, match=r"context.max_length=65.*"):
        instantiate({"_target_": TARGET, "path": str(folder), "max_length": 65})


def test_a_folder_that_is_none_is_named(tmp_path):
    with pytest.raises(ScizooError, match="nowhere"):
        instantiate({"_target_": TARGET, "path": str(tmp_path / "nowhere")})
