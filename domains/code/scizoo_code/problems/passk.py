"""pass@k: the chance that one of k programs passes its tests."""

from __future__ import annotations

import numpy as np

from scizoo.errors import ConfigError


def pass_at_k(samples: int, correct: int, k: int) -> float:
    """Estimate pass@k of one problem without bias (Chen et al. 2021, arXiv 2107.03374, equation 1).

    Parameters
    ----------
    samples : int
        Programs that were written, n.
    correct : int
        Those of them that pass, c.
    k : int

    Returns
    -------
    float
        ``1 - C(n - c, k) / C(n, k)``, computed as a product; NaN where fewer than k were written.
    """
    if k < 1 or not 0 <= correct <= samples:
        raise ConfigError(f"pass@{k} of {correct} in {samples} programs", expected="k from 1, 0 <= c <= n")
    if k > samples:
        return float("nan")
    if samples - correct < k:
        return 1.0
    return float(1.0 - np.prod(1.0 - k / np.arange(samples - correct + 1, samples + 1)))
