"""What completions of programming problems are worth: the share that passes the problem's tests."""

from __future__ import annotations

import hashlib
import logging
from collections import Counter
from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np

from scizoo.data.targets import input_key
from scizoo.errors import ConfigError
from scizoo.evaluation.generation import Generated, Scorer
from scizoo.evaluation.sample_figures import SampleFigure
from scizoo_code.grammars import has_errors
from scizoo_code.problems.completions import cut, program
from scizoo_code.problems.passk import pass_at_k
from scizoo_code.sandbox.limits import Limits, Outcome
from scizoo_code.sandbox.run import Sandbox
from scizoo_code.sources import Problem, printable

log = logging.getLogger(__name__)


class PassAtK(Scorer):
    """Judges completions of programming problems by running their tests in a sandbox.

    Each held-out problem's prompt is completed ``samples.count`` times. A completion is cut at the first line
    that stands at the left margin; prompt, completion and tests are one program, which passes when it runs to
    its end. pass@k is estimated without bias (Chen et al. 2021, arXiv 2107.03374) for each problem and
    averaged; intervals are by bootstrap over problems. Where the sandbox cannot be closed nothing is run, and
    the task is refused.

    ``validity`` is the share of completed prompts that parse without error.

    Parameters
    ----------
    k : sequence of int
        Values of k; those above ``samples.count`` have no value.
    seconds, cpu, memory_mb, output_kb : int
        Limits of each program: wall-clock time, processor time, memory, output.
    workers : int, optional
        Programs that run at once; by default as many as there are processors.
    """

    main = "pass_at_1"

    def __init__(
        self,
        k: Sequence[int] = (1, 10),
        seconds: float = 5.0,
        cpu: int = 5,
        memory_mb: int = 512,
        output_kb: int = 64,
        workers: int | None = None,
    ):
        if not k or any(isinstance(one, bool) or not isinstance(one, int) or one < 1 for one in k):
            raise ConfigError(f"scorer.k={list(k)}", expected="whole numbers from 1")
        if workers is not None and (isinstance(workers, bool) or workers < 1):
            raise ConfigError(f"scorer.workers={workers}", expected="a whole number from 1, or null")
        self.k = sorted(dict.fromkeys(k))
        self.main = f"pass_at_{self.k[0]}"
        self.sandbox = Sandbox(Limits(seconds, cpu, memory_mb * 1024**2, output_kb * 1024))
        self.workers = workers
        self._ran: dict[str, Outcome] = {}  # real solutions are judged more than once

    def prepare(self, training: Sequence[Any], heldout: Sequence[Any]) -> None:
        """Make sure that the sandbox can be closed, before anything is trained."""
        self.sandbox.check()

    def key(self, value: Any) -> Hashable | None:
        """Name a problem by its content, and a completed program by its text, if it parses."""
        if isinstance(value, Problem):
            return input_key(value)
        if isinstance(value, str) and value.strip() and not has_errors(value, "python"):
            return value
        return None

    def text(self, value: Any) -> str:
        """Write a problem with its solution, or a program."""
        return printable(value.source if isinstance(value, Problem) else str(value))

    def prompt(self, value: Any) -> Any | None:
        """Give the prompt of a problem."""
        return value.prompt if isinstance(value, Problem) else None

    def answer(self, value: Any) -> Any:
        """Give the known solution of a problem."""
        return value.solution if isinstance(value, Problem) else value

    def score(self, generated: Generated) -> dict[str, SampleFigure]:
        """Run every completion; see the class."""
        if generated.answers is None or generated.references is None:
            raise ConfigError(
                "pass@k needs problems with prompts.", expected="a dataset of problems, as code/mbpp has"
            )
        problems: list[Problem] = generated.references
        answers = [
            # A known solution may hold helpers at the left margin.
            answer if answer == problem.solution else cut(_text(answer))
            for problem, answer in zip(problems, generated.answers, strict=True)
        ]
        whole = [problem.prompt + answer for problem, answer in zip(problems, answers, strict=True)]
        programs = [program(problem, answer) for problem, answer in zip(problems, answers, strict=True)]
        new = [one for one in dict.fromkeys(programs) if one not in self._ran]
        self._ran |= dict(zip(new, self.sandbox.run_many(new, self.workers), strict=True))
        outcomes = [self._ran[one] for one in programs]
        told = Counter(one.status for one in outcomes)
        log.info(
            "%d programs were run: %s", len(outcomes), ", ".join(f"{n} {word}" for word, n in told.items())
        )
        passed = np.array([one.passed for one in outcomes])
        names = np.array([f"{problem.entry_point}:{hash_of(problem)}" for problem in problems])
        found = {f"pass_at_{k}": self._pass_at(k, passed, names) for k in self.k}
        found["passed"] = SampleFigure("passed", "higher", passed.astype(float), bounds=(0, 1), groups=names)
        base = super().score(Generated(whole, generated.rows))
        # Validity is of answers to the same prompts too.
        for name in ("validity",):
            base[name] = SampleFigure(
                base[name].title, base[name].direction, base[name].values, bounds=(0, 1), groups=names
            )
        for name in ("uniqueness", "novelty"):
            base.pop(name, None)  # prompts differ, so that completed programs do
        return found | base

    def _pass_at(self, k: int, passed: np.ndarray, names: np.ndarray) -> SampleFigure:
        member = np.unique(names, return_inverse=True)[1]
        written, correct = np.bincount(member), np.bincount(member, weights=passed).astype(int)
        values = np.array([pass_at_k(int(n), int(c), k) for n, c in zip(written, correct, strict=True)])
        title = f"pass@{k}"
        if np.isnan(values).all():
            why = f"fewer than {k} programs were written for each problem (samples.count)"
            return SampleFigure(title, "higher", np.full(len(passed), np.nan), reason=why)
        # The mean over samples, each with its problem's value, is the mean over problems.
        return SampleFigure(title, "higher", values[member], bounds=(0, 1), groups=names)


def hash_of(problem: Problem) -> str:
    """Name a problem shortly by its content."""
    return hashlib.blake2b(repr(problem).encode("utf-8", "surrogatepass"), digest_size=6).hexdigest()


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
