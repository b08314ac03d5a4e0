"""The loggers of a run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import Logger

from scizoo.errors import ConfigError, did_you_mean
from scizoo.training.settings import plain

LOGGERS = ("csv", "tensorboard", "wandb", "mlflow")


def build_loggers(cfg: Any, run_dir: Path) -> list[Logger]:
    """Build the loggers of the ``logger`` group.

    Parameters
    ----------
    cfg : mapping
        Names (``csv``, ``tensorboard``, ``wandb``, ``mlflow``, or any name with a ``_target_``) to
        options; null or false leaves one out.
    run_dir : Path
        Files go to ``run_dir/logs``.

    Raises
    ------
    ConfigError
        For an unknown logger or option, or one whose package is not installed.
    """
    found: list[Logger] = []
    for name, options in plain(cfg).items():
        if options is None or options is False:
            continue
        given = dict(options) if isinstance(options, Mapping) else {}
        if name not in LOGGERS and "_target_" not in given:
            raise ConfigError(f"logger.{name} is unknown: {did_you_mean(name, LOGGERS)}")
        try:
            found.append(_logger(name, given, run_dir))
        except ImportError as error:
            package = {"mlflow": "mlflow-skinny"}.get(name, name)
            raise ConfigError(
                f"logger={name} needs the package {package}, which is not installed.",
                remedy=f"pip install {package}, or choose logger=default.",
            ) from error
        except TypeError as error:
            raise ConfigError(f"logger.{name} has an option it does not know: {error}") from error
    return found


def _logger(name: str, given: dict[str, Any], run_dir: Path) -> Logger:
    from lightning.pytorch import loggers

    from scizoo.config import instantiate

    if "_target_" in given:
        return instantiate(given)
    if name == "csv":
        return loggers.CSVLogger(str(run_dir), name="logs", version="", **given)
    if name == "tensorboard":
        return loggers.TensorBoardLogger(str(run_dir), name="logs", version="tensorboard", **given)
    if name == "wandb":
        return loggers.WandbLogger(save_dir=str(run_dir), **given)
    return loggers.MLFlowLogger(**given)
