"""The words of a model card from the ``card`` group of a config and what the run knows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from inspect import signature
from itertools import islice
from typing import Any

from scizoo import plugins
from scizoo.checkpoints.card import Card, TrainingData
from scizoo.config import get_class
from scizoo.data.records import Record

REFERENCE_INPUTS = 4
_UNSTATED = "Not stated by whoever trained this checkpoint."


def make_card(
    cfg: Mapping[str, Any],
    *,
    name: str,
    summary: str,
    training_data: Sequence[TrainingData],
    command: str,
    base: str | None = None,
    base_licence: str | None = None,
) -> Card:
    """Make the card of a run's checkpoint.

    Parameters
    ----------
    cfg : mapping
        A composed config; ``card`` may hold ``licence``, ``intended_use``, ``limits``, ``tags`` and
        ``notes``.
    name, summary : str
        Of the checkpoint.
    training_data : sequence of TrainingData
    command : str
        What trains it again.
    base : str, optional
        The checkpoint it was fine-tuned from.
    base_licence : str, optional
        Its licence, which a fine-tuned model keeps unless the card says otherwise.
    """
    words = dict(cfg.get("card") or {})
    domain = plugins.domains().get(name.partition("/")[0])
    return Card(
        name=name,
        summary=summary,
        licence=str(words.get("licence") or base_licence or "LicenseRef-unstated"),
        intended_use=str(words.get("intended_use") or _UNSTATED),
        limits=str(words.get("limits") or _UNSTATED),
        training_data=tuple(training_data),
        command=command,
        use_command=str(words.get("use_command") or ""),
        tags=tuple(words.get("tags") or ()),
        base=base,
        disclaimer=domain.disclaimer if domain else None,
        notes=words.get("notes"),
    )


def reference_inputs(domain: str, records: Iterable[Record]) -> list[Any]:
    """Give the inputs whose outputs a checkpoint stores: the domain's made-up ones, else a few records.

    Parameters
    ----------
    domain : str
    records : iterable of Record
        Read only where the domain names no inputs of its own, or asks for an example.
    """
    face = plugins.domains().get(domain)
    if face is not None and face.reference:
        made = get_class(face.reference, key=f"the reference inputs of {domain}")
        # A domain of several kinds of input asks for one, so as to make up others like it.
        example = [record.input for record in islice(records, 1)] if signature(made).parameters else []
        return list(made(*example))
    return [record.input for record in islice(records, REFERENCE_INPUTS)]
