"""From padded rows of atoms to one disjoint graph, all molecules of a batch at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from scizoo.errors import DataError


@dataclass(frozen=True)
class GraphBatch:
    """The molecules of a batch as one graph without connections between them.

    Parameters
    ----------
    atoms : Tensor
        ``[N, F]`` features of the real atoms.
    edge_index : Tensor
        ``[2, E]``: each bond twice, once in either direction; first row the source, second the target.
    bonds : Tensor
        ``[E, Fb]`` features of the bond of each edge.
    reverse : Tensor
        ``[E]``: which edge is the same bond in the other direction.
    mask : Tensor
        ``[B, T]`` bool, True at real atoms.
    """

    atoms: Tensor
    edge_index: Tensor
    bonds: Tensor
    reverse: Tensor
    mask: Tensor

    def padded(self, values: Tensor) -> Tensor:
        """Lay values of the atoms ``[N, D]`` back into padded rows ``[B, T, D]``, with zeros between."""
        rows = values.new_zeros(*self.mask.shape, values.shape[-1])
        rows[self.mask] = values
        return rows


def graph_batch(batch: Mapping[str, Tensor], dtype: torch.dtype = torch.float32) -> GraphBatch:
    """Build the graph of a batch.

    Parameters
    ----------
    batch : mapping
        ``atoms`` ``[B, T, F]``, ``neighbours`` ``[B, T, D]`` (numbers from 1 on, 0 for none), ``bonds``
        ``[B, T, D, Fb]`` and ``attention_mask`` ``[B, T]``.
    dtype : torch.dtype
        Of the features.

    Returns
    -------
    GraphBatch

    Raises
    ------
    DataError
        When an input is missing, or a bond is seen from one of its atoms only.
    """
    missing = [name for name in ("atoms", "neighbours", "bonds") if name not in batch]
    if missing:
        raise DataError(
            f"A graph network needs '{missing[0]}'; the batch has {sorted(batch)}.",
            remedy="use it with tokenizer=chemistry/graph.",
        )
    atoms, neighbours = batch["atoms"], batch["neighbours"].long()
    if "attention_mask" in batch:
        mask = batch["attention_mask"].bool()
    else:
        mask = torch.ones(atoms.shape[:2], dtype=torch.bool, device=atoms.device)
    number = mask.flatten().cumsum(0).reshape(mask.shape) - 1
    row, place, slot = torch.nonzero((neighbours > 0) & mask[..., None], as_tuple=True)
    partner = neighbours[row, place, slot] - 1
    if partner.numel() and int(partner.max()) >= mask.shape[1]:
        raise _cut()
    source, target = number[row, partner], number[row, place]
    whole = mask[row, partner]
    reverse = _reverse(source, target, int(mask.sum()))
    if reverse is None or not bool(whole.all()):
        raise _cut()
    return GraphBatch(
        atoms[mask].to(dtype),
        torch.stack([source, target]),
        batch["bonds"][row, place, slot].to(dtype),
        reverse,
        mask,
    )


def _reverse(source: Tensor, target: Tensor, count: int) -> Tensor | None:
    """Find the edge in the other direction of each; None when some has none."""
    there, back = source * count + target, target * count + source
    # The i-th smallest number of either list is one bond, written from its two ends.
    sorted_there, order = there.sort()
    sorted_back, other = back.sort()
    if not torch.equal(sorted_there, sorted_back):
        return None
    reverse = torch.empty_like(order)
    reverse[order] = other
    return reverse


def _cut() -> DataError:
    return DataError(
        "A molecule was cut into windows, so that bonds lead out of it.",
        expected="whole molecules",
        remedy="set context.long_records=refuse and a larger context.max_length.",
    )
