"""The Objective contract: a head that makes its own targets, so that unlabelled records train a backbone."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, Self

import torch
from torch import Tensor

from scizoo.models.backbones import Backbone
from scizoo.models.heads import Head


class Objective(Head):
    """A head that makes its own targets.

    :meth:`prepare` gets a batch and returns it with what is hidden and what is to be predicted; the batch
    then goes through the backbone and this head. Without :meth:`prepare` (when a checkpoint is verified or
    embeds) :meth:`forward` gives outputs for the whole input.

    A mean loss over batches of unequal weight is exact when ``forward`` gives ``loss_weight``, a scalar:
    the sum of the weights that its loss is the mean over.
    """

    @classmethod
    def fitted(cls, cfg: Mapping[str, Any], backbone: Backbone, tokenizer: Any = None) -> dict[str, Any]:
        """Return the settings that follow from backbone and tokenizer, ``outputs`` among them.

        Parameters
        ----------
        cfg : mapping
            What the config says.
        backbone : Backbone
        tokenizer : Tokenizer, optional

        Returns
        -------
        dict
            They replace the config's.
        """
        return {}

    def bind(self, backbone: Backbone) -> Self:
        """Check that a backbone fits, and take from it what this objective shares with it.

        Raises
        ------
        ConfigError
            When the backbone does not fit this objective.
        """
        return self

    @abstractmethod
    def prepare(
        self, batch: Mapping[str, Tensor], generator: torch.Generator | None = None
    ) -> dict[str, Tensor]:
        """Return the batch with its targets.

        Parameters
        ----------
        batch : mapping
            As a collator gives it.
        generator : torch.Generator, optional
            Of the CPU; the same state gives the same targets.

        Returns
        -------
        dict
            The same keys, inputs possibly changed, and ``target``.
        """

    def predicted_share(self) -> float:
        """Return the share of positions that are predicted in training."""
        return 1.0
