"""Features of images: moments and structure, and histograms of gradients.

Concentration, asymmetry and smoothness after Conselice 2003 (ApJS 147, 1); Gini and M20 after Lotz et al.
2004 (AJ 128, 163); invariant moments after Hu 1962 (IRE Trans. Inf. Theory 8, 179); histograms of oriented
gradients after Dalal & Triggs 2005 (CVPR).
"""

from __future__ import annotations

import numpy as np

from scizoo_astronomy.objects import Image

MOMENTS = (
    *("log_flux", "peak_share", "area", "half_radius", "concentration", "asymmetry_180", "asymmetry_90"),
    *("smoothness", "gini", "m20", "ellipticity", "log_size", "skew_major", "kurtosis_major", "off_centre"),
    *("bright_parts", "second_part", "parts_apart", "core_share", "edge_share"),
    *(f"hu_{number}" for number in range(1, 8)),
)


def _grey(image: Image) -> np.ndarray:
    """Return one channel without background, shape (height, width); masked pixels are background."""
    grey = np.where(image.mask, np.nan, image.data.mean(axis=2, dtype=np.float64))
    level = np.nanmedian(grey)
    return np.nan_to_num(grey - level)


def _noise(grey: np.ndarray) -> float:
    faint = np.abs(grey[grey <= np.percentile(grey, 80)])
    return float(1.4826 * np.median(faint)) if len(faint) else 0.0


def moment_features(image: Image) -> np.ndarray:
    """Measure shape and structure of the light above the noise, in the order of ``MOMENTS``.

    Returns
    -------
    ndarray of float64, shape (27,)
        None of them changes when the image is turned or flipped, but for the pixels' grid.
    """
    from scipy.ndimage import gaussian_filter, label

    grey = _grey(image)
    light = np.where(grey > max(3 * _noise(grey), 0.02 * grey.max()), grey, 0.0)
    if light.sum() <= 0:
        return np.zeros(len(MOMENTS))
    total, size = light.sum(), np.sqrt(light.size)
    y, x = np.indices(light.shape)
    cy, cx = (light * y).sum() / total, (light * x).sum() / total
    radius = np.hypot(y - cy, x - cx)
    order = np.argsort(radius, axis=None)
    growth = np.cumsum(light.ravel()[order]) / total
    radii = [
        radius.ravel()[order][min(np.searchsorted(growth, q), growth.size - 1)] + 0.5 for q in (0.2, 0.5, 0.8)
    ]
    dy, dx = y - cy, x - cx
    inertia = np.array(
        [
            [(light * dx * dx).sum(), (light * dx * dy).sum()],
            [(light * dx * dy).sum(), (light * dy * dy).sum()],
        ]
    )
    values, vectors = np.linalg.eigh(inertia / total)
    values = np.maximum(values, 1e-6)
    along = dx * vectors[0, 1] + dy * vectors[1, 1]
    skew = abs((light * along**3).sum() / total) / values[1] ** 1.5
    kurtosis = (light * along**4).sum() / total / values[1] ** 2
    lit = np.sort(light[light > 0])
    rank = np.arange(1, len(lit) + 1)
    gini = ((2 * rank - len(lit) - 1) * lit).sum() / (lit.mean() * len(lit) * max(len(lit) - 1, 1))
    bright = light >= np.sort(light, axis=None)[::-1][np.searchsorted(np.cumsum(lit[::-1]), 0.2 * total)]
    second = light * radius**2
    m20 = np.log10(max(second[bright].sum(), 1e-9) / max(second.sum(), 1e-9))
    parts, number = label(light > 0)
    fluxes = np.bincount(parts.ravel(), light.ravel(), minlength=number + 1)[1:]
    strongest = np.argsort(-fluxes)[:2]
    apart, share = 0.0, 0.0
    if number > 1:
        centres = [
            np.array([(light * axis)[parts == part + 1].sum() / fluxes[part] for axis in (y, x)])
            for part in strongest
        ]
        apart = float(np.hypot(*(centres[0] - centres[1])) / size)
        share = float(fluxes[strongest[1]] / fluxes[strongest[0]])
    middle = np.hypot(y - (light.shape[0] - 1) / 2, x - (light.shape[1] - 1) / 2)
    return np.array(
        [
            np.log10(total),
            light.max() / total,
            (light > 0).mean(),
            radii[1] / size,
            5 * np.log10(radii[2] / radii[0]),
            _asymmetry(light, 2, (cy, cx)),
            _asymmetry(light, 1, (cy, cx)),
            np.abs(light - gaussian_filter(light, max(radii[1] / 4, 0.5))).sum() / total,
            gini,
            m20,
            1 - np.sqrt(values[0] / values[1]),
            np.log10(np.sqrt(values[1]) / size),
            skew,
            kurtosis,
            np.hypot(cy - (light.shape[0] - 1) / 2, cx - (light.shape[1] - 1) / 2) / size,
            np.log2(1 + (fluxes > 0.1 * fluxes.max()).sum()),
            share,
            apart,
            light[middle <= 0.05 * size].sum() / total,
            light[radius > 2 * radii[1]].sum() / total,
            *_hu(light, dy, dx, total),
        ]
    )


def _asymmetry(light: np.ndarray, quarters: int, centre: tuple[float, float]) -> float:
    """Return half the light that changes place when the image is turned about its centroid, as a share."""
    cy, cx = (int(np.rint(place)) for place in centre)
    half = max(cy, light.shape[0] - 1 - cy, cx, light.shape[1] - 1 - cx)
    square = np.zeros((2 * half + 1, 2 * half + 1))
    square[half - cy : half - cy + light.shape[0], half - cx : half - cx + light.shape[1]] = light
    return float(np.abs(square - np.rot90(square, quarters)).sum() / (2 * light.sum()))


def _hu(light: np.ndarray, dy: np.ndarray, dx: np.ndarray, total: float) -> np.ndarray:
    def eta(p: int, q: int) -> float:
        return float((light * dx**p * dy**q).sum() / total ** (1 + (p + q) / 2))

    n20, n02, n11, n30, n03, n21, n12 = (
        *(eta(2, 0), eta(0, 2), eta(1, 1)),
        *(eta(3, 0), eta(0, 3), eta(2, 1), eta(1, 2)),
    )
    a, b = n30 + n12, n21 + n03
    c, d = n30 - 3 * n12, 3 * n21 - n03
    values = np.array(
        [
            n20 + n02,
            (n20 - n02) ** 2 + 4 * n11**2,
            c**2 + d**2,
            a**2 + b**2,
            c * a * (a**2 - 3 * b**2) + d * b * (3 * a**2 - b**2),
            (n20 - n02) * (a**2 - b**2) + 4 * n11 * a * b,
            abs(d * a * (a**2 - 3 * b**2) - c * b * (3 * a**2 - b**2)),  # its sign tells mirror images apart
        ]
    )
    return np.sign(values) * np.log10(1 + np.abs(values) * 1e6)


def hog_features(image: Image, side: int = 64, cell: int = 8, directions: int = 8) -> np.ndarray:
    """Histograms of oriented gradients of the stretched image, on blocks of two by two cells.

    Parameters
    ----------
    image : Image
    side : int
        The image is averaged to ``side`` by ``side`` pixels first.
    cell : int
        Pixels of a cell.
    directions : int
        Of gradients, without their sign.

    Returns
    -------
    ndarray of float64
        ``(side / cell - 1) ** 2 * 4 * directions`` numbers.
    """
    grey = _grey(image)
    rows, columns = (np.arange(side) * size // side for size in grey.shape)
    small = np.add.reduceat(np.add.reduceat(grey, rows, axis=0), columns, axis=1)
    scale = np.percentile(np.abs(small), 95) or np.abs(small).max() or 1.0
    stretched = np.arcsinh(small / scale)
    gy, gx = np.gradient(stretched)
    size, angle = np.hypot(gy, gx), np.mod(np.arctan2(gy, gx), np.pi) * directions / np.pi
    low = np.floor(angle).astype(int) % directions
    share = angle - np.floor(angle)
    count = side // cell
    place = np.arange(side) // cell
    cells = place[:, None] * count + place[None, :]
    histogram = np.zeros((count * count, directions))
    np.add.at(histogram, (cells, low), size * (1 - share))
    np.add.at(histogram, (cells, (low + 1) % directions), size * share)
    grid = histogram.reshape(count, count, directions)
    blocks = np.concatenate([grid[:-1, :-1], grid[1:, :-1], grid[:-1, 1:], grid[1:, 1:]], axis=2)
    length = np.sqrt((blocks**2).sum(axis=2, keepdims=True) + 1e-3)
    return (blocks / length).reshape(-1)
