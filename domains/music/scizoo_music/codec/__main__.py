"""``python -m scizoo_music.codec CHECKPOINT``: how well each number of codebooks gives sounds back."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from scizoo.checkpoints.format import load_checkpoint
from scizoo.errors import ScizooError
from scizoo_music.codec.codes import measure
from scizoo_music.codec.model import EncodecBackbone
from scizoo_music.datasets.rendered import RenderedTunes
from scizoo_music.datasets.sounds import SoundFiles
from scizoo_music.splitters_corpus import CorpusSplitter


def main(arguments: list[str] | None = None) -> int:
    """Print a table of codebooks, bit rate, SI-SDR and log-mel distance.

    The sounds are those of ``--path``, else synthesised tunes of the fifth that the recipe leaves out.
    """
    parser = argparse.ArgumentParser(prog="python -m scizoo_music.codec", description=__doc__)
    parser.add_argument("checkpoint", help="a codec: name, path or URL")
    parser.add_argument("--path", help="sound files; synthesised tunes by default")
    parser.add_argument("--count", type=int, default=60, help="sounds at most")
    given = parser.parse_args(arguments)
    try:
        backbone = load_checkpoint(given.checkpoint).backbone
        if not isinstance(backbone, EncodecBackbone):
            parser.error(f"{given.checkpoint} is no codec")
        if given.path:
            records = list(SoundFiles(Path(given.path), seconds=10.0))
        else:
            found = list(RenderedTunes(6 * given.count, seed=3, labelled=False))
            split = CorpusSplitter((0.7, 0.1, 0.2), 0).split(found)
            records = [found[place] for place in split.test]
    except ScizooError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_status
    records = records[: given.count]
    print(f"{len(records)} sounds\nbooks  kbit/s  SI-SDR (dB)  log-mel distance (dB)")
    for one in measure(backbone.eval(), [record.input for record in records]):
        print(f"{one.books:5d}  {one.kbps:6.2f}  {one.si_sdr:11.2f}  {one.log_mel:21.2f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
