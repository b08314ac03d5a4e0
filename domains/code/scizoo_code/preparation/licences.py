"""Under which licence a source file stands: SPDX headers, licence files, and the metadata of packages."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterable
from configparser import ConfigParser
from configparser import Error as ConfigParserError
from pathlib import Path

from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression

from scizoo_code.preparation.licence_texts import identify

#: Licences that let anybody use, change and pass on the code, also in closed programs: StarCoder's kind of
#: list (The Stack's permissive licences, Kocetkov et al. 2022, arXiv 2211.15533).
PERMISSIVE = (
    *("0BSD", "AFL-3.0", "Apache-2.0", "Artistic-2.0", "BlueOak-1.0.0", "BSD-1-Clause", "BSD-2-Clause"),
    *("BSD-2-Clause-Patent", "BSD-3-Clause", "BSD-3-Clause-Clear", "BSD-3-Clause-LBNL", "BSL-1.0", "CC0-1.0"),
    *(
        "CNRI-Python",
        "ECL-2.0",
        "FTL",
        "HPND",
        "ICU",
        "ISC",
        "MIT",
        "MIT-0",
        "MIT-CMU",
        "MS-PL",
        "MulanPSL-2.0",
    ),
    *("NCSA", "OpenSSL", "PostgreSQL", "PSF-2.0", "Python-2.0", "TCL", "Unlicense", "UPL-1.0", "Vim", "W3C"),
    *("WTFPL", "X11", "Zlib", "ZPL-2.1"),
)
_HEADER = re.compile(r"SPDX-License-Identifier:[ \t]*([^\r\n]+)")
_HEADER_SIZE = 5000  # characters in which a header is looked for
_TAIL = re.compile(r"\s*(?:\*/|-->|#\}|\*\)|\"\"\"|'''|\*+|;)?\s*$")
_FILE = re.compile(r"^(?:licen[cs]e|copying|unlicen[cs]e|notice\.licen[cs]e)(?:[._-].*)?$", re.IGNORECASE)
_NO_LICENCE_FILE = (".py", ".js", ".c", ".h", ".go", ".rs", ".java", ".json", ".toml")
_CLASSIFIERS = {
    "MIT License": "MIT",
    "MIT No Attribution License (MIT-0)": "MIT-0",
    "BSD License": "LicenseRef-BSD",
    "Apache Software License": "Apache-2.0",
    "ISC License (ISCL)": "ISC",
    "Python Software Foundation License": "PSF-2.0",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "The Unlicense (Unlicense)": "Unlicense",
    "CC0 1.0 Universal (CC0 1.0) Public Domain Dedication": "CC0-1.0",
    "zlib/libpng License": "Zlib",
    "Boost Software License 1.0 (BSL-1.0)": "BSL-1.0",
    "Academic Free License (AFL)": "AFL-3.0",
    "GNU General Public License v2 (GPLv2)": "GPL-2.0-only",
    "GNU General Public License v2 or later (GPLv2+)": "GPL-2.0-or-later",
    "GNU General Public License v3 (GPLv3)": "GPL-3.0-only",
    "GNU General Public License v3 or later (GPLv3+)": "GPL-3.0-or-later",
    "GNU Lesser General Public License v3 (LGPLv3)": "LGPL-3.0-only",
    "GNU Lesser General Public License v3 or later (LGPLv3+)": "LGPL-3.0-or-later",
    "GNU Affero General Public License v3": "AGPL-3.0-only",
    "Other/Proprietary License": "LicenseRef-Proprietary",
}
#: How people write names that SPDX spells otherwise.
_INFORMAL = {
    "apache": "Apache-2.0",
    "apache 2": "Apache-2.0",
    "apache 2.0": "Apache-2.0",
    "apache license 2.0": "Apache-2.0",
    "apache license, version 2.0": "Apache-2.0",
    "apache license version 2.0": "Apache-2.0",
    "mit license": "MIT",
    "the mit license": "MIT",
    "bsd 3-clause": "BSD-3-Clause",
    "bsd-3": "BSD-3-Clause",
    "new bsd": "BSD-3-Clause",
    "bsd 3-clause license": "BSD-3-Clause",
    "bsd 2-clause": "BSD-2-Clause",
    "simplified bsd": "BSD-2-Clause",
    "gplv2": "GPL-2.0-only",
    "gplv3": "GPL-3.0-only",
    "gplv3+": "GPL-3.0-or-later",
    "lgplv3": "LGPL-3.0-only",
    "psf": "PSF-2.0",
    "python software foundation license": "PSF-2.0",
    "mpl 2.0": "MPL-2.0",
    "public domain": "LicenseRef-Public-Domain",
    "unlicensed": "LicenseRef-Proprietary",
}


def spdx(name: str) -> str | None:
    """Give the canonical SPDX expression for a name as people write it; None where it is none."""
    text = " ".join(name.strip().strip("\"'()").split())
    if not text:
        return None
    known = _INFORMAL.get(text.lower())
    if known:
        return known
    # The Rust world writes MIT/Apache-2.0 for MIT OR Apache-2.0.
    text = re.sub(r"(?<=[\w.])\s*/\s*(?=[A-Z])", " OR ", text)
    try:
        return str(canonicalize_license_expression(text))
    except InvalidLicenseExpression:
        return None


def header(text: str) -> str | None:
    """Give the licence that the head of a file states after ``SPDX-License-Identifier:``."""
    found = _HEADER.search(text[:_HEADER_SIZE])
    return spdx(_TAIL.sub("", found[1])) if found else None


def is_allowed(licence: str | None, allowed: Iterable[str]) -> bool:
    """Whether an SPDX expression is allowed: of ``OR`` one side, of ``AND`` both; exceptions do not count.

    Parameters
    ----------
    licence : str or None
    allowed : iterable of str
        SPDX identifiers.
    """
    if not licence:
        return False
    names = {name.lower() for name in allowed}
    words = re.findall(r"[()]|[^\s()]+", licence)
    try:
        value, rest = _either(words, names)
    except IndexError:
        return False
    return value and not rest


def _either(words: list[str], names: set[str]) -> tuple[bool, list[str]]:
    value, rest = _both(words, names)
    while rest and rest[0].upper() == "OR":
        other, rest = _both(rest[1:], names)
        value = value or other
    return value, rest


def _both(words: list[str], names: set[str]) -> tuple[bool, list[str]]:
    value, rest = _one(words, names)
    while rest and rest[0].upper() == "AND":
        other, rest = _one(rest[1:], names)
        value = value and other
    return value, rest


def _one(words: list[str], names: set[str]) -> tuple[bool, list[str]]:
    if words[0] == "(":
        value, rest = _either(words[1:], names)
        if rest[0] != ")":
            raise IndexError
        return value, rest[1:]
    name, rest = words[0], words[1:]
    if len(rest) > 1 and rest[0].upper() == "WITH":
        rest = rest[2:]
    return name.lower() in names, rest


class LicenceFinder:
    """Tells the licence of files below a folder.

    What a file says of itself goes first (SPDX header); then the nearest folder upwards that has a licence
    file or the metadata of a package. Folders are looked at once.

    Parameters
    ----------
    root : Path
        Folders above it are not looked at.
    """

    def __init__(self, root: Path):
        self.root = root
        self._folders: dict[Path, str | None] = {}

    def of(self, path: Path, text: str = "") -> str | None:
        """Give the licence of a file as an SPDX expression; None where nothing says it."""
        return header(text) or self._above(path.parent)

    def _above(self, folder: Path) -> str | None:
        if folder not in self._folders:
            found = folder_licence(folder)
            if found is None and folder != self.root and self.root in folder.parents:
                found = self._above(folder.parent)
            self._folders[folder] = found
        return self._folders[folder]


def folder_licence(folder: Path) -> str | None:
    """Give the licence that a folder states, in licence files or in the metadata of a package.

    Several licence files (``LICENSE-MIT`` and ``LICENSE-APACHE``) are alternatives where the metadata do not
    say otherwise.
    """
    try:
        names = sorted(path.name for path in folder.iterdir() if path.is_file())
    except OSError:
        return None
    stated = next((found for name in names if (found := _metadata(folder / name)) is not None), None)
    files = [name for name in names if _FILE.match(name) and not name.lower().endswith(_NO_LICENCE_FILE)]
    texts = [identify(text) for name in files if (text := _read(folder / name))]
    known = sorted({one for one in texts if one})
    if stated is not None and not stated.startswith("LicenseRef-"):
        return stated
    if known:
        return " OR ".join(known)
    return "LicenseRef-unrecognised" if texts else stated


def _read(path: Path, most: int = 200_000) -> str:
    try:
        if path.is_symlink() or path.stat().st_size > most:
            return ""
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _metadata(path: Path) -> str | None:
    """Give the licence in a package's metadata; None where the file is none or says nothing."""
    try:
        if path.name == "pyproject.toml":
            return _project(tomllib.loads(_read(path)).get("project") or {})
        if path.name == "Cargo.toml":
            return _word((tomllib.loads(_read(path)).get("package") or {}).get("license"))
        if path.name in ("package.json", "composer.json"):
            value = json.loads(_read(path) or "{}")
            return _word(value.get("license")) if isinstance(value, dict) else None
        if path.name == "setup.cfg":
            parser = ConfigParser(interpolation=None, strict=False)
            parser.read_string(_read(path))
            return _word(parser.get("metadata", "license", fallback=None))
        if path.name in ("METADATA", "PKG-INFO"):
            return _headers(_read(path).partition("\n\n")[0])
    except (ValueError, ConfigParserError, AttributeError, RecursionError):
        return None
    return None


def _word(value: object) -> str | None:
    if isinstance(value, dict):
        value = value.get("type") or value.get("text")
    if isinstance(value, list):
        found = [one for one in map(_word, value) if one]
        return " OR ".join(found) or None
    if not isinstance(value, str):
        return None
    return spdx(value) or identify(value)


def _project(project: dict[str, object]) -> str | None:
    stated = _word(project.get("license"))
    classifiers = project.get("classifiers")
    return stated or _classified(classifiers if isinstance(classifiers, list) else [])


def _headers(text: str) -> str | None:
    lines = [line.partition(":") for line in text.splitlines()]
    fields = [(name.strip().lower(), value.strip()) for name, _, value in lines]
    for wanted in ("license-expression", "license"):
        stated = next((spdx(value) for name, value in fields if name == wanted), None)
        if stated:
            return stated
    return _classified([value for name, value in fields if name == "classifier"])


def _classified(classifiers: Iterable[object]) -> str | None:
    named = (str(one).rpartition("::")[2].strip() for one in classifiers if str(one).startswith("License ::"))
    found = sorted({_CLASSIFIERS[name] for name in named if name in _CLASSIFIERS})
    return " OR ".join(found) or None
