"""One thread a process, and folders of the session's own for what runs cache and store."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

# Before torch is imported, here and in every process that a test starts.
for _name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(_name, "1")


@pytest.fixture(scope="session")
def shared_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that all processes of a session (``-n 2``) have in common; guard its files with a lock."""
    base = tmp_path_factory.getbasetemp()
    return base.parent if "PYTEST_XDIST_WORKER" in os.environ else base


@pytest.fixture(scope="session", autouse=True)
def own_folders(shared_folder: Path) -> Iterator[None]:
    """Keep the user's caches and checkpoints out of the tests, and build heavy caches once a session."""
    with pytest.MonkeyPatch.context() as patch:
        for variable in ("SCIZOO_CACHE_DIR", "SCIZOO_DATA_DIR"):
            folder = shared_folder / variable.lower()
            folder.mkdir(exist_ok=True)
            patch.setenv(variable, str(folder))
        yield


@pytest.fixture(autouse=True)
def one_thread() -> None:
    """Keep a test that has changed the number of threads from slowing the others down."""
    torch = sys.modules.get("torch")
    if torch is not None and torch.get_num_threads() != 1:
        torch.set_num_threads(1)
