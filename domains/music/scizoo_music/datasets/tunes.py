"""Tunes in ABC notation that come with music21, read in place without importing it."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from scizoo.data.records import Dataset, Licence, Record
from scizoo.data.sources import fingerprint_files
from scizoo.errors import ConfigError, DataError, MachineError, did_you_mean
from scizoo.files import sha256_json
from scizoo_music.abc.plain import plain_abc
from scizoo_music.abc.tokens import parse_key, parse_meter, split_tune
from scizoo_music.pieces import as_piece
from scizoo_music.similarity import MelodySimilarity

log = logging.getLogger(__name__)

#: Folders of music21's corpus, by the names that ``data.collections`` takes.
COLLECTIONS = {
    "oneill": "oneills1850",
    "aird": "airdsAirs",
    "ryan": "ryansMammoth",
    "essen": "essenFolksong",
}
_START = re.compile(r"(?m)^(?=X:)")


class FolkTunes(Dataset):
    """Fiddle and pipe tunes of three printed collections, in ABC as volunteers typed them in.

    O'Neill's Music of Ireland (1903: 1,850 tunes), Aird's Airs (1782-1797: 1,180) and Ryan's Mammoth
    Collection (1883: 1,059), all in the public domain; some tunes are in O'Neill twice, by two transcribers.
    ``Record.input`` is the ABC text. Tunes of several voices or without a meter are left out and counted.

    Parameters
    ----------
    collections : sequence of str
        ``oneill``, ``aird``, ``ryan``; ``essen`` adds the Essen folk song collection (8,514 tunes), whose
        distribution is allowed for non-commercial use alone.
    plain : bool
        Whether tunes are written in plain ABC (see :func:`scizoo_music.abc.plain.plain_abc`), or stay as they
        are in the files, with titles and ornaments.
    target : str, optional
        A field that becomes the target: ``key``, ``mode``, ``meter``, ``rhythm``, ``origin`` or
        ``collection``; tunes that do not state it are left out.
    variants : float or None
        Share of common runs of five intervals from which two tunes are variants of one: they get the same
        group, whatever their keys. None gives each tune a group of its own.
    limit : int, optional
        Read only so many tunes, evenly over the collections.
    max_rejected : float
    """

    citation = (
        "O'Neill's Music of Ireland (1903), Aird's Selection of Scotch, English, Irish and Foreign Airs "
        "(1782-1797), Ryan's Mammoth Collection (1883), transcribed to ABC by volunteers (named in each "
        "file), as shipped with music21 (Cuthbert and Ariza 2010, ISMIR)"
    )

    def __init__(
        self,
        collections: Sequence[str] = ("oneill", "aird", "ryan"),
        *,
        plain: bool = True,
        target: str | None = None,
        variants: float | None = 0.3,
        limit: int | None = None,
        max_rejected: float = 0.01,
    ):
        super().__init__(max_rejected=max_rejected)
        for name in collections:
            if name not in COLLECTIONS:
                raise ConfigError(f"data.collections={name}: {did_you_mean(str(name), COLLECTIONS)}")
        fields = ("key", "mode", "meter", "rhythm", "origin", "collection")
        if target is not None and target not in fields:
            raise ConfigError(f"data.target={target}: {did_you_mean(target, fields)}")
        self.collections = list(collections)
        self.plain, self.target, self.variants, self.limit = plain, target, variants, limit
        free = "essen" not in self.collections
        self.licence = Licence(
            "public-domain tunes; files shipped with music21 by permission of their transcribers"
            if free
            else "Essen folk song collection: status unclear, distributed for non-commercial use",
            commercial=free,
            redistribution=free,
        )

    @property
    def name(self) -> str:
        """What is read."""
        return f"folk tunes of music21's corpus ({', '.join(self.collections)})"

    @property
    def files(self) -> list[Path]:
        """The ABC files."""
        root = corpus_folder()
        return [
            file for name in self.collections for file in sorted((root / COLLECTIONS[name]).glob("*.abc"))
        ]

    def fingerprint(self) -> str:
        """Digest of the files and of the reading options."""
        options = [self.collections, self.plain, self.target, self.variants, self.limit]
        return sha256_json({"files": fingerprint_files(self.files), "options": options})

    def records(self) -> Iterator[Record]:
        """Yield the tunes; what cannot be read is told to ``rejections``."""
        found = list(self._tunes())
        if self.variants is None:
            yield from found
            return
        groups = MelodySimilarity(threshold=self.variants).groups(found)
        yield from (replace(record, group=found[first].id) for record, first in zip(found, groups.tolist()))

    def _tunes(self) -> Iterator[Record]:
        left_out: dict[str, int] = {}
        for id, text, collection, source in self._chosen():
            fields = split_fields(text)
            meta: dict[str, Any] = {"collection": collection, **fields}
            reason = _left_out(text)
            if reason is None and self.target is not None and not meta.get(self.target):
                reason = f"state no {self.target}"
            if reason is not None:
                left_out[reason] = left_out.get(reason, 0) + 1
                continue
            try:
                written = plain_abc(text)
                as_piece(written)
            except DataError as error:
                self.rejections.reject(source, id, error.problem)
                continue
            target = meta.pop(self.target) if self.target else None
            yield Record(id, written if self.plain else text, target, None, meta, source)
        if left_out:
            said = "; ".join(f"{count} {reason}" for reason, count in left_out.items())
            log.info("%s: left out by design: %s.", self.name, said)

    def _chosen(self) -> Iterator[tuple[str, str, str, str]]:
        found: list[tuple[str, str, str, str]] = []
        names = {folder: name for name, folder in COLLECTIONS.items()}
        for file in self.files:
            collection = names[file.parent.name]
            for number, tune in enumerate(
                tunes_of(file.read_text(encoding="utf-8", errors="replace")), start=1
            ):
                found.append(
                    (f"{collection}-{file.stem}-{number}", tune, collection, f"{file.name}, tune {number}")
                )
        if self.limit is None or self.limit >= len(found):
            yield from found
            return
        step = len(found) / self.limit
        yield from (found[int(place * step)] for place in range(self.limit))


def corpus_folder() -> Path:
    """Find music21's corpus without importing music21.

    Raises
    ------
    MachineError
        When the package is not installed, or came without its corpus.
    """
    from importlib.util import find_spec

    spec = find_spec("music21")
    places = list(spec.submodule_search_locations or ()) if spec is not None else []
    folder = Path(places[0]) / "corpus" if places else None
    if folder is None or not (folder / "bach").is_dir():
        raise MachineError(
            "music21's corpus is not installed.",
            expected="the package music21 with its corpus",
            remedy="pip install music21",
        )
    return folder


def tunes_of(text: str) -> list[str]:
    """Part the tunes of an ABC file: each begins with its ``X:`` field."""
    return [part.rstrip() + "\n" for part in _START.split(text) if part.startswith("X:")]


def split_fields(text: str) -> dict[str, Any]:
    """Give what the header of a tune says: title, rhythm, meter, key, mode, composer, origin."""
    try:
        fields = split_tune(text).fields
    except DataError:
        return {}
    said: dict[str, Any] = {}
    for letter, name in (("T", "title"), ("R", "rhythm"), ("C", "composer"), ("O", "origin")):
        value = fields.get(letter, "").strip(' "')
        said[name] = (value.lower() if name == "rhythm" else value) or None
    try:
        key = parse_key(fields["K"])
        said["key"], said["mode"] = str(key), key.mode
        meter = parse_meter(fields.get("M", ""))
        said["meter"] = None if meter is None else str(meter)
    except DataError:
        said |= {"key": None, "mode": None, "meter": None}
    return said


def _left_out(text: str) -> str | None:
    if re.search(r"(?m)^V:|\[V:", text):
        return "have several voices"
    meter = re.search(r"(?m)^M:\s*(\S*)", text)
    return "have no meter" if meter is None or meter[1] in ("", "none") else None
