"""The contract suite: what every domain promises, as tests that run on any installed plugin.

``python -m scizoo.testing DOMAIN`` runs it. A plugin says what it needs in ``scizoo_<name>/contract.py``::

    from scizoo.testing import BadFile, Examples

    EXAMPLES = Examples(
        inputs=("ACGTACGTAC", "TTGACCGATG"),
        own_data={"genomics/classification": write_classes},
        bad_files=(BadFile("genomics/classification", "empty.fasta", b"", ("empty",)),),
        model=("tokenizer=genomics/kmer3", "backbone=modernbert-tiny"),
    )

Importing this package costs nothing; pytest and torch come in with :mod:`scizoo.testing.suite`.
"""

from scizoo.testing.examples import BadFile, Examples

__all__ = ["BadFile", "Examples"]
