"""Measure conformal coverage over many splits of a finished comparison's test records.

    python tools/coverage.py RUN_DIRECTORY [--levels 0.8 0.9 0.95] [--splits 20]

RUN_DIRECTORY is a run of `scizoo compare`. The test groups of each contender with the most labels are split
in half, again and again: sets (or intervals) are calibrated on one half and their coverage is measured on the
other. Sets are those that `scizoo predict` gives, with at least one class each, so a model that is right more
often than was asked covers more; "may be empty" are sets without that rule, which should cover just as often.
"""

from __future__ import annotations

import argparse
import csv
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from scizoo.evaluation.conformal import ConformalClassifier, ConformalRegressor
from scizoo.evaluation.outputs import Outputs


def main() -> int:
    """Parse the command line, measure, and print one row a contender, level and kind of set."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("run", type=Path, help="a run directory of `scizoo compare`")
    parser.add_argument("--levels", type=float, nargs="+", default=[0.8, 0.9, 0.95])
    parser.add_argument("--splits", type=int, default=20)
    options = parser.parse_args()
    widths = (28, 13, 6, 7, 6, 7, 8, 7)
    head = ("contender", "sets", "asked", "mean", "sd", "lowest", "highest", "size")
    print("".join(f"{word:<{width}}" for word, width in zip(head, widths)))
    for name, outputs in test_outputs(options.run):
        for empty in (False, True) if outputs.kind == "classification" else (False,):
            for level in options.levels:
                found = [measure(outputs, level, empty, seed) for seed in range(options.splits)]
                coverage, size = np.array(found).T
                shares = (level, coverage.mean(), coverage.std(ddof=1), coverage.min(), coverage.max())
                words = [name, "may be empty" if empty else "as predicted"]
                words += [f"{share:.1%}" for share in shares] + [f"{size.mean():.2f}"]
                print("".join(f"{word:<{width}}" for word, width in zip(words, widths)))
    return 0


def test_outputs(run: Path) -> Iterator[tuple[str, Outputs]]:
    """Give the test outputs of the first seed of each contender with the most labels; not of the floor."""
    with (run / "cells.csv").open(newline="", encoding="utf-8") as stream:
        rows = [row for row in csv.DictReader(stream) if row["role"] != "floor"]
    most = max(int(row["labels"]) for row in rows)
    done: set[str] = set()
    for row in rows:
        if int(row["labels"]) == most and row["contender"] not in done:
            done.add(row["contender"])
            yield row["contender"], Outputs.load(run / row["outputs"])


def measure(outputs: Outputs, level: float, empty: bool, seed: int) -> tuple[float, float]:
    """Calibrate on a random half of the groups, and give coverage and mean size on the other half."""
    groups = np.unique(outputs.groups)
    chosen = np.random.default_rng(seed).permutation(groups)[: len(groups) // 2]
    known = np.isin(outputs.groups, chosen)
    calibration, rest = np.flatnonzero(known), np.flatnonzero(~known)
    if outputs.kind == "classification":
        probability = outputs.require("probability")
        sets = ConformalClassifier(coverage=level, allow_empty=empty).fit(
            probability[calibration], outputs.targets[calibration], outputs.ids[calibration]
        )
        held = sets.sets(probability[rest], outputs.ids[rest])
        return float(held[np.arange(len(rest)), outputs.targets[rest]].mean()), float(held.sum(axis=1).mean())
    made = ConformalRegressor(coverage=level).fit(outputs.take(calibration))
    test = outputs.take(rest)
    low, high = made.intervals(test.require("mean"), test.variance)
    return float(((test.targets >= low) & (test.targets <= high)).mean()), float((high - low).mean())


if __name__ == "__main__":
    sys.exit(main())
