"""Assembles Lightning's Trainer from the config groups trainer, precision, logger and callbacks."""

from __future__ import annotations

import inspect
import logging
import os
import warnings
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import EarlyStopping, LearningRateMonitor, ModelCheckpoint, ProgressBar
from lightning.pytorch.plugins.environments import LightningEnvironment, SLURMEnvironment
from lightning.pytorch.strategies import ModelParallelStrategy
from lightning.pytorch.utilities.exceptions import MisconfigurationException

from scizoo.errors import ConfigError, MachineError, did_you_mean
from scizoo.training.callbacks import DivergenceGuard, RecordNames, RestoreBest
from scizoo.training.loggers import build_loggers
from scizoo.training.metrics import METRICS, metric_mode
from scizoo.training.precision import resolve_precision
from scizoo.training.progress import Progress
from scizoo.training.settings import plain, refuse_unknown
from scizoo.training.states import WholeStates

_CALLBACK_KEYS: dict[str, tuple[str, ...]] = {
    "checkpoint": ("every_n_epochs", "every_n_steps", "every_minutes"),
    "early_stopping": ("patience", "min_delta"),
    "divergence": ("factor", "patience", "every"),
    "learning_rate": (),
    "progress": ("every_seconds", "mfu"),
    "monitor": (),
    "mode": (),
    "restore_best": (),
    "extra": (),
}
_OWN_TRAINER_KEYS = {"cluster", "requeue"}


def monitored_metric(cfg: Mapping[str, Any]) -> str:
    """Name the validation metric that picks the best weights.

    Parameters
    ----------
    cfg : mapping
        A composed config: ``callbacks.monitor`` comes first, then the task's metric where it is one
        that is computed in validation, then the loss.
    """
    wanted = plain(cfg.get("callbacks")).get("monitor")
    if wanted:
        return wanted if str(wanted).startswith("validation/") else f"validation/{wanted}"
    task = plain(cfg.get("task")) or plain(cfg.get("recipe"))
    metric, kind = task.get("metric"), str(task.get("kind"))
    return f"validation/{metric}" if metric in METRICS.get(kind, ()) else "validation/loss"


def build_trainer(
    cfg: Mapping[str, Any],
    run_dir: str | Path,
    *,
    monitor: str | None = "auto",
    mode: str | None = None,
    title: str = "training",
    record_names: RecordNames | None = None,
    callbacks: Sequence[pl.Callback] = (),
) -> pl.Trainer:
    """Build the trainer of a run.

    Parameters
    ----------
    cfg : mapping
        A composed config; read are ``trainer``, ``precision``, ``logger`` and ``callbacks``.
    run_dir : str or Path
        Checkpoints go to ``run_dir/checkpoints`` (``best.ckpt``, ``last.ckpt``); loggers that take a
        ``save_dir`` write under it too.
    monitor : str, optional
        The validation metric that decides what is best, e.g. ``validation/mcc``; ``auto`` takes
        :func:`monitored_metric`. None, for runs without validation, keeps the last weights.
    mode : {"min", "max"}, optional
        By default ``callbacks.mode``, else known from the metric's name.
    title : str
        What is being trained, for the progress display.
    record_names : callable, optional
        Window numbers to record ids, for the message of the divergence guard.
    callbacks : sequence of Callback
        More callbacks.

    Raises
    ------
    ConfigError
        For an unknown key or a combination that Lightning refuses.
    """
    run_dir = Path(run_dir)
    settings = plain(cfg.get("trainer"))
    parts = plain(cfg.get("callbacks"))
    parameters = inspect.signature(pl.Trainer.__init__).parameters
    refuse_unknown("callbacks", parts, _CALLBACK_KEYS)
    refuse_unknown(
        "trainer",
        settings,
        set(parameters) - {"self", "callbacks", "logger", "precision", "plugins"} | _OWN_TRAINER_KEYS,
    )
    if monitor == "auto":
        monitor = monitored_metric(cfg)
    mode = mode or parts.get("mode")

    precision = resolve_precision(cfg.get("precision"), str(settings.get("accelerator") or "auto"))
    bar = settings.pop("enable_progress_bar", True) is not False and _wanted(parts, "progress")
    given = any(isinstance(callback, ProgressBar) for callback in callbacks)
    loggers = build_loggers(cfg.get("logger"), run_dir)
    if not loggers:
        parts["learning_rate"] = None  # there is nowhere to write it
    assembled = build_callbacks(
        parts,
        run_dir,
        monitor=monitor,
        mode=mode,
        title=title,
        record_names=record_names,
        progress=bar and not given,
        by_steps=settings.get("check_val_every_n_epoch", 1) is None,
    )
    plugins = [WholeStates(), *_cluster(settings)]
    settings["strategy"] = _strategy(settings.get("strategy"))
    options: dict[str, Any] = {
        "num_sanity_val_steps": 0,
        "enable_model_summary": False,
        "use_distributed_sampler": False,  # the DataModule divides its batches among ranks itself
        "log_every_n_steps": 10,
    }
    # Null means "Lightning's default" but for the one key where it has a meaning of its own.
    options |= {k: v for k, v in settings.items() if v is not None or k == "check_val_every_n_epoch"}
    if monitor is None:
        options["limit_val_batches"] = 0
    _quieten()
    try:
        return pl.Trainer(
            **options,
            precision=precision,  # type: ignore[arg-type]
            default_root_dir=str(run_dir),
            plugins=plugins,
            callbacks=[*assembled, *callbacks],
            logger=loggers,
            enable_checkpointing=_wanted(parts, "checkpoint"),
            enable_progress_bar=bar or given,
        )
    except (MisconfigurationException, ValueError, TypeError) as error:
        raise ConfigError(
            f"trainer: {error}", expected="settings that Lightning's Trainer accepts"
        ) from error


def _quieten() -> None:
    """Keep Lightning's remarks for the developer out of the user's log."""
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    for message in (
        ".*does not have many workers.*",
        ".*Checkpoint directory .* exists and is not empty.*",
        ".*number of training batches .* is smaller than the logging.*",
        ".*Experiment logs directory .* exists and is not empty.*",
        # The step seeds itself, and the sampler resumes mid-epoch by its own state.
        ".*resumed from a checkpoint that ended before the epoch ended.*",
        ".*module\\(s\\) in eval mode at the start of training.*",  # a frozen backbone is meant to be
        ".*set_vital.*deprecated.*",
        ".*`isinstance\\(treespec, LeafSpec\\)` is deprecated.*",
        ".*It is recommended to use `self.log\\(.*sync_dist=True.*",  # the metrics are reduced already
    ):
        warnings.filterwarnings("ignore", message=message)


def build_callbacks(
    parts: Mapping[str, Any],
    run_dir: Path,
    *,
    monitor: str | None,
    mode: str | None = None,
    title: str = "training",
    record_names: RecordNames | None = None,
    progress: bool = True,
    by_steps: bool = False,
) -> list[pl.Callback]:
    """Build the callbacks of the ``callbacks`` group.

    Returns
    -------
    list of Callback
        In the order in which they must run: the divergence guard before whatever saves.
    """
    found: list[pl.Callback] = []
    if progress and _wanted(parts, "progress"):
        found.append(Progress(title=title, **_part(parts, "progress")))
    if _wanted(parts, "divergence"):
        found.append(DivergenceGuard(record_names=record_names, **_part(parts, "divergence")))
    if parts.get("learning_rate"):
        found.append(LearningRateMonitor(logging_interval="step"))
    mode = mode or (metric_mode(monitor) if monitor else None)
    if monitor and parts.get("early_stopping"):
        stopping = _part(parts, "early_stopping")
        found.append(
            EarlyStopping(
                monitor=monitor,
                mode=str(mode),
                patience=int(stopping.get("patience", 5)),
                min_delta=float(stopping.get("min_delta", 0.0)),
                # The guard stops on bad losses and says why; a metric may be undefined for an epoch.
                check_finite=False,
            )
        )
    from scizoo.config import instantiate

    found += [instantiate(extra) for extra in (parts.get("extra") or {}).values() if extra]
    if _wanted(parts, "checkpoint"):
        found += _checkpoints(parts, run_dir, monitor, mode, by_steps)
    return found


def _checkpoints(
    parts: Mapping[str, Any], run_dir: Path, monitor: str | None, mode: str | None, by_steps: bool
) -> list[pl.Callback]:
    folder = str(run_dir / "checkpoints")
    found: list[pl.Callback] = []
    if monitor:
        best = ModelCheckpoint(
            dirpath=folder,
            filename="best",
            monitor=monitor,
            mode=str(mode),
            save_top_k=1,
            save_weights_only=True,
            enable_version_counter=False,
        )
        found.append(best)
        if _wanted(parts, "restore_best"):
            found.append(RestoreBest(best))
    every = _part(parts, "checkpoint")
    when: dict[str, Any] = {
        "every_n_epochs": int(every.get("every_n_epochs") or 1),
        # Where validations are counted in steps an epoch may take days.
        "save_on_train_epoch_end": not (monitor and by_steps),
    }
    if every.get("every_n_steps"):
        when = {"every_n_train_steps": int(every["every_n_steps"])}
    elif every.get("every_minutes"):
        when = {"train_time_interval": timedelta(minutes=float(every["every_minutes"]))}
    found.append(
        ModelCheckpoint(dirpath=folder, filename="last", save_top_k=1, enable_version_counter=False, **when)
    )
    return found


def fit(
    trainer: pl.Trainer,
    module: pl.LightningModule,
    datamodule: pl.LightningDataModule | None = None,
    *,
    resume: str | Path | None = None,
    **loaders: Any,
) -> None:
    """Train; afterwards the module holds the best weights when a metric was monitored.

    Parameters
    ----------
    trainer, module, datamodule
        As Lightning's ``fit`` takes them.
    resume : str or Path, optional
        A ``last.ckpt`` to go on from; it is read with ``weights_only=True``.
    **loaders
        ``train_dataloaders`` and ``val_dataloaders``, where there is no datamodule.

    Raises
    ------
    TrainingError
        When the loss diverges.
    ConfigError
        When Lightning refuses the combination of settings.
    MachineError
        When the device's memory does not suffice.
    """
    ckpt = None if resume is None else str(resume)
    try:
        trainer.fit(
            module, datamodule=datamodule, ckpt_path=ckpt, weights_only=True if ckpt else None, **loaders
        )
    except MisconfigurationException as error:
        raise ConfigError(f"trainer: {error}") from error
    except torch.OutOfMemoryError as error:
        raise MachineError(
            f"the device's memory does not suffice: {str(error).splitlines()[0]}",
            remedy="lower batching.batch_size or batching.tokens_per_batch and raise "
            "trainer.accumulate_grad_batches by as much, or shorten context.max_length.",
        ) from error
    finally:
        for logger in trainer.loggers:
            logger.finalize("success" if trainer.state.finished else "failed")


def _strategy(name: Any) -> Any:
    if name in (None, "auto"):
        return "auto"
    if name == "fsdp":
        # One whole file per checkpoint, so that best and last are read like any other run's.
        return FullySharded(save_distributed_checkpoint=False)
    return name


class FullySharded(ModelParallelStrategy):
    """FSDP2 over every device; Lightning's own default divides layers, not data, within a machine."""

    def setup_environment(self) -> None:
        """Make a mesh with one data-parallel rank a process."""
        self._data_parallel_size = self.num_processes * self.num_nodes
        self._tensor_parallel_size = 1
        super().setup_environment()


def _cluster(settings: dict[str, Any]) -> list[Any]:
    """Choose where ranks and addresses come from; Lightning finds it out unless told."""
    cluster = settings.pop("cluster", None)
    requeue = settings.pop("requeue", True) is not False
    if cluster in (None, "auto"):
        return []
    if cluster == "local":
        return [LightningEnvironment()]
    if cluster != "slurm":
        choices = ("auto", "local", "slurm")
        raise ConfigError(f"trainer.cluster={cluster} is unknown: {did_you_mean(str(cluster), choices)}")
    if "SLURM_JOB_ID" not in os.environ:
        raise ConfigError(
            "trainer.cluster=slurm, but this is not a SLURM job.",
            remedy="start it with srun inside sbatch, or use trainer=auto on this machine.",
        )
    for key, variable in (("num_nodes", "SLURM_NNODES"), ("devices", "SLURM_NTASKS_PER_NODE")):
        if settings.get(key) in (None, "auto"):
            found = os.environ.get(variable, "")
            settings[key] = int(found) if found.isdigit() else 1
    return [SLURMEnvironment(auto_requeue=requeue)]


def _wanted(parts: Mapping[str, Any], name: str) -> bool:
    """Tell whether a part is on: it is, unless it is null or false."""
    value = parts.get(name, True)
    return value is not None and value is not False


def _part(parts: Mapping[str, Any], name: str) -> dict[str, Any]:
    value = parts.get(name)
    if not isinstance(value, Mapping):
        return {}
    refuse_unknown(f"callbacks.{name}", value, _CALLBACK_KEYS[name])
    return {key: option for key, option in value.items() if option is not None}
