"""The second side of a checkpoint for retrieval: what encodes documents, in the folder ``document``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from scizoo.checkpoints.adapters import has_adapters, load_adapters, save_adapters
from scizoo.checkpoints.components import component_class
from scizoo.data.tokenizer import Tokenizer, save_tokenizer, tokenizer_entry
from scizoo.data.windows import Context
from scizoo.errors import CheckpointError
from scizoo.models.backbones import Backbone
from scizoo.models.retrieval import FOLDER, DocumentSide


def write_backbone(
    backbone: Backbone, folder: Path, dtype: torch.dtype | str | None
) -> dict[str, Any] | None:
    """Write a network as its library does, unmerged LoRA with PEFT's own files.

    Returns
    -------
    dict or None
        How its adapters are put back on, for the manifest.
    """
    adapted = has_adapters(backbone)
    backbone.save(folder, dtype=dtype, adapters="leave_out" if adapted else "refuse")
    if not adapted:
        return None
    save_adapters(backbone, folder)
    return {"files": "peft"}


def write_document_side(
    folder: Path,
    side: DocumentSide,
    query: Backbone,
    tokenizer: Tokenizer,
    dtype: torch.dtype | str | None = None,
) -> dict[str, Any]:
    """Write what encodes documents, as far as it is not what encodes queries.

    Parameters
    ----------
    folder : Path
        Of the checkpoint; a second network, and a second tokenizer, go to its subfolder ``document``.
    side : DocumentSide
    query, tokenizer
        Those of the queries.
    dtype : torch.dtype or str, optional
        How weights are stored.

    Returns
    -------
    dict
        The entry of the manifest; ``backbone`` and ``tokenizer`` are None where the queries' own serve.
    """
    entry: dict[str, Any] = {
        "backbone": None,
        "tokenizer": None,
        "adapter": None,
        "context": side.context.to_dict(),
    }
    own = folder / FOLDER
    if side.backbone is not query:
        own.mkdir()
        entry["adapter"] = write_backbone(side.backbone, own, dtype)
        kind = type(side.backbone)
        entry["backbone"] = {"_target_": f"{kind.__module__}.{kind.__qualname__}"}
    if side.tokenizer is not tokenizer:
        save_tokenizer(side.tokenizer, own)
        entry["tokenizer"] = tokenizer_entry(side.tokenizer)
    return entry


def document_classes(entry: dict[str, Any] | None, folder: Path) -> dict[str, Any]:
    """Judge the classes that a checkpoint names for its second side; see :func:`component_class`."""
    bases = {"backbone": Backbone, "tokenizer": Tokenizer}
    given = entry or {}
    if entry is not None and not isinstance(given.get("context"), dict):
        raise CheckpointError(f"{folder} does not say how its documents are cut into windows.")
    return {
        name: component_class(given[name], base, f"document.{name}", folder)
        for name, base in bases.items()
        if given.get(name)
    }


def read_document_side(
    folder: Path, entry: dict[str, Any], classes: dict[str, Any], query: Backbone, tokenizer: Tokenizer
) -> DocumentSide:
    """Build what encodes documents.

    Parameters
    ----------
    folder : Path
    entry : dict
        What :func:`write_document_side` gave.
    classes : dict
        From :func:`document_classes`.
    query, tokenizer
        Those of the queries.
    """
    own = folder / FOLDER
    backbone = query
    if "backbone" in classes:
        backbone = classes["backbone"].load(own)
        if entry.get("adapter") is not None:
            load_adapters(backbone, own)
        backbone.eval().requires_grad_(False)
    if "tokenizer" in classes:
        tokenizer = classes["tokenizer"].from_settings(entry["tokenizer"].get("settings", {}), own)
    return DocumentSide(backbone, tokenizer, Context(**entry["context"]))
