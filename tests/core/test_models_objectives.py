"""Objectives make exact targets; the language heads score, write and never look ahead."""

from __future__ import annotations

import copy
from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from scizoo.errors import ConfigError, DataError
from scizoo.models.generation import draw_tokens, generate
from scizoo.models.masking import split_treatment
from scizoo.models.objectives import CausalLM, MaskedLM, SpanMaskedLM
from scizoo.models.scoring import masked_log_probabilities, score_tokens
from scizoo.models.transformers_backbone import TransformersBackbone

VOCAB = 21
SPECIAL = {0, 1, 2, 3, 4}
SMALL = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 48}
lengths_of_rows = st.lists(st.integers(1, 60), min_size=1, max_size=8)


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def backbone(kind: str, max_length: int = 64) -> TransformersBackbone:
    torch.manual_seed(0)
    return TransformersBackbone.from_config(kind, SMALL, VOCAB, 0, max_length).eval()


def bound(objective, kind: str):
    torch.manual_seed(1)
    model = backbone(kind)
    return model, objective(32, VOCAB).bind(model).eval()


def padded(lengths: list[int], seed: int, left: bool = False) -> dict[str, torch.Tensor]:
    """Rows that begin with [CLS], end with [SEP] and hold an unknown token now and then."""
    ids = torch.zeros(len(lengths), max(lengths) + 2, dtype=torch.long)
    for line, length in enumerate(lengths):
        row = torch.randint(5, VOCAB, (length,), generator=seeded(seed + line))
        row[torch.rand(length, generator=seeded(seed)) < 0.1] = 1
        row = torch.cat([torch.tensor([2]), row, torch.tensor([3])])
        ids[line, -len(row) :] = row if left else ids[line, -len(row) :]
        if not left:
            ids[line, : len(row)] = row
    return {"input_ids": ids, "attention_mask": (ids != 0).long()}


def packed(lengths: list[int], seed: int) -> dict[str, torch.Tensor]:
    rows = padded(lengths, seed)
    mask = rows["attention_mask"].bool()
    borders = torch.cat([torch.zeros(1, dtype=torch.long), mask.sum(1).cumsum(0)]).int()
    places = (mask.long().cumsum(1) - 1)[mask]
    ids = rows["input_ids"][mask][None]
    return {
        "input_ids": ids,
        "attention_mask": torch.ones_like(ids),
        "position_ids": places[None],
        "cu_seqlens": borders,
    }


def halves_up(value: float) -> int:
    return int(value + 0.5)


@settings(max_examples=60, deadline=None)
@given(lengths=lengths_of_rows, seed=st.integers(0, 1000), fraction=st.sampled_from([0.15, 0.3, 0.5]))
def test_masked_lm_counts_are_exact(lengths, seed, fraction):
    objective = MaskedLM(8, VOCAB, fraction=fraction, tie=False)
    for batch in (padded(lengths, seed), packed(lengths, seed)):
        made = objective.prepare(batch, seeded(seed))
        chosen = made["target"] != -100
        regular = ~torch.isin(batch["input_ids"], torch.tensor(sorted(SPECIAL)))
        assert not (chosen & ~regular).any()
        assert torch.equal(made["target"][chosen], batch["input_ids"][chosen])
        assert torch.equal(made["input_ids"][~chosen], batch["input_ids"][~chosen])
        if "cu_seqlens" in batch:
            cuts = batch["cu_seqlens"].tolist()
            pieces = [(chosen[0, a:b], regular[0, a:b]) for a, b in pairwise(cuts)]
        else:
            pieces = list(zip(chosen, regular))
        for mine, all_of_it in pieces:
            assert int(mine.sum()) == halves_up(fraction * int(all_of_it.sum()))
        total = int(chosen.sum())
        after, before = made["input_ids"][chosen], batch["input_ids"][chosen]
        masked, kept = int((after == 4).sum()), int((after == before).sum())
        assert abs(masked - 0.8 * total) < 1 and abs(kept - 0.1 * total) < 1
        swapped = after[(after != 4) & (after != before)]
        assert len(swapped) == total - masked - kept and not set(swapped.tolist()) & SPECIAL
        if total % 10 == 0:
            assert (masked, kept) == (total * 8 // 10, total // 10)


def test_masking_follows_the_generator_and_touches_no_input():
    objective, batch = MaskedLM(8, VOCAB, tie=False), padded([40, 31], 0)
    original = batch["input_ids"].clone()
    one, two, other = (objective.prepare(batch, seeded(seed)) for seed in (3, 3, 4))
    assert torch.equal(one["input_ids"], two["input_ids"]) and torch.equal(one["target"], two["target"])
    assert not torch.equal(one["target"], other["target"])
    assert torch.equal(batch["input_ids"], original) and "target" not in batch


def test_every_position_is_chosen_equally_often():
    objective, batch = MaskedLM(8, VOCAB, tie=False), padded([20], 5)
    batch["input_ids"][0, 1:-1] = 7
    hits = sum((objective.prepare(batch, seeded(seed))["target"] != -100).float() for seed in range(1500))
    share = hits[0, 1:-1] / 1500
    assert float((share - 0.15).abs().max()) < 0.04


def test_shares_are_right_on_average_where_they_cannot_be_exact():
    counts = torch.stack(
        [torch.bincount(split_treatment(3, seeded(seed)), minlength=3) for seed in range(3000)]
    )
    torch.testing.assert_close(
        counts.double().mean(0), torch.tensor([2.4, 0.3, 0.3]).double(), atol=0.04, rtol=0
    )


@settings(max_examples=60, deadline=None)
@given(lengths=lengths_of_rows, seed=st.integers(0, 1000), shortest=st.integers(1, 6))
def test_spans_are_whole_and_stay_within_their_sequence(lengths, seed, shortest):
    objective = SpanMaskedLM(8, VOCAB, shortest=shortest, longest=shortest + 4, mean_length=3.0, tie=False)
    for batch in (padded(lengths, seed), packed(lengths, seed)):
        made = objective.prepare(batch, seeded(seed))
        chosen = made["target"] != -100
        regular = ~torch.isin(batch["input_ids"], torch.tensor(sorted(SPECIAL)))
        assert not (chosen & ~regular).any()
        # The special tokens at both ends break runs, so a run is one span or several side by side.
        for row in chosen.tolist():
            runs = "".join("x" if hit else " " for hit in row).split()
            assert all(len(run) >= shortest for run in runs)
        assert int(chosen.sum()) <= 0.15 * int(regular.sum()) + 1 + shortest * len(lengths) * 12


def test_spans_take_their_share_on_average_and_one_treatment_each():
    objective = SpanMaskedLM(8, VOCAB, shortest=4, longest=8, tie=False)
    batch = {"input_ids": torch.randint(5, VOCAB, (4, 100), generator=seeded(0))}
    batch["attention_mask"] = torch.ones_like(batch["input_ids"])
    share = []
    for seed in range(50):
        made = objective.prepare(batch, seeded(seed))
        chosen = made["target"] != -100
        share.append(float(chosen.float().mean()))
        masked = (made["input_ids"] == 4).int()
        for row, hit in zip(masked, chosen):
            # Within a chosen run a masked stretch is at least one whole span.
            runs = "".join("m" if m else ("o" if c else " ") for m, c in zip(row.tolist(), hit.tolist()))
            assert all(len(part) >= 4 for part in runs.replace("o", " ").split())
    assert abs(sum(share) / len(share) - 0.15) < 0.005


def test_spans_of_packed_sequences_without_special_tokens_do_not_cross():
    objective = SpanMaskedLM(8, VOCAB, fraction=0.5, shortest=3, longest=6, tie=False)
    ids = torch.randint(5, VOCAB, (1, 40), generator=seeded(0))
    borders = torch.arange(0, 41, 2).int()  # every sequence is shorter than a span
    made = objective.prepare({"input_ids": ids, "cu_seqlens": borders}, seeded(0))
    assert not (made["target"] != -100).any()


def test_causal_targets_never_cross_a_border():
    objective = CausalLM(8, VOCAB, tie=False)
    batch = packed([4, 1, 7], 0)
    target = objective.prepare(batch)["target"][0]
    ids, cuts = batch["input_ids"][0], batch["cu_seqlens"].tolist()
    for start, end in pairwise(cuts):
        assert torch.equal(target[start : end - 1], ids[start + 1 : end]) and target[end - 1] == -100
    rows = padded([4, 1, 7], 0)
    target = objective.prepare(rows)["target"]
    for line, length in enumerate([4, 1, 7]):
        assert torch.equal(target[line, : length + 1], rows["input_ids"][line, 1 : length + 2])
        assert (target[line, length + 1 :] == -100).all()
    left = padded([4, 7], 0, left=True)
    assert (CausalLM(8, VOCAB, tie=False).prepare(left)["target"][0, :3] == -100).all()
    assert not (CausalLM(8, VOCAB, ignored_ids=[1, 3], tie=False).prepare(rows)["target"] == 3).any()


@pytest.mark.parametrize(("objective", "kind"), [(MaskedLM, "bert"), (CausalLM, "llama")])
def test_tied_head_scores_with_the_input_embedding(objective, kind, tmp_path):
    model, head = bound(objective, kind)
    assert not any("embedding" in name or "decoder" in name for name in head.state_dict())
    batch = head.prepare(padded([20, 30], 0), seeded(0))
    out = head(model(batch), batch)
    head.loss(out, batch).backward()
    assert float(model.input_embeddings().weight.grad.abs().sum()) > 0
    # A copy of both keeps the tie; a head by itself says what it lacks.
    both = copy.deepcopy(torch.nn.ModuleList([model, head]))
    with torch.no_grad():
        both[0].input_embeddings().weight.zero_()
    assert float(both[1].logits(torch.randn(1, 32)).abs().max()) == 0.0
    with pytest.raises(ConfigError, match="bind"):
        objective(32, VOCAB)(model(batch), batch)
    again = objective(32, VOCAB, **head.settings()).bind(model)
    again.load_state_dict(head.state_dict())
    torch.testing.assert_close(again(model(batch), batch)["token_loss"], out["token_loss"])


def test_loss_is_the_plain_cross_entropy_however_it_is_cut():
    model, head = bound(CausalLM, "llama")
    batch = head.prepare(padded([20, 33, 5], 0))
    plain = head(model(batch), {k: v for k, v in batch.items() if k != "target"})["logits"]
    expected = torch.nn.functional.cross_entropy(
        plain.flatten(0, 1), batch["target"].flatten(), ignore_index=-100
    )
    expected.backward()
    grads = [p.grad.clone() for p in (*model.parameters(), *head.parameters())]
    for chunk in (7, 4096):
        model.zero_grad()
        head.zero_grad()
        head.chunk = chunk
        out = head(model(batch), batch)
        loss = head.loss(out, batch)
        loss.backward()
        torch.testing.assert_close(loss, expected)
        for mine, other in zip((*model.parameters(), *head.parameters()), grads):
            torch.testing.assert_close(mine.grad, other, atol=1e-6, rtol=1e-4)
        right = (plain.argmax(-1) == batch["target"])[batch["target"] != -100]
        assert torch.equal(out["correct"], right)


def test_packed_and_padded_losses_agree():
    model, head = bound(CausalLM, "gpt_neox")
    losses = [
        head(model(b), b)["token_loss"]
        for b in map(head.prepare, (padded([9, 2, 21], 0), packed([9, 2, 21], 0)))
    ]
    torch.testing.assert_close(losses[0], losses[1], atol=1e-5, rtol=1e-5)


def test_nothing_to_predict_is_no_loss_rather_than_nan():
    model, head = bound(MaskedLM, "bert")
    batch = head.prepare({"input_ids": torch.tensor([[2, 3]]), "attention_mask": torch.ones(1, 2)})
    loss = head.loss(head(model(batch), batch), batch)
    loss.backward()
    assert loss.item() == 0.0


@pytest.mark.parametrize(("objective", "kind"), [(MaskedLM, "llama"), (CausalLM, "bert")])
def test_objective_and_backbone_must_fit(objective, kind):
    with pytest.raises(ConfigError, match="backbone"):
        objective(32, VOCAB).bind(backbone(kind))
    with pytest.raises(ConfigError, match="tie"):
        MaskedLM(32, VOCAB + 1).bind(backbone("bert"))


@pytest.mark.parametrize(
    "wrong", [{"fraction": 1.5}, {"mask_id": 99}, {"special_ids": range(VOCAB)}, {"chunk": 0}]
)
def test_wrong_settings_are_refused(wrong):
    with pytest.raises(ConfigError):
        MaskedLM(8, VOCAB, **wrong)


def test_a_memorised_sequence_is_learned():
    torch.manual_seed(0)
    model, head = bound(CausalLM, "llama")
    batch = head.prepare(padded([12], 0))
    optimizer = torch.optim.AdamW([*model.parameters(), *head.parameters()], lr=1e-2)
    for _ in range(40):
        optimizer.zero_grad()
        out = head(model(batch), batch)
        head.loss(out, batch).backward()
        optimizer.step()
    assert bool(out["correct"].all())


def test_causal_scores_are_the_log_probabilities_of_the_tokens():
    model, head = bound(CausalLM, "llama")
    batch = padded([6, 3], 0)
    scores = score_tokens(model, head, batch)
    table = head.logits(model(batch).states).log_softmax(-1)
    ids = batch["input_ids"]
    for place in range(1, 8):
        torch.testing.assert_close(scores[0, place], table[0, place - 1, ids[0, place]])
    assert scores[:, 0].isnan().all() and scores[1, 5:].isnan().all() and not scores[1, 1:5].isnan().any()
    in_one_row = score_tokens(model, head, packed([6, 3], 0))
    torch.testing.assert_close(in_one_row.nansum(), scores.nansum(), atol=1e-4, rtol=1e-5)


def test_masked_scores_mask_one_position_at_a_time():
    model, head = bound(MaskedLM, "bert")
    batch = padded([6, 3], 3)
    scores = score_tokens(model, head, batch, batch_size=4)
    regular = ~torch.isin(batch["input_ids"], torch.tensor(sorted(SPECIAL)))
    assert torch.equal(~scores.isnan(), regular)
    line, place = regular.nonzero()[3].tolist()
    changed = {**batch, "input_ids": batch["input_ids"].clone()}
    changed["input_ids"][line, place] = 4
    with torch.inference_mode():
        table = head.logits(model(changed).states[line, place]).log_softmax(-1)
    torch.testing.assert_close(
        scores[line, place], table[batch["input_ids"][line, place]], atol=1e-5, rtol=1e-5
    )
    only = torch.zeros_like(regular)
    only[line, place] = True
    torch.testing.assert_close(
        masked_log_probabilities(model, head, batch, only)[0], table, atol=1e-5, rtol=1e-5
    )
    assert int((~score_tokens(model, head, batch, only).isnan()).sum()) == 1


@pytest.mark.parametrize("kind", ["llama", "gpt_neox"])
def test_cache_changes_no_token(kind):
    model, head = bound(CausalLM, kind)
    prompts = torch.randint(5, VOCAB, (3, 6), generator=seeded(0))
    mask = torch.ones_like(prompts)
    mask[0, :4], prompts[0, :4] = 0, 0
    options = {"max_new_tokens": 12, "attention_mask": mask}
    for temperature in (0.0, 1.0):
        runs = [
            generate(
                model, head, prompts, temperature=temperature, use_cache=c, generator=seeded(5), **options
            )
            for c in (True, False)
        ]
        assert torch.equal(*runs) and runs[0].shape == (3, 18)
    alone = generate(model, head, prompts[:1, 4:], max_new_tokens=12, temperature=0.0)
    assert torch.equal(generate(model, head, prompts, temperature=0.0, **options)[0, 4:], alone[0])


def test_generation_obeys_its_settings():
    model, head = bound(CausalLM, "llama")
    prompts = torch.full((4, 2), 6)
    out = generate(model, head, prompts, max_new_tokens=30, forbidden=range(5), generator=seeded(0))
    assert int(out.min()) >= 5
    likeliest = generate(model, head, prompts, max_new_tokens=5, top_k=1, generator=seeded(0))
    assert torch.equal(likeliest, generate(model, head, prompts, max_new_tokens=5, temperature=0.0))

    def only_seven(ids, logits):
        return torch.where(torch.arange(VOCAB) == 7, 0.0, -torch.inf).expand_as(logits).clone()

    assert (generate(model, head, prompts, max_new_tokens=3, logits_processor=only_seven)[:, 2:] == 7).all()
    ended = generate(model, head, prompts, max_new_tokens=9, logits_processor=only_seven, eos_id=7)
    assert ended.shape == (4, 3)
    random = generate(model, head, prompts, max_new_tokens=40, eos_id=8, generator=seeded(1), temperature=3.0)
    for row in random.tolist():
        if 8 in row:
            assert set(row[row.index(8) + 1 :]) <= {0}


def test_top_p_keeps_the_likeliest_that_reach_it():
    logits = torch.tensor([[0.5, 0.3, 0.15, 0.05]]).log().repeat(2000, 1)
    drawn = draw_tokens(logits, top_p=0.6, generator=seeded(0)).bincount(minlength=4)
    assert drawn[2] == drawn[3] == 0 and abs(int(drawn[0]) / 2000 - 0.625) < 0.04
    assert (draw_tokens(logits, top_p=1e-6, generator=seeded(0)) == 0).all()
    tied = draw_tokens(torch.zeros(2000, 4), top_k=2, generator=seeded(0))
    assert len(set(tied.tolist())) == 2


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"max_new_tokens": 63}, DataError),
        ({"max_new_tokens": 0}, DataError),
        ({"max_new_tokens": 2, "top_p": 0.0}, ConfigError),
        ({"max_new_tokens": 2, "temperature": -1.0}, ConfigError),
    ],
)
def test_impossible_requests_are_refused(options, error):
    model, head = bound(CausalLM, "llama")
    with pytest.raises(error):
        generate(model, head, torch.full((1, 2), 6), **options)
    with pytest.raises(ConfigError, match="causal"):
        generate(backbone("bert"), head, torch.full((1, 2), 6), max_new_tokens=1)
