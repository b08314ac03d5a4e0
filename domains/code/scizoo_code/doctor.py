"""What ``scizoo doctor code data.path=...`` finds: languages, licences, copies, private data."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import yaml

from scizoo.config import instantiate
from scizoo.data.records import RejectionLog
from scizoo_code.datasets.base import SourceDataset
from scizoo_code.datasets.files import SourceFiles
from scizoo_code.preparation.card import STAGES
from scizoo_code.preparation.licences import PERMISSIVE, is_allowed
from scizoo_code.preparation.pipeline import Preparation

_FILES = "scizoo_code.datasets.files.SourceFiles"
_PRIVATE = {"email": "e-mail addresses", "key": "keys or tokens", "ip": "IP addresses"}


def inspect(data_config: Mapping[str, Any]) -> list[str]:
    """Say what a corpus holds that its user should know.

    Parameters
    ----------
    data_config : mapping
        Keys of ``data`` with their values, which may be texts as they were typed.

    Returns
    -------
    list of str
        A sentence a finding.
    """
    given = {"_target_": _FILES, **{key: _typed(key, value) for key, value in data_config.items()}}
    data = instantiate(given)
    if not isinstance(data, SourceFiles):
        return [f"{given['_target_']} reads no source files; run a task on them instead"]
    # All licences, so that what else is to be said of a file is said.
    prepare = Preparation(licences=None)
    plan = prepare.plan(data._entries, name=data.name, key=data.fingerprint(), before=data.left_out)
    found = [f"{plan.read:,} source files ({_few(_languages(data))})"]
    found += [f"{count:,} files left out: {reason}" for reason, count in plan.before.items() if count]
    if data.reader.guessed:
        found.append(f"encodings that were guessed: {_few(data.reader.guessed)}")
    found.append(f"licences: {_few(Counter(plan.licences_read))}")
    bare = sum(count for name, count in plan.licences_read.items() if not is_allowed(name, PERMISSIVE))
    if bare:
        found.append(f"{bare:,} files under no permissive licence that is stated: data.prepare removes them")
    for stage in plan.stages:
        if stage.records:
            shown = f", such as {stage.examples[0]}" if stage.examples else ""
            found.append(
                f"{stage.records:,} files that data.prepare would remove: {STAGES[stage.name]}{shown}"
            )
    private = [f"{count:,} {_PRIVATE[kind]}" for kind, count in plan.redacted.items()]
    if private:
        found.append(
            f"in the files that would be left: {', '.join(private)}, which data.prepare would redact"
        )
    return found


def _typed(key: str, value: Any) -> Any:
    return yaml.safe_load(value) if isinstance(value, str) and key not in ("path", "_target_") else value


def _languages(data: SourceDataset) -> Counter[str]:
    return Counter(str(entry.fields.get("language")) for entry in data.entries(RejectionLog()))


def _few(counts: Counter[str]) -> str:
    named = [f"{count:,} {name}" for name, count in counts.most_common(8)]
    return ", ".join(named) + (", ..." if len(counts) > 8 else "")
