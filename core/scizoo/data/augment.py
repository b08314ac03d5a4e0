"""Views of a record: symmetries of a field, used in training, in prediction, or in both."""

from __future__ import annotations

import hashlib
import json
from abc import ABC, abstractmethod
from typing import Any


class Augment(ABC):
    """Gives the views of one input; all of them stand for the same record.

    For label maps it needs a method ``label_views(map)`` as well, which gives the map of each view in the
    same order; of a segmentation the first view alone is predicted.

    In training one view a record is drawn each epoch; in prediction the outputs of all views are
    averaged.

    Parameters
    ----------
    train : bool
        Whether training draws among the views; else it sees the first alone.
    predict : bool
        Whether prediction averages over the views; else it sees the first alone.
    """

    def __init__(self, train: bool = True, predict: bool = True):
        self.train = train
        self.predict = predict

    @abstractmethod
    def views(self, input: Any) -> list[Any]:
        """Return the views of an input; the first is the input itself."""

    def __call__(self, input: Any) -> list[Any]:
        """Return the views of an input; see :meth:`views`."""
        return self.views(input)

    def settings(self) -> dict[str, Any]:
        """Return the plain settings that build it again."""
        return {"train": self.train, "predict": self.predict}

    def fingerprint(self) -> str:
        """Return a digest of what :meth:`views` does, whenever they are used."""
        settings = {key: value for key, value in self.settings().items() if key not in ("train", "predict")}
        name = f"{type(self).__module__}.{type(self).__qualname__}"
        return hashlib.sha256(json.dumps([name, settings], sort_keys=True).encode()).hexdigest()
