"""Where the cache lies: in the user's folder for caches, or where DEPFIX_CACHE_DIR says.

Sources: XDG Base Directory Specification https://specifications.freedesktop.org/basedir-spec/latest/ ; Apple, "File
System Programming Guide", macOS Library Directory Details; Microsoft Learn, "KNOWNFOLDERID", FOLDERID_LocalAppData
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping

VARIABLE = "DEPFIX_CACHE_DIR"
FILE = "depfix-cache-1.sqlite"  # the number goes up when depfix can no longer read the table of before


def cache_folder(environ: Mapping[str, str]) -> str:
    """Return the folder of the cache as an absolute path; it need not exist."""
    named = environ.get(VARIABLE, "")
    if named:
        return os.path.abspath(os.path.expanduser(named))
    home = os.path.expanduser("~")
    if sys.platform == "win32":
        return os.path.join(environ.get("LOCALAPPDATA") or os.path.join(home, "AppData", "Local"), "depfix", "cache")
    if sys.platform == "darwin":
        return os.path.join(home, "Library", "Caches", "depfix")
    base = environ.get("XDG_CACHE_HOME", "")
    return os.path.join(base if os.path.isabs(base) else os.path.join(home, ".cache"), "depfix")


def cache_file(environ: Mapping[str, str]) -> str:
    """Return the file of the cache as an absolute path; it need not exist."""
    return os.path.join(cache_folder(environ), FILE)
