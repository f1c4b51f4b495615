"""`python -m depfix`."""

import os
import sys

# Python puts the current folder first on the search path: for who stands in a dist, its modules would be imported.
_HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
if sys.path and sys.path[0] == os.getcwd() != _HERE and not getattr(sys.flags, "safe_path", False):
    del sys.path[0]

from depfix.cli.main import main  # noqa: E402

if __name__ == "__main__":
    main()
