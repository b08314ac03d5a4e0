"""Pre-training: a backbone fitted to an unlabelled corpus under an objective."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from scizoo.config import to_plain
from scizoo.data.cache import cache_key
from scizoo.data.encoding import EncodedDataset, encode_records
from scizoo.data.records import Dataset
from scizoo.data.splits import PretrainingPart, Split, hash_split, pretraining_split
from scizoo.models.backbones import Backbone
from scizoo.models.objectives import Objective, build_objective
from scizoo.training.build import ModelParts, build_parts
from scizoo.training.module import ScizooModule
from scizoo.training.supervised import data_module
from scizoo.training.trainer import build_trainer, fit, monitored_metric, resolve_precision

log = logging.getLogger(__name__)


@dataclass
class Pretrained:
    """A pre-trained model and how it came to be.

    Parameters
    ----------
    parts : ModelParts
        Its backbone is the trained one.
    objective : Objective
    encoded : EncodedDataset
        The corpus.
    split : Split
        Of its records.
    seconds : float
        Wall-clock time of the training.
    steps : int
        Optimizer steps taken.
    metrics : dict of str to float
        The last values of every logged metric.
    precision : str
        As Lightning names it.
    """

    parts: ModelParts
    objective: Objective
    encoded: EncodedDataset
    split: Split
    seconds: float
    steps: int
    metrics: dict[str, float]
    precision: str

    @property
    def backbone(self) -> Backbone:
        """The trained backbone."""
        return self.parts.backbone


def pretrain(cfg: Mapping[str, Any], dataset: Dataset, *, run_dir: Path, cache: Path | None) -> Pretrained:
    """Pre-train a backbone.

    The corpus is read lazily, encoded once into the cache, and divided into training and validation by
    a hash of each record's group, so that it never has to be held in memory.

    Parameters
    ----------
    cfg : mapping
        A composed config; read are ``backbone``, ``tokenizer``, ``checkpoint``, ``context``,
        ``augment``, ``split`` (``fractions`` and ``seed``), ``head`` (the objective), ``batching``,
        ``optimizer``, ``schedule``, ``trainer``, ``precision``, ``logger``, ``callbacks`` and ``seed``.
    dataset : Dataset
        The corpus.
    run_dir : Path
        Checkpoints and logs go here.
    cache : Path or None
        The folder of all caches; None keeps the tokens in memory.

    Returns
    -------
    Pretrained
    """
    seed = int(cfg.get("seed") or 0)
    settings = to_plain(cfg.get("split"))
    fractions, split_seed = pretraining_split(settings)

    def training_inputs() -> Iterator[Any]:
        return (record.input for record in PretrainingPart(dataset, settings))

    torch.manual_seed(seed)
    parts = build_parts(cfg, training_inputs)
    encoded = encode_records(
        dataset,
        parts.tokenizer,
        context=parts.context,
        views=parts.augment,
        cache=cache,
        key=cache_key(
            dataset.fingerprint(),
            parts.tokenizer.fingerprint(),
            parts.augment.fingerprint() if parts.augment else "",
        ),
    )
    table = encoded.store.records
    split = hash_split(table.groups(), table.ids(), fractions, split_seed)
    log.info(
        "%s: %d training and %d validation records, %d windows",
        dataset.name,
        len(split.train),
        len(split.validation),
        len(encoded),
    )
    objective = build_objective(to_plain(cfg["head"]), parts.backbone, parts.tokenizer)
    parts.backbone.requires_grad_(True)
    module = ScizooModule(
        parts.backbone, objective, optimizer=cfg["optimizer"], schedule=cfg["schedule"], seed=seed
    )
    start = time.monotonic()
    trainer = build_trainer(cfg, run_dir, monitor=monitored_metric(cfg), title="pre-training")
    fit(trainer, module, data_module(cfg, parts, encoded, None, split, seed=seed))
    accelerator = str((cfg.get("trainer") or {}).get("accelerator") or "auto")
    return Pretrained(
        parts=parts,
        objective=objective.eval(),
        encoded=encoded,
        split=split,
        seconds=time.monotonic() - start,
        steps=trainer.global_step,
        metrics={key: float(value) for key, value in trainer.callback_metrics.items()},
        precision=resolve_precision(cfg.get("precision"), accelerator),
    )


def token_rows(
    encoded: EncodedDataset, rows: np.ndarray, *, most_tokens: int, seed: int = 0
) -> list[np.ndarray]:
    """Take token rows of some records, first view, in random order, up to a number of tokens.

    Parameters
    ----------
    encoded : EncodedDataset
    rows : ndarray
        Positions of records.
    most_tokens : int
    seed : int

    Returns
    -------
    list of ndarray of int
    """
    windows = encoded.windows_of(rows)
    windows = windows[encoded.view_index[windows] == 0]
    chosen: list[np.ndarray] = []
    total = 0
    for window in np.random.default_rng(seed).permutation(windows):
        if total >= most_tokens:
            break
        chosen.append(encoded[int(window)][encoded.main_input])
        total += len(chosen[-1])
    return chosen
