"""How domains are found: entry points and files, without importing what a field needs."""

from __future__ import annotations

import functools
import importlib
import importlib.util
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

from scizoo.domain import Domain
from scizoo.errors import ConfigError

#: The entry-point group in which a plugin names its ``DOMAIN``.
GROUP = "scizoo.domains"

#: Config folders of the user (``--config-dir``); they go before the core and the plugins.
user_conf_dirs: list[Path] = []


@dataclass(frozen=True)
class Broken:
    """An installed plugin that cannot be used, and how to mend it."""

    name: str
    problem: str
    remedy: str


def _entry_points() -> tuple[EntryPoint, ...]:
    return _scan(tuple(sys.path))


@functools.cache
def _scan(_path: tuple[str, ...]) -> tuple[EntryPoint, ...]:
    unique = {point.name: point for point in entry_points(group=GROUP)}
    return tuple(unique[name] for name in sorted(unique))


def installed() -> dict[str, str]:
    """Return the import package of each installed domain; nothing is imported."""
    return {point.name: point.value.partition(":")[0].partition(".")[0] for point in _entry_points()}


def package_dir(package: str) -> Path | None:
    """Return the folder of an import package, found without importing it."""
    try:
        spec = importlib.util.find_spec(package)
    except (ImportError, ValueError):
        return None
    if spec is None or not spec.submodule_search_locations:
        return None
    return Path(next(iter(spec.submodule_search_locations)))


def _load(point: EntryPoint) -> Domain | Broken:
    """Import one plugin's face; whatever it raises is its own fault alone."""
    again = f"install it again or remove it: pip uninstall {_distribution(point)}"
    try:
        domain = point.load()
    except ImportError as error:
        return Broken(point.name, f"{point.value} cannot be imported: {error}", again)
    except Exception as error:  # a plugin may fail in any way at import
        return Broken(point.name, f"{point.value} fails at import: {type(error).__name__}: {error}", again)
    if not isinstance(domain, Domain):
        kind = type(domain).__name__
        return Broken(point.name, f"{point.value} is a {kind}, not a scizoo.domain.Domain", again)
    if domain.name != point.name:
        problem = f"its entry point is named '{point.name}' but its DOMAIN '{domain.name}'"
        return Broken(point.name, problem, "give both one name in the plugin, and install it again.")
    return domain


def _distribution(point: EntryPoint) -> str:
    return point.dist.name if point.dist is not None else installed()[point.name]


@functools.cache
def _faces(_path: tuple[str, ...]) -> tuple[dict[str, Domain], dict[str, Broken]]:
    good: dict[str, Domain] = {}
    bad: dict[str, Broken] = {}
    for point in _entry_points():
        face = _load(point)
        if isinstance(face, Domain):
            good[point.name] = face
        else:
            bad[point.name] = face
    return good, bad


def domains() -> dict[str, Domain]:
    """Return the installed domains that work, by name.

    Imports the package of each plugin, which is cheap by contract, and none of its modules.
    """
    return dict(_faces(tuple(sys.path))[0])


def broken() -> dict[str, Broken]:
    """Return the installed plugins that cannot be used, by name."""
    return dict(_faces(tuple(sys.path))[1])


def version(name: str) -> str:
    """Return the version of the distribution that brings the domain `name`."""
    for point in _entry_points():
        if point.name == name and point.dist is not None:
            return point.dist.version
    return "unknown"


def core_conf_dir() -> Path:
    """Return the folder of the shared configs."""
    folder = Path(__file__).parent / "conf"
    if not folder.is_dir():  # a checkout where links are not supported
        folder = Path(__file__).parents[2] / "conf"
    return folder


def conf_dirs() -> list[Path]:
    """Return the config folders in order of search: the user's, the core's, the plugins'.

    No plugin is imported; one whose package or configs are missing is left out.
    """
    found = [*user_conf_dirs, core_conf_dir()]
    for package in installed().values():
        folder = package_dir(package)
        if folder is not None and (folder / "conf").is_dir():
            found.append(folder / "conf")
    return found


def add_user_conf_dir(folder: str | Path) -> None:
    """Put a folder of the user before all other config folders.

    Raises
    ------
    ConfigError
        When it is not a folder.
    """
    path = Path(folder).expanduser().absolute()
    if not path.is_dir():
        raise ConfigError(
            f"--config-dir {folder}: there is no such folder.",
            remedy="make one with `scizoo config copy NAME FOLDER`, or correct the path.",
        )
    if path not in user_conf_dirs:
        user_conf_dirs.insert(0, path)


def option_files(group: str) -> dict[str, Path]:
    """Return the YAML file of each option of a config group, the first found winning."""
    found: dict[str, Path] = {}
    for folder in conf_dirs():
        root = folder / group
        for path in sorted(root.rglob("*.yaml")):
            name = path.relative_to(root).with_suffix("").as_posix()
            if not any(part.startswith("_") for part in name.split("/")):
                found.setdefault(name, path)
    return found


def options(group: str) -> list[str]:
    """Return the options of a config group, e.g. ``options("task")``.

    Parameters
    ----------
    group : str
        ``task``, ``recipe``, ``tokenizer``, ``trainer``, ...

    Returns
    -------
    list of str
        Sorted names such as ``genomics/taxonomy``.
    """
    return sorted(option_files(group))


def groups() -> list[str]:
    """Return the names of all config groups."""
    return sorted({path.name for folder in conf_dirs() for path in _folders(folder)})


def _folders(folder: Path) -> Iterator[Path]:
    for path in folder.iterdir():
        if path.is_dir() and not path.name.startswith(("_", ".")):
            yield path
