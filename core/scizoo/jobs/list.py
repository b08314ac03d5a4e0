"""``scizoo list``: what is installed."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from scizoo import plugins
from scizoo.catalogue import KINDS, entries
from scizoo.errors import ConfigError, did_you_mean

if TYPE_CHECKING:
    from scizoo.cli import Command

_ALL = (*KINDS, "checkpoints")


def main(command: Command) -> int:
    """Print names and summaries, or JSON.

    Raises
    ------
    ConfigError
        For an unknown kind or domain.
    """
    kinds, domain = _subject(command.words)
    found = {kind: _found(kind, domain) for kind in kinds}
    names = [domain] if domain else list(plugins.installed())
    faces = plugins.domains()
    bad = plugins.broken()
    domains = [
        {"name": name, "summary": faces[name].summary, "formats": list(faces[name].formats)}
        if name in faces
        else {"name": name, "summary": f"broken: {bad[name].problem}", "formats": []}
        for name in names
    ]
    if "--json" in command.flags:
        whole: dict[str, Any] = {**({"domains": domains} if len(kinds) > 1 else {}), **found}
        print(json.dumps(whole, indent=2, ensure_ascii=False))
        return 0
    sections: dict[str, list[dict[str, Any]]] = {**({"domains": domains} if len(kinds) > 1 else {}), **found}
    width = max((len(row["name"]) for rows in sections.values() for row in rows), default=0)
    for title, rows in sections.items():
        print(f"{title}:")
        for row in rows:
            print(f"  {row['name']:<{width}}  {row['summary']}".rstrip())
        if not rows:
            print("  none" + ("; install a domain: pip install scizoo-DOMAIN" if title == "domains" else ""))
    return 0


def _subject(words: list[str]) -> tuple[tuple[str, ...], str | None]:
    kinds: tuple[str, ...] = _ALL
    domain: str | None = None
    for word in words:
        if word in _ALL:
            kinds = (word,)
        elif word in plugins.installed():
            domain = word
        else:
            choices = [*_ALL, *plugins.installed()]
            raise ConfigError(f"scizoo list knows no '{word}': {did_you_mean(word, choices)}")
    return kinds, domain


def _found(kind: str, domain: str | None) -> list[dict[str, str]]:
    if kind == "checkpoints":
        from scizoo.checkpoints.store import list_checkpoints

        return [info.to_dict() for info in list_checkpoints(f"{domain}/*" if domain else "*")]
    return [entry.to_dict() for entry in entries(KINDS[kind], domain)]
