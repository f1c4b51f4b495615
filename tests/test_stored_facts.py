"""What is read of sources is the same after it was bytes, and bytes of others become nothing else."""

from __future__ import annotations

import os
import pickle
import sysconfig
from pathlib import Path

import pytest

from depfix.cache.codec import Codec, DecodingError
from depfix.imports import uses, values
from depfix.imports.reader import read_source
from depfix.imports.stored import decode_facts, encode_facts
from depfix.imports.uses import SourceFacts, SourceTarget, Where

_TARGET = SourceTarget((3, 10), calls=True)
_KINDS = [kind for name, kind in vars(uses).items() if name.endswith("Use") and isinstance(kind, type)]


def test_facts_of_real_sources_come_back_as_they_were() -> None:
    library = Path(sysconfig.get_path("stdlib"))
    sources = [*sorted(library.glob("*.py"))[::4], *sorted((library / "ctypes").glob("*.py"))]
    for source in sources:
        found = read_source(source.read_bytes(), _TARGET, is_own=True)
        again = decode_facts(encode_facts(found))
        assert again == found
        assert list(again.binds.items()) == list(found.binds.items())


@pytest.mark.parametrize("kind", _KINDS, ids=lambda kind: kind.__name__)
def test_each_kind_of_use_can_be_kept(kind: type) -> None:
    """A new kind of use, or a new part of a text, has to be named to the codec: this says so."""
    text = values.Text((*values.Anchor, *values.Hole, *values.Own, "x", values.PackageFolder("p")))
    text = values.Text((*text.parts, values.Executed("e"), values.Outer(".o.x")))
    given = {"where": Where(1, absence=uses.Absence.CAUGHT, instead=("m:n",)), "path": text, "distribution": text}
    plain = {"names": ("n",), "flags": 8, "given": (("n", values.Reference("os")), ("o", text))}
    names = [name for name in kind.__dataclass_fields__ if name in given or name in plain]  # type: ignore[attr-defined]
    rest = {
        name: "text"
        for name, field in kind.__dataclass_fields__.items()  # type: ignore[attr-defined]
        if name not in names and field.type == "str"
    }
    use = kind(**{name: {**given, **plain}[name] for name in names}, **rest)
    facts = SourceFacts((use,), modules=((text, "m"),))
    assert decode_facts(encode_facts(facts)) == facts


class _Command:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, ("false",)


@pytest.mark.parametrize(
    "content", [b"", b"\x80", b"\x80\x05.", pickle.dumps(_Command()), pickle.dumps(Path("x")), pickle.dumps(("x",))]
)
def test_bytes_of_others_are_refused(content: bytes) -> None:
    with pytest.raises(DecodingError):
        decode_facts(content)


def test_a_codec_knows_values_only() -> None:
    with pytest.raises(TypeError, match="neither a dataclass nor an enum"):
        Codec(os.PathLike)
