"""Public weights of transformers and timm as a starting point."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path

from scizoo.errors import CheckpointError, ConfigError
from scizoo.models.backbones import Backbone, load_backbone

log = logging.getLogger(__name__)

_HUB = "hf://"


def public_backbone(
    path: str,
    vocab_size: int | None = None,
    pad_token_id: int | None = None,
    special_token_ids: Mapping[str, int] | None = None,
    max_length: int | None = None,
) -> Backbone:
    """Open public weights and say which tensors were loaded, missing, unexpected or reshaped.

    Parameters
    ----------
    path : str
        A folder with ``config.json`` and safetensors, or ``hf://org/name``.
    vocab_size : int, optional
        Of the tokenizer; the weights must have an embedding of this size.
    pad_token_id, special_token_ids : optional
        Of the tokenizer; the weights keep their own.
    max_length : int, optional
        The longest sequence wanted, in tokens.

    Returns
    -------
    Backbone
        With its ``load_report``.

    Raises
    ------
    CheckpointError
        When the folder cannot be opened or its weights are not complete.
    ConfigError
        When tokenizer or context do not fit the weights.
    """
    backbone = load_backbone(_folder(path))
    embedding = backbone.input_embeddings()
    if vocab_size is not None and embedding is not None and embedding.num_embeddings != vocab_size:
        raise ConfigError(
            f"backbone: {path} has {embedding.num_embeddings} token ids, the tokenizer has {vocab_size}.",
            expected="the tokenizer that these weights were trained with",
            remedy="choose another tokenizer, or train a backbone of this architecture from initial weights.",
        )
    longest = backbone.max_length
    if max_length is not None and longest is not None and max_length > longest:
        raise ConfigError(
            f"context.max_length={max_length} is more than {path} has positions for.",
            expected=f"at most {longest}",
        )
    if backbone.load_report is not None:
        log.info("%s", backbone.load_report)
    return backbone


def _folder(path: str) -> Path:
    if not path.startswith(_HUB):
        return Path(path).expanduser()
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    patterns = ["config.json", "*.safetensors", "*.safetensors.index.json"]
    try:
        return Path(snapshot_download(path.removeprefix(_HUB), allow_patterns=patterns))
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError, ValueError) as error:
        raise CheckpointError(
            f"{path} cannot be fetched: {str(error).splitlines()[0]}",
            expected="hf://organisation/name of public weights in safetensors",
            remedy="check the name and the network, or give the path of a downloaded folder.",
        ) from error
