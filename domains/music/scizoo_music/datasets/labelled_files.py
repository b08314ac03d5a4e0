"""The user's own pieces with a question, whose answer is taken out of what a model sees."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from typing import Any

from scizoo.data.records import Record
from scizoo.errors import ConfigError, DataError, did_you_mean
from scizoo.files import sha256_json
from scizoo_music.abc.concealed import CONCEALABLE, concealed
from scizoo_music.abc.plain import plain_abc
from scizoo_music.datasets.files import MusicFiles
from scizoo_music.pieces import Piece

#: What is taken out where the target is of this name.
_HIDDEN = {
    "key": ("key", "unit"),
    "mode": ("key", "unit"),
    "tonic": ("key", "unit"),
    "meter": ("meter", "bars", "unit"),
}


class LabelledFiles(MusicFiles):
    """Records of :class:`~scizoo_music.datasets.files.MusicFiles` without the fields that give the answer.

    Parameters
    ----------
    path : str
        As of MusicFiles.
    hide : sequence of str, optional
        ``key``, ``meter``, ``bars``, ``unit`` (see :func:`scizoo_music.abc.concealed.concealed`); by default
        what goes with a target of the name key, mode, tonic or meter.
    **settings
        As of MusicFiles.
    """

    def __init__(self, path: Any = None, *, hide: Sequence[str] | None = None, **settings: Any):
        super().__init__(path, **settings)
        self.hide = tuple(_HIDDEN.get(str(self.target).lower(), ()) if hide is None else hide)
        for one in self.hide:
            if one not in CONCEALABLE:
                raise ConfigError(f"data.hide={one}: {did_you_mean(one, CONCEALABLE)}")

    def fingerprint(self) -> str:
        """Digest of the files' contents and of the reading options."""
        return sha256_json([super().fingerprint(), list(self.hide)])

    def records(self) -> Iterator[Record]:
        """Yield the records without their answers."""
        for record in super().records():
            try:
                value = without(record.input, self.hide)
            except DataError as error:
                self.rejections.reject(record.source, record.id, error.problem)
                continue
            hidden = {"key", "mode", "meter"} if self.hide else set()
            meta = {name: cell for name, cell in record.meta.items() if name not in hidden}
            yield replace(record, input=value, meta=meta)


def without(value: Any, hide: Collection[str]) -> Any:
    """Give a piece, or the ABC text of a tune, without what is to be hidden.

    Raises
    ------
    DataError
        When the text cannot be read.
    """
    if not hide:
        return value
    if isinstance(value, Piece):
        changes: dict[str, Any] = {}
        if "key" in hide:
            changes["keys"] = ()
        if "meter" in hide or "bars" in hide:
            changes |= {"meters": (), "pickup": 0.0}
        return value.replaced(**changes)
    return concealed(plain_abc(value), hide)
