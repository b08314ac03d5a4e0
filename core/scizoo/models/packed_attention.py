"""Attention over several sequences laid end to end in one row, without mixing them.

The function is registered with transformers under :data:`NAME`. A padded batch goes to the library's own
scaled dot-product attention. A packed batch is recognised by its :class:`Packing`, which the models hand
through to their attention layers; on CPU each sequence is attended to by itself (no work is spent on pairs
from different sequences), on an accelerator short rows use one block-diagonal mask, which takes one kernel
launch instead of one a sequence.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import AttentionMaskInterface, sdpa_mask

from scizoo.errors import ConfigError, DataError

#: The name under which transformers knows this attention function.
NAME = "scizoo_packed"

#: Model types whose packed outputs and gradients are tested to equal the unpacked ones. Other types may lose
#: the sequence borders on the way to their attention layers, so they are refused instead of trusted.
PACKABLE = frozenset(
    {"bert", "gpt2", "gpt_neox", "llama", "mistral", "modernbert", "qwen2", "qwen3", "roberta"}
)

# Rows longer than this use the loop on accelerators as well: the mask takes the square of it in bytes.
_SHORT = 256  # longest sequence for which plain attention is used on a CPU
_LONGEST_MASK = 8192


@dataclass
class Packing:
    """The borders of the sequences in a packed row.

    Parameters
    ----------
    lengths : tuple of int
        Length of each sequence, in order; they add up to the length of the row.
    """

    lengths: tuple[int, ...]
    masks: dict[tuple[bool, int | None], Tensor] = field(default_factory=dict, repr=False)

    @classmethod
    def from_cu_seqlens(cls, cu_seqlens: Tensor, row: int) -> Packing:
        """Read the borders from cumulative lengths.

        Parameters
        ----------
        cu_seqlens : Tensor
            Start of each sequence and the end of the last, ``[n + 1]``, first 0.
        row : int
            Length of the row, T.

        Raises
        ------
        DataError
            When the borders do not start at 0, do not end at T or are not increasing.
        """
        borders = [int(border) for border in cu_seqlens.tolist()]
        lengths = tuple(after - before for before, after in pairwise(borders))
        if not lengths or borders[0] != 0 or borders[-1] != row or min(lengths) < 1:
            raise DataError(
                f"cu_seqlens {borders[:6]}{'...' if len(borders) > 6 else ''} do not divide {row} tokens.",
                expected="increasing borders from 0 to the length of the row",
            )
        return cls(lengths)

    def mask(self, causal: bool, window: int | None, device: torch.device) -> Tensor:
        """Return the block-diagonal mask ``[1, 1, T, T]``, True where attention is allowed."""
        key = (causal, window)
        if key not in self.masks:
            lengths = torch.tensor(self.lengths, device=device)
            owner = torch.repeat_interleave(torch.arange(len(self.lengths), device=device), lengths)
            allowed = owner[:, None] == owner[None, :]
            self.masks[key] = (allowed & _local(len(owner), causal, window, device))[None, None]
        return self.masks[key]


def _local(length: int, causal: bool, window: int | None, device: torch.device) -> Tensor:
    """Allowed pairs [length, length] within one sequence; query and key are less than `window` apart."""
    place = torch.arange(length, device=device)
    distance = place[:, None] - place[None, :]
    allowed = torch.ones(length, length, dtype=torch.bool, device=device)
    if causal:
        allowed &= distance >= 0
    if window is not None:
        allowed &= distance.abs() < window
    return allowed


def packed_attention_forward(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    is_causal: bool | None = None,
    sliding_window: int | None = None,
    packing: Packing | None = None,
    **kwargs: Any,
) -> tuple[Tensor, None]:
    """Attend within each sequence of a packed row, or as the library does when nothing is packed.

    Parameters
    ----------
    module : nn.Module
        The attention layer; its ``is_causal`` counts when the argument is not given.
    query : Tensor
        ``[B, H, T, d]``.
    key, value : Tensor
        ``[B, H_kv, S, d]``; H is a multiple of H_kv.
    attention_mask : Tensor, optional
        What :func:`transformers.masking_utils.sdpa_mask` made; a packed batch carries :func:`packed_marker`.
    dropout : float
        Probability with which attention weights are dropped.
    scaling : float, optional
        Factor on the scores; the inverse root of d by default.
    is_causal : bool, optional
        Whether later tokens are hidden.
    sliding_window : int, optional
        Query and key must be less than this many tokens apart.
    packing : Packing, optional
        The borders of the sequences.
    **kwargs
        Handed to the library's function.

    Returns
    -------
    tuple
        The attended values ``[B, T, H, d]`` and None in place of the weights.
    """
    if packing is None:
        if attention_mask is not None and attention_mask.numel() == 1 and query.shape[2] > 1:
            raise ConfigError(
                f"{type(module).__name__} did not receive the borders of the packed sequences.",
                remedy="use padded batches (batching.packing=false) with this backbone.",
            )
        if _is_short(query, key):
            groups = query.shape[1] // key.shape[1]
            if groups > 1:
                key, value = key.repeat_interleave(groups, dim=1), value.repeat_interleave(groups, dim=1)
            causal = bool(getattr(module, "is_causal", True) if is_causal is None else is_causal)
            hides = causal and attention_mask is None and query.shape[2] > 1
            out = _plain_attention(query, key, value, attention_mask, dropout, scaling, hides)
            return out.transpose(1, 2).contiguous(), None
        return sdpa_attention_forward(
            module,
            query,
            key,
            value,
            attention_mask,
            dropout=dropout,
            scaling=scaling,
            is_causal=is_causal,
            sliding_window=sliding_window,
            **kwargs,
        )
    groups = query.shape[1] // key.shape[1]
    if groups > 1:
        key, value = key.repeat_interleave(groups, dim=1), value.repeat_interleave(groups, dim=1)
    causal = bool(getattr(module, "is_causal", True) if is_causal is None else is_causal)
    row = query.shape[2]
    if query.device.type != "cpu" and row <= _LONGEST_MASK:
        mask = packing.mask(causal, sliding_window, query.device)
        out = scaled_dot_product_attention(
            query, key, value, attn_mask=mask, dropout_p=dropout, scale=scaling
        )
    else:
        out = _one_by_one(query, key, value, packing.lengths, dropout, scaling, causal, sliding_window)
    return out.transpose(1, 2).contiguous(), None


def _one_by_one(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    lengths: tuple[int, ...],
    dropout: float,
    scaling: float | None,
    causal: bool,
    window: int | None,
) -> Tensor:
    parts = []
    for q, k, v in zip(query.split(lengths, 2), key.split(lengths, 2), value.split(lengths, 2)):
        length = q.shape[2]
        mask = None
        if window is not None and length > window:
            mask = _local(length, causal, window, q.device)
        hides = causal and mask is None
        if _is_short(q, k):
            parts.append(_plain_attention(q, k, v, mask, dropout, scaling, hides))
            continue
        parts.append(
            scaled_dot_product_attention(
                q, k, v, attn_mask=mask, dropout_p=dropout, scale=scaling, is_causal=hides
            )
        )
    return torch.cat(parts, dim=2)


def _is_short(query: Tensor, key: Tensor) -> bool:
    """Whether plain matrix products beat torch's fused attention: short bfloat16 sequences on a CPU.

    The fused kernel's backward pass has no bfloat16 units to use there and is two to four times slower.
    """
    half = query.dtype == torch.bfloat16
    return half and query.device.type == "cpu" and max(query.shape[2], key.shape[2]) <= _SHORT


def _plain_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    mask: Tensor | None,
    dropout: float,
    scaling: float | None,
    causal: bool,
) -> Tensor:
    """Softmax attention as it is written; the softmax in float32."""
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    scores = torch.matmul(query * scale, key.transpose(-1, -2))
    if causal:
        hidden = torch.ones(scores.shape[-2:], dtype=torch.bool, device=scores.device).triu(
            scores.shape[-1] - scores.shape[-2] + 1
        )
        scores = scores.masked_fill(hidden, float("-inf"))
    elif mask is not None:
        scores = scores.masked_fill(~mask, float("-inf")) if mask.dtype == torch.bool else scores + mask
    weights = scores.softmax(dim=-1, dtype=torch.float32).to(value.dtype)
    if mask is not None:
        weights = torch.nan_to_num(weights)  # a row of padding alone attends to nothing
    return torch.matmul(torch.nn.functional.dropout(weights, dropout), value)


def packed_marker(device: torch.device) -> Tensor:
    """Return the stand-in for a mask that a packed batch carries.

    transformers hands a mask of four dimensions on as it is, so no mask of T x T entries is built; and
    an attention layer that meets it without the borders knows that they were lost.
    """
    return torch.ones(1, 1, 1, 1, dtype=torch.bool, device=device)


AttentionInterface.register(NAME, packed_attention_forward)
AttentionMaskInterface.register(NAME, sdpa_mask)
