"""Choosing which positions a masked language model must fill in, in exact numbers."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from scizoo.errors import DataError

#: Shares of the chosen positions that are masked and replaced by another token; the rest is left as it is.
MASKED, REPLACED = 0.8, 0.1


def cpu_generator(generator: torch.Generator | None) -> torch.Generator | None:
    """Return a generator of the CPU that follows from one of any device."""
    if generator is None or generator.device.type == "cpu":
        return generator
    seed = int(torch.randint(2**62, (), generator=generator, device=generator.device))
    return torch.Generator().manual_seed(seed)


def eligible_positions(batch: Mapping[str, Tensor], special_ids: Tensor) -> Tensor:
    """Return where a token is real and not special, ``[B, T]`` bool on CPU."""
    ids = batch["input_ids"].cpu()
    eligible = ~torch.isin(ids, special_ids)
    if "attention_mask" in batch:
        eligible &= batch["attention_mask"].cpu().bool()
    return eligible


def sequence_numbers(batch: Mapping[str, Tensor]) -> Tensor:
    """Number the sequences of a padded or packed batch: ``[B, T]``, one number a sequence."""
    ids = batch["input_ids"]
    if "cu_seqlens" not in batch:
        return torch.arange(ids.shape[0])[:, None].expand(ids.shape)
    if ids.shape[0] != 1:
        raise DataError("A packed batch must be one row [1, T].")
    lengths = batch["cu_seqlens"].cpu().long().diff()
    return torch.repeat_interleave(torch.arange(len(lengths)), lengths)[None]


def choose_exactly(
    eligible: Tensor, sequences: Tensor, fraction: float, generator: torch.Generator | None
) -> Tensor:
    """Choose ``round(fraction * n)`` of the n eligible positions of each sequence, evenly at random.

    Parameters
    ----------
    eligible : Tensor
        ``[B, T]`` bool.
    sequences : Tensor
        ``[B, T]``, the number of the sequence each position belongs to.
    fraction : float
        Share to choose; halves are rounded up.
    generator : torch.Generator, optional
        Of the CPU.

    Returns
    -------
    Tensor
        ``[B, T]`` bool.
    """
    owner = sequences.reshape(-1)[eligible.reshape(-1)]
    if not len(owner):
        return torch.zeros_like(eligible)
    counts = torch.bincount(owner)
    wanted = (counts.double() * fraction + 0.5).floor().long()
    # Sort by (sequence, random number): the place within the sequence is then a random rank.
    shuffled = torch.rand(len(owner), generator=generator, dtype=torch.float64).argsort()
    order = shuffled[owner[shuffled].argsort(stable=True)]
    starts = counts.cumsum(0) - counts
    rank = torch.empty_like(order)
    rank[order] = torch.arange(len(order)) - starts[owner[order]]
    chosen = torch.zeros(eligible.numel(), dtype=torch.bool)
    chosen[eligible.reshape(-1).nonzero().squeeze(1)] = rank < wanted[owner]
    return chosen.reshape(eligible.shape)


def split_treatment(count: int, generator: torch.Generator | None) -> Tensor:
    """Deal out the treatments 0 (mask), 1 (replace), 2 (keep) to ``count`` places in shares 80/10/10.

    The numbers are the shares rounded by one common random offset: exact for multiples of ten, and exact on
    average otherwise.

    Returns
    -------
    Tensor
        ``[count]`` int64 in random order.
    """
    offset = float(torch.rand((), generator=generator, dtype=torch.float64))
    first = int(np.floor(round(MASKED * count, 9) + offset))
    second = int(np.floor(round((MASKED + REPLACED) * count, 9) + offset))
    treatment = torch.full((count,), 2)
    treatment[: min(second, count)] = 1
    treatment[: min(first, count)] = 0
    return treatment[torch.randperm(count, generator=generator)]


def corrupt(
    ids: Tensor,
    chosen: Tensor,
    treatment: Tensor,
    mask_id: int,
    regular_ids: Tensor,
    generator: torch.Generator | None,
) -> Tensor:
    """Apply treatments to chosen positions.

    Parameters
    ----------
    ids : Tensor
        ``[B, T]`` on CPU.
    chosen : Tensor
        ``[B, T]`` bool with n True.
    treatment : Tensor
        ``[n]``: 0 mask, 1 replace by another regular token, 2 keep.
    mask_id : int
        Id of the mask token.
    regular_ids : Tensor
        Sorted ids that may stand in for others, ``[R]``.
    generator : torch.Generator, optional
        Of the CPU.

    Returns
    -------
    Tensor
        The corrupted ids, a new tensor.
    """
    ids = ids.clone()
    values = ids[chosen]
    values[treatment == 0] = mask_id
    swap = treatment == 1
    others = len(regular_ids) - 1
    if others > 0:
        place = torch.searchsorted(regular_ids, values[swap].contiguous())
        jump = torch.randint(1, others + 1, place.shape, generator=generator)
        values[swap] = regular_ids[(place + jump) % len(regular_ids)].to(values.dtype)
    ids[chosen] = values
    return ids


def choose_spans(
    eligible: Tensor,
    sequences: Tensor,
    fraction: float,
    mean_length: float,
    shortest: int,
    longest: int,
    generator: torch.Generator | None,
) -> tuple[Tensor, Tensor]:
    """Choose whole spans whose lengths are geometric (SpanBERT, Joshi et al. 2020, arXiv 1907.10529).

    A span never reaches over a special token or the border of a sequence, is never shorter than
    ``shortest``, and spans do not overlap. Each unbroken stretch gets ``fraction`` of its positions, with one
    random offset for the rounding of all of them.

    Parameters
    ----------
    eligible, sequences : Tensor
        ``[B, T]``, as in :func:`choose_exactly`.
    fraction : float
        Share of eligible positions.
    mean_length : float
        Mean of the geometric distribution before it is cut to ``[shortest, longest]``.
    shortest, longest : int
        Limits of a span's length.
    generator : torch.Generator, optional
        Of the CPU.

    Returns
    -------
    chosen : Tensor
        ``[B, T]`` bool.
    span : Tensor
        ``[n]``, the number of the span of each chosen position, in order.
    """
    seed = int(torch.randint(2**62, (), generator=generator))
    random = np.random.default_rng(seed)
    flat = eligible.reshape(-1).numpy()
    # A row border breaks a stretch as well, because rows have different sequence numbers.
    owner = sequences.reshape(-1).numpy()
    key = np.where(flat, owner, -1)
    borders = np.flatnonzero(np.diff(key)) + 1
    starts = np.concatenate([[0], borders])
    ends = np.concatenate([borders, [len(key)]])
    real = key[starts] >= 0
    starts, ends = starts[real], ends[real]
    ends_of_budget = np.floor(fraction * np.cumsum(ends - starts) + random.random()).astype(np.int64)
    number = np.full(len(flat), -1, dtype=np.int64)
    spans = 0
    for start, end, budget in zip(starts, ends, np.diff(ends_of_budget, prepend=0)):
        lengths = _span_lengths(
            int(min(budget, end - start)), int(end - start), mean_length, shortest, longest, random
        )
        if not lengths:
            continue
        free = int(end - start) - sum(lengths)
        gaps = np.sort(random.choice(free + len(lengths), size=len(lengths), replace=False))
        shift = 0
        for place, (gap, length) in enumerate(zip(gaps, lengths)):
            begin = int(start) + int(gap) - place + shift
            number[begin : begin + length] = spans
            shift += length
            spans += 1
    chosen = torch.from_numpy(number >= 0).reshape(eligible.shape)
    return chosen, torch.from_numpy(number[number >= 0])


def _span_lengths(
    budget: int, room: int, mean: float, shortest: int, longest: int, random: np.random.Generator
) -> list[int]:
    if room < shortest:
        return []
    if budget < shortest:
        # Too little for one span: give one with the probability that keeps the share right.
        return [shortest] if random.random() < budget / shortest else []
    lengths: list[int] = []
    while (left := budget - sum(lengths)) >= shortest:
        length = int(np.clip(random.geometric(1.0 / mean), shortest, longest))
        lengths.append(min(length, left))
    if left:
        lengths[-1] += left  # what is too short for a span of its own
    return lengths
