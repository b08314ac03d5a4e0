"""Run a Hydra job: check its config, make its run directory, keep command, config and log there."""

from __future__ import annotations

import csv
import importlib
import json
import logging
import numbers
import os
import shlex
import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scizoo import plugins
from scizoo.config import check_allowed, targets, to_plain
from scizoo.errors import ConfigError, ScizooError
from scizoo.files import machine_fault, machine_faults, write_json, write_text
from scizoo.jobs.naming import is_checkpoint, short_name
from scizoo.overrides import Overrides, clear_groups, group_of

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from scizoo.cli import Command

logger = logging.getLogger("scizoo")

#: Tells the further ranks of a distributed job which run directory is theirs.
RUN_DIR_VARIABLE = "SCIZOO_RUN_DIR"

_OWN_FILES = {"command.txt", "config.yaml", "run.log"}


def main(command: Command) -> int:
    """Run one job, or with ``-m`` one for each combination, and print the run directory last.

    Raises
    ------
    ScizooError
        When the config is wrong or the job fails.
    """
    verb = str(command.verb)
    sweep = "--multirun" in command.flags
    name, words = command.name(), list(command.overrides)
    checkpoint = is_checkpoint(verb, name)
    if checkpoint:
        if any(word.partition("=")[0] == "checkpoint" for word in words):
            raise ConfigError(f"the checkpoint is named twice: '{name}' and in {' '.join(words)}.")
        words = [f"checkpoint={name}", *words]
    overrides = Overrides.parse(verb, None if checkpoint else name, words, sweep=sweep)
    named = (
        checkpoint
        or overrides.name is not None
        or (sweep and any(o.key_or_group == group_of(verb) for o in overrides.parsed))
    )
    if not named:
        group = group_of(verb)
        raise ConfigError(
            f"{verb} needs the name of a {group}.",
            expected=f"scizoo {verb} NAME [key=value ...]",
            remedy=f"choose from {', '.join(plugins.options(group)) or 'none: no domain is installed'}.",
        )
    cfg = overrides.compose()
    if sweep:
        folder = _sweep(verb, cfg, overrides, command)
    else:
        check(cfg)
        title = str(name) if checkpoint else str(overrides.name)
        folder = new_run_dir(cfg.get("run_dir"), verb, short_name(title) if checkpoint else title)
        arguments = [verb, title, *command.overrides]
        execute(verb, cfg, folder, [*arguments, *_conf_flags(command)])
    if rank() == 0:
        print(folder)
    return 0


def check(cfg: DictConfig) -> None:
    """Check what can be checked without importing anything.

    Raises
    ------
    ConfigError
        For a missing value, an interpolation that leads nowhere or a ``_target_`` outside the allow-list.
    """
    for key, node in targets(to_plain(cfg)):
        check_allowed(str(node["_target_"]), f"{key}._target_" if key else "_target_")


def rank() -> int:
    """Return this process's rank in a distributed job, 0 when it is the only one or the first."""
    names: tuple[str, ...] = (
        ("RANK",) if "RANK" in os.environ else ("SLURM_PROCID", "NODE_RANK", "LOCAL_RANK")
    )
    if "SLURM_STEP_ID" not in os.environ and "RANK" not in os.environ:
        names = ("NODE_RANK", "LOCAL_RANK")
    return max((int(value) for name in names if (value := os.environ.get(name, "")).isdigit()), default=0)


def _launch_id() -> str | None:
    """Return what the ranks of a job started from outside (torchrun, srun) have in common."""
    if int(os.environ.get("SLURM_STEP_NUM_TASKS") or 1) > 1:
        keys = ("SLURM_JOB_ID", "SLURM_STEP_ID", "SLURM_RESTART_COUNT")
        return "-".join(["slurm", *(os.environ[key] for key in keys if os.environ.get(key))])
    if "RANK" in os.environ and int(os.environ.get("WORLD_SIZE") or 1) > 1:
        shared = os.environ.get("TORCHELASTIC_RUN_ID", "none")
        return None if shared == "none" else f"torchrun-{shared}"
    return ""


def new_run_dir(given: str | None, verb: str, name: str) -> Path:
    """Make a run directory that no other run has or will get.

    Parameters
    ----------
    given : str or None
        ``run_dir`` of the config; None makes ``runs/VERB/NAME/TIME``.
    verb, name : str
        Of the job.

    Returns
    -------
    Path
        A new, empty folder; for further ranks of a distributed job the first rank's.

    Raises
    ------
    ConfigError
        When the folder that was asked for is taken.
    """
    follower, shared = rank() > 0, _launch_id()
    if follower and os.environ.get(RUN_DIR_VARIABLE):
        return Path(os.environ[RUN_DIR_VARIABLE])
    if given is None and shared is None:
        raise ConfigError(
            "torchrun started several processes that cannot agree on a run directory.",
            remedy="add run_dir=FOLDER, or give torchrun an --rdzv-id.",
        )
    stamp = shared or datetime.now().strftime("%Y-%m-%d_%H-%M-%S-%f")
    folder = Path(given).expanduser() if given else Path("runs", verb, name, stamp)
    with machine_faults(folder):
        try:
            if given and folder.is_dir() and not any(folder.iterdir()):
                return folder
            while not (given or shared) and folder.exists():
                folder = folder.with_name(f"{folder.name}x")
            folder.mkdir(parents=True, exist_ok=follower)
        except FileExistsError as error:
            raise ConfigError(
                f"run_dir={folder} exists already; a run never writes over another.",
                remedy="name another folder, or leave run_dir out.",
            ) from error
        except PermissionError as error:
            raise ConfigError(
                f"the run directory {folder} cannot be made: {error.strerror}.",
                remedy="name a folder that you may write to with run_dir=FOLDER.",
            ) from error
    return folder


def execute(verb: str, cfg: DictConfig, folder: Path, arguments: Sequence[str]) -> dict[str, Any] | None:
    """Run a checked job in its run directory.

    Parameters
    ----------
    verb : str
        Names the module ``scizoo.jobs.VERB``, whose ``run(cfg, run_dir)`` does the work.
    cfg : DictConfig
        The composed config; its ``run_dir`` is set here.
    folder : Path
        The run directory, which exists.
    arguments : sequence of str
        The words after ``scizoo`` that start just this job.

    Returns
    -------
    dict or None
        What the job reports of itself.
    """
    from omegaconf import OmegaConf, open_dict

    with open_dict(cfg):
        cfg.run_dir = str(folder)
    if rank() == 0:
        write_text(folder / "command.txt", shlex.join(["scizoo", *arguments]) + "\n")
        write_text(folder / "config.yaml", OmegaConf.to_yaml(cfg, resolve=True))
    os.environ[RUN_DIR_VARIABLE] = str(folder.absolute())
    with machine_faults(folder), _log(folder), _started_as(arguments):
        try:
            result = importlib.import_module(f"scizoo.jobs.{verb}").run(cfg, folder)
        except BaseException as error:
            logger.debug("the run failed", exc_info=True)
            _tidy(folder, error)
            raise
    if rank() == 0 and result:
        write_json(folder / "result.json", {key: value for key, value in result.items() if _plain(value)})
    return dict(result) if result else None


def _plain(value: Any) -> bool:
    if isinstance(value, float):
        return value == value and abs(value) != float("inf")
    return value is None or isinstance(value, str | bool | int)


def _tidy(folder: Path, error: BaseException) -> None:
    """Remove the run directory of a refused input, unless the job has left something to read in it."""
    refused = isinstance(error, ScizooError) and error.exit_status == 2
    if rank() == 0 and refused and {path.name for path in folder.iterdir()} <= _OWN_FILES:
        logging.shutdown()
        for path in folder.iterdir():
            path.unlink()
        folder.rmdir()
        with suppress(OSError):  # parents that hold other runs stay
            for parent in folder.parents[: len(folder.parts) - 1] if folder.parts[0] == "runs" else ():
                parent.rmdir()


class _LogFile(logging.FileHandler):
    """A log that ends the run when the disk is full, where logging's own prints a trace a line."""

    def handleError(self, record: logging.LogRecord) -> None:
        error = sys.exc_info()[1]
        if error is not None and machine_fault(error):
            raise error
        super().handleError(record)


@contextmanager
def _log(folder: Path) -> Iterator[None]:
    """Send the log to ``run.log``, and scizoo's own lines to the terminal as well."""
    if rank() > 0:
        yield
        return
    root = logging.getLogger()
    file = _LogFile(folder / "run.log", encoding="utf-8", delay=True)
    file.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    terminal = logging.StreamHandler()
    terminal.setLevel(logging.INFO)
    terminal.setFormatter(logging.Formatter("%(message)s"))
    # scizoo itself and every plugin; what libraries have to say goes to the file alone.
    terminal.addFilter(lambda line: line.name.partition(".")[0] in ours)
    before = root.level, logger.level
    ours = {logger.name, *plugins.installed().values()}
    root.setLevel(logging.INFO)
    logger.setLevel(logging.DEBUG)
    root.addHandler(file)
    root.addHandler(terminal)
    try:
        logging.captureWarnings(True)
        warnings.simplefilter("default", UserWarning)
        logger.debug("started")
        yield
    finally:
        logging.captureWarnings(False)
        root.removeHandler(terminal)
        root.removeHandler(file)
        file.close()
        root.setLevel(before[0])
        logger.setLevel(before[1])


@contextmanager
def _started_as(arguments: Sequence[str]) -> Iterator[None]:
    """Let the process look as if it had been started for this job alone.

    Lightning starts the further ranks of a job from ``sys.argv``, and differently inside Hydra.
    """
    from hydra.core.hydra_config import HydraConfig

    script = str(Path(__file__).parents[1] / "__main__.py")
    argv, sys.argv = sys.argv, [script, *arguments]
    hydra, HydraConfig.instance().cfg = HydraConfig.instance().cfg, None
    try:
        yield
    finally:
        sys.argv = argv
        HydraConfig.instance().cfg = hydra


def _conf_flags(command: Command) -> list[str]:
    return [word for folder in command.config_dirs for word in ("--config-dir", str(Path(folder).absolute()))]


def _sweep(verb: str, cfg: DictConfig, overrides: Overrides, command: Command) -> Path:
    """Hand a sweep to Hydra's sweeper and launcher."""
    import hydra

    words = overrides.sweep_words("run_dir")
    folder = new_run_dir(cfg.get("run_dir"), verb, overrides.name or "sweep")
    write_text(folder / "command.txt", shlex.join(["scizoo", verb, *command.overrides, "-m"]) + "\n")
    settings = [
        f"hydra.sweep.dir='{folder}'",
        "hydra.sweep.subdir=${hydra.job.num}",
        "hydra.job.chdir=false",
        "hydra.output_subdir=null",
        "hydra/job_logging=none",
    ]
    argv, full = sys.argv, os.environ.get("HYDRA_FULL_ERROR")
    sys.argv = [argv[0], *settings, *words, "--multirun"]
    os.environ["HYDRA_FULL_ERROR"] = "1"  # errors come back as they are; the command words them
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    try:
        hydra.main(str(plugins.core_conf_dir()), config_name=verb, version_base="1.3")(sweep_job)()
    finally:
        # Hydra leaves its own handlers behind, on streams that the caller may close.
        root.handlers[:] = handlers
        root.setLevel(level)
        sys.argv = argv
        if full is None:
            del os.environ["HYDRA_FULL_ERROR"]
    _collect(folder)
    return folder


def sweep_job(cfg: DictConfig) -> float | None:
    """Run one job of a sweep; what it reports as ``objective`` is what a sweeper optimises."""
    from hydra.core.hydra_config import HydraConfig

    hydra = HydraConfig.get()
    verb, folder = str(hydra.job.config_name), Path(hydra.runtime.output_dir)
    words = [str(word) for word in hydra.overrides.task]
    flags = [word for path in plugins.user_conf_dirs for word in ("--config-dir", str(path))]
    if folder.is_relative_to(Path.cwd()):
        folder = folder.relative_to(Path.cwd())
    cfg.run_dir = str(folder)
    clear_groups(cfg, words)
    check(cfg)
    result = execute(verb, cfg, folder, [verb, *words, *flags])
    value = (result or {}).get("objective")
    return float(value) if isinstance(value, numbers.Real) else None


def _collect(folder: Path) -> None:
    """Write ``sweep.csv``: one row a job with its command and what it reported."""
    rows: list[Mapping[str, Any]] = []
    for job in sorted((p for p in folder.iterdir() if p.is_dir()), key=lambda p: (len(p.name), p.name)):
        command, result = job / "command.txt", job / "result.json"
        row: dict[str, Any] = {"job": job.name}
        row["command"] = command.read_text(encoding="utf-8").strip() if command.exists() else ""
        rows.append(row | (json.loads(result.read_text(encoding="utf-8")) if result.exists() else {}))
    columns = list(dict.fromkeys(name for row in rows for name in row))
    with (folder / "sweep.csv").open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, columns)
        writer.writeheader()
        writer.writerows(rows)
