"""Frozen features computed once: what a probe trains its head on."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from scizoo.data.batching import PadCollator
from scizoo.errors import ConfigError
from scizoo.files import atomic_path
from scizoo.models.backbones import Hidden
from scizoo.training.joint import batch_to
from scizoo.training.predict import OnProgress, autocast

KEY = "features"


class FeatureDataset:
    """Pooled features in the place of encoded windows: one row of width D a window.

    It has the face of an EncodedDataset, so that the same DataModule serves both. A row is a sequence
    of length one; any pooling of it is the row itself.

    Parameters
    ----------
    base : EncodedDataset
        The windows that the features were computed from.
    features : ndarray of float32, shape (windows, D)
    needs : sequence of str
        Inputs that the head reads beside the states; of each the last position is kept.
    """

    main_input = KEY

    def __init__(self, base: Any, features: np.ndarray, needs: Sequence[str] = ()):
        self.base = base
        self.features = features
        self.needs = tuple(name for name in needs if name in base.keys)

    def __len__(self) -> int:
        return len(self.features)

    def __getitem__(self, number: int) -> dict[str, np.ndarray]:
        item = {KEY: np.array(self.features[number], dtype=np.float32)[None]}
        if self.needs:
            whole = self.base[number]
            item |= {name: whole[name][-1:] for name in self.needs}
        return item

    def __getattr__(self, name: str) -> Any:
        # Records, views and ids are those of the windows. Dunder names must not be handed on, or
        # copying a half-built object would recurse.
        if name.startswith("__") or name == "base":
            raise AttributeError(name)
        return getattr(self.base, name)

    @property
    def hidden_size(self) -> int:
        """Width of a row, D."""
        return int(self.features.shape[1])

    @property
    def lengths(self) -> np.ndarray:
        """Length of each row as a sequence: one."""
        return np.ones(len(self), dtype=np.int64)

    @property
    def keys(self) -> tuple[str, ...]:
        """Names of the model inputs."""
        return (KEY, *self.needs)

    @property
    def pad_values(self) -> dict[str, float]:
        """What pads each model input."""
        return dict.fromkeys(self.keys, 0.0)


class FeatureBackbone(nn.Module):
    """Stands in for the frozen backbone: hands cached features to the head as sequences of length one.

    Parameters
    ----------
    hidden_size : int
    """

    causal = False
    input_key = KEY

    def __init__(self, hidden_size: int):
        super().__init__()
        self.hidden_size = hidden_size

    def forward(self, batch: Mapping[str, Any]) -> Hidden:
        """Give ``Hidden`` of states ``[B, 1, D]``."""
        states = batch[KEY]
        mask = torch.ones(states.shape[:2], dtype=torch.bool, device=states.device)
        return Hidden(states, mask)


def can_cache(head: nn.Module) -> bool:
    """Tell whether a head needs no more of a sequence than one vector that no training changes."""
    pool: Any = getattr(head, "pool", None)
    pooled = callable(getattr(head, "features", None)) and isinstance(pool, nn.Module)
    return pooled and not any(True for _ in pool.parameters())


def weights_digest(module: nn.Module) -> str:
    """Digest every weight and buffer of a module."""
    digest = hashlib.sha256()
    for name, value in sorted(module.state_dict().items()):
        digest.update(f"{name}{tuple(value.shape)}{value.dtype}".encode())
        digest.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def cached_features(
    backbone: nn.Module,
    head: nn.Module,
    dataset: Any,
    *,
    folder: str | Path,
    key: str = "",
    batch_size: int = 64,
    device: str | torch.device | None = None,
    precision: str = "32-true",
    on_progress: OnProgress | None = None,
) -> FeatureDataset:
    """Compute the pooled features of every window once, or open those computed before.

    Parameters
    ----------
    backbone : Backbone
    head : Head
        Its pooling is applied; it must have no weights.
    dataset : EncodedDataset
    folder : str or Path
        Where the memory-mapped file goes, named by what it depends on.
    key : str
        Identifies the data set, e.g. its cache key. Without one nothing is opened again: the
        features are computed anew.
    batch_size : int
    device, precision, on_progress
        As for :func:`scizoo.training.predict.predict_windows`.

    Raises
    ------
    ConfigError
        When the head's pooling is trained, so that there is nothing fixed to cache.
    """
    if not can_cache(head):
        raise ConfigError(
            f"adapt=probe cannot cache features for {type(head).__name__}: it has no fixed pooling.",
            remedy="set head.pooling to mean, cls or max, or adapt.cache_features=false.",
        )
    pool = type(head.pool).__name__
    parts = (key, weights_digest(backbone), pool, str(len(dataset)), precision)
    name = hashlib.sha256("\n".join(parts).encode()).hexdigest()[:32]
    path = Path(folder) / f"features-{name}.npy"
    path.parent.mkdir(parents=True, exist_ok=True)
    if not (key and path.exists()):
        own = next(iter(backbone.parameters()), torch.empty(0))
        place = torch.device(device) if device is not None else own.device
        with atomic_path(path) as temporary:
            _compute(backbone, head, dataset, temporary, batch_size, place, precision, on_progress)
    return FeatureDataset(dataset, np.load(path, mmap_mode="r"), getattr(head, "needs", ()))


def _compute(
    backbone: nn.Module,
    head: Any,
    dataset: Any,
    path: Path,
    batch_size: int,
    device: torch.device,
    precision: str,
    on_progress: OnProgress | None,
) -> None:
    modes = [(module, module.training) for module in backbone.modules()]
    backbone.to(device).eval()
    written: np.memmap | None = None
    done = 0
    try:
        with torch.inference_mode(), autocast(device, precision):
            for numbers, batch in _batches(dataset, batch_size):
                rows = head.features(backbone(batch_to(batch, device))).float().cpu().numpy()
                if written is None:
                    shape = (len(dataset), rows.shape[1])
                    written = np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=shape)
                written[numbers] = rows
                done += len(numbers)
                if on_progress is not None:
                    on_progress(done)
    finally:
        for module, training in modes:
            module.training = training
    if written is None:
        raise ConfigError("there is no window to compute features of.")
    written.flush()
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def _batches(dataset: Any, batch_size: int) -> Iterator[tuple[np.ndarray, dict[str, Tensor]]]:
    """Give windows of similar length together, each once."""
    collate = PadCollator(dataset.pad_values)
    order = np.argsort(np.asarray(dataset.lengths), kind="stable")
    for start in range(0, len(order), batch_size):
        numbers = order[start : start + batch_size]
        yield numbers, collate([dataset[int(number)] for number in numbers])
