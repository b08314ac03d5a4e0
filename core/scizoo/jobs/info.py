"""``scizoo info``: everything about one name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scizoo import plugins
from scizoo.catalogue import KINDS, describe, entries
from scizoo.errors import CheckpointError, ConfigError, did_you_mean

if TYPE_CHECKING:
    from scizoo.cli import Command


def main(command: Command) -> int:
    """Print what a name means, under each of its meanings.

    Raises
    ------
    ConfigError
        When it means nothing.
    """
    name = str(command.name(needed=True))
    found = about(name)
    if "--json" in command.flags:
        print(json.dumps(found, indent=2, ensure_ascii=False))
        return 0
    for meaning, facts in found.items():
        print(f"{meaning} {name}")
        for key, value in facts.items():
            shown = ", ".join(str(item) for item in value) if isinstance(value, list) else value
            print(f"  {key + ':':<13} {shown}".rstrip())
    return 0


def about(name: str) -> dict[str, dict[str, Any]]:
    """Return the facts about a name, by what it means: domain, task, recipe, tokenizer, checkpoint."""
    found: dict[str, dict[str, Any]] = {}
    if name in plugins.installed():
        found["domain"] = _domain(name)
    for group in KINDS.values():
        files = plugins.option_files(group)
        if name in files:
            facts = describe(group, name, files[name]).to_dict()
            facts.pop("name")
            facts["run"] = _use(group, name)
            found[group] = {key: value for key, value in facts.items() if value}
    checkpoint = _checkpoint(name)
    if checkpoint is not None:
        found["checkpoint"] = checkpoint
    if not found:
        from scizoo.checkpoints.store import list_checkpoints

        known = [*plugins.installed(), *list_checkpoints()]
        known += [option for group in KINDS.values() for option in plugins.options(group)]
        raise ConfigError(f"nothing is named '{name}': {did_you_mean(name, known)}")
    return found


def _domain(name: str) -> dict[str, Any]:
    bad = plugins.broken().get(name)
    if bad:
        return {"broken": bad.problem, "mend": bad.remedy}
    face = plugins.domains()[name]
    facts: dict[str, Any] = {
        "summary": face.summary,
        "version": plugins.version(name),
        "reads": list(face.formats),
        "disclaimer": face.disclaimer,
    }
    for word, group in KINDS.items():
        facts[word] = [entry.name for entry in entries(group, name)]
    facts["checkpoints"] = [f"{name}/{short}" for short in face.checkpoints]
    return {key: value for key, value in facts.items() if value}


def _use(group: str, name: str) -> str:
    return {
        "task": f"scizoo finetune {name}",
        "recipe": f"scizoo pretrain {name}",
        "tokenizer": f"tokenizer={name}",
    }[group]


def _checkpoint(name: str) -> dict[str, Any] | None:
    from scizoo.checkpoints.manifest import read_manifest
    from scizoo.checkpoints.store import list_checkpoints, resolve_ref

    if name not in list_checkpoints() and "://" not in name and not Path(name).expanduser().is_dir():
        return None
    try:
        path = resolve_ref(name)
        manifest = read_manifest(path)
    except CheckpointError:
        if "/" in name and not name.startswith((".", "/", "~")) and "://" not in name:
            return None  # a folder that happens to be called like a task
        raise
    facts: dict[str, Any] = {
        "summary": manifest.summary,
        "kind": manifest.kind,
        "licence": manifest.licence,
        "path": str(path),
        "created": manifest.created,
        "size": f"{sum(manifest.files.values()) / 1e6:.1f} MB",
        "context": f"{manifest.context['max_length']} tokens" if "max_length" in manifest.context else "",
        "card": str(path / "README.md"),
        "use": f'scizoo.load("{name}").embed(inputs)',
    }
    return {key: value for key, value in facts.items() if value}
