"""What the datasets of this domain share: what is left out by design is counted and said."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from scizoo.data.records import Dataset
from scizoo.data.sources import resolve
from scizoo.errors import ConfigError, DataError
from scizoo.files import sha256_json

log = logging.getLogger(__name__)


class CountingDataset(Dataset):
    """A dataset that counts what it leaves out.

    Records that are fine but not part of the task are no rejections; they are counted in ``left_out`` by
    reason and reported when the reading ends.
    """

    #: Raised when the same options begin to mean other records.
    version: int = 1

    def __init__(self, *, max_rejected: float = 0.01):
        super().__init__(max_rejected=max_rejected)
        #: How many were left out by design, by reason; filled while the records are read.
        self.left_out: Counter[str] = Counter()

    def _say_left_out(self) -> None:
        reasons = "; ".join(f"{count:,} {reason}" for reason, count in self.left_out.items() if count)
        if reasons:
            log.info("%s: left out by design: %s.", self.name, reasons)

    def settings(self) -> dict[str, Any]:
        """Return the reading options that change the records."""
        return {}

    def _digest(self, files: Any) -> str:
        return sha256_json(
            {
                "class": type(self).__qualname__,
                "files": files,
                "settings": self.settings(),
                "version": self.version,
            }
        )


def find_file(source: str | Path | None, suffix: str, what: str, cache: Path | None = None) -> Path:
    """Return the one file that ``data.path`` stands for: a file, or a folder that holds one such file.

    Raises
    ------
    ConfigError
        When no path is given.
    DataError
        When there is no such file, or several.
    """
    if source is None:
        raise ConfigError("data.path is not given.", expected=what, remedy=f"data.path=FOLDER, with {what}")
    path = resolve(source, cache)
    if not path.is_dir():
        return path
    found = sorted(path.glob(f"*{suffix}"))
    if len(found) != 1:
        names = f" ({', '.join(item.name for item in found[:3])})" if found else ""
        raise DataError(
            f"{path} holds {len(found)} {suffix} files{names}.", expected=what, remedy="name the file itself."
        )
    return found[0]


def open_arrays(path: Path, wanted: Mapping[str, int], expected: str) -> dict[str, np.ndarray]:
    """Read arrays of an NPZ file; pickled ones are refused.

    Parameters
    ----------
    path : Path
    wanted : mapping of str to int
        The arrays by name, and how many axes each has.
    expected : str
        What the file should be, for messages.

    Raises
    ------
    DataError
        When the file is no NPZ file or damaged, or an array is missing or of another shape.
    """
    import zipfile
    import zlib

    from scizoo.data.opening import check_file

    check_file(path, expected)
    try:
        with np.load(path, allow_pickle=False) as archive:
            names = getattr(archive, "files", [])
            missing = [name for name in wanted if name not in names]
            if missing:
                raise DataError(
                    f"{path} has no array '{missing[0]}'; it holds {', '.join(names[:8]) or 'none'}.",
                    expected=expected,
                )
            arrays = {name: archive[name] for name in wanted}
    except (zipfile.BadZipFile, zlib.error, ValueError, EOFError, OSError) as error:
        raise DataError(
            f"{path} cannot be read as NPZ: {error}.", expected=expected, remedy="copy the file again."
        ) from error
    for name, axes in wanted.items():
        if arrays[name].ndim != axes:
            raise DataError(
                f"{path}: the array '{name}' has the shape {arrays[name].shape}.",
                expected=f"{axes} axes; {expected}",
            )
    return arrays
