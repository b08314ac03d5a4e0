from __future__ import annotations

import gzip
from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory, monkeypatch):
    """What is fetched or computed once goes to a folder of the test's own."""
    monkeypatch.setenv("SCIZOO_CACHE_DIR", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture
def put(tmp_path):
    """Write a file, gzipped where the content says so: put(name, text or bytes, packed=False)."""

    def write(name: str, content: str | bytes, packed: bool = False) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        data = content.encode() if isinstance(content, str) else content
        path.write_bytes(gzip.compress(data) if packed else data)
        return path

    return write
