"""Retrieval: a query and its document lie close in a common space, encoded by one network or by two."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from scizoo.data.documents import PREFIX, RETRIEVAL, side_of
from scizoo.data.targets import TargetEncoder
from scizoo.data.tokenizer import Tokenizer
from scizoo.data.windows import Context
from scizoo.errors import ConfigError
from scizoo.models.backbones import Adapters, Backbone, Hidden, load_backbone
from scizoo.models.heads import Head
from scizoo.models.pooling import build_pool

Side = Literal["query", "document"]
SIDES: tuple[Side, ...] = ("query", "document")
#: The folder of the second network inside that of the first.
FOLDER = "document"
# Largest factor on similarities, as in CLIP: more makes the training unstable.
_LARGEST_SCALE = math.log(100.0)
_NEGATIVES = ("documents", "groups")


@dataclass
class DocumentSide:
    """What encodes the documents.

    Parameters
    ----------
    backbone : Backbone
        That of the queries where one network serves both sides.
    tokenizer : Tokenizer
    context : Context
    """

    backbone: Backbone
    tokenizer: Tokenizer
    context: Context


@dataclass(frozen=True)
class PairHidden(Hidden):
    """Hidden states of queries, and beside them those of their documents.

    Parameters
    ----------
    document : Hidden, optional
        None where the batch holds queries alone.
    """

    document: Hidden | None = None


class DualEncoder(Backbone):
    """Encodes both sides of a batch of pairs, by one network (siamese) or by two.

    Parameters
    ----------
    query, document : Backbone
        The same object where one network serves both sides.
    """

    def __init__(self, query: Any, document: Any):
        super().__init__()
        self.query: Any = query
        # A module that is registered twice would be counted, saved and decayed twice.
        self.second: Any = None if document is query else document
        self.hidden_size = int(query.hidden_size)
        self.causal = bool(query.causal)
        self.input_key = str(query.input_key)

    @property
    def document(self) -> Any:
        """The network of the documents."""
        return self.query if self.second is None else self.second

    @property
    def shared(self) -> bool:
        """Whether one network serves both sides."""
        return self.second is None

    @property
    def encoders(self) -> list[Any]:
        """The networks, each once."""
        return [self.query] if self.second is None else [self.query, self.second]

    def forward(self, batch: Mapping[str, Tensor]) -> PairHidden:
        """Compute hidden states of the queries and, where the batch holds them, of the documents."""
        query = self.query({key: value for key, value in batch.items() if not key.startswith(PREFIX)})
        theirs = side_of(batch)
        document = self.document(theirs) if theirs else None
        return PairHidden(query.states, query.mask, query.cu_seqlens, document=document)

    def save(
        self, directory: str | Path, dtype: torch.dtype | str | None = None, adapters: Adapters = "refuse"
    ) -> None:
        """Write the first network into the folder, and a second one into its subfolder ``document``."""
        self.query.save(directory, dtype=dtype, adapters=adapters)
        if self.second is not None:
            self.second.save(Path(directory) / FOLDER, dtype=dtype, adapters=adapters)

    @classmethod
    def load(cls, directory: str | Path) -> Self:
        """Open what :meth:`save` wrote."""
        query, second = load_backbone(directory), Path(directory) / FOLDER
        return cls(query, load_backbone(second) if second.is_dir() else query)

    def gradient_checkpointing(self, enabled: bool = True) -> None:
        """Trade time for memory in each network."""
        for one in self.encoders:
            one.gradient_checkpointing(enabled)

    def flops_per_token(self, seq_len: int, training: bool = True) -> float:
        """Estimate the operations a token: the mean of both sides."""
        return sum(one.flops_per_token(seq_len, training) for one in (self.query, self.document)) / 2


class Standardise(nn.BatchNorm1d):
    """Batch normalisation without weights of its own; a single row gets the running mean and variance.

    Networks with initial weights give nearly the same vector for every input, and what is common to all hides
    what differs. Early means weigh all batches alike, so that short runs are not judged by their beginning.

    Parameters
    ----------
    size : int
        Width of the vectors.
    """

    def __init__(self, size: int):
        super().__init__(size, affine=False)

    def forward(self, input: Tensor) -> Tensor:
        """Standardise vectors ``[B, D]``."""
        mean, variance, batches = self.running_mean, self.running_var, self.num_batches_tracked
        assert mean is not None and variance is not None and batches is not None
        learns = self.training and len(input) > 1
        if learns:
            batches.add_(1)
        share = max(0.1, 1.0 / max(1.0, float(batches))) if learns else 0.0
        return F.batch_norm(input.float(), mean, variance, None, None, learns, share, self.eps)


class RetrievalHead(Head):
    """A common space of queries and documents, by the symmetric InfoNCE loss over each batch.

    Each side is pooled, projected and brought to length 1; the product of two vectors is their similarity.
    Each query has to find its document among those of the batch and each document its query (van den Oord et
    al. 2018, arXiv 1807.03748; both ways with a learnt temperature: Radford et al. 2021, CLIP, arXiv
    2103.00020). On several devices each compares within its own batch.

    Parameters
    ----------
    hidden_size, outputs : int
        Width of the queries' states; the width of the space stands in ``width``.
    document_size : int, optional
        Width of the documents' states; that of the queries by default.
    width : int, optional
        Of the common space. None compares the pooled states themselves; both sides must be equally wide.
    shared : bool, optional
        Whether one projection serves both sides. By default where one network does.
    pooling : {"mean", "cls", "last", "max", "attention"}
        How a sequence becomes one vector.
    document_pooling : str, optional
        The same for documents; ``pooling`` by default.
    standardise : bool
        Whether the pooled states of each side are standardised over the batch before the projection; in
        prediction by their running mean and variance.
    dropout : float
        On that vector.
    temperature : float
        Of the softmax over similarities at the beginning.
    learn_temperature : bool
        Whether it is learnt.
    negatives : {"documents", "groups"}
        Which pairs of a batch are wrong answers to each other: those of other documents (and other queries),
        or only those of other groups too, where documents of one group are too alike to be told apart.
    """

    kind = RETRIEVAL

    def __init__(
        self,
        hidden_size: int,
        outputs: int,
        *,
        document_size: int | None = None,
        width: int | None = 128,
        shared: bool | None = None,
        pooling: str = "mean",
        document_pooling: str | None = None,
        standardise: bool = True,
        dropout: float = 0.0,
        temperature: float = 0.07,
        learn_temperature: bool = True,
        negatives: str = "documents",
    ):
        super().__init__(hidden_size, hidden_size if width is None else int(width))
        if temperature <= 0:
            raise ConfigError(f"head.temperature={temperature} must be positive.")
        if negatives not in _NEGATIVES:
            raise ConfigError(f"head.negatives={negatives}", expected=" or ".join(_NEGATIVES))
        self.width = None if width is None else int(width)
        self.document_size = int(document_size or hidden_size)
        self.shared = bool(shared)
        if self.document_size != self.hidden_size and (self.width is None or self.shared):
            raise ConfigError(
                f"head: queries have states of width {self.hidden_size}, documents of {self.document_size}.",
                expected="head.width=NUMBER and head.shared=false for networks of different width",
            )
        self.pooling, self.document_pooling = pooling, document_pooling or pooling
        self.temperature, self.learn_temperature = float(temperature), bool(learn_temperature)
        self.negatives, self.dropout = negatives, float(dropout)
        self.pool = build_pool(self.pooling, self.hidden_size)
        # A module that serves both sides is registered once, or its weights would be saved twice.
        one = self.shared and self.document_pooling == self.pooling
        self.other_pool = None if one else build_pool(self.document_pooling, self.document_size)
        self.standardise = bool(standardise)
        sizes = (self.hidden_size, self.document_size)  # each side has its own mean, also with one network
        self.scale, self.other_scale = (
            Standardise(size) if self.standardise else nn.Identity() for size in sizes
        )
        self.drop = nn.Dropout(self.dropout)
        self.project: nn.Module = nn.Identity()
        self.other_project: nn.Module | None = None
        if self.width is not None:
            self.project = nn.Linear(self.hidden_size, self.width, bias=False)
            if not self.shared:
                self.other_project = nn.Linear(self.document_size, self.width, bias=False)
        scale = torch.tensor(-math.log(self.temperature))
        self.log_scale: Tensor
        if self.learn_temperature:
            self.log_scale = nn.Parameter(scale)
        else:
            self.register_buffer("log_scale", scale)

    @classmethod
    def fitted(cls, cfg: Mapping[str, Any], backbone: Any) -> dict[str, Any]:
        """Return the settings that follow from the networks."""
        if not isinstance(backbone, DualEncoder):
            raise ConfigError("head: RetrievalHead is for tasks of kind retrieval.")
        found: dict[str, Any] = {"document_size": int(backbone.document.hidden_size)}
        if cfg.get("shared") is None:
            found["shared"] = backbone.shared
        return found

    def pool_of(self, side: Side) -> nn.Module:
        """Give what pools a side."""
        return self.pool if side == "query" or self.other_pool is None else self.other_pool

    def features(self, hidden: Hidden, side: Side = "query") -> Tensor:
        """Return one vector a sequence, ``[B, D]``, before the projection."""
        return self.pool_of(side)(hidden)

    def vectors(self, hidden: Hidden, side: Side = "query") -> Tensor:
        """Return the place of each sequence in the common space, ``[B, C]``, of length 1."""
        own = side == "document" and self.other_project is not None
        project = self.other_project if own else self.project
        assert project is not None
        scale = self.scale if side == "query" else self.other_scale
        return F.normalize(project(self.drop(scale(self.features(hidden, side)))).float(), dim=-1)

    def forward(self, hidden: Hidden, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return ``query`` and, where the batch holds documents, ``document``: ``[B, C]``, of length 1."""
        outputs = {"query": self.vectors(hidden)}
        document = getattr(hidden, "document", None)
        if document is not None:
            outputs["document"] = self.vectors(document, "document")
        return outputs

    def loss(self, outputs: Mapping[str, Tensor], batch: Mapping[str, Tensor]) -> Tensor:
        """Mean cross-entropy of finding the document of each query and the query of each document.

        ``target`` ``[B]`` holds the numbers of the documents. Pairs with an equal document or an equal query
        are no wrong answers to each other.
        """
        scores = outputs["query"] @ outputs["document"].T * self.log_scale.clamp(max=_LARGEST_SCALE).exp()
        names = ["target", "query_number", *(["group_number"] if self.negatives == "groups" else [])]
        alike = torch.zeros_like(scores, dtype=torch.bool)
        for name in names:
            if name in batch:
                alike |= batch[name][:, None] == batch[name][None]
        rows = torch.arange(len(scores), device=scores.device)
        alike[rows, rows] = False
        scores = scores.masked_fill(alike, float("-inf"))
        return (F.cross_entropy(scores, rows) + F.cross_entropy(scores.T, rows)) / 2

    def predict(self, outputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return ``query`` and ``document`` ``[B, C]``."""
        return {name: outputs[name].float() for name in SIDES if name in outputs}

    def settings(self) -> dict[str, Any]:
        """Return the plain settings of this head."""
        names = ("document_size", "width", "shared", "pooling", "document_pooling", "dropout", "temperature")
        more = ("standardise", "learn_temperature", "negatives")
        return {name: getattr(self, name) for name in (*names, *more)}

    def zero_shot(self, backbone: Backbone, target: TargetEncoder) -> Head:
        """Return itself: it searches other documents as it is."""
        return self if target.kind == RETRIEVAL else super().zero_shot(backbone, target)

    def inherit(self, other: Head) -> bool:
        """Begin from the common space of a checkpoint that searched before."""
        if not isinstance(other, RetrievalHead):
            return False
        mine, theirs = self.state_dict(), other.state_dict()
        if {name: value.shape for name, value in mine.items()} != {
            name: value.shape for name, value in theirs.items()
        }:
            return False
        self.load_state_dict(theirs)
        return True


class SideVectors(nn.Module):
    """Hidden states of one side to vectors of the common space; what embeds that side.

    Parameters
    ----------
    head : RetrievalHead
    side : {"query", "document"}
    """

    def __init__(self, head: RetrievalHead, side: Side):
        super().__init__()
        self.head, self.side = head, side

    def forward(self, hidden: Hidden) -> Tensor:
        """Return ``[B, C]``, of length 1."""
        return self.head.vectors(hidden, self.side)


class SideFeatures(nn.Module):
    """Hidden states of one side to pooled vectors; what a probe keeps of that side.

    Parameters
    ----------
    head : RetrievalHead
    side : {"query", "document"}
    """

    def __init__(self, head: RetrievalHead, side: Side):
        super().__init__()
        self.pool = head.pool_of(side)

    def features(self, hidden: Hidden) -> Tensor:
        """Return ``[B, D]``."""
        return self.pool(hidden)


def pooled_head(backbone: DualEncoder) -> RetrievalHead:
    """Give the head without weights that compares the mean states of one network, as it was pre-trained.

    Raises
    ------
    ConfigError
        When there are two networks, whose states have nothing to do with each other.
    """
    if not backbone.shared:
        raise ConfigError(
            "adapt=none: two networks that never saw pairs have no common space.",
            expected="a checkpoint of kind retrieval, or one network for both sides",
            remedy="choose adapt=probe, lora or full.",
        )
    size = backbone.hidden_size
    return RetrievalHead(size, size, width=None, shared=True, standardise=False, learn_temperature=False)
