"""Writing on from a prompt, token by token."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from scizoo.errors import ConfigError, DataError
from scizoo.models.backbones import Backbone
from scizoo.models.objectives import CausalLM

#: Changes next-token scores: (ids so far [B, L], logits [B, V]) to logits [B, V].
LogitsProcessor = Callable[[Tensor, Tensor], Tensor]


@torch.inference_mode()
def generate(
    backbone: Backbone,
    head: CausalLM,
    prompt_ids: Tensor,
    *,
    max_new_tokens: int,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    eos_id: int | None = None,
    pad_id: int = 0,
    forbidden: Sequence[int] = (),
    attention_mask: Tensor | None = None,
    generator: torch.Generator | None = None,
    draws: Tensor | None = None,
    logits_processor: LogitsProcessor | None = None,
    use_cache: bool = True,
) -> Tensor:
    """Continue prompts with a causal language model.

    Parameters
    ----------
    backbone, head : Backbone, CausalLM
        A causal model; both should be in evaluation mode.
    prompt_ids : Tensor
        ``[B, P]``; shorter prompts are padded on the left.
    max_new_tokens : int
        How many tokens to add at most.
    temperature : float
        0 takes the likeliest token; higher is more varied.
    top_k : int, optional
        Draw from this many likeliest tokens only.
    top_p : float, optional
        Draw from the likeliest tokens that together reach this probability.
    eos_id : int, optional
        A row ends with this token; ``pad_id`` follows it.
    pad_id : int
        Fills rows that ended.
    forbidden : sequence of int
        Tokens that are never written.
    attention_mask : Tensor, optional
        ``[B, P]``, 0 at padding.
    generator : torch.Generator, optional
        Of the device of the prompts, or of the CPU; the same state gives the same tokens.
    draws : Tensor, optional
        ``[B, max_new_tokens]`` in [0, 1): the random numbers themselves, in place of a generator, so that a
        row does not depend on which others are in its batch.
    logits_processor : callable, optional
        Changes the scores before temperature and cuts.
    use_cache : bool
        Keep keys and values where the backbone can; the tokens are the same without.

    Returns
    -------
    Tensor
        ``[B, P + n]`` with n at most ``max_new_tokens``, the prompts included.

    Raises
    ------
    ConfigError
        When the model is not causal or a setting is out of range.
    DataError
        When prompt and new tokens exceed the context of the model.
    """
    if not backbone.causal:
        raise ConfigError(
            "Only causal models can generate.", remedy="use a checkpoint with a causal language model."
        )
    _check(temperature, top_k, top_p, max_new_tokens, prompt_ids, backbone)
    ids = prompt_ids
    mask = torch.ones_like(ids) if attention_mask is None else attention_mask.to(ids.dtype)
    if not bool(mask[:, -1].all()):
        raise DataError("A prompt ends in padding.", expected="shorter prompts padded on the left")
    ended = torch.zeros(len(ids), dtype=torch.bool, device=ids.device)
    banned = torch.tensor(list(forbidden), dtype=torch.long, device=ids.device)
    cache: Any = None
    cached = use_cache and backbone.supports_cache
    for place in range(max_new_tokens):
        positions = (mask.long().cumsum(dim=1) - 1).clamp(min=0)
        batch = {"input_ids": ids, "attention_mask": mask, "position_ids": positions}
        if cached:
            seen = 0 if cache is None else ids.shape[1] - 1
            batch["input_ids"], batch["position_ids"] = ids[:, seen:], positions[:, seen:]
            hidden, cache = backbone.step(batch, cache)
        else:
            hidden = backbone(batch)
        logits = head.logits(hidden.states[:, -1]).float()
        if logits_processor is not None:
            logits = logits_processor(ids, logits)
        logits[:, banned] = -torch.inf
        numbers = None if draws is None else draws[:, place].to(logits.device)
        chosen = draw_tokens(
            logits, temperature=temperature, top_k=top_k, top_p=top_p, generator=generator, numbers=numbers
        )
        chosen = chosen.masked_fill(ended, pad_id)
        ids = torch.cat([ids, chosen[:, None].to(ids.dtype)], dim=1)
        mask = torch.cat([mask, (~ended)[:, None].to(mask.dtype)], dim=1)
        if eos_id is not None:
            ended = ended | (chosen == eos_id)
            if bool(ended.all()):
                break
    return ids


def draw_tokens(
    logits: Tensor,
    *,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    generator: torch.Generator | None = None,
    numbers: Tensor | None = None,
) -> Tensor:
    """Choose one token a row.

    Parameters
    ----------
    logits : Tensor
        ``[B, V]``.
    temperature, top_k, top_p, generator
        As in :func:`generate`.
    numbers : Tensor, optional
        ``[B]`` in [0, 1), in place of the generator's: where each row falls in its distribution.

    Returns
    -------
    Tensor
        ``[B]``.
    """
    if temperature == 0.0:
        return logits.argmax(dim=-1)
    logits = logits / temperature
    if top_k is not None:
        # By rank, not by value: ties must not let more than k through.
        cut = logits.topk(min(top_k, logits.shape[-1]), dim=-1).indices
        logits = torch.full_like(logits, -torch.inf).scatter(1, cut, logits.gather(1, cut))
    probabilities = logits.softmax(dim=-1)
    if top_p is not None:
        ordered, order = probabilities.sort(dim=-1, descending=True, stable=True)
        before = ordered.cumsum(dim=-1) - ordered
        ordered = ordered.masked_fill(before >= top_p, 0.0)
        probabilities = torch.zeros_like(probabilities).scatter(1, order, ordered)
    if numbers is not None:
        reached = probabilities.double().cumsum(dim=-1)
        wanted = (numbers.double() * reached[:, -1])[:, None]
        # The first token whose cumulated probability passes the number; one without probability never does.
        return torch.searchsorted(reached, wanted, right=True).squeeze(1).clamp(max=logits.shape[-1] - 1)
    source = probabilities if generator is None else probabilities.to(generator.device)
    return torch.multinomial(source, 1, generator=generator).squeeze(1).to(logits.device)


def _check(
    temperature: float,
    top_k: int | None,
    top_p: float | None,
    max_new_tokens: int,
    prompt_ids: Tensor,
    backbone: Backbone,
) -> None:
    if (
        temperature < 0.0
        or (top_k is not None and top_k < 1)
        or (top_p is not None and not 0.0 < top_p <= 1.0)
    ):
        raise ConfigError(
            f"generate: temperature={temperature}, top_k={top_k}, top_p={top_p} are out of range.",
            expected="temperature >= 0, top_k >= 1, 0 < top_p <= 1",
        )
    if prompt_ids.ndim != 2 or prompt_ids.shape[1] < 1:
        raise DataError(
            f"Prompts of shape {list(prompt_ids.shape)} cannot be continued.", expected="[B, P] with P >= 1"
        )
    total = prompt_ids.shape[1] + max_new_tokens
    if max_new_tokens < 1 or (backbone.max_length is not None and total > backbone.max_length):
        raise DataError(
            f"A prompt of {prompt_ids.shape[1]} and {max_new_tokens} new tokens do not fit this model.",
            expected=f"at least one new token and at most {backbone.max_length} tokens in all",
            remedy="shorten the prompt or ask for fewer tokens.",
        )
