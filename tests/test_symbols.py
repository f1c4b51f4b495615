"""DF104: whether the DLL that will be loaded has what is taken from it, on compiled files with chosen tables."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from fixtures.link_image import image
from tests.conftest import Cli, DistMaker, run_depfix, snapshot
from tests.test_runtimes import CORE, brief, findings

Offer = Callable[[str], Path]
LACKING = [("DF104", "error", "need.dll")]


@pytest.fixture
def dist(make_dist: DistMaker) -> Path:
    """A dist with a package that imports its extension module pkg/core.pyd, which the test adds."""
    return make_dist({}, {"pkg/__init__.py": CORE})


# --- what is looked at -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("exported", "taken", "lacking"),
    [
        ("one", "one", ""),
        ("two", "one", "one"),
        ("", "one", "one"),
        ("one", "One", "One"),  # names compare with case, other than those of files
        ("six @6", "five @5 NONAME", "#5"),
        ("other @5", "five @5 NONAME", ""),  # an ordinal has no name
        ("five @5 NONAME", "five @5 NONAME", ""),
        ("five @5 NONAME", "five", "five"),
        ("data DATA", "data DATA", ""),
        ("other", "data DATA", "data"),
    ],
)
@pytest.mark.parametrize("machine", ["amd64", "x86"])
def test_each_name_and_ordinal_is_looked_for_in_the_dll(
    make_dist: DistMaker, machine: str, exported: str, taken: str, lacking: str
) -> None:
    dist = make_dist({}, {"pkg/__init__.py": CORE}, machine=machine)
    image(dist / "pkg" / "core.pyd", "", {"need.dll": taken}, machine=machine)
    image(dist / "pkg" / "need.dll", exported, machine=machine)
    assert brief(dist) == (LACKING if lacking else [])
    assert all(f"imports {lacking} from it" in one.message for one in findings(dist))


def test_the_message_names_the_importer_the_dll_with_its_version_and_the_symbol(dist: Path) -> None:
    image(dist / "pkg" / "core.pyd", "", {"Need.DLL": "one; two"})
    resource = "1 VERSIONINFO FILEVERSION 1,2,3,4 {}"
    image(dist / "pkg" / "need.dll", "one", resource=resource)
    (finding,) = findings(dist)
    assert finding.message == "pkg/core.pyd imports two from it, and pkg/need.dll (1.2.3.4) has no such export"
    assert (finding.subject, finding.confidence.value) == ("need.dll", "probable")
    assert finding.chain == ("app.exe", "pkg/__init__.py:1", "pkg/core.pyd", "pkg/need.dll")
    assert [place.path for place in finding.locations] == ["pkg/need.dll", "pkg/core.pyd"]


def test_all_that_one_dll_lacks_is_one_finding(dist: Path) -> None:
    image(dist / "pkg" / "core.pyd", "", {"need.dll": "a; b; c; d; e", "other.dll": "x"})
    image(dist / "other.dll", "x", {"need.dll": "f"})
    image(dist / "need.dll", "e")
    (finding,) = findings(dist)
    assert "a, b, c and 2 more from it" in finding.message
    assert {place.path for place in finding.locations} == {"need.dll", "pkg/core.pyd", "other.dll"}


def test_a_dll_at_any_depth_is_looked_at_with_its_chain(dist: Path) -> None:
    image(dist / "pkg" / "core.pyd", "", {"middle.dll": "x"})
    image(dist / "middle.dll", "x", {"need.dll": "one"})
    image(dist / "need.dll", "two")
    (finding,) = findings(dist)
    assert finding.chain == ("app.exe", "pkg/__init__.py:1", "pkg/core.pyd", "middle.dll", "need.dll")


@pytest.mark.parametrize("asked", ["python310.dll", "python3.dll"])
def test_functions_that_the_python_dll_lacks_are_told(dist: Path, asked: str) -> None:
    image(dist / "pkg" / "core.pyd", "", {asked: "PyType_GetName"})
    image(dist / "python3.dll", "PyType_GetName=python310.PyType_GetName")
    assert brief(dist) == [("DF104", "error", "python310.dll")]


def test_what_the_program_itself_takes_is_looked_for(dist: Path) -> None:
    image(dist / "pkg" / "core.pyd")
    image(dist / "python310.dll", "other")
    (finding,) = findings(dist)
    assert (finding.rule, finding.chain) == ("DF104", ("app.exe", "python310.dll"))


@pytest.mark.parametrize("name", ["app.exe", "other.pyd"])
def test_a_program_or_an_extension_module_can_be_taken_from_too(dist: Path, name: str) -> None:
    image(dist / "pkg" / "core.pyd", "", {name: "one"})
    image(dist / "pkg" / "other.pyd", "two")
    assert brief(dist) == [("DF104", "error", name)]


@pytest.mark.parametrize("dll", ["kernel32.dll", "d3d11.dll", "api-ms-win-crt-heap-l1-1-0.dll"])
def test_of_windows_own_dlls_nothing_is_claimed(dist: Path, dll: str) -> None:
    image(dist / "pkg" / "core.pyd", "", {dll: "no_such_function"})
    assert brief(dist) == []


def test_a_file_that_takes_the_place_of_windows_own_dll_is_looked_at(dist: Path) -> None:
    image(dist / "pkg" / "core.pyd", "", {"version.dll": "one"})
    image(dist / "pkg" / "version.dll", "two")
    assert ("DF104", "error", "version.dll") in brief(dist)


def test_a_file_that_windows_passes_over_is_not_accused(dist: Path) -> None:
    image(dist / "pkg" / "core.pyd", "", {"ws2_32.dll": "one"})  # a KnownDLL
    image(dist / "pkg" / "ws2_32.dll", "two")
    assert "DF104" not in {row[0] for row in brief(dist)}


def test_an_export_directory_that_cannot_be_read_is_said(dist: Path) -> None:
    image(dist / "pkg" / "core.pyd", "", {"need.dll": "one"})
    file = image(dist / "need.dll", "two")
    data = bytearray(file.read_bytes())
    header = int.from_bytes(data[0x3C:0x40], "little")
    data[header + 24 + 112 : header + 24 + 116] = (0x900000).to_bytes(4, "little")
    file.write_bytes(data)
    (finding,) = findings(dist)
    assert (finding.rule, finding.severity.value, finding.subject) == ("DF501", "warning", "need.dll")
    assert "whether it has what pkg/core.pyd takes from it is unknown" in finding.message
    assert finding.chain == ("app.exe", "pkg/__init__.py:1", "pkg/core.pyd", "need.dll")
    (dist / "pkg" / "core.pyd").unlink()  # nobody asks
    assert "DF501" not in {row[0] for row in brief(dist)}


@pytest.mark.parametrize("content", [b"", b"text"])
def test_of_what_is_no_dll_no_symbol_is_asked(dist: Path, content: bytes) -> None:
    image(dist / "pkg" / "core.pyd", "", {"need.dll": "one"})
    (dist / "need.dll").write_bytes(content)
    assert brief(dist) == [("DF105", "error", "need.dll")]


def test_of_a_dll_for_another_machine_no_symbol_is_asked(dist: Path) -> None:
    image(dist / "pkg" / "core.pyd", "", {"need.dll": "one"})
    image(dist / "need.dll", "two", machine="x86")
    assert brief(dist) == [("DF105", "error", "need.dll")]


# --- how bad it is ---------------------------------------------------------------------------------------------------


def test_a_delayed_symbol_is_a_warning_and_one_taken_at_once_an_error(dist: Path) -> None:
    image(dist / "pkg" / "core.pyd", "", {"need.dll": "late"}, delays="need.dll")
    image(dist / "need.dll", "one")
    assert brief(dist) == [("DF104", "warning", "need.dll")]
    assert "pkg/core.pyd delay-loads late from it" in findings(dist)[0].message
    image(dist / "pkg" / "other.pyd", "", {"need.dll": "two"})
    (dist / "pkg" / "__init__.py").write_text("from . import core, other\n")
    assert brief(dist) == [*LACKING, ("DF104", "warning", "need.dll")]
    assert len({one.fingerprint for one in findings(dist)}) == 2


def test_a_guarded_import_makes_it_a_warning(dist: Path) -> None:
    image(dist / "pkg" / "core.pyd", "", {"need.dll": "one"})
    image(dist / "need.dll", "two")
    (dist / "pkg" / "__init__.py").write_text("try:\n    from . import core\nexcept ImportError:\n    core = None\n")
    assert brief(dist) == [("DF104", "warning", "need.dll")]


def test_what_the_entry_does_not_reach_is_no_error(dist: Path, tmp_path: Path) -> None:
    image(dist / "pkg" / "core.pyd", "", {"need.dll": "one"})
    image(dist / "need.dll", "two")
    entry = tmp_path / "program.py"
    entry.write_text("import os\n")
    assert brief(dist, entry=entry) == []
    entry.write_text("import pkg\n")
    assert brief(dist, entry=entry) == LACKING


# --- which file decides ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("right", "wrong", "expected"),
    [
        ("pkg/need.dll", "need.dll", []),  # beside the extension module comes before the program's directory
        ("need.dll", "pkg/need.dll", LACKING),
        ("need.dll", "far/need.dll", []),
        ("far/need.dll", "need.dll", LACKING),
    ],
)
def test_the_file_that_the_search_finds_first_decides(
    dist: Path, right: str, wrong: str, expected: list[tuple[str, str, str]]
) -> None:
    image(dist / "pkg" / "core.pyd", "", {"need.dll": "one"})
    image(dist / right, "one")
    image(dist / wrong, "two")
    assert brief(dist) == expected
    assert [one.locations[0].path for one in findings(dist)] == [wrong] * len(expected)


@pytest.mark.parametrize(("loaded", "beside", "expected"), [("two", "one", LACKING), ("one", "two", [])])
def test_the_file_that_is_in_the_process_decides(
    dist: Path, loaded: str, beside: str, expected: list[tuple[str, str, str]]
) -> None:
    image(dist / "pkg" / "core.pyd", "", {"need.dll": "one"})
    image(dist / "far" / "need.dll", loaded)
    image(dist / "pkg" / "need.dll", beside)
    load = "import ctypes, os\nctypes.CDLL(os.path.join(os.path.dirname(__file__), '..', 'far', 'need.dll'))\n"
    (dist / "pkg" / "__init__.py").write_text(load + CORE)
    found = [one for one in findings(dist) if one.rule == "DF104"]
    assert [(one.rule, one.severity.value, one.subject) for one in found] == expected
    assert all(one.locations[0].path == "far/need.dll" for one in found)


# --- repair ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def broken(dist: Path) -> Path:
    """A dist whose need.dll has one of the two symbols that core takes from it."""
    image(dist / "pkg" / "core.pyd", "", {"need.dll": "one; two"})
    image(dist / "need.dll", "one")
    return dist


@pytest.fixture
def offer(make_conda: Callable[..., Path]) -> Offer:
    """Make an environment whose need.dll has these exports."""

    def make(exports: str) -> Path:
        root = make_conda({}, name=hashlib.sha256(exports.encode()).hexdigest()[:8])
        image(root / "Library" / "bin" / "need.dll", exports)
        record = {"name": "need", "version": "2.0", "files": ["Library/bin/need.dll"], "depends": []}
        (root / "conda-meta" / "need-2.0-0.json").write_text(json.dumps(record))
        return root

    return make


def repaired(dist: Path, *environments: Path, overwrite: bool = True) -> Cli:
    specs = [word for one in environments for word in ("--env", f"conda:{one}")]
    return run_depfix("repair", dist, *specs, *(["--overwrite"] if overwrite else []))


def test_a_repair_takes_the_file_that_has_the_symbol_and_undo_brings_the_old_one_back(
    broken: Path, offer: Offer
) -> None:
    before, newer = snapshot(broken), offer("one; two")
    done = repaired(broken, offer("one; three"), newer)
    assert (done.code, "replace need.dll" in done.out, "need 2.0" in done.out) == (0, True, True)
    assert "1 finding fixed, 0 left" in done.out
    assert (broken / "need.dll").read_bytes() == (newer / "Library" / "bin" / "need.dll").read_bytes()
    assert brief(broken) == []
    assert run_depfix("undo", broken).code == 0
    assert snapshot(broken) == before


@pytest.mark.parametrize(
    ("exports", "overwrite", "reason"),
    [
        ("one; three", True, "Library/bin/need.dll: it lacks two too"),
        ("one; TWO", True, "Library/bin/need.dll: it lacks two too"),
        ("one; two", False, "--overwrite replaces it, undo brings it back"),
    ],
)
def test_a_repair_declines_with_its_reason(
    broken: Path, offer: Offer, exports: str, overwrite: bool, reason: str
) -> None:
    before = snapshot(broken)
    done = repaired(broken, offer(exports), overwrite=overwrite)
    assert (done.code, reason in done.out) == (1, True)
    assert snapshot(broken) == before


@pytest.mark.parametrize("delayed", ["", "need.dll"])
def test_a_replacement_does_not_lack_what_importers_get_from_the_old_file(
    broken: Path, offer: Offer, delayed: str
) -> None:
    image(broken / "pkg" / "core.pyd", "", {"need.dll": "two"})
    image(broken / "pkg" / "other.pyd", "", {"need.dll": "one"}, delays=delayed)
    (broken / "pkg" / "__init__.py").write_text("from . import core, other\n")
    before = snapshot(broken)
    done = repaired(broken, offer("two"))
    assert (done.code, "it lacks one, which need.dll has" in done.out) == (1, True)
    assert snapshot(broken) == before
    assert repaired(broken, offer("two; other"), offer("one; two")).code == 0
    assert brief(broken) == []


def test_a_file_that_lacks_only_what_is_delayed_cures_the_error(broken: Path, offer: Offer) -> None:
    image(broken / "pkg" / "other.pyd", "", {"need.dll": "late"}, delays="need.dll")
    (broken / "pkg" / "__init__.py").write_text("from . import core, other\n")
    assert brief(broken) == [*LACKING, ("DF104", "warning", "need.dll")]
    shutil.copytree(broken, broken.with_name("again.dist"))
    repaired(broken, offer("one; two"))
    assert brief(broken) == [("DF104", "warning", "need.dll")]
    again = broken.with_name("again.dist")
    assert repaired(again, offer("one; two; other"), offer("one; two; late")).code == 0  # what cures both is better
    assert brief(again) == []


def test_a_repair_without_a_file_of_that_name_says_so(broken: Path, make_conda: Callable[..., Path]) -> None:
    done = repaired(broken, make_conda({}))
    assert (done.code, "no environment has a file of this name" in done.out) == (1, True)


def test_a_file_for_another_machine_is_no_replacement(broken: Path, offer: Offer) -> None:
    root = offer("one; two")
    image(root / "Library" / "bin" / "need.dll", "one; two", machine="x86")
    done = repaired(broken, root)
    assert (done.code, "it is 32-bit" in done.out) == (1, True)


def test_a_replacement_has_what_every_importer_lacks(broken: Path, offer: Offer) -> None:
    image(broken / "pkg" / "other.pyd", "", {"need.dll": "five @5 NONAME"})
    first, second = offer("one; two"), offer("one @1; two @2; five @5 NONAME")
    assert "it lacks #5 too" in repaired(broken, first).out
    assert repaired(broken, first, second).code == 0
    assert brief(broken) == []


def test_the_host_of_a_forwarder_is_what_is_replaced(dist: Path, offer: Offer) -> None:
    image(dist / "pkg" / "core.pyd", "", {"front.dll": "far"})
    image(dist / "front.dll", "far=need.two")
    image(dist / "need.dll", "one")
    done = repaired(dist, offer("two"))
    assert (done.code, "replace need.dll" in done.out) == (0, True)


def test_a_file_for_another_machine_gives_way_to_one_that_has_the_symbols(dist: Path, offer: Offer) -> None:
    image(dist / "pkg" / "core.pyd", "", {"need.dll": "one; two"})
    image(dist / "need.dll", "one", machine="x86")
    assert brief(dist) == [("DF105", "error", "need.dll")]
    assert repaired(dist, offer("one"), offer("one; two")).code == 0
    assert brief(dist) == []


def test_what_the_replacement_forwards_to_is_brought_too(broken: Path, offer: Offer) -> None:
    root = offer("one; two=host.two")
    image(root / "Library" / "bin" / "host.dll", "two")
    assert repaired(broken, root).code == 0
    assert (broken / "host.dll").exists()
    assert brief(broken) == []


def test_a_repair_replaces_the_file_that_is_loaded_and_no_other_of_its_name(broken: Path, offer: Offer) -> None:
    image(broken / "far" / "need.dll", "three")
    shutil.move(broken / "need.dll", broken / "pkg" / "need.dll")
    old = snapshot(broken)["far/need.dll"]
    assert repaired(broken, offer("one; two")).code == 0
    assert snapshot(broken)["far/need.dll"] == old
    assert not (broken / "need.dll").exists()
