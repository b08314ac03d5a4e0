"""Assembles Lightning's Trainer from the config groups trainer, precision, logger and callbacks."""

from __future__ import annotations

import inspect
import logging
import warnings
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import EarlyStopping, LearningRateMonitor, ModelCheckpoint, ProgressBar
from lightning.pytorch.loggers import Logger
from lightning.pytorch.strategies import ModelParallelStrategy
from lightning.pytorch.utilities.exceptions import MisconfigurationException

from scizoo.errors import ConfigError, MachineError, did_you_mean
from scizoo.training.callbacks import DivergenceGuard, RecordNames, RestoreBest
from scizoo.training.metrics import METRICS, metric_mode
from scizoo.training.progress import Progress
from scizoo.training.throughput import matmul_peak

PRECISIONS = ("auto", "32-true", "bf16-mixed", "bf16-true", "16-mixed", "64-true")
_CALLBACK_KEYS = (
    "monitor",
    "mode",
    "checkpoint",
    "every_n_steps",
    "every_minutes",
    "restore_best",
    "early_stopping",
    "min_delta",
    "divergence",
    "learning_rate",
    "progress",
    "progress_seconds",
    "extra",
)
_DIVERGENCE_KEYS = ("factor", "patience", "every")


def resolve_precision(cfg: Any, accelerator: str = "auto") -> str:
    """Choose the precision of a run.

    Parameters
    ----------
    cfg : str or mapping
        A precision of Lightning, or ``auto``; or a mapping with it under ``value``.
    accelerator : str
        ``auto``, ``cpu``, ``gpu``, ...

    Returns
    -------
    str
        With ``auto``: bf16-mixed where the device has bfloat16 units (on a CPU: and where its matrix
        products are measured at least a third faster than float32's), else 32-true.

    Raises
    ------
    ConfigError
        For an unknown precision.
    """
    value = str(cfg.get("value", "auto") if isinstance(cfg, Mapping) else (cfg or "auto"))
    value = {"32": "32-true", "bf16": "bf16-mixed", "16": "16-mixed", "64": "64-true"}.get(value, value)
    if value not in PRECISIONS:
        raise ConfigError(f"precision={value} is unknown: {did_you_mean(value, PRECISIONS)}")
    if value != "auto":
        return value
    if accelerator in ("auto", "gpu", "cuda") and torch.cuda.is_available():
        return "bf16-mixed" if torch.cuda.is_bf16_supported(including_emulation=False) else "32-true"
    if accelerator in ("mps",) or (accelerator == "auto" and torch.backends.mps.is_available()):
        return "32-true"
    return "bf16-mixed" if cpu_prefers_bf16() else "32-true"


def cpu_prefers_bf16() -> bool:
    """Tell whether this CPU has bfloat16 units that multiply matrices faster than its float32 ones."""
    checks = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    if not any(bool(getattr(torch.cpu, name, lambda: False)()) for name in checks):
        return False
    single = matmul_peak("cpu", torch.float32, 0.05)
    return matmul_peak("cpu", torch.bfloat16, 0.05) > 1.33 * single


def monitored_metric(cfg: Mapping[str, Any]) -> str:
    """Name the validation metric that picks the best weights.

    Parameters
    ----------
    cfg : mapping
        A composed config: ``callbacks.monitor`` comes first, then the task's metric where it is one
        that is computed in validation, then the loss.
    """
    wanted = _plain(cfg.get("callbacks")).get("monitor")
    if wanted:
        return wanted if str(wanted).startswith("validation/") else f"validation/{wanted}"
    task = _plain(cfg.get("task")) or _plain(cfg.get("recipe"))
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
    settings = _plain(cfg.get("trainer"))
    parts = _plain(cfg.get("callbacks"))
    parameters = inspect.signature(pl.Trainer.__init__).parameters
    _refuse_unknown("callbacks", parts, _CALLBACK_KEYS)
    _refuse_unknown(
        "trainer", settings, set(parameters) - {"self", "callbacks", "logger", "precision", "plugins"}
    )
    if monitor == "auto":
        monitor = monitored_metric(cfg)
    mode = mode or parts.get("mode")

    precision = resolve_precision(cfg.get("precision"), str(settings.get("accelerator") or "auto"))
    bar = settings.pop("enable_progress_bar", True) is not False and parts.get("progress", True) is not False
    given = any(isinstance(callback, ProgressBar) for callback in callbacks)
    assembled = build_callbacks(
        parts,
        run_dir,
        monitor=monitor,
        mode=mode,
        title=title,
        record_names=record_names,
        progress=bar and not given,
    )
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
            callbacks=[*assembled, *callbacks],
            logger=build_loggers(cfg.get("logger"), run_dir),
            enable_checkpointing=parts.get("checkpoint", True) is not False,
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
) -> list[pl.Callback]:
    """Build the callbacks of the ``callbacks`` group.

    Returns
    -------
    list of Callback
        In the order in which they must run: the divergence guard before whatever saves.
    """
    found: list[pl.Callback] = []
    if progress:
        found.append(Progress(title=title, every_seconds=float(parts.get("progress_seconds") or 10)))
    guard = parts.get("divergence", True)
    if guard is not None and guard is not False:
        options = dict(guard) if isinstance(guard, Mapping) else {}
        _refuse_unknown("callbacks.divergence", options, _DIVERGENCE_KEYS)
        found.append(DivergenceGuard(record_names=record_names, **options))
    if parts.get("learning_rate"):
        found.append(LearningRateMonitor(logging_interval="step"))
    if monitor:
        mode = mode or metric_mode(monitor)
        if parts.get("early_stopping"):
            found.append(
                EarlyStopping(
                    monitor=monitor,
                    mode=mode,
                    patience=int(parts["early_stopping"]),
                    min_delta=float(parts.get("min_delta") or 0.0),
                    # The guard stops on bad losses and says why; a metric may be undefined for an epoch.
                    check_finite=False,
                )
            )
    from scizoo.config import instantiate

    found += [instantiate(extra) for extra in (parts.get("extra") or {}).values() if extra]
    if parts.get("checkpoint", True) is not False:
        found += _checkpoints(parts, run_dir, monitor, mode)
    return found


def _checkpoints(
    parts: Mapping[str, Any], run_dir: Path, monitor: str | None, mode: str | None
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
        if parts.get("restore_best", True) is not False:
            found.append(RestoreBest(best))
    # Without validation there is no end of one, and an epoch's end takes its place.
    when: dict[str, Any] = {"every_n_epochs": 1, "save_on_train_epoch_end": monitor is None}
    if parts.get("every_n_steps"):
        when = {"every_n_train_steps": int(parts["every_n_steps"])}
    elif parts.get("every_minutes"):
        when = {"train_time_interval": timedelta(minutes=float(parts["every_minutes"]))}
    found.append(
        ModelCheckpoint(dirpath=folder, filename="last", save_top_k=1, enable_version_counter=False, **when)
    )
    return found


def build_loggers(cfg: Any, run_dir: Path) -> list[Logger]:
    """Build the loggers of the ``logger`` group.

    Parameters
    ----------
    cfg : mapping
        Names to descriptions with ``_target_``; null or false leaves one out. ``save_dir`` becomes
        the folder of this run.
    run_dir : Path

    Raises
    ------
    ConfigError
        For a logger whose package is not installed, or one without ``_target_``.
    """
    from scizoo.config import instantiate

    found: list[Logger] = []
    for name, options in _plain(cfg).items():
        if options is None or options is False:
            continue
        if not isinstance(options, Mapping) or "_target_" not in options:
            raise ConfigError(
                f"logger.{name} has no _target_.", expected="a logger of Lightning by its _target_"
            )
        given = dict(options)
        if "save_dir" in given:
            given["save_dir"] = str(run_dir)
        try:
            found.append(instantiate(given))
        except (ModuleNotFoundError, ImportError) as error:
            package = {"mlflow": "mlflow-skinny"}.get(name, name)
            raise ConfigError(
                f"logger={name} needs the package {package}, which is not installed.",
                remedy=f"pip install {package}, or choose logger=default.",
            ) from error
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


def _plain(node: Any) -> dict[str, Any]:
    """Turn a config node into plain dicts; None becomes an empty one."""
    if node is None:
        return {}
    from omegaconf import DictConfig, OmegaConf

    if isinstance(node, DictConfig):
        plain = OmegaConf.to_container(node, resolve=True)
        return {str(key): value for key, value in plain.items()} if isinstance(plain, dict) else {}
    return dict(node)


def _refuse_unknown(group: str, given: Mapping[str, Any], known: Any) -> None:
    for key in given:
        if key not in known:
            raise ConfigError(f"{group}.{key} is unknown: {did_you_mean(str(key), known)}")
