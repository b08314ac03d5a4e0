"""Graph isomorphism network with bond features."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn
from torch_geometric.nn import GINEConv

from scizoo.errors import ConfigError
from scizoo.models.backbones import Hidden
from scizoo.models.plugin_backbone import PluginBackbone
from scizoo_chemistry.featurise import ATOM_FEATURES, BOND_FEATURES
from scizoo_chemistry.models.dmpnn import with_descriptors
from scizoo_chemistry.models.graph_batch import graph_batch


class GINE(PluginBackbone):
    """GINE (Hu et al. 2020, arXiv 1905.12265; Xu et al. 2019, arXiv 1810.00826), by torch_geometric.

    Each layer is a ``GINEConv``, a layer norm (in the place of the paper's batch norm, so that a molecule's
    states do not depend on the others of its batch), ReLU, dropout and a residual connection.

    Parameters
    ----------
    atom_features, bond_features : int
        Columns of the inputs; the tokenizer gives them.
    descriptor_features : int
        Columns of ``descriptors`` that are joined to each atom's state; 0 for none.
    width : int
        Of the states.
    depth : int
        Layers.
    dropout : float
    train_eps : bool
        Whether the weight of an atom's own state is learnt.
    """

    input_key = "atoms"

    def __init__(
        self,
        atom_features: int = ATOM_FEATURES,
        bond_features: int = BOND_FEATURES,
        descriptor_features: int = 0,
        width: int = 256,
        depth: int = 5,
        dropout: float = 0.0,
        train_eps: bool = True,
    ):
        super().__init__()
        if width < 1 or depth < 1 or not 0.0 <= dropout < 1.0:
            raise ConfigError(
                f"backbone: width={width}, depth={depth}, dropout={dropout} do not fit.",
                expected="width and depth of at least 1, dropout in [0, 1)",
            )
        self.atom_features, self.bond_features = int(atom_features), int(bond_features)
        self.descriptor_features = int(descriptor_features)
        self.width, self.depth, self.dropout = int(width), int(depth), float(dropout)
        self.train_eps = bool(train_eps)
        self.hidden_size = self.width + self.descriptor_features
        self.atom_input = nn.Linear(self.atom_features, self.width)
        self.layers = nn.ModuleList(self._layer() for _ in range(self.depth))
        self.norms = nn.ModuleList(nn.LayerNorm(self.width) for _ in range(self.depth))
        self.drop = nn.Dropout(self.dropout)

    def _layer(self) -> GINEConv:
        inner = nn.Sequential(
            nn.Linear(self.width, 2 * self.width), nn.ReLU(), nn.Linear(2 * self.width, self.width)
        )
        return GINEConv(inner, train_eps=self.train_eps, edge_dim=self.bond_features)

    def forward(self, batch: Mapping[str, Tensor]) -> Hidden:
        """Compute the states of atoms ``[B, T, width + d]``; inputs as of :class:`DMPNN`."""
        graph = graph_batch(batch, self.atom_input.weight.dtype)
        states = self.atom_input(graph.atoms)
        for layer, norm in zip(self.layers, self.norms, strict=True):
            states = states + self.drop(norm(layer(states, graph.edge_index, graph.bonds)).relu())
        return with_descriptors(graph.padded(states), batch, graph.mask, self.descriptor_features)

    def settings(self) -> dict[str, Any]:
        """Return the settings."""
        names = ("atom_features", "bond_features", "descriptor_features", "width", "depth")
        return {name: getattr(self, name) for name in (*names, "dropout", "train_eps")}
