"""How alike windows and series are, for the leakage audit: overlap in time, copies, corpora."""

from __future__ import annotations

import hashlib
import logging
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from scizoo.data.records import Record
from scizoo.errors import ConfigError, MachineError
from scizoo.evaluation.similarity import equal_pairs, in_sketch
from scizoo_timeseries.series import Series, as_series

log = logging.getLogger(__name__)

_COMPARED = 256  # last values of an input that make it equal to another of the same length
_BLOCK = 2_000_000  # cells of a block of correlations


class SeriesSimilarity:
    """Copies of series, whatever their unit, and targets that overlap in time.

    Two windows of the same series mean the same when their targets share a time, or when both are copies.
    Series under different names are compared by their differences, so that shift and scale do not matter:
    equal ones are exact copies; where the end of a test window (its last values of history and its target)
    correlates with any stretch of another series that an earlier part holds, they are near copies.

    Parameters
    ----------
    threshold : float
        Correlation of differences from which two stretches count as near copies.
    least : int
        Values that a compared stretch has at least; the horizon counts in.
    most : int
        Windows that are compared at most, drawn evenly; the others are not looked at.
    run : int
        Values of a run of the corpus sketch.
    scale : int
        Corpus sketches keep one in ``scale`` of the different runs.
    """

    finds_near = True

    def __init__(
        self, threshold: float = 0.995, least: int = 32, most: int = 1000, run: int = 16, scale: int = 16
    ):
        if not 0 < threshold <= 1 or least < 4 or most < 1 or run < 4 or scale < 1:
            raise ConfigError(
                f"audit: threshold={threshold}, least={least}, most={most}, run={run}, scale={scale}",
                expected="a correlation up to 1, least and run from 4 on, most and scale from 1 on",
            )
        self.threshold, self.least, self.most, self.run, self.scale = threshold, least, most, run, scale
        self._named: dict[int, tuple[Record, tuple[int, str]]] = {}  # records are asked for again and again

    def settings(self) -> dict[str, Any]:
        """Return the plain settings that build it again."""
        keys = ("threshold", "least", "most", "run", "scale")
        return {key: getattr(self, key) for key in keys}

    def sketch_settings(self) -> dict[str, Any]:
        """Return the settings that a sketch depends on."""
        return {"run": self.run, "scale": self.scale}

    def exact_duplicates(
        self, records_a: Sequence[Record], records_b: Sequence[Record]
    ) -> list[tuple[int, int]]:
        """Return pairs ``(i, j)`` of equal inputs, and of windows of a series whose targets share a time."""
        pairs = set(equal_pairs(list(map(self._content, records_a)), list(map(self._content, records_b))))
        if records_a is not records_b:  # within a part targets may overlap: stride is the user's choice
            pairs |= set(_overlaps(records_a, records_b))
        return sorted(pairs, key=lambda pair: (pair[1], pair[0]))

    def _content(self, record: Record) -> tuple[int, str]:
        known = self._named.get(id(record))
        if known is None:
            known = self._named[id(record)] = (record, _content(record))
        return known[1]

    def near_duplicates(
        self, records_a: Sequence[Record], records_b: Sequence[Record]
    ) -> list[tuple[int, int, float]]:
        """Return ``(i, j, correlation)``: for windows of ``b`` the likest stretch of other series."""
        if not len(records_a) or not len(records_b):
            return []
        chosen = np.unique(np.linspace(0, len(records_b) - 1, min(self.most, len(records_b))).astype(int))
        by_size: dict[int, list[int]] = defaultdict(list)
        ends = {int(j): self._end(records_b[j]) for j in chosen}
        for j, end in ends.items():
            if len(end) >= self.least:
                by_size[len(end)].append(j)
        found: list[tuple[int, int, float]] = []
        covered = _coverage(records_a)
        for size, rows in by_size.items():
            found += self._likest(covered, records_b, rows, np.stack([ends[j] for j in rows]), size)
        return sorted(found, key=lambda match: match[1])

    def _end(self, record: Record) -> np.ndarray:
        """Return the last values of the history and the target; of a whole series its last values."""
        history = _flat(as_series(record.input))
        target = _target(record)
        if target is None:
            return history[-max(self.least, 256) :]
        return np.concatenate([history[-max(self.least - len(target), 8) :], target])

    def _likest(
        self,
        covered: list[tuple[str, int, np.ndarray]],
        records: Sequence[Record],
        rows: list[int],
        ends: np.ndarray,
        size: int,
    ) -> list[tuple[int, int, float]]:
        mine = _standardised(np.diff(ends, axis=1))
        names = np.array([_name(records[row]) for row in rows])
        best, partner = np.full(len(rows), -1.0), np.zeros(len(rows), dtype=int)
        for name, row, values in covered:
            if len(values) < size:
                continue
            stretches = np.lib.stride_tricks.sliding_window_view(np.diff(values), size - 1)
            step = max(1, _BLOCK // max(size, len(rows)))
            for start in range(0, len(stretches), step):
                theirs = _standardised(stretches[start : start + step])
                top = (mine @ theirs.T).max(axis=1)
                better = (top > best) & (names != name)
                best[better], partner[better] = top[better], row
        return [
            (int(partner[place]), rows[place], float(min(best[place], 1.0)))
            for place in np.flatnonzero(best >= self.threshold)
        ]

    def sketch(self, records: Iterable[Record]) -> np.ndarray:
        """Return the sorted lowest ``1/scale`` (uint64) of the hashes of the corpus's runs.

        Of a corpus that tells its measured series (``measured_values``) only these are sketched: what is
        drawn at random holds nobody's test data. Where they cannot be fetched the sketch is empty, which
        measures nothing.
        """
        told = getattr(records, "measured_values", None)
        kept, waiting = np.empty(0, dtype=np.uint64), []
        try:
            for values in told() if callable(told) else (_flat(as_series(r.input)) for r in records):
                waiting.append(self._sampled(values))
                if len(waiting) == 1000:
                    kept, waiting = np.unique(np.concatenate([kept, *waiting])), []
        except MachineError as error:
            log.warning("the overlap with the pre-training corpus is not measured: %s", error.problem)
            return np.empty(0, dtype=np.uint64)
        return np.unique(np.concatenate([kept, *waiting]))

    def overlap(self, sketch: np.ndarray, records: Sequence[Record]) -> np.ndarray:
        """Return the share of each window's runs that the corpus holds; NaN where none was sampled."""
        shares = np.full(len(records), np.nan)
        if not len(sketch):
            return shares
        for row, record in enumerate(records):
            target = _target(record)
            history = _flat(as_series(record.input))
            values = history if target is None else np.concatenate([history[-256:], target])
            mine = self._sampled(values)
            if len(mine):
                shares[row] = in_sketch(mine, sketch).mean()
        return shares

    def _sampled(self, values: np.ndarray) -> np.ndarray:
        """Hash every run by its differences in units of their mean size, rounded; keep the lowest hashes."""
        if len(values) < self.run:
            return np.empty(0, dtype=np.uint64)
        steps = np.lib.stride_tricks.sliding_window_view(np.diff(values), self.run - 1)
        size = np.abs(steps).mean(axis=1)
        good = np.isfinite(size) & (size > 0)
        coded = np.rint(8 * steps[good] / size[good, None]).astype(np.int64).astype(np.uint64)
        key = np.zeros(len(coded), dtype=np.uint64)
        for column in range(coded.shape[1]):
            key = _mix(key ^ coded[:, column])
        return np.unique(key[key < np.uint64((2**64 - 1) // self.scale)])


def _mix(key: np.ndarray) -> np.ndarray:
    """Scramble 64-bit numbers one to one (splitmix64)."""
    key = key + np.uint64(0x9E3779B97F4A7C15)
    key = (key ^ (key >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    key = (key ^ (key >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return key ^ (key >> np.uint64(31))


def _name(record: Record) -> str:
    return str(record.meta.get("series") or record.id)


def _target(record: Record) -> np.ndarray | None:
    """Return the future of a forecast window; None for a labelled series."""
    return np.asarray(record.target, dtype=np.float64) if isinstance(record.target, np.ndarray) else None


def _flat(series: Series) -> np.ndarray:
    return series.values if series.values.ndim == 1 else series.values.T.ravel()


def _content(record: Record) -> tuple[int, str]:
    """Name an input by its shape up to shift and scale: equal series in other units are equal."""
    whole = _flat(as_series(record.input))
    values = whole[-_COMPARED:]
    known = values[np.isfinite(values)]
    spread = float(known.std()) if len(known) else 0.0
    level = float(known.mean()) if len(known) else 0.0
    # Rounded, for a change of unit leaves the last digits different; of a constant series the level counts.
    shape = np.round((values - level) / spread, 6) + 0.0 if spread > 1e-9 * abs(level) else values
    target = _target(record)
    ends = b"" if target is None or spread == 0 else np.round((target - level) / spread, 6).tobytes()
    return len(whole), hashlib.blake2b(np.ascontiguousarray(shape).tobytes() + ends).hexdigest()


def _overlaps(records_a: Sequence[Record], records_b: Sequence[Record]) -> list[tuple[int, int]]:
    """Find windows of the same series whose targets share a time; of several partners the first."""
    spans: dict[str, list[tuple[int, int, int]]] = defaultdict(list)
    for i, record in enumerate(records_a):
        if "start" in record.meta and "stop" in record.meta:
            spans[_name(record)].append((int(record.meta["start"]), int(record.meta["stop"]), i))
    ordered = {name: np.array(sorted(found)) for name, found in spans.items()}
    pairs = []
    for j, record in enumerate(records_b):
        known = ordered.get(_name(record))
        if known is None or "start" not in record.meta:
            continue
        start, stop = int(record.meta["start"]), int(record.meta["stop"])
        meets = np.flatnonzero((known[:, 0] < stop) & (known[:, 1] > start))
        if len(meets):
            pairs.append((int(known[meets[0], 2]), j))
    return pairs


def _coverage(records: Sequence[Record]) -> list[tuple[str, int, np.ndarray]]:
    """Join the windows of each series to what the part holds of it: (series, a record of it, values)."""
    members: dict[str, list[int]] = defaultdict(list)
    for row, record in enumerate(records):
        members[_name(record)].append(row)
    found = []
    for name, rows in members.items():
        pieces = []
        for row in rows:
            record = records[row]
            values, target = _flat(as_series(record.input)), _target(record)
            start = int(record.meta.get("start", len(values)))
            whole = values if target is None else np.concatenate([values, target])
            pieces.append((start - len(values), whole))
        first = min(place for place, _ in pieces)
        joined = np.full(max(place + len(whole) for place, whole in pieces) - first, np.nan)
        for place, whole in pieces:
            joined[place - first : place - first + len(whole)] = whole
        found.append((name, rows[-1], joined))
    return found


def _standardised(rows: np.ndarray) -> np.ndarray:
    """Shift and scale rows to mean 0 and length 1; zeros where a value is missing or nothing changes."""
    known = np.isfinite(rows).all(axis=1)
    safe = np.where(known[:, None], rows, 0.0).astype(np.float32)
    safe = safe - safe.mean(axis=1, keepdims=True)
    length = np.sqrt((safe**2).sum(axis=1, keepdims=True))
    size = np.abs(safe).max(axis=1, keepdims=True)
    return np.where(
        size > 1e-6 * np.maximum(1e-30, size.max(initial=0.0)), safe / np.maximum(length, 1e-30), 0.0
    )
