"""A transformers architecture for numbers in the place of tokens: series, light curves, spectra, sensors."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from transformers import PreTrainedModel

from scizoo.errors import CheckpointError, ConfigError, DataError
from scizoo.files import write_json
from scizoo.models.backbones import INPUTS_CONFIG, Adapters, Hidden, cast_state
from scizoo.models.continuous_inputs import ContinuousInputs
from scizoo.models.initialise import LoadReport, load_into
from scizoo.models.transformers_backbone import TransformersBackbone
from scizoo.models.transformers_config import new_model

INPUTS_WEIGHTS = "inputs.safetensors"

# The table of tokens that the library's model insists on; nothing is ever looked up in it.
_VOCABULARY = 4


class ContinuousBackbone(TransformersBackbone):
    """A transformers model whose inputs are embedded numbers (``inputs_embeds``).

    The folder that :meth:`save` writes holds the library's own model, which ``AutoModel.from_pretrained``
    opens, and beside it ``inputs.json`` and ``inputs.safetensors`` for the input layers.

    Parameters
    ----------
    model : PreTrainedModel
        What ``AutoModel`` gives, of a type that takes ``inputs_embeds``.
    inputs : ContinuousInputs
        Settings and weights of the input layers.
    """

    def __init__(self, model: PreTrainedModel, inputs: ContinuousInputs):
        super().__init__(model)
        if self.input_key != "input_ids" or "inputs_embeds" not in self._accepts:
            raise ConfigError(
                f"backbone: '{self.model_type}' does not take embedded inputs.",
                expected="an encoder or decoder of token sequences (bert, modernbert, llama, gpt_neox, ...)",
            )
        self.inputs = inputs
        self.features = inputs.features
        self.input_key = "values"
        self.supports_packing = self.supports_cache = False
        _without_training(model.get_input_embeddings())

    @classmethod
    def from_config(  # type: ignore[override]
        cls,
        model_type: str,
        config: Mapping[str, Any] | None = None,
        features: int = 1,
        times: int = 0,
        channels: int = 0,
        max_length: int | None = None,
        embedding: str = "residual",
        n_frequencies: int = 16,
        shortest_period: float = 1.0,
        longest_period: float = 10_000.0,
        learn_periods: bool = False,
    ) -> ContinuousBackbone:
        """Build a new model with initial weights.

        Parameters
        ----------
        model_type : str
            A type known to transformers that takes ``inputs_embeds``: ``modernbert``, ``bert``, ``llama``,
            ``gpt_neox``, ...
        config : mapping, optional
            Keys of that type's config; an unknown key is refused.
        features, times, channels : int
            Values and coordinates a position, and classes of ``channel``; the tokenizer gives them.
        max_length : int, optional
            The longest sequence in positions.
        embedding, n_frequencies, shortest_period, longest_period, learn_periods
            See :class:`~scizoo.models.continuous_inputs.ContinuousInputs`.

        Returns
        -------
        ContinuousBackbone
            In float32.

        Raises
        ------
        ConfigError
            When the type, a key or a value is wrong.
        """
        base = TransformersBackbone.from_config(
            model_type, config, _VOCABULARY, 0, max_length, {"cls": 1, "sep": 2}
        )
        inputs = ContinuousInputs(
            base.hidden_size,
            int(features),
            times=int(times),
            channels=int(channels),
            embedding=embedding,
            n_frequencies=n_frequencies,
            shortest_period=shortest_period,
            longest_period=longest_period,
            learn_periods=learn_periods,
        )
        return cls(base.model, inputs)

    @classmethod
    def load(cls, directory: str | Path) -> ContinuousBackbone:
        """Open a folder written by :meth:`save`.

        Raises
        ------
        CheckpointError
            When a tensor of the model or of its input layers is missing, left over or of another shape.
        """
        folder = Path(directory)
        base = TransformersBackbone.load(folder)
        try:
            settings = json.loads((folder / INPUTS_CONFIG).read_text(encoding="utf-8"))
            inputs = ContinuousInputs(base.hidden_size, **settings)
        except (OSError, ValueError, TypeError, ConfigError) as error:
            raise CheckpointError(
                f"{folder / INPUTS_CONFIG} does not describe input layers: {error}",
                remedy="fetch or copy the checkpoint again.",
            ) from error
        own = load_into(inputs, folder / INPUTS_WEIGHTS)
        backbone = cls(base.model, inputs)
        report = base.load_report or LoadReport()
        report.loaded = [*report.loaded, *(f"inputs.{name}" for name in own.loaded)]
        backbone.load_report = report
        return backbone

    def forward(self, batch: Mapping[str, Tensor]) -> Hidden:
        """Compute hidden states.

        Parameters
        ----------
        batch : mapping
            ``values`` ``[B, T, F]``, ``attention_mask`` ``[B, T]`` and the optional ``observed``, ``times``,
            ``channel`` and ``masked`` of :class:`~scizoo.models.continuous_inputs.ContinuousInputs`.

        Returns
        -------
        Hidden
            States ``[B, T, D]`` and their mask.
        """
        if "values" not in batch:
            raise DataError(f"A batch for numbers lacks 'values'; it has {sorted(batch)}.")
        if "cu_seqlens" in batch:
            raise ConfigError(
                "Packed batches are not supported for numbers.", remedy="set batching.packing=false."
            )
        self._check_length(batch["values"], batch)
        arguments: dict[str, Any] = {"inputs_embeds": self.inputs(batch)}
        mask = batch.get("attention_mask")
        if mask is not None:
            arguments["attention_mask"] = mask
        if "use_cache" in self._accepts:
            arguments["use_cache"] = False
        states = self.model(**arguments).last_hidden_state
        real = torch.ones(states.shape[:2], dtype=torch.bool, device=states.device)
        return Hidden(states, real if mask is None else mask.bool())

    def input_embeddings(self) -> nn.Embedding | None:
        """Return None: inputs are not tokens."""
        return None

    def reinitialise(self) -> None:
        """Take new initial weights, the library's for its model."""
        fresh = new_model(copy.deepcopy(self.model.config))
        self.model.load_state_dict(fresh.state_dict())
        again = ContinuousInputs(self.hidden_size, **self.inputs.settings())
        self.inputs.load_state_dict(again.state_dict())

    def save(
        self, directory: str | Path, dtype: torch.dtype | str | None = None, adapters: Adapters = "refuse"
    ) -> None:
        """Write the library's model and the input layers; see :meth:`Backbone.save`."""
        super().save(directory, dtype, adapters)
        folder = Path(directory)
        state = {name: value.detach().cpu() for name, value in self.inputs.state_dict().items()}
        save_file(cast_state(state, dtype), folder / INPUTS_WEIGHTS, {"format": "pt"})
        write_json(folder / INPUTS_CONFIG, self.inputs.settings())


def _without_training(embedding: nn.Module) -> None:
    """Make a table a buffer: no gradient would reach it, which distributed training refuses."""
    weight = getattr(embedding, "weight", None)
    if isinstance(weight, nn.Parameter):
        del embedding.weight
        embedding.register_buffer("weight", weight.detach().clone())
