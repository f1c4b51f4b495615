"""Which policy holds for a dist: the defaults, then the file, then its section for this dist, then the command line."""

from __future__ import annotations

import os
from collections.abc import Mapping
from glob import glob

from depfix.policy.globs import is_glob, matches
from depfix.policy.keys import placed
from depfix.policy.values import Acceptance, Budgets, DistSection, Policy, PolicyFile, Setting


def policy_for(dist: str, file: PolicyFile | None, given: Mapping[str, Setting]) -> Policy:
    """Return the policy for the dist at a path; `given` is what the command line says, by the keys of the file.

    An empty `dist` is for none in particular. Of each key the last one that is said counts; acceptances are all
    joined, and budgets one by one.
    """
    layers = [file.settings] if file is not None else []
    layers += [one.settings for one in sections_of(dist, file)]
    merged: dict[str, Setting] = {}
    for layer in (*layers, given):
        for key, setting in layer.items():
            merged[key] = _joined(key, merged.get(key), setting)
    values = {key.replace("-", "_"): setting.value for key, setting in merged.items()}
    origins = tuple((key, setting.origin) for key, setting in merged.items())
    return Policy(file=file.shown if file is not None else "", origins=origins, **values)


def sections_of(dist: str, file: PolicyFile | None) -> tuple[DistSection, ...]:
    """Return the sections of a policy file that speak of the dist at a path."""
    if file is None or not dist:
        return ()
    full = os.path.realpath(dist)
    return tuple(one for one in file.dists if _is_of(one.path, full))


def dists_of(file: PolicyFile | None) -> tuple[str, ...]:
    """Return the dists that a policy file names, as they are shown; of a glob the folders that are there."""
    if file is None:
        return ()
    paths = (path for one in file.dists for path in (_folders(one.path) if is_glob(one.path) else (one.path,)))
    return tuple(dict.fromkeys(placed(path) for path in paths))


def _folders(pattern: str) -> list[str]:
    return sorted(path for path in glob(pattern, recursive=True) if os.path.isdir(path))


def _is_of(path: str, full: str) -> bool:
    return matches(path, full) if is_glob(path) else os.path.normcase(path) == os.path.normcase(full)


def _joined(key: str, before: Setting | None, setting: Setting) -> Setting:
    if before is None:
        return setting
    if key == "accept":
        accepted: tuple[Acceptance, ...] = (*before.value, *setting.value)
        return Setting(accepted, f"{before.origin}, {setting.origin}")
    if key == "budgets":
        return Setting(_budgets(before.value, setting.value), f"{before.origin}, {setting.origin}")
    return setting


def _budgets(before: Budgets, after: Budgets) -> Budgets:
    return Budgets(
        before.size if after.size is None else after.size,
        before.files if after.files is None else after.files,
        tuple({**dict(before.components), **dict(after.components)}.items()),
    )
