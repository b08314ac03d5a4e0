from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory, monkeypatch):
    """Whatever is fetched or encoded goes to a folder of the test's own."""
    monkeypatch.setenv("SCIZOO_CACHE_DIR", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture
def wave():
    """A season and noise from a seed: wave(length, period, seed)."""

    def make(length: int, period: int = 24, seed: int = 0) -> np.ndarray:
        rng = np.random.default_rng(seed)
        return (
            10
            + 3 * np.sin(2 * np.pi * (np.arange(length) / period + rng.random()))
            + rng.normal(0, 0.3, length)
        )

    return make


@pytest.fixture
def write_long(tmp_path: Path):
    """Write series as a long table: write_long({name: (stamps, values)})."""

    def write(series: dict, name: str = "long.csv", **columns) -> Path:
        frames = []
        for unique_id, (stamps, values) in series.items():
            frame = pd.DataFrame({"unique_id": unique_id, "ds": [str(s) for s in stamps], "y": values})
            frames.append(frame.assign(**{key: make(frame) for key, make in columns.items()}))
        path = tmp_path / name
        pd.concat(frames).to_csv(path, index=False)
        return path

    return write
