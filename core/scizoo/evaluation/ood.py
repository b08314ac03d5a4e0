"""Is a record like those the model was trained on: Mahalanobis distance in embedding space."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from scipy.spatial.distance import cdist

from scizoo.evaluation.intervals import Estimate, estimate_function
from scizoo.evaluation.resampled import ranking_areas


class MahalanobisDetector:
    """Distance of an embedding to the nearest class of the training records.

    One mean a class and one covariance for all, shrunk by Ledoit and Wolf's formula so that it can be
    inverted with fewer records than dimensions (Lee et al. 2018). The relative form subtracts the
    distance to all training records together, which helps with near outliers (Ren et al. 2021).

    Parameters
    ----------
    relative : bool
    quantile : float
        Share of validation records below the threshold: 0.95 flags one of twenty like them.
    """

    def __init__(self, *, relative: bool = False, quantile: float = 0.95):
        if not 0 < quantile < 1:
            raise ValueError(f"quantile must lie between 0 and 1, not {quantile}")
        self.relative = relative
        self.quantile = quantile
        self.threshold = math.nan
        self.means = np.empty((0, 0))
        self.whitening = np.empty((0, 0))
        self.centre = np.empty(0)
        self.background = np.empty((0, 0))

    def fit(self, embeddings: np.ndarray, labels: np.ndarray | None = None) -> MahalanobisDetector:
        """Learn where the training records lie.

        Parameters
        ----------
        embeddings : ndarray, shape (N, D)
        labels : ndarray of int, shape (N,), optional
            Classes; without them all records are one class.

        Returns
        -------
        MahalanobisDetector
            Itself.
        """
        embeddings = np.asarray(embeddings, dtype=np.float64)
        if len(embeddings) < 2:
            raise ValueError("at least two training records are needed")
        labels = np.zeros(len(embeddings), dtype=int) if labels is None else np.asarray(labels)
        classes, member = np.unique(labels, return_inverse=True)
        self.means = np.stack([embeddings[member == place].mean(axis=0) for place in range(len(classes))])
        self.whitening = _whitening(embeddings - self.means[member])
        self.centre = embeddings.mean(axis=0)
        self.background = _whitening(embeddings - self.centre)
        return self

    def calibrate(self, embeddings: np.ndarray) -> MahalanobisDetector:
        """Set the threshold on validation records, which are taken to be like the training records."""
        self.threshold = float(np.quantile(self.score(embeddings), self.quantile))
        return self

    def score(self, embeddings: np.ndarray) -> np.ndarray:
        """Give each record's score (N,): the higher, the stranger."""
        if not self.means.size:
            raise ValueError("fit comes first")
        embeddings = np.asarray(embeddings, dtype=np.float64)
        distances = cdist(embeddings @ self.whitening, self.means @ self.whitening, "sqeuclidean").min(axis=1)
        if not self.relative:
            return np.sqrt(distances)
        return distances - (((embeddings - self.centre) @ self.background) ** 2).sum(axis=1)

    def flag(self, embeddings: np.ndarray) -> np.ndarray:
        """Say which records (N,) lie beyond the threshold."""
        if math.isnan(self.threshold):
            raise ValueError("calibrate comes first")
        return self.score(embeddings) > self.threshold

    def state(self) -> dict[str, np.ndarray]:
        """Give what a checkpoint keeps: plain arrays (float32 suffices for distances)."""
        arrays: dict[str, np.ndarray] = {"means": self.means, "whitening": self.whitening}
        if self.relative:
            arrays |= {"centre": self.centre, "background": self.background}
        kept = {name: value.astype(np.float32) for name, value in arrays.items()}
        return kept | {"settings": np.array([self.relative, self.quantile, self.threshold])}

    @classmethod
    def from_state(cls, state: Mapping[str, np.ndarray]) -> MahalanobisDetector:
        """Build it again from :meth:`state`."""
        relative, quantile, threshold = (float(value) for value in state["settings"])
        made = cls(relative=bool(relative), quantile=quantile)
        made.threshold = threshold
        for name in ("means", "whitening", "centre", "background"):
            if name in state:
                setattr(made, name, np.asarray(state[name], dtype=np.float64))
        return made


def _whitening(deviations: np.ndarray) -> np.ndarray:
    """Give W with W W' the inverse of the shrunk covariance."""
    from sklearn.covariance import LedoitWolf

    # Shrinkage pulls all variances towards their mean, which would drown quiet dimensions: so each is
    # first brought to variance one. A dimension that never varied keeps a small finite scale.
    scale = deviations.std(axis=0)
    scale = np.maximum(scale, max(1e-3 * float(np.median(scale)), 1e-12))
    correlation = LedoitWolf(assume_centered=True).fit(deviations / scale).covariance_
    factor = np.linalg.cholesky(correlation + 1e-6 * np.eye(len(correlation)))
    return np.linalg.inv(factor).T / scale[:, None]


def detection_auroc(
    inside: np.ndarray,
    outside: np.ndarray,
    *,
    inside_groups: np.ndarray | None = None,
    outside_groups: np.ndarray | None = None,
    resamples: int = 1000,
    seed: int = 0,
) -> Estimate:
    """Measure how well scores tell strange records from familiar ones.

    Parameters
    ----------
    inside, outside : ndarray
        Scores of test records like the training records, and of records known to be strange.
    inside_groups, outside_groups : ndarray of str, optional
        For the bootstrap; each record its own by default.
    resamples, seed
        As in :func:`scizoo.evaluation.intervals.estimate`.

    Returns
    -------
    Estimate
        AUROC: 0.5 is no better than chance.
    """
    scores = np.concatenate([inside, outside])
    strange = np.concatenate([np.zeros(len(inside), bool), np.ones(len(outside), bool)])
    names = []
    for part, groups, size in (("in", inside_groups, len(inside)), ("out", outside_groups, len(outside))):
        names += [f"{part}:{name}" for name in (range(size) if groups is None else groups)]
    return estimate_function(
        lambda weights: ranking_areas(strange, scores, weights)[0],
        np.array(names, dtype=str),
        resamples=resamples,
        seed=seed,
    )


def ood_section(
    detector: MahalanobisDetector, scores: np.ndarray, auroc: Estimate | None, against: str
) -> dict[str, Any]:
    """Give the ``ood`` section of report.json.

    Parameters
    ----------
    detector : MahalanobisDetector
    scores : ndarray
        Of the test records.
    auroc : Estimate or None
    against : str
        What the strange records were, in words.

    Returns
    -------
    dict
    """
    return {
        "method": "relative Mahalanobis distance" if detector.relative else "Mahalanobis distance",
        "quantile": detector.quantile,
        "threshold": detector.threshold,
        "flagged": int((scores > detector.threshold).sum()),
        "records": len(scores),
        "auroc": None if auroc is None else auroc.to_dict(),
        "against": against,
    }
