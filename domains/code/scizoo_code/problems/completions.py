"""Where the completion of a function ends, and the program that is judged."""

from __future__ import annotations

import re

from scizoo_code.sources import Problem

#: What begins a new statement at the top level, at which a completion is cut (Chen et al. 2021, section 2.3).
_NEXT = re.compile(r"\n(?=[^\s)\]}#])")
_COMMENT = re.compile(r"\n#")


def cut(completion: str) -> str:
    """Cut a completion of a function body at the first line that stands at the left margin.

    Closing brackets, which some people put there, do not end it; comments and decorators do.
    """
    ends = [found.start() for found in (_NEXT.search(completion), _COMMENT.search(completion)) if found]
    return completion[: min(ends)] + "\n" if ends else completion


def program(problem: Problem, completion: str) -> str:
    """Put prompt, completion and tests together."""
    return f"{problem.prompt}{completion}\n{problem.test}\n"
