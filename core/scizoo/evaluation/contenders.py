"""Contenders for a task: the pre-trained model, the same from scratch, and the field's baselines."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from scizoo.config import instantiate
from scizoo.data.documents import DocumentTarget, PairedDataset
from scizoo.data.encoding import EncodedDataset
from scizoo.data.maps import MapTarget
from scizoo.data.ragged import Ragged
from scizoo.data.targets import FutureTarget, RealTarget, TargetEncoder
from scizoo.data.task import TaskData, label_budget
from scizoo.errors import ConfigError
from scizoo.evaluation.attribution import attribute_worst, attributions_wanted, shown_in_study
from scizoo.evaluation.baseline import Labelled, baseline_outputs, tune
from scizoo.evaluation.cost import Cost, CostMeter, count_parameters
from scizoo.evaluation.floor import Floor, forecast_levels
from scizoo.evaluation.map_statistics import map_outputs
from scizoo.evaluation.metrics import default_metrics, get_metric
from scizoo.evaluation.operating import ThresholdRule
from scizoo.evaluation.outputs import Outputs, interpolate_levels, meta_columns
from scizoo.evaluation.ranks import Pairing, PoolSettings, rank_outputs, vector_scores
from scizoo.training.build import ModelParts, build_parts
from scizoo.training.segment_task import segment_task
from scizoo.training.supervised import Fitted, encode_task, fit_task, predict_task

_WAYS = {"full": "fine-tuned", "lora": "with LoRA", "probe": "with a linear probe", "none": "zero-shot"}
_KINDS = ("classification", "multilabel", "regression", "forecast", "segmentation", "retrieval")


@dataclass(frozen=True)
class Contender:
    """Who takes part.

    Parameters
    ----------
    key : str
        Its name in files and keys.
    title : str
        Its name for people.
    role : str
        ``"pretrained"``, ``"scratch"``, ``"baseline"`` or ``"floor"``.
    adapt : mapping, optional
        The ``adapt`` group, for a network.
    checkpoint : str, optional
        Overrides the config's checkpoint.
    baseline : mapping, optional
        ``_target_`` and settings, for a baseline.
    learns : bool
        False for a baseline that looks at nothing but the record it predicts.
    """

    key: str
    title: str
    role: str
    adapt: Mapping[str, Any] | None = None
    checkpoint: str | None = None
    baseline: Mapping[str, Any] | None = None
    learns: bool = True

    @property
    def untrained(self) -> bool:
        """Whether it predicts as it is, whatever the labels and the seed."""
        if self.baseline is not None:
            return not self.learns
        return (self.adapt or {}).get("mode") == "none"


@dataclass
class Result:
    """What a contender achieved with one seed and one label budget.

    Parameters
    ----------
    contender : Contender
    validation, test : Outputs
    cost : Cost
    seed : int
    labels : int
        Training records that were used.
    settings : dict
        What tuning chose.
    fitted : Fitted or None
        The network itself; None for a baseline.
    parts : ModelParts or None
    """

    contender: Contender
    validation: Outputs
    test: Outputs
    cost: Cost
    seed: int
    labels: int
    settings: dict[str, Any] = field(default_factory=dict)
    fitted: Fitted | None = None
    parts: ModelParts | None = None

    def save(self, folder: Path) -> None:
        """Write the outputs of both parts as Parquet files."""
        for part in ("validation", "test"):
            getattr(self, part).save(folder / f"{self.contender.key}-{part}.parquet")


def network(cfg: Mapping[str, Any], adapt: Mapping[str, Any], checkpoint: str | None = None) -> Contender:
    """Name the contender that a config and a way of adaptation describe."""
    mode = str(adapt.get("mode", "full"))
    ref = checkpoint or cfg.get("checkpoint")
    short = str(ref).rstrip("/").rpartition("/")[2] if ref else "a new network"
    if mode == "none" and not ref:
        raise ConfigError(
            "adapt=none uses what a checkpoint learned in pre-training, and none is named.",
            expected="checkpoint=NAME",
            remedy="name one, or choose adapt=full to train a new network.",
        )
    if mode == "scratch" or not ref:
        title = f"{short}'s architecture from scratch" if ref else "a new network"
        return Contender("scratch", title, "scratch", adapt, checkpoint)
    return Contender(mode, f"{short} {_WAYS[mode]}", "pretrained", adapt, checkpoint)


def contenders(cfg: Mapping[str, Any]) -> list[Contender]:
    """List who takes part in a fine-tuning: the model, then what it must beat.

    Parameters
    ----------
    cfg : mapping
        A composed config; read are ``adapt``, ``checkpoint``, ``baselines`` and ``versus``.

    Raises
    ------
    ConfigError
        When ``versus`` names something else than ``scratch`` and ``baselines``.
    """
    versus = list(cfg.get("versus") or [])
    for word in versus:
        if word not in ("scratch", "baselines"):
            raise ConfigError(f"versus: '{word}' is unknown.", expected="scratch, baselines, both or none")
    found = [network(cfg, cfg["adapt"])]
    if "scratch" in versus and found[0].role != "scratch":
        found.append(network(cfg, {"mode": "scratch"}))
    if "baselines" in versus:
        found += baselines(cfg)
    return found


def baselines(cfg: Mapping[str, Any]) -> list[Contender]:
    """List the baselines of a task."""
    found = []
    for key, settings in dict(cfg.get("baselines") or {}).items():
        if settings:
            method = instantiate(settings)
            title, learns = getattr(method, "title", key), getattr(method, "learns", True)
            found.append(Contender(str(key), str(title), "baseline", baseline=settings, learns=bool(learns)))
    titles = Counter(one.title for one in found)
    # One method twice, with other settings: people could not tell which is which.
    return [replace(one, title=f"{one.title}: {one.key}") if titles[one.title] > 1 else one for one in found]


class Arena:
    """Where contenders for one task meet: the same records, split, targets and seeds for all.

    Parameters
    ----------
    cfg : mapping
        A composed, plain config.
    data : TaskData
    run_dir : Path
    cache : Path or None
        The folder of all caches.
    """

    def __init__(self, cfg: Mapping[str, Any], data: TaskData, run_dir: Path, cache: Path | None):
        self.cfg, self.data, self.run_dir, self.cache = dict(cfg), data, run_dir, cache
        self._encoded: dict[str, EncodedDataset | PairedDataset] = {}
        self.kind = data.target.kind
        if self.kind not in _KINDS:
            raise ConfigError(f"tasks of kind {self.kind} have no comparison.")
        metric = (cfg.get("task") or {}).get("metric")
        self.metric = str(metric or default_metrics(self.kind)[0].name)
        check_decisions(cfg, self.metric, data.target)
        self.levels = forecast_levels(cfg) if self.kind == "forecast" else ()
        self.pool = PoolSettings.from_config(cfg) if self.kind == "retrieval" else None
        self.floor: Floor | None = None
        if self.kind == "forecast":
            train = data.rows("train")
            self.floor = Floor(cfg, [data.records[row] for row in train], true_targets(data, train))

    def run(
        self,
        contender: Contender,
        *,
        seed: int = 0,
        labels: int | None = None,
        overrides: Mapping[str, Any] | None = None,
        settings: Mapping[str, Any] | None = None,
        trials: int | None = None,
    ) -> Result:
        """Fit a contender on the training part and let it predict validation and test.

        Parameters
        ----------
        contender : Contender
        seed : int
        labels : int, optional
            How many training records it may see; by default all.
        overrides : mapping, optional
            Groups of the config replaced for this run, such as a tuned ``optimizer``.
        settings : mapping, optional
            For a baseline: settings that tuning chose before.
        trials : int, optional
            For a baseline: how many settings it may try; by default ``tuning.trials`` of the config.

        Returns
        -------
        Result
        """
        rows = label_budget(self.data, labels, seed)
        if contender.baseline is not None:
            if trials is None:
                trials = int((self.cfg.get("tuning") or {}).get("trials") or 0)
            return self._run_baseline(contender, rows, seed, settings or {}, trials)
        return self._run_network(contender, rows, seed, overrides or {})

    def _run_network(
        self, contender: Contender, rows: np.ndarray, seed: int, overrides: Mapping[str, Any]
    ) -> Result:
        cfg = {**self.cfg, **overrides, "adapt": dict(contender.adapt or {"mode": "full"})}
        if contender.checkpoint:
            cfg["checkpoint"] = contender.checkpoint
        with CostMeter() as meter:
            parts = build_parts(
                cfg,
                lambda: (self.data.records[row].input for row in rows),
                lambda: (self.data.records[row].target for row in rows),
            )
            encoded = self._encode(parts)
            folder = self.run_dir / "training" / f"{contender.key}-{len(rows)}-seed{seed}"
            fitted = fit_task(
                cfg,
                parts,
                self.data,
                encoded,
                run_dir=folder,
                rows=rows,
                seed=seed,
                title=contender.title,
                features=None if self.cache is None else self.cache.parent / "features",
                features_key=self._key(parts),
            )
            outputs = [
                self._predicted(fitted, cfg, parts, encoded, self.data.rows(part))
                for part in ("validation", "test")
            ]
        # What a report shows is no part of what the contender costs.
        outputs[1] = self._attributed(outputs[1], cfg, fitted, parts, encoded, seed, len(rows))
        settings = {"steps": fitted.steps, "precision": fitted.precision}
        head = count_parameters(fitted.head)[0]
        cost = replace(
            meter.cost,
            parameters=fitted.adapt.total + head,
            trained_parameters=0 if contender.untrained else fitted.adapt.trainable + head,
        )
        return Result(contender, outputs[0], outputs[1], cost, seed, len(rows), settings, fitted, parts)

    def _attributed(
        self,
        outputs: Outputs,
        cfg: Mapping[str, Any],
        fitted: Fitted,
        parts: ModelParts,
        encoded: EncodedDataset | PairedDataset,
        seed: int,
        labels: int,
    ) -> Outputs:
        """Explain the worst mistakes of the test part, where a report may show them."""
        most = attributions_wanted(cfg)
        if not most or not shown_in_study(cfg, seed, labels, len(self.data.rows("train"))):
            return outputs
        rows = self.data.rows("test")
        records = [self.data.records[row] for row in rows]
        model = (fitted.backbone, fitted.head, parts.tokenizer)
        return replace(outputs, attributions=attribute_worst(outputs, *model, encoded, rows, records, most))

    def _predicted(
        self,
        fitted: Fitted,
        cfg: Mapping[str, Any],
        parts: ModelParts,
        encoded: EncodedDataset | PairedDataset,
        rows: np.ndarray,
    ) -> Outputs:
        """Let a fitted network predict some records."""
        if isinstance(self.data.target, MapTarget):
            assert isinstance(encoded, EncodedDataset)
            records = [self.data.records[row] for row in rows]
            maps = segment_task(fitted, cfg, parts, encoded, records, rows)
            groups = self.data.split.groups[rows].astype(str)
            return map_outputs(self.data.target, records, groups, self.targets(rows), maps)
        prediction = predict_task(fitted, cfg, parts, encoded, rows)
        return self.outputs(rows, prediction, getattr(fitted.head, "quantiles", None))

    def _run_baseline(
        self, contender: Contender, rows: np.ndarray, seed: int, settings: Mapping[str, Any], trials: int
    ) -> Result:
        with CostMeter() as meter:
            prototype = instantiate(contender.baseline)
            tuned = tune(
                prototype.set_params(**settings) if settings else prototype,
                self._labelled(rows, judged=False),
                self._labelled(self.data.rows("validation")),
                kind=self.kind,
                classes=self.classes,
                levels=self.levels,
                pool=self.pool,
                metric=self.metric,
                n_trials=trials,
                seed=seed,
            )
            outputs = []
            for part in ("validation", "test"):
                labelled = self._labelled(self.data.rows(part))
                found = baseline_outputs(
                    tuned.baseline,
                    labelled.records,
                    labelled.targets,
                    labelled.groups,
                    kind=self.kind,
                    classes=self.classes,
                    levels=self.levels,
                    pool=self.pool,
                )
                outputs.append(found if labelled.floor is None else labelled.floor.beside(found))
        return Result(contender, outputs[0], outputs[1], meter.cost, seed, len(rows), tuned.to_dict())

    def embeddings(self, result: Result, part: str) -> np.ndarray:
        """Give what the head of a fitted network sees of the records of a part (N, D)."""
        assert result.fitted is not None and result.parts is not None
        rows, encoded = self.data.rows(part), self._encode(result.parts)
        found = predict_task(result.fitted, self.cfg, result.parts, encoded, rows, embeddings=True)
        return found["embedding"]

    def _key(self, parts: ModelParts) -> str:
        """Name the records as these parts encode them."""
        views = parts.augment.fingerprint() if parts.augment else ""
        marks = [self.data.dataset.fingerprint(), parts.tokenizer.fingerprint(), repr(parts.context), views]
        if parts.document is not None:
            marks += [parts.document.tokenizer.fingerprint(), repr(parts.document.context)]
        return "\n".join(marks)

    def _encode(self, parts: ModelParts) -> EncodedDataset | PairedDataset:
        key = self._key(parts)
        if key not in self._encoded:
            self._encoded[key] = encode_task(
                parts,
                self.data.records,
                fingerprint=self.data.dataset.fingerprint(),
                cache=self.cache,
                groups=self.data.split.groups,
            )
        return self._encoded[key]

    @property
    def classes(self) -> list[str]:
        """Names of classes, labels or values."""
        return output_names(self.data.target)

    def targets(self, rows: np.ndarray) -> Any:
        """Truth of some records: class numbers, labels, values in their own units, or label maps."""
        return true_targets(self.data, rows)

    def _labelled(self, rows: np.ndarray, judged: bool = True) -> Labelled:
        records = [self.data.records[row] for row in rows]
        groups = self.data.split.groups[rows].astype(str)
        targets = self.targets(rows) if judged else training_targets(self.data, rows)
        floor = self.floor.forecast(records) if judged and self.floor is not None else None
        return Labelled(records, targets, groups, floor)

    def outputs(
        self,
        rows: np.ndarray,
        prediction: Mapping[str, np.ndarray],
        levels: Sequence[float] | None = None,
    ) -> Outputs:
        """Put a network's predictions in the form in which everything is judged.

        Quantiles at the model's own ``levels`` are read at those of the task.
        """
        if self.pool is not None:
            return self._ranked(rows, prediction)
        if self.floor is None:
            return network_outputs(self.data, rows, prediction)
        quantiles = interpolate_levels(prediction["quantiles"], levels or self.levels, self.levels)
        found = network_outputs(self.data, rows, {**prediction, "quantiles": quantiles}, self.levels)
        return self.floor.forecast([self.data.records[row] for row in rows]).beside(found)

    def _ranked(self, rows: np.ndarray, vectors: Mapping[str, np.ndarray]) -> Outputs:
        """Rank by the vectors of both sides."""
        assert self.pool is not None
        records = [self.data.records[row] for row in rows]
        pairing = Pairing.of(records)
        return rank_outputs(
            records,
            self.data.split.groups[rows].astype(str),
            self.targets(rows),
            vector_scores(vectors["query"], vectors["document"], pairing),
            self.pool,
            pairing,
        )


def check_decisions(cfg: Mapping[str, Any], metric: str, target: TargetEncoder) -> None:
    """Refuse a metric or a threshold rule for two classes where there are more.

    Raises
    ------
    ConfigError
        Naming what asks for two classes.
    """
    if target.kind != "classification" or target.outputs == 2:
        return
    if get_metric(metric, target.kind).binary:
        what = f"the metric '{metric}'"
    elif ThresholdRule.from_config(cfg) is not None:
        what = "evaluation.threshold"
    else:
        return
    raise ConfigError(
        f"{what} is for two classes; this task has {target.outputs}.",
        remedy="choose another one, such as macro_f1."
        if what != "evaluation.threshold"
        else "set evaluation.threshold.rule=null.",
    )


def output_names(target: Any) -> list[str]:
    """Names of the classes, labels or values of a target encoder."""
    if isinstance(target, FutureTarget | DocumentTarget):
        return []
    if isinstance(target, MapTarget):
        return target.foreground
    for attribute in ("classes", "labels", "names"):
        names = getattr(target, attribute, None)
        if names:
            return list(names)
    return [f"value {number + 1}" for number in range(target.outputs)] if target.outputs > 1 else ["value"]


def training_targets(data: TaskData, rows: np.ndarray) -> Any:
    """What a baseline learns from: the truth, with uncertain labels as the task takes them.

    A label that is taken for something between 0 and 1 counts as unknown: only a network can learn from it.
    """
    if data.truth is None or not isinstance(data.targets, np.ndarray):
        return true_targets(data, rows)
    chosen = data.targets[rows]
    return np.where((chosen == 0) | (chosen == 1), chosen, np.nan).astype(chosen.dtype)


def true_targets(data: TaskData, rows: np.ndarray) -> Any:
    """Truth of some records: class numbers, labels, values in their own units, or label maps."""
    assert not isinstance(data.targets, Ragged)
    chosen = data.targets[rows] if data.truth is None else data.truth[rows]
    return data.target.decode(chosen) if isinstance(data.target, RealTarget | FutureTarget) else chosen


def network_outputs(
    data: TaskData, rows: np.ndarray, prediction: Mapping[str, np.ndarray], levels: Sequence[float] = ()
) -> Outputs:
    """Put a network's predictions for some records in the form in which everything is judged."""
    fields: dict[str, Any] = {}
    if isinstance(data.target, FutureTarget):
        # Single precision may bring neighbours to meet; it never orders them wrongly, but means of views may.
        fields |= {"quantiles": np.sort(prediction["quantiles"], axis=-1), "levels": tuple(levels)}
    if "probability" in prediction:
        fields["probability"] = prediction["probability"]
    if isinstance(data.target, RealTarget):
        fields["mean"] = data.target.decode(prediction["mean"])
        if "variance" in prediction:
            fields["variance"] = data.target.decode_variance(prediction["variance"])
    records = [data.records[row] for row in rows]
    return Outputs(
        ids=np.array([record.id for record in records], dtype=str),
        groups=data.split.groups[rows].astype(str),
        targets=true_targets(data, rows),
        kind=data.target.kind,
        classes=tuple(output_names(data.target)),
        meta=meta_columns([record.meta for record in records]),
        **fields,
    )


def rank(results: Sequence[Result]) -> list[Result]:
    """Order results for a table: networks first, as listed, then baselines."""
    order = {"pretrained": 0, "scratch": 1, "baseline": 2, "floor": 3}
    return sorted(results, key=lambda result: order[result.contender.role])
