"""Exports that are only forwarders: they are followed into their hosts, for DF104 and for what is missing."""

from __future__ import annotations

from pathlib import Path

import pytest

from fixtures.link_image import image
from tests.conftest import DistMaker
from tests.test_runtimes import CORE, brief, findings

LACKING = [("DF104", "error", "need.dll")]


@pytest.fixture
def dist(make_dist: DistMaker) -> Path:
    """A dist with a package that imports its extension module pkg/core.pyd, which the test adds."""
    return make_dist({}, {"pkg/__init__.py": CORE})


@pytest.mark.parametrize(
    ("forwarder", "taken", "host", "expected"),
    [
        ("far=host.real", "far", "real", []),
        ("far=host.real", "far", "other", [("DF104", "error", "host.dll")]),
        ("far=host.real", "far", "Real", [("DF104", "error", "host.dll")]),
        ("far=host.real", "near", "other", []),  # nobody takes the forwarder
        ("far=host.#4", "far", "real @4 NONAME", []),
        ("far=host.#4", "far", "real @5", [("DF104", "error", "host.dll")]),
        ("far=host.real @9 NONAME", "far @9 NONAME", "other", [("DF104", "error", "host.dll")]),
        ("far=host.real @9", "other @9 NONAME", "real", []),
        ("far=host.real", "far; gone", "real", LACKING),
    ],
)
def test_a_forwarder_is_followed_into_its_host(
    dist: Path, forwarder: str, taken: str, host: str, expected: list[tuple[str, str, str]]
) -> None:
    image(dist / "pkg" / "core.pyd", "", {"need.dll": taken})
    image(dist / "need.dll", f"near; {forwarder}")
    image(dist / "host.dll", host)
    assert brief(dist) == expected


def test_a_forwarder_that_leads_on_is_followed_to_its_end(dist: Path) -> None:
    image(dist / "pkg" / "core.pyd", "", {"need.dll": "far"})
    image(dist / "need.dll", "far=host.far")
    image(dist / "host.dll", "far=last.far")
    image(dist / "last.dll", "far")
    assert brief(dist) == []
    image(dist / "last.dll", "near")
    assert brief(dist) == [("DF104", "error", "last.dll")]
    (dist / "last.dll").unlink()
    assert brief(dist) == [("DF101", "error", "last.dll")]


def test_a_missing_host_is_a_missing_dll_with_the_chain_that_needs_it(dist: Path) -> None:
    image(dist / "pkg" / "core.pyd", "", {"need.dll": "far"})
    image(dist / "need.dll", "far=host.real; near=unused.real")
    (finding,) = findings(dist)
    assert (finding.rule, finding.severity.value, finding.subject) == ("DF101", "error", "host.dll")
    assert finding.chain == ("app.exe", "pkg/__init__.py:1", "pkg/core.pyd", "need.dll", "host.dll")
    assert "need.dll forwards an export to it" in finding.message


def test_a_host_of_windows_is_not_accused(dist: Path) -> None:
    image(dist / "pkg" / "core.pyd", "", {"need.dll": "far; on"})
    image(dist / "need.dll", "far=kernel32.no_such; on=api-ms-win-core-heap-l1-1-0.no_such")
    assert brief(dist) == []


def test_forwarders_in_a_circle_come_to_an_end(dist: Path) -> None:
    image(dist / "pkg" / "core.pyd", "", {"need.dll": "far"})
    image(dist / "need.dll", "far=host.far")
    image(dist / "host.dll", "far=need.far")
    assert brief(dist) == []


def test_the_host_that_will_be_loaded_decides(dist: Path) -> None:
    image(dist / "pkg" / "core.pyd", "", {"need.dll": "far"})
    image(dist / "need.dll", "far=host.real")
    image(dist / "host.dll", "real")
    image(dist / "pkg" / "host.dll", "other")
    assert brief(dist) == [("DF104", "error", "host.dll")]
    assert findings(dist)[0].locations[0].path == "pkg/host.dll"


def test_a_delayed_symbol_is_followed_through_a_forwarder(dist: Path) -> None:
    image(dist / "pkg" / "core.pyd", "", {"need.dll": "far"}, delays="need.dll")
    image(dist / "need.dll", "far=host.real")
    assert brief(dist) == [("DF101", "warning", "host.dll")]
    image(dist / "host.dll", "other")
    assert brief(dist) == [("DF104", "warning", "host.dll")]
    assert "pkg/core.pyd delay-loads far from need.dll" in findings(dist)[0].message
    image(dist / "host.dll", "real", {"deep.dll": "one"})
    assert brief(dist) == [("DF101", "warning", "deep.dll")]  # the host is loaded at the first call, too
    image(dist / "deep.dll", "one")
    assert brief(dist) == []


@pytest.mark.parametrize(("lacking", "full"), [("a", "b"), ("b", "a")])
def test_each_importer_gets_the_host_of_its_own_search(make_dist: DistMaker, lacking: str, full: str) -> None:
    dist = make_dist({}, {"a/__init__.py": CORE, "b/__init__.py": CORE})
    for package in ("a", "b"):
        image(dist / package / "core.pyd", "", {"need.dll": "far"})
    image(dist / "need.dll", "far=host.far")
    image(dist / lacking / "host.dll", "near")
    image(dist / full / "host.dll", "far")
    (finding,) = [one for one in findings(dist) if one.rule == "DF104"]
    assert finding.locations[0].path == f"{lacking}/host.dll"
    assert f"{lacking}/core.pyd" in finding.chain
    assert f"{full}/core.pyd" not in {place.path for place in finding.locations}


@pytest.mark.parametrize(
    ("first", "second", "words"),
    [
        ("far=host.real", "", "imports far from need.dll, which forwards that to real of host.dll (1.2.3.4)"),
        ("far=host.#4", "", "imports far from need.dll, which forwards that to #4 of host.dll (1.2.3.4)"),
        (
            "far=middle.on",
            "on=host.real",
            "imports far from need.dll, which forwards that to real of host.dll (1.2.3.4)",
        ),
    ],
)
def test_what_a_forwarder_leads_to_is_told_with_the_forwarder(dist: Path, first: str, second: str, words: str) -> None:
    image(dist / "pkg" / "core.pyd", "", {"need.dll": "far"})
    image(dist / "need.dll", first)
    image(dist / "host.dll", "other", resource="1 VERSIONINFO FILEVERSION 1,2,3,4 {}")
    if second:
        image(dist / "middle.dll", second)
    (finding,) = findings(dist)
    between = ("middle.dll",) if second else ()
    assert finding.chain == ("app.exe", "pkg/__init__.py:1", "pkg/core.pyd", "need.dll", *between, "host.dll")
    assert finding.message == f"pkg/core.pyd {words}, and there is no such export"
