"""Speed of the tokenizers of source code beside the Rust library and a loop in Python, in one run.

Usage: python tools/bench_code_tokenizers.py [--megabytes 1] [--repeats 3] [--out FILE.json]

Python's own standard library is encoded in one thread, file by file in turn; the median counts. The loop in
Python is that of GPT-2's encoder (merge the best pair of a word, keep words that were seen), with the same
merges; its ids are checked to be the same.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import statistics
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

os.environ["TOKENIZERS_PARALLELISM"] = "false"  # one thread for everybody
os.environ.setdefault("RAYON_NUM_THREADS", "1")

import numpy as np

from scizoo.files import write_json
from scizoo_code.datasets.stdlib import library_folder
from scizoo_code.sources import from_bytes
from scizoo_code.tokenizers.bpe import SourceBPETokenizer, byte_letters
from scizoo_code.tokenizers.bytes import SourceBytesTokenizer

#: Our stretches as GPT-2's encoder would write them, for ASCII.
GPT2 = r"(?:[ \t]*\r?\n)+[ \t]*| ?[A-Za-z_]+|[0-9]| ?[^\sA-Za-z0-9_]+|[^\S\r\n]+(?=[^\S\r\n])|\s+"
Encode = Callable[[list[str]], list[np.ndarray]]

LOOP, RUST, BPE, BYTES = (
    "python loop, byte-level BPE",
    "Rust BPE 4096 (tokenizers)",
    "byte-level BPE",
    "bytes",
)


def python_loop(tokenizer: SourceBPETokenizer) -> Encode:
    """Return GPT-2's encoder in Python (Radford et al. 2019) with the merges of a tokenizer."""
    state = json.loads(tokenizer.model.to_str())["model"]
    vocab, letters = state["vocab"], dict(enumerate(byte_letters()))
    ranks = {tuple(pair): rank for rank, pair in enumerate(state["merges"])}
    cut = re.compile(GPT2, re.ASCII)
    kept: dict[str, list[int]] = {}

    def word_ids(word: str) -> list[int]:
        if word in kept:
            return kept[word]
        parts = list(word)
        while len(parts) > 1:
            best = min(pairwise(parts), key=lambda pair: ranks.get(pair, len(ranks)))
            if best not in ranks:
                break
            merged, place = [], 0
            while place < len(parts):
                if tuple(parts[place : place + 2]) == best:
                    merged.append(parts[place] + parts[place + 1])
                    place += 2
                else:
                    merged.append(parts[place])
                    place += 1
            parts = merged
        kept[word] = [vocab[part] for part in parts]
        return kept[word]

    def encode(texts: list[str]) -> list[np.ndarray]:
        kept.clear()
        return [
            np.array(
                [id for word in cut.findall(text) for id in word_ids(word.translate(letters))], dtype=np.int32
            )
            for text in texts
        ]

    return encode


def fresh(tokenizer: SourceBPETokenizer) -> Encode:
    """Return our encoder, which has to meet every word anew in each round."""

    def encode(texts: list[str]) -> list[np.ndarray]:
        tokenizer.use(tokenizer.model)
        return list(tokenizer.encode(texts)["input_ids"])

    return encode


def sources(megabytes: float) -> list[str]:
    """Read modules of the standard library, evenly over their names, until there is enough."""
    found, size = [], 0
    for path in sorted(library_folder().glob("*.py"), key=lambda path: path.name[::-1]):
        text = from_bytes(path.read_bytes())
        if text.isascii() and text:
            found.append(text)
            size += len(text)
        if size >= megabytes * 1e6:
            break
    return found


def measure(contenders: dict[str, Encode], texts: list[str], repeats: int) -> dict[str, float]:
    """Return the median speed of each in MB/s; the order is turned each round."""
    names = list(contenders)
    seconds: dict[str, list[float]] = {name: [] for name in names}
    for turn in range(repeats):
        for name in names[turn % len(names) :] + names[: turn % len(names)]:
            start = time.perf_counter()
            contenders[name](texts)
            seconds[name].append(time.perf_counter() - start)
    megabytes = sum(len(text.encode("utf-8", "surrogateescape")) for text in texts) / 1e6
    return {name: megabytes / statistics.median(seconds[name]) for name in names}


def speeds_of(megabytes: float = 1.0, repeats: int = 3) -> dict[str, float]:
    """Measure every contender; MB/s by name."""
    texts = sources(megabytes)
    bpe = SourceBPETokenizer(vocab_size=4096)
    bpe.train(texts)
    contenders: dict[str, Encode] = {
        LOOP: python_loop(bpe),
        RUST: lambda given: [
            np.array(one.ids) for one in bpe.model.encode_batch_fast(given, add_special_tokens=False)
        ],
        BPE: fresh(bpe),
        BYTES: lambda given: list(SourceBytesTokenizer().encode(given)["input_ids"]),
    }
    for other in (LOOP, RUST):
        same = zip(contenders[BPE](texts), contenders[other](texts), strict=True)
        assert all(np.array_equal(ours, theirs) for ours, theirs in same), f"{BPE} and {other} disagree"
    return measure(contenders, texts, repeats)


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--megabytes", type=float, default=1.0, help="source to encode")
    parser.add_argument("--repeats", type=int, default=3, help="rounds; the median counts")
    parser.add_argument("--out", type=Path, default=None, help="where to write the figures as JSON")
    given = parser.parse_args()

    speeds = speeds_of(given.megabytes, given.repeats)
    print(f"{'tokenizer':<34}{'MB/s':>9}{'x loop':>9}{'x Rust':>9}")
    for name, speed in speeds.items():
        print(f"{name:<34}{speed:>9.2f}{speed / speeds[LOOP]:>9.2f}{speed / speeds[RUST]:>9.2f}")
    if given.out is not None:
        machine = f"{platform.machine()}, {os.cpu_count()} cores"
        figures = {"megabytes_a_second": speeds, "machine": machine, "python": platform.python_version()}
        write_json(given.out, figures)


if __name__ == "__main__":
    main()
