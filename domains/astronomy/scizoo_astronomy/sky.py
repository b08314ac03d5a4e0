"""Places on the sky: positions of records, neighbours, HEALPix cells."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from scizoo.data.records import Record
from scizoo.data.splits import record_groups


def position(record: Record) -> tuple[float, float]:
    """Return right ascension and declination of a record in degrees; NaN where it has none."""
    parts = (record.input, getattr(record.input, "image", None), getattr(record.input, "spectrum", None))
    for value in parts:
        ra, dec = getattr(value, "ra", None), getattr(value, "dec", None)
        if ra is not None and dec is not None:
            return float(ra), float(dec)
    try:
        return float(record.meta["ra"]), float(record.meta["dec"])
    except (KeyError, TypeError, ValueError):
        return np.nan, np.nan


def positions(records: Sequence[Record]) -> np.ndarray:
    """Return the positions of records, shape (records, 2): right ascension and declination in degrees."""
    return np.array([position(record) for record in records], dtype=np.float64).reshape(-1, 2)


def cells(sky: np.ndarray, nside: int) -> np.ndarray:
    """Return the HEALPix cell (nested) of each position, shape (positions,); -1 where there is none."""
    from astropy import units as u
    from astropy_healpix import HEALPix

    grid = HEALPix(nside, order="nested")
    known = np.isfinite(sky).all(axis=1)
    found = np.full(len(sky), -1, dtype=np.int64)
    if known.any():
        found[known] = grid.lonlat_to_healpix(sky[known, 0] * u.deg, sky[known, 1] * u.deg)
    return found


def nearest(sky: np.ndarray, others: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Find the nearest of other positions.

    Returns
    -------
    row : ndarray of int64, shape (positions,)
        -1 where a position is unknown or there is no other.
    separation : ndarray of float64, shape (positions,)
        Arcseconds; infinite there.
    """
    from astropy import units as u
    from astropy.coordinates import SkyCoord, match_coordinates_sky

    row, separation = np.full(len(sky), -1, dtype=np.int64), np.full(len(sky), np.inf)
    mine, theirs = (np.flatnonzero(np.isfinite(places).all(axis=1)) for places in (sky, others))
    if len(mine) and len(theirs):
        found, distance, _ = match_coordinates_sky(
            SkyCoord(*sky[mine].T * u.deg), SkyCoord(*others[theirs].T * u.deg)
        )
        row[mine], separation[mine] = theirs[found], distance.arcsec
    return row, separation


def within(sky: np.ndarray, radius: float) -> list[tuple[int, int, float]]:
    """Return every pair of positions nearer than ``radius`` arcseconds: ``(i, j, separation)`` with i < j."""
    from astropy import units as u
    from astropy.coordinates import SkyCoord, search_around_sky

    known = np.flatnonzero(np.isfinite(sky).all(axis=1))
    if len(known) < 2:
        return []
    places = SkyCoord(*sky[known].T * u.deg)
    one, other, distance, _ = search_around_sky(places, places, radius * u.arcsec)
    return [(int(known[i]), int(known[j]), float(d)) for i, j, d in zip(one, other, distance.arcsec) if i < j]


def joined(count: int, links: Iterable[tuple[int, int]]) -> np.ndarray:
    """Return for each of ``count`` things the lowest number among those it is linked with, also in chains."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    pairs = np.array([pair for pair in links if pair[0] != pair[1]], dtype=np.int64).reshape(-1, 2)
    graph = coo_array((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), shape=(count, count))
    _, label = connected_components(graph, directed=False)
    first: dict[Any, int] = {}
    return np.array([first.setdefault(name, row) for row, name in enumerate(label.tolist())], dtype=np.int64)


def object_groups(records: Sequence[Record], radius: float) -> np.ndarray:
    """Name the object of each record: by its group, its place on the sky, and its input.

    Parameters
    ----------
    records : sequence of Record
    radius : float
        Arcseconds; 0 does not look at positions.

    Returns
    -------
    ndarray of str objects, shape (records,)
    """
    links: list[tuple[int, int]] = []
    for keys in (record_groups(records), np.array([repr(record.input) for record in records], dtype=object)):
        first: dict[Any, int] = {}
        links += [(first.setdefault(key, row), row) for row, key in enumerate(keys)]
    if radius > 0:
        links += [(i, j) for i, j, _ in within(positions(records), radius)]
    label = joined(len(records), links)
    names = record_groups(records)
    return np.array([names[row] for row in label], dtype=object)
