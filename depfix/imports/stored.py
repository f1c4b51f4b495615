"""What was read of a source as bytes: for another process, and for a later run."""

from __future__ import annotations

from functools import lru_cache

from depfix.cache.codec import Codec, DecodingError
from depfix.imports import uses, values
from depfix.imports.uses import SourceFacts


def encode_facts(facts: SourceFacts) -> bytes:
    """Return what was read of a source as bytes."""
    return _codec().encode(facts)


def decode_facts(content: bytes) -> SourceFacts:
    """Return what `encode_facts` made these bytes of. Raises DecodingError for other bytes."""
    found = _codec().decode(content)
    if not isinstance(found, SourceFacts):
        raise DecodingError("these are no facts of a source")
    return found


@lru_cache(maxsize=1)
def _codec() -> Codec:
    return Codec(
        uses.SourceFacts,
        uses.Where,
        uses.Absence,
        *(uses.ImportUse, uses.ModulesUse, uses.SpelledUse, uses.ScriptUse, uses.SearchPathUse, uses.PackagePathUse),
        *(uses.MetadataUse, uses.DllDirectoryUse, uses.DefaultDirectoriesUse, uses.PathUse, uses.LoadUse),
        *(uses.SettingUse, uses.ExecutedUse, uses.DataUse, uses.BehaviourUse),
        *(uses.Mentions, uses.FunctionCalls, uses.Calls),
        *(values.Text, values.Anchor, values.Hole, values.Own, values.PackageFolder, values.Executed, values.Outer),
        values.Reference,
    )
