from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from rdkit import Chem
from torch_geometric.data import Batch, Data

from scizoo.data.batching import PadCollator
from scizoo.data.encoding import Context, EncodedDataset, encode_records
from scizoo.data.records import Record
from scizoo.data.tokenizer import load_tokenizer, save_tokenizer
from scizoo.errors import CheckpointError, ConfigError, DataError
from scizoo.models.backbones import build_backbone, load_backbone
from scizoo.models.pooling import MeanPool
from scizoo_chemistry import descriptors
from scizoo_chemistry.featurise import ATOM_FEATURES, BOND_FEATURES, atom_rows, bond_rows
from scizoo_chemistry.models.dmpnn import DMPNN
from scizoo_chemistry.models.gine import GINE
from scizoo_chemistry.models.graph_batch import graph_batch
from scizoo_chemistry.tokenizers.graph import GraphTokenizer

SMILES = [
    "CC(=O)Oc1ccccc1C(=O)O",
    "C",
    "[Na+].[Cl-]",
    "F/C=C/Cl",
    "C[C@H](N)C(=O)O",
    "FS(F)(F)(F)(F)F",
    "CN1C=NC2=C1C(=O)N(C(=O)N2C)C",
    "C/C(Cl)=C(F)/Br",
    "O[C@H]1CC[C@@H](C)CC1",
    "O[C@H]1CC[C@H](C)CC1",
]

# Columns that are one for C[N+](C)(C)C/C=C/Br, as chemprop 2.2's own featurisers give them.
CHEMPROP_ATOMS = [
    [5, 42, 49, 51, 59, 66],
    [6, 42, 47, 51, 56, 66],
    [5, 42, 49, 51, 59, 66],
    [5, 42, 49, 51, 59, 66],
    [5, 42, 49, 51, 58, 66],
    [5, 41, 49, 51, 57, 64],
    [5, 41, 49, 51, 57, 64],
    [34, 39, 49, 51, 56, 66],
]
CHEMPROP_BONDS = [[1, 7], [1, 7], [1, 7], [1, 7], [1, 7], [2, 10], [1, 7]]


def encoded(smiles, tokenizer: GraphTokenizer | None = None) -> EncodedDataset:
    records = [Record(f"m{number}", one) for number, one in enumerate(smiles)]
    return encode_records(records, tokenizer or GraphTokenizer(), context=Context(512))


def batch_of(smiles, multiple: int = 1, tokenizer: GraphTokenizer | None = None) -> dict[str, torch.Tensor]:
    data = encoded(smiles, tokenizer)
    return PadCollator(data.pad_values, multiple=multiple)([data[row] for row in range(len(data))])


def small(kind):
    torch.manual_seed(0)
    return kind(width=16, depth=3).eval()


def shuffled(smiles: str, seed: int) -> str:
    mol = Chem.MolFromSmiles(smiles)
    order = np.random.default_rng(seed).permutation(mol.GetNumAtoms()).tolist()
    return Chem.MolToSmiles(Chem.RenumberAtoms(mol, order), canonical=False)


def test_features_are_those_of_chemprop():
    mol = Chem.MolFromSmiles("C[N+](C)(C)C/C=C/Br")
    atoms, (begins, ends, bonds) = atom_rows([mol]), bond_rows([mol])
    assert atoms.shape == (8, ATOM_FEATURES) == (8, 72)
    assert bonds.shape == (7, BOND_FEATURES) == (7, 14)
    assert [np.flatnonzero(row[:71]).tolist() for row in atoms] == CHEMPROP_ATOMS
    np.testing.assert_allclose(atoms[:, 71], [0.12011, 0.14007, *[0.12011] * 5, 0.79904], rtol=1e-3)
    assert [np.flatnonzero(row).tolist() for row in bonds] == CHEMPROP_BONDS
    assert begins.tolist() == [0, 1, 1, 1, 4, 5, 6]
    assert ends.tolist() == [1, 2, 3, 4, 5, 6, 7]


def test_rows_say_who_is_bonded_to_whom():
    tokens = GraphTokenizer().encode(SMILES)
    for row, smiles in enumerate(SMILES):
        mol = Chem.MolFromSmiles(smiles)
        assert len(tokens["atoms"][row]) == mol.GetNumAtoms()
        for atom in mol.GetAtoms():
            listed = tokens["neighbours"][row][atom.GetIdx()]
            bonded = [one.GetIdx() + 1 for one in atom.GetNeighbors()]
            assert sorted(listed[listed > 0].tolist()) == sorted(bonded)
            for slot, other in enumerate(listed):
                features = tokens["bonds"][row][atom.GetIdx()][slot]
                if other == 0:
                    assert not features.any()
                else:
                    place = mol.GetBondBetweenAtoms(atom.GetIdx(), int(other) - 1).GetIdx()
                    np.testing.assert_array_equal(features, bond_rows([mol])[2][place])


def test_too_many_neighbours_and_unreadable_molecules_are_refused_by_name():
    with pytest.raises(DataError, match=r"input 2 \(FS.*6 neighbours") as caught:
        GraphTokenizer(max_degree=4).encode(["CC", "FS(F)(F)(F)(F)F"])
    assert "tokenizer.max_degree=6" in caught.value.remedy
    with pytest.raises(DataError, match="'C1CC'"):
        GraphTokenizer().encode(["C1CC"])
    with pytest.raises(ConfigError, match="max_degree"):
        GraphTokenizer(max_degree=0)


def test_a_molecule_is_never_cut():
    records = [Record("long", "C" * 40)]
    with pytest.raises(DataError, match=r"'long'.*40 tokens.*context of 30"):
        encode_records(records, GraphTokenizer(), context=Context(30))
    batch = batch_of(["CCCC"])
    cut = {name: values[:, :3] for name, values in batch.items()}
    with pytest.raises(DataError, match="cut into windows"):
        graph_batch(cut)
    with pytest.raises(DataError, match="cut into windows"):
        graph_batch({name: values[:, 1:] for name, values in batch.items()})
    with pytest.raises(DataError, match="'bonds'"):
        graph_batch({name: values for name, values in batch.items() if name != "bonds"})


def test_every_edge_has_its_reverse():
    graph = graph_batch(batch_of(SMILES, multiple=8))
    source, target = graph.edge_index
    assert source.numel() == 2 * sum(Chem.MolFromSmiles(one).GetNumBonds() for one in SMILES)
    assert torch.equal(source[graph.reverse], target)
    assert torch.equal(target[graph.reverse], source)
    assert torch.equal(graph.bonds[graph.reverse], graph.bonds)
    assert torch.equal(graph.reverse[graph.reverse], torch.arange(len(source)))


@pytest.mark.parametrize("kind", [DMPNN, GINE])
def test_states_depend_neither_on_padding_nor_neighbours_in_the_batch_nor_order(kind):
    model = small(kind)
    with torch.no_grad():
        together = model(batch_of(SMILES, multiple=64))
        assert together.states.shape[:2] == together.mask.shape == (len(SMILES), 64)
        assert not together.states[~together.mask].any()
        for row, smiles in enumerate(SMILES):
            alone = model(batch_of([smiles]))
            found = together.states[row][together.mask[row]]
            torch.testing.assert_close(alone.states[0], found, rtol=1e-5, atol=1e-6)
        pooled = MeanPool()(together)
        for seed in range(3):
            other = MeanPool()(model(batch_of([shuffled(one, seed) for one in SMILES])))
            torch.testing.assert_close(other, pooled, rtol=1e-4, atol=1e-5)
    assert len({tuple(row) for row in pooled.round(decimals=4).tolist()}) == len(SMILES)


def test_directed_message_passing_equals_the_equations():
    """Against a loop over bonds, written from equations 3 to 7 of Yang et al. 2019."""
    model = small(DMPNN)
    smiles = SMILES[0]
    graph = graph_batch(batch_of([smiles]))
    with torch.no_grad():
        edges = list(zip(*graph.edge_index.tolist(), strict=True))
        feature = dict(zip(edges, graph.bonds, strict=True))
        first = {(v, w): model.edge_input(torch.cat([graph.atoms[v], feature[v, w]])) for v, w in edges}
        state = {edge: value.relu() for edge, value in first.items()}
        for _ in range(model.depth - 1):
            message = {
                (v, w): sum((state[k, u] for k, u in edges if u == v and k != w), torch.zeros(model.width))
                for v, w in edges
            }
            state = {edge: (first[edge] + model.edge_update(message[edge])).relu() for edge in edges}
        expected = torch.stack(
            [
                model.atom_output(
                    torch.cat(
                        [atom, sum((state[k, u] for k, u in edges if u == v), torch.zeros(model.width))]
                    )
                ).relu()
                for v, atom in enumerate(graph.atoms)
            ]
        )
        torch.testing.assert_close(model(batch_of([smiles])).states[0], expected, rtol=1e-5, atol=1e-6)


def test_gine_equals_torch_geometric_on_its_own_batch():
    model = small(GINE)
    molecules = []
    for smiles in SMILES:
        mol = Chem.MolFromSmiles(smiles)
        begins, ends, bonds = bond_rows([mol])
        edges = np.stack([np.r_[begins, ends], np.r_[ends, begins]])
        molecules.append(
            Data(
                x=torch.from_numpy(atom_rows([mol])).float(),
                edge_index=torch.from_numpy(edges),
                edge_attr=torch.from_numpy(np.r_[bonds, bonds]).float(),
            )
        )
    plain = Batch.from_data_list(molecules)
    with torch.no_grad():
        states = model.atom_input(plain.x)
        for layer, norm in zip(model.layers, model.norms, strict=True):
            states = states + norm(layer(states, plain.edge_index, plain.edge_attr)).relu()
        found = model(batch_of(SMILES, multiple=8))
        torch.testing.assert_close(found.states[found.mask], states, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kind", [DMPNN, GINE])
def test_gradients_reach_every_weight(kind):
    model = small(kind)
    MeanPool()(model(batch_of(SMILES))).square().sum().backward()
    without = [
        name for name, weight in model.named_parameters() if weight.grad is None or not weight.grad.any()
    ]
    assert not without


@pytest.mark.parametrize("kind", [DMPNN, GINE])
def test_a_network_learns_what_depends_on_neighbours(kind):
    """Ethers apart from alcohols: the same atoms, bonded otherwise."""
    chains = ["C" * left + "O" + "C" * (7 - left) for left in range(7)]
    alcohols = [one for one in chains if one.startswith("O")]
    branched = ["CC(O)CCCCC", "CCC(O)CCCC", "CCCC(O)CCC", "CC(C)(O)CCCC", "CC(C)CC(O)CC", "OCC(C)CCCC"]
    smiles = [*chains, *branched]
    target = torch.tensor([float(one in (*alcohols, *branched)) for one in smiles])
    torch.manual_seed(0)
    model, head = kind(width=24, depth=3), torch.nn.Linear(24, 1)
    optimiser = torch.optim.Adam([*model.parameters(), *head.parameters()], lr=1e-2)
    batch = batch_of(smiles)
    for _ in range(150):
        logits = head(MeanPool()(model(batch)))[:, 0]
        loss = torch.nn.functional.binary_cross_entropy_with_logits(logits, target)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert loss.item() < 0.05


@pytest.mark.parametrize("name", ["dmpnn", "gine"])
def test_backbones_come_from_their_config_and_back_from_a_folder(name, tmp_path):
    from scizoo.config import compose, to_plain

    words = [f"backbone=chemistry/{name}", "tokenizer=chemistry/graph", "backbone.width=12"]
    cfg = to_plain(compose("finetune", None, words))
    torch.manual_seed(0)
    model = build_backbone(cfg["backbone"], GraphTokenizer(), 512).eval()
    assert model.hidden_size == 12
    model.save(tmp_path)
    again = load_backbone(tmp_path).eval()
    assert again.settings() == model.settings()
    batch = batch_of(SMILES)
    with torch.no_grad():
        assert torch.equal(again(batch).states, model(batch).states)
    config = json.loads((tmp_path / "config.json").read_text())
    config["settings"]["depth"] = "deep"
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises((CheckpointError, ConfigError)):
        load_backbone(tmp_path)


def test_descriptors_stand_beside_the_atoms_and_outlive_saving(tmp_path):
    tokenizer = GraphTokenizer(descriptors=True)
    with pytest.raises(ConfigError, match="no scale"):
        tokenizer.encode(["CC"])
    tokenizer.train(iter(SMILES))
    width = len(descriptors.names())
    save_tokenizer(tokenizer, tmp_path)
    again = load_tokenizer(tmp_path)
    assert again.fingerprint() == tokenizer.fingerprint() != GraphTokenizer().fingerprint()
    rows = again.encode(SMILES)["descriptors"]
    np.testing.assert_array_equal(rows.values, tokenizer.encode(SMILES)["descriptors"].values)
    assert rows.values.shape[1] == width
    torch.manual_seed(0)
    model = build_backbone(
        {"_target_": "scizoo_chemistry.models.gine.GINE", "width": 8}, tokenizer, 64
    ).eval()
    assert model.hidden_size == 8 + width
    pooled = MeanPool()(model(batch_of(SMILES, tokenizer=tokenizer)))
    first = np.stack([rows[row][0] for row in range(len(SMILES))]).astype(np.float32)
    np.testing.assert_allclose(pooled[:, 8:].detach().numpy(), first, atol=1e-4)
    with pytest.raises(ConfigError, match=r"tokenizer\.descriptors"):
        model(batch_of(SMILES))


def test_descriptors_are_scaled_and_never_nan():
    values = descriptors.describe([*SMILES, "[Fe+2]", "C" * 200])
    assert np.isnan(values).any()  # partial charges of iron
    assert not np.isinf(values).any()
    scale = descriptors.DescriptorScale().fit(SMILES)
    scaled = scale.transform([*SMILES, "[Fe+2]", "C" * 200])
    assert np.isfinite(scaled).all()
    assert np.abs(scaled).max() <= 6
    inside = scale.transform(SMILES)
    varied = np.abs(inside).max(axis=0) > 0
    np.testing.assert_allclose(inside[:, varied].mean(axis=0), 0, atol=0.5)
    place = descriptors.names().index("MolWt")
    np.testing.assert_allclose(values[0, place], 180.159, atol=1e-2)
