"""Cloze by likelihood: which of two words stands in a function, by which makes the whole likelier."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scizoo.data.opening import lines, open_bytes, reading
from scizoo.data.records import Dataset, Licence, Record, RejectionLog
from scizoo.data.sources import fingerprint_files, resolve
from scizoo.errors import ConfigError, DataError
from scizoo.files import sha256_json

_MASK = "<mask>"
_LONGEST = 64  # tokens of a function on either side of the mask, by default


@dataclass(frozen=True, slots=True)
class Blank:
    """A function with one word left out.

    Parameters
    ----------
    before, after : str
        Its tokens on either side, a space between each.
    """

    before: str
    after: str

    def filled(self, word: str) -> str:
        """Put a word in."""
        return f"{self.before} {word} {self.after}".strip()


class ClozeMaxMin(Dataset):
    """ClozeTest-maxmin of CodeXGLUE: is ``max`` or ``min`` masked (Lu et al. 2021, arXiv 2102.04664).

    The published files hold no answers; those that come with the benchmark are five made-up lines for its
    evaluator. Without ``answers`` words are predicted and no accuracy is told.

    Parameters
    ----------
    path : str, optional
        One language's JSON file, as it is or gzipped.
    answers : str, optional
        A file of lines ``id<CODESPLIT>word``.
    window : int
        Tokens that are kept on either side of the mask.
    max_rejected : float
        The share of functions that may be unusable.
    """

    licence = Licence("C-UDA-1.0")
    citation = "Lu et al. 2021, CodeXGLUE, arXiv 2102.04664"

    def __init__(
        self,
        path: str | Path | None = None,
        answers: str | Path | None = None,
        window: int = _LONGEST,
        max_rejected: float = 0.01,
    ):
        super().__init__(max_rejected=max_rejected)
        if path is None:
            raise ConfigError(
                "data.path is not given.",
                expected="a file of ClozeTest-maxmin, such as python.json.gz",
                remedy="add data.path=FILE.",
            )
        if window < 1:
            raise ConfigError(f"data.window={window}", expected="a whole number from 1")
        self.path, self.answers, self.window = path, answers, window

    @property
    def name(self) -> str:
        """What is read."""
        return str(self.path)

    def _files(self) -> list[Path]:
        return [resolve(one, None) for one in (self.path, self.answers) if one is not None]

    def fingerprint(self) -> str:
        """Digest of the files' contents and of the reading options."""
        return sha256_json(
            {"class": "ClozeMaxMin 1", "files": fingerprint_files(self._files()), "n": self.window}
        )

    def records(self) -> Iterator[Record]:
        """Yield a record a function; the target is the word, where it is known."""
        path = self._files()[0]
        known = {} if self.answers is None else _answers(self._files()[1])
        with reading(path), open_bytes(path) as stream:
            content = stream.read()
        try:
            rows = json.loads(content)
        except ValueError as error:
            raise DataError(
                f"{path} is no JSON: {error}.",
                expected="a list of functions",
                remedy="download the file again.",
            ) from error
        if not isinstance(rows, list):
            raise DataError(f"{path} holds no list.", expected="a list of functions with idx and pl_tokens")
        for number, row in enumerate(rows, start=1):
            source = f"{path.name}, entry {number}"
            words = row.get("pl_tokens") if isinstance(row, dict) else None
            id = str(row.get("idx", number)) if isinstance(row, dict) else str(number)
            if not isinstance(words, list) or words.count(_MASK) != 1:
                self.rejections.reject(source, id, f"its pl_tokens do not hold {_MASK} once")
                continue
            place = words.index(_MASK)
            blank = Blank(
                " ".join(map(str, words[max(0, place - self.window) : place])),
                " ".join(map(str, words[place + 1 : place + 1 + self.window])),
            )
            yield Record(id, blank, known.get(id), None, {}, source)


def _answers(path: Path) -> dict[str, str]:
    """Read a file of answers.

    Raises
    ------
    DataError
        When a line is none.
    """
    found = {}
    for number, line in lines(path, "an answer a line"):
        id, mark, word = line.partition("<CODESPLIT>")
        if not mark or not word.strip():
            raise DataError(
                f"{path}, line {number}: '{line[:60]}' is no answer.", expected="id<CODESPLIT>word"
            )
        found[id.strip()] = word.strip()
    return found


class Cloze:
    """The predictor of the task cloze: of some words the one that makes the function likeliest.

    Parameters
    ----------
    blanks : ClozeMaxMin
        The data.
    words : sequence of str
        What may stand there.
    batch : int
        Functions scored at once.
    """

    def __init__(
        self, blanks: ClozeMaxMin, words: tuple[str, ...] | list[str] = ("max", "min"), batch: int = 32
    ):
        if len(set(words)) < 2:
            raise ConfigError(f"predictor.words={list(words)}", expected="two different words or more")
        self.blanks, self.words, self.batch = blanks, list(words), batch

    @property
    def rejections(self) -> RejectionLog:
        """The functions that could not be read, and why."""
        return self.blanks.rejections

    def predict(self, model: Any) -> Any:
        """Choose a word for each function.

        Parameters
        ----------
        model : scizoo.api.Model
            A causal or masked language model; anything with ``score(texts)``.

        Returns
        -------
        pandas.DataFrame
            ``id``, ``prediction``, ``margin`` (nats by which it is likelier than the next) and, where answers
            are known, ``answer`` and ``correct``.
        """
        import logging

        import numpy as np
        import pandas as pd

        records = list(self.blanks)
        texts = [record.input.filled(word) for record in records for word in self.words]
        size = self.batch * len(self.words)
        scores = np.concatenate(
            [model.score(texts[start : start + size]) for start in range(0, len(texts), size)]
        )
        table = scores.reshape(len(records), len(self.words))
        ordered = np.sort(table, axis=1)
        columns: dict[str, Any] = {
            "id": [record.id for record in records],
            "prediction": [self.words[place] for place in table.argmax(axis=1)],
            "margin": ordered[:, -1] - ordered[:, -2],
        }
        found = pd.DataFrame(columns)
        if any(record.target is not None for record in records):
            found["answer"] = [record.target for record in records]
            known = found["answer"].notna()
            found["correct"] = (found["answer"] == found["prediction"]).where(known)
            share = float(found.loc[known, "correct"].astype(float).mean())
            logging.getLogger(__name__).info("accuracy: %.4f of %d answers", share, int(known.sum()))
        return found
