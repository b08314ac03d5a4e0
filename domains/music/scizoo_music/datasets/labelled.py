"""Folk tunes with a question: their key, meter, dance or collection, the answer taken out of the text."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from scizoo.data.records import Dataset, Record
from scizoo.errors import ConfigError, DataError, did_you_mean
from scizoo.files import sha256_json
from scizoo_music.abc.concealed import concealed
from scizoo_music.datasets.tunes import FolkTunes
from scizoo_music.similarity import melody_key

log = logging.getLogger(__name__)

#: What is taken out of the text for each question.
_HIDDEN = {
    "key": ("key", "unit"),
    "mode": ("key", "unit"),
    "meter": ("meter", "bars", "unit"),
    "rhythm": ("unit",),
    "collection": ("unit",),
}


class LabelledTunes(Dataset):
    """Tunes of :class:`~scizoo_music.datasets.tunes.FolkTunes` with one of their properties as target.

    The groups are those of the whole corpus, so that a split by their hash is the same one whatever is asked,
    and the same as that of the checkpoint's pre-training.

    Parameters
    ----------
    target : str
        ``key`` (tonic and mode), ``mode``, ``meter``, ``rhythm`` (the dance) or ``collection``.
    hide : sequence of str, optional
        What is taken out of the text (see :func:`scizoo_music.abc.concealed.concealed`); by default
        what would give the answer away.
    collections : sequence of str
        As of FolkTunes.
    fewest : int
        Classes with fewer tunes are left out and counted.
    variants : float or None
        As of FolkTunes.
    limit : int, optional
        Read only so many tunes, evenly over the collections.
    max_rejected : float
    """

    def __init__(
        self,
        target: str,
        *,
        hide: Sequence[str] | None = None,
        collections: Sequence[str] = ("oneill", "aird", "ryan"),
        fewest: int = 40,
        variants: float | None = 0.3,
        limit: int | None = None,
        max_rejected: float = 0.01,
    ):
        super().__init__(max_rejected=max_rejected)
        if target not in _HIDDEN:
            raise ConfigError(f"data.target={target}: {did_you_mean(str(target), _HIDDEN)}")
        self.target, self.fewest = target, int(fewest)
        self.hide = list(_HIDDEN[target] if hide is None else hide)
        self.tunes = FolkTunes(collections, variants=variants, limit=limit, max_rejected=max_rejected)
        self.licence, self.citation = self.tunes.licence, self.tunes.citation

    @property
    def name(self) -> str:
        """What is read."""
        return self.tunes.name

    def fingerprint(self) -> str:
        """Digest of the tunes and of the reading options."""
        read = "LabelledTunes 2"  # which tunes are left out; 1 kept one melody of two answers in two keys
        return sha256_json([self.tunes.fingerprint(), self.target, self.hide, self.fewest, read])

    def records(self) -> Iterator[Record]:
        """Yield the tunes that state the answer, without it."""
        found = list(self.tunes)
        self.rejections.rejected.extend(self.tunes.rejections.rejected)
        stated = [record for record in found if record.meta.get(self.target)]
        counts = Counter(str(record.meta[self.target]) for record in stated)
        kept = [record for record in stated if counts[str(record.meta[self.target])] >= self.fewest]
        for _ in range(len(found) - len(kept)):
            self.rejections.accept()  # fine in themselves, and no part of this task
        made = []
        for record in kept:
            try:
                made.append((record, concealed(record.input, self.hide)))
            except DataError as error:
                self.rejections.reject(record.source, record.id, error.problem)
        # Of a melody in two keys only the key itself may differ.
        same = [text if self.target == "key" else melody_key(text) for _, text in made]
        answers: dict[Any, set[str]] = {}
        for (record, _), one in zip(made, same, strict=True):
            answers.setdefault(one, set()).add(str(record.meta[self.target]))
        torn = 0
        for (record, text), one in zip(made, same, strict=True):
            if len(answers[one]) > 1:  # two transcribers, or two editors, gave one tune two answers
                torn += 1
                self.rejections.accept()
                continue
            meta = {name: cell for name, cell in record.meta.items() if name in ("collection", "title")}
            meta.pop(self.target, None)
            yield replace(record, input=text, target=str(record.meta[self.target]), meta=meta)
        small = sum(count < self.fewest for count in counts.values())
        log.info(
            "%s: left out by design: %d that state no %s, %d of %d classes with fewer than %d tunes, "
            "%d equal tunes of two answers.",
            self.name,
            len(found) - len(stated),
            self.target,
            len(stated) - len(kept),
            small,
            self.fewest,
            torn,
        )
