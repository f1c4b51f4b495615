"""DF504 and DF505: packed images, and signatures that no longer fit; with really signed files of python.org."""

from __future__ import annotations

import random
import shutil
import struct
from pathlib import Path

import pytest

from depfix.model.finding import Finding
from depfix.model.image import Image
from depfix.pe.authenticode import Signature, lost_by_change, read_signing
from depfix.pe.headers import CERTIFICATES, open_headers
from depfix.pe.reader import read_image
from depfix.pipeline import Options, scan
from fixtures.signing import as_packed, sign, with_guard
from fixtures.windows_lab import embedded_python
from tests.conftest import PYTHON_DLL, DistMaker, Forge, put


def findings(dist: Path, *rules: str) -> list[Finding]:
    return [one for one in scan(str(dist), Options(environ={})).findings if one.rule in rules]


@pytest.fixture(scope="session")
def signed() -> Path:
    """A DLL that the Python Software Foundation signed."""
    return embedded_python() / PYTHON_DLL


@pytest.fixture
def copy(signed: Path, tmp_path: Path) -> Path:
    return put(signed, tmp_path / "copy.dll")


def change(path: Path, offset: int, value: bytes) -> None:
    data = bytearray(path.read_bytes())
    data[offset : offset + len(value)] = value
    path.write_bytes(data)


def table(path: Path) -> tuple[int, int]:
    """Return (offset, size) of the certificate table."""
    pe = open_headers(path)
    assert pe is not None
    return pe.directories[CERTIFICATES]


def test_every_signed_file_of_a_real_python_is_intact() -> None:
    files = [path for path in embedded_python().iterdir() if path.suffix in (".dll", ".pyd", ".exe")]
    states = [read_signing(path).state for path in files]
    assert states.count(Signature.INTACT) == len(files) > 20


@pytest.mark.parametrize("share", [0.01, 0.1, 0.5, 0.9])
def test_a_changed_byte_breaks_the_signature(copy: Path, share: float) -> None:
    offset = int(table(copy)[0] * share)
    change(copy, offset, bytes([copy.read_bytes()[offset] ^ 1]))
    found = read_signing(copy)
    assert (found.state, found.reason) == (Signature.BROKEN, "it was changed after it was signed")


def test_what_signing_itself_changes_does_not_count(copy: Path) -> None:
    pe = open_headers(copy)
    assert pe is not None
    change(copy, pe.pe_offset + 24 + 64, b"\x11\x22\x33\x44")  # the checksum
    assert read_signing(copy).state is Signature.INTACT


def test_what_is_put_behind_a_signature_breaks_it(copy: Path) -> None:
    with copy.open("ab") as file:
        file.write(b"an archive")
    assert read_signing(copy).reason == "10 bytes were put behind its signature"


def test_a_cut_off_signature_is_broken(copy: Path) -> None:
    data = copy.read_bytes()
    copy.write_bytes(data[:-16])
    assert read_signing(copy).reason == "its signature is cut off"


def test_a_file_without_a_signature(forge: Forge, tmp_path: Path) -> None:
    assert read_signing(forge("plain.dll")).state is Signature.NONE
    assert read_signing(tmp_path / "absent.dll").state is Signature.NONE
    (tmp_path / "text.dll").write_text("no image")
    assert read_signing(tmp_path / "text.dll").state is Signature.NONE


@pytest.mark.parametrize("algorithm", ["sha1", "sha256", "sha384", "sha512"])
def test_each_algorithm(forge: Forge, tmp_path: Path, algorithm: str) -> None:
    path = sign(put(forge("plain.dll"), tmp_path / "plain.dll"), algorithm)
    assert read_signing(path).state is Signature.INTACT
    change(path, 0x250, b"\xcc")
    assert read_signing(path).state is Signature.BROKEN


def test_a_signature_of_an_unknown_kind_is_no_broken_one(copy: Path) -> None:
    offset, size = table(copy)
    change(copy, offset + 8, bytes(size - 8))
    assert read_signing(copy).state is Signature.UNKNOWN


def test_hostile_signatures_never_raise(copy: Path) -> None:
    """Whatever stands in the table: an answer, and no exception; a length that is a lie least of all."""
    offset, size = table(copy)
    whole = copy.read_bytes()
    chance = random.Random(20)
    for _ in range(60):
        data = bytearray(whole)
        for _ in range(chance.randrange(1, 20)):
            data[offset + chance.randrange(size)] = chance.randrange(256)
        copy.write_bytes(data)
        assert read_signing(copy).state in Signature
    for length in (0, 7, 8, 0xFFFFFFFF):
        data = bytearray(whole)
        struct.pack_into("<I", data, offset, length)
        copy.write_bytes(data)
        assert read_signing(copy).state in Signature


def test_an_unchanged_dist_is_silent(make_dist: DistMaker, signed: Path) -> None:
    dist = make_dist()
    shutil.copy(signed, dist / PYTHON_DLL)
    assert findings(dist, "DF504", "DF505") == []


def test_a_changed_dll_and_a_changed_program_are_told(make_dist: DistMaker, signed: Path) -> None:
    dist = make_dist()
    shutil.copy(signed, dist / PYTHON_DLL)
    change(dist / PYTHON_DLL, 0x2000, b"changed")
    sign(dist / "app.exe")
    change(dist / "app.exe", 0x60, b"changed")
    program, dll = findings(dist, "DF505")
    assert (program.subject, program.severity.value) == ("app.exe", "warning")
    assert program.message.startswith("app.exe: the program is signed, but it was changed after it was signed; Windows")
    assert (dll.subject, dll.severity.value, dll.chain) == (PYTHON_DLL, "warning", ("app.exe", PYTHON_DLL))
    assert "sign it again after the last change" in dll.message


def test_what_a_package_ships_with_a_broken_signature_is_told_softly(make_dist: DistMaker, signed: Path) -> None:
    from tests.test_damaged import record

    dist = make_dist(sources={"pkg/__init__.py": ""})
    put(signed, dist / "pkg" / "core.dll")
    change(dist / "pkg" / "core.dll", 0x2000, b"changed")
    record(dist, "pkg/core.dll")
    (found,) = findings(dist, "DF505")
    assert found.severity.value == "info"
    assert "pkg 1.2 ships it so" in found.message


def test_before_a_signed_file_is_changed_its_user_is_told(copy: Path, forge: Forge) -> None:
    assert lost_by_change(copy) == "the change ends the validity of its signature: sign it again afterwards"
    assert lost_by_change(forge("plain.dll")) == ""


# --- packed images ---


def test_a_packed_image_with_control_flow_guard(make_dist: DistMaker) -> None:
    dist = make_dist({"pkg/core.pyd": ()}, {"pkg/__init__.py": "from . import core\n"})
    with_guard(as_packed(dist / "pkg" / "core.pyd"))
    (found,) = findings(dist, "DF504")
    assert (found.subject, found.severity.value) == ("core.pyd", "error")
    assert found.chain == ("app.exe", "pkg/__init__.py:1", "pkg/core.pyd")
    assert "exclude it from UPX" in found.message


def test_packed_images_without_it_are_told_once_and_softly(make_dist: DistMaker) -> None:
    dist = make_dist({"pkg/core.pyd": (), "pkg/more.pyd": ()}, {"pkg/__init__.py": "from . import core, more\n"})
    for name in ("core", "more"):
        as_packed(dist / "pkg" / f"{name}.pyd")
    (found,) = findings(dist, "DF504")
    assert (found.severity.value, len(found.locations)) == ("info", 2)
    assert "pkg/core.pyd and 1 more file are packed by UPX" in found.message


def test_an_image_with_guard_that_nobody_packed(make_dist: DistMaker, signed: Path) -> None:
    """All of Microsoft's runtime has control-flow guard; so has what upx refuses."""
    image = read_image(embedded_python() / "vcruntime140.dll")
    assert isinstance(image, Image)
    assert (image.guarded, image.packer, image.is_signed) == (True, "", True)
    dist = make_dist()
    shutil.copy(embedded_python() / "vcruntime140.dll", dist)
    assert findings(dist, "DF504") == []


def test_packed_under_other_section_names(make_dist: DistMaker) -> None:
    dist = make_dist({"pkg/core.pyd": ()}, {"pkg/__init__.py": "from . import core\n"})
    as_packed(dist / "pkg" / "core.pyd", names=(b".text", b".data"))
    image = read_image(dist / "pkg" / "core.pyd")
    assert isinstance(image, Image)
    assert image.packer == "UPX"
