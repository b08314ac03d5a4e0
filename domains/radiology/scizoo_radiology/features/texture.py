"""Texture: grey-level co-occurrence (IBSI), local binary patterns, gradients."""

from __future__ import annotations

import numpy as np

#: Features of a co-occurrence matrix in the order in which :func:`cooccurrence_features` gives them.
NAMES = (
    *("joint_maximum", "joint_average", "joint_variance", "joint_entropy", "difference_average"),
    *("difference_variance", "difference_entropy", "sum_average", "sum_variance", "sum_entropy"),
    *("angular_second_moment", "contrast", "dissimilarity", "inverse_difference"),
    *("normalised_inverse_difference", "inverse_difference_moment"),
    *("normalised_inverse_difference_moment", "inverse_variance", "correlation", "autocorrelation"),
    *("cluster_tendency", "cluster_shade", "cluster_prominence"),
)
#: Steps (rows, columns) to the neighbour in the four directions of a plane.
DIRECTIONS = ((0, 1), (1, 1), (1, 0), (1, -1))
LBP_NAMES = tuple(f"lbp_{code}" for code in range(10))
GRADIENT_NAMES = ("gradient_mean", "gradient_std", "gradient_p50", "gradient_p90", "gradient_p99")
_CIRCLE = ((0, 1), (-1, 1), (-1, 0), (-1, -1), (0, -1), (1, -1), (1, 0), (1, 1))


def cooccurrence(levels: np.ndarray, step: tuple[int, int], count: int) -> np.ndarray:
    """Return the symmetric, normalised grey-level co-occurrence matrix of one direction (Haralick 1973).

    Parameters
    ----------
    levels : ndarray of int, shape (rows, columns)
        From 1 to ``count``; 0 is outside of the region.
    step : (int, int)
        Rows and columns to the neighbour.
    count : int

    Returns
    -------
    ndarray of float64, shape (count, count)
        Its entries add up to 1; zeros where no pixel has a neighbour.
    """
    down, right = step
    rows, columns = levels.shape
    here = levels[max(0, -down) : rows - max(0, down), max(0, -right) : columns - max(0, right)]
    there = levels[max(0, down) : rows + min(0, down), max(0, right) : columns + min(0, right)]
    inside = (here > 0) & (there > 0)
    pairs = (here[inside] - 1) * count + there[inside] - 1
    matrix = np.bincount(pairs, minlength=count * count).reshape(count, count).astype(np.float64)
    matrix = matrix + matrix.T
    total = matrix.sum()
    return matrix / total if total else matrix


def _entropy(share: np.ndarray) -> float:
    known = share[share > 0]
    return float(-(known * np.log2(known)).sum())


def cooccurrence_features(matrix: np.ndarray) -> np.ndarray:
    """Return features of one co-occurrence matrix (IBSI reference manual, section 3.6).

    Parameters
    ----------
    matrix : ndarray of float64, shape (levels, levels)
        Symmetric, adding up to 1.

    Returns
    -------
    ndarray of float64, shape (23,)
        As :data:`NAMES`.
    """
    count = len(matrix)
    grey = np.arange(1, count + 1, dtype=np.float64)
    i, j = grey[:, None], grey[None, :]
    marginal = matrix.sum(axis=0)
    mean = float((grey * marginal).sum())
    variance = float(((grey - mean) ** 2 * marginal).sum())
    apart = np.abs(i - j)
    difference = np.bincount(apart.astype(int).ravel(), weights=matrix.ravel(), minlength=count)
    sums = np.bincount((i + j).astype(int).ravel(), weights=matrix.ravel(), minlength=2 * count + 1)
    k, s = np.arange(len(difference)), np.arange(len(sums))
    mean_difference, mean_sum = float((k * difference).sum()), float((s * sums).sum())
    off = apart > 0
    spread = i + j - 2 * mean
    auto = float((i * j * matrix).sum())
    return np.array(
        [
            matrix.max(),
            mean,
            variance,
            _entropy(matrix),
            mean_difference,
            ((k - mean_difference) ** 2 * difference).sum(),
            _entropy(difference),
            mean_sum,
            ((s - mean_sum) ** 2 * sums).sum(),
            _entropy(sums),
            (matrix**2).sum(),
            (apart**2 * matrix).sum(),
            (apart * matrix).sum(),
            (matrix / (1 + apart)).sum(),
            (matrix / (1 + apart / count)).sum(),
            (matrix / (1 + apart**2)).sum(),
            (matrix / (1 + apart**2 / count**2)).sum(),
            (matrix[off] / apart[off] ** 2).sum(),
            (auto - mean**2) / variance if variance > 1e-12 else 1.0,
            auto,
            (spread**2 * matrix).sum(),
            (spread**3 * matrix).sum(),
            (spread**4 * matrix).sum(),
        ]
    )


def texture(levels: np.ndarray, count: int, distance: int = 1) -> np.ndarray:
    """Return co-occurrence features, averaged over the four directions of a plane (IBSI: 2D, averaged).

    Parameters
    ----------
    levels : ndarray of int, shape (rows, columns)
        From 1 to ``count``; 0 is outside of the region.
    count : int
    distance : int
        Pixels to the neighbour.
    """
    found = []
    for down, right in DIRECTIONS:
        matrix = cooccurrence(levels, (distance * down, distance * right), count)
        if matrix.any():
            found.append(cooccurrence_features(matrix))
    return np.mean(found, axis=0) if found else np.full(len(NAMES), np.nan)


def local_binary_patterns(values: np.ndarray) -> np.ndarray:
    """Return the histogram of uniform, rotation-invariant patterns of the 8 neighbours.

    As Ojala, Pietikaeinen and Maenpaeae (2002), IEEE TPAMI 24, 971-987, for radius 1 with neighbours on the
    grid: the number of neighbours at least as bright where these lie side by side, 9 where they do not.

    Parameters
    ----------
    values : ndarray of float, shape (rows, columns)

    Returns
    -------
    ndarray of float64, shape (10,)
        Shares of the pixels within the border; NaN where there are none.
    """
    rows, columns = values.shape
    if rows < 3 or columns < 3:
        return np.full(10, np.nan)
    centre = values[1:-1, 1:-1]
    bits = np.stack(
        [values[1 + y : rows - 1 + y, 1 + x : columns - 1 + x] >= centre for y, x in _CIRCLE]
    ).astype(np.int64)
    changes = np.abs(bits - np.roll(bits, 1, axis=0)).sum(axis=0)
    code = np.where(changes <= 2, bits.sum(axis=0), 9)
    return np.bincount(code.ravel(), minlength=10) / code.size


def gradients(values: np.ndarray) -> np.ndarray:
    """Return mean, standard deviation and percentiles of the length of the gradient, shape (5,)."""
    if min(values.shape) < 2:
        return np.full(len(GRADIENT_NAMES), np.nan)
    down, right = np.gradient(values)
    length = np.hypot(down, right)
    return np.array([length.mean(), length.std(), *np.percentile(length, [50, 90, 99])])
