"""The words of a model card from the ``card`` group of a config and what the run knows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from inspect import signature
from itertools import islice
from typing import TYPE_CHECKING, Any

from scizoo import plugins
from scizoo.checkpoints.card import Card, TrainingData
from scizoo.config import get_class
from scizoo.data.records import Record
from scizoo.errors import ConfigError

if TYPE_CHECKING:
    from scizoo.training.build import ModelParts

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


def check_reference(cfg: Mapping[str, Any], domain: str) -> None:
    """Refuse, before any training, what :func:`reference_for` would refuse after it."""
    second = dict(cfg.get("document") or {})
    face = plugins.domains().get(domain)
    own = second.get("tokenizer") or second.get("checkpoint")
    if own and face is not None and face.reference and not face.reference_pairs:
        raise _no_pairs(domain)


def _no_pairs(domain: str) -> ConfigError:
    return ConfigError(
        f"domain '{domain}' makes up reference inputs, but no pairs of a query and a document.",
        expected="Domain.reference_pairs, a function that gives a few made-up pairs",
    )


def reference_for(parts: ModelParts, domain: str, records: Iterable[Record]) -> list[Any]:
    """Give the inputs whose outputs a checkpoint stores; for retrieval pairs of a query and a document.

    Raises
    ------
    ConfigError
        When the domain makes up inputs, but no documents for a second tokenizer: records must not travel
        then.
    """
    second = parts.document
    if second is None:
        return reference_inputs(domain, records)
    face = plugins.domains().get(domain)
    if face is not None and face.reference_pairs:
        made = get_class(face.reference_pairs, key=f"the reference pairs of {domain}")()
        return [[query, document] for query, document in made]
    if face is None or not face.reference:
        return [[record.input, record.target] for record in islice(records, REFERENCE_INPUTS)]
    if second.tokenizer is not parts.tokenizer:
        raise _no_pairs(domain)
    return [[value, value] for value in reference_inputs(domain, records)]
