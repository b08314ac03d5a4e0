"""Licences, redaction, duplicates, decontamination, and the card that counts them."""

from __future__ import annotations

import gzip
import json
import random
from pathlib import Path

import numpy as np
import pytest

from scizoo.errors import ConfigError, DataError
from scizoo_code.datasets.files import SourceFiles
from scizoo_code.doctor import inspect
from scizoo_code.preparation.decontamination import Benchmarks
from scizoo_code.preparation.duplicates import near_clusters
from scizoo_code.preparation.licence_texts import identify
from scizoo_code.preparation.licences import PERMISSIVE, LicenceFinder, header, is_allowed, spdx
from scizoo_code.preparation.pipeline import Preparation, is_unwritten
from scizoo_code.preparation.redaction import redact
from scizoo_code.prepare import main
from scizoo_code.similarity import CodeSimilarity, shingles, tokens_of

MIT = """MIT License

Copyright (c) 2020 Somebody

Permission is hereby granted, free of charge, to any person obtaining a copy
of this software and associated documentation files (the "Software"), to deal
in the Software without restriction, including without limitation the rights
to use, copy, modify, merge, publish, distribute, sublicense, and/or sell
copies. The above copyright notice and this permission notice shall be included in all
copies or substantial portions of the Software.
"""
BSD = """Redistribution and use in source and binary forms, with or without
modification, are permitted provided that the following conditions are met:
1. Redistributions of source code must retain the above copyright notice.
2. Redistributions in binary form must reproduce the above copyright notice.
"""
THIRD = "3. Neither the name of X nor its contributors may be used to endorse or promote products.\n"


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCIZOO_CACHE_DIR", str(tmp_path / "cache"))


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (MIT, "MIT"),
        (MIT.replace("shall be included in all", "is nice"), "MIT-0"),
        (BSD, "BSD-2-Clause"),
        (BSD + THIRD, "BSD-3-Clause"),
        (BSD + THIRD + "All advertising materials mentioning features of this", "BSD-4-Clause"),
        ("GNU GENERAL PUBLIC LICENSE\n   Version 3, 29 June 2007", "GPL-3.0-only"),
        (
            (
                "either version 3 of the License, or (at your option) any later version.\n"
                "GNU General Public License version 3"
            ),
            "GPL-3.0-or-later",
        ),
        ("GNU LESSER GENERAL PUBLIC LICENSE\nVersion 2.1, February 1999", "LGPL-2.1-only"),
        ("Apache License\nVersion 2.0, January 2004\nTERMS AND CONDITIONS FOR USE", "Apache-2.0"),
        ("This is free and unencumbered software released into the public domain.", "Unlicense"),
        ("Mozilla Public License Version 2.0\n==========", "MPL-2.0"),
        ('"Commons Clause" License Condition v1.0\n' + MIT, "LicenseRef-restricted"),
        ("All rights reserved. Ask my lawyer.", None),
    ],
)
def test_licence_texts_are_recognised(text, name):
    assert identify(text) == name


def test_headers_and_names_become_spdx():
    assert header("# SPDX-License-Identifier: MIT OR Apache-2.0\n") == "MIT OR Apache-2.0"
    assert header("/* SPDX-License-Identifier: GPL-2.0-only WITH Linux-syscall-note */\n") is not None
    assert header("<!-- SPDX-License-Identifier: mit -->") == "MIT"
    assert header("x = 1\n") is None
    assert spdx("Apache 2.0") == "Apache-2.0" and spdx("MIT/Apache-2.0") == "MIT OR Apache-2.0"
    assert spdx("do as you please") is None


@pytest.mark.parametrize(
    ("licence", "allowed"),
    [
        ("MIT", True),
        ("GPL-3.0-only", False),
        ("GPL-3.0-only OR MIT", True),
        ("GPL-3.0-only AND MIT", False),
        ("(GPL-3.0-only OR MIT) AND Apache-2.0", True),
        ("Apache-2.0 WITH LLVM-exception", True),
        ("(MIT", False),
        ("", False),
        (None, False),
    ],
)
def test_expressions_are_weighed(licence, allowed):
    assert is_allowed(licence, PERMISSIVE) is allowed


def test_the_nearest_statement_about_a_file_counts(tmp_path):
    (tmp_path / "LICENSE").write_text(MIT)
    inner = tmp_path / "src" / "vendored"
    inner.mkdir(parents=True)
    (inner / "COPYING").write_text("GNU GENERAL PUBLIC LICENSE Version 2, June 1991")
    rust = tmp_path / "rust"
    rust.mkdir()
    (rust / "Cargo.toml").write_text('[package]\nname = "x"\nlicense = "MIT/Apache-2.0"\n')
    node = tmp_path / "node"
    node.mkdir()
    (node / "package.json").write_text('{"license": "ISC"}')
    project = tmp_path / "project"
    project.mkdir()
    classifier = "License :: OSI Approved :: Mozilla Public License 2.0 (MPL 2.0)"
    (project / "pyproject.toml").write_text(f"[project]\nname='x'\nclassifiers = ['{classifier}']\n")
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "package.json").write_text("{no json")
    finder = LicenceFinder(tmp_path)
    assert finder.of(tmp_path / "src" / "a.py") == "MIT"
    assert finder.of(inner / "a.c") == "GPL-2.0-only"
    assert finder.of(inner / "a.c", "// SPDX-License-Identifier: 0BSD\n") == "0BSD"
    assert finder.of(rust / "a.rs") == "MIT OR Apache-2.0"
    assert finder.of(node / "a.js") == "ISC"
    assert finder.of(project / "a.py") == "MPL-2.0"
    assert finder.of(broken / "a.js") == "MIT"


def test_persons_and_keys_are_redacted_and_nothing_else():
    key = "AKIA" + "IOSFODNN7EXAMPLE"
    token = "ghp_" + "a1B2c3D4e5" * 4
    text = (
        "# Mail jane.doe@uni-x.org or Bob <bob@corp.co.uk>; not user@example.com, git@github.com:a/b.git\n"
        f"aws = '{key}'\ntoken = '{token}'\n"
        "password = 'Zx9fK2mQ8vL4tR7wB1nC'\npassword = 'correct-horse-battery'\n"
        "host = '52.94.236.248'  # was 10.0.0.1, 127.0.0.1, 8.8.8.8, version 52.94.236.248\n"
        "v6 = '2a00:1450:4001:82a::200e'  # and ::1, 12:30:45\n"
        "matrix = a@b\nname = '1.2.3.4'\n"
        "-----BEGIN RSA PRIVATE KEY-----\nMIIEpAIBAAKCAQEA0123456789abcdef\n-----END RSA PRIVATE KEY-----\n"
    )
    found, counts = redact(text)
    assert counts == {"email": 2, "key": 4, "ip": 2}
    for gone in ("jane", "bob@", key, token, "Zx9f", "2a00", "MIIE"):
        assert gone not in found
    for kept in (
        "user@example.com",
        "git@github.com",
        "correct-horse",
        "10.0.0.1",
        "8.8.8.8",
        "version 52.94",
        "a@b",
    ):
        assert kept in found
    assert "12:30:45" in found and "'1.2.3.4'" in found and "password = '<KEY>'" in found
    assert redact(found) == (found, {})


def test_code_without_secrets_is_left_as_it_is():
    text = Path(json.__file__).read_text(encoding="utf-8")
    assert redact(text)[1].get("key", 0) == 0
    assert redact("secret = os.environ['TOKEN_OF_THE_THING']\n")[1] == {}


def _program(seed: int, lines: int = 60) -> str:
    rng = random.Random(seed)
    words = [f"name{seed}_{number}" for number in range(20)]
    return "".join(
        f"{rng.choice(words)} = {rng.choice(words)} + {rng.randint(0, 99)}\n" for _ in range(lines)
    )


def test_near_duplicates_are_found_and_only_these():
    texts = [_program(seed) for seed in range(40)]
    texts.append(texts[3].replace("name3_1 ", "renamed "))  # a few tokens changed
    texts.append(texts[7].replace("\n", "\n\n"))  # layout alone
    similarity = CodeSimilarity(threshold=0.7)
    clusters = near_clusters(similarity.signatures(texts), similarity)
    assert clusters[40] == 3 and clusters[41] == 7
    assert clusters[:40].tolist() == list(range(40))


def test_the_estimate_is_near_the_true_similarity():
    similarity = CodeSimilarity()
    one = _program(1, 200)
    lines = one.splitlines(keepends=True)
    other = "".join(lines[:150]) + _program(2, 50)
    a, b = (set(shingles(tokens_of(text), 5).tolist()) for text in (one, other))
    signatures = similarity.signatures([one, other])
    assert np.mean(signatures[0] == signatures[1]) == pytest.approx(len(a & b) / len(a | b), abs=0.1)


def test_benchmarks_are_recognised_in_other_code(tmp_path):
    body = "return any(abs(a - b) < threshold for a in numbers for b in numbers)"
    problem = f"def has_close(numbers, threshold):\n    {body}"
    path = tmp_path / "bench.jsonl.gz"
    path.write_bytes(gzip.compress(json.dumps({"task_id": "x", "prompt": problem, "n": 3}).encode()))
    known = Benchmarks([path])
    assert known.texts == 2 and known.holds(f"import os\n\n\n# copied\n{problem.upper()}\n")
    assert not known.holds(_program(1, 300))
    with pytest.raises(ConfigError, match="ngram"):
        Benchmarks([path], ngram=3)


def test_output_and_data_are_no_written_code():
    assert is_unwritten("x = [" + "1," * 1000 + "]\n")
    assert is_unwritten("{}[]();:\n" * 20)
    assert not is_unwritten(_program(0))


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    root = tmp_path / "corpus"
    texts = {
        "alice/good.py": _program(1),
        "alice/copy.py": _program(1),
        "alice/near.py": _program(1).replace("name1_1 ", "renamed "),
        "alice/mail.py": _program(2) + "# jane@uni-x.org\n",
        "alice/long.py": _program(3) + "x = '" + "y" * 2000 + "'\n",
        "alice/bench.py": _program(4)
        + "def f():\n    return 'one two three four five six seven eight nine ten'\n",
        "bob/gone.py": _program(5),
        "carol/gpl.py": "# SPDX-License-Identifier: GPL-3.0-only\n" + _program(6),
        "dave/unknown.py": _program(7),
        "alice/broken.py": "x = '\0'\n",
    }
    for name, text in texts.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    for owner in ("alice", "bob"):
        (root / owner / "LICENSE").write_text(MIT)
    (tmp_path / "out.txt").write_text("# asked to be left out\nbo*\n")
    (tmp_path / "bench.jsonl").write_text(
        json.dumps({"prompt": "def f():\n    return 'one two three four five six seven eight nine ten'"})
        + "\n"
    )
    return root


def _prepared(corpus: Path, **more: object) -> SourceFiles:
    folder = corpus.parent
    prepare = Preparation(
        opt_out=folder / "out.txt", benchmarks=[str(folder / "bench.jsonl")], card=folder / "card"
    )
    return SourceFiles(corpus, prepare=prepare, max_rejected=0.5, **more)


def test_every_step_is_counted_on_the_card(corpus, tmp_path):
    data = _prepared(corpus)
    records = list(data)
    assert [record.id for record in records] == ["alice/copy.py", "alice/mail.py"]
    assert "<EMAIL>" in records[1].input and "jane" not in records[1].input
    assert records[0].meta["licence"] == "MIT" and records[0].group == "alice"
    card = json.loads((tmp_path / "card" / "data_card.json").read_text())
    counts = {stage["name"]: stage["records"] for stage in card["stages"]}
    assert counts == {"licence": 2, "opt_out": 1, "long_lines": 1, "exact": 1, "near": 1, "benchmark": 1}
    assert card["read"] == 9 and card["left"] == 2 and card["redacted"] == {"email": 1}
    assert card["before"] == {"in no known language": 2, "unreadable": 1}
    assert sum(counts.values()) + card["left"] == card["read"]
    assert card["licences_read"] == {"MIT": 7, "GPL-3.0-only": 1, "unknown": 1}
    text = (tmp_path / "card" / "data_card.md").read_text()
    assert "| removed: opted out | 1 |" in text and "`bob/gone.py`" in text
    assert [one.id for one in data.rejections.rejected] == ["alice/broken.py"]


def test_a_corpus_is_gone_through_once_and_again_when_it_changes(corpus, monkeypatch):
    first = [record.id for record in _prepared(corpus)]
    monkeypatch.setattr(Preparation, "_plan", lambda *_, **__: pytest.fail("it was gone through again"))
    assert [record.id for record in _prepared(corpus)] == first
    (corpus / "alice" / "new.py").write_text(_program(9))
    with pytest.raises(pytest.fail.Exception):
        list(_prepared(corpus))


def test_a_corpus_of_which_nothing_is_left_says_why(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps({"content": _program(n)}) + "\n" for n in range(3)))
    with pytest.raises(DataError, match=r"none of 3 files: 3 licence not on the allow-list[\s\S]*null"):
        list(SourceFiles(path, prepare=Preparation()))
    assert len(list(SourceFiles(path, prepare=Preparation(licences=None)))) == 3


def test_settings_that_mean_nothing_are_refused():
    with pytest.raises(ConfigError, match="no SPDX identifier"):
        Preparation(licences=["My Own"])
    with pytest.raises(ConfigError, match="threshold"):
        Preparation(near=1.5)
    assert Preparation(licences=None).allowed is None


def test_the_command_writes_a_corpus_that_can_be_read_again(corpus, tmp_path, capsys):
    words = [
        str(corpus),
        "--out",
        str(tmp_path / "made"),
        "--opt-out",
        str(tmp_path / "out.txt"),
        "--max-rejected",
        "1",
    ]
    assert main(words) == 0
    assert "files in" in capsys.readouterr().out
    again = {record.meta["path"]: record for record in SourceFiles(tmp_path / "made" / "corpus.jsonl.gz")}
    assert set(again) == {"copy.py", "mail.py", "bench.py"} and again["copy.py"].group == "alice"
    assert "<EMAIL>" in again["mail.py"].input
    assert "broken.py" in (tmp_path / "made" / "rejected.csv").read_text()
    assert (tmp_path / "made" / "data_card.md").is_file()
    assert main([str(tmp_path / "nowhere"), "--out", str(tmp_path / "x")]) == 2
    assert "does not exist" in capsys.readouterr().err


def test_the_doctor_says_what_is_in_a_corpus(corpus):
    found = "\n".join(inspect({"path": str(corpus), "max_rejected": "1.0", "languages": "[python]"}))
    assert "9 source files (9 python)" in found and "7 MIT" in found and "1 GPL-3.0-only" in found
    assert "2 files under no permissive licence" in found and "equal to an earlier file" in found
    assert "1 e-mail addresses" in found
