"""What a domain makes of records beside their picture: media for the report, files of generated records."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scizoo.config import get_class
from scizoo.data.records import Record
from scizoo.domain import Domain
from scizoo.errors import ConfigError, did_you_mean
from scizoo.evaluation.report.media import MediaBudget
from scizoo.files import atomic_dir
from scizoo.jobs.facts import as_said

log = logging.getLogger(__name__)


def attach_media(
    domain: Domain | None,
    shown: Iterable[tuple[dict[str, Any], Record, Any]],
    budget: MediaBudget | None = None,
) -> None:
    """Let the domain add sounds and the like to report entries; one that fails does not lose the report.

    Parameters
    ----------
    domain : Domain or None
    shown : iterable of (dict, Record, Any)
        The entry that gets ``media``, the record, and what was predicted for it, if anything.
    budget : MediaBudget, optional
        How much the report may hold.
    """
    if domain is None or not domain.media:
        return
    make = get_class(domain.media, key=f"the media of {domain.name}")
    budget = budget or MediaBudget()
    for entry, record, prediction in shown:
        try:
            made = budget.entries(make(record, as_said(prediction)))
        except Exception as error:  # a plugin's code may fail in any way
            log.warning("record '%s' has no media: %s: %s", record.id, type(error).__name__, error)
            continue
        if made:
            entry["media"] = made
        for one in made:
            if "note" in one:
                log.warning("record '%s': %s was %s.", record.id, one["label"], one["note"])


@dataclass(frozen=True)
class FileSettings:
    """Which files of generated records are written: the ``files`` group of a config.

    Parameters
    ----------
    formats : sequence of str, optional
        Ends of file names without the dot; None: all that the domain writes.
    most : int
        How many records get files, the first ones.

    Raises
    ------
    ConfigError
        When a value is out of range.
    """

    formats: Sequence[str] | None = None
    most: int = 20

    def __post_init__(self) -> None:
        if isinstance(self.most, bool) or not isinstance(self.most, int) or self.most < 0:
            raise ConfigError(f"files.most={self.most}", expected="a whole number from 0")
        given = self.formats
        if given is not None and (
            isinstance(given, str)
            or not isinstance(given, Sequence)
            or not all(isinstance(one, str) for one in given)
        ):
            raise ConfigError(f"files.formats={given}", expected="a list such as [a,b], or null for all")

    @classmethod
    def from_config(cls, settings: Any) -> FileSettings:
        """Read the ``files`` group of a plain config.

        Raises
        ------
        ConfigError
            When a key is unknown or a value is out of range.
        """
        given = dict(settings or {})
        for key in given:
            if key not in cls.__dataclass_fields__:
                raise ConfigError(f"files.{key} is unknown: {did_you_mean(key, cls.__dataclass_fields__)}")
        return cls(**given)

    def writers(self, domain: Domain | None) -> dict[str, Callable[[Any], bytes]]:
        """Give the function of each format.

        Raises
        ------
        ConfigError
            When the domain does not write a format that was asked for.
        """
        known = dict(domain.writes) if domain else {}
        wanted = list(known) if self.formats is None else list(dict.fromkeys(self.formats))
        if not self.most:
            return {}
        for one in wanted:
            if one not in known:
                who = domain.name if domain else "this model's domain"
                remedy = (
                    f"{who} writes {', '.join(known)}." if known else f"{who} writes no files of records."
                )
                raise ConfigError(
                    f"files.formats: '{one}' is not written; {did_you_mean(one, known)}", remedy=remedy
                )
        return {
            one: get_class(known[one], key=f"the {one} files of {domain.name if domain else None}")
            for one in wanted
        }


def write_record_files(
    folder: Path,
    writers: Mapping[str, Callable[[Any], bytes]],
    names: Sequence[str],
    values: Sequence[Any],
    most: int,
) -> dict[str, list[str]]:
    """Write generated records as the field's files; the folder appears whole or not at all.

    Parameters
    ----------
    folder : Path
    writers : mapping
        A function from the field's object to the content of a file, by the end of the file's name.
    names : sequence of str
        Ids of the records.
    values : sequence
        The field's objects; None where the tokens stand for no record.
    most : int
        How many records get files.

    Returns
    -------
    dict of str to list of str
        Of each format the path of each record's file, relative to the folder's parent; "" where there is
        none. Empty without writers.
    """
    if not writers:
        return {}
    paths = {one: [""] * len(values) for one in writers}
    used: set[str] = set()
    with atomic_dir(folder) as temporary:
        for place, (name, value) in enumerate(zip(names[:most], values[:most], strict=True)):
            if value is None:
                continue
            stem = _file_name(name, used)
            for ending, write in writers.items():
                try:
                    content = write(value)
                except Exception as error:  # a plugin's code may fail in any way
                    log.warning("%s has no .%s file: %s: %s", name, ending, type(error).__name__, error)
                    continue
                (temporary / f"{stem}.{ending}").write_bytes(content)
                paths[ending][place] = f"{folder.name}/{stem}.{ending}"
    if len(values) > most:
        log.info("files of the first %d of %d records (files.most)", most, len(values))
    return paths


def _file_name(name: str, used: set[str]) -> str:
    """Make a file name of an id, another one for each."""
    base = re.sub(r"[^A-Za-z0-9_-]+", "-", name).strip("-")[:80] or "record"
    found, number = base, 2
    while found.lower() in used:  # some file systems do not tell upper from lower case
        found, number = f"{base}-{number}", number + 1
    used.add(found.lower())
    return found
