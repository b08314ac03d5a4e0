"""Operating points: thresholds chosen on validation, and what decisions by them are worth on test."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from scizoo.errors import ConfigError, did_you_mean
from scizoo.evaluation.decisions import AT_THRESHOLD, columns
from scizoo.evaluation.delong import auroc_interval
from scizoo.evaluation.intervals import estimate
from scizoo.evaluation.metrics import METRICS, two_classes
from scizoo.evaluation.outputs import Outputs
from scizoo.evaluation.plain import plain

log = logging.getLogger(__name__)

RULES = ("youden", "sensitivity", "specificity", "f1")


@dataclass(frozen=True)
class ThresholdRule:
    """How a threshold is chosen.

    Parameters
    ----------
    rule : {"youden", "sensitivity", "specificity", "f1"}
        The largest sum of sensitivity and specificity (Youden 1950, Cancer 3, 32); the highest specificity
        with a sensitivity of ``value`` or more, or the other way round; the largest F1 of the positive class.
    value : float, optional
        Needed by ``sensitivity`` and ``specificity``.

    Raises
    ------
    ConfigError
        For an unknown rule, or one that lacks its value.
    """

    rule: str = "youden"
    value: float | None = None

    def __post_init__(self) -> None:
        if self.rule not in RULES:
            raise ConfigError(
                f"evaluation.threshold.rule={self.rule} is unknown: {did_you_mean(str(self.rule), RULES)}"
            )
        needs = self.rule in ("sensitivity", "specificity")
        if needs and (self.value is None or not 0.0 < float(self.value) < 1.0):
            raise ConfigError(
                f"evaluation.threshold: the rule '{self.rule}' needs the share to reach.",
                expected="evaluation.threshold.value=0.9, or another number between 0 and 1",
            )

    @classmethod
    def from_config(cls, cfg: Mapping[str, Any]) -> ThresholdRule | None:
        """Read ``evaluation.threshold``; None where no threshold shall be chosen."""
        given = (cfg.get("evaluation") or {}).get("threshold")
        if not given:
            return None
        if isinstance(given, str):
            given = {"rule": given}
        if not isinstance(given, Mapping) or set(given) - {"rule", "value"}:
            raise ConfigError(
                f"evaluation.threshold={given}", expected="{rule: youden}, or {rule: sensitivity, value: 0.9}"
            )
        rule, value = given.get("rule"), given.get("value")
        if rule is None and value is not None:
            raise ConfigError(
                "evaluation.threshold.value is given without a rule.",
                expected="evaluation.threshold.rule=sensitivity or specificity",
            )
        return None if rule is None else cls(str(rule), None if value is None else float(value))

    def choose(self, truth: np.ndarray, probability: np.ndarray) -> float | None:
        """Choose the probability from which on a record is called positive.

        It lies halfway between two neighbouring probabilities, so that what is said of the given records does
        not change with the last digit.

        Parameters
        ----------
        truth : ndarray, shape (N,)
            1, 0 or NaN where unknown.
        probability : ndarray, shape (N,)

        Returns
        -------
        float or None
            None where all known records are positive, or negative.
        """
        known = np.isfinite(truth)
        positive, value = truth[known] == 1, np.asarray(probability, dtype=float)[known]
        if positive.all() or not positive.any():
            return None
        order = np.argsort(-value, kind="stable")
        last = np.append(np.flatnonzero(np.diff(value[order])), len(order) - 1)
        found, false = np.cumsum(positive[order])[last], np.cumsum(~positive[order])[last]
        sensitivity, specificity = found / positive.sum(), 1 - false / (~positive).sum()
        if self.rule == "youden":
            merit = sensitivity + specificity
        elif self.rule == "f1":
            merit = 2 * found / (found + false + positive.sum())
        else:
            held, other = (
                (sensitivity, specificity) if self.rule == "sensitivity" else (specificity, sensitivity)
            )
            merit = np.where(held >= float(self.value or 0) - 1e-12, other, -1.0)
            if merit.max() < 0:  # even the highest probability alone is too unspecific: call nothing positive
                return float(np.nextafter(value.max(), np.inf))
        place = int(merit.argmax())
        here = value[order][last[place]]
        below = value[order][last[place + 1]] if place + 1 < len(last) else 0.0
        return float((here + below) / 2)

    def fit(self, validation: Outputs) -> tuple[float, ...]:
        """Choose a threshold for two classes, or one for each label; () where nothing is to decide."""
        if validation.kind != "multilabel" and not two_classes(validation):
            return ()
        chosen = []
        for name, truth, probability, _ in columns(validation):
            limit = self.choose(truth, probability)
            if limit is None:
                log.warning(
                    "'%s' is always or never true on validation: its threshold stays at one half.", name
                )
            chosen.append(0.5 if limit is None else limit)
        return tuple(chosen)


def with_thresholds(rule: ThresholdRule | None, *runs: Outputs, validation: Outputs) -> list[Outputs]:
    """Give outputs of one model with the thresholds that the rule chooses on its validation part."""
    limits = () if rule is None else rule.fit(validation)
    return [replace(run, thresholds=limits) if limits else run for run in runs]


def operating_points(
    outputs: Outputs, *, resamples: int = 1000, level: float = 0.95, seed: int = 0
) -> dict[str, Any]:
    """Say how well a model tells the positive records of each label, and what its decisions are worth.

    Parameters
    ----------
    outputs : Outputs
        Of two classes, or of several labels.
    resamples, level, seed
        Of the bootstrap over groups, by which the decisions get their intervals. AUROC has DeLong's; see
        :mod:`scizoo.evaluation.delong`.

    Returns
    -------
    dict
        ``points``: of each label ``label``, ``positives``, ``negatives``, ``threshold``, ``auroc``,
        ``sensitivity``, ``specificity``, ``ppv``, ``npv`` and ``f1``; ``chosen``: whether thresholds were.
    """
    points = []
    for name, truth, probability, limit in columns(outputs):
        known = np.isfinite(truth)
        alone = Outputs(
            ids=outputs.ids[known],
            groups=outputs.groups[known],
            targets=truth[known].astype(np.int64),
            kind="classification",
            classes=(f"not {name}", name),
            probability=np.stack([1 - probability[known], probability[known]], axis=1),
            thresholds=(limit,),
        )
        area = auroc_interval(truth[known] == 1, probability[known], outputs.groups[known], level=level)
        points.append(
            {
                "label": name,
                "positives": int((truth == 1).sum()),
                "negatives": int((truth == 0).sum()),
                "threshold": limit if math.isfinite(limit) else None,
                "auroc": area.to_dict(),
                **{
                    measure: estimate(
                        METRICS[measure], alone, resamples=resamples, level=level, seed=seed
                    ).to_dict()
                    for measure in AT_THRESHOLD
                },
            }
        )
    # Where nothing is said to be positive, what such a claim is worth is undefined.
    found: dict[str, Any] = plain({"points": points, "chosen": bool(outputs.thresholds)})
    return found
