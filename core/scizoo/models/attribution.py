"""Integrated gradients: what each position of an input adds to an output (Sundararajan et al. 2017)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from scizoo.models.backbones import Backbone
from scizoo.models.heads import Head
from scizoo.models.plugin_backbone import PluginBackbone
from scizoo.models.timm_backbone import pixels_of

#: The output of a head that is explained, by the kind of the head.
_EXPLAINED = {"classification": "logits", "multilabel": "logits", "regression": "mean"}
_ROWS = 16  # points of the path that pass the network at once
_NODES, _PARTS = 4, 4  # points of a stretch of the path, and how many it is cut into where they do not do
_HALVES = (slice(None, -1), slice(1, None))


@dataclass(frozen=True)
class PathIntegral:
    """What came of integrating along one path.

    Parameters
    ----------
    scores : ndarray of float64
        What each entry of the input adds to the output: of tokens a number a position ``[T]``; of numbers
        and pixels the shape of the model's input, ``[T, F]`` or ``[T, C, H, W]``.
    change : float
        The output of the input less that of the baseline, which the scores add up to, but for the error of
        the integral.
    """

    scores: np.ndarray
    change: float

    @property
    def gap(self) -> float:
        """How far the scores are from adding up, as a share of their absolute sum."""
        total = float(np.abs(self.scores).sum())
        return abs(float(self.scores.sum()) - self.change) / total if total > 0 else abs(self.change)


@dataclass(frozen=True)
class _Start:
    """Where a network is entered: what it reads, what stands for nothing, and how it goes on from there."""

    given: Tensor
    baseline: Tensor
    run: Callable[[Tensor], Mapping[str, Tensor]]


def explains(backbone: nn.Module, head: nn.Module) -> bool:
    """Whether :func:`integrated_gradients` knows how to enter this network and which output it explains."""
    if not isinstance(backbone, Backbone) or not isinstance(head, Head) or head.kind not in _EXPLAINED:
        return False
    # A plugin's own network may read what cannot be scaled, such as who is bonded to whom.
    if isinstance(backbone, PluginBackbone):
        return False
    return backbone.input_embeddings() is not None or backbone.input_key in ("values", "pixel_values")


def integrated_gradients(
    backbone: Backbone,
    head: Head,
    batch: Mapping[str, Tensor],
    output: int,
    *,
    steps: int = 32,
    most: int = 256,
    tolerance: float = 0.02,
    mask_id: int | None = None,
    kept: tuple[int, int] = (0, 0),
) -> PathIntegral:
    """Integrate the gradient of an output from a baseline to an input.

    Integrated gradients (Sundararajan et al. 2017, arXiv 1703.01365) along the straight line, by
    Gauss-Legendre quadrature in stretches. Where a stretch does not add up to what the output changes along
    it, it is cut into smaller ones: a network that is sure jumps somewhere on the way, and is flat elsewhere.

    Of classes and labels the logit is explained, of a quantity its mean in standardised units. Baselines,
    which stand for nothing known: of tokens the embedding of the mask token, of numbers 0 (tokenizers
    standardise them, so that it is the centre), of pixels each channel's mean over the picture. What says
    which numbers were measured, when, and in which channel stays as it is.

    The network is in evaluation mode meanwhile, and left as it was found; no gradient of a weight is kept.

    Parameters
    ----------
    backbone : Backbone
    head : Head
    batch : mapping
        Of one example, without padding.
    output : int
        Number of the class, label or quantity.
    steps, most : int
        Points of the path to begin with, and about how many at most.
    tolerance : float
        Share of the scores' absolute sum that may lack.
    mask_id : int, optional
        Of the mask token; by default the mean of all embeddings is the baseline of tokens.
    kept : (int, int)
        How many first and last positions are special tokens, which stay as they are.

    Returns
    -------
    PathIntegral

    Raises
    ------
    ValueError
        When :func:`explains` does not hold, or the architecture does not look its tokens up in its table.
    """
    if not explains(backbone, head):
        raise ValueError(f"there are no attributions for {type(backbone).__name__}")
    name = _EXPLAINED[head.kind]
    with _at_rest(backbone, head):
        table = backbone.input_embeddings() is not None
        path = _Path(_start(backbone, head, batch, mask_id, kept), name, output, table)
        edges = np.linspace(0.0, 1.0, max(2, steps // _NODES + 1))
        pieces = path.pieces(edges[:-1], edges[1:])
        while True:
            total = np.sum([piece.scores for piece in pieces], axis=0)
            allowed = tolerance * float(np.abs(total).sum())
            spent = _NODES * len(pieces)
            if sum(piece.gap for piece in pieces) <= allowed or spent >= most:
                break
            # Where the output jumps, steps must be small; elsewhere they would be wasted.
            pieces.sort(key=lambda piece: -piece.gap)
            coarse = [piece for piece in pieces[:_ROWS] if piece.gap > allowed / len(pieces)]
            if not coarse:  # not a number
                break
            finer = [np.linspace(piece.start, piece.end, _PARTS + 1) for piece in coarse]
            starts, ends = (np.concatenate([edge[part] for edge in finer]) for part in _HALVES)
            pieces = pieces[len(coarse) :] + path.pieces(starts, ends)
    change = sum(piece.change for piece in pieces)
    if backbone.input_key == "pixel_values" and batch["pixel_values"].ndim == 5:
        total = total[None]
    return PathIntegral(total, float(change))


@dataclass(frozen=True)
class _Piece:
    """A stretch of the path: what it adds up to, and what it should."""

    start: float
    end: float
    scores: np.ndarray
    change: float

    @property
    def gap(self) -> float:
        return abs(float(self.scores.sum()) - self.change)


class _Path:
    """The straight line from the baseline (0) to the input (1)."""

    def __init__(self, start: _Start, name: str, output: int, table: bool):
        self.start, self.name, self.output, self.table = start, name, output, table
        self.way = start.given - start.baseline

    def pieces(self, starts: np.ndarray, ends: np.ndarray) -> list[_Piece]:
        """Integrate over stretches, by Gauss-Legendre quadrature with few nodes each."""
        nodes, weights = np.polynomial.legendre.leggauss(_NODES)
        width = ends - starts
        places = starts[:, None] + width[:, None] * (nodes + 1) / 2
        found = self._gradients(places.ravel()).reshape(len(starts), _NODES, *self._shape)
        scores = np.einsum("pn...,n->p...", found, weights / 2)
        edges = np.unique(np.concatenate([starts, ends]))
        values = self._values(edges)
        rise = values[np.searchsorted(edges, ends)] - values[np.searchsorted(edges, starts)]
        return [
            _Piece(float(first), float(last), part * (last - first), float(change))
            for first, last, part, change in zip(starts, ends, scores, rise, strict=True)
        ]

    @property
    def _shape(self) -> tuple[int, ...]:
        return tuple(self.way.shape[1:-1] if self.table else self.way.shape[1:])

    def _points(self, places: np.ndarray) -> Tensor:
        part = torch.as_tensor(places, dtype=self.way.dtype, device=self.way.device)
        return (self.start.baseline + part.view(-1, *[1] * (self.way.ndim - 1)) * self.way).detach()

    def _gradients(self, places: np.ndarray) -> np.ndarray:
        """Give the gradient at places times the whole way, summed over the width of embeddings."""
        found = []
        with torch.enable_grad():
            for first in range(0, len(places), _ROWS):
                points = self._points(places[first : first + _ROWS]).requires_grad_(True)
                value = self.start.run(points)[self.name][:, self.output].float().sum()
                (gradient,) = torch.autograd.grad(value, points)
                each = gradient.float() * self.way.float()
                found.append((each.sum(dim=-1) if self.table else each).cpu().numpy().astype(np.float64))
        return np.concatenate(found)

    def _values(self, places: np.ndarray) -> np.ndarray:
        found = []
        with torch.no_grad():
            for first in range(0, len(places), _ROWS):
                outputs = self.start.run(self._points(places[first : first + _ROWS]))
                found.append(outputs[self.name][:, self.output].float().cpu().numpy().astype(np.float64))
        return np.concatenate(found)


@contextmanager
def _at_rest(*modules: nn.Module) -> Iterator[None]:
    """Put modules in evaluation mode with weights that ask for no gradient, and back."""
    modes = [(child, child.training) for module in modules for child in module.modules()]
    wanted = [one for module in modules for one in module.parameters() if one.requires_grad]
    try:
        for module in modules:
            module.eval()
        for parameter in wanted:
            parameter.requires_grad_(False)
        yield
    finally:
        for child, training in modes:
            child.training = training
        for parameter in wanted:
            parameter.requires_grad_(True)


def _start(
    backbone: Backbone, head: Head, batch: Mapping[str, Tensor], mask_id: int | None, kept: tuple[int, int]
) -> _Start:
    table = backbone.input_embeddings()
    if table is not None:
        return _tokens(backbone, head, batch, table, mask_id, kept)
    key = backbone.input_key
    if key == "pixel_values":
        given = pixels_of(batch)
        baseline = given.mean(dim=(-2, -1), keepdim=True).expand_as(given)
    else:
        given = batch[key]
        given = given if given.is_floating_point() else given.float()
        # What was not measured is 0 to the network whatever stands there.
        given = torch.nan_to_num(given)
        baseline = torch.zeros_like(given)

    def run(points: Tensor) -> Mapping[str, Tensor]:
        shown = {**_repeated(batch, len(points)), key: points}
        return head(backbone(shown), shown)

    return _Start(given, baseline, run)


def _tokens(
    backbone: Backbone,
    head: Head,
    batch: Mapping[str, Tensor],
    table: nn.Embedding,
    mask_id: int | None,
    kept: tuple[int, int],
) -> _Start:
    ids = batch[backbone.input_key]
    with torch.no_grad():
        given = table(ids)
        nothing = table.weight.mean(dim=0) if mask_id is None else table(torch.full_like(ids, mask_id))
        baseline = nothing.expand_as(given).clone()
    before, after = kept
    last = ids.shape[1] - after
    baseline[:, :before], baseline[:, last:] = given[:, :before], given[:, last:]

    def run(points: Tensor) -> Mapping[str, Tensor]:
        shown = _repeated(batch, len(points))
        found = 0

        def put(module: nn.Module, inputs: Any, output: Tensor) -> Tensor | None:
            nonlocal found
            if output.shape != points.shape:
                return None
            found += 1
            return points.to(output.dtype)

        # Whatever the architecture does after it has looked its tokens up, it does with these.
        hook = table.register_forward_hook(put)
        try:
            outputs = head(backbone(shown), shown)
        finally:
            hook.remove()
        if found != 1:
            raise ValueError(f"{type(backbone).__name__} looks its tokens up {found} times")
        return outputs

    return _Start(given.detach(), baseline, run)


def _repeated(batch: Mapping[str, Tensor], count: int) -> dict[str, Tensor]:
    """Give an example so many times."""
    return {key: value.expand(count, *value.shape[1:]) for key, value in batch.items()}
