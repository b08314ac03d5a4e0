"""Packing windows of known lengths into batches of a fixed number of tokens."""

from __future__ import annotations

from bisect import bisect_left, insort

Pattern = tuple[tuple[int, int], ...]


def pack(histogram: dict[int, int], budget: int) -> list[tuple[Pattern, int]]:
    """Pack lengths into bins by best-fit-decreasing.

    Works on the histogram: what is decided for one length is decided at once for all windows of it.

    Parameters
    ----------
    histogram : dict of int to int
        How many windows there are of each length; none exceeds `budget`.
    budget : int
        The most tokens in a bin.

    Returns
    -------
    list of (pattern, int)
        A pattern of lengths, as pairs (length, how many), and how many bins have it.
    """
    open_bins: dict[int, list[tuple[Pattern, int]]] = {}
    rooms: list[int] = []  # sorted keys of open_bins
    done: list[tuple[Pattern, int]] = []

    def put(pattern: Pattern, room: int, count: int) -> None:
        if room == 0:
            done.append((pattern, count))
        elif count:
            if room not in open_bins:
                insort(rooms, room)
            open_bins.setdefault(room, []).append((pattern, count))

    for size in sorted(histogram, reverse=True):
        left = histogram[size]
        while left:
            at = bisect_left(rooms, size)
            if at == len(rooms):
                # Fresh bins take as many of this size as fit; what remains shares one more.
                fit = budget // size
                if left >= fit:
                    put(((size, fit),), budget - fit * size, left // fit)
                if left % fit:
                    put(((size, left % fit),), budget - left % fit * size, 1)
                break
            room = rooms[at]
            pattern, count = open_bins[room].pop()
            if not open_bins[room]:
                del open_bins[room], rooms[at]
            fit = min(room // size, left)
            used = min(count, left // fit)
            put(pattern, room, count - used)
            put((*pattern, (size, fit)), room - fit * size, used)
            left -= used * fit
    return done + [entry for entries in open_bins.values() for entry in entries]
