"""``scizoo verify``: a checkpoint's files and stored outputs."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from scizoo.cli import Command


def main(command: Command) -> int:
    """Check the files of a checkpoint and recompute its reference outputs.

    Raises
    ------
    CheckpointError
        When it is missing, damaged, unsafe, or gives other outputs than it did.
    """
    ref = str(command.name(needed=True))
    from scizoo.checkpoints.format import verify

    print(verify(ref))
    return 0
