"""How the codes of several codebooks become one sequence, and back: parallel, flattened, delayed.

The three patterns of MusicGen (Copet et al. 2023, arXiv 2306.05284). Codes are arrays (frames, books), and
every pattern inverts exactly.
"""

from __future__ import annotations

import numpy as np

from scizoo.errors import DataError

PATTERNS = ("parallel", "flattened", "delay")
#: Stands where a delayed book has no code.
EMPTY = -1


def parallel(codes: np.ndarray) -> np.ndarray:
    """All books of a frame at one step: the codes as they are; (frames, books) to (frames, books)."""
    return np.array(_checked(codes), copy=True)


def from_parallel(steps: np.ndarray) -> np.ndarray:
    """Undo :func:`parallel`."""
    return np.array(_checked(steps), copy=True)


def flattened(codes: np.ndarray) -> np.ndarray:
    """One code a step, frame by frame, in each the first book first; (frames, books) to (frames * books,)."""
    return _checked(codes).reshape(-1)


def from_flattened(steps: np.ndarray, books: int) -> np.ndarray:
    """Undo :func:`flattened`.

    Raises
    ------
    DataError
        When the steps are no whole number of frames.
    """
    steps = np.asarray(steps)
    if steps.ndim != 1 or books < 1 or len(steps) % books:
        raise DataError(
            f"{steps.size} codes are no whole number of frames of {books} books.",
            expected="a multiple of the number of books",
        )
    return steps.reshape(-1, books).copy()


def delay(codes: np.ndarray) -> np.ndarray:
    """Book k comes k steps later, so that it follows the codes that it refines.

    Parameters
    ----------
    codes : ndarray of int, shape (frames, books)

    Returns
    -------
    ndarray of int, shape (frames + books - 1, books)
        ``EMPTY`` where a book has not begun or has ended; no rows where there is no frame.
    """
    codes = _checked(codes)
    frames, books = codes.shape
    if not frames:
        return np.empty((0, books), dtype=codes.dtype)
    steps = np.full((frames + books - 1, books), EMPTY, dtype=codes.dtype)
    for book in range(books):
        steps[book : book + frames, book] = codes[:, book]
    return steps


def from_delay(steps: np.ndarray) -> np.ndarray:
    """Undo :func:`delay`.

    Raises
    ------
    DataError
        When the empty places are not where a delay puts them.
    """
    steps = _checked(steps, low=EMPTY)
    books = steps.shape[1]
    frames = len(steps) - books + 1
    if not len(steps):
        return np.empty((0, books), dtype=steps.dtype)
    if frames < 1:
        raise DataError(
            f"{len(steps)} steps of {books} books hold no delayed frame.", expected=f"{books} or more"
        )
    codes = np.stack([steps[book : book + frames, book] for book in range(books)], axis=1)
    if (codes == EMPTY).any() or (steps == EMPTY).sum() != books * (books - 1):
        raise DataError(
            "the empty places of the steps are not those of a delay.", expected="codes of `delay`"
        )
    return codes


def _checked(codes: np.ndarray, low: int = 0) -> np.ndarray:
    codes = np.asarray(codes)
    if codes.ndim != 2 or not codes.shape[1] or not np.issubdtype(codes.dtype, np.signedinteger):
        raise DataError(
            f"codes of the shape {codes.shape} and type {codes.dtype} cannot be laid out.",
            expected="signed whole numbers of the shape (frames, books)",
        )
    if codes.size and codes.min() < low:
        raise DataError(f"a code is {codes.min()}.", expected=f"codes from {low}")
    return codes
