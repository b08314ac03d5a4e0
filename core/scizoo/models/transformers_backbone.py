"""Any architecture of transformers as a backbone, opened from a config or from public weights."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from huggingface_hub.errors import StrictDataclassError
from torch import Tensor, nn
from transformers import AutoConfig, PreTrainedModel
from transformers.models.auto.configuration_auto import CONFIG_MAPPING

from scizoo.errors import CheckpointError, ConfigError, DataError, did_you_mean
from scizoo.models.backbones import Adapters, Backbone, Hidden, bare_state, cast_state, read_config
from scizoo.models.initialise import LoadReport, read_weights
from scizoo.models.packed_attention import NAME, PACKABLE, Packing, packed_marker
from scizoo.models.transformers_config import (
    attention_of,
    check_keys,
    fit_positions,
    head_tensors,
    identity_pooler,
    is_causal,
    model_class_of,
    new_model,
    position_offset,
    quiet,
    without_pooler,
)


class TransformersBackbone(Backbone):
    """A transformers model without its task head.

    Weights are float32 in memory. The unused pooling layer that some encoders have is left out; ``save``
    writes it as the identity, so that ``AutoModel.from_pretrained`` finds every tensor it asks for (its
    ``pooler_output`` is then tanh of the first hidden state) and initialises none at random.

    Parameters
    ----------
    model : PreTrainedModel
        What ``AutoModel`` gives; see :meth:`from_config` and :meth:`load`.
    """

    def __init__(self, model: PreTrainedModel):
        super().__init__()
        config = model.config
        self.model: Any = model
        self.hidden_size = int(config.hidden_size)
        self.model_type = str(config.model_type)
        self.causal = is_causal(config)
        self.input_key = str(model.main_input_name)
        self.supports_packing = self.model_type in PACKABLE and config._attn_implementation == NAME
        self._accepts = frozenset(inspect.signature(model.forward).parameters)
        self.supports_cache = self.causal and "past_key_values" in self._accepts
        positions = getattr(config, "max_position_embeddings", None)
        self.max_length = None if positions is None else int(positions) - position_offset(config)

    @classmethod
    def from_config(
        cls,
        model_type: str,
        config: Mapping[str, Any] | None = None,
        vocab_size: int | None = None,
        pad_token_id: int | None = None,
        max_length: int | None = None,
        special_token_ids: Mapping[str, int] | None = None,
    ) -> TransformersBackbone:
        """Build a new model with initial weights.

        Parameters
        ----------
        model_type : str
            A type known to transformers: ``bert``, ``modernbert``, ``llama``, ``gpt_neox``, ``vit``, ...
        config : mapping, optional
            Keys of that type's config; an unknown key is refused.
        vocab_size : int, optional
            Number of token ids.
        pad_token_id : int, optional
            Id of the padding token.
        max_length : int, optional
            The longest sequence in tokens.
        special_token_ids : mapping, optional
            Ids under ``cls`` and ``sep``; they become the config's cls/bos and sep/eos ids.

        Returns
        -------
        TransformersBackbone
            In float32.

        Raises
        ------
        ConfigError
            When the type, a key or a value is wrong.
        """
        if model_type not in CONFIG_MAPPING:
            raise ConfigError(
                f"backbone: transformers knows no model type '{model_type}'.",
                remedy=did_you_mean(model_type, CONFIG_MAPPING.keys()),
            )
        given = dict(config or {})
        check_keys(model_type, given)
        defaults = CONFIG_MAPPING[model_type]()
        if vocab_size is not None:
            given["vocab_size"] = vocab_size
            if pad_token_id is not None:
                given["pad_token_id"] = pad_token_id
            specials = dict(special_token_ids or {})
            for key, source in (("cls", "cls"), ("bos", "cls"), ("sep", "sep"), ("eos", "sep")):
                if hasattr(defaults, f"{key}_token_id"):
                    given.setdefault(f"{key}_token_id", specials.get(source))
        if max_length is not None and hasattr(defaults, "max_position_embeddings"):
            fit_positions(given, defaults, model_type, max_length)
        try:
            built = AutoConfig.for_model(model_type, **given)
            model = new_model(built)
        except (TypeError, ValueError, KeyError, StrictDataclassError) as error:
            raise ConfigError(f"backbone: the config of '{model_type}' is refused: {error}") from error
        return cls(model)

    @classmethod
    def load(cls, directory: str | Path) -> TransformersBackbone:
        """Open a folder that ``save`` or transformers wrote.

        Weights of a class with a task head (``BertForMaskedLM``, ``LlamaForCausalLM``, ...) are accepted: the
        prefix of the base model is taken off and the tensors of the head are reported as unexpected.
        Pickled weights and remote code are never used.

        Parameters
        ----------
        directory : str or Path
            Holds ``config.json`` and ``model.safetensors`` or its shards.

        Returns
        -------
        TransformersBackbone
            In float32, with its ``load_report``.

        Raises
        ------
        CheckpointError
            When a tensor of the backbone is missing, of another shape, or one of the file has no place.
        """
        model_type = read_config(directory).get("model_type")
        if model_type not in CONFIG_MAPPING:
            raise CheckpointError(
                f"{Path(directory) / 'config.json'}: transformers knows no model type '{model_type}'.",
                remedy="update transformers; code inside a checkpoint is never run.",
            )
        config = AutoConfig.from_pretrained(directory, trust_remote_code=False, local_files_only=True)
        tensors = read_weights(directory)
        model_class = model_class_of(config)
        with quiet():
            loader: Any = model_class.from_pretrained
            model, info = loader(
                None,
                config=config,
                state_dict=tensors,
                dtype=torch.float32,
                attn_implementation=attention_of(config),
                output_loading_info=True,
                ignore_mismatched_sizes=True,
                **without_pooler(model_class),
            )
        prefix = f"{model_class.base_model_prefix}."
        report = LoadReport(
            missing=sorted(info["missing_keys"]),
            unexpected=sorted(info["unexpected_keys"]),
            reshaped={
                name: (tuple(theirs), tuple(ours)) for name, theirs, ours in sorted(info["mismatched_keys"])
            },
            source=str(directory),
        )
        fallen = {*report.missing, *report.reshaped}
        report.loaded = [name for name in model.state_dict() if name not in fallen]
        report.check(allow_unexpected=head_tensors(tensors, prefix, report))
        model.config.architectures = [model_class.__name__]
        backbone = cls(model)
        backbone.load_report = report
        return backbone

    def forward(self, batch: Mapping[str, Tensor]) -> Hidden:
        """Compute hidden states; see :meth:`Backbone.forward`."""
        return self._run(batch, None)[0]

    def step(self, batch: Mapping[str, Tensor], cache: Any = None) -> tuple[Hidden, Any]:
        """Compute hidden states of new positions and keep their keys and values.

        Parameters
        ----------
        batch : mapping
            ``input_ids`` ``[B, n]`` of the new positions, ``attention_mask`` ``[B, seen + n]`` and
            ``position_ids`` ``[B, n]``.
        cache : optional
            What the last step returned; None at the first.

        Returns
        -------
        tuple
            Hidden states of the new positions, and the cache.
        """
        if not self.supports_cache:
            return super().step(batch, cache)
        return self._run(batch, cache, use_cache=True)

    def _run(self, batch: Mapping[str, Tensor], cache: Any, use_cache: bool = False) -> tuple[Hidden, Any]:
        if self.input_key not in batch:
            raise DataError(
                f"A batch for '{self.model_type}' lacks '{self.input_key}'; it has {sorted(batch)}."
            )
        main = batch[self.input_key]
        mask = batch.get("attention_mask")
        arguments: dict[str, Any] = {self.input_key: main}
        for key in ("token_type_ids", "bool_masked_pos"):
            if key in batch and key in self._accepts:
                arguments[key] = batch[key]
        if "position_ids" in batch and "position_ids" in self._accepts:
            arguments["position_ids"] = batch["position_ids"] + position_offset(self.model.config)
        if self.input_key == "input_ids":
            self._check_length(main, batch)
        cu_seqlens = batch.get("cu_seqlens")
        if cu_seqlens is not None:
            self._check_packed(batch)
            arguments["packing"] = Packing.from_cu_seqlens(cu_seqlens, main.shape[1])
            arguments["attention_mask"] = packed_marker(main.device)
        elif mask is not None and "attention_mask" in self._accepts:
            arguments["attention_mask"] = mask
        if "use_cache" in self._accepts:
            arguments["use_cache"] = use_cache
        if cache is not None:
            arguments["past_key_values"] = cache
        outputs = self.model(**arguments)
        states = outputs.last_hidden_state
        if states.ndim == 4:  # feature maps [B, C, H, W]
            states = states.flatten(2).transpose(1, 2)
        real = torch.ones(states.shape[:2], dtype=torch.bool, device=states.device)
        if mask is not None and cu_seqlens is None and mask.ndim == 2 and self.input_key == "input_ids":
            real = mask[:, -states.shape[1] :].bool()
        return Hidden(states, real, cu_seqlens), getattr(outputs, "past_key_values", None)

    def _check_length(self, main: Tensor, batch: Mapping[str, Tensor]) -> None:
        # A learned table of positions ends; reading past it is an index error without a name.
        if self.max_length is None or "cu_seqlens" in batch:
            return
        if main.shape[1] > self.max_length:
            raise DataError(
                f"A sequence of {main.shape[1]} tokens exceeds the context of this model.",
                expected=f"at most {self.max_length} tokens",
                remedy="set context.max_length to that, with context.long_records=window for longer records.",
            )

    def _check_packed(self, batch: Mapping[str, Tensor]) -> None:
        if not self.supports_packing:
            raise ConfigError(
                f"Packed batches are not supported for model type '{self.model_type}'.",
                expected=f"one of {', '.join(sorted(PACKABLE))}",
                remedy="use padded batches (batching.packing=false).",
            )
        if batch[self.input_key].shape[0] != 1 or "position_ids" not in batch:
            raise DataError(
                "A packed batch must be one row [1, T] with position_ids that restart at each sequence."
            )

    def input_embeddings(self) -> nn.Embedding | None:
        """Return the token embedding, or None when inputs are not tokens."""
        embedding = self.model.get_input_embeddings() if self.input_key == "input_ids" else None
        return embedding if isinstance(embedding, nn.Embedding) else None

    def attention_flops_per_token(self, seq_len: int) -> float:
        """Count 4 T D a layer, half of it when causal, and no more than the window of local layers."""
        config = self.model.config
        heads = getattr(config, "num_attention_heads", 0) or 0
        width = heads * (getattr(config, "head_dim", None) or (self.hidden_size // heads if heads else 0))
        layers = int(getattr(config, "num_hidden_layers", 0) or 0)
        kinds = getattr(config, "layer_types", None) or ["full_attention"] * layers
        window = getattr(config, "sliding_window", None)
        if window is not None and not getattr(config, "layer_types", None):
            kinds = ["sliding_attention"] * layers
        total = 0.0
        for kind in kinds:
            seen = seq_len / 2 if self.causal else float(seq_len)
            if kind == "sliding_attention" and window is not None:
                seen = min(seen, float(window if self.causal else 2 * window + 1))
            total += 4.0 * seen * width
        return total

    def gradient_checkpointing(self, enabled: bool = True) -> None:
        """Recompute activations in the backward pass, or stop doing so."""
        if not self.model.supports_gradient_checkpointing:
            return super().gradient_checkpointing(enabled)
        # The library renamed these; both names lie in the range of versions that we take.
        model, verb = self.model, "enable" if enabled else "disable"
        switch = getattr(model, f"activation_checkpointing_{verb}", None) or getattr(
            model, f"gradient_checkpointing_{verb}"
        )
        return switch({"use_reentrant": False}) if enabled else switch()

    def save(
        self, directory: str | Path, dtype: torch.dtype | str | None = None, adapters: Adapters = "refuse"
    ) -> None:
        """Write ``config.json`` and ``model.safetensors`` for ``AutoModel.from_pretrained``.

        Parameters
        ----------
        directory : str or Path
            An existing or new folder.
        dtype : torch.dtype or str, optional
            How floating-point weights are stored. The config still says float32, so that every reader
            computes with the same numbers.
        adapters : {"refuse", "leave_out"}
            See :meth:`Backbone.save`.
        """
        wrapped = getattr(self.model, "get_base_model", None)
        model = wrapped() if callable(wrapped) else self.model
        state = bare_state(model, adapters)
        state.update(identity_pooler(model, state))
        with quiet():
            model.save_pretrained(Path(directory), state_dict=cast_state(state, dtype))
