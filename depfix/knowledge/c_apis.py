"""C interfaces that a distribution hands to the extension modules of others as a table, with versions in it."""

from __future__ import annotations

from functools import lru_cache

import msgspec

from depfix.errors import DataFileError
from depfix.knowledge.tables import read_data

_TABLE = "c-apis.json"


class CApi(msgspec.Struct, frozen=True):
    """One such interface.

    Extension modules of `providers` hold the table; the functions in `abi_slot` and `level_slot` of it return two
    numbers. A user compares them with those of the headers that it was compiled with, and if they do not do says
    `abi_message` or one of `level_messages`, printf formats, and fails to be imported. `serves` tells, for the ABI of a
    user, which ABIs it runs with; of one ABI, every level from its own on. `levels` are releases by level, `words` by
    ABI, all keys in hex.
    """

    name: str
    providers: tuple[str, ...]
    abi_message: str
    level_messages: tuple[str, ...]
    abi_slot: int
    level_slot: int
    serves: dict[str, tuple[str, ...]]
    words: dict[str, str]
    levels: dict[str, str]

    def runs_with(self, user: int, provider: int) -> bool:
        """Return True if a user of one ABI runs with a provider of another; True too if nothing is known of one."""
        served = self.serves.get(hex(user))
        return served is None or hex(provider) in served or hex(provider) not in self.serves

    def release_of(self, level: int) -> str:
        """Return the releases that have this level, as "1.25 to 1.26"; an empty string if it is not known."""
        return self.levels.get(hex(level), "")

    def level_of(self, version: str) -> int | None:
        """Return the level of a release by its version, None if the table does not have it."""
        from packaging.version import Version

        try:
            wanted = Version(version).release[:2]
        except ValueError:  # InvalidVersion, or a number of too many digits
            return None
        for level, releases in self.levels.items():
            first, _, last = releases.partition(" to ")
            if Version(first).release <= wanted <= Version(last or first).release:
                return int(level, 16)
        return None


class _Table(msgspec.Struct, frozen=True):
    provenance: str
    apis: tuple[CApi, ...]


@lru_cache(maxsize=1)
def c_apis() -> tuple[CApi, ...]:
    """Return all that is known. Raises DataFileError if the table does not say where it is from, or is not whole."""
    try:
        table = msgspec.json.decode(read_data(_TABLE), type=_Table)
    except msgspec.DecodeError as error:
        raise DataFileError(_TABLE, str(error)) from error
    if not table.provenance or not all(set(api.serves) == set(api.words) and api.levels for api in table.apis):
        raise DataFileError(_TABLE, "it does not say where its facts are from, or lacks some")
    return table.apis
