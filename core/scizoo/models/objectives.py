"""Language-model objectives, which make their own targets from tokens, and what builds any objective."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from scizoo.data.tokenizer import TokenTokenizer
from scizoo.errors import ConfigError, DataError
from scizoo.models.backbones import Backbone, Hidden
from scizoo.models.heads import IGNORED
from scizoo.models.language import LanguageObjective
from scizoo.models.masking import (
    choose_exactly,
    choose_spans,
    corrupt,
    cpu_generator,
    eligible_positions,
    sequence_numbers,
    split_treatment,
)
from scizoo.models.objective_base import Objective


class MaskedLM(LanguageObjective):
    """Fill in masked tokens (BERT, Devlin et al. 2019, arXiv 1810.04805), in exact numbers.

    ``round(fraction * n)`` of the n regular tokens of each sequence are chosen; of those in a batch 80%
    become the mask token, 10% another regular token, 10% stay. Special tokens and padding are never chosen.

    Parameters
    ----------
    hidden_size, outputs : int
        Width of the states and size of the vocabulary.
    fraction : float
        Share of regular tokens that is predicted.
    mask_id : int
        Id of the mask token.
    special_ids : sequence of int
        Ids that are never chosen and never stand in for others.
    tie, transform, chunk
        As in :class:`LanguageObjective`.
    """

    def __init__(
        self,
        hidden_size: int,
        outputs: int,
        *,
        fraction: float = 0.15,
        mask_id: int = 4,
        special_ids: Sequence[int] = (0, 1, 2, 3, 4),
        tie: bool = True,
        transform: bool = True,
        chunk: int = 4096,
    ):
        super().__init__(hidden_size, outputs, tie=tie, transform=transform, chunk=chunk)
        if not 0.0 < fraction < 1.0:
            raise ConfigError(f"head.fraction={fraction} must lie between 0 and 1.")
        self.fraction, self.mask_id = float(fraction), int(mask_id)
        self.special_ids = sorted({int(token) for token in special_ids} | {self.mask_id})
        if (
            not 0 <= self.mask_id < outputs
            or len([i for i in self.special_ids if 0 <= i < outputs]) >= outputs
        ):
            raise ConfigError(
                f"objective: a vocabulary of {outputs} cannot hold mask_id={mask_id} and regular tokens.",
                remedy="give the mask token and the special tokens of the tokenizer.",
            )
        # Plain attributes, not buffers: targets are made on the CPU wherever the weights lie.
        self._special = torch.tensor(self.special_ids)
        everything = torch.arange(outputs)
        self._regular = everything[~torch.isin(everything, self._special)]

    @classmethod
    def fitted(cls, cfg: Mapping[str, Any], backbone: Backbone, tokenizer: Any = None) -> dict[str, Any]:
        """Return the size of the vocabulary, and the special ids that the config leaves open."""
        found = super().fitted(cfg, backbone, tokenizer)
        if isinstance(tokenizer, TokenTokenizer):
            known = {"mask_id": tokenizer.mask_id, "special_ids": list(range(len(tokenizer.SPECIAL)))}
            found.update({key: value for key, value in known.items() if cfg.get(key) is None})
        return found

    def prepare(
        self, batch: Mapping[str, Tensor], generator: torch.Generator | None = None
    ) -> dict[str, Tensor]:
        """Choose positions, corrupt them and keep what stood there as ``target``."""
        _need_tokens(batch)
        generator = cpu_generator(generator)
        eligible = eligible_positions(batch, self._special)
        chosen, treatment = self._choose(eligible, sequence_numbers(batch), generator)
        ids = batch["input_ids"].cpu()
        changed = corrupt(ids, chosen, treatment, self.mask_id, self._regular, generator)
        target = torch.where(chosen, ids.long(), torch.full_like(ids, IGNORED, dtype=torch.long))
        device = batch["input_ids"].device
        return {**batch, "input_ids": changed.to(device), "target": target.to(device)}

    def _choose(
        self, eligible: Tensor, sequences: Tensor, generator: torch.Generator | None
    ) -> tuple[Tensor, Tensor]:
        chosen = choose_exactly(eligible, sequences, self.fraction, generator)
        return chosen, split_treatment(int(chosen.sum()), generator)

    def predicted_share(self) -> float:
        """Return the share of positions that are scored in training."""
        return self.fraction

    def settings(self) -> dict[str, Any]:
        """Return the plain settings of this objective."""
        return {
            **super().settings(),
            "fraction": self.fraction,
            "mask_id": self.mask_id,
            "special_ids": self.special_ids,
            "transform": not isinstance(self.transform, nn.Identity),
        }


class SpanMaskedLM(MaskedLM):
    """Fill in masked spans (SpanBERT, Joshi et al. 2020, arXiv 1907.10529).

    Whole spans get one treatment: 80% of spans are masked, 10% replaced token by token, 10% kept. With tokens
    that overlap (k-mers at stride 1) set ``shortest`` to at least k: a shorter span can be read off its
    neighbours.

    Parameters
    ----------
    hidden_size, outputs : int
        Width of the states and size of the vocabulary.
    mean_length : float
        Mean of the geometric span lengths before they are cut.
    shortest, longest : int
        Limits of a span's length in tokens. What remains of the share and is shorter than ``shortest``
        lengthens the last span of its stretch.
    **settings
        As in :class:`MaskedLM`.
    """

    def __init__(
        self,
        hidden_size: int,
        outputs: int,
        *,
        mean_length: float = 5.0,
        shortest: int = 1,
        longest: int = 10,
        **settings: Any,
    ):
        super().__init__(hidden_size, outputs, **settings)
        if mean_length < 1.0 or not 1 <= shortest <= longest:
            raise ConfigError(
                f"objective: mean_length={mean_length}, shortest={shortest}, longest={longest} do not fit.",
                expected="mean_length >= 1 and 1 <= shortest <= longest",
            )
        self.mean_length, self.shortest, self.longest = float(mean_length), int(shortest), int(longest)

    def _choose(
        self, eligible: Tensor, sequences: Tensor, generator: torch.Generator | None
    ) -> tuple[Tensor, Tensor]:
        chosen, span = choose_spans(
            eligible, sequences, self.fraction, self.mean_length, self.shortest, self.longest, generator
        )
        spans = int(span.max()) + 1 if len(span) else 0
        return chosen, split_treatment(spans, generator)[span]

    def settings(self) -> dict[str, Any]:
        """Return the plain settings of this objective."""
        own = {"mean_length": self.mean_length, "shortest": self.shortest, "longest": self.longest}
        return {**super().settings(), **own}


class CausalLM(LanguageObjective):
    """Predict the next token of the same sequence.

    Parameters
    ----------
    hidden_size, outputs : int
        Width of the states and size of the vocabulary.
    ignored_ids : sequence of int
        Ids that are never predicted, such as an unknown token. Padding never counts.
    tie, transform, chunk
        As in :class:`LanguageObjective`.
    """

    causal = True

    def __init__(
        self,
        hidden_size: int,
        outputs: int,
        *,
        ignored_ids: Sequence[int] = (),
        tie: bool = True,
        transform: bool = False,
        chunk: int = 4096,
    ):
        super().__init__(hidden_size, outputs, tie=tie, transform=transform, chunk=chunk)
        self.ignored_ids = sorted({int(token) for token in ignored_ids})

    def prepare(
        self, batch: Mapping[str, Tensor], generator: torch.Generator | None = None
    ) -> dict[str, Tensor]:
        """Set the next token as ``target``; a sequence's last position has none. Nothing is random."""
        return {**batch, "target": self.next_tokens(batch)}

    def next_tokens(self, batch: Mapping[str, Tensor]) -> Tensor:
        """Return the next token of the same sequence, -100 where there is none, ``[B, T]``."""
        _need_tokens(batch)
        ids = batch["input_ids"]
        target = torch.full_like(ids, IGNORED, dtype=torch.long)
        target[:, :-1] = ids[:, 1:]
        if "attention_mask" in batch:
            real = batch["attention_mask"].bool()
            target[:, :-1].masked_fill_(~(real[:, 1:] & real[:, :-1]), IGNORED)
        if "cu_seqlens" in batch:
            target[0, batch["cu_seqlens"][1:].long() - 1] = IGNORED
        if self.ignored_ids:
            ignored = torch.tensor(self.ignored_ids, device=ids.device)
            target.masked_fill_(torch.isin(target, ignored), IGNORED)
        return target

    def token_log_likelihood(self, hidden: Hidden, batch: Mapping[str, Tensor]) -> Tensor:
        """Return log p of each token given those before it, in nats, ``[B, T]``.

        NaN where there is no such figure: the first token of a sequence, padding, ``ignored_ids``.
        """
        target = self.next_tokens(batch)
        outputs = self.forward(hidden, {"target": target})
        scores = hidden.states.new_full(target.shape, torch.nan, dtype=torch.float32)
        counted = target != IGNORED
        scores[:, 1:][counted[:, :-1]] = -outputs["token_loss"]
        return scores

    def settings(self) -> dict[str, Any]:
        """Return the plain settings of this objective."""
        return {
            **super().settings(),
            "ignored_ids": self.ignored_ids,
            "transform": not isinstance(self.transform, nn.Identity),
        }


__all__ = ["CausalLM", "LanguageObjective", "MaskedLM", "Objective", "SpanMaskedLM", "build_objective"]


def build_objective(cfg: Any, backbone: Backbone, tokenizer: Any = None) -> Objective:
    """Build an objective from its config and bind it to a backbone.

    Parameters
    ----------
    cfg : mapping
        Its ``_target_`` and settings, as in ``conf/objective``.
    backbone : Backbone
        What it is trained with.
    tokenizer : Tokenizer, optional
        Gives the sizes that the config leaves open; see :meth:`Objective.fitted`.

    Returns
    -------
    Objective
        Bound.

    Raises
    ------
    ConfigError
        When the config is wrong or does not fit the backbone.
    """
    from scizoo.config import get_class, instantiate

    kind = get_class(str(cfg["_target_"]))
    if not (isinstance(kind, type) and issubclass(kind, Objective)):
        raise ConfigError(f"objective: {cfg.get('_target_')} is no Objective.")
    fitted = kind.fitted(cfg, backbone, tokenizer)
    objective = instantiate(cfg, **{"hidden_size": backbone.hidden_size, **fitted})
    return objective.bind(backbone)


def _need_tokens(batch: Mapping[str, Tensor]) -> None:
    if "input_ids" not in batch:
        raise DataError(f"A language-model objective needs 'input_ids'; the batch has {sorted(batch)}.")
