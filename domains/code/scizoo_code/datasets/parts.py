"""Files that are named after the parts of a split."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

_NAME = re.compile(r"^(?:.*[._-])?(train|training|valid|validation|val|dev|test)(?:[._-].*)?$", re.IGNORECASE)
_PARTS = {"train": "train", "training": "train", "test": "test"}


def parts_by_name(files: Sequence[Path]) -> dict[str, str]:
    """Return the part of each file by its name, when all of several are named after parts."""
    found = {file.name: _NAME.match(file.name.split(".", 1)[0]) for file in files}
    if len(files) < 2 or not all(found.values()):
        return {}
    return {name: _PARTS.get(match[1].lower(), "validation") for name, match in found.items() if match}
