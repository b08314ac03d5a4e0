"""Validation metrics of a run: torchmetrics by the names that tasks use."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from scizoo.errors import ConfigError, did_you_mean
from scizoo.training.joint import batch_size

if TYPE_CHECKING:
    from torchmetrics import Metric

#: Names of the metrics that fit each kind of head.
METRICS: dict[str, tuple[str, ...]] = {
    "classification": ("mcc", "accuracy", "balanced_accuracy", "macro_f1", "auroc", "auprc"),
    "multilabel": ("auroc", "auprc", "macro_f1", "accuracy"),
    "regression": ("rmse", "mae", "r2", "spearman", "pearson"),
    "forecast": (),  # the quantile loss itself says how good they are, whatever the size of a series
    "segmentation": ("mean_dice", "iou"),
    "retrieval": ("mrr", "recall_at_1", "recall_at_10"),  # among all pairs of the part, not of a batch
    "tokens": ("mcc", "accuracy", "macro_f1"),
    "language": ("perplexity", "bits_per_token", "accuracy"),
    "reconstruction": ("rmse", "mae", "reference_rmse", "skill"),
    "contrastive": ("accuracy", "chance"),
}
#: Metrics that are better when smaller.
LOWER_IS_BETTER = frozenset({"loss", "rmse", "reference_rmse", "mae", "perplexity", "bits_per_token"})


def metric_mode(name: str) -> str:
    """Give ``"min"`` or ``"max"`` for a metric's name."""
    return "min" if name.rpartition("/")[2] in LOWER_IS_BETTER else "max"


def check_metrics(kind: str, names: Sequence[str]) -> tuple[str, ...]:
    """Refuse metric names that do not fit the kind of head.

    Raises
    ------
    ConfigError
        Naming the metric and the valid ones.
    """
    valid = (*METRICS.get(kind, ()), "loss")
    for name in names:
        if name not in valid:
            raise ConfigError(
                f"metric '{name}' is not one of a {kind} task: {did_you_mean(name, valid)}",
                expected=f"task.metric or metrics among {', '.join(valid)}",
            )
    return tuple(dict.fromkeys(names))


class ValidationMetrics:
    """The metrics of one validation run.

    Parameters
    ----------
    kind : str
        The head's kind.
    outputs : int
        Number of classes, labels or values.
    names : sequence of str, optional
        Which metrics; by default all that fit the kind.
    scale : Tensor, optional
        Standard deviation of each regression target, to report errors in the target's units.
    background : bool
        Whether the first class of label maps is none to be judged.
    """

    def __init__(
        self,
        kind: str,
        outputs: int,
        names: Sequence[str] | None = None,
        scale: Tensor | None = None,
        background: bool = True,
    ):
        self.kind = kind
        self.names = check_metrics(kind, names if names is not None else METRICS.get(kind, ()))
        self.scale = scale
        self.metrics: dict[str, Metric] = {}
        with warnings.catch_warnings():
            # Ranks and areas need every prediction; a validation split is small enough for that.
            warnings.filterwarnings("ignore", message=".*will save all targets and predictions.*")
            for name in self.names:
                builder = _BUILDERS.get((kind, name))
                if builder is not None:
                    self.metrics[name] = builder(outputs)
                    if kind == "segmentation" and not background:
                        self.metrics[name].first = 0

    def update(self, outputs: Mapping[str, Tensor], batch: Mapping[str, Any]) -> None:
        """Add one batch of outputs and targets."""
        if not self.metrics:
            return
        prediction, target = _pair(self.kind, outputs, batch)
        if self.kind == "regression" and self.scale is not None:
            scale = self.scale.to(prediction)
            prediction, target = prediction * scale, target * scale
        if prediction.numel() == 0:
            return
        for metric in self.metrics.values():
            if metric.device != prediction.device:
                metric.to(prediction.device)
            metric.update(prediction, target)

    def compute(self, loss: float) -> dict[str, float]:
        """Give every metric and forget the batches.

        Parameters
        ----------
        loss : float
            Mean validation loss, of which language metrics are functions.
        """
        values: dict[str, float] = {}
        with warnings.catch_warnings():
            # A class without examples in a small validation split is no reason to alarm anyone.
            warnings.simplefilter("ignore")
            for name, metric in self.metrics.items():
                values[name] = float(metric.compute()) if metric.update_called else float("nan")
                metric.reset()
        if self.kind == "language":
            if "perplexity" in self.names:
                values["perplexity"] = math.exp(min(loss, 700.0))
            if "bits_per_token" in self.names:
                values["bits_per_token"] = loss / math.log(2)
        return values


def loss_weight(kind: str, outputs: Mapping[str, Tensor], batch: Mapping[str, Any]) -> float:
    """Count what the loss of a batch is the mean of: what its head says, or tokens, steps or examples."""
    if "loss_weight" in outputs:
        return float(outputs["loss_weight"])
    if "token_loss" in outputs:
        return outputs["token_loss"].numel()
    if kind in ("language", "tokens"):
        return int((batch["target"] != -100).sum())
    if kind == "forecast":
        return int(torch.isfinite(batch["target"]).sum())
    return batch_size(batch)


def token_accuracy(outputs: Mapping[str, Tensor], batch: Mapping[str, Any]) -> Tensor | None:
    """Share of right class decisions, over tokens or examples; None for real-valued targets."""
    if "correct" in outputs:  # objectives score only the positions that count
        return outputs["correct"].float().sum() / max(1, outputs["correct"].numel())
    logits, target = outputs.get("logits"), batch.get("target")
    if logits is None or target is None or target.is_floating_point():
        return None
    if logits.shape[:-1] != target.shape:
        return None
    counted = target != -100
    right = (logits.argmax(-1) == target) & counted
    return right.sum() / counted.sum().clamp(min=1)


def _pair(kind: str, outputs: Mapping[str, Tensor], batch: Mapping[str, Any]) -> tuple[Tensor, Tensor]:
    if kind == "language":
        return outputs["correct"], torch.ones_like(outputs["correct"])
    if kind == "contrastive":
        return outputs["correct"].float(), outputs["chance"]
    if kind == "reconstruction":
        both = torch.stack([outputs["prediction"], outputs["reference"]], dim=-1)
        return both.detach(), torch.stack([outputs["target"], outputs["entry_weight"]], dim=-1)
    target = batch["target"]
    if kind == "retrieval":
        return torch.stack([outputs["query"], outputs["document"]], dim=1).detach().float(), target
    if kind == "regression":
        prediction = outputs["mean"].detach().float()
        target = target.to(prediction).reshape(prediction.shape)
        known = torch.isfinite(target)
        if prediction.ndim == 2 and prediction.shape[1] == 1:
            prediction, target, known = prediction[:, 0], target[:, 0], known[:, 0]
        if prediction.ndim > 1:
            known = known.flatten(1).all(1)
        return prediction[known], target[known]
    logits = outputs["logits"].detach().float()
    if kind == "segmentation":
        return logits.argmax(1), target
    if kind == "multilabel":
        # torchmetrics leaves out what carries ignore_index: the missing labels, and those between 0 and 1.
        known = (target == 0) | (target == 1)
        return logits.sigmoid(), torch.where(known, target.float(), -1.0).long()
    logits, target = logits.reshape(-1, logits.shape[-1]), target.reshape(-1).long()
    kept = target != -100
    return logits[kept].softmax(-1), target[kept]


def _multiclass(name: str, **options: Any) -> Callable[[int], Metric]:
    def build(outputs: int) -> Metric:
        import torchmetrics.classification as tm

        return getattr(tm, name)(num_classes=max(2, outputs), validate_args=False, **options)

    return build


def _multilabel(name: str, **options: Any) -> Callable[[int], Metric]:
    def build(outputs: int) -> Metric:
        import torchmetrics.classification as tm

        return getattr(tm, name)(num_labels=outputs, ignore_index=-1, validate_args=False, **options)

    return build


def _regression(name: str, per_output: bool = False, **options: Any) -> Callable[[int], Metric]:
    def build(outputs: int) -> Metric:
        import torchmetrics
        import torchmetrics.wrappers

        metric = getattr(torchmetrics, name)(**options)
        if per_output and outputs > 1:
            return _mean_of(getattr(torchmetrics, name)(num_outputs=outputs, **options))
        return metric

    return build


def _mean_of(metric: Metric) -> Metric:
    """Average a metric that gives one value an output."""
    from torchmetrics import Metric as Base

    class Mean(Base):
        full_state_update = False

        def __init__(self) -> None:
            super().__init__()
            self.inner = metric

        def update(self, prediction: Tensor, target: Tensor) -> None:
            self.inner.update(prediction, target)

        def compute(self) -> Tensor:
            return self.inner.compute().mean()

        def reset(self) -> None:
            super().reset()
            self.inner.reset()

    return Mean()


def _right_share(_: int) -> Metric:
    """Share of right decisions among those that count."""
    from torchmetrics import MeanMetric

    class Right(MeanMetric):
        def update(self, prediction: Tensor, target: Tensor) -> None:  # type: ignore[override]
            super().update((prediction == target).float())

    return Right()


def _mean_of_argument(place: int) -> Callable[[int], Metric]:
    """Average what is right (place 0), or what guessing would get right (place 1)."""

    def build(_: int) -> Metric:
        from torchmetrics import MeanMetric

        class Mean(MeanMetric):
            def update(self, *both: Tensor) -> None:  # type: ignore[override]
                super().update(both[place])

        return Mean()

    return build


def _weighted_error(name: str) -> Callable[[int], Metric]:
    """Weighted errors of predictions, and of the reference beside them."""

    def build(_: int) -> Metric:
        from torchmetrics import Metric as Base

        class WeightedError(Base):
            full_state_update = False
            sums: Tensor

            def __init__(self) -> None:
                super().__init__()
                self.add_state("sums", torch.zeros(4), dist_reduce_fx="sum")

            def update(self, both: Tensor, target: Tensor) -> None:
                wanted, weight = target[..., 0].to(self.sums), target[..., 1].to(self.sums)
                error = both.to(self.sums) - wanted[..., None]
                squares = (error**2 * weight[..., None]).sum(0)
                self.sums += torch.stack([*squares, (error[..., 0].abs() * weight).sum(), weight.sum()])

            def compute(self) -> Tensor:
                square, reference, absolute, total = self.sums
                return {
                    "rmse": (square / total).sqrt(),
                    "reference_rmse": (reference / total).sqrt(),
                    "mae": absolute / total,
                    "skill": 1.0 - square / reference,
                }[name]

        return WeightedError()

    return build


def _overlap(name: str) -> Callable[[int], Metric]:
    """Overlap of each image and class in the plane of the model; classes before ``first`` are left out.

    As :mod:`scizoo.evaluation.segmentations` has it.
    """

    def build(outputs: int) -> Metric:
        from torchmetrics import Metric as Base

        class Overlap(Base):
            full_state_update = False
            first = 1
            total: Tensor
            count: Tensor

            def __init__(self) -> None:
                super().__init__()
                self.add_state("total", torch.zeros(outputs), dist_reduce_fx="sum")
                self.add_state("count", torch.zeros(outputs), dist_reduce_fx="sum")

            def update(self, prediction: Tensor, target: Tensor) -> None:
                known = target != -100
                for number in range(outputs):
                    said, true = (prediction == number) & known, target == number
                    both = (said & true).flatten(1).sum(1).to(self.total)
                    size = said.flatten(1).sum(1).to(self.total) + true.flatten(1).sum(1).to(self.total)
                    there = size > 0
                    share = 2 * both / size if name == "mean_dice" else both / (size - both)
                    self.total[number] += share[there].sum()
                    self.count[number] += there.sum()

            def compute(self) -> Tensor:
                total, count = self.total[self.first :], self.count[self.first :]
                return (total[count > 0] / count[count > 0]).mean()

        return Overlap()

    return build


def _ranking(name: str) -> Callable[[int], Metric]:
    """Where the document of each query stands among all documents of the part."""

    def build(_: int) -> Metric:
        from torchmetrics import Metric as Base
        from torchmetrics.utilities import dim_zero_cat

        class Ranking(Base):
            full_state_update = False
            vectors: Any
            numbers: Any

            def __init__(self) -> None:
                super().__init__()
                self.add_state("vectors", [], dist_reduce_fx="cat")
                self.add_state("numbers", [], dist_reduce_fx="cat")

            def update(self, vectors: Tensor, numbers: Tensor) -> None:
                self.vectors.append(vectors)
                self.numbers.append(numbers)

            def compute(self) -> Tensor:
                vectors, numbers = dim_zero_cat(self.vectors), dim_zero_cat(self.numbers)
                # A document that belongs to several queries, or has several windows, counts once.
                first = {int(number): place for place, number in enumerate(numbers.tolist())}
                pool = torch.tensor(list(first.values()), device=vectors.device)
                ranks = []
                for rows, own in zip(vectors[:, 0].split(1024), numbers.split(1024), strict=True):
                    scores = rows @ vectors[pool, 1].T
                    right = own[:, None] == numbers[pool][None]
                    best = scores.masked_fill(~right, float("-inf")).amax(dim=1, keepdim=True)
                    wrong = scores.masked_fill(right, float("-inf"))
                    ranks.append(1 + (wrong > best).sum(1) + 0.5 * (wrong == best).sum(1))
                rank = torch.cat(ranks).float()
                if name == "mrr":
                    return (1.0 / rank).mean()
                return (rank <= int(name.rpartition("_")[2])).float().mean()

        return Ranking()

    return build


_BUILDERS: dict[tuple[str, str], Callable[[int], Metric]] = {
    ("classification", "mcc"): _multiclass("MulticlassMatthewsCorrCoef"),
    ("classification", "accuracy"): _multiclass("MulticlassAccuracy", average="micro"),
    ("classification", "balanced_accuracy"): _multiclass("MulticlassAccuracy", average="macro"),
    ("classification", "macro_f1"): _multiclass("MulticlassF1Score", average="macro"),
    ("classification", "auroc"): _multiclass("MulticlassAUROC"),
    ("classification", "auprc"): _multiclass("MulticlassAveragePrecision"),
    ("multilabel", "auroc"): _multilabel("MultilabelAUROC"),
    ("multilabel", "auprc"): _multilabel("MultilabelAveragePrecision"),
    ("multilabel", "macro_f1"): _multilabel("MultilabelF1Score", average="macro"),
    ("multilabel", "accuracy"): _multilabel("MultilabelAccuracy", average="micro"),
    ("regression", "rmse"): _regression("MeanSquaredError", squared=False),
    ("regression", "mae"): _regression("MeanAbsoluteError"),
    ("regression", "r2"): _regression("R2Score"),
    ("regression", "spearman"): _regression("SpearmanCorrCoef", per_output=True),
    ("regression", "pearson"): _regression("PearsonCorrCoef", per_output=True),
    ("segmentation", "mean_dice"): _overlap("mean_dice"),
    ("segmentation", "iou"): _overlap("iou"),
    ("tokens", "mcc"): _multiclass("MulticlassMatthewsCorrCoef"),
    ("tokens", "accuracy"): _multiclass("MulticlassAccuracy", average="micro"),
    ("tokens", "macro_f1"): _multiclass("MulticlassF1Score", average="macro"),
    **{("retrieval", name): _ranking(name) for name in METRICS["retrieval"]},
    ("language", "accuracy"): _right_share,
    ("contrastive", "accuracy"): _mean_of_argument(0),
    ("contrastive", "chance"): _mean_of_argument(1),
    **{("reconstruction", name): _weighted_error(name) for name in METRICS["reconstruction"]},
}
