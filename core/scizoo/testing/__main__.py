"""``python -m scizoo.testing [DOMAIN ...] [pytest's options]``: the contract suite on installed domains."""

from __future__ import annotations

import os
import sys

from scizoo import plugins
from scizoo.errors import did_you_mean


def main(argv: list[str]) -> int:
    """Run the suite and return pytest's exit status; 2 when a domain is not installed."""
    first = next((place for place, word in enumerate(argv) if word.startswith("-")), len(argv))
    names, options = argv[:first], argv[first:]
    for name in names:
        if name not in plugins.installed():
            hint = did_you_mean(name, plugins.installed())
            print(f"scizoo: no domain '{name}' is installed; {hint}", file=sys.stderr)
            return 2
    try:
        import pytest
    except ImportError:
        print("scizoo: the contract suite needs pytest: pip install pytest", file=sys.stderr)
        return 2
    os.environ["SCIZOO_TEST_DOMAINS"] = ",".join(names or plugins.installed())
    return int(pytest.main(["--pyargs", "scizoo.testing.suite", "--import-mode=importlib", "-ra", *options]))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
