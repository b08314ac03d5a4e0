"""Variable misuse: functions of which some use one variable in the place of another."""

from __future__ import annotations

import ast
import hashlib
import warnings
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from typing import Any

import numpy as np

from scizoo.data.records import Record
from scizoo_code.datasets.functions import SourceFunctions
from scizoo_code.datasets.stdlib import StandardLibraryFiles

INTACT, BUGGY = "intact", "misuse"


def uses(code: str) -> list[tuple[int, int, str]]:
    """Give where a Python function reads its own variables (first byte, end, name); nothing of others."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # remarks on invalid escapes in old code
            tree = ast.parse(code)
    except (SyntaxError, ValueError, RecursionError):
        return []
    own = {node.arg for node in ast.walk(tree) if isinstance(node, ast.arg)}
    own |= {
        node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    }
    own -= {"self", "cls"}
    starts = np.cumsum([0, *(len(line) for line in code.encode().splitlines(keepends=True))])
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and node.id in own:
            begin = int(starts[node.lineno - 1]) + node.col_offset
            found.append((begin, begin + len(node.id.encode()), node.id))
    return sorted(found)


def misuse(code: str, rng: np.random.Generator) -> str | None:
    """Put another variable of the function in the place of one that is read; None where there are no two."""
    found = uses(code)
    names = sorted({name for _, _, name in found})
    if len(names) < 2 or len(found) < 3:
        return None
    begin, end, name = found[int(rng.integers(len(found)))]
    others = [other for other in names if other != name]
    other = others[int(rng.integers(len(others)))]
    data = code.encode()
    return (data[:begin] + other.encode() + data[end:]).decode()


class SourceMisuses(SourceFunctions):
    """Functions of which every second one, by a hash, uses a wrong variable once; the target says which.

    The variable-misuse task (Allamanis et al. 2018, arXiv 1711.00740) in the form of Kanade et al. 2020
    (CuBERT, arXiv 2001.00059): tell from the function alone whether it holds such a bug. Each function occurs
    once, intact or not.

    Parameters
    ----------
    path : str, optional
        As of :class:`~scizoo_code.datasets.files.SourceFiles`; Python alone is read.
    seed : int
        Of which functions and which variables.
    **options
        Further options of :class:`~scizoo_code.datasets.functions.SourceFunctions`.
    """

    def __init__(self, path: Any = None, *, seed: int = 0, **options: Any):
        super().__init__(path, **{"give": "bare", "max_lines": 40, "languages": ["python"], **options})
        self.seed = seed

    def settings(self) -> dict[str, Any]:
        """Return the options that change the records."""
        return super().settings() | {"seed": self.seed}

    def records(self) -> Iterator[Record]:
        """Yield a record a function with at least two variables of its own."""
        yield from islice(self._misuses(), self.limit)

    def _misuses(self) -> Iterator[Record]:
        for record in self._function_records():
            digest = hashlib.blake2b(f"{self.seed}:{record.id}".encode(), digest_size=8).digest()
            rng = np.random.default_rng(int.from_bytes(digest, "big"))
            try:
                changed = misuse(record.input, rng)
            except UnicodeEncodeError:  # bytes that are no text: positions cannot be told
                changed = None
            if changed is None:
                self.left_out["functions without two variables of their own"] += 1
                continue
            buggy = bool(rng.integers(2))
            yield replace(record, input=changed if buggy else record.input, target=BUGGY if buggy else INTACT)


class StandardLibraryMisuses(StandardLibraryFiles, SourceMisuses):
    """Functions of the standard library with and without a misused variable, grouped by package.

    Parameters
    ----------
    path : str, optional
        Other source code; by default the standard library of the running interpreter.
    **options
        Further options of :class:`SourceMisuses`.
    """
