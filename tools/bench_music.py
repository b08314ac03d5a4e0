"""Speed of the ABC tokenizers beside a plain Python loop, on the tunes of music21's corpus.

Usage: python tools/bench_music.py [--tunes 1000] [--repeats 5]

Every tokenizer encodes the same tunes in one thread, in turn; the median counts. The ratio holds on any
machine.
"""

from __future__ import annotations

import argparse

import numpy as np
from bench_tokenizers import Encode, measure

from scizoo.data.bytes_tokenizer import ByteTokenizer
from scizoo.data.tokenizer import TokenTokenizer
from scizoo_music.datasets.tunes import FolkTunes
from scizoo_music.tokenizers.abc import AbcTokenizer

LOOP = "python loop, ABC characters"


def python_loop(tokenizer: AbcTokenizer) -> Encode:
    """Return the encoder that most code has: each character looked up in a dict."""
    vocab = {letter: id for id, letter in enumerate(tokenizer.vocab)}
    return lambda texts: [np.array([vocab.get(letter, 1) for letter in one], dtype=np.int32) for one in texts]


def rows(tokenizer: TokenTokenizer) -> Encode:
    """Return the encoder of one of this project's tokenizers."""
    return lambda texts: list(tokenizer.encode(texts)["input_ids"])


def speeds_of(tunes: int = 1000, repeats: int = 5) -> dict[str, float]:
    """Measure every contender; MB/s by name."""
    texts = [record.input for record in FolkTunes(limit=tunes, variants=None)]
    abc = AbcTokenizer()
    return measure(
        {LOOP: python_loop(abc), "music/abc": rows(abc), "music/bytes": rows(ByteTokenizer())}, texts, repeats
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--tunes", type=int, default=1000)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    found = speeds_of(options.tunes, options.repeats)
    for name, speed in found.items():
        print(f"{name}: {speed:,.2f} MB/s, {speed / found[LOOP]:.1f} times the loop")
