"""Classical baselines: features of the field with random forests, logistic and ridge regression."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from scizoo.data.records import Record
from scizoo.errors import ConfigError, did_you_mean
from scizoo_astronomy.features.cache import matrix
from scizoo_astronomy.features.image import hog_features, moment_features
from scizoo_astronomy.features.lightcurve import band_features, light_curve_features
from scizoo_astronomy.features.spectrum import continuum_removed, line_features, log_grid, resample
from scizoo_astronomy.features.transit import transit_features
from scizoo_astronomy.objects import CatalogRow, Image, ImageSpectrum, LightCurve, Spectrum
from scizoo_astronomy.tabular import Tabular


class LightCurveFeatures(Tabular):
    """Lomb-Scargle period and features of light curves, with a random forest (Richards et al. 2011).

    Parameters
    ----------
    max_frequency : float
        Highest frequency that is searched for the period, per day.
    **settings
        As of :class:`~scizoo_astronomy.tabular.Tabular`.
    """

    title = "light-curve features (Lomb-Scargle, random forest)"

    def __init__(
        self,
        model: str = "forest",
        n_estimators: int = 300,
        max_features: float = 0.2,
        min_samples_leaf: int = 1,
        balanced: bool = False,
        C: float = 1.0,
        seed: int = 0,
        max_frequency: float = 20.0,
    ):
        super().__init__(model, n_estimators, max_features, min_samples_leaf, balanced, C, seed)
        self.max_frequency = max_frequency

    def fit_features(self, records: Sequence[Record]) -> np.ndarray:
        """Note the bands of the training records, and return their features."""
        self.bands_ = tuple(sorted({band for record in records for band in record.input.bands}))
        return self.features(records)

    def raw_features(self, records: Sequence[Record]) -> np.ndarray:
        """Return the features; of several bands mean and spread in each are added."""

        def compute(curve: LightCurve) -> np.ndarray:
            return light_curve_features(curve, self.max_frequency)

        single = matrix(records, LightCurve, ("light curve", self.max_frequency), compute)
        if len(self.bands_) < 2:
            return single
        return np.hstack([single, np.stack([band_features(record.input, self.bands_) for record in records])])


class TransitSearch(Tabular):
    """Box least squares and the tests that vet its candidates, with a random forest.

    Parameters
    ----------
    window : float
        Days of the running median that is taken off first.
    **settings
        As of :class:`~scizoo_astronomy.tabular.Tabular`.
    """

    title = "box least squares and vetting tests (random forest)"

    def __init__(
        self,
        model: str = "forest",
        n_estimators: int = 300,
        max_features: float = 0.3,
        min_samples_leaf: int = 1,
        balanced: bool = False,
        C: float = 1.0,
        seed: int = 0,
        window: float = 1.0,
    ):
        super().__init__(model, n_estimators, max_features, min_samples_leaf, balanced, C, seed)
        self.window = window

    def raw_features(self, records: Sequence[Record]) -> np.ndarray:
        """Return the features of the best box."""

        def compute(curve: LightCurve) -> np.ndarray:
            return transit_features(curve, self.window)

        return matrix(records, LightCurve, ("transit", self.window), compute)


class _Spectral(Tabular):
    """Common to the baselines of spectra: the grid of wavelengths that the training records cover."""

    cells: int

    def _grid(self, records: Sequence[Record]) -> np.ndarray:
        """Choose the grid: from where a tenth of the training spectra begin to where a tenth end."""
        ends = np.array([_spectrum(record.input).wavelength[[0, -1]] for record in records])
        low, high = np.percentile(ends[:, 0], 10), np.percentile(ends[:, 1], 90)
        return log_grid(low, max(high, low * 1.01), self.cells)

    def fit_features(self, records: Sequence[Record]) -> np.ndarray:
        """Choose the grid, and return the features."""
        self.grid_ = self._grid(records)
        return self.features(records)


class SpectrumPCA(_Spectral):
    """Principal components of spectra with ridge (for classes logistic) regression.

    Spectra are averaged on a grid of equal steps in log-wavelength and scaled by their median; components of
    the fluxes and of what remains when the continuum is divided off (Connolly et al. 1995, AJ 110, 1071).

    Parameters
    ----------
    components : int
        Of each of the two.
    cells : int
        Of the grid.
    model, n_estimators, max_features, min_samples_leaf, balanced, C, seed
        As of :class:`~scizoo_astronomy.tabular.Tabular`; linear by default.
    """

    title = "principal components of spectra (ridge or logistic regression)"

    def __init__(
        self,
        components: int = 20,
        cells: int = 512,
        model: str = "linear",
        n_estimators: int = 300,
        max_features: float = 0.2,
        min_samples_leaf: int = 1,
        balanced: bool = False,
        C: float = 1.0,
        seed: int = 0,
    ):
        super().__init__(model, n_estimators, max_features, min_samples_leaf, balanced, C, seed)
        self.components, self.cells = components, cells

    def _fluxes(self, records: Sequence[Record]) -> list[np.ndarray]:
        name = ("cells", tuple(self.grid_[[0, -1]]), self.cells)
        flux = matrix(records, (Spectrum, ImageSpectrum), name, lambda s: resample(_spectrum(s), self.grid_))
        lines = np.clip(np.stack([continuum_removed(row) for row in flux]), -3, 10)
        return [np.clip(flux, -20, 20), lines]

    def fit_features(self, records: Sequence[Record]) -> np.ndarray:
        """Learn grid, means and components, and return the features."""
        from sklearn.decomposition import PCA

        self.grid_ = self._grid(records)
        self.parts_: list[tuple[np.ndarray, Any]] = []
        for block in self._fluxes(records):
            mean = np.nan_to_num(_column_medians(block))
            filled = np.where(np.isfinite(block), block, mean)
            count = max(1, min(self.components, *filled.shape))
            self.parts_.append((mean, PCA(count, random_state=self.seed).fit(filled)))
        return self.features(records)

    def raw_features(self, records: Sequence[Record]) -> np.ndarray:
        """Return the components of the fluxes and of the lines."""
        found = []
        for block, (mean, model) in zip(self._fluxes(records), self.parts_):
            found.append(model.transform(np.where(np.isfinite(block), block, mean)))
        return np.hstack(found)

    def search_space(self, trial: Any) -> dict[str, Any]:
        """Suggest the number of components and settings of the model."""
        components = trial.suggest_int("components", 5, 80, log=True)
        return {"components": components, **super().search_space(trial)}


class SpectrumLines(_Spectral):
    """Colours and the strongest lines of spectra, with a random forest.

    Parameters
    ----------
    strongest : int
        How many emission and absorption lines.
    cells : int
        Of the grid in log-wavelength.
    model, n_estimators, max_features, min_samples_leaf, balanced, C, seed
        As of :class:`~scizoo_astronomy.tabular.Tabular`.
    """

    title = "spectral lines and colours (random forest)"

    def __init__(
        self,
        strongest: int = 4,
        cells: int = 1024,
        model: str = "forest",
        n_estimators: int = 300,
        max_features: float = 0.5,
        min_samples_leaf: int = 1,
        balanced: bool = False,
        C: float = 1.0,
        seed: int = 0,
    ):
        super().__init__(model, n_estimators, max_features, min_samples_leaf, balanced, C, seed)
        self.strongest, self.cells = strongest, cells

    def raw_features(self, records: Sequence[Record]) -> np.ndarray:
        """Return bands and lines."""
        name = ("lines", tuple(self.grid_[[0, -1]]), self.cells, self.strongest)

        def compute(value: Any) -> np.ndarray:
            return line_features(_spectrum(value), self.grid_, self.strongest)

        return matrix(records, (Spectrum, ImageSpectrum), name, compute)


class ImageFeatures(Tabular):
    """Moments, structure and gradients of images, with logistic regression or a random forest.

    Parameters
    ----------
    features_of : {"moments", "hog", "both"}
        Moments and morphology (27 numbers), histograms of oriented gradients, or both.
    model, n_estimators, max_features, min_samples_leaf, balanced, C, seed
        As of :class:`~scizoo_astronomy.tabular.Tabular`.
    """

    def __init__(
        self,
        features_of: str = "moments",
        model: str = "forest",
        n_estimators: int = 300,
        max_features: float = 0.2,
        min_samples_leaf: int = 1,
        balanced: bool = False,
        C: float = 1.0,
        seed: int = 0,
    ):
        super().__init__(model, n_estimators, max_features, min_samples_leaf, balanced, C, seed)
        self.features_of = features_of

    @property
    def title(self) -> str:  # type: ignore[override]
        """The name that people read, with the features and the model."""
        names = {
            "moments": "image moments",
            "hog": "oriented gradients",
            "both": "image moments and gradients",
        }
        model = "random forest" if self.model == "forest" else "linear model"
        return f"{names.get(self.features_of, self.features_of)} ({model})"

    def raw_features(self, records: Sequence[Record]) -> np.ndarray:
        """Return the features that were asked for."""
        kinds = {"moments": ["moments"], "hog": ["hog"], "both": ["moments", "hog"]}
        if self.features_of not in kinds:
            raise ConfigError(f"features_of={self.features_of}: {did_you_mean(str(self.features_of), kinds)}")
        compute = {"moments": moment_features, "hog": hog_features}
        return np.hstack(
            [
                matrix(
                    records,
                    (Image, ImageSpectrum),
                    kind,
                    lambda value, kind=kind: compute[kind](_image(value)),
                )
                for kind in kinds[self.features_of]
            ]
        )


class CatalogFeatures(Tabular):
    """The columns of a catalogue as they are, with a random forest."""

    title = "catalogue columns (random forest)"

    def __init__(
        self,
        model: str = "forest",
        n_estimators: int = 300,
        max_features: float = 0.35,
        min_samples_leaf: int = 1,
        balanced: bool = False,
        C: float = 1.0,
        seed: int = 0,
    ):
        super().__init__(model, n_estimators, max_features, min_samples_leaf, balanced, C, seed)

    def raw_features(self, records: Sequence[Record]) -> np.ndarray:
        """Return the columns."""
        return matrix(records, CatalogRow, "row", lambda row: row.values)


def _spectrum(value: Spectrum | ImageSpectrum) -> Spectrum:
    return value.spectrum if isinstance(value, ImageSpectrum) else value


def _image(value: Image | ImageSpectrum) -> Image:
    return value.image if isinstance(value, ImageSpectrum) else value


def _column_medians(block: np.ndarray) -> np.ndarray:
    known = np.isfinite(block)
    filled = np.ma.array(block, mask=~known)
    return np.asarray(np.ma.median(filled, axis=0).filled(0.0))
