"""Speed of the genomics tokenizers beside the Rust BPE and a plain Python loop, in one run.

Usage: python tools/bench_tokenizers.py [--bases 1000000] [--length 1000] [--repeats 5] [--out FILE.json]

Every tokenizer encodes the same sequences in one thread, in turn, ``repeats`` times; the median
counts. The ratios hold on any machine, the megabytes a second only on this one.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path

os.environ["TOKENIZERS_PARALLELISM"] = "false"  # one thread for everybody
os.environ.setdefault("RAYON_NUM_THREADS", "1")

import numpy as np

from scizoo.files import write_json
from scizoo_genomics.tokenizers.bpe import BPETokenizer
from scizoo_genomics.tokenizers.codon import CodonTokenizer
from scizoo_genomics.tokenizers.kmer import KmerTokenizer
from scizoo_genomics.tokenizers.nucleotide import NucleotideTokenizer

Encode = Callable[[list[str]], list[np.ndarray]]

LOOP, BPE = "python loop, 6-mer overlapping", "Rust BPE 4096 (tokenizers)"


def python_loop(tokenizer: KmerTokenizer) -> Encode:
    """Return the encoder that most code has: slices looked up in a dict, one by one."""
    vocab = dict(zip(tokenizer.vocab, range(tokenizer.vocab_size)))
    k, stride = tokenizer.settings()["k"], tokenizer.settings()["stride"]

    def encode(sequences: list[str]) -> list[np.ndarray]:
        return [
            np.array([vocab.get(s[i : i + k], 1) for i in range(0, len(s) - k + 1, stride)], dtype=np.int32)
            for s in sequences
        ]

    return encode


def rows(tokenizer: NucleotideTokenizer | KmerTokenizer | CodonTokenizer | BPETokenizer) -> Encode:
    """Return the encoder of one of this project's tokenizers."""
    return lambda sequences: list(tokenizer.encode(sequences)["input_ids"])


def measure(contenders: dict[str, Encode], sequences: list[str], repeats: int) -> dict[str, float]:
    """Return the median speed of each in MB/s (10^6 bases); the order is turned each round."""
    names = list(contenders)
    seconds: dict[str, list[float]] = {name: [] for name in names}
    for name in names:
        contenders[name](sequences[:10])
    for turn in range(repeats):
        for name in names[turn % len(names) :] + names[: turn % len(names)]:
            start = time.perf_counter()
            contenders[name](sequences)
            seconds[name].append(time.perf_counter() - start)
    megabytes = sum(map(len, sequences)) / 1e6
    return {name: megabytes / statistics.median(seconds[name]) for name in names}


def speeds_of(bases: int = 1_000_000, length: int = 1000, repeats: int = 5) -> dict[str, float]:
    """Measure every contender on random sequences; MB/s by name."""
    generator = np.random.default_rng(0)
    letters = np.frombuffer(b"ACGT", dtype=np.uint8)
    sequences = [
        letters[generator.integers(0, 4, length)].tobytes().decode() for _ in range(max(1, bases // length))
    ]
    bpe = BPETokenizer(vocab_size=4096, train_bases=500_000)
    bpe.train(sequences)
    overlapping, apart = KmerTokenizer(6, 1), KmerTokenizer(6, 6)
    contenders = {
        LOOP: python_loop(overlapping),
        "python loop, 6-mer": python_loop(apart),
        BPE: rows(bpe),
        "nucleotide": rows(NucleotideTokenizer()),
        "6-mer overlapping": rows(overlapping),
        "6-mer": rows(apart),
        "codon": rows(CodonTokenizer()),
    }
    same = zip(contenders["6-mer overlapping"](sequences), contenders[LOOP](sequences))
    assert all(np.array_equal(ours, loop) for ours, loop in same), "the encoders disagree"
    return measure(contenders, sequences, repeats)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--bases", type=int, default=1_000_000, help="bases in all")
    parser.add_argument("--length", type=int, default=1000, help="bases a sequence")
    parser.add_argument("--repeats", type=int, default=5, help="rounds; the median counts")
    parser.add_argument("--out", type=Path, default=None, help="where to write the figures as JSON")
    given = parser.parse_args()

    speeds = speeds_of(given.bases, given.length, given.repeats)
    slow, rust = speeds[LOOP], speeds[BPE]
    print(f"{'tokenizer':<34}{'MB/s':>9}{'x loop':>9}{'x BPE':>9}")
    for name, speed in speeds.items():
        print(f"{name:<34}{speed:>9.1f}{speed / slow:>9.1f}{speed / rust:>9.1f}")
    if given.out is not None:
        write_json(
            given.out,
            {
                "bases": given.bases,
                "bases_a_sequence": given.length,
                "repeats": given.repeats,
                "machine": f"{platform.machine()}, {os.cpu_count()} cores",
                "python": platform.python_version(),
                "megabytes_a_second": speeds,
                "times_the_python_loop": {name: speed / slow for name, speed in speeds.items()},
                "times_rust_bpe": {name: speed / rust for name, speed in speeds.items()},
            },
        )


if __name__ == "__main__":
    main()
