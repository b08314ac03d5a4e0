"""Columns of tables and JSON lines under the names that corpora of source code give them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

#: Our column, and what The Stack, CodeSearchNet, CodeXGLUE and others call it.
ALIASES: dict[str, tuple[str, ...]] = {
    "content": (
        "content",
        "code",
        "func",
        "source",
        "source_code",
        "whole_func_string",
        "original_string",
        "text",
    ),
    "path": ("path", "max_stars_repo_path", "file_path", "func_path_in_repository", "filename", "file"),
    "repository": (
        "repository",
        "repo",
        "repo_name",
        "max_stars_repo_name",
        "repository_name",
        "project",
        "package",
    ),
    "language": ("language", "lang", "programming_language"),
    "licence": ("licence", "license", "licenses", "max_stars_repo_licenses", "license_type"),
}


def find_column(name: str, known: Iterable[str]) -> str | None:
    """Give the column that holds what ``name`` stands for: itself, or the first of its other names."""
    columns = list(known)
    if name in columns:
        return name
    return next((alias for alias in ALIASES.get(name, ()) if alias in columns), None)


def standard_fields(cells: Mapping[str, Any]) -> dict[str, Any]:
    """Add our names of the columns that stand there under others; texts and numbers alone are kept."""
    found = {key: value for key, value in cells.items() if isinstance(value, str | int | float | bool)}
    for name in ("path", "repository", "language", "licence"):
        column = find_column(name, cells)
        if column is None or cells[column] in (None, ""):
            continue
        value = cells[column]
        if isinstance(value, list | tuple):
            value = " OR ".join(map(str, value))
        found[name] = value.lower() if name == "language" and isinstance(value, str) else value
    return found
