"""The head that scores tokens, which every language-model objective shares."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from scizoo.data.tokenizer import TokenTokenizer
from scizoo.errors import ConfigError
from scizoo.models.backbones import Backbone, Hidden
from scizoo.models.heads import IGNORED
from scizoo.models.objective_base import Objective


class LanguageObjective(Objective):
    """A language-model head that makes its own targets.

    Parameters
    ----------
    hidden_size, outputs : int
        Width of the states, D, and size of the vocabulary, V.
    tie : bool
        Score tokens with the backbone's input embedding; call :meth:`bind` once with the backbone. The shared
        weights are saved with the backbone alone.
    transform : bool
        Whether states pass through a dense layer, GELU and layer norm first, as in BERT.
    chunk : int
        Positions scored at once in the loss; scores of further ones are recomputed in the backward pass, so
        that memory does not grow with positions times vocabulary.
    """

    kind = "language"
    #: Whether targets lie in the future of each position.
    causal: bool = False

    def __init__(self, hidden_size: int, outputs: int, *, tie: bool, transform: bool, chunk: int):
        super().__init__(hidden_size, outputs)
        if chunk < 1:
            raise ConfigError(f"objective.chunk={chunk} must be positive.")
        self.tie, self.chunk = bool(tie), int(chunk)
        self.transform: nn.Module = nn.Identity()
        if transform:
            dense = nn.Linear(hidden_size, hidden_size)
            nn.init.normal_(dense.weight, std=0.02)
            nn.init.zeros_(dense.bias)
            self.transform = nn.Sequential(dense, nn.GELU(), nn.LayerNorm(hidden_size))
        self.bias = nn.Parameter(torch.zeros(outputs))
        if not self.tie:
            self.decoder = nn.Parameter(torch.empty(outputs, hidden_size))
            nn.init.normal_(self.decoder, std=0.02)
        # Kept out of the registered modules: the backbone owns and saves this embedding.
        self.__dict__["_embedding"] = None

    @classmethod
    def fitted(cls, cfg: Mapping[str, Any], backbone: Backbone, tokenizer: Any = None) -> dict[str, Any]:
        """Return the size of the vocabulary as ``outputs``, where the tokenizer has one."""
        return {"outputs": tokenizer.vocab_size} if isinstance(tokenizer, TokenTokenizer) else {}

    def bind(self, backbone: Backbone) -> Self:
        """Take the backbone's input embedding for scoring, where this objective ties to it.

        Raises
        ------
        ConfigError
            When the backbone does not fit this objective.
        """
        name = type(self).__name__
        if self.causal != backbone.causal:
            need, have = ("causal", "bidirectional") if self.causal else ("bidirectional", "causal")
            raise ConfigError(
                f"objective: {name} needs a {need} backbone, this one is {have}.",
                remedy="choose a decoder (llama, gpt_neox) for causal language modelling, an encoder (bert, "
                "modernbert) for a masked one.",
            )
        if self.tie:
            embedding = backbone.input_embeddings()
            if embedding is None or tuple(embedding.weight.shape) != (self.outputs, self.hidden_size):
                shape = None if embedding is None else list(embedding.weight.shape)
                raise ConfigError(
                    f"objective: {name} cannot tie to an input embedding of shape {shape}.",
                    expected=f"[{self.outputs}, {self.hidden_size}]",
                    remedy="set objective.tie=false.",
                )
            self.__dict__["_embedding"] = embedding
        return self

    @abstractmethod
    def prepare(
        self, batch: Mapping[str, Tensor], generator: torch.Generator | None = None
    ) -> dict[str, Tensor]:
        """Return the batch with its targets.

        Parameters
        ----------
        batch : mapping
            ``input_ids`` and ``attention_mask`` ``[B, T]``; ``cu_seqlens`` when packed.
        generator : torch.Generator, optional
            The same state gives the same targets.

        Returns
        -------
        dict
            The same keys, ``input_ids`` possibly changed, and ``target`` ``[B, T]`` (-100 where nothing is
            predicted).
        """

    def logits(self, states: Tensor) -> Tensor:
        """Score every token of the vocabulary: ``[..., D]`` to ``[..., V]``."""
        if not self.tie:
            return F.linear(self.transform(states), self.decoder, self.bias)
        embedding = self.__dict__["_embedding"]
        if embedding is None:
            raise ConfigError(
                f"{type(self).__name__} is tied to an embedding that it was not given.", remedy="call bind."
            )
        return F.linear(self.transform(states), embedding.weight, self.bias)

    def forward(self, hidden: Hidden, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Score tokens: those that count when the batch is prepared, else every position.

        Returns
        -------
        dict
            With a ``target`` in the batch, over the N positions that count, row by row: ``token_loss``
            ``[N]`` in nats, ``prediction`` ``[N]`` (the likeliest token), ``correct`` ``[N]`` bool and
            ``target`` ``[N]``. Without one: ``logits`` ``[B, T, V]``.
        """
        if "target" not in batch:
            return {"logits": self.logits(hidden.states)}
        counted = batch["target"] != IGNORED
        states, target = hidden.states[counted], batch["target"][counted]
        losses, predictions = [], []
        several = len(target) > self.chunk and torch.is_grad_enabled()
        for some, wanted in zip(states.split(self.chunk), target.split(self.chunk)):
            if several:
                loss, likeliest = checkpoint(self._score, some, wanted, use_reentrant=False)
            else:
                loss, likeliest = self._score(some, wanted)
            losses.append(loss)
            predictions.append(likeliest)
        prediction = torch.cat(predictions)
        return {
            "token_loss": torch.cat(losses),
            "prediction": prediction,
            "correct": prediction == target,
            "target": target,
        }

    def _score(self, states: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        logits = self.logits(states).float()
        return F.cross_entropy(logits, target, reduction="none"), logits.detach().argmax(dim=-1)

    def loss(self, outputs: Mapping[str, Tensor], batch: Mapping[str, Tensor]) -> Tensor:
        """Mean cross-entropy a predicted token, in nats; 0 when nothing is to be predicted."""
        token_loss = outputs["token_loss"]
        return token_loss.sum() / max(1, token_loss.numel())

    def predict(self, outputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return ``probability`` ``[B, T, V]``, or ``log_likelihood`` ``[N]`` of the tokens that counted."""
        if "logits" in outputs:
            return {"probability": outputs["logits"].float().softmax(dim=-1)}
        return {"log_likelihood": -outputs["token_loss"]}

    def settings(self) -> dict[str, Any]:
        """Return the plain settings of this objective."""
        return {"tie": self.tie, "chunk": self.chunk}

    def flops_per_token(self, seq_len: int, training: bool = True) -> float:
        """Estimate floating-point operations a token of the sequence; only predicted positions are scored."""
        weights = sum(p.numel() for p in self.transform.parameters() if p.ndim >= 2)
        return (
            (6.0 if training else 2.0) * self.predicted_share() * (weights + self.outputs * self.hidden_size)
        )
