"""What there is to run: tasks, recipes, tokenizers, read from their YAML without composing it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from scizoo import plugins

#: The config groups that ``scizoo list`` shows, by the word that it takes.
KINDS = {"tasks": "task", "recipes": "recipe", "tokenizers": "tokenizer"}


@dataclass(frozen=True)
class Entry:
    """One option of a config group, as ``scizoo list`` shows it."""

    name: str
    summary: str
    domain: str
    kind: str
    path: Path

    def to_dict(self) -> dict[str, str]:
        """Return plain data."""
        return {name: str(value) for name, value in asdict(self).items()}


def read_yaml(path: Path) -> Any:
    """Read one YAML file as plain data, safely.

    Raises
    ------
    yaml.YAMLError
        When it is not YAML.
    """
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the C parser is ten times faster
    return yaml.load(path.read_text(encoding="utf-8"), Loader=loader)


def describe(group: str, name: str, path: Path) -> Entry:
    """Describe one option; a file that cannot be read says so in its summary."""
    import yaml

    domain = name.partition("/")[0] if "/" in name else ""
    try:
        content = read_yaml(path)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        return Entry(name, f"cannot be read: {' '.join(str(error).split())}", domain, "", path)
    content = content if isinstance(content, dict) else {}
    face = content.get(group) or content.get("task") or {}
    face = face if isinstance(face, dict) else {}
    summary = str(face.get("summary") or _first_comment(path))
    return Entry(name, summary, str(face.get("domain") or domain), str(face.get("kind") or ""), path)


def _first_comment(path: Path) -> str:
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("#") and "@package" not in line:
            return line.lstrip("# ").rstrip()
        if line and not line.startswith("#"):
            break
    return ""


def entries(group: str, domain: str | None = None) -> list[Entry]:
    """Describe the options of a config group, sorted by name.

    Parameters
    ----------
    group : str
        ``task``, ``recipe``, ``tokenizer``, ...
    domain : str, optional
        Only those of one domain.
    """
    files = sorted(plugins.option_files(group).items())
    return [
        describe(group, name, path) for name, path in files if domain is None or name.startswith(f"{domain}/")
    ]
