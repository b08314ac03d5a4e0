"""What a reconstruction model says of values that are hidden from it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from scizoo.errors import ConfigError
from scizoo_timeseries.series import Series
from scizoo_timeseries.tokenizers.patches import PatchTokenizer

if TYPE_CHECKING:
    from scizoo.api import Model


def check_reconstructs(model: Model) -> PatchTokenizer:
    """Refuse a model that does not reconstruct single series; return its tokenizer.

    Raises
    ------
    ConfigError
    """
    tokenizer = model.checkpoint.tokenizer
    if model.kind != "reconstruction" or not isinstance(tokenizer, PatchTokenizer):
        raise ConfigError(
            f"{model.name} does not reconstruct values: its kind is {model.kind}.",
            expected="a checkpoint of the recipe timeseries/reconstruct-tiny",
            remedy="train one: scizoo pretrain timeseries/reconstruct-tiny data.path=FILE",
        )
    return tokenizer


def reconstruct(model: Model, series: Sequence[Series], batch: int = 64) -> list[np.ndarray]:
    """Estimate every value of series from what is known of them; missing values are hidden ones.

    Parameters
    ----------
    model : scizoo.api.Model
        Of kind reconstruction.
    series : sequence of Series
        Of one channel; those longer than the tokenizer's length are cut into stretches.
    batch : int
        Stretches a forward pass.

    Returns
    -------
    list of ndarray
        One estimate for each value, in the units of the series. Known values are estimated too, but were
        seen.
    """
    import torch

    tokenizer = check_reconstructs(model)
    length = tokenizer.length or 512
    pieces: list[tuple[int, int, Series]] = []
    for number, one in enumerate(series):
        for start in range(0, len(one), length):
            # The last stretch reaches back, so that it is as long as the others.
            first = max(0, min(start, len(one) - length))
            pieces.append((number, first, one.window(first, min(first + length, len(one)))))
    found = [np.full(len(one), np.nan) for one in series]
    by_size: dict[int, list[tuple[int, int, Series]]] = defaultdict(list)
    for piece in pieces:
        by_size[len(piece[2])].append(piece)
    backbone, head = model.checkpoint.backbone, model.checkpoint.head
    assert head is not None  # its kind is that of the head
    with torch.no_grad():
        for size, members in by_size.items():
            for start in range(0, len(members), batch):
                some = members[start : start + batch]
                encoded = tokenizer.encode([replace(one, future={}, past={}) for _, _, one in some])
                inputs = {
                    key: torch.from_numpy(np.stack([np.asarray(row) for row in rows])).to(model.device)
                    for key, rows in encoded.items()
                }
                said = head(backbone(inputs), inputs)["values"].double().cpu().numpy()
                scale, loc = (np.stack(list(encoded[key])).astype(np.float64) for key in ("scale", "loc"))
                own = said * scale[..., None] + loc[..., None]
                for (number, first, _), row in zip(some, own.reshape(len(some), -1)):
                    found[number][first : first + size] = row[-size:]
    return found
