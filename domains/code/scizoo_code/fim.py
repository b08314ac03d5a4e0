"""Fill in the middle: how a text with a gap is laid out as tokens, and read back.

Bavarian et al. 2022, arXiv 2207.14255. A document is cut at two characters into prefix, middle and suffix and
written with three marks, so that a model that reads from left to right learns to fill in:

- PSM: ``<fim_prefix> prefix <fim_suffix> suffix <fim_middle> middle``
- SPM: ``<fim_prefix> <fim_suffix> suffix <fim_middle> prefix middle``
- left to right: ``prefix middle``; the suffix is not shown

Prefix, middle and suffix are encoded apart, so that a cut may lie inside of what would be one token.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from scizoo.data.augment import Augment
from scizoo.errors import ConfigError
from scizoo_code.sources import Gap

FIM_PREFIX, FIM_MIDDLE, FIM_SUFFIX = "<fim_prefix>", "<fim_middle>", "<fim_suffix>"
MARKS = (FIM_PREFIX, FIM_MIDDLE, FIM_SUFFIX)
Form = Literal["psm", "spm", "left"]
FORMS: tuple[Form, ...] = ("psm", "spm", "left")


@dataclass(frozen=True, slots=True)
class Arranged:
    """A gap and the order in which its parts are shown.

    Parameters
    ----------
    gap : Gap
    form : {"psm", "spm", "left"}
        Prefix first, suffix first, or the prefix alone.
    """

    gap: Gap
    form: Form = "psm"

    @property
    def source(self) -> str:
        """The whole text, or as much of it as is shown."""
        return self.gap.prefix + self.gap.middle if self.form == "left" else self.gap.source


def layout(gap: Gap, form: Form) -> list[str]:
    """Give marks and pieces of text in the order of a form; the middle comes last.

    Raises
    ------
    ConfigError
        When there is no such form.
    """
    if form == "psm":
        return [FIM_PREFIX, gap.prefix, FIM_SUFFIX, gap.suffix, FIM_MIDDLE, gap.middle]
    if form == "spm":
        return [FIM_PREFIX, FIM_SUFFIX, gap.suffix, FIM_MIDDLE, gap.prefix, gap.middle]
    if form == "left":
        return [gap.prefix, gap.middle]
    raise ConfigError(f"'{form}' is no way to lay out a gap.", expected=f"one of {', '.join(FORMS)}")


def is_mark(piece: str) -> bool:
    """Whether a piece of :func:`layout` stands for a special token; texts that look like one are others."""
    return any(piece is mark for mark in MARKS)


def restore(parts: Sequence[tuple[str, bytes]]) -> bytes:
    """Put a text together again from its parts, each after the mark that stood before it.

    The one rule inverts every form: between ``<fim_prefix>`` and ``<fim_suffix>`` stands the prefix (nothing,
    in SPM), then the suffix, and after ``<fim_middle>`` what stands before the suffix.

    Parameters
    ----------
    parts : sequence of (str, bytes)
        Mark, or "" at the beginning, and what follows it.
    """
    found: dict[str, bytes] = {}
    for mark, piece in parts:
        found[mark] = found.get(mark, b"") + piece
    order = ("", FIM_PREFIX, FIM_MIDDLE, FIM_SUFFIX)
    return b"".join(found.get(mark, b"") for mark in order)


def random_gap(text: str, rng: np.random.Generator) -> Gap:
    """Cut a text at two characters drawn evenly."""
    start, end = sorted(rng.integers(0, len(text) + 1, size=2).tolist())
    return Gap(prefix=text[:start], suffix=text[end:], middle=text[start:end])


class FillInTheMiddle(Augment):
    """Views of a text for training that fills in the middle: some as they stand, the others with a gap.

    Training draws one view a record and epoch, evenly; so the share of views with a gap is the rate at which
    the model sees one. Gaps follow from the text and the seed. Prediction sees the text as it stands, so that
    the likelihood of held-out text is measured from left to right.

    A text longer than the context is cut into windows after its gap was made, and most windows then hold no
    whole gap: read the corpus in pieces that fit the context.

    Parameters
    ----------
    rate : float
        Share of texts with a gap.
    spm : float
        Share of those in which the suffix comes first.
    count : int
        Views of each text; rate and share are rounded to whole views.
    seed : int
        Of the gaps.
    train, predict : bool
        See :class:`~scizoo.data.augment.Augment`.
    """

    def __init__(
        self,
        rate: float = 0.5,
        spm: float = 0.5,
        count: int = 4,
        seed: int = 0,
        train: bool = True,
        predict: bool = False,
    ):
        super().__init__(train, predict)
        for name, value in (("rate", rate), ("spm", spm)):
            if not 0.0 <= value <= 1.0:
                raise ConfigError(f"augment.{name}={value}", expected="a share from 0 to 1")
        if count < 2:
            raise ConfigError(
                f"augment.count={count}", expected="at least 2 views: the text, and one with a gap"
            )
        self.rate, self.spm, self.count, self.seed = float(rate), float(spm), int(count), int(seed)
        self._gaps = min(round(self.count * self.rate), self.count - 1)
        if rate and not self._gaps:
            raise ConfigError(
                f"augment.rate={rate} of {count} views is none.", remedy="raise augment.count, or set rate=0."
            )
        self._spm = round(self._gaps * self.spm)

    def views(self, input: Any) -> list[Any]:
        """Return the text itself, first, and as many times as its share asks; then it with gaps."""
        if not isinstance(input, str) or not self._gaps:
            return [input]
        digest = hashlib.blake2b(
            f"{self.seed}:".encode() + input.encode("utf-8", "surrogatepass"), digest_size=8
        ).digest()
        rng = np.random.default_rng(int.from_bytes(digest, "big"))
        made: list[Any] = [input] * (self.count - self._gaps)
        for number in range(self._gaps):
            made.append(Arranged(random_gap(input, rng), "spm" if number < self._spm else "psm"))
        return made

    def settings(self) -> dict[str, Any]:
        """Return the plain settings that build it again."""
        own = {"rate": self.rate, "spm": self.spm, "count": self.count, "seed": self.seed}
        return {**own, **super().settings()}
