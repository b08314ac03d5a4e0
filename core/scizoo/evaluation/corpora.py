"""Sketches of the corpora that checkpoints were pre-trained on, so that overlap with test records is seen."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from scizoo.checkpoints.manifest import Manifest, read_manifest
from scizoo.checkpoints.store import resolve_ref
from scizoo.config import instantiate
from scizoo.data.records import Dataset
from scizoo.errors import ScizooError
from scizoo.evaluation.similarity import Similarity
from scizoo.files import atomic_path, sha256_json

log = logging.getLogger(__name__)

_REMOTE = ("http:", "https:", "s3:", "hf:", "gs:", "ftp:")


def corpus_sketches(refs: Sequence[str], similarity: Similarity, cache: Path) -> dict[str, np.ndarray]:
    """Sketch the pre-training corpus of each checkpoint, where it lies on this machine.

    A checkpoint names its corpus in ``scizoo.json``: the config that reads it and the fingerprint of what
    was read. The corpus is opened again by that config, and used only if the fingerprint is the same.

    Parameters
    ----------
    refs : sequence of str
        Checkpoints.
    similarity : Similarity
    cache : Path
        Sketches are kept here, by corpus and similarity.

    Returns
    -------
    dict of str to ndarray
        By the checkpoint's name; without those whose corpus is not at hand, which the log names.
    """
    found = {}
    for ref in dict.fromkeys(refs):
        manifest = read_manifest(resolve_ref(ref))
        fingerprint = str(manifest.data.get("fingerprint") or "")
        key = sha256_json(
            {
                "corpus": fingerprint,
                "similarity": f"{type(similarity).__module__}.{type(similarity).__qualname__}",
                "settings": getattr(similarity, "settings", dict)(),
            }
        )
        path = cache / f"{key}.npy"
        if not path.is_file():
            dataset = _open_corpus(manifest, fingerprint)
            if dataset is None:
                continue
            log.info("sketching the corpus of %s: %s (once)", manifest.name, dataset.name)
            sketch = similarity.sketch(dataset)
            with atomic_path(path) as temporary, temporary.open("wb") as stream:
                np.save(stream, sketch, allow_pickle=False)
        found[manifest.name] = np.load(path, allow_pickle=False)
    return found


def _open_corpus(manifest: Manifest, fingerprint: str) -> Dataset | None:
    """Open the corpus that a manifest names; None, and why in the log, where that cannot be done."""
    described = manifest.config.get("data")
    why = "it does not say what it was trained on"
    if described and fingerprint:
        remote = [word for word in _words(described) if word.startswith(_REMOTE)]
        if remote:
            why = f"it lies at {remote[0]}"
        else:
            try:
                dataset: Dataset = instantiate(described)
                if dataset.fingerprint() == fingerprint:
                    return dataset
                why = "the files here are not those it was trained on"
            except ScizooError as error:
                why = error.problem
    log.info("the pre-training corpus of %s is not compared with the test records: %s", manifest.name, why)
    return None


def _words(node: Any) -> Iterator[str]:
    if isinstance(node, str):
        yield node
    elif isinstance(node, dict):
        for value in node.values():
            yield from _words(value)
    elif isinstance(node, list | tuple):
        for value in node:
            yield from _words(value)
