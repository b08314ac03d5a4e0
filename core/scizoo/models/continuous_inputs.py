"""Input layers for numbers: values, what was measured, when, and in which channel."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from scizoo.errors import ConfigError, DataError

#: How the values of a position become a vector.
EMBEDDINGS = ("residual", "linear")


class TimeEncoding(nn.Module):
    """Coordinates as sines and cosines of many periods, so that any sampling may be irregular.

    Fourier features with periods in geometric steps (Vaswani et al. 2017, arXiv 1706.03762, for positions;
    Tancik et al. 2020, arXiv 2006.10739), learned if wanted (mTAN, Shukla and Marlin 2021, arXiv 2101.10318),
    projected to the width of the states. Phases are computed in float32 also under mixed precision; give
    coordinates relative to something near, for float32 keeps 7 digits.

    Parameters
    ----------
    hidden_size : int
        Width of the states, D.
    times : int
        Coordinates a position, K.
    n_frequencies : int
        Periods a coordinate.
    shortest_period, longest_period : float
        In the unit of the coordinates.
    learn_periods : bool
        Whether periods are trained.
    """

    def __init__(
        self,
        hidden_size: int,
        times: int,
        n_frequencies: int,
        shortest_period: float,
        longest_period: float,
        learn_periods: bool,
    ):
        super().__init__()
        if n_frequencies < 1 or not 0.0 < shortest_period <= longest_period:
            raise ConfigError(
                f"backbone: n_frequencies={n_frequencies}, shortest_period={shortest_period} and "
                f"longest_period={longest_period} do not fit.",
                expected="n_frequencies >= 1 and 0 < shortest_period <= longest_period",
            )
        self.times, self.n_frequencies = times, n_frequencies
        self.shortest_period, self.longest_period = shortest_period, longest_period
        self.project = nn.Linear(2 * times * n_frequencies, hidden_size)
        empty = torch.empty(times, n_frequencies)
        self.log_period: Tensor
        if learn_periods:
            self.log_period = nn.Parameter(empty)
        else:
            self.register_buffer("log_period", empty)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Set periods in geometric steps."""
        low, high = math.log(self.shortest_period), math.log(self.longest_period)
        with torch.no_grad():
            self.log_period.copy_(torch.linspace(low, high, self.n_frequencies).expand(self.times, -1))

    def forward(self, times: Tensor) -> Tensor:
        """Encode ``times`` ``[B, T, K]`` to ``[B, T, D]``."""
        phase = 2.0 * math.pi * times.float()[..., None] * (-self.log_period.float()).exp()
        waves = torch.cat([phase.sin(), phase.cos()], dim=-1).flatten(-2)
        return self.project(waves.to(self.project.weight.dtype))


class ResidualEmbedding(nn.Module):
    """A linear map plus a small MLP, as TimesFM embeds patches (Das et al. 2024, arXiv 2310.10688).

    Parameters
    ----------
    width, hidden_size : int
        Of the input and of the states.
    """

    def __init__(self, width: int, hidden_size: int):
        super().__init__()
        self.inner = nn.Linear(width, hidden_size)
        self.outer = nn.Linear(hidden_size, hidden_size)
        self.straight = nn.Linear(width, hidden_size)

    def forward(self, values: Tensor) -> Tensor:
        """Map ``[..., width]`` to ``[..., D]``."""
        return self.outer(nn.functional.silu(self.inner(values))) + self.straight(values)


class ContinuousInputs(nn.Module):
    """One vector a position from its numbers.

    The values and the flags of which were measured pass through the embedding, or are replaced by one
    learned vector where ``masked`` says so; the encodings of time and channel are added in either case, so
    that a model knows what it is asked for.

    Parameters
    ----------
    hidden_size : int
        Width of the states, D.
    features : int
        Values a position, F: one measurement, or a patch of several.
    times : int
        Coordinates a position, K; 0 where order is all there is.
    channels : int
        Classes of ``channel`` (bands, variables, sensors); 0 for none.
    embedding : {"residual", "linear"}
        How values become a vector.
    n_frequencies, shortest_period, longest_period, learn_periods
        Of :class:`TimeEncoding`.
    """

    def __init__(
        self,
        hidden_size: int,
        features: int,
        *,
        times: int = 0,
        channels: int = 0,
        embedding: str = "residual",
        n_frequencies: int = 16,
        shortest_period: float = 1.0,
        longest_period: float = 10_000.0,
        learn_periods: bool = False,
    ):
        super().__init__()
        if features < 1 or times < 0 or channels < 0:
            raise ConfigError(
                f"backbone: features={features}, times={times}, channels={channels} do not fit.",
                expected="features >= 1, times >= 0 and channels >= 0",
            )
        if embedding not in EMBEDDINGS:
            raise ConfigError(f"backbone.embedding={embedding}", expected=" or ".join(EMBEDDINGS))
        self.features, self.times, self.channels, self.embedding = features, times, channels, embedding
        width = 2 * features
        linear = embedding == "linear"
        self.embed = nn.Linear(width, hidden_size) if linear else ResidualEmbedding(width, hidden_size)
        self.masked = nn.Parameter(torch.empty(hidden_size))
        self.time: TimeEncoding | None = None
        if times:
            self.time = TimeEncoding(
                hidden_size,
                times,
                int(n_frequencies),
                float(shortest_period),
                float(longest_period),
                bool(learn_periods),
            )
        self.channel = nn.Embedding(channels, hidden_size) if channels else None
        self._time_settings = {
            "n_frequencies": int(n_frequencies),
            "shortest_period": float(shortest_period),
            "longest_period": float(longest_period),
            "learn_periods": bool(learn_periods),
        }
        nn.init.normal_(self.masked, std=0.02)
        if self.channel is not None:
            nn.init.normal_(self.channel.weight, std=0.02)

    def settings(self) -> dict[str, Any]:
        """Return the plain settings with which the constructor gives these layers again."""
        own = {
            "features": self.features,
            "times": self.times,
            "channels": self.channels,
            "embedding": self.embedding,
        }
        return own | self._time_settings

    def forward(self, batch: Mapping[str, Tensor]) -> Tensor:
        """Embed a batch.

        Parameters
        ----------
        batch : mapping
            ``values`` ``[B, T, F]``; optional ``observed`` ``[B, T, F]`` (1 = measured; what is not enters
            as 0 with its flag) and ``masked`` ``[B, T]`` bool; ``times`` ``[B, T, K]`` (or ``[B, T]`` when
            K is 1) and ``channel`` ``[B, T]`` int where the model has them.

        Returns
        -------
        Tensor
            ``[B, T, D]``.

        Raises
        ------
        DataError
            When an input is missing or of another width.
        """
        dtype = self.masked.dtype
        values = batch["values"].to(dtype)
        if values.ndim != 3 or values.shape[-1] != self.features:
            raise DataError(
                f"'values' of shape {list(values.shape)} do not fit this model.",
                expected=f"[records, positions, {self.features}]",
                remedy="use the tokenizer that the model was trained with.",
            )
        observed = batch.get("observed")
        flags = torch.ones_like(values) if observed is None else observed.to(dtype)
        values = torch.where(flags > 0, values, torch.zeros_like(values))
        states = self.embed(torch.cat([values, flags], dim=-1))
        hidden = batch.get("masked")
        if hidden is None:
            # Still part of the graph: distributed training wants a gradient for each parameter.
            hidden = torch.zeros(values.shape[:2], dtype=torch.bool, device=values.device)
        states = torch.where(hidden[..., None].bool(), self.masked.to(states.dtype), states)
        if self.time is not None:
            times = _need(batch, "times")
            times = times[..., None] if times.ndim == 2 else times
            if times.shape[-1] != self.times:
                raise DataError(
                    f"'times' hold {times.shape[-1]} coordinates a position.", expected=f"{self.times}"
                )
            states = states + self.time(times)
        if self.channel is not None:
            states = states + self.channel(_need(batch, "channel").long())
        return states


def _need(batch: Mapping[str, Tensor], key: str) -> Tensor:
    if key not in batch:
        raise DataError(
            f"A batch lacks '{key}', which this model was built with; it has {sorted(batch)}.",
            remedy="use the tokenizer that the model was trained with.",
        )
    return batch[key]
