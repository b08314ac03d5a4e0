"""Chemistry for scizoo: molecules as SMILES, SELFIES and graphs."""

from scizoo.domain import Domain

DOMAIN = Domain(
    name="chemistry",
    summary="SMILES language models and molecular graph networks, property prediction and generation",
    package="scizoo_chemistry",
    formats=("SMILES", "CSV", "Parquet", "SDF", "MOL", "InChI", "extended XYZ"),
    checkpoints={"smiles-tiny": "checkpoints/smiles-tiny", "smiles-gen-tiny": "checkpoints/smiles-gen-tiny"},
    picture="scizoo_chemistry.picture.draw",
    reference="scizoo_chemistry.reference.inputs",
    requires=("rdkit", "selfies", "torch_geometric"),
)
