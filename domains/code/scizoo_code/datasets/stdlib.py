"""Python's own standard library, which every installation brings: real code under the PSF licence."""

from __future__ import annotations

import sys
import sysconfig
from pathlib import Path
from typing import Any

from scizoo.data.records import Licence
from scizoo_code.datasets.files import SourceFiles
from scizoo_code.datasets.functions import SourceFunctions
from scizoo_code.readers.trees import SourceFile, SourceTree

#: What lies below the library's folder and is no part of it, or tests it.
NOT_LIBRARY = (
    "site-packages/*",
    "dist-packages/*",
    "test/*",
    "*/test/*",
    "*/tests/*",
    "*/idle_test/*",
    "lib2to3/tests/*",
    "config-*/*",
    "*/_bundled/*",
)
_CITATION = "Python Software Foundation, The Python Standard Library, https://docs.python.org/3/library/"
_LICENCE = Licence("PSF-2.0")


def library_folder() -> Path:
    """Return the folder of the running interpreter's standard library."""
    return Path(sysconfig.get_path("stdlib"))


class StandardLibraryFiles(SourceFiles):
    """What both datasets share: where the files are, their licence, and packages as groups."""

    licence = _LICENCE
    citation = _CITATION

    def __init__(self, path: Any = None, **options: Any):
        given = {"languages": ["python"], "exclude": NOT_LIBRARY, "group": "package", **options}
        super().__init__(library_folder() if path is None else path, **given)
        self._own = path is None

    @property
    def name(self) -> str:
        """What is read."""
        version = ".".join(map(str, sys.version_info[:3]))
        return f"Python {version} standard library" if self._own else str(self.path)

    def _tree(self, root: Path) -> SourceTree:
        return SourceTree(root, self.exclude, whole=True)

    def _licence(self, finder: Any, file: SourceFile, text: str) -> str:
        return "PSF-2.0" if self._own else super()._licence(finder, file, text)


class StandardLibrary(StandardLibraryFiles):
    """The modules of the standard library without its tests, one record a file, grouped by package.

    With Python 3.11.7 these are 734 files and 12 MB. Another release of Python is another corpus: the
    fingerprint says which one was read.

    Parameters
    ----------
    path : str, optional
        The library of another installation; by default that of the running interpreter.
    **options
        Further options of :class:`~scizoo_code.datasets.files.SourceFiles`.
    """


class StandardLibraryFunctions(StandardLibraryFiles, SourceFunctions):
    """The functions of the standard library without its tests, grouped by package.

    Parameters
    ----------
    path : str, optional
        As of :class:`StandardLibrary`.
    **options
        Further options of :class:`~scizoo_code.datasets.functions.SourceFunctions`.
    """
