"""``python -m scizoo``, and the script that Lightning starts again for further ranks."""

from __future__ import annotations

import sys
from pathlib import Path

if __name__ == "__main__":
    # Started as a script, this package's folder is on the path and would hide other libraries' modules.
    sys.path[:] = [entry for entry in sys.path if not entry or Path(entry) != Path(__file__).parent]
    from scizoo.cli import main

    sys.exit(main())
