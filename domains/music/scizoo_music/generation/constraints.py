"""What a written tune must keep to: a key, a meter, bars that add up."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from scizoo.data.tokenizer import TokenTokenizer
from scizoo.errors import ConfigError, DataError
from scizoo.models.sampling import Constraint
from scizoo_music.abc.bars import signature
from scizoo_music.abc.tokens import parse_key, parse_meter, parse_unit, write_key
from scizoo_music.abc.tunes import read_tune
from scizoo_music.pieces import as_piece
from scizoo_music.tokenizers.abc import AbcTokenizer
from scizoo_music.tokenizers.frames import FrameTokenizer
from scizoo_music.tokenizers.grid import GridTokenizer

if TYPE_CHECKING:
    from torch import Tensor

    from scizoo.models.generation import LogitsProcessor

_NATURAL = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}


class KeyAndMeter(Constraint):
    """Tunes in a key and a meter.

    Of ABC text the header is written for the model, token by token, and with ``diatonic`` no accidental may
    follow, so that every note is in the key. Of pitches on a grid, those outside of the key are forbidden.
    What the next token cannot decide is decided at the end: with ``full_bars`` a tune is refused unless all
    its bars add up, and written anew as often as ``samples.attempts`` allows; what is refused at last stays
    among the samples as it is.

    Parameters
    ----------
    key : str, optional
        As ABC writes it: ``G``, ``Am``, ``Dmix``.
    meter : str, optional
        ``6/8``, ``C``; of ABC alone.
    unit : str
        The unit of length of the header that is written, ``1/8``.
    diatonic : bool
        Whether notes outside of the key are forbidden.
    full_bars : bool
        Whether a tune whose bars do not add up is refused.
    """

    def __init__(
        self,
        key: str | None = None,
        meter: str | None = None,
        unit: str = "1/8",
        diatonic: bool = True,
        full_bars: bool = True,
    ):
        self.key = None if key is None else parse_key(key)
        self.meter = None if meter is None else parse_meter(meter)
        if meter is not None and self.meter is None:
            raise ConfigError(f"samples.constraint.meter={meter}", expected="a meter, such as 6/8")
        self.unit, self.diatonic, self.full_bars = parse_unit(unit, None), diatonic, full_bars

    def processor(self, tokenizer: TokenTokenizer) -> LogitsProcessor | None:
        """Give what forbids tokens; see :class:`~scizoo.models.sampling.Constraint`."""
        if isinstance(tokenizer, AbcTokenizer):
            return self._text(tokenizer)
        if isinstance(tokenizer, GridTokenizer):
            return self._grid(tokenizer)
        raise ConfigError(
            f"samples.constraint: {type(self).__name__} knows no tokens of {type(tokenizer).__name__}.",
            expected="tokenizer=music/abc, music/chorale, music/harmony or music/frames",
        )

    def _text(self, tokenizer: AbcTokenizer) -> LogitsProcessor:
        ids = {letter: id for id, letter in enumerate(tokenizer.vocab)}
        header = ""
        if self.meter is not None:
            header += f"M:{self.meter}\nL:{self.unit}\n"
            header += "K:" if self.key is None else f"K:{write_key(self.key)}\n"
        elif self.key is not None:
            raise ConfigError(
                "samples.constraint.key is given without a meter, which stands before it in a tune.",
                remedy="give samples.constraint.meter too.",
            )
        forced = [ids[letter] for letter in header]
        banned = [ids[letter] for letter in "^_=["] if self.key is not None and self.diatonic else []

        def process(so_far: Tensor, logits: Tensor) -> Tensor:
            place = so_far.shape[1] - 1  # the first token is CLS
            changed = logits.clone()
            if place < len(forced):
                changed[:, :] = -np.inf
                changed[:, forced[place]] = 0.0
            elif banned:
                changed[:, banned] = -np.inf
            return changed

        return process

    def _grid(self, tokenizer: GridTokenizer) -> LogitsProcessor | None:
        if self.key is None or not self.diatonic:
            return None
        held = signature(self.key)
        classes = {(step + held.get(letter, 0)) % 12 for letter, step in _NATURAL.items()}
        banned = [
            tokenizer.base + pitch
            for pitch in range(tokenizer.lowest, tokenizer.highest + 1)
            if pitch % 12 not in classes
        ]

        def process(so_far: Tensor, logits: Tensor) -> Tensor:
            changed = logits.clone()
            changed[:, banned] = -np.inf
            return changed

        return process

    def accepts(self, value: Any) -> bool:
        """Tell whether a tune is in the key and the meter, and its bars add up."""
        try:
            piece = as_piece(value)
        except (DataError, ValueError):
            return False
        if isinstance(value, str):
            if self.key is not None and (piece.key is None or piece.key[1:] != self.key[1:]):
                return False
            if self.meter is not None and (len(piece.meters) != 1 or piece.meter[1:] != self.meter[1:]):
                return False
            return not self.full_bars or all(bar.adds_up for bar in read_tune(value).bars)
        return True


class Ascending(Constraint):
    """Frames whose notes ascend, as :class:`~scizoo_music.tokenizers.frames.FrameTokenizer` writes them."""

    def processor(self, tokenizer: TokenTokenizer) -> LogitsProcessor | None:
        """Forbid pitches that do not lie above the frame's last one."""
        if not isinstance(tokenizer, FrameTokenizer):
            raise ConfigError(
                f"samples.constraint: {type(tokenizer).__name__} has no frames.",
                expected="tokenizer=music/frames",
            )
        first = tokenizer.base + tokenizer.lowest

        def process(so_far: Tensor, logits: Tensor) -> Tensor:
            ids = np.arange(logits.shape[1])
            last = so_far[:, -1].cpu().numpy()[:, None]
            changed = logits.clone()
            changed[(ids >= first) & (last >= first) & (ids <= last)] = -np.inf
            return changed

        return process
