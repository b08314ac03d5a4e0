"""Directed message passing over bonds, the network of chemprop."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch_geometric.utils import scatter

from scizoo.errors import ConfigError
from scizoo.models.backbones import Hidden
from scizoo.models.plugin_backbone import PluginBackbone
from scizoo_chemistry.featurise import ATOM_FEATURES, BOND_FEATURES
from scizoo_chemistry.models.graph_batch import graph_batch


class DMPNN(PluginBackbone):
    """D-MPNN (Yang et al. 2019, J. Chem. Inf. Model. 59:3370, equations 3 to 7).

    A directed edge holds a state; each step it takes in the states of the edges that lead to its source,
    save its own reverse, so that no message goes straight back. An atom's state is made of its features and
    of the edges that lead to it. Settings and their defaults are chemprop's.

    Parameters
    ----------
    atom_features, bond_features : int
        Columns of the inputs; the tokenizer gives them.
    descriptor_features : int
        Columns of ``descriptors`` that are joined to each atom's state; 0 for none.
    width : int
        Of the states of edges and atoms.
    depth : int
        Steps, the first one included.
    dropout : float
    bias : bool
        Of the layers over edges.
    """

    input_key = "atoms"

    def __init__(
        self,
        atom_features: int = ATOM_FEATURES,
        bond_features: int = BOND_FEATURES,
        descriptor_features: int = 0,
        width: int = 300,
        depth: int = 3,
        dropout: float = 0.0,
        bias: bool = False,
    ):
        super().__init__()
        if width < 1 or depth < 1 or not 0.0 <= dropout < 1.0:
            raise ConfigError(
                f"backbone: width={width}, depth={depth}, dropout={dropout} do not fit.",
                expected="width and depth of at least 1, dropout in [0, 1)",
            )
        self.atom_features, self.bond_features = int(atom_features), int(bond_features)
        self.descriptor_features = int(descriptor_features)
        self.width, self.depth, self.dropout, self.bias = int(width), int(depth), float(dropout), bool(bias)
        self.hidden_size = self.width + self.descriptor_features
        self.edge_input = nn.Linear(self.atom_features + self.bond_features, self.width, bias=self.bias)
        self.edge_update = nn.Linear(self.width, self.width, bias=self.bias)
        self.atom_output = nn.Linear(self.atom_features + self.width, self.width)
        self.drop = nn.Dropout(self.dropout)

    def forward(self, batch: Mapping[str, Tensor]) -> Hidden:
        """Compute the states of atoms.

        Parameters
        ----------
        batch : mapping
            ``atoms`` ``[B, T, F]``, ``neighbours`` ``[B, T, D]``, ``bonds`` ``[B, T, D, Fb]``,
            ``attention_mask`` ``[B, T]``, and ``descriptors`` ``[B, T, d]`` where there are any.

        Returns
        -------
        Hidden
            ``[B, T, width + d]``.
        """
        graph = graph_batch(batch, self.edge_input.weight.dtype)
        source, target = graph.edge_index
        count = len(graph.atoms)
        first = self.edge_input(torch.cat([graph.atoms[source], graph.bonds], dim=1))
        states = first.relu()
        for _ in range(1, self.depth):
            arriving = scatter(states, target, dim=0, dim_size=count)
            states = (first + self.edge_update(arriving[source] - states[graph.reverse])).relu()
            states = self.drop(states)
        arriving = scatter(states, target, dim=0, dim_size=count)
        atoms = self.atom_output(torch.cat([graph.atoms, arriving.to(graph.atoms.dtype)], dim=1)).relu()
        return with_descriptors(graph.padded(self.drop(atoms)), batch, graph.mask, self.descriptor_features)

    def settings(self) -> dict[str, Any]:
        """Return the settings."""
        names = ("atom_features", "bond_features", "descriptor_features", "width", "depth", "dropout", "bias")
        return {name: getattr(self, name) for name in names}


def with_descriptors(states: Tensor, batch: Mapping[str, Tensor], mask: Tensor, count: int) -> Hidden:
    """Join the molecule's descriptors to the states ``[B, T, D]``; a mean over atoms keeps them as they are.

    Raises
    ------
    ConfigError
        When the backbone was built for other descriptors than the batch holds.
    """
    given = batch.get("descriptors")
    found = 0 if given is None else given.shape[-1]
    if found != count:
        raise ConfigError(
            f"the backbone takes {count} descriptors, the tokenizer gives {found}.",
            remedy="set tokenizer.descriptors as the backbone was built.",
        )
    if given is not None:
        states = torch.cat([states, given.to(states.dtype) * mask[..., None]], dim=-1)
    return Hidden(states, mask)
