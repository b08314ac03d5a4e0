"""Splits that do not leak: the Splitter contract and the splitters every domain shares."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from scizoo.data.records import Record

PARTS = ("train", "validation", "test")


@dataclass(frozen=True)
class Split:
    """Which record goes where.

    Parameters
    ----------
    train, validation, test : ndarray of int64
        Positions in the list of records that was split; disjoint.
    groups : ndarray of str, shape (records,)
        The group of every record, as the splitter saw it; never in two parts.
    method : str
        How it was split, in words for the report.
    """

    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray
    groups: np.ndarray
    method: str


class Splitter(ABC):
    """Divides records into train, validation and test so that nothing leaks."""

    @abstractmethod
    def split(self, records: Sequence[Record]) -> Split:
        """Split the records.

        Raises
        ------
        DataError
            When a part would be empty, naming what the records lack.
        """
