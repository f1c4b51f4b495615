"""What importing a module does, step by step: its uses as they are, its import statements resolved to modules."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from depfix.imports.uses import (
    BehaviourUse,
    DataUse,
    DefaultDirectoriesUse,
    DllDirectoryUse,
    ExecutedUse,
    LoadUse,
    MetadataUse,
    PackagePathUse,
    PathUse,
    ScriptUse,
    SearchPathUse,
    SettingUse,
    Where,
)


@dataclass(frozen=True, slots=True)
class ImportStep:
    """One module that a module imports, parents of packages included.

    `through` is the module that stands in the source if `target` is an extension module that the standard library needs
    for it. `absent`: `target` is in no file here, although it ought to be; `as_name`: it is taken from its package, so
    that it fails as a name and not as a module. `computed`: it is one of all modules that a computed name may mean;
    `one_of_many`: one of several names that are known.
    """

    where: Where
    target: str
    through: str = ""
    absent: bool = False
    as_name: bool = False
    computed: bool = False
    one_of_many: bool = False


Step: TypeAlias = (
    "ImportStep | DllDirectoryUse | DefaultDirectoriesUse | PathUse | LoadUse | "
    "SearchPathUse | PackagePathUse | MetadataUse | ScriptUse | SettingUse | ExecutedUse | DataUse | BehaviourUse"
)
AS_THEY_ARE = (
    DllDirectoryUse,
    DefaultDirectoriesUse,
    PathUse,
    LoadUse,
    SearchPathUse,
    PackagePathUse,
    MetadataUse,
    ScriptUse,
    SettingUse,
    ExecutedUse,
    DataUse,
    BehaviourUse,
)
