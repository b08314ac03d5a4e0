"""How well a model tells records of a class that it never saw: the measured part of the OOD score."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from scizoo.data.targets import ClassTarget
from scizoo.data.task import TaskData
from scizoo.errors import ConfigError, did_you_mean
from scizoo.evaluation.cells import CellStore, cell_key, data_digest
from scizoo.evaluation.contenders import Contender
from scizoo.evaluation.ood import MahalanobisDetector, detection_auroc, ood_section
from scizoo.evaluation.plain import plain
from scizoo.evaluation.report.figures import score_histogram
from scizoo.evaluation.tuning import enough_steps, filled_in
from scizoo.files import write_json
from scizoo.training.build import build_parts
from scizoo.training.supervised import encode_task, fit_task, predict_task

log = logging.getLogger(__name__)


def check_left_out(data: TaskData, classes: Sequence[Any]) -> np.ndarray:
    """Turn the names of ``evaluation.ood.leave_out`` into class numbers.

    Raises
    ------
    ConfigError
        When the task has no classes, or not these, or too few would be left.
    """
    if not isinstance(data.target, ClassTarget):
        raise ConfigError(
            "evaluation.ood.leave_out leaves out classes, and this task has none.",
            remedy="leave it empty for regression and multilabel tasks.",
        )
    known = list(data.target.classes)
    for name in classes:
        if str(name) not in known:
            raise ConfigError(
                f"evaluation.ood.leave_out: no class '{name}': {did_you_mean(str(name), known)}"
            )
    numbers = np.array([known.index(str(name)) for name in classes])
    if len(known) - len(set(numbers.tolist())) < 2:
        raise ConfigError("evaluation.ood.leave_out leaves fewer than two classes to train on.")
    return numbers


def left_out_section(
    cfg: Mapping[str, Any],
    data: TaskData,
    contender: Contender,
    *,
    classes: Sequence[Any],
    tuned: Mapping[str, Any],
    seed: int,
    run_dir: Path,
    cache: Path | None,
    store: CellStore,
) -> dict[str, Any]:
    """Train without some classes, and measure how far their test records stand out.

    Parameters
    ----------
    cfg : mapping
        A composed config.
    data : TaskData
    contender : Contender
        A network.
    classes : sequence of str
        What is left out of training and validation.
    tuned : mapping
        Settings that tuning chose for the contender.
    seed : int
    run_dir : Path
        The training's own files go here.
    cache : Path or None
        Of encoded records.
    store : CellStore
        What was measured before is found there.

    Returns
    -------
    dict
        The ``ood`` section of report.json: AUROC of the Mahalanobis distance between test records of the
        classes that were trained on and those of the classes left out.
    """
    numbers = check_left_out(data, classes)
    cfg = {
        **cfg,
        "adapt": dict(contender.adapt or {}),
        "checkpoint": contender.checkpoint or cfg["checkpoint"],
    }
    targets = np.asarray(data.targets)
    kept: dict[str, np.ndarray] = {}
    for part in ("train", "validation"):
        rows = data.rows(part)
        kept[part] = rows[~np.isin(targets[rows], numbers)]
    cfg = enough_steps(filled_in(cfg, tuned), len(kept["train"]))
    key = cell_key(cfg, data_digest(data), contender, labels=len(kept["train"]), seed=seed)
    left = "-".join(map(str, sorted(numbers.tolist())))
    path = store.root / "ood" / f"{key}-{left}.json"
    if path.is_file():
        return dict(json.loads(path.read_text(encoding="utf-8")))
    names = ", ".join(map(str, classes))
    log.info("%s without %s: how far these stand out", contender.title, names)
    fewer = replace(data, split=replace(data.split, train=kept["train"], validation=kept["validation"]))
    parts = build_parts(cfg, lambda: (data.records[row].input for row in kept["train"]))
    encoded = encode_task(parts, data.records, fingerprint=data.dataset.fingerprint(), cache=cache)
    quiet = {**cfg, "logger": None, "callbacks": {**(cfg.get("callbacks") or {}), "progress": None}}
    fitted = fit_task(quiet, parts, fewer, encoded, run_dir=run_dir, rows=kept["train"], seed=seed)

    def embed(rows: np.ndarray) -> np.ndarray:
        return predict_task(fitted, cfg, parts, encoded, rows, embeddings=True)["embedding"]

    test = data.rows("test")
    strange = np.isin(targets[test], numbers)
    detector = MahalanobisDetector().fit(embed(kept["train"]), targets[kept["train"]])
    detector.calibrate(embed(kept["validation"]))
    scores, groups = detector.score(embed(test)), data.split.groups[test].astype(str)
    auroc = None
    if strange.any() and not strange.all():
        auroc = detection_auroc(
            scores[~strange], scores[strange], inside_groups=groups[~strange], outside_groups=groups[strange]
        )
    against = f"{int(strange.sum())} test records of classes left out of this training: {names}"
    found = {"name": contender.title, "seed": seed, **ood_section(detector, scores[~strange], auroc, against)}
    found["histogram"] = score_histogram(
        {"test records of known classes": scores[~strange], "of classes left out": scores[strange]}
    )
    write_json(path, plain(found))
    return dict(json.loads(path.read_text(encoding="utf-8")))
