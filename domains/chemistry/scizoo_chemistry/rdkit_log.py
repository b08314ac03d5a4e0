"""What RDKit has to say about a molecule, taken from its log instead of the terminal."""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_CAPTURED = threading.local()
_LOCK = threading.Lock()
_TIME = re.compile(r"^\[\d\d:\d\d:\d\d\]\s*")
#: Lines that say only that something was wrong, not what.
_HOLLOW = re.compile(
    r"check for mistakes around position|Failed parsing SMILES|^[~^ ]*\^?$"
    r"|^[*-]{4}|[Vv]iolation|^Stacktrace|^\d+#"
)
_state = {"filter": None}


class _Capture(logging.Filter):
    """Keeps from the log what a thread that is listening would see there; leaves other threads alone."""

    def filter(self, record: logging.LogRecord) -> bool:
        messages = getattr(_CAPTURED, "messages", None)
        if messages is None:
            return True
        messages.append(record.getMessage())
        return False


def _install() -> None:
    """Send RDKit's log through Python's, once: its own streams belong to all threads together."""
    with _LOCK:
        if _state["filter"] is None:
            from rdkit import rdBase

            rdBase.LogToPythonLogger()
            _state["filter"] = _Capture()  # type: ignore[assignment]
            logging.getLogger("rdkit").addFilter(_state["filter"])  # type: ignore[arg-type]


@contextmanager
def listening() -> Iterator[list[str]]:
    """Collect what RDKit logs in this thread, and keep it from the terminal.

    Other threads, and RDKit outside of this context, log as before.

    Yields
    ------
    list of str
        The messages, filled while the context is open.
    """
    if _state["filter"] is None:
        _install()
    outer = getattr(_CAPTURED, "messages", None)
    found: list[str] = []
    _CAPTURED.messages = found
    try:
        yield found
    finally:
        _CAPTURED.messages = outer


def reason_of(messages: list[str]) -> str | None:
    """Return RDKit's reason in one line, or None where it gave none.

    >>> reason_of(["[07:20:36] Explicit valence for atom # 1 N, 5, is greater than permitted"])
    'explicit valence for atom # 1 N, 5, is greater than permitted'
    """
    place = None
    for message in messages:
        line = _TIME.sub("", message).strip().split("\n", 1)[0].strip()
        if "around position" in line:
            place = line.rsplit("position", 1)[1].strip(" :")
    for message in messages:
        line = _TIME.sub("", message).strip().split("\n", 1)[0].strip()
        line = line.removeprefix("SMILES Parse Error: ").removeprefix("ERROR:").strip()
        if not line or _HOLLOW.search(line):
            continue
        # RDKit repeats the whole input, which the message around this one names anyway.
        line = re.sub(r"(?:\s+while parsing|\s+for input): .*$", "", line)
        line = re.sub(r"\s+", " ", line).rstrip(".")
        line = line[:1].lower() + line[1:] if line[1:2].islower() else line
        return f"{line} at character {place}" if place else line
    return None
