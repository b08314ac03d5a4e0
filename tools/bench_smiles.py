"""Speed of the SMILES tokenizer beside the usual ``re.findall`` a string, on compounds inside RDKit.

Usage: python tools/bench.py smiles

Both encode the same strings in one thread, in turn; the median counts. The ratio holds on any machine.
"""

from __future__ import annotations

import numpy as np
from bench_tokenizers import Encode, measure

from scizoo_chemistry.datasets.embedded import PainsAlerts
from scizoo_chemistry.tokenizers.smiles import PATTERN, SmilesTokenizer

LOOP = "re.findall a SMILES"


def python_loop(tokenizer: SmilesTokenizer) -> Encode:
    """Return the encoder that most code has: the pattern of Schwaller et al. 2019 and a dict."""
    vocab = {token: id for id, token in enumerate(tokenizer.vocab)}
    return lambda texts: [
        np.array([vocab.get(token, 1) for token in PATTERN.findall(one)], dtype=np.int32) for one in texts
    ]


def speeds_of(molecules: int = 10_000, repeats: int = 5) -> dict[str, float]:
    """Measure both; MB/s (10^6 characters) by name."""
    texts = [record.input for record in PainsAlerts(limit=molecules)]
    tokenizer = SmilesTokenizer()
    tokenizer.train(texts)
    return measure(
        {LOOP: python_loop(tokenizer), "chemistry/smiles": lambda t: list(tokenizer.encode(t)["input_ids"])},
        texts,
        repeats,
    )
