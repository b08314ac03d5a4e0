"""Source code for scizoo: files, functions and their documentation."""

from scizoo.domain import Domain

DOMAIN = Domain(
    name="code",
    summary="Language models of source code: completion, infilling, search, classification, pass@k",
    package="scizoo_code",
    formats=("source trees", "git checkouts", "source files of any language", "JSONL", "CSV", "Parquet"),
    checkpoints={"python-tiny": "checkpoints/python-tiny"},
    picture="scizoo_code.picture.draw",
    inspect="scizoo_code.doctor.inspect",
    reference="scizoo_code.reference.inputs",
    requires=("tree_sitter", "tree_sitter_python", "charset_normalizer"),
)
