"""What the contract suite needs to know of this plugin."""

from __future__ import annotations

from itertools import islice

from scizoo.testing import Examples
from scizoo_lab.datasets import Pictures, Rings, Waves

_VIT = [
    "backbone.architecture=vit_tiny_patch16_224",
    "+backbone.patch_size=8",
    "+backbone.depth=1",
    "+backbone.embed_dim=32",
    "+backbone.num_heads=2",
]
_CONVOLUTIONS = [
    "backbone.architecture=convnext_atto",
    "+backbone.depths=[1,1,1,1]",
    "+backbone.dims=[8,16,16,32]",
]

EXAMPLES = Examples(
    inputs={
        "lab/wave": [record.input for record in islice(Waves(), 3)],
        "lab/picture": [record.input for record in islice(Pictures(), 3)],
        "lab/ring": [record.input for record in islice(Rings(), 3)],
    },
    model={"lab/waves": ["tokenizer=lab/wave", "backbone=continuous-causal-tiny"]},
    settings={
        "lab/pictures": _VIT,
        "lab/captions": _VIT,
        "lab/views": _VIT,
        "lab/patches": _CONVOLUTIONS,
        "lab/shapes": _CONVOLUTIONS,
    },
)
