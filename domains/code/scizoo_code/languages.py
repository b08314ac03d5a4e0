"""Which language a file is written in: by its ending, its name, or its first line."""

from __future__ import annotations

import re
from pathlib import PurePosixPath

#: Endings of file names, by language; the names are those of tree-sitter's grammars where there is one.
ENDINGS: dict[str, tuple[str, ...]] = {
    "ada": ("adb", "ads"),
    "assembly": ("asm", "s"),
    "bash": ("sh", "bash", "zsh", "ksh"),
    "c": ("c", "h"),
    "c_sharp": ("cs",),
    "clojure": ("clj", "cljs", "cljc"),
    "cmake": ("cmake",),
    "cpp": ("cc", "cpp", "cxx", "c++", "hpp", "hh", "hxx", "h++", "ipp", "tpp"),
    "css": ("css",),
    "cuda": ("cu", "cuh"),
    "d": ("d",),
    "dart": ("dart",),
    "elixir": ("ex", "exs"),
    "elm": ("elm",),
    "erlang": ("erl", "hrl"),
    "fortran": ("f", "f77", "f90", "f95", "f03", "f08", "for"),
    "go": ("go",),
    "groovy": ("groovy", "gradle"),
    "haskell": ("hs", "lhs"),
    "html": ("html", "htm"),
    "java": ("java",),
    "javascript": ("js", "mjs", "cjs", "jsx"),
    "julia": ("jl",),
    "kotlin": ("kt", "kts"),
    "lisp": ("lisp", "lsp", "cl", "el"),
    "lua": ("lua",),
    "matlab": ("m",),
    "nim": ("nim",),
    "ocaml": ("ml", "mli"),
    "pascal": ("pas", "pp"),
    "perl": ("pl", "pm"),
    "php": ("php", "phtml"),
    "powershell": ("ps1", "psm1"),
    "proto": ("proto",),
    "python": ("py", "pyi", "pyw", "pyx", "pxd"),
    "r": ("r",),
    "racket": ("rkt",),
    "ruby": ("rb", "rake", "gemspec"),
    "rust": ("rs",),
    "scala": ("scala", "sc"),
    "scheme": ("scm", "ss"),
    "solidity": ("sol",),
    "sql": ("sql",),
    "swift": ("swift",),
    "tcl": ("tcl",),
    "typescript": ("ts", "mts", "cts", "tsx"),
    "verilog": ("v", "sv", "svh"),
    "vhdl": ("vhd", "vhdl"),
    "vue": ("vue",),
    "zig": ("zig",),
}
_BY_ENDING = {ending: language for language, endings in ENDINGS.items() for ending in endings}
_BY_NAME = {
    "makefile": "make",
    "gnumakefile": "make",
    "dockerfile": "dockerfile",
    "cmakelists.txt": "cmake",
    "rakefile": "ruby",
    "gemfile": "ruby",
    "sconstruct": "python",
    "sconscript": "python",
    "wscript": "python",
    "jenkinsfile": "groovy",
}
_INTERPRETERS = {
    "sh": "bash",
    "bash": "bash",
    "dash": "bash",
    "zsh": "bash",
    "ksh": "bash",
    "python": "python",
    "pypy": "python",
    "perl": "perl",
    "ruby": "ruby",
    "node": "javascript",
    "deno": "typescript",
    "php": "php",
    "lua": "lua",
    "Rscript": "r",
    "julia": "julia",
    "tclsh": "tcl",
    "wish": "tcl",
    "racket": "racket",
    "runghc": "haskell",
    "scala": "scala",
    "groovy": "groovy",
    "elixir": "elixir",
}
_SHEBANG = re.compile(rb"^#!\s*(\S+)[ \t]*([^\r\n]*)")
#: Every language that is told apart.
LANGUAGES = tuple(sorted({*ENDINGS, *_BY_NAME.values()}))


def language_of(path: str, start: bytes = b"") -> str | None:
    """Tell the language of a file.

    Parameters
    ----------
    path : str
        Its name or path, of which only the last part counts.
    start : bytes
        Its first line; a shebang is looked at where the name says nothing.

    Returns
    -------
    str or None
        None where neither says.
    """
    name = PurePosixPath(path.replace("\\", "/")).name.lower()
    if name in _BY_NAME:
        return _BY_NAME[name]
    stem, dot, ending = name.rpartition(".")
    if dot and stem and ending in _BY_ENDING:
        return _BY_ENDING[ending]
    return _by_shebang(start)


def _by_shebang(start: bytes) -> str | None:
    match = _SHEBANG.match(start.removeprefix(b"\xef\xbb\xbf"))
    if match is None:
        return None
    program, words = match[1].decode("latin-1"), match[2].decode("latin-1").split()
    name = program.rpartition("/")[2]
    if name == "env":
        plain = [word for word in words if not word.startswith("-") and "=" not in word]
        name = plain[0].rpartition("/")[2] if plain else ""
    return _INTERPRETERS.get(re.sub(r"[\d.]+$", "", name))
