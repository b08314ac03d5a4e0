"""The metrics, by name: what each one needs, which way is better, and its value.

The value itself comes from scikit-learn or scipy (:mod:`scizoo.evaluation.scores`). A bootstrap needs it
thousands of times with records counted several times over; that form is vectorised over replicates in
:mod:`scizoo.evaluation.resampled` and is tested to equal the library's value with ``sample_weight``.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from scizoo.errors import ConfigError, did_you_mean
from scizoo.evaluation import decisions, forecasts, ranks, resampled, scores, segmentations
from scizoo.evaluation.outputs import Outputs
from scizoo.evaluation.scores import Undefined

Direction = Literal["higher", "lower"]


@dataclass(frozen=True)
class Metric:
    """One measure of quality.

    Parameters
    ----------
    name : str
        The name in configs, metrics.json and schemas.
    title : str
        As people write it, for tables and sentences.
    direction : str
        ``"higher"`` or ``"lower"``: which is better.
    kinds : tuple of str
        The kinds of task it applies to.
    needs : tuple of str
        The fields of :class:`Outputs` it reads.
    function : callable
        ``function(outputs, weights) -> float``; ``weights`` (N,) or None counts each record so often.
        Raises :class:`Undefined` with the reason when there is no value.
    resample : callable, optional
        ``resample(outputs, weights) -> ndarray (B,)`` for weights (B, N), NaN where undefined. Without
        it, ``function`` is called for every replicate.
    bounds : tuple of float
        The lowest and highest value it can have; no interval passes them.
    binary : bool
        Whether a classification must have two classes.
    """

    name: str
    title: str
    direction: Direction
    kinds: tuple[str, ...]
    needs: tuple[str, ...]
    function: Callable[[Outputs, np.ndarray | None], float]
    resample: Callable[[Outputs, np.ndarray], np.ndarray] | None = None
    bounds: tuple[float, float] = (-math.inf, math.inf)
    binary: bool = False

    @property
    def sign(self) -> float:
        """+1 where higher is better, else -1."""
        return 1.0 if self.direction == "higher" else -1.0


@dataclass(frozen=True)
class Score:
    """A metric's value, or NaN and the reason why there is none."""

    value: float
    reason: str | None = None


METRICS: dict[str, Metric] = {}


def register(metric: Metric) -> Metric:
    """Add a metric, so that configs can name it; a plugin may add its field's own.

    Raises
    ------
    ValueError
        When another metric has this name.
    """
    if METRICS.get(metric.name, metric) != metric:
        raise ValueError(f"there is already a metric named {metric.name!r}")
    METRICS[metric.name] = metric
    return metric


def get_metric(name: str | Metric, kind: str | None = None) -> Metric:
    """Find a metric by name.

    Parameters
    ----------
    name : str or Metric
        A registered name; a Metric is given back as it is.
    kind : str, optional
        The kind of task it must fit.

    Raises
    ------
    ConfigError
        When there is none of this name, or it does not fit the kind of task.
    """
    if isinstance(name, Metric):
        metric = name
    elif name in METRICS:
        metric = METRICS[name]
    elif (found := _at_value(str(name))) is not None:
        metric = found
    else:
        choices = [m.name for m in METRICS.values() if kind is None or kind in m.kinds]
        raise ConfigError(f"there is no metric '{name}'; {did_you_mean(str(name), choices)}")
    if kind is not None and kind not in metric.kinds:
        fitting = ", ".join(m.name for m in METRICS.values() if kind in m.kinds)
        raise ConfigError(
            f"the metric '{metric.name}' does not apply to a {kind} task.", expected=f"one of {fitting}"
        )
    return metric


#: What tunes a model where its metric is undefined on the validation part.
STAND_IN = {
    "classification": "log_loss",
    "multilabel": "mean_brier",
    "regression": "rmse",
    "forecast": "mae",
    "segmentation": "mean_dice",
    "retrieval": "mrr",
}
_DEFAULTS = {
    "classification": ("mcc", "balanced_accuracy", "macro_f1", "auroc", "accuracy", "log_loss", "brier"),
    "tokens": ("macro_f1", "mcc", "accuracy", "log_loss"),
    "multilabel": ("mean_auroc", "mean_auprc", "mean_brier"),
    "regression": ("rmse", "mae", "r2", "spearman", "pearson", "nll"),
    "forecast": ("mase", "wql", "relative", "relative_crps", "smape", "mae", "mse", "crps", "coverage_error"),
    "segmentation": ("mean_dice", "iou", "hd95", "assd"),
    "retrieval": tuple(f"{name}{end}" for end in ("", "_back") for name in ranks.NAMES),
    "language": ("bits_per_token", "perplexity"),
}


def default_metrics(kind: str) -> list[Metric]:
    """Give the metrics that a task of this kind reports unless told otherwise; the main one first."""
    return [METRICS[name] for name in _DEFAULTS[kind]]


def wanted_metrics(metric: str | Metric, outputs: Outputs, further: Iterable[str] = ()) -> list[Metric]:
    """Give the metrics of a table, the main one first.

    Those of the kind follow, further ones by name, and those of decisions where a threshold was chosen.
    """
    found = [get_metric(metric), *default_metrics(outputs.kind)]
    found += [get_metric(name, outputs.kind) for name in further]
    if outputs.thresholds:
        found += [METRICS[name] for name in decisions.AT_THRESHOLD]
    return applicable(dict.fromkeys(found), outputs)


def class_metrics(outputs: Outputs) -> list[Metric]:
    """Give the metrics of each class of a segmentation by itself, such as ``dice_lung``."""
    if outputs.kind != "segmentation":
        return []
    return [
        Metric(
            f"{name}_{label}",
            f"{METRICS[main].title.removeprefix('mean ')} of {label}",
            METRICS[main].direction,
            ("segmentation",),
            METRICS[main].needs,
            segmentations.value(segmentations.of_class(name, place)),
            segmentations.of_class(name, place),
            METRICS[main].bounds,
        )
        for name, main in (("dice", "mean_dice"), ("iou", "iou"), ("hd95", "hd95"), ("assd", "assd"))
        for place, label in enumerate(outputs.classes)
    ]


def _at_value(name: str) -> Metric | None:
    """Give a metric at a stated value, such as ``sensitivity_at_specificity@0.95``."""
    base, _, stated = name.partition("@")
    if base not in decisions.AT_VALUE or not stated:
        return None
    try:
        value = float(stated)
    except ValueError:
        value = math.nan
    if not 0.0 < value < 1.0:
        raise ConfigError(f"the metric '{name}': {stated} is no share.", expected=f"{base}@0.9")
    function = decisions.AT_VALUE[base](value)
    about = METRICS[base]
    title = f"{about.title.partition(' at ')[0]} at {value:.4g} {about.title.rpartition(' ')[2]}"
    return replace(about, name=name, title=title, function=decisions.value(function), resample=function)


def applicable(metrics: Iterable[Metric], outputs: Outputs) -> list[Metric]:
    """Keep the metrics for which these outputs have the kind and the fields, such as a variance."""
    return [
        metric
        for metric in metrics
        if outputs.kind in metric.kinds
        and all(getattr(outputs, need) is not None for need in metric.needs)
        and not (metric.binary and outputs.kind == "classification" and not two_classes(outputs))
    ]


def two_classes(outputs: Outputs) -> bool:
    """Whether each record is of one of two classes."""
    given = outputs.probability
    return outputs.kind == "classification" and given is not None and given.shape[1] == 2


def score(metric: str | Metric, outputs: Outputs, weights: np.ndarray | None = None) -> Score:
    """Compute a metric.

    Parameters
    ----------
    metric : str or Metric
    outputs : Outputs
    weights : ndarray, shape (N,), optional
        How often each record counts.

    Returns
    -------
    Score
        NaN with a reason where the metric has no value, as AUROC on a single class.
    """
    found = get_metric(metric, outputs.kind)
    if len(outputs) == 0:
        return Score(math.nan, "there are no records")
    for need in found.needs:
        if getattr(outputs, need) is None:
            return Score(math.nan, f"the model gives no {need.replace('_', ' ')}")
    with warnings.catch_warnings():
        # scikit-learn warns of classes without records; those are excluded or told as Undefined here.
        warnings.simplefilter("ignore")
        try:
            value = float(found.function(outputs, weights))
        except Undefined as reason:
            return Score(math.nan, str(reason))
    return Score(value) if not math.isnan(value) else Score(value, "it has no value on these records")


def replicate(
    metric: str | Metric, outputs: Outputs, weights: np.ndarray, *, block: int = 4_000_000
) -> np.ndarray:
    """Compute a metric for many ways of counting the records.

    Parameters
    ----------
    metric : str or Metric
    outputs : Outputs
    weights : ndarray, shape (B, N)
        One row a replicate.
    block : int
        How many weights are worked on at once, which bounds the memory.

    Returns
    -------
    ndarray, shape (B,)
        NaN where the metric is undefined in a replicate.
    """
    found = get_metric(metric, outputs.kind)
    if found.resample is None:
        return np.array([score(found, outputs, row).value for row in weights])
    rows = max(1, block // max(1, weights.shape[1]))
    with np.errstate(divide="ignore", invalid="ignore"):
        parts = [
            found.resample(outputs, np.asarray(weights[start : start + rows], dtype=np.float64))
            for start in range(0, len(weights), rows)
        ]
    return np.concatenate(parts) if parts else np.empty(0)


_SHARE, _SIGNED, _POSITIVE = (0.0, 1.0), (-1.0, 1.0), (0.0, math.inf)
_BOUNDS = {
    **dict.fromkeys(("accuracy", "balanced_accuracy", "macro_f1", "mean_brier"), _SHARE),
    **dict.fromkeys(("auroc", "auprc", "mean_auroc", "mean_auprc"), _SHARE),
    **dict.fromkeys(("mcc", "pearson", "spearman"), _SIGNED),
    **dict.fromkeys(("log_loss", "rmse", "mae", "mse", "mase", "wql", "crps"), _POSITIVE),
    **dict.fromkeys(("relative", "relative_crps"), forecasts.RATIOS),
    "smape": (0.0, 200.0),
    "coverage_error": _SHARE,
    "brier": (0.0, 2.0),
    "r2": (-math.inf, 1.0),
    "bits_per_token": _POSITIVE,
    "perplexity": (1.0, math.inf),
    **{f"{name}{end}": _SHARE for name in ranks.NAMES for end in ("", "_back")},
    **dict.fromkeys(("median_rank", "median_rank_back"), (1.0, math.inf)),
}
_BOUNDS |= dict.fromkeys(("mean_dice", "iou", *decisions.AT_THRESHOLD, *decisions.AT_VALUE), _SHARE)
_BOUNDS |= dict.fromkeys(("hd95", "assd"), _POSITIVE)
_CLASS = ("classification", "tokens")
_LABELS = ("classification", "multilabel")
_MAPS = ("intersection", "predicted_size")
_FORECAST, _Q = ("forecast",), ("quantiles",)
_P = ("probability",)
for _metric in (
    Metric("accuracy", "accuracy", "higher", _CLASS, _P, scores.accuracy, resampled.accuracy),
    Metric(
        "balanced_accuracy",
        "balanced accuracy",
        "higher",
        _CLASS,
        _P,
        scores.balanced_accuracy,
        resampled.balanced_accuracy,
    ),
    Metric("mcc", "MCC", "higher", _CLASS, _P, scores.mcc, resampled.mcc),
    Metric("macro_f1", "macro F1", "higher", _CLASS, _P, scores.macro_f1, resampled.macro_f1),
    Metric("auroc", "AUROC", "higher", _CLASS, _P, scores.auroc, resampled.auroc),
    Metric("auprc", "AUPRC", "higher", _CLASS, _P, scores.auprc, resampled.auprc),
    Metric("log_loss", "log loss", "lower", _CLASS, _P, scores.log_loss, resampled.log_loss),
    Metric("brier", "Brier score", "lower", _CLASS, _P, scores.brier, resampled.brier),
    Metric(
        "mean_auroc",
        "mean AUROC",
        "higher",
        ("multilabel",),
        _P,
        scores.mean_auroc,
        resampled.mean_auroc,
    ),
    Metric(
        "mean_auprc",
        "mean AUPRC",
        "higher",
        ("multilabel",),
        _P,
        scores.mean_auprc,
        resampled.mean_auprc,
    ),
    Metric(
        "mean_brier",
        "mean Brier score",
        "lower",
        ("multilabel",),
        _P,
        scores.mean_brier,
        resampled.mean_brier,
    ),
    Metric("rmse", "RMSE", "lower", ("regression",), ("mean",), scores.rmse, resampled.rmse),
    Metric("mae", "MAE", "lower", ("regression", "forecast"), ("point",), scores.mae, resampled.mae),
    Metric("r2", "R²", "higher", ("regression",), ("mean",), scores.r2, resampled.r2),
    Metric("pearson", "Pearson's r", "higher", ("regression",), ("mean",), scores.pearson, resampled.pearson),
    Metric(
        "spearman", "Spearman's ρ", "higher", ("regression",), ("mean",), scores.spearman, resampled.spearman
    ),
    Metric(
        "nll",
        "negative log-likelihood",
        "lower",
        ("regression",),
        ("mean", "variance"),
        scores.nll,
        resampled.nll,
    ),
    *(
        Metric(name, title, "lower", _FORECAST, needs, forecasts.value(function), function)
        for name, title, needs, function in (
            ("mase", "MASE", ("quantiles", "scale"), forecasts.mase),
            ("wql", "WQL", _Q, forecasts.wql),
            ("relative", "relative MAE", ("quantiles", "naive"), forecasts.relative),
            ("relative_crps", "relative CRPS", ("quantiles", "naive"), forecasts.relative_crps),
            ("smape", "sMAPE", _Q, forecasts.smape),
            ("mse", "MSE", _Q, forecasts.mse),
            ("crps", "CRPS", _Q, forecasts.crps),
            ("coverage_error", "coverage error", _Q, forecasts.coverage_error),
        )
    ),
    *(
        Metric(
            name,
            title,
            "lower" if table in ("hd95", "assd") else "higher",
            ("segmentation",),
            needs,
            segmentations.value(segmentations.mean_of(table)),
            segmentations.mean_of(table),
        )
        for name, title, needs, table in (
            ("mean_dice", "mean Dice", _MAPS, "dice"),
            ("iou", "mean IoU", _MAPS, "iou"),
            ("hd95", "HD95", ("hd95",), "hd95"),
            ("assd", "ASSD", ("assd",), "assd"),
        )
    ),
    *(
        Metric(name, title, "higher", _LABELS, _P, decisions.value(function), function, binary=True)
        for name, title, function in (
            ("sensitivity", "sensitivity", decisions.AT_THRESHOLD["sensitivity"]),
            ("specificity", "specificity", decisions.AT_THRESHOLD["specificity"]),
            ("ppv", "PPV", decisions.AT_THRESHOLD["ppv"]),
            ("npv", "NPV", decisions.AT_THRESHOLD["npv"]),
            ("f1", "F1 of the positive class", decisions.AT_THRESHOLD["f1"]),
            (
                "sensitivity_at_specificity",
                "sensitivity at 0.9 specificity",
                decisions.AT_VALUE["sensitivity_at_specificity"](0.9),
            ),
            (
                "specificity_at_sensitivity",
                "specificity at 0.9 sensitivity",
                decisions.AT_VALUE["specificity_at_sensitivity"](0.9),
            ),
        )
    ),
    *(
        Metric(
            f"{name}{end}", f"{title}{words}", direction, ("retrieval",), ("ranks",), ranks.single(one), one
        )
        for way, (end, words) in enumerate((("", ""), ("_back", " of queries")))
        for name, title, direction, one in ranks.measures(way)
    ),
    Metric(
        "bits_per_token",
        "bits per token",
        "lower",
        ("language",),
        ("log_likelihood", "tokens"),
        scores.bits_per_token,
        resampled.bits_per_token,
    ),
    Metric(
        "perplexity",
        "perplexity",
        "lower",
        ("language",),
        ("log_likelihood", "tokens"),
        scores.perplexity,
        resampled.perplexity,
    ),
):
    register(replace(_metric, bounds=_BOUNDS.get(_metric.name, _metric.bounds)))
