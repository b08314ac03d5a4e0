"""The cells of a study: one contender with one label budget and one seed, kept by what they depend on.

A cell that is done is never computed again: its folder is named by a digest of everything that can change
its outcome, and is written whole or not at all.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

import scizoo
from scizoo import plugins
from scizoo.checkpoints.store import resolve_ref
from scizoo.config import to_plain
from scizoo.data.maps import LabelMaps
from scizoo.data.ragged import Ragged
from scizoo.data.splits import PARTS
from scizoo.data.task import TaskData
from scizoo.errors import DataError
from scizoo.evaluation.contenders import Contender, Result
from scizoo.evaluation.cost import Cost
from scizoo.evaluation.floor import forecast_levels
from scizoo.evaluation.outputs import Outputs
from scizoo.evaluation.plain import plain
from scizoo.evaluation.ranks import PoolSettings
from scizoo.files import atomic_dir, sha256_file, sha256_json, write_json

log = logging.getLogger(__name__)

_FORMAT = 1
# Groups of the config on which the outcome of a network depends.
_GROUPS = ("head", "augment", "context", "backbone", "tokenizer", "optimizer", "schedule", "precision")
# Keys that say how a run is watched or loaded, not what it computes.
_INCIDENTAL = {
    "trainer": {"log_every_n_steps", "enable_progress_bar", "enable_model_summary", "num_nodes"},
    "callbacks": {"progress", "learning_rate"},
    "batching": {"num_workers"},
}


def data_digest(data: TaskData) -> str:
    """Digest the records, the split and the targets of a task.

    Parameters
    ----------
    data : TaskData

    Returns
    -------
    str
        Hex digits; it changes when any file, reading option, part, group or label does.
    """
    targets: Any = data.targets.values if isinstance(data.targets, Ragged) else data.targets
    targets = targets.digest if isinstance(targets, LabelMaps) else plain(np.asarray(targets))
    return sha256_json(
        {
            "dataset": data.dataset.fingerprint(),
            "ids": [record.id for record in data.records],
            "parts": {part: data.rows(part).tolist() for part in PARTS},
            "groups": [str(group) for group in data.split.groups],
            "targets": targets,
            "target": plain(data.target.state()),
        }
    )


def checkpoint_digest(ref: str | None) -> str | None:
    """Digest a checkpoint by its list of checksums; None where there is none."""
    return None if not ref else sha256_file(resolve_ref(ref) / "SHA256SUMS")


def cell_key(
    cfg: Mapping[str, Any],
    digest: str,
    contender: Contender,
    *,
    labels: int,
    seed: int,
    settings: Mapping[str, Any] | None = None,
    trials: int = 0,
) -> str:
    """Name a cell by everything that can change its outcome.

    Parameters
    ----------
    cfg : mapping
        The config that the cell is run with, tuned values filled in.
    digest : str
        Of :func:`data_digest`.
    contender : Contender
    labels, seed : int
    settings : mapping, optional
        Tuned settings of a baseline.
    trials : int
        The budget that a baseline is tuned with inside the cell.

    Returns
    -------
    str
        64 hex digits.
    """
    task = dict(cfg.get("task") or {})
    domain = str(task.get("domain") or "")
    parts: dict[str, Any] = {
        "format": _FORMAT,
        "versions": {"scizoo": scizoo.__version__, domain: plugins.version(domain)},
        "data": digest,
        "labels": labels,
        "seed": seed,
        "kind": task.get("kind"),
        "metric": task.get("metric"),
    }
    if task.get("kind") == "forecast":  # outputs hold the floor, and quantiles at the task's levels
        parts |= {"floor": to_plain(cfg.get("floor")), "levels": forecast_levels(cfg)}
    if task.get("kind") == "retrieval":
        pool = PoolSettings.from_config(cfg)
        second = dict(to_plain(cfg.get("document")) or {})
        parts |= {"pool": [pool.size, pool.seed if pool.size else None]}
        if contender.baseline is None:
            parts |= {"document": second | {"checkpoint": checkpoint_digest(second.get("checkpoint"))}}
    if contender.baseline is not None:
        parts |= {"baseline": to_plain(contender.baseline), "settings": settings, "trials": trials}
        if contender.untrained:
            parts |= {"labels": None, "seed": None}
    elif contender.untrained:
        parts |= {
            "labels": None,
            "seed": None,
            "adapt": to_plain(contender.adapt),
            "checkpoint": checkpoint_digest(contender.checkpoint or cfg.get("checkpoint")),
            "config": {name: to_plain(cfg.get(name)) for name in ("augment", "context", "precision")},
        }
    else:
        parts |= {
            "adapt": to_plain(contender.adapt),
            "checkpoint": checkpoint_digest(contender.checkpoint or cfg.get("checkpoint")),
            "config": {name: to_plain(cfg.get(name)) for name in _GROUPS},
        }
        for name, leave in _INCIDENTAL.items():
            group = dict(to_plain(cfg.get(name)) or {})
            parts[name] = {key: value for key, value in group.items() if key not in leave}
    return sha256_json(plain(parts))


class CellStore:
    """Cells on disk.

    Parameters
    ----------
    root : Path
        Usually ``cache_dir() / "cells"``.
    """

    def __init__(self, root: Path):
        self.root = Path(root)

    def path(self, key: str) -> Path:
        """Give the folder of a cell."""
        return self.root / key[:2] / key

    def facts(self, key: str) -> dict[str, Any] | None:
        """Give what a cell says of itself, without its outputs; None when it is not done."""
        path = self.path(key) / "cell.json"
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        except ValueError:
            log.warning("%s is damaged; the cell is computed again", path)
            return None
        whole = all((path.parent / f"{part}.npz").is_file() for part in ("validation", "test"))
        return dict(found) if whole else None

    def load(self, key: str, contender: Contender) -> Result | None:
        """Open a cell.

        Parameters
        ----------
        key : str
        contender : Contender
            Whose cell it is; names are not stored.

        Returns
        -------
        Result or None
            None when it is not done, or its files are damaged.
        """
        facts = self.facts(key)
        if facts is None:
            return None
        try:
            validation, test = (
                Outputs.load(self.path(key) / f"{part}.npz") for part in ("validation", "test")
            )
        except DataError as error:
            log.warning("%s; the cell is computed again", error.problem)
            return None
        cost = Cost(**facts["cost"])
        return Result(contender, validation, test, cost, facts["seed"], facts["labels"], facts["settings"])

    def save(self, key: str, result: Result, extra: Mapping[str, Any] | None = None) -> None:
        """Write a cell, whole or not at all.

        Parameters
        ----------
        key : str
        result : Result
        extra : mapping, optional
            More facts, such as the value on validation.
        """
        with atomic_dir(self.path(key)) as folder:
            result.validation.save(folder / "validation.npz")
            result.test.save(folder / "test.npz")
            facts = {
                "cost": result.cost,
                "seed": result.seed,
                "labels": result.labels,
                "settings": result.settings,
                **(extra or {}),
            }
            write_json(folder / "cell.json", plain(facts))
