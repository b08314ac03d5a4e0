"""What the contract suite (``python -m scizoo.testing code``) needs to know of this domain."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

from scizoo.testing import BadFile, Examples
from scizoo_code.problems.examples import easy_problems

_NOUNS = ("colour", "weight", "owner", "price", "label", "shape", "offset", "parent", "market", "window")
#: Bodies by the verb that a function's name begins with.
_VERBS = {
    "get": "    {a} = {b}.{noun}\n    {c} = {a}[{number}]\n    return {c} or {b}.{other}\n",
    "set": "    {c} = {b}.{other} + {number}\n    {b}.{noun} = {a}\n    {b}.touched({c}, {a})\n",
    "is": "    {c} = {a} > {number}\n    if {b}.{noun} == {a}:\n        return {c}\n    return {b} or {c}\n",
    "add": "    {c} = {a} + {b}.{noun}\n    for {a} in range({number}):\n        {c} += {a}\n    return 0\n",
}


def _function(verb: str, number: int) -> str:
    """Write a function whose names no other one has."""
    noun, other = _NOUNS[number % 10], _NOUNS[(number * 7 + 3) % 10]
    names = {short: f"{word}{number}" for short, word in (("a", "item"), ("b", "thing"), ("c", "found"))}
    body = _VERBS[verb].format(noun=noun, other=other, number=number, **names)
    head = f"def {verb}_{noun}_{number}({names['a']}, {names['b']}):\n"
    return f'{head}    """{verb.capitalize()} the {noun} number {number} of {other}s."""\n{body}'


def _packages(count: int) -> dict[str, str]:
    """Small packages of four functions each: path to text."""
    found = {}
    for place in range(count):
        functions = [_function(verb, place * 4 + step) for step, verb in enumerate(_VERBS)]
        found[f"pack{place}/module.py"] = "\n\n".join(functions)
    return found


def _tree(*settings: str) -> Callable[[Path], Sequence[str]]:
    def write(folder: Path) -> Sequence[str]:
        for name, text in _packages(40).items():
            path = folder / "tree" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        return [f"data.path={folder / 'tree'}", *settings]

    return write


def _rows() -> str:
    """Forty functions with a label, in JSON lines."""
    rows = [
        {"content": _function(verb, number), "label": verb, "repository": f"r{number}"}
        for number in range(20)
        for verb in ("get", "set")
    ]
    return "".join(json.dumps(row) + "\n" for row in rows)


def _labelled(folder: Path) -> Sequence[str]:
    (folder / "tiny.jsonl").write_text(_rows(), encoding="utf-8")
    return [f"data.path={folder / 'tiny.jsonl'}"]


def _problems(folder: Path) -> Sequence[str]:
    """Our easy problems in the form of MBPP, with numbers in each of its parts."""
    numbers = [*range(601, 607), *range(511, 514), *range(11, 14)]
    rows = [
        {
            "task_id": f"MBPP/{number}",
            "prompt": problem.prompt,
            "canonical_solution": problem.solution,
            "test": problem.test,
            "entry_point": problem.entry_point,
        }
        for number, problem in zip(numbers, easy_problems(), strict=True)
    ]
    (folder / "tiny.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return [f"data.path={folder / 'tiny.jsonl'}"]


def _aligned(given: str, written: str, parts: Sequence[str]) -> Callable[[Path], Sequence[str]]:
    """Pairs of lines in two files a part: a sentence, and a line that follows from it."""

    def write(folder: Path) -> Sequence[str]:
        numbers = range(40 // len(parts))
        for place, part in enumerate(parts):
            nouns = [(_NOUNS[n % 10], _NOUNS[(n * 3 + place) % 10], n + 100 * place) for n in numbers]
            first = [f"show the {noun} of file {number} by {other}" for noun, other, number in nouns]
            second = [
                f"sort --key={other} {noun}{number} | head -n {number}" for noun, other, number in nouns
            ]
            for ending, lines in ((given, first), (written, second)):
                (folder / f"{part}{ending}").write_text("\n".join(lines) + "\n", encoding="utf-8")
        return [f"data.path={folder}"]

    return write


def _blanks(folder: Path) -> Sequence[str]:
    """Functions in the form of CodeXGLUE's cloze test, in each of which one word is masked."""
    rows = [{"idx": f"f{n}", "pl_tokens": ["def", f"f{n}", "=", "<mask>", "(", "a", ")"]} for n in range(6)]
    (folder / "python.json").write_text(json.dumps(rows), encoding="utf-8")
    return [f"data.path={folder / 'python.json'}"]


_CLASSES = "code/classification"
_GOOD = _rows().encode()

EXAMPLES = Examples(
    inputs=(
        "def add(a, b):\n    return a + b\n",
        "x = 'caf\u00e9'  # \u2603\n\tif x:\n\t\tpass\r\n",
        "        deep = {\n            1: 2,\n        }\n",
    ),
    own_data={
        _CLASSES: _labelled,
        "code/cloze": _blanks,
        "code/completion": _tree(),
        "code/infill": _tree(),
        "code/misuse": _tree(),
        "code/name": _tree(),
        "code/mbpp": _problems,
        "code/nl2bash": _aligned(".nl", ".cm", ["all"]),
        "code/problems": _problems,
        "code/search": _tree(),
        "code/translate": _aligned(".java", ".cs", ["train", "valid", "test"]),
        "code/python-tiny": _tree("data.prepare=null"),
        "code/python-tiny-causal": _tree("data.prepare=null"),
    },
    bad_files=(
        BadFile(_CLASSES, "empty.jsonl", b"", ("is empty",)),
        BadFile(_CLASSES, "binary.jsonl", bytes(range(256)) * 8, ("binary",)),
        BadFile(_CLASSES, "half.jsonl.gz", b"\x1f\x8b\x08\0\0\0\0\0\0\3abc", ("damaged", "copy or download")),
        BadFile(_CLASSES, "keys.jsonl", b'{"body": "x = 1", "label": "a"}\n', ("'content'", "data.input")),
        BadFile(_CLASSES, "label.jsonl", b'{"content": "x = 1", "class": "a"}\n', ("'label'", "data.target")),
        BadFile(_CLASSES, "broken.jsonl", _GOOD + b"{no json\n", ("line 41", "no JSON", "rejected.csv")),
        BadFile(
            _CLASSES,
            "twice.jsonl",
            b'{"content": "x = 1", "label": "a"}\n{"content": "x = 1", "label": "b"}\n',
            ("different labels",),
        ),
        BadFile(_CLASSES, "alone.py", b"x = 1\n", ("'label'",)),
        BadFile("code/infill", "picture.py", b"\x89PNG\r\n\x1a\n\0\0\0\0", ("binary",)),
        BadFile("code/infill", "latin.py", b"# coding: ascii\nx = '\xe9'\n", ("declares ascii", "byte 21")),
        BadFile("code/infill", "line.py", b"x = '" + b"y" * 2_000_000 + b"'\n", ("holds no record",)),
        BadFile("code/problems", "tests.jsonl", b'{"prompt": "def f():\\n"}\n', ("'test'", "data.test")),
        BadFile(
            "code/mbpp",
            "number.jsonl",
            b'{"task_id": "x", "prompt": "def f():\\n", "test": "assert f()", "entry_point": "f"}\n',
            ("no number",),
        ),
    ),
    model=("tokenizer=code/bpe", "backbone=llama-tiny", "tokenizer.vocab_size=400"),
    settings={"code/name": ("data.words=4",), "code/human-eval": ("data.limit=20",)},
)
