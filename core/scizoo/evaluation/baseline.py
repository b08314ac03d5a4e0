"""Classical baselines: the contract that a domain fills in, two floors, and tuning by a stated budget."""

from __future__ import annotations

import math
import time
from abc import ABC
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, clone

from scizoo.data.records import Record
from scizoo.errors import ConfigError, TrainingError
from scizoo.evaluation.floor import FloorForecast
from scizoo.evaluation.map_statistics import map_outputs
from scizoo.evaluation.metrics import STAND_IN, Metric, get_metric, score
from scizoo.evaluation.outputs import Outputs, meta_columns
from scizoo.evaluation.ranks import PoolSettings, ranker_outputs


class Baseline(BaseEstimator, ABC):
    """A field's classical method, with scikit-learn's manners.

    A subclass takes its settings as keyword arguments and stores each under its own name, so that
    ``get_params`` and ``clone`` work. It implements ``fit`` and either ``predict_proba``
    (classification: one column for each of ``classes_``; multilabel: one a label), ``predict``
    (regression; a method ``predict_variance`` may stand beside it), or ``predict_quantiles(records,
    levels)`` (forecast: (N, H, Q), in the series' own units, for the H steps that ``fit`` saw targets of).
    Of label maps it implements ``predict_maps(records, shapes)``, which gives maps (H, W) of class numbers
    one by one; ``fit`` is given them as a sequence, -100 where a pixel does not count. Retrieval has
    a base of its own, :class:`~scizoo.evaluation.rankers.RankBaseline`. The floor of a forecast also
    implements ``error_scale(records)``; see :mod:`scizoo.evaluation.floor`.

    Attributes
    ----------
    title : str
        The name that people read, such as ``"the k-mer baseline"``.
    learns : bool
        Whether its predictions depend on the training records. One that does not, such as a forecast of
        each series from its own history, is computed once for all label budgets and seeds.
    classes_ : ndarray of int
        Set by ``fit`` for classification: the class number of each column of ``predict_proba``. With
        few labels some classes may be absent; the core fills in their columns.
    """

    title: str = "the baseline"
    learns: bool = True

    def fit(
        self, records: Sequence[Record], targets: np.ndarray, groups: np.ndarray | None = None
    ) -> Baseline:
        """Learn from labelled records.

        Parameters
        ----------
        records : sequence of Record
        targets : ndarray
            Encoded as in :class:`~scizoo.evaluation.outputs.Outputs`.
        groups : ndarray of str, optional
            For cross-validation inside the training part.

        Returns
        -------
        Baseline
            Itself.
        """
        raise TypeError(f"{type(self).__name__} lacks fit")

    def search_space(self, trial: Any) -> dict[str, Any]:
        """Suggest settings to try; a baseline without any is not tuned.

        Parameters
        ----------
        trial : optuna.Trial
            Asked for values, as in ``trial.suggest_float("C", 1e-3, 1e3, log=True)``.

        Returns
        -------
        dict
            Settings for ``set_params``.
        """
        return {}


class MajorityBaseline(Baseline):
    """Predicts how often each class (or label) occurred in training, whatever the record."""

    title = "the majority class"

    def fit(
        self, records: Sequence[Record], targets: np.ndarray, groups: np.ndarray | None = None
    ) -> MajorityBaseline:
        """Count classes or labels; see :meth:`Baseline.fit`."""
        targets = np.asarray(targets)
        if targets.ndim == 1:
            self.classes_, counts = np.unique(targets, return_counts=True)
            self.share_ = counts / counts.sum()
        else:
            known = (~np.isnan(targets)).sum(axis=0)
            positives = np.nansum(targets, axis=0)
            self.share_ = (positives + 0.5) / (known + 1)
        return self

    def predict_proba(self, records: Sequence[Record]) -> np.ndarray:
        """Give the same probabilities for every record."""
        return np.tile(self.share_, (len(records), 1))


class MeanBaseline(Baseline):
    """Predicts the training mean and variance, whatever the record."""

    title = "the training mean"

    def fit(
        self, records: Sequence[Record], targets: np.ndarray, groups: np.ndarray | None = None
    ) -> MeanBaseline:
        """Take mean and variance; see :meth:`Baseline.fit`."""
        columns = np.asarray(targets, dtype=float).reshape(len(targets), -1)
        self.mean_, self.variance_ = np.nanmean(columns, axis=0), np.nanvar(columns, axis=0)
        return self

    def predict(self, records: Sequence[Record]) -> np.ndarray:
        """Give the mean for every record."""
        return np.tile(self.mean_, (len(records), 1))

    def predict_variance(self, records: Sequence[Record]) -> np.ndarray:
        """Give the variance for every record."""
        return np.tile(self.variance_, (len(records), 1))


def baseline_outputs(
    baseline: Any,
    records: Sequence[Record],
    targets: Any,
    groups: np.ndarray,
    *,
    kind: str,
    classes: Sequence[str] = (),
    levels: Sequence[float] = (),
    pool: PoolSettings | None = None,
) -> Outputs:
    """Let a fitted baseline predict, in the form in which everything is judged.

    Parameters
    ----------
    baseline : Baseline
        Or anything with scikit-learn's ``predict_proba`` or ``predict`` over records.
    records : sequence of Record
    targets : ndarray or LabelMaps
        Encoded truth.
    groups : ndarray of str
        The group of each record, as in the split.
    kind : str
        Kind of task.
    classes : sequence of str
        Names of all classes, labels or targets.
    levels : sequence of float
        Of the quantiles of a forecast.
    pool : PoolSettings, optional
        Of the candidates of retrieval.

    Returns
    -------
    Outputs

    Raises
    ------
    TrainingError
        When the baseline gives an array of the wrong shape, naming it.
    """
    if kind == "retrieval":
        if not callable(getattr(baseline, "scores", None)):
            raise ConfigError(
                f"the baseline {type(baseline).__name__} ranks no documents.",
                expected="a subclass of scizoo.evaluation.rankers.RankBaseline",
            )
        return ranker_outputs(baseline, records, targets, groups, pool or PoolSettings())
    fields: dict[str, Any] = {}
    shape: tuple[int, ...]
    if kind == "segmentation":
        shapes = [tuple(np.shape(source)) for source in targets.sources]
        maps = enumerate(baseline.predict_maps(records, shapes))
        return map_outputs(targets.target, records, groups, targets, maps)
    if kind in ("classification", "multilabel"):
        probability = np.asarray(baseline.predict_proba(records), dtype=float)
        if kind == "classification":
            probability = _spread(baseline, probability, len(classes))
        fields["probability"] = probability
        shape, axes = (len(records), len(classes)), "a row a record, a column a class"
    elif kind == "regression":
        fields["mean"] = np.asarray(baseline.predict(records), dtype=float).reshape(len(records), -1)
        if callable(getattr(baseline, "predict_variance", None)):
            variance = np.asarray(baseline.predict_variance(records), dtype=float)
            fields["variance"] = np.maximum(variance.reshape(len(records), -1), 1e-12)
        shape = np.asarray(targets).reshape(len(records), -1).shape
        axes = "a row a record, a column a target"
    elif kind == "forecast":
        # Sorted, quantiles that cross come nearer to the true ones (Chernozhukov et al. 2010).
        given = np.asarray(baseline.predict_quantiles(records, tuple(levels)), dtype=float)
        fields["quantiles"] = np.sort(given, axis=-1)
        shape, axes = (*np.asarray(targets).shape, len(levels)), "(records, steps ahead, levels)"
    else:
        raise ConfigError(
            "baselines are for classes, labels, quantities, forecasts, label maps and retrieval, "
            f"not for {kind}."
        )
    for name, value in fields.items():
        if value.shape != shape:
            raise TrainingError(
                f"the baseline {type(baseline).__name__} gave {name} of the shape {value.shape}.",
                expected=f"{shape}: {axes}",
            )
    return Outputs(
        ids=np.array([record.id for record in records], dtype=str),
        groups=groups,
        targets=targets,
        kind=kind,
        classes=tuple(classes),
        levels=tuple(levels) if kind == "forecast" else (),
        meta=meta_columns([record.meta for record in records]),
        **fields,
    )


def _spread(baseline: Any, probability: np.ndarray, count: int) -> np.ndarray:
    """Put columns where their classes belong; classes not seen in training get none."""
    seen = getattr(baseline, "classes_", None)
    if seen is None or probability.ndim != 2:
        return probability
    seen = np.asarray(seen).astype(int)
    if probability.shape[1] != len(seen) or seen.max(initial=0) >= count:
        return probability  # the caller refuses it by its shape
    whole = np.zeros((len(probability), count))
    whole[:, seen] = probability
    return whole


@dataclass
class Tuned:
    """A tuned and fitted baseline, and how it came to be.

    Parameters
    ----------
    baseline : Baseline
        Fitted on the training part with the best settings.
    settings : dict
        The settings tuning chose; empty when nothing was tuned.
    value : float
        The metric on the validation part.
    metric : str
    trials : list of dict
        Every trial: settings, value, seconds, and its reason where it has no value.
    budget : int
        Trials that were allowed.
    seconds : float
    note : str, optional
        Why it was not tuned, where it was not.
    """

    baseline: Any
    settings: dict[str, Any]
    value: float
    metric: str
    trials: list[dict[str, Any]] = field(default_factory=list)
    budget: int = 0
    seconds: float = 0.0
    note: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Give the plain form for report.json."""
        facts = dict(self.__dict__)
        del facts["baseline"]
        return {"name": type(self.baseline).__name__, **facts}


@dataclass(frozen=True)
class Labelled:
    """Records of one part with their encoded truth.

    Parameters
    ----------
    records : sequence of Record
    targets : ndarray or LabelMaps
    groups : ndarray of str
    floor : FloorForecast, optional
        What forecasts of these records are told relative to.
    """

    records: Sequence[Record]
    targets: Any
    groups: np.ndarray
    floor: FloorForecast | None = None

    def take(self, rows: np.ndarray) -> Labelled:
        """Give some rows, as for a label budget."""
        floor = None if self.floor is None else self.floor.take(rows)
        return Labelled([self.records[row] for row in rows], self.targets[rows], self.groups[rows], floor)


def tune(
    baseline: Any,
    train: Labelled,
    validation: Labelled,
    *,
    kind: str,
    classes: Sequence[str] = (),
    levels: Sequence[float] = (),
    pool: PoolSettings | None = None,
    metric: str | Metric,
    n_trials: int = 20,
    seed: int = 0,
    progress: Callable[[int, float], None] | None = None,
) -> Tuned:
    """Tune a baseline on the validation part with Optuna, by the budget every contender gets.

    The first trial is the baseline's own defaults, so tuning never ends below them on validation. The
    baseline is fitted on the training part alone, as the network is.

    Parameters
    ----------
    baseline : Baseline
        A prototype; it is cloned, never changed.
    train, validation : Labelled
    kind, classes, levels, pool
        As in :func:`baseline_outputs`.
    metric : str or Metric
        What is optimised; where it is undefined on validation, :data:`STAND_IN` says what stands in.
    n_trials : int
        The budget; 0 takes the defaults.
    seed : int
        Of the search, and of the baseline where it has a setting ``seed`` or ``random_state``.
    progress : callable, optional
        Told the number of each finished trial and its value.

    Returns
    -------
    Tuned
    """
    import optuna

    found = get_metric(metric, kind)
    stand_in = get_metric(STAND_IN[kind], kind)
    start = time.monotonic()
    trials: list[dict[str, Any]] = []
    # The best so far, by the metric where it is defined; by the stand-in where it never is.
    best: tuple[bool, float] = (False, -math.inf)
    tuned = Tuned(None, {}, math.nan, found.name, trials, n_trials)

    def attempt(settings: dict[str, Any]) -> float:
        nonlocal best
        begun = time.monotonic()
        candidate = _seeded(clone(baseline), seed).set_params(**settings)
        candidate.fit(train.records, train.targets, train.groups)
        outputs = baseline_outputs(
            candidate,
            validation.records,
            validation.targets,
            validation.groups,
            kind=kind,
            classes=classes,
            levels=levels,
            pool=pool,
        )
        if validation.floor is not None:
            outputs = validation.floor.beside(outputs)
        result = score(found, outputs)
        defined = not math.isnan(result.value)
        merit = found.sign * result.value if defined else stand_in.sign * score(stand_in, outputs).value
        if tuned.baseline is None or (defined, merit) > best:
            best = (defined, merit)
            tuned.baseline, tuned.settings, tuned.value = candidate, settings, result.value
        trials.append(
            {
                "settings": settings,
                "value": result.value,
                "reason": result.reason,
                "seconds": time.monotonic() - begun,
            }
        )
        if progress is not None:
            progress(len(trials), result.value)
        return merit

    default_merit = attempt({})
    if n_trials <= 1:
        tuned.note = "not tuned: the budget allows one trial" if n_trials == 1 else "not tuned: no budget"
    else:
        _search(baseline, attempt, default_merit, n_trials - 1, seed, tuned, optuna)
    tuned.seconds = time.monotonic() - start
    return tuned


def _search(
    baseline: Any,
    attempt: Callable[[dict], float],
    default: float,
    left: int,
    seed: int,
    tuned: Tuned,
    optuna: Any,
) -> None:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=seed))
    for _ in range(left):
        trial = study.ask()
        space = getattr(baseline, "search_space", None)
        settings = dict(space(trial)) if callable(space) else {}
        if not settings:
            tuned.note = "not tuned: it has no settings to tune"
            return
        merit = attempt(settings)
        study.tell(trial, merit if math.isfinite(merit) else min(default, 0.0) - 1e6)


def _seeded(baseline: Any, seed: int) -> Any:
    known = baseline.get_params(deep=False)
    return baseline.set_params(**{name: seed for name in ("seed", "random_state") if name in known})


def choose(values: dict[str, float], metric: str | Metric) -> str:
    """Choose the best contender by its value on validation, never on test.

    Parameters
    ----------
    values : dict of str to float
        Validation value of each contender; NaN loses to any number.
    metric : str or Metric

    Returns
    -------
    str
        Its name; the first of equals.
    """
    if not values:
        raise ValueError("nothing to choose from")
    sign = get_metric(metric).sign
    return max(values, key=lambda name: -math.inf if math.isnan(values[name]) else sign * values[name])
