"""What ``Model.predict`` gives, and the same as a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from scizoo.data.maps import MapTarget
from scizoo.data.targets import ClassTarget, MultiLabelTarget, RealTarget, TargetEncoder, TokenTarget
from scizoo.evaluation.outputs import interpolate_levels

if TYPE_CHECKING:
    import pandas as pd

    from scizoo.checkpoints.uncertainty import UncertaintyState


@dataclass(frozen=True)
class Prediction:
    """Predictions of a list of inputs, in their order.

    Parameters
    ----------
    kind : str
        classification, multilabel, regression, forecast, segmentation or tokens.
    ids : list of str
        Ids of the Records, or the positions of raw inputs.
    classes : list of str
        Classes or labels in the order of the probabilities; names of quantities.
    labels : list
        The likeliest class (classification) or the labels with a probability of at least one half
        (multilabel), by other thresholds where the checkpoint has them; or a list with the likeliest class of
        each position (tokens).
    probability : ndarray, shape (inputs, classes), optional
        For classification and multilabel.
    mean, std : ndarray, shape (inputs, quantities), optional
        For regression, in the units of the training data; `std` is the model's own estimate.
    quantiles : ndarray, shape (inputs, quantities, levels), optional
        For regression with quantiles. For forecasts of shape (inputs, steps ahead, levels), in the units of
        each series.
    levels : list of float
        The levels of the quantiles.
    positions : list of ndarray, optional
        For tokens: of each input its probabilities (positions, classes).
    maps : list of ndarray of int, optional
        For segmentation: of each input the class of every pixel (H, W), with the values that the label maps
        of the training had.
    values : list of int
        For segmentation: the value of each class in the maps.
    sets : list of list of str, optional
        Where a coverage was asked for: of each input the classes or labels that may be true, likeliest
        first.
    lower, upper : ndarray, shape (inputs, quantities), optional
        The interval, where a coverage was asked for.
    ood_score : ndarray, shape (inputs,), optional
        How far an input lies from those the model knows, and `ood`: whether that is too far.
    """

    kind: str
    ids: list[str]
    classes: list[str] = field(default_factory=list)
    labels: list[Any] = field(default_factory=list)
    probability: np.ndarray | None = None
    mean: np.ndarray | None = None
    std: np.ndarray | None = None
    quantiles: np.ndarray | None = None
    levels: list[float] = field(default_factory=list)
    positions: list[np.ndarray] | None = None
    maps: list[np.ndarray] | None = None
    values: list[int] = field(default_factory=list)
    sets: list[list[str]] | None = None
    lower: np.ndarray | None = None
    upper: np.ndarray | None = None
    ood_score: np.ndarray | None = None
    ood: np.ndarray | None = None

    @classmethod
    def empty(cls, kind: str, classes: list[str], outputs: int) -> Prediction:
        """Return the prediction of no input."""
        nothing = np.empty((0, outputs), dtype=np.float64)
        if kind == "regression":
            return cls(kind, [], classes, mean=nothing, std=nothing)
        if kind == "tokens":
            return cls(kind, [], classes, positions=[])
        return cls(kind, [], classes or [str(number) for number in range(outputs)], probability=nothing)

    @classmethod
    def of_records(
        cls,
        kind: str,
        ids: Sequence[str],
        means: Mapping[str, np.ndarray],
        *,
        target: TargetEncoder | None = None,
        levels: Sequence[float] | None = (),
    ) -> Prediction:
        """Put the outputs of a head in the user's own terms.

        Parameters
        ----------
        kind : str
            classification, multilabel or regression.
        ids : sequence of str
            One a row.
        means : mapping of str to ndarray
            What :func:`scizoo.training.predict.aggregate` gives: ``probability`` (records, classes), or
            ``mean`` and ``variance`` (records, quantities) in standardised units.
        target : TargetEncoder, optional
            Knows classes and units.
        levels : sequence of float, optional
            Levels of the quantiles.

        Returns
        -------
        Prediction
        """
        names = class_names(target)
        if "probability" in means:
            probability = means["probability"]
            names = names or [str(number) for number in range(probability.shape[1])]
            labels: list[Any] = [names[number] for number in probability.argmax(axis=1)]
            limits = getattr(target, "thresholds", None)
            if kind == "multilabel":
                least = limits or [0.5] * len(names)
                labels = [
                    [name for name, p, limit in zip(names, row, least) if p >= limit] for row in probability
                ]
            elif kind == "classification" and limits and probability.shape[1] == 2:
                labels = [names[int(p >= limits[0])] for p in probability[:, 1]]
            return cls(kind, list(ids), names, labels=labels, probability=probability)
        mean, variance, quantiles = means["mean"], means["variance"], means.get("quantiles")
        if isinstance(target, RealTarget):
            mean, variance = target.decode(mean), target.decode_variance(variance)
            if quantiles is not None:
                quantiles = np.moveaxis(target.decode(np.moveaxis(quantiles, -1, 0)), 0, -1)
        return cls(
            kind,
            list(ids),
            names,
            mean=mean,
            std=np.sqrt(variance),
            quantiles=quantiles,
            levels=list(levels or ()),
        )

    @classmethod
    def of_forecasts(
        cls,
        ids: Sequence[str],
        quantiles: np.ndarray,
        known: Sequence[float],
        levels: Sequence[float] | None = None,
    ) -> Prediction:
        """Take quantiles (inputs, steps ahead, known levels), read at other levels where those are given.

        Raises
        ------
        ConfigError
            When a level lies beyond the known ones.
        """
        wanted = [float(level) for level in (known if levels is None else sorted(levels))]
        read = interpolate_levels(np.sort(np.asarray(quantiles, dtype=np.float64), axis=-1), known, wanted)
        return cls("forecast", list(ids), quantiles=read, levels=wanted)

    @property
    def median(self) -> np.ndarray:
        """The point forecasts (inputs, steps ahead).

        Raises
        ------
        ConfigError
            When the levels do not reach around 0.5.
        """
        assert self.quantiles is not None
        return interpolate_levels(self.quantiles, self.levels, [0.5])[..., 0]

    @classmethod
    def of_positions(cls, tables: Sequence[np.ndarray], ids: Sequence[str], classes: list[str]) -> Prediction:
        """Label each position of each record from its probabilities (positions, classes)."""
        names = classes or [str(number) for number in range(tables[0].shape[1])]
        labels = [[names[number] for number in table.argmax(axis=1)] for table in tables]
        return cls("tokens", list(ids), names, labels=labels, positions=list(tables))

    def with_uncertainty(
        self, state: UncertaintyState, embeddings: np.ndarray, coverage: float
    ) -> Prediction:
        """Return it calibrated, with sets or intervals and the out-of-distribution score.

        Parameters
        ----------
        state : UncertaintyState
            Of the checkpoint.
        embeddings : ndarray, shape (inputs, D)
            What the head saw.
        coverage : float
        """
        from scizoo.evaluation.uncertainty import apply_uncertainty

        found: dict[str, Any] = apply_uncertainty(
            state,
            ids=self.ids,
            probability=self.probability,
            mean=self.mean,
            variance=None if self.std is None else self.std**2,
            embeddings=embeddings,
            coverage=coverage,
        )
        if "members" in found:
            order = np.argsort(-found["probability"], axis=1, kind="stable")
            members = found.pop("members")
            found["sets"] = [
                [self.classes[place] for place in places if row[place]]
                for row, places in zip(members, order, strict=True)
            ]
        if "variance" in found:
            found["std"] = np.sqrt(found.pop("variance"))
        return replace(self, **found)

    def __len__(self) -> int:
        return len(self.ids)


def class_names(target: TargetEncoder | None) -> list[str]:
    """Return classes or labels in the order of a head's outputs, or the names of quantities."""
    if isinstance(target, ClassTarget | TokenTarget | MapTarget):
        return list(target.classes)
    if isinstance(target, MultiLabelTarget):
        return list(target.labels)
    return list(target.names) if isinstance(target, RealTarget) else []


def to_frame(
    prediction: Prediction, index: Sequence[Mapping[str, Sequence[Any]]] | None = None
) -> pd.DataFrame:
    """Lay a prediction out as a table, one row an input; of forecasts one row an input and step ahead.

    Parameters
    ----------
    prediction : Prediction
    index : sequence of mapping, optional
        Of a forecast: the columns that name the steps of each input, such as a series and its times, in the
        place of ``id`` and ``step``.

    Returns
    -------
    DataFrame
        See :meth:`scizoo.api.Model.predict_df`. For tokens ``prediction`` holds a list a row.
    """
    import pandas as pd

    if prediction.kind == "forecast":
        return _forecast_frame(prediction, index)
    columns: dict[str, Any] = {"id": prediction.ids}
    strange = {name: getattr(prediction, name) for name in ("ood_score", "ood")}
    strange = {name: column for name, column in strange.items() if column is not None}
    if prediction.kind == "regression" and prediction.mean is not None and prediction.std is not None:
        many = prediction.mean.shape[1]
        for number in range(many):
            name = prediction.classes[number] if prediction.classes else str(number)
            end = "" if many == 1 else f"_{name}"
            columns[f"mean{end}"] = prediction.mean[:, number]
            columns[f"std{end}"] = prediction.std[:, number]
            if prediction.lower is not None and prediction.upper is not None:
                columns[f"lower{end}"] = prediction.lower[:, number]
                columns[f"upper{end}"] = prediction.upper[:, number]
            if prediction.quantiles is not None:
                for place, level in enumerate(prediction.levels):
                    columns[f"quantile_{level:g}{end}"] = prediction.quantiles[:, number, place]
        return pd.DataFrame(columns | strange)
    if prediction.maps is not None:
        for name, value in zip(prediction.classes, prediction.values, strict=True):
            columns[f"pixels_{name}"] = [int((labels == value).sum()) for labels in prediction.maps]
        return pd.DataFrame(columns)
    columns["prediction"] = prediction.labels
    if prediction.probability is not None:
        for number, name in enumerate(prediction.classes):
            columns[f"probability_{name}"] = prediction.probability[:, number]
    if prediction.sets is not None:
        from scizoo.evaluation.uncertainty import join_labels

        columns["set"] = [join_labels(names) for names in prediction.sets]
        columns["set_size"] = [len(names) for names in prediction.sets]
    return pd.DataFrame(columns | strange)


def _forecast_frame(
    prediction: Prediction, index: Sequence[Mapping[str, Sequence[Any]]] | None
) -> pd.DataFrame:
    """Give a row for each input and step: its names, the median, and a column for each level."""
    import pandas as pd

    assert prediction.quantiles is not None
    inputs, steps, levels = prediction.quantiles.shape
    if index is None:
        index = [{"id": [name] * steps, "step": range(1, steps + 1)} for name in prediction.ids]
    names = list(dict.fromkeys(name for one in index for name in one))
    columns = {name: [value for one in index for value in one[name]] for name in names}
    table = prediction.quantiles.reshape(inputs * steps, levels)
    if prediction.levels[0] <= 0.5 <= prediction.levels[-1]:
        columns["prediction"] = prediction.median.ravel().tolist()
    return pd.DataFrame(
        columns | {f"{level:g}": table[:, place] for place, level in enumerate(prediction.levels)}
    )
