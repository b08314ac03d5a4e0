"""Classical segmentation: a classifier of single pixels by what is around them, and the floor below it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from scipy import ndimage

from scizoo.data.placement import nearest_map, scaled
from scizoo.data.records import Record
from scizoo.data.targets import IGNORED
from scizoo.errors import ConfigError, TrainingError
from scizoo.evaluation.baseline import Baseline

Shape = tuple[int, int]


class PixelBaseline(Baseline):
    """A classifier of pixels: features of each, and trees that learn from a sample of labelled ones.

    Features are the intensity, its Gaussian smoothings and the gradient and Laplacian at each scale (as in
    ilastik, Berg et al. 2019, Nat. Methods 16, 1226), and where in the image the pixel lies. Images are
    scaled down to ``size`` and their predictions back. A domain says in `image` how its records become
    arrays, and may add features in `more_features`.

    Parameters
    ----------
    method : {"forest", "boosting"}
        A random forest, or histogram gradient boosting.
    scales : sequence of float
        Widths of the Gaussians, in pixels of the scaled image.
    position : bool
        Whether a pixel's place in the image is a feature.
    pixels : int
        Pixels of each training record that are learnt from, half of them of the rarer classes where there are
        enough.
    size : int
        Longest side of the scaled image.
    trees : int
        Trees of the forest, or rounds of boosting.
    depth : int, optional
        Deepest split of a tree.
    seed : int
    """

    title = "the pixel classifier"

    def __init__(
        self,
        method: str = "forest",
        scales: Sequence[float] = (1.0, 2.0, 4.0, 8.0),
        position: bool = True,
        pixels: int = 500,
        size: int = 256,
        trees: int = 100,
        depth: int | None = 16,
        seed: int = 0,
    ):
        self.method, self.scales, self.position = method, scales, position
        self.pixels, self.size, self.trees = pixels, size, trees
        self.depth, self.seed = depth, seed

    def image(self, record: Record) -> np.ndarray:
        """Give a record as an array of numbers (H, W) or (H, W, C); by default its input."""
        return np.asarray(record.input)

    def more_features(self, image: np.ndarray) -> np.ndarray | None:
        """Give further features (h, w, F) of a scaled image (h, w, C), or None."""
        return None

    def features(self, image: np.ndarray) -> np.ndarray:
        """Compute the features of every pixel of a scaled image (h, w, C).

        Returns
        -------
        ndarray of float32, shape (h, w, F)
        """
        made = []
        for channel in np.moveaxis(image, -1, 0):
            made.append(channel)
            for scale in self.scales:
                made += [
                    ndimage.gaussian_filter(channel, scale),
                    ndimage.gaussian_gradient_magnitude(channel, scale),
                    ndimage.gaussian_laplace(channel, scale),
                ]
        if self.position:
            made += list(np.meshgrid(*(np.linspace(-1, 1, side) for side in image.shape[:2]), indexing="ij"))
        table = np.stack(made, axis=-1).astype(np.float32)
        further = self.more_features(image)
        return table if further is None else np.concatenate([table, further.astype(np.float32)], axis=-1)

    def _scaled(self, record: Record) -> np.ndarray:
        image = np.asarray(self.image(record), dtype=np.float32)
        image = image[..., None] if image.ndim == 2 else image
        if image.ndim != 3:
            raise TrainingError(
                f"{type(self).__name__}: record '{record.id}' gives an array of the shape {image.shape}.",
                expected="(height, width) or (height, width, channels)",
            )
        share = min(1.0, self.size / max(image.shape[:2]))
        height, width = (max(1, round(side * share)) for side in image.shape[:2])
        small = np.moveaxis(scaled(np.moveaxis(image, -1, 0), (height, width)), 0, -1)
        centre, spread = np.nanmean(small, axis=(0, 1)), np.nanstd(small, axis=(0, 1))
        return np.nan_to_num((small - centre) / np.where(spread > 0, spread, 1.0))

    def _model(self) -> Any:
        from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier

        if self.method == "forest":
            return RandomForestClassifier(
                self.trees, max_depth=self.depth, min_samples_leaf=2, random_state=self.seed
            )
        if self.method == "boosting":
            return HistGradientBoostingClassifier(
                max_iter=self.trees, max_depth=self.depth, random_state=self.seed
            )
        raise ConfigError(f"method={self.method} is unknown.", expected="forest or boosting")

    def fit(self, records: Sequence[Record], targets: Any, groups: np.ndarray | None = None) -> PixelBaseline:
        """Learn from a sample of the pixels of each record; see :meth:`Baseline.fit`.

        Parameters
        ----------
        records : sequence of Record
        targets : LabelMaps
            Class numbers (H, W) of each record, -100 where a pixel does not count.
        groups : ndarray, optional
            Not used.
        """
        rng = np.random.default_rng(self.seed)
        rows, labels = [], []
        for record, true in zip(records, targets, strict=True):
            image = self._scaled(record)
            small = nearest_map(true, image.shape[:2]).ravel()
            chosen = _sample(small, self.pixels, rng)
            if len(chosen):
                table = self.features(image)
                rows.append(table.reshape(-1, table.shape[-1])[chosen])
                labels.append(small[chosen])
        if not rows:
            raise TrainingError("no pixel of any training record has a label.")
        self.model_ = self._model().fit(np.concatenate(rows), np.concatenate(labels))
        return self

    def predict_maps(self, records: Sequence[Record], shapes: Sequence[Shape]) -> Iterator[np.ndarray]:
        """Give the class of every pixel of each record, one map (H, W) of ``shapes`` at a time."""
        numbers = np.asarray(self.model_.classes_)
        for record, shape in zip(records, shapes, strict=True):
            image = self._scaled(record)
            table = self.features(image).reshape(image.shape[0] * image.shape[1], -1)
            probability = self.model_.predict_proba(table).T.reshape(-1, *image.shape[:2])
            yield numbers[scaled(probability, shape).argmax(axis=0)]

    def search_space(self, trial: Any) -> dict[str, Any]:
        """Suggest how deep trees are and how many pixels are learnt from."""
        return {
            "depth": trial.suggest_int("depth", 6, 24),
            "pixels": trial.suggest_categorical("pixels", [250, 500, 1000]),
        }


def _sample(labels: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """Draw pixels, half at random and half in equal shares from the classes that occur."""
    known = np.flatnonzero(labels != IGNORED)
    if len(known) <= count:
        return known
    chosen = [rng.choice(known, count - count // 2, replace=False)]
    classes = np.unique(labels[known])
    for number in classes:
        members = np.flatnonzero(labels == number)
        share = min(len(members), max(1, count // 2 // len(classes)))
        chosen.append(rng.choice(members, share, replace=False))
    return np.unique(np.concatenate(chosen))


class MeanMapBaseline(Baseline):
    """Gives each pixel the class that was commonest at its place in the training maps, whatever the image.

    Parameters
    ----------
    size : int
        Maps are compared on a grid of so many places a side.
    """

    title = "the mean map"

    def __init__(self, size: int = 128):
        self.size = size

    def fit(
        self, records: Sequence[Record], targets: Any, groups: np.ndarray | None = None
    ) -> MeanMapBaseline:
        """Count the classes at each place; see :meth:`PixelBaseline.fit`."""
        counts: dict[int, np.ndarray] = {}
        for true in targets:
            small = nearest_map(true, (self.size, self.size))
            for number in np.unique(small[small != IGNORED]).tolist():
                counts.setdefault(number, np.zeros(small.shape, dtype=np.float32))[small == number] += 1
        if not counts:
            raise TrainingError("no pixel of any training record has a label.")
        self.classes_ = np.array(sorted(counts))
        self.share_ = np.stack([counts[number] for number in self.classes_.tolist()])
        self.share_ /= np.maximum(self.share_.sum(axis=0), 1)
        return self

    def predict_maps(self, records: Sequence[Record], shapes: Sequence[Shape]) -> Iterator[np.ndarray]:
        """Give the same map for every record, scaled to its size."""
        for shape in shapes:
            yield self.classes_[scaled(self.share_, shape).argmax(axis=0)]
