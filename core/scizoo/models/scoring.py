"""How likely a model finds each token: left to right, or one masked position at a time."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from scizoo.errors import ConfigError
from scizoo.models.backbones import Backbone
from scizoo.models.masking import eligible_positions
from scizoo.models.objectives import CausalLM, LanguageObjective, MaskedLM


@torch.inference_mode()
def score_tokens(
    backbone: Backbone,
    head: LanguageObjective,
    batch: Mapping[str, Tensor],
    positions: Tensor | None = None,
    batch_size: int = 64,
) -> Tensor:
    """Return the log-likelihood of each token, by the way that suits the model.

    Parameters
    ----------
    backbone, head : Backbone, LanguageObjective
        A causal or masked language model; both should be in evaluation mode.
    batch : mapping
        ``input_ids`` and ``attention_mask`` ``[B, T]``, padded.
    positions : Tensor, optional
        ``[B, T]`` bool, which tokens to score; all regular ones by default.
    batch_size : int
        Masked copies a forward pass.

    Returns
    -------
    Tensor
        ``[B, T]`` in nats, NaN where no figure exists: padding, special tokens (masked models), the first
        token (causal models).
    """
    if isinstance(head, CausalLM):
        scores = head.token_log_likelihood(backbone(batch), batch)
        return scores if positions is None else scores.masked_fill(~positions.to(scores.device), torch.nan)
    if isinstance(head, MaskedLM):
        return pseudo_log_likelihood(backbone, head, batch, positions, batch_size)
    raise ConfigError(
        f"{type(head).__name__} cannot score tokens.", expected="a causal or masked language model"
    )


@torch.inference_mode()
def pseudo_log_likelihood(
    backbone: Backbone,
    head: MaskedLM,
    batch: Mapping[str, Tensor],
    positions: Tensor | None = None,
    batch_size: int = 64,
) -> Tensor:
    """Mask one position at a time and score the token that stood there.

    The pseudo-log-likelihood of Salazar et al. 2020, arXiv 1910.14659.

    Parameters
    ----------
    backbone, head, batch, positions, batch_size
        As in :func:`score_tokens`.

    Returns
    -------
    Tensor
        ``[B, T]`` in nats, NaN where nothing was scored.
    """
    ids = batch["input_ids"]
    wanted = _regular(head, batch) if positions is None else positions.to(ids.device) & _regular(head, batch)
    scores = torch.full(ids.shape, torch.nan, device=ids.device)
    scores[wanted] = (
        masked_log_probabilities(backbone, head, batch, wanted, batch_size)
        .gather(1, ids[wanted].long()[:, None])
        .squeeze(1)
    )
    return scores


@torch.inference_mode()
def masked_log_probabilities(
    backbone: Backbone, head: MaskedLM, batch: Mapping[str, Tensor], positions: Tensor, batch_size: int = 64
) -> Tensor:
    """Return the log-probability of every token at masked positions, each masked by itself.

    Parameters
    ----------
    backbone, head, batch
        As in :func:`score_tokens`.
    positions : Tensor
        ``[B, T]`` bool with N True.
    batch_size : int
        Masked copies a forward pass.

    Returns
    -------
    Tensor
        ``[N, V]`` float32 in the order of ``positions.nonzero()``.
    """
    if "cu_seqlens" in batch:
        raise ConfigError("Masked scoring takes padded batches, not packed ones.")
    ids = batch["input_ids"]
    rows, places = positions.to(ids.device).nonzero(as_tuple=True)
    tables = []
    for some, where in zip(rows.split(batch_size), places.split(batch_size)):
        copies = {
            key: value[some]
            for key, value in batch.items()
            if key != "target" and value.ndim >= 2 and len(value) == len(ids)
        }
        line = torch.arange(len(some), device=ids.device)
        copies["input_ids"] = copies["input_ids"].clone()
        copies["input_ids"][line, where] = head.mask_id
        states = backbone(copies).states[line, where]
        tables.append(head.logits(states).float().log_softmax(dim=-1))
    return torch.cat(tables) if tables else torch.zeros(0, head.outputs, device=ids.device)


def _regular(head: MaskedLM, batch: Mapping[str, Tensor]) -> Tensor:
    special = torch.tensor(head.special_ids)
    return eligible_positions(batch, special).to(batch["input_ids"].device)
