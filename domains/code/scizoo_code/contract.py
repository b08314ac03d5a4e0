"""What the contract suite (``python -m scizoo.testing code``) needs to know of this domain."""

from __future__ import annotations

from scizoo.testing import Examples

EXAMPLES = Examples(
    inputs=(
        "def add(a, b):\n    return a + b\n",
        "x = 'caf\u00e9'  # \u2603\n\tif x:\n\t\tpass\r\n",
        "",
        "        deep = {\n            1: 2,\n        }\n",
    ),
    model=("tokenizer=code/bpe", "backbone=llama-tiny"),
)
