"""Embeddings as a scikit-learn transformer."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin

if TYPE_CHECKING:
    from scizoo.api import Model


class EmbeddingTransformer(TransformerMixin, BaseEstimator):
    """A pre-trained model as a step of a Pipeline: raw inputs in, embeddings out.

    Fitting learns nothing. The weights are loaded when they are first needed; copies and pickles hold
    the reference and not the weights.

    Parameters
    ----------
    ref : str
        A name, path or URL of a checkpoint.
    batch_size : int
        Windows a forward pass.
    pool : {"mean", "cls", "max"}
        See :meth:`scizoo.api.Model.embed`.
    device : str
        See :func:`scizoo.load`.
    """

    _model: Model | None = None
    _model_key: tuple[str, str] | None = None

    def __init__(self, ref: str, batch_size: int = 64, pool: str = "mean", device: str = "auto"):
        self.ref = ref
        self.batch_size = batch_size
        self.pool = pool
        self.device = device

    def fit(self, X: Iterable[Any], y: Any = None) -> EmbeddingTransformer:
        """Do nothing: the model is pre-trained."""
        return self

    def transform(self, X: Iterable[Any]) -> np.ndarray:
        """Embed raw inputs.

        Parameters
        ----------
        X : iterable
            The field's own objects, or Records.

        Returns
        -------
        ndarray of float32, shape (inputs, dimension)
        """
        return self._loaded().embed(X, batch_size=self.batch_size, pool=self.pool)

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Return ``embedding0``, ``embedding1``, ..."""
        return np.array([f"embedding{number}" for number in range(self._loaded().dimension)], dtype=object)

    def _loaded(self) -> Model:
        # A set_params(ref=...) must not go on with the old weights.
        key = (self.ref, self.device)
        if self._model is None or self._model_key != key:
            from scizoo.api import load

            self._model, self._model_key = load(self.ref, device=self.device), key
        return self._model

    def _with_model(self, model: Model) -> EmbeddingTransformer:
        self._model, self._model_key = model, (self.ref, self.device)
        return self

    def __getstate__(self) -> dict[str, Any]:
        return {key: value for key, value in super().__getstate__().items() if not key.startswith("_model")}

    def __sklearn_is_fitted__(self) -> bool:
        return True

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.requires_fit = False
        tags.no_validation = True
        tags.input_tags.two_d_array = False
        tags.input_tags.string = True
        return tags
