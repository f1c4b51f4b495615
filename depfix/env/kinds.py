"""Which tool made an environment, by what it leaves there; `venv`, `python` and `conda` where nothing tells.

Sources: with the table, depfix/knowledge/data/environment-kinds.tsv
"""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase

from depfix.env.listing import inside, path_key
from depfix.knowledge.tables import environment_kinds


def kind_of(root: str, family: str, config: Mapping[str, str] | None = None) -> str:
    """Return the kind of an environment of a family (venv, python or conda), `config` being its pyvenv.cfg."""
    key = path_key(root)
    for value, sign, of_family, kind in environment_kinds():
        if of_family != family:
            continue
        if sign == "key":
            found = value in (config or {})
        else:
            found = fnmatchcase(key, value) if sign == "place" else inside(root, *value.split("/")) is not None
        if found:
            return kind
    return family
