"""DF208: files that are cut off, placeholders, or not what their distribution installed; never copied either."""

from __future__ import annotations

import base64
import hashlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from depfix.model.content import pointed_size
from depfix.model.finding import Finding
from depfix.model.image import Image, ImageProblem
from depfix.pe.damage import what_it_is
from depfix.pe.reader import read_image, read_image_data
from depfix.pipeline import Options, scan
from fixtures.windows_lab import embedded_python
from tests.conftest import DistMaker, Forge, put, snapshot
from tests.repairing import repair

CORE = "from . import core\n"
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"4" * 64 + b"\nsize 3211264\n"
PAGE = b"<!DOCTYPE html>\n<html><head><title>503 Service Unavailable</title></head></html>\n"
NONE = Options(environ={})
MakeConda = Callable[..., Path]


def findings(dist: Path, *environments: str) -> list[Finding]:
    found = scan(str(dist), Options(environ={}, environments=environments)).findings
    return [one for one in found if one.rule != "DF501"]


def brief(dist: Path) -> list[tuple[str, str, str]]:
    return [(one.rule, one.severity.value, one.subject) for one in findings(dist)]


def record(dist: Path, *paths: str, name: str = "pkg") -> None:
    """Write the dist-info of a distribution that installed these files as they are now."""
    rows = []
    for path in paths:
        data = (dist / path).read_bytes()
        digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).decode().rstrip("=")
        rows.append(f"{path},sha256={digest},{len(data)}\n")
    info = dist / f"{name}-1.2.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.2\n")
    (info / "RECORD").write_text("".join(rows) + f"{info.name}/RECORD,,\n")


@pytest.fixture
def dist(make_dist: DistMaker) -> Path:
    return make_dist({"pkg/core.pyd": ("need.dll",), "need.dll": ()}, {"pkg/__init__.py": CORE, "pkg/data.bin": "x"})


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (POINTER, "it is a git-lfs pointer to 3,211,264 bytes that were never fetched (git lfs pull)"),
        (PAGE, "it is a web page"),
        (bytes(5000), "it begins with zeros"),
        (b"MZ" + bytes(58) + b"\0\1\0\0" + bytes(64), "it is a damaged Windows image"),
    ],
)
def test_what_stands_where_an_image_was_meant_to_be(dist: Path, content: bytes, words: str) -> None:
    (dist / "pkg" / "core.pyd").write_bytes(content)
    (finding,) = findings(dist)
    assert (finding.rule, finding.severity.value, finding.subject) == ("DF208", "error", "core.pyd")
    assert words in finding.message
    assert finding.chain == ("app.exe", "pkg/__init__.py:1", "pkg/core.pyd")


def test_a_file_of_another_kind_is_no_damage(dist: Path) -> None:
    (dist / "need.dll").write_bytes(b"\x7fELF\x02\x01\x01" + bytes(100))
    (finding,) = findings(dist)
    assert (finding.rule, finding.severity.value) == ("DF105", "error")
    assert "a Linux library" in finding.message


@pytest.mark.parametrize("part", [0.3, 0.6, 0.99])
def test_a_half_downloaded_file(dist: Path, part: float) -> None:
    record(dist, "pkg/core.pyd", "need.dll")
    whole = (dist / "pkg" / "core.pyd").read_bytes()
    (dist / "pkg" / "core.pyd").write_bytes(whole[: int(len(whole) * part)])
    (finding,) = findings(dist)
    assert (finding.rule, finding.severity.value) == ("DF208", "error")
    assert "cut off" in finding.message or "damaged" in finding.message
    assert f"pkg 1.2 recorded {len(whole):,} bytes, and it has {int(len(whole) * part):,}" in finding.message


def test_what_nothing_loads_is_a_warning(dist: Path) -> None:
    (dist / "plugins").mkdir()
    (dist / "plugins" / "extra.dll").write_bytes(POINTER)
    assert brief(dist) == [("DF208", "warning", "extra.dll")]


def test_a_program_that_is_cut_off(dist: Path) -> None:
    whole = (dist / "app.exe").read_bytes()
    (dist / "helper.exe").write_bytes(whole[: len(whole) // 2])
    (finding,) = findings(dist)
    assert (finding.rule, finding.severity.value, finding.subject) == ("DF208", "error", "helper.exe")
    assert finding.message.startswith("helper.exe is called a program, but it is cut off")


def test_a_healthy_dist_with_its_record_is_silent(dist: Path) -> None:
    record(dist, "pkg/core.pyd", "need.dll", "pkg/__init__.py", "pkg/data.bin")
    assert brief(dist) == []


def test_bytes_that_are_not_the_recorded_ones(dist: Path) -> None:
    record(dist, "pkg/core.pyd", "need.dll")
    data = bytearray((dist / "need.dll").read_bytes())
    data[0x40] ^= 1  # in the DOS stub, which Windows does not look at
    (dist / "need.dll").write_bytes(data)
    (finding,) = findings(dist)
    assert (finding.rule, finding.severity.value, finding.subject) == ("DF208", "warning", "pkg")
    assert "need.dll has the size but not the SHA-256 that pkg 1.2 recorded" in finding.message
    (dist / "need.dll").write_bytes(bytes(data) + bytes(8))  # signed, or packed
    (finding,) = findings(dist)
    assert (finding.severity.value, finding.confidence.value) == ("info", "possible")


def test_zeros_at_the_end_of_a_file_of_the_right_size(dist: Path) -> None:
    path = dist / "need.dll"
    path.write_bytes(path.read_bytes() + b"overlay" * 4000)
    record(dist, "need.dll")
    path.write_bytes(path.read_bytes()[:-5000] + bytes(5000))
    (finding,) = findings(dist)
    assert (finding.rule, finding.severity.value, finding.subject) == ("DF208", "error", "need.dll")
    assert "its end is zeros" in finding.message


@pytest.mark.parametrize(
    ("before", "after", "severity"),
    [
        (b"\0model" * 100, b"\0model" * 50, "warning"),
        (b"\0model" * 100, b"", "warning"),
        (b"words " * 100, b"words " * 50, ""),  # conda writes other paths into texts
        (b"\0model" * 100, b"\0model" * 200, ""),
        (b"\0model" * 100, POINTER, "warning"),
    ],
)
def test_data_files(dist: Path, before: bytes, after: bytes, severity: str) -> None:
    (dist / "pkg" / "data.bin").write_bytes(before)
    record(dist, "pkg/data.bin")
    (dist / "pkg" / "data.bin").write_bytes(after)
    assert brief(dist) == ([("DF208", severity, "pkg/data.bin")] if severity else [])


def test_a_signature_that_is_cut_off() -> None:
    """Real signed files: whole ones are silent, and without the last bytes Windows maps them all the same."""
    signed = [path for path in embedded_python().iterdir() if path.suffix in (".dll", ".pyd", ".exe")]
    images = {path.name: read_image(path) for path in signed}
    assert all(isinstance(image, Image) and image.unsigned_bytes == 0 for image in images.values())
    cut = read_image_data((embedded_python() / "_ssl.pyd").read_bytes()[:-100])
    assert isinstance(cut, Image)
    assert cut.unsigned_bytes == 100


def test_a_signature_that_is_cut_off_is_a_warning(dist: Path) -> None:
    data = (embedded_python() / "_queue.pyd").read_bytes()
    (dist / "_queue.pyd").write_bytes(data[:-100])
    found = [one for one in findings(dist) if one.rule == "DF208"]
    assert [(one.severity.value, one.subject) for one in found] == [("warning", "_queue.pyd")]
    assert "100 bytes of its signature are missing" in found[0].message


@pytest.mark.parametrize("size", [0, 1, 3, 100, 5000])
def test_no_bytes_raise(size: int) -> None:
    data = os.urandom(size)
    for one in (data, b"MZ" + data, POINTER[:40] + data, b"<html" + data):
        assert isinstance(what_it_is(one)[0], str)
        assert pointed_size(one) is None
        assert isinstance(read_image_data(one) if one else ImageProblem(""), (Image, ImageProblem))


# --- repair ---


def test_a_repair_replaces_it_with_a_whole_one(dist: Path, make_conda: MakeConda) -> None:
    root = make_conda({"Library/bin/need.dll": ()})
    whole = (dist / "need.dll").read_bytes()
    (dist / "need.dll").write_bytes(whole[:1024])
    assert repair(str(dist), Options(environ={}, environments=(f"conda:{root}",))).applied is False
    done = repair(str(dist), Options(environ={}, environments=(f"conda:{root}",), overwrite=True))
    assert done.plan is not None and [action.destination for action in done.plan.actions] == ["need.dll"]
    assert brief(dist) == []


@pytest.mark.parametrize(
    ("content", "words"), [(POINTER, "git-lfs pointer"), (b"", "it is empty"), (PAGE, "it is a web page")]
)
def test_a_damaged_source_is_declined_by_name(dist: Path, make_conda: MakeConda, content: bytes, words: str) -> None:
    root = make_conda({"Library/bin/need.dll": ()})
    (dist / "need.dll").unlink()
    (root / "Library" / "bin" / "need.dll").write_bytes(content)
    before = snapshot(dist)
    report = repair(str(dist), Options(environ={}, environments=(f"conda:{root}",)))
    assert report.plan is not None and report.plan.actions == ()
    assert words in report.plan.declined[0].reason
    assert "Library/bin/need.dll" in report.plan.declined[0].reason
    assert snapshot(dist) == before


def test_a_cut_off_source_gives_way_to_a_whole_one(
    dist: Path, make_conda: MakeConda, forge: Forge, tmp_path: Path
) -> None:
    root = make_conda({"Library/bin/need.dll": ()})
    path = root / "Library" / "bin" / "need.dll"
    path.write_bytes(path.read_bytes()[:1024])
    (dist / "need.dll").unlink()
    put(forge("need.dll"), tmp_path / "folder" / "need.dll")
    places = (f"conda:{root}", f"dir:{tmp_path / 'folder'}")
    report = repair(str(dist), Options(environ={}, environments=places))
    assert report.plan is not None
    assert [action.source for action in report.plan.actions] == [str(tmp_path / "folder" / "need.dll")]


def test_a_distribution_with_a_damaged_file_is_declined_whole(
    make_dist: DistMaker, make_conda: MakeConda, forge: Forge, tmp_path: Path
) -> None:
    root = make_conda({})
    site = root / "Lib" / "site-packages"
    put(forge("core.pyd"), site / "pkg" / "core.pyd")
    (site / "pkg" / "__init__.py").write_text(CORE)
    (site / "pkg" / "weights.bin").write_bytes(POINTER)
    record(site, "pkg/core.pyd", "pkg/__init__.py", "pkg/weights.bin")
    entry = tmp_path / "program.py"
    entry.write_text("import pkg\n")
    dist = make_dist({}, {"Lib/os.py": ""})
    options = Options(environ={}, environments=(f"conda:{root}",), entries=(str(entry),))

    def reasons() -> dict[str, str]:
        plan = repair(str(dist), options, dry_run=True).plan
        return {row.subject: row.reason for row in plan.declined} if plan is not None else {}

    reason = reasons()["pkg"]
    assert reason.startswith("pkg 1.2: pkg/weights.bin is damaged: it is a git-lfs pointer to 3,211,264 bytes")
    assert reason.endswith(f"install pkg 1.2 in conda:{root} again")
    (site / "pkg" / "weights.bin").write_bytes(b"\0weights")
    shutil.rmtree(site / "pkg-1.2.dist-info")
    record(site, "pkg/core.pyd", "pkg/__init__.py", "pkg/weights.bin")
    assert reasons() == {}
    whole = (site / "pkg" / "core.pyd").read_bytes()
    (site / "pkg" / "core.pyd").write_bytes(whole[: len(whole) // 2])
    assert "pkg 1.2: pkg/core.pyd is damaged: it is cut off" in reasons()["pkg"]
