"""Tuning of networks by a stated budget, the same number of trials that every baseline gets."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from scizoo.errors import ConfigError, TrainingError, did_you_mean
from scizoo.evaluation.metrics import STAND_IN, get_metric, score
from scizoo.evaluation.outputs import Outputs

#: What the search may change: the name in ``tuning.search``, and where it stands in the config.
PLACES = {
    "lr": ("optimizer", "lr"),
    "head_lr_multiplier": ("optimizer", "head_lr_multiplier"),
    "weight_decay": ("optimizer", "weight_decay"),
    "layer_decay": ("optimizer", "layer_decay"),
    "epochs": ("trainer", "max_epochs"),
    "batch_size": ("batching", "batch_size"),
}
_KEYS = ("choices", "low", "high", "log", "relative")


def check_search(search: Mapping[str, Any]) -> None:
    """Check a search space before anything is trained.

    Raises
    ------
    ConfigError
        Naming the key that is wrong.
    """
    for name, space in search.items():
        if name not in PLACES:
            raise ConfigError(f"tuning.search.{name} is nothing to tune: {did_you_mean(name, PLACES)}")
        if space is None:
            continue
        for key in space:
            if key not in _KEYS:
                raise ConfigError(f"tuning.search.{name}.{key} is unknown: {did_you_mean(str(key), _KEYS)}")
        if not (space.get("choices") or ("low" in space and "high" in space)):
            raise ConfigError(
                f"tuning.search.{name} names nothing to try.",
                expected="choices: [...], or low and high; null leaves it as it is",
            )


def suggest(trial: Any, search: Mapping[str, Any], cfg: Mapping[str, Any]) -> dict[str, Any]:
    """Suggest settings to try.

    Parameters
    ----------
    trial : optuna.Trial
    search : mapping
        Name (of :data:`PLACES`) to ``{choices: [...]}`` or ``{low, high, log}``; ``relative: true`` makes
        the values factors of what the config says.
    cfg : mapping
        A composed config.

    Returns
    -------
    dict
        Name to value.
    """
    found: dict[str, Any] = {}
    for name, space in search.items():
        if space is None:
            continue
        group, key = PLACES[name]
        if space.get("choices"):
            value: Any = trial.suggest_categorical(name, list(space["choices"]))
        else:
            low, high = float(space["low"]), float(space["high"])
            value = trial.suggest_float(name, low, high, log=bool(space.get("log", False)))
        if space.get("relative"):
            value *= float((cfg.get(group) or {}).get(key) or 1)
        whole = name in ("epochs", "batch_size")
        found[name] = max(1, round(value)) if whole else value
    return found


def filled_in(cfg: Mapping[str, Any], settings: Mapping[str, Any]) -> dict[str, Any]:
    """Give a config with tuned values in their places.

    Parameters
    ----------
    cfg : mapping
    settings : mapping
        Of :func:`suggest`.
    """
    changed = dict(cfg)
    for name, value in settings.items():
        group, key = PLACES[name]
        changed[group] = {**(changed.get(group) or {}), key: value}
    return changed


def enough_steps(cfg: Mapping[str, Any], records: int) -> dict[str, Any]:
    """Lengthen the training where few records would leave it with too few optimizer steps.

    Epochs are added until there are at least ``fit.min_steps`` steps, and validation then comes once every
    few epochs, ``fit.validations`` times in all, so that it does not cost more than the training.

    Parameters
    ----------
    cfg : mapping
        Read are ``fit``, ``batching`` and ``trainer``.
    records : int
        Training records.

    Returns
    -------
    dict
        The config with its ``trainer`` changed where need be. Runs that are limited by ``max_steps`` and
        not by epochs are left alone.
    """
    fit = dict(cfg.get("fit") or {})
    trainer = dict(cfg.get("trainer") or {})
    epochs = int(trainer.get("max_epochs") or -1)
    if epochs < 1 or trainer.get("check_val_every_n_epoch", 1) is None:
        return dict(cfg)
    batching = dict(cfg.get("batching") or {})
    batch = int(batching.get("batch_size") or 0)
    if not batch:  # by tokens: as many records as would fit if all of them were long
        length = int((cfg.get("context") or {}).get("max_length") or 512)
        batch = max(1, int(batching.get("tokens_per_batch") or length) // length)
    batch *= int(trainer.get("accumulate_grad_batches") or 1)
    steps = math.ceil(records / batch)
    epochs = max(epochs, math.ceil(int(fit.get("min_steps") or 0) / steps))
    validations = int(fit.get("validations") or epochs)
    every = max(int(trainer.get("check_val_every_n_epoch") or 1), epochs // max(1, validations))
    # The last epoch must be validated, or its weights could never be the best.
    epochs = math.ceil(epochs / every) * every
    return {**cfg, "trainer": {**trainer, "max_epochs": epochs, "check_val_every_n_epoch": every}}


def merit(metric: str, outputs: Outputs) -> tuple[bool, float, float]:
    """Say how good outputs on validation are, so that a larger tuple is better.

    Parameters
    ----------
    metric : str
    outputs : Outputs

    Returns
    -------
    tuple of (bool, float, float)
        Whether the metric is defined; the metric, turned so that larger is better, or the log loss or
        RMSE in its place where it is undefined; and the metric itself.
    """
    found = get_metric(metric, outputs.kind)
    value = score(found, outputs).value
    if not math.isnan(value):
        return True, found.sign * value, value
    stand_in = get_metric(STAND_IN[outputs.kind])
    return False, stand_in.sign * score(stand_in, outputs).value, value


@dataclass
class Search:
    """What the tuning of a network found.

    Parameters
    ----------
    settings : dict
        The best settings; empty for the config's own.
    key : str
        The cell of the best trial.
    budget : int
        Trials that were allowed.
    trials : list of dict
        Every trial: settings, value, steps, and the reason where it failed.
    """

    settings: dict[str, Any] = field(default_factory=dict)
    key: str = ""
    budget: int = 0
    trials: list[dict[str, Any]] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """Give the plain form for report.json."""
        return dict(self.__dict__)


def search_network(
    attempt: Callable[[dict[str, Any]], tuple[str, dict[str, Any]]],
    cfg: Mapping[str, Any],
    *,
    trials: int,
    seed: int,
) -> Search:
    """Try settings on the validation part; the first are the config's own.

    Parameters
    ----------
    attempt : callable
        Trains with some settings; gives the cell's key and its facts with ``merit`` (see :func:`merit`).
    cfg : mapping
        Read is ``tuning.search``.
    trials : int
        The budget; 0 and 1 take the config's own settings.
    seed : int
        Of the search.

    Returns
    -------
    Search

    Raises
    ------
    TrainingError
        When every trial failed.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=seed))
    space = {k: v for k, v in ((cfg.get("tuning") or {}).get("search") or {}).items() if v}
    found = Search(budget=trials)
    best: tuple[bool, float] | None = None
    failure: TrainingError | None = None
    worst = math.inf
    for number in range(max(1, trials) if space else 1):
        trial = study.ask() if number else None
        settings = suggest(trial, space, cfg) if trial is not None else {}
        try:
            key, facts = attempt(settings)
        except TrainingError as error:  # a learning rate may be too high; that is a result
            failure = error
            found.trials.append({"settings": settings, "value": None, "reason": error.problem})
            if trial is not None:
                study.tell(trial, min(worst, 0.0) - 1e6)
            continue
        defined, value, shown = facts["merit"]
        value = -math.inf if value is None else float(value)
        worst = min(worst, value)
        found.trials.append({"settings": settings, "value": shown, "steps": facts["settings"].get("steps")})
        if best is None or (bool(defined), value) > best:
            best = (bool(defined), value)
            found.settings, found.key = settings, key
        if trial is not None:
            study.tell(trial, value if math.isfinite(value) else -1e9)
    if best is None:
        assert failure is not None
        raise failure
    return found
