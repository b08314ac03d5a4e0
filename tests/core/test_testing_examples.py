"""What a plugin hands to the contract suite."""

from __future__ import annotations

import pytest

from scizoo.errors import ConfigError
from scizoo.testing import Examples


def test_inputs_are_for_all_tokenizers_or_for_each() -> None:
    assert Examples(inputs=("AC", "GT")).inputs_of("any/thing") == ["AC", "GT"]
    examples = Examples(inputs={"sky/image": (1, 2), "sky/table": (3,)})
    assert examples.inputs_of("sky/table") == [3]
    with pytest.raises(ConfigError, match="sky/spectrum"):
        examples.inputs_of("sky/spectrum")
