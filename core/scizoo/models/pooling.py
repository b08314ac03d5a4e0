"""From one state a position to one vector a sequence; padding never counts."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from scizoo.errors import ConfigError, did_you_mean
from scizoo.models.backbones import Hidden


class Pool(nn.Module):
    """Reduces hidden states ``[B, T, D]`` to ``[B, D]``; a packed row gives one vector a sequence."""

    def forward(self, hidden: Hidden) -> Tensor:
        """Pool the real positions.

        Parameters
        ----------
        hidden : Hidden
            States ``[B, T, D]`` with their mask.

        Returns
        -------
        Tensor
            ``[B, D]``, or ``[n, D]`` for a packed row of n sequences. A sequence without a real position
            gives zeros.
        """
        hidden = hidden.unpacked()
        return self.pool(hidden.states, hidden.mask)

    def pool(self, states: Tensor, mask: Tensor) -> Tensor:
        """Pool ``states`` ``[B, T, D]`` where ``mask`` ``[B, T]`` is True."""
        raise TypeError(f"{type(self).__name__} defines no pool().")


class MeanPool(Pool):
    """The mean over real positions."""

    def pool(self, states: Tensor, mask: Tensor) -> Tensor:
        """Average the real positions."""
        kept = states.masked_fill(~mask[..., None], 0.0)
        return kept.sum(dim=1) / mask.sum(dim=1, keepdim=True).clamp(min=1).to(states.dtype)


class ClsPool(Pool):
    """The state of the first real position, where a class token stands."""

    def pool(self, states: Tensor, mask: Tensor) -> Tensor:
        """Take the first real position, wherever padding puts it."""
        first = mask.int().argmax(dim=1)
        picked = states[torch.arange(len(states), device=states.device), first]
        return picked.masked_fill(~mask.any(dim=1)[:, None], 0.0)


class LastPool(Pool):
    """The state of the last real position, which in a causal backbone has seen all others."""

    def pool(self, states: Tensor, mask: Tensor) -> Tensor:
        """Take the last real position, wherever padding puts it."""
        picked = states[torch.arange(len(states), device=states.device), last_real(mask)]
        return picked.masked_fill(~mask.any(dim=1)[:, None], 0.0)


class MaxPool(Pool):
    """The maximum of each feature over real positions."""

    def pool(self, states: Tensor, mask: Tensor) -> Tensor:
        """Take the largest value of each feature."""
        lowest = torch.finfo(states.dtype).min
        largest = states.masked_fill(~mask[..., None], lowest).amax(dim=1)
        return largest.masked_fill(~mask.any(dim=1)[:, None], 0.0)


class AttentionPool(Pool):
    """A weighted mean whose weights are learned from the states (Ilse et al. 2018, arXiv 1802.04712).

    Parameters
    ----------
    hidden_size : int
        Width of the states, D.
    """

    def __init__(self, hidden_size: int):
        super().__init__()
        last = nn.Linear(hidden_size, 1, bias=False)
        # Zero scores: training starts from the mean.
        nn.init.zeros_(last.weight)
        self.score = nn.Sequential(nn.Linear(hidden_size, hidden_size), nn.Tanh(), last)

    def pool(self, states: Tensor, mask: Tensor) -> Tensor:
        """Average the real positions with learned weights."""
        scores = self.score(states).squeeze(-1).float()
        scores = scores.masked_fill(~mask, torch.finfo(scores.dtype).min)
        weights = scores.softmax(dim=1).masked_fill(~mask, 0.0).to(states.dtype)
        kept = states.masked_fill(~mask[..., None], 0.0)
        return torch.einsum("bt,btd->bd", weights, kept)


POOLINGS = ("mean", "cls", "last", "max", "attention")


def last_real(mask: Tensor) -> Tensor:
    """Give the number of the last real position of each row of a mask ``[B, T]``; ``[B]``."""
    return mask.shape[1] - 1 - mask.int().flip(1).argmax(dim=1)


def build_pool(name: str, hidden_size: int) -> Pool:
    """Build a pooling by its name.

    Parameters
    ----------
    name : {"mean", "cls", "last", "max", "attention"}
        Which one.
    hidden_size : int
        Width of the states.

    Raises
    ------
    ConfigError
        When there is no such pooling.
    """
    simple: dict[str, type[Pool]] = {"mean": MeanPool, "cls": ClsPool, "last": LastPool, "max": MaxPool}
    if name == "attention":
        return AttentionPool(hidden_size)
    if name not in simple:
        raise ConfigError(f"head.pooling: there is no pooling '{name}'.", remedy=did_you_mean(name, POOLINGS))
    return simple[name]()
