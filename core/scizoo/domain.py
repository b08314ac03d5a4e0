"""What a plugin fills in: plain data, so that importing it costs nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Domain:
    """The face of a plugin.

    Classes are named by dotted strings and imported only when a job needs them, so that
    ``scizoo list`` never imports a field's library.

    Parameters
    ----------
    name : str
        The domain's name, as in ``genomics/taxonomy``.
    summary : str
        One line for ``scizoo list``.
    package : str
        The import package that holds the plugin, e.g. ``scizoo_genomics``.
    formats : tuple of str
        The file formats it reads, as its field names them.
    checkpoints : mapping of str to str
        Shipped checkpoints: ``"dna-tiny"`` to a folder relative to the package.
    requires : tuple of str
        Import names of the field's libraries; ``scizoo doctor`` looks for them.
    picture : str, optional
        Dotted path of ``draw(axes, record, prediction)``, which draws one record for the report. Where
        the domain's tokenizers have ``attribute``, ``prediction`` may bring what a network used of the
        record; see :func:`scizoo.evaluation.colouring.explained`.
    media : str, optional
        Dotted path of ``media(record, prediction) -> list of (label, MIME type, bytes)``: sounds, pictures
        or films of one record that the report holds beside its picture.
    writes : mapping of str to str
        Files of one generated record: the end of the file's name without the dot to the dotted path of
        ``write(value) -> bytes``, which is given the field's object.
    inspect : str, optional
        Dotted path of ``inspect(data_config) -> list``, extra findings for ``scizoo doctor``: a text each, or
        (text, remedy) for a problem. ``data_config`` holds what was given as ``data.KEY=VALUE``, as texts.
    reference : str, optional
        Dotted path of ``inputs() -> list``, or of ``inputs(example) -> list`` where there are several kinds
        of input: a few made-up inputs (``Record.input``) whose outputs a checkpoint stores for ``scizoo
        verify``. Without it a few records of the data stand in, and travel with the checkpoint.
    reference_pairs : str, optional
        Likewise for tasks of retrieval: ``pairs() -> list`` of tuples, a query and a document.
    disclaimer : str, optional
        A sentence that every report and card of this domain must carry.
    """

    name: str
    summary: str
    package: str
    formats: tuple[str, ...] = ()
    checkpoints: Mapping[str, str] = field(default_factory=dict)
    requires: tuple[str, ...] = ()
    picture: str | None = None
    media: str | None = None
    writes: Mapping[str, str] = field(default_factory=dict)
    inspect: str | None = None
    reference: str | None = None
    reference_pairs: str | None = None
    disclaimer: str | None = None
