"""On other systems nothing here is collected: `tests/test_windows.py` has a Windows Python run it."""

from __future__ import annotations

import sys

collect_ignore_glob = [] if sys.platform == "win32" else ["test_*.py"]
