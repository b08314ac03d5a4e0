"""A message-passing network, an architecture of this plugin's own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from scizoo.models.backbones import Hidden
from scizoo.models.plugin_backbone import PluginBackbone


class MessageNetwork(PluginBackbone):
    """Each bead adds what its neighbours are."""

    input_key = "bead"

    def __init__(self, kinds: int = 2, width: int = 16, layers: int = 2):
        super().__init__()
        self.hidden_size, self.kinds = width, kinds
        self.embed = nn.Embedding(kinds, width)
        self.layers = nn.ModuleList(
            nn.Sequential(nn.Linear(2 * width, width), nn.GELU(), nn.Linear(width, width))
            for _ in range(layers)
        )

    def forward(self, batch: Mapping[str, Tensor]) -> Hidden:
        """Pass messages along the ring."""
        states = self.embed(batch["bead"])
        rows = torch.arange(len(states), device=states.device)[:, None, None]
        for layer in self.layers:
            messages = states[rows, batch["neighbours"]].sum(dim=2)
            states = states + layer(torch.cat([states, messages], dim=-1))
        return Hidden(states, batch["attention_mask"].bool())

    def settings(self) -> dict[str, Any]:
        """Give its sizes."""
        return {"kinds": self.kinds, "width": self.hidden_size, "layers": len(self.layers)}
