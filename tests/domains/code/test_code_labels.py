"""Functions to be named and variables misused, the linear baseline, pictures, and the decoder itself."""

from __future__ import annotations

import ast
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch

from scizoo.config import compose, to_plain
from scizoo.data.records import Record
from scizoo.models.backbones import build_backbone
from scizoo.models.generation import generate
from scizoo.models.objectives import CausalLM
from scizoo_code.baselines import TfidfSVM, query_words, words_of
from scizoo_code.fim import Arranged
from scizoo_code.misuse import BUGGY, SourceMisuses, misuse, uses
from scizoo_code.naming import SourceNames, first_word, mask_name
from scizoo_code.picture import draw, tokens
from scizoo_code.sources import Gap
from scizoo_code.tokenizers.bytes import SourceBytesTokenizer

FUNCTION = '''def copy_all(source, target):
    """Copy."""
    total = 0
    for name in source:
        target[name] = source[name]
        total += len(name)
    return total
'''


def tree(folder: Path) -> Path:
    for number in range(6):
        package = folder / f"repository{number}"
        package.mkdir(parents=True)
        body = FUNCTION.replace("name", f"name{number}")
        (package / "a.py").write_text(body + body.replace("copy_all", "get_all").replace("len", f"f{number}"))
    return folder


def test_words_of_names():
    assert words_of("getHTTPLine_2(x)") == ["get", "http", "line", "_", "2", "(", "x", ")"]
    assert query_words("getLine(x)") == "get line x"
    assert [first_word(name) for name in ("_get_line", "getLine", "__init__", "_", "x2")] == [
        "get",
        "get",
        None,
        None,
        "x",
    ]


def test_the_name_is_masked_wherever_it_stands():
    masked = mask_name("def walk(n):\n    return [walk(c) for c in n.walked] + n.walk()\n", "walk")
    assert masked == "def NAME(n):\n    return [NAME(c) for c in n.walked] + n.NAME()\n"


def test_functions_to_be_named(tmp_path):
    data = SourceNames(tree(tmp_path), words=2, min_groups=3, min_lines=1)
    records = list(data)
    assert {record.target for record in records} == {"copy", "get"} and len(records) == 12
    for record in records:
        assert "def NAME(" in record.input and "_all" not in record.input
        assert "name" not in record.meta and '"""' not in record.input
    assert list(SourceNames(tmp_path, words=2, min_groups=7, min_lines=1).records()) == []


def test_a_misused_variable_is_one_read_of_another_variable():
    rng = np.random.default_rng(0)
    names = {name for _, _, name in uses(FUNCTION)}
    assert names == {"source", "target", "total", "name"}
    seen = set()
    for _ in range(50):
        changed = misuse(FUNCTION, rng)
        ast.parse(changed)
        before, after = ast.dump(ast.parse(FUNCTION)), ast.dump(ast.parse(changed))
        assert before != after and before.count("Load()") == after.count("Load()")
        seen.add(changed)
    assert len(seen) > 5
    assert misuse("def f(x):\n    return x\n", rng) is None and uses("def f(:\n") == []
    kept = "def f(\u00e9, b):\n    c = '\u6f22'; return \u00e9 + b + c\n"  # positions count bytes
    assert [name for _, _, name in uses(kept)] == ["\u00e9", "b", "c"]
    assert ast.parse(misuse(kept, rng))


def test_every_second_function_is_changed_once(tmp_path):
    records = list(SourceMisuses(tree(tmp_path), min_lines=1, unique=False))
    assert {record.target for record in records} == {"intact", "misuse"} and len(records) == 12
    for record in records:
        number = record.group.removeprefix("repository")
        body = "".join(FUNCTION.replace("name", f"name{number}").splitlines(keepends=True)[2:])
        own = body if "copy_all" in record.input else body.replace("len", f"f{number}")
        assert (own not in record.input) == (record.target == BUGGY)
    assert [one.input for one in SourceMisuses(tmp_path, min_lines=1, unique=False)] == [
        one.input for one in records
    ]


def test_the_linear_baseline_learns_and_stands_few_labels():
    texts = [f"def f{n}(path):\n    return open(path).read{'lines' * (n % 2)}()\n" for n in range(40)]
    records = [Record(str(n), text) for n, text in enumerate(texts)]
    targets = np.arange(40) % 2
    fitted = TfidfSVM().fit(records[:30], targets[:30])
    found = fitted.predict_proba(records[30:])
    assert found.shape == (10, 2) and np.allclose(found.sum(axis=1), 1)
    assert (found.argmax(axis=1) == targets[30:]).all()
    few = TfidfSVM().fit(records[:3], np.array([0, 1, 2]))
    assert few.predict_proba(records[:4]).shape == (4, 3) and few.classes_.tolist() == [0, 1, 2]
    alone = TfidfSVM().fit(records[:3], np.array([1, 1, 1]))
    assert alone.predict_proba(records[:2]).tolist() == [[1.0], [1.0]]
    several = np.stack([targets.astype(float), np.full(40, np.nan)], axis=1)
    assert TfidfSVM().fit(records, several).predict_proba(records[:5]).shape == (5, 2)


@pytest.mark.parametrize("text", [FUNCTION, "x = '\u6f22' # caf\udce9\n\ty = 1.5\n", "", "def (((:\n"])
def test_tokens_of_a_picture_are_the_text(text):
    found = list(tokens(text, "python"))
    assert "".join(piece for piece, _, _ in found) == text
    place = 0
    for piece, _, start in found:
        assert start == place
        place += len(piece)


def test_a_picture_has_coloured_tokens_and_marks_the_gap():
    kinds = {piece: kind for piece, kind, _ in tokens(FUNCTION, "python")}
    assert (
        kinds["def"] == kinds["for"] == "keyword" and kinds["0"] == "number" and kinds["copy_all"] == "name"
    )
    figure, axes = plt.subplots()
    draw(axes, Record("a.py#1", Arranged(Gap("x = 1\n" * 60 + "y = ", "\n# end\n", "$x + 2"))), "z")
    shown = [one.get_text() for one in axes.texts]
    assert any("lines are not shown" in one for one in shown)
    marked = [one.get_text().strip() for one in axes.texts if one.get_bbox_patch() is not None]
    assert "".join(marked).replace("\\", "").replace(" ", "") == "$x+2"
    assert "predicted: z" in axes.get_title()
    figure.canvas.draw()
    plt.close(figure)


def test_the_decoder_keeps_one_key_and_value_for_all_heads_and_writes_the_same_without_a_cache():
    tokenizer = SourceBytesTokenizer()
    settings = to_plain(compose("finetune", None, ["backbone=code/mqa-tiny"])["backbone"])
    torch.manual_seed(0)
    backbone = build_backbone(settings, tokenizer, 128).eval()
    head = CausalLM(backbone.hidden_size, tokenizer.vocab_size).bind(backbone).eval()
    ids = torch.from_numpy(tokenizer.encode(["def f(x):\n    return x"])["input_ids"][0]).long()[None]
    batch = {
        "input_ids": ids,
        "attention_mask": torch.ones_like(ids),
        "position_ids": torch.arange(ids.shape[1])[None],
    }
    with torch.inference_mode():
        _, cache = backbone.step(batch)
    heads = settings["config"]["num_attention_heads"]
    keys = cache.layers[0].keys
    assert heads == 6 and keys.shape == (1, 1, ids.shape[1], backbone.hidden_size // heads)
    with_cache = generate(backbone, head, ids, max_new_tokens=24, temperature=0.0)
    assert torch.equal(
        with_cache, generate(backbone, head, ids, max_new_tokens=24, temperature=0.0, use_cache=False)
    )
