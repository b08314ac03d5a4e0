"""Sketches of the corpora that checkpoints were pre-trained on, so that overlap with test records is seen."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from scizoo.checkpoints.manifest import Manifest, read_manifest
from scizoo.checkpoints.sketch import CorpusSketch, read_sketch
from scizoo.checkpoints.store import resolve_ref
from scizoo.config import instantiate
from scizoo.data.records import Dataset, Record
from scizoo.data.splits import PretrainingPart, pretraining_split
from scizoo.errors import ScizooError
from scizoo.evaluation.leaks import AuditSettings
from scizoo.evaluation.similarity import Similarity
from scizoo.files import atomic_path, sha256_json

log = logging.getLogger(__name__)

_REMOTE = ("http:", "https:", "s3:", "hf:", "gs:", "ftp:")


def sketch_corpus(audit: Mapping[str, Any] | None, records: Iterable[Record]) -> CorpusSketch | None:
    """Sketch training records by the similarity of a config's ``audit`` group; None where it names none."""
    described = AuditSettings.split_from(audit)[1]
    if not described.get("_target_"):
        return None
    similarity: Similarity = instantiate(described)
    counted = _Counted(records)
    values = similarity.sketch(counted)
    return CorpusSketch(values, describe_similarity(similarity), counted.seen)


class _Counted:
    """Records that count how many of them were read; else what they are, for a similarity to ask."""

    def __init__(self, records: Iterable[Record]):
        self._records, self.seen = records, 0

    def __iter__(self) -> Iterator[Record]:
        for record in self._records:
            self.seen += 1
            yield record

    def __getattr__(self, name: str) -> Any:
        return getattr(self._records, name)


def corpus_sketches(refs: Sequence[str], similarity: Similarity, cache: Path) -> dict[str, np.ndarray]:
    """Give a sketch of what each checkpoint was trained on.

    A checkpoint carries the sketch of its training records. One that carries none, or one of another
    similarity, names its corpus in ``scizoo.json``: the config that reads it and the fingerprint of what was
    read. The corpus is opened again by that config, and its training part is used, if the fingerprint is the
    same.

    Parameters
    ----------
    refs : sequence of str
        Checkpoints.
    similarity : Similarity
    cache : Path
        Sketches that were made anew are kept here, by corpus and similarity.

    Returns
    -------
    dict of str to ndarray
        By the checkpoint's name; without those whose corpus is not at hand, which the log names.
    """
    found = {}
    for ref in dict.fromkeys(refs):
        folder = resolve_ref(ref)
        manifest = read_manifest(folder)
        carried = read_sketch(folder, manifest.sketch)
        if carried is not None and carried.similarity == describe_similarity(similarity):
            found[manifest.name] = carried.values
            continue
        fingerprint = str(manifest.data.get("fingerprint") or "")
        split = manifest.config.get("split")
        made = {"corpus": fingerprint, "split": pretraining_split(split), **describe_similarity(similarity)}
        path = cache / f"{sha256_json(made)}.npy"
        if not path.is_file():
            dataset = _open_corpus(manifest, fingerprint)
            if dataset is None:
                continue
            log.info("sketching the corpus of %s: %s (once)", manifest.name, dataset.name)
            sketch = similarity.sketch(PretrainingPart(dataset, split))
            with atomic_path(path) as temporary, temporary.open("wb") as stream:
                np.save(stream, sketch, allow_pickle=False)
        found[manifest.name] = np.load(path, allow_pickle=False)
    return found


def describe_similarity(similarity: Similarity) -> dict[str, Any]:
    """Say what a sketch depends on: the similarity's class, and those of its settings that matter."""
    kind = type(similarity)
    for name in ("sketch_settings", "settings"):
        if hasattr(similarity, name):
            settings = getattr(similarity, name)()
            break
    else:
        settings = {}
    return {"_target_": f"{kind.__module__}.{kind.__qualname__}", "settings": dict(settings)}


def _open_corpus(manifest: Manifest, fingerprint: str) -> Dataset | None:
    """Open the corpus that a manifest names; None, and why in the log, where that cannot be done."""
    described = manifest.config.get("data")
    why = "it does not say what it was trained on"
    if manifest.target is not None:
        # Its corpus is a part of the data that its config reads; the test records may be another part.
        why = "it was fine-tuned on records that it carries no sketch of"
    elif described and fingerprint:
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
