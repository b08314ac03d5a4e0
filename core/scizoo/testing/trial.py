"""Tiny models on a few records of a task or recipe, trained through the same parts as a real run."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, cast

import lightning.pytorch as pl
import numpy as np
import torch
from torch.utils.data import DataLoader

from scizoo import plugins
from scizoo.config import compose, to_plain
from scizoo.data.documents import PairedDataset
from scizoo.data.encoding import EncodedDataset
from scizoo.data.maps import LabelMaps
from scizoo.data.module import DataModule
from scizoo.data.planes import label_planes
from scizoo.data.ragged import Ragged
from scizoo.data.records import Record
from scizoo.data.splits import Split
from scizoo.data.targets import TargetEncoder
from scizoo.data.task import GENERATION, TARGETS, TaskData, label_budget, open_dataset, read_task
from scizoo.models.objectives import build_objective
from scizoo.testing.examples import Examples, examples_of
from scizoo.training.build import ModelParts, build_head, build_parts
from scizoo.training.module import ScizooModule
from scizoo.training.supervised import data_module, encode_task
from scizoo.training.trainer import build_trainer, fit

#: Sizes of a tiny transformer; only the keys that a config has are replaced.
TINY = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
    "intermediate_size": 64,
}
_LONGEST = 64  # tokens of a window
_LABELLED, _UNLABELLED = 8, 2  # records that a tiny model is trained on
_RATE = 1e-2


class Stop(pl.Callback):
    """Breaks a run off after a number of steps, as a machine that goes down does."""

    class Killed(Exception):
        """Raised in the middle of the run."""

    def __init__(self, after: int):
        self.after = after

    def on_train_batch_end(self, trainer: pl.Trainer, *_: Any) -> None:
        """Break off."""
        if trainer.global_step >= self.after:
            raise self.Killed


class Losses(pl.Callback):
    """Keeps the loss of every training batch exactly."""

    def __init__(self) -> None:
        self.values: list[float] = []

    def on_train_batch_end(
        self, trainer: pl.Trainer, module: pl.LightningModule, outputs: Any, *_: Any
    ) -> None:
        """Note one loss."""
        self.values.append(float(outputs["loss"]))


def shrink(cfg: dict[str, Any]) -> dict[str, Any]:
    """Make a composed, plain config tiny, quiet and fit for one CPU core."""
    second = dict(cfg.get("document") or {})
    for backbone in (cfg.get("backbone") or {}, second.get("backbone") or {}):
        sizes = backbone.get("config")
        if isinstance(sizes, dict):
            sizes.update({key: value for key, value in TINY.items() if key in sizes})
    if second.get("context"):
        most = second["context"].get("max_length") or _LONGEST
        second["context"] = second["context"] | {"max_length": min(int(most), _LONGEST), "stride": None}
    longest = (cfg.get("context") or {}).get("max_length") or _LONGEST
    return cfg | {
        "document": second,
        "context": dict(cfg["context"]) | {"max_length": min(int(longest), _LONGEST), "stride": None},
        "optimizer": dict(cfg["optimizer"]) | {"lr": _RATE},
        "schedule": {"name": "constant", "warmup": 0},
        "precision": "32-true",
        "trainer": {"accelerator": "cpu", "devices": 1, "gradient_clip_val": 1.0, "log_every_n_steps": 1},
        "callbacks": {"progress": None, "early_stopping": None, "learning_rate": None},
        "logger": {},
    }


@dataclass
class Trial:
    """A task or recipe in little: the same data, tokenizer, head and settings, a tiny backbone.

    Parameters
    ----------
    cfg : dict
        The composed, plain, shrunk config.
    records : list of Record
    target : TargetEncoder or None
        None for a recipe.
    targets : ndarray, Ragged, LabelMaps or None
    """

    cfg: dict[str, Any]
    records: list[Record]
    target: TargetEncoder | None = None
    targets: np.ndarray | Ragged | LabelMaps | None = None

    def parts(self, seed: int = 0) -> ModelParts:
        """Build a backbone and a tokenizer; the same ones each time."""
        torch.manual_seed(seed)
        return build_parts(
            self.cfg,
            lambda: (record.input for record in self.records),
            lambda: (record.target for record in self.records),
        )

    def encode(self, parts: ModelParts) -> EncodedDataset | PairedDataset:
        """Encode the records, in memory."""
        return encode_task(parts, self.records, fingerprint="trial", cache=None)

    def module(self, parts: ModelParts) -> ScizooModule:
        """Put the task's head or the recipe's objective on the backbone."""
        trained = parts.trained
        if self.target is None:
            head: Any = build_objective(dict(self.cfg["head"]), parts.backbone, parts.tokenizer)
        else:
            head = build_head(self.cfg, trained, self.target)
        return ScizooModule(
            trained,
            head,
            optimizer=self.cfg["optimizer"],
            schedule=self.cfg["schedule"],
            seed=0,
            outputs=None if self.target is None else self.target.outputs,
            target_scale=getattr(self.target, "std", None),
        )

    def data(self, parts: ModelParts, encoded: EncodedDataset | PairedDataset, batches: int) -> DataModule:
        """Build loaders that give about so many batches an epoch."""
        everything = np.arange(len(self.records))
        none = np.empty(0, dtype=np.int64)
        groups = np.array([record.id for record in self.records], dtype=object)
        windows = encoded.windows_of(everything)
        batching = dict(self.cfg["batching"])
        if batching.get("packing"):
            sizes = {
                "tokens_per_batch": max(int(encoded.lengths[windows].sum()) // batches, _LONGEST),
                "batch_size": None,
            }
        else:
            sizes = {"tokens_per_batch": None, "batch_size": -(-len(windows) // batches)}
        targets: Any = self.targets
        if isinstance(targets, LabelMaps):
            targets = label_planes(
                targets, self.records, parts.tokenizer, rows=everything, augment=parts.augment
            )
        return data_module(
            self.cfg | {"batching": batching | sizes},
            parts,
            encoded,
            targets,
            Split(everything, none, none, groups, "all"),
            seed=0,
            last_windows=self.target is not None and self.target.kind == "forecast",
        )

    def overfit(self, folder: Path, steps: int) -> list[float]:
        """Train on one batch of a few windows over and over; returns the loss of each step."""
        parts = self.parts()
        encoded = self.encode(parts)
        windows = len(encoded.windows_of(np.arange(len(self.records))))
        data = self.data(parts, encoded, batches=max(1, windows // _LABELLED))
        batch = next(iter(data.train_dataloader()))
        return self._fit(
            folder,
            steps,
            self.module(parts),
            {"train_dataloaders": DataLoader(cast(Any, [batch]), batch_size=None)},
        )

    def train(
        self,
        folder: Path,
        steps: int,
        *,
        batches: int = 1,
        save_every: int | None = None,
        stop_after: int | None = None,
        resume: Path | None = None,
    ) -> tuple[ModelParts, ScizooModule, list[float]]:
        """Train a new model.

        Parameters
        ----------
        folder : Path
            Saved states go to ``folder/checkpoints``.
        steps : int
            Optimizer steps of the whole run.
        batches : int
            Batches an epoch, about.
        save_every : int, optional
            Steps between two saved states; by default none is saved.
        stop_after : int, optional
            Break off after so many steps.
        resume : Path, optional
            A saved state to go on from.

        Returns
        -------
        parts : ModelParts
        module : ScizooModule
        losses : list of float
            One a batch that was trained on here.
        """
        parts = self.parts()
        encoded = self.encode(parts)
        module = self.module(parts)
        source = {"datamodule": self.data(parts, encoded, batches), "resume": resume}
        return parts, module, self._fit(folder, steps, module, source, save_every, stop_after)

    def _fit(
        self,
        folder: Path,
        steps: int,
        module: ScizooModule,
        source: dict[str, Any],
        save_every: int | None = None,
        stop_after: int | None = None,
    ) -> list[float]:
        losses = Losses()
        cfg = self.cfg | {"trainer": self.cfg["trainer"] | {"max_steps": steps, "max_epochs": -1}}
        saving = {"every_n_steps": save_every} if save_every else None
        cfg["callbacks"] = self.cfg["callbacks"] | {"checkpoint": saving}
        extra: list[pl.Callback] = [losses]
        if stop_after is not None:
            extra.append(Stop(stop_after))
        trainer = build_trainer(cfg, folder, monitor=None, callbacks=extra)
        with suppress(Stop.Killed):
            fit(trainer, module, **source)
        return losses.values


class Workshop:
    """Configs, data and trials of the installed domains, each made once.

    Parameters
    ----------
    folder : Path
        Where the files of the examples are written.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        self.config = functools.cache(self._config)
        self.task_data = functools.cache(self._task_data)
        self.trial = functools.cache(self._trial)

    @staticmethod
    def examples(name: str) -> Examples:
        """Give the examples of the domain of a task, recipe or option."""
        return examples_of(name.partition("/")[0])

    def data_words(self, name: str) -> list[str]:
        """Give the overrides that let a task or recipe read its data, the examples' file if it needs one."""
        examples = self.examples(name)
        words = list(examples.settings.get(name, ()))
        write = examples.own_data.get(name)
        if write is not None:
            folder = self.folder / name.replace("/", "-")
            folder.mkdir(parents=True, exist_ok=True)
            words = [*write(folder), *words]
        return words

    def _config(self, name: str) -> dict[str, Any]:
        """Compose a task or recipe over a tiny new model; plain."""
        words = self.data_words(name)
        verb = verb_of(name)
        cfg = to_plain(compose(verb, name, words))
        if cfg.get("checkpoint"):
            cfg = to_plain(
                compose(verb, name, [*words, "checkpoint=null", *self.examples(name).model_of(name)])
            )
        return shrink(cfg)

    def _task_data(self, name: str) -> TaskData:
        return read_task(self.config(name))

    def _trial(self, name: str) -> Trial:
        cfg = self.config(name)
        if verb_of(name) == "pretrain":
            return Trial(cfg, list(islice(open_dataset(cfg), _UNLABELLED)))
        data = self.task_data(name)
        rows = label_budget(data, _LABELLED, 0)
        targets: Any = data.targets
        chosen = (
            Ragged.from_rows([targets[row] for row in rows], np.int64)
            if isinstance(targets, Ragged)
            else targets[rows]
        )
        return Trial(cfg, [data.records[row] for row in rows], data.target, chosen)


def verb_of(name: str) -> str:
    """Return the job that a task or recipe is for."""
    return "pretrain" if name in plugins.options("recipe") else "finetune"


def of_domains(group: str, domains: Sequence[str]) -> list[str]:
    """List a config group's options that belong to some domains."""
    return [name for name in plugins.options(group) if name.partition("/")[0] in domains]


def labelled_tasks(domains: Sequence[str]) -> list[str]:
    """List the tasks that a head is trained for."""
    names = of_domains("task", domains)
    return [name for name in names if compose("finetune", name).task.kind in TARGETS]


def writing_tasks(domains: Sequence[str]) -> list[str]:
    """List the tasks for which records are generated."""
    names = of_domains("task", domains)
    return [name for name in names if compose("finetune", name).task.kind == GENERATION]
