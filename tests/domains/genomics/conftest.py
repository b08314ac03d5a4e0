from __future__ import annotations

import gzip
import random
from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory, monkeypatch):
    """Indexes and unpacked references go to a folder of the test's own."""
    monkeypatch.setenv("SCIZOO_CACHE_DIR", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture
def dna():
    """Random sequences from a seed: dna(length, seed)."""

    def make(length: int, seed: int = 0, letters: str = "ACGT") -> str:
        return "".join(random.Random(f"{seed}/{length}").choices(letters, k=length))

    return make


@pytest.fixture
def mutate():
    """A copy with a share of its bases redrawn."""

    def make(sequence: str, share: float, seed: int = 0) -> str:
        rng = random.Random(seed)
        return "".join(rng.choice("ACGT") if rng.random() < share else base for base in sequence)

    return make


@pytest.fixture
def pack():
    """Write bytes plain, gzipped or bgzipped under a name that says nothing of it."""

    def write(path: Path, content: bytes, how: str) -> Path:
        if how == "plain":
            path.write_bytes(content)
        elif how == "gzip":
            path.write_bytes(gzip.compress(content))
        else:
            from Bio import bgzf

            with bgzf.BgzfWriter(str(path), "wb") as out:
                out.write(content)
        return path

    return write
