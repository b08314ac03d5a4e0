"""Backbones: packing, padding, causality, saving for the library and loading from it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, AutoModel, AutoModelForCausalLM, AutoModelForMaskedLM

import scizoo
from scizoo.data.ragged import Ragged
from scizoo.data.tokenizer import TokenTokenizer
from scizoo.errors import CheckpointError, ConfigError, DataError
from scizoo.models import packed_attention
from scizoo.models.backbones import Hidden, build_backbone, load_backbone
from scizoo.models.objectives import build_objective
from scizoo.models.packed_attention import PACKABLE, Packing
from scizoo.models.timm_backbone import TimmBackbone
from scizoo.models.transformers_backbone import TransformersBackbone

SMALL = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4}
CONFIGS = {
    "bert": {**SMALL, "intermediate_size": 48},
    "roberta": {**SMALL, "intermediate_size": 48},
    # One local layer whose window of 4 is shorter than the sequences, one global layer.
    "modernbert": {
        **SMALL,
        "intermediate_size": 48,
        "local_attention": 8,
        "layer_types": ["sliding_attention", "full_attention"],
    },
    "llama": {**SMALL, "intermediate_size": 48, "num_key_value_heads": 2},
    "gpt_neox": {**SMALL, "intermediate_size": 48},
    "gpt2": {"n_embd": 32, "n_layer": 2, "n_head": 4},
    "mistral": {**SMALL, "intermediate_size": 48, "num_key_value_heads": 2, "sliding_window": 5},
    "qwen2": {**SMALL, "intermediate_size": 48, "num_key_value_heads": 2},
    "qwen3": {**SMALL, "intermediate_size": 48, "num_key_value_heads": 2, "head_dim": 8},
}
ENCODERS = ["bert", "roberta", "modernbert"]
DECODERS = ["llama", "gpt_neox", "gpt2", "mistral", "qwen2", "qwen3"]
VOCAB = 19
LENGTHS = (11, 3, 1, 17)


def make(kind: str, **more) -> TransformersBackbone:
    torch.manual_seed(0)
    return TransformersBackbone.from_config(
        kind, {**CONFIGS[kind], **more}, VOCAB, 0, 32, special_token_ids={"cls": 2, "sep": 3}
    ).eval()


def sequences() -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    return [torch.randint(5, VOCAB, (length,), generator=generator) for length in LENGTHS]


def packed(rows: list[torch.Tensor]) -> dict[str, torch.Tensor]:
    lengths = torch.tensor([len(row) for row in rows])
    return {
        "input_ids": torch.cat(rows)[None],
        "position_ids": torch.cat([torch.arange(len(row)) for row in rows])[None],
        "attention_mask": torch.ones(1, int(lengths.sum()), dtype=torch.long),
        "cu_seqlens": torch.cat([torch.zeros(1, dtype=torch.long), lengths.cumsum(0)]).int(),
    }


def padded(rows: list[torch.Tensor], width: int | None = None) -> dict[str, torch.Tensor]:
    width = width or max(len(row) for row in rows)
    ids = torch.zeros(len(rows), width, dtype=torch.long)
    mask = torch.zeros(len(rows), width, dtype=torch.long)
    for line, row in enumerate(rows):
        ids[line, : len(row)] = row
        mask[line, : len(row)] = 1
    return {"input_ids": ids, "attention_mask": mask}


def loss_of(states: torch.Tensor) -> torch.Tensor:
    weights = torch.linspace(-1, 1, states.shape[-1])
    return ((states * weights) ** 2).sum()


def test_every_packable_type_is_tested():
    assert set(CONFIGS) == PACKABLE


@pytest.mark.parametrize("way", ["one by one", "block mask"])
@pytest.mark.parametrize("kind", sorted(CONFIGS))
def test_packed_equals_unpacked_forward_and_backward(kind, way, monkeypatch):
    if way == "block mask":
        # The branch taken on accelerators, computed here on CPU.
        def by_mask(q, k, v, lengths, dropout, scale, causal, window):
            mask = Packing(tuple(lengths)).mask(causal, window, q.device)
            return torch.nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=mask, scale=scale)

        monkeypatch.setattr(packed_attention, "_one_by_one", by_mask)
    backbone, rows = make(kind), sequences()
    together = backbone(packed(rows))
    loss_of(together.states).backward()
    grads = {name: p.grad.clone() for name, p in backbone.named_parameters() if p.grad is not None}
    backbone.zero_grad()
    alone = [backbone({"input_ids": row[None]}).states[0] for row in rows]
    loss_of(torch.cat(alone)).backward()
    torch.testing.assert_close(together.states[0], torch.cat(alone), atol=1e-5, rtol=1e-5)
    own = {name: p.grad for name, p in backbone.named_parameters() if p.grad is not None}
    assert set(grads) == set(own)
    for name, gradient in own.items():
        scale = max(1.0, float(gradient.abs().max()))
        torch.testing.assert_close(grads[name] / scale, gradient / scale, atol=1e-5, rtol=1e-5, msg=name)


@pytest.mark.parametrize("kind", sorted(CONFIGS))
def test_padding_changes_nothing(kind):
    backbone, rows = make(kind), sequences()
    with torch.inference_mode():
        wide = backbone(padded(rows, 30))
        for line, row in enumerate(rows):
            alone = backbone({"input_ids": row[None], "attention_mask": torch.ones(1, len(row))}).states[0]
            torch.testing.assert_close(wide.states[line, : len(row)], alone, atol=1e-5, rtol=1e-5)
    assert wide.mask.sum(dim=1).tolist() == list(LENGTHS)


@pytest.mark.parametrize("kind", sorted(CONFIGS))
def test_the_future_is_hidden_from_decoders_only(kind):
    backbone, row = make(kind), sequences()[3]
    other = row.clone()
    other[-4:] = (other[-4:] - 5 + 1) % (VOCAB - 5) + 5
    with torch.inference_mode():
        change = (backbone({"input_ids": row[None]}).states - backbone({"input_ids": other[None]}).states)[0]
    earlier = float(change[:-4].abs().max())
    assert backbone.causal is (kind in DECODERS)
    assert (earlier == 0.0 or earlier < 1e-6) if kind in DECODERS else earlier > 1e-4
    assert float(change[-1].abs().max()) > 1e-4


def test_local_window_matters_in_the_packed_path():
    rows = [sequences()[3]] * 2
    narrow, wide = make("modernbert"), make("modernbert", local_attention=64)
    wide.load_state_dict(narrow.state_dict())
    with torch.inference_mode():
        assert float((narrow(packed(rows)).states - wide(packed(rows)).states).abs().max()) > 1e-4


def test_types_that_lose_the_borders_are_refused_by_name():
    backbone = TransformersBackbone.from_config("esm", {**SMALL, "intermediate_size": 48}, VOCAB, 0, 64)
    assert not backbone.supports_packing
    with pytest.raises(ConfigError, match="'esm'"):
        backbone(packed(sequences()))


def test_lost_borders_are_noticed_inside_the_attention():
    layer = torch.nn.Module()
    states = torch.zeros(1, 2, 6, 8)
    with pytest.raises(ConfigError, match="borders"):
        packed_attention.packed_attention_forward(
            layer, states, states, states, packed_attention.packed_marker(states.device)
        )


@pytest.mark.parametrize("borders", [[0, 4], [1, 6], [0, 3, 3, 6], [6]])
def test_wrong_borders_are_refused(borders):
    with pytest.raises(DataError, match="cu_seqlens"):
        Packing.from_cu_seqlens(torch.tensor(borders), 6)


def test_too_long_a_sequence_is_refused_with_its_length():
    with pytest.raises(DataError, match="33 tokens") as caught:
        make("bert")({"input_ids": torch.full((1, 33), 6)})
    assert "at most 32" in str(caught.value)


def test_unpacked_hidden_gives_one_row_a_sequence():
    backbone, rows = make("llama"), sequences()
    hidden = backbone(packed(rows)).unpacked()
    assert hidden.mask.sum(1).tolist() == list(LENGTHS)
    torch.testing.assert_close(hidden.states[1, :3], backbone(packed(rows)).states[0, 11:14])
    assert Hidden(hidden.states, hidden.mask).unpacked().states is hidden.states


@pytest.mark.parametrize("dtype", [None, "bfloat16"])
@pytest.mark.parametrize("kind", ["bert", "roberta", "modernbert", "llama", "gpt_neox", "gpt2"])
def test_automodel_opens_what_is_saved(kind, dtype, tmp_path):
    backbone, row = make(kind), sequences()[0][None]
    backbone.save(tmp_path, dtype=dtype)
    model, info = AutoModel.from_pretrained(tmp_path, output_loading_info=True)
    assert not info["missing_keys"] and not info["unexpected_keys"] and not info["mismatched_keys"]
    again = load_backbone(tmp_path).eval()
    assert again.load_report.missing == [] and not again.load_report.reshaped
    assert {p.dtype for p in again.parameters()} == {torch.float32}
    with torch.inference_mode():
        states = again({"input_ids": row}).states
        torch.testing.assert_close(model.eval()(row).last_hidden_state, states, atol=1e-5, rtol=1e-5)
        if dtype is None:
            assert torch.equal(backbone({"input_ids": row}).states, states)
    config = json.loads((tmp_path / "config.json").read_text())
    assert config["architectures"] == [type(backbone.model).__name__]
    assert "scizoo" not in json.dumps(config)
    stored = {tensor.dtype for tensor in load_file(tmp_path / "model.safetensors").values()}
    assert stored == {torch.bfloat16 if dtype else torch.float32}


def test_automodel_opens_it_where_scizoo_cannot_be_imported(tmp_path):
    make("bert").save(tmp_path)
    program = (
        "import sys; sys.modules['scizoo'] = None\n"
        "from transformers import AutoModel\n"
        f"m, info = AutoModel.from_pretrained({str(tmp_path)!r}, output_loading_info=True)\n"
        "assert not info['missing_keys'], info\nprint(type(m).__name__)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.strip() == "BertModel", done.stderr
    assert "newly initialized" not in done.stderr


def test_no_pooler_is_trained_and_the_saved_one_is_the_identity(tmp_path):
    backbone = make("bert")
    assert not any("pooler" in name for name, _ in backbone.named_parameters())
    backbone.save(tmp_path)
    model = AutoModel.from_pretrained(tmp_path)
    out = model(sequences()[0][None])
    torch.testing.assert_close(out.pooler_output, out.last_hidden_state[:, 0].tanh())


@pytest.mark.parametrize(("kind", "auto"), [("bert", AutoModelForMaskedLM), ("llama", AutoModelForCausalLM)])
def test_public_weights_of_a_class_with_a_head(kind, auto, tmp_path):
    public = auto.from_config(
        AutoConfig.for_model(
            kind, **CONFIGS[kind], vocab_size=VOCAB, pad_token_id=0, bos_token_id=2, eos_token_id=3
        )
    )
    public.save_pretrained(tmp_path)
    backbone = TransformersBackbone.load(tmp_path).eval()
    row = sequences()[0][None]
    base = getattr(public, public.base_model_prefix).eval()
    torch.testing.assert_close(backbone({"input_ids": row}).states, base(row).last_hidden_state)
    report = backbone.load_report
    assert report.missing == [] and set(report.allowed) == set(report.unexpected)
    assert report.unexpected and all(not name.startswith("encoder") for name in report.unexpected)
    assert "unexpected" in str(report)


def test_weights_that_do_not_fit_are_listed_and_refused(tmp_path):
    make("bert").save(tmp_path)
    tensors = load_file(tmp_path / "model.safetensors")
    tensors.pop("encoder.layer.0.output.dense.weight")
    tensors["embeddings.word_embeddings.weight"] = torch.zeros(VOCAB + 2, 32)
    tensors["encoder.layer.7.output.dense.weight"] = torch.zeros(2)
    save_file(tensors, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(CheckpointError) as caught:
        TransformersBackbone.load(tmp_path)
    message = str(caught.value)
    assert (
        "encoder.layer.0.output.dense.weight" in message and "encoder.layer.7.output.dense.weight" in message
    )
    assert f"[{VOCAB + 2}, 32] there, [{VOCAB}, 32] here" in message


def test_pickled_weights_are_never_read(tmp_path):
    backbone = make("bert")
    backbone.save(tmp_path)
    (tmp_path / "model.safetensors").unlink()
    torch.save(backbone.model.state_dict(), tmp_path / "pytorch_model.bin")
    with pytest.raises(CheckpointError, match="pickle"):
        load_backbone(tmp_path)


@pytest.mark.parametrize(
    ("model_type", "config", "names"),
    [
        ("bertt", {}, ["'bertt'", "'bert'"]),
        ("bert", {"hiden_size": 3}, ["'hiden_size'", "hidden_size"]),
        ("bert", {"hidden_size": 33}, ["33"]),
        ("bert", {"hidden_size": "wide"}, ["hidden_size"]),
        ("bert", {"max_position_embeddings": 8}, ["max_position_embeddings=8", "32"]),
        ("t5", {}, ["encoder-decoder"]),
    ],
)
def test_wrong_configs_are_named(model_type, config, names):
    with pytest.raises(ConfigError) as caught:
        TransformersBackbone.from_config(model_type, config, VOCAB, 0, 32)
    for name in names:
        assert name in str(caught.value)


def test_flops_follow_the_formula():
    backbone = make("llama")
    matrices = sum(p.numel() for n, p in backbone.named_parameters() if p.ndim == 2 and "embed" not in n)
    assert backbone.flops_per_token(16) == 6 * matrices + 6 * 2 * 16 * 32
    assert backbone.flops_per_token(16, training=False) == (2 * matrices + 2 * 2 * 16 * 32)
    encoder = make("bert")
    assert encoder.attention_flops_per_token(16) == 4 * 2 * 16 * 32
    # A window of 4 to either side and its centre on the local layer.
    assert make("modernbert").attention_flops_per_token(16) == 4 * 32 * (16 + 9)


def test_unmerged_adapters_are_refused_or_left_out(tmp_path):
    from peft import LoraConfig, inject_adapter_in_model

    backbone = make("bert")
    before = backbone({"input_ids": sequences()[0][None]}).states
    inject_adapter_in_model(LoraConfig(target_modules=["query", "value"], r=2), backbone.model)
    with pytest.raises(CheckpointError, match="adapters"):
        backbone.save(tmp_path)
    backbone.save(tmp_path, adapters="leave_out")
    again = load_backbone(tmp_path).eval()
    torch.testing.assert_close(again({"input_ids": sequences()[0][None]}).states, before)


def test_gradient_checkpointing_gives_the_same_gradients():
    backbone, batch = make("llama").train(), packed(sequences())
    loss_of(backbone(batch).states).backward()
    plain = backbone.input_embeddings().weight.grad.clone()
    backbone.zero_grad()
    backbone.gradient_checkpointing()
    loss_of(backbone(batch).states).backward()
    torch.testing.assert_close(backbone.input_embeddings().weight.grad, plain)


@pytest.mark.parametrize(
    ("architecture", "arguments", "tokens"),
    [
        ("vit_tiny_patch16_224", {"img_size": 32, "depth": 2, "embed_dim": 32, "num_heads": 2}, 5),
        ("test_convnext", {}, 1),
        ("test_resnet", {}, 1),
        (
            "swin_tiny_patch4_window7_224",
            {"img_size": 32, "embed_dim": 16, "depths": [1, 1], "num_heads": [2, 2], "window_size": 4},
            16,
        ),
    ],
)
def test_timm_opens_what_is_saved(architecture, arguments, tokens, tmp_path):
    import timm

    torch.manual_seed(0)
    backbone = TimmBackbone.from_config(architecture, in_chans=2, **arguments).eval()
    pixels = torch.randn(2, 2, 32, 32)
    hidden = backbone({"pixel_values": pixels})
    assert hidden.states.shape == (2, tokens, backbone.hidden_size) and hidden.mask.all()
    backbone.save(tmp_path)
    theirs = timm.create_model(f"local-dir:{tmp_path}", pretrained=True).eval()
    again = load_backbone(tmp_path).eval()
    with torch.inference_mode():
        torch.testing.assert_close(theirs.forward_features(pixels), backbone.model.forward_features(pixels))
        assert torch.equal(again({"pixel_values": pixels}).states, hidden.states)
    assert again.load_report.complete


def test_timm_names_are_suggested():
    with pytest.raises(ConfigError, match="resnet10t"):
        TimmBackbone.from_config("resnet10tt")


def test_constant_tables_of_old_public_weights_are_left_out(tmp_path):
    make("gpt_neox").save(tmp_path)
    tensors = load_file(tmp_path / "model.safetensors")
    tensors = {f"gpt_neox.{name}": tensor for name, tensor in tensors.items()}
    tensors["gpt_neox.layers.0.attention.masked_bias"] = torch.tensor(-1e9)
    tensors["gpt_neox.layers.0.attention.bias"] = torch.ones(1, 1, 4, 4)
    tensors["gpt_neox.layers.0.attention.rotary_emb.inv_freq"] = torch.ones(2)
    tensors["embed_out.weight"] = torch.zeros(VOCAB, 32)
    save_file(tensors, tmp_path / "model.safetensors", metadata={"format": "pt"})
    assert TransformersBackbone.load(tmp_path).load_report.missing == []
    tensors["gpt_neox.layers.0.attention.extra"] = torch.ones(1)
    save_file(tensors, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(CheckpointError, match="extra"):
        TransformersBackbone.load(tmp_path)


class Letters(TokenTokenizer):
    """The smallest tokenizer of tokens."""

    vocab = (*TokenTokenizer.SPECIAL, *"abc")

    def encode(self, inputs):
        return {
            "input_ids": Ragged.from_rows([np.array([self.vocab.index(c) for c in text]) for text in inputs])
        }

    def settings(self):
        return {}

    def fingerprint(self):
        return "letters"

    def decode(self, ids):
        return "".join(self.vocab[i] for i in ids)


CONF = Path(scizoo.__file__).parent / "conf"


TINY = sorted(path.stem for path in (CONF / "backbone").glob("*-tiny.yaml"))


@pytest.mark.parametrize("name", [name for name in TINY if name.startswith("continuous")])
def test_backbones_for_numbers_refuse_tokens(name):
    with pytest.raises(ConfigError, match="takes no tokens"):
        build_backbone(yaml.safe_load((CONF / "backbone" / f"{name}.yaml").read_text()), Letters(), 96)


@pytest.mark.parametrize("name", [name for name in TINY if not name.startswith("continuous")])
def test_shipped_configs_are_filled_in_by_the_tokenizer(name):
    backbone = build_backbone(yaml.safe_load((CONF / "backbone" / f"{name}.yaml").read_text()), Letters(), 96)
    config = backbone.model.config
    assert (config.vocab_size, config.pad_token_id, backbone.max_length) == (8, 0, 96)
    assert config.bos_token_id in (2, None) and config.eos_token_id in (3, None)
    for objective in ["clm"] if backbone.causal else ["mlm", "span"]:
        cfg = yaml.safe_load((CONF / "objective" / f"{objective}.yaml").read_text())
        head = build_objective(cfg, backbone, Letters())
        assert head.outputs == 8 and head.hidden_size == backbone.hidden_size
        if not backbone.causal:
            assert (head.mask_id, head.special_ids) == (4, [0, 1, 2, 3, 4])
        ids = torch.full((2, 40), 6)
        batch = head.prepare({"input_ids": ids, "attention_mask": torch.ones_like(ids)}, torch.Generator())
        assert head.loss(head(backbone(batch), batch), batch).isfinite()
