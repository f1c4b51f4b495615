"""What is drawn of a graph, how large areas are, and what the page is put together from."""

from __future__ import annotations

import hashlib
import re
import time
from itertools import pairwise

import pytest

from depfix.closure.graph import EdgeKind, Graph, Node, NodeKind
from depfix.errors import DataFileError
from depfix.imports.uses import Strength
from depfix.model.finding import Confidence, Severity
from depfix.reports.page.libraries import asset, libraries
from depfix.reports.page.page import scan_html
from depfix.reports.page.picture import MOST_DRAWN, Picture, draw
from depfix.reports.page.treemap import areas
from depfix.reports.page.words import catalogue, said
from tests.pages import ROOT, big_graph, material, missing, need


def way(picture: Picture, finding: int) -> list[str]:
    return [picture.items[number].name for number in picture.routes[finding]]


def named(picture: Picture, name: str) -> int:
    return next(number for number, item in enumerate(picture.items) if item.name == name)


@pytest.fixture
def small() -> Graph:
    graph = Graph(ROOT)
    module = need(graph, ROOT, Node(NodeKind.MODULE, "imaging"), path="main.py", line=3)
    image = need(graph, module, Node(NodeKind.IMAGE, "imaging/_core.pyd"), EdgeKind.FILE)
    need(graph, image, Node(NodeKind.MISSING, "codec.dll"), EdgeKind.STATIC)
    need(graph, image, Node(NodeKind.SYSTEM, "kernel32.dll"), EdgeKind.STATIC)
    need(
        graph,
        module,
        Node(NodeKind.MISSING, "codec.dll"),
        EdgeKind.LOAD,
        expected="imaging/codec.dll",
        path="imaging/x.py",
    )
    graph.settle()
    return graph


def test_a_small_graph_is_drawn_whole(small: Graph) -> None:
    picture = draw(small, [missing("codec.dll", ("app.exe", "main.py:3", "imaging/_core.pyd"))])
    drawn = [picture.items[number] for number in picture.overview]
    assert [item.name for item in drawn] == ["app.exe", "imaging", "imaging/_core.pyd", "codec.dll", "kernel32.dll"]
    assert [item.state for item in drawn] == ["", "", "", "error", ""]
    assert way(picture, 0) == ["app.exe", "imaging", "imaging/_core.pyd", "codec.dll"]
    assert (picture.total, picture.gathered, picture.left_out) == (5, 0, 0)
    clean = draw(small, [])  # with no finding whose way would be drawn
    joined = {(clean.items[line.source].name, clean.items[line.target].name) for line in clean.lines}
    assert {("app.exe", "imaging"), ("imaging", "imaging/_core.pyd"), ("imaging/_core.pyd", "kernel32.dll")} <= joined


def test_of_two_findings_about_one_name_each_has_its_own_way(small: Graph) -> None:
    loaded = missing("codec.dll", ("app.exe", "imaging/x.py:7"), identity="imaging/codec.dll")
    picture = draw(small, [missing("codec.dll", ("app.exe", "main.py:3", "imaging/_core.pyd")), loaded])
    assert way(picture, 1) == ["app.exe", "imaging", "codec.dll"]
    assert way(picture, 0) == ["app.exe", "imaging", "imaging/_core.pyd", "codec.dll"]


def test_a_node_tells_who_needs_it_in_words(small: Graph) -> None:
    picture = draw(small, [])
    item = picture.items[named(picture, "codec.dll")]
    assert [(row.name, row.words) for row in item.needed_by] == [("imaging/_core.pyd", "imports"), ("imaging", "loads")]
    assert picture.items[named(picture, "imaging")].needed_by[0].place == "main.py:3"


def test_a_finding_about_nothing_in_the_graph_has_no_way(small: Graph) -> None:
    apart = draw(small, [missing("elsewhere.dll", ("app.exe",))])
    assert apart.routes == ((0,),)  # of its chain the program is known, which is not itself wrong
    assert apart.items[0].state == ""
    assert draw(small, [missing("elsewhere.dll", ("other.exe",))]).routes == ((),)


def test_a_file_is_found_by_its_name_and_a_data_file_by_its_path() -> None:
    graph = Graph(ROOT)
    need(graph, ROOT, Node(NodeKind.IMAGE, "lib/Helper.DLL"), EdgeKind.STATIC)
    need(graph, ROOT, Node(NodeKind.NO_DATA, "data/names.txt"), EdgeKind.DATA)
    graph.settle()
    picture = draw(graph, [missing("helper.dll", name="wrong-machine"), missing("data/names.txt")])
    assert [way(picture, each)[-1] for each in (0, 1)] == ["lib/Helper.DLL", "data/names.txt"]


def test_metadata_and_module_of_one_name_are_told_apart() -> None:
    graph = Graph(ROOT)
    need(graph, ROOT, Node(NodeKind.NO_MODULE, "plot"))
    need(graph, ROOT, Node(NodeKind.NO_METADATA, "plot"), EdgeKind.METADATA)
    graph.settle()
    picture = draw(graph, [missing("plot", name="missing-metadata"), missing("plot", name="missing-module")])
    assert [picture.items[route[-1]].kind for route in picture.routes] == ["no metadata", "no module"]


def test_needs_that_lead_round_in_a_circle_end() -> None:
    graph = Graph(ROOT)
    one, other = Node(NodeKind.IMAGE, "one.dll"), Node(NodeKind.IMAGE, "other.dll")
    need(graph, ROOT, one, EdgeKind.STATIC)
    need(graph, one, other, EdgeKind.STATIC)
    need(graph, other, one, EdgeKind.STATIC)
    graph.settle()
    picture = draw(graph, [missing("one.dll", ("app.exe", "other.dll"), name="wrong-machine")])
    assert way(picture, 0) == ["app.exe", "one.dll"]


def test_a_large_graph_collapses_quickly_to_what_matters() -> None:
    graph, findings = big_graph(packages=20, modules=300, lacking=2)
    begun = time.perf_counter()
    picture = draw(graph, findings, "3.10")
    assert time.perf_counter() - begun < 5
    assert picture.total > 6000
    assert len(picture.overview) <= MOST_DRAWN
    drawn = {picture.items[number].name for number in picture.overview}
    gathered = [picture.items[number] for number in picture.overview if picture.items[number].kind == "missing"]
    told = drawn | {name for item in gathered for name in item.names}
    assert {finding.subject for finding in findings} <= told  # each is there to be seen
    shown = sum(picture.items[number].count == 1 for number in picture.overview)
    assert shown + picture.gathered + picture.left_out == picture.total


def test_with_thousands_of_findings_each_still_has_its_way() -> None:
    graph, findings = big_graph(packages=10, modules=500, lacking=500)
    picture = draw(graph, findings)
    assert len(findings) == 5000
    assert len(picture.overview) <= MOST_DRAWN
    assert [way(picture, each)[-1] for each in range(5000)] == [finding.subject for finding in findings]
    gathered = [picture.items[number] for number in picture.overview if picture.items[number].kind == "missing"]
    assert sum(item.count for item in gathered) > 4000
    assert all(item.state == "error" for item in gathered)


def test_siblings_are_gathered_in_a_group_that_opens() -> None:
    graph = Graph(ROOT)
    top = need(graph, ROOT, Node(NodeKind.MODULE, "package"))
    for number in range(60):
        need(graph, top, Node(NodeKind.MODULE, f"package.part{number}"))
    for number in range(27):
        need(graph, top, Node(NodeKind.NO_MODULE, f"plugins.p{number}"))
    graph.settle()
    picture = draw(graph, [missing(f"plugins.p{number}", ("app.exe", "package/__init__.py:1")) for number in range(27)])
    drawn = [picture.items[number] for number in picture.overview]
    absent = next(item for item in drawn if item.kind == "missing")
    assert (absent.name, absent.count, absent.state, len(absent.members)) == ("plugins", 27, "error", 27)
    assert [picture.items[number].name for number in absent.members[:2]] == ["plugins.p0", "plugins.p1"]
    well = next(item for item in drawn if item.kind == "package")
    assert (well.name, well.count, well.state) == ("package", 60, "")
    joined = {(line.source, line.target) for line in picture.lines}
    assert (named(picture, "package"), absent.members[0]) in joined


def test_possible_needs_are_drawn_only_if_there_is_nothing_worse() -> None:
    graph, findings = big_graph(packages=3, modules=40, lacking=1)
    need(graph, ROOT, Node(NodeKind.NO_METADATA, "plot"), EdgeKind.METADATA, strength=Strength.OPTIONAL)
    graph.settle()
    possible = missing("plot", name="missing-metadata", severity=Severity.INFO, confidence=Confidence.POSSIBLE)
    with_errors, alone = draw(graph, [*findings, possible]), draw(graph, [possible])
    assert "plot" not in {with_errors.items[number].name for number in with_errors.overview}
    assert way(with_errors, len(findings)) == ["app.exe", "plot"]
    assert "plot" in {alone.items[number].name for number in alone.overview}


def test_long_ways_are_shortened_for_the_whole_and_kept_for_each() -> None:
    graph = Graph(ROOT)
    findings = []
    for way_number in range(4):
        node = ROOT
        for step in range(9):
            node = need(graph, node, Node(NodeKind.MODULE, f"way{way_number}.step{step}"))
        need(graph, node, Node(NodeKind.MISSING, f"lost{way_number}.dll"), EdgeKind.LOAD)
        findings.append(missing(f"lost{way_number}.dll", ("app.exe",)))
    graph.settle()
    for number in range(50):
        need(graph, ROOT, Node(NodeKind.MODULE, f"filler.part{number}"))
    graph.settle()
    picture = draw(graph, findings)
    steps = [picture.items[number] for number in picture.overview if picture.items[number].kind == "steps"]
    assert [(item.name, item.count) for item in steps] == [(f"way{number}", 9) for number in range(4)]
    assert len(picture.routes[0]) == 11
    joined = {(line.source, line.target) for line in picture.lines}
    assert set(pairwise(picture.routes[0])) <= joined


@pytest.mark.parametrize("weights", [(5,), (6, 6, 4, 3, 2, 2, 1), tuple(1000 // (n + 1) for n in range(60))])
def test_areas_are_as_large_as_their_weights_and_fill_the_whole(weights: tuple[int, ...]) -> None:
    found = areas(weights, 2.6)
    for area, weight in zip(found, weights, strict=True):
        assert area.width * area.height == pytest.approx(10000 * weight / sum(weights))
        assert area.left >= -1e-6 and area.left + area.width <= 100 + 1e-6
        assert area.top >= -1e-6 and area.top + area.height <= 100 + 1e-6
    for index, one in enumerate(found):
        for other in found[:index]:
            wide = min(one.left + one.width, other.left + other.width) - max(one.left, other.left)
            high = min(one.top + one.height, other.top + other.height) - max(one.top, other.top)
            assert wide < 1e-6 or high < 1e-6


def test_every_text_is_there_in_both_languages_with_the_same_values() -> None:
    english, chinese = catalogue()["en"], catalogue()["zh"]
    assert english.keys() == chinese.keys()
    for key, text in english.items():
        assert set(re.findall(r"\{\d\}", text)) == set(re.findall(r"\{\d\}", chinese[key])), key


def test_a_text_takes_its_values_as_they_are() -> None:
    assert said("en", "count.error", 1) == "1 error"
    assert said("en", "count.error", 0) == "0 errors"
    assert said("en", "made", "{1}", "<b>") == "Made {1} by depfix <b>"
    with pytest.raises(DataFileError):
        said("en", "no such text")


def test_the_kinds_of_nodes_edges_and_components_have_words() -> None:
    from depfix.model.inventory import ComponentKind

    known = catalogue()["en"]
    assert all(f"kind.{kind.value}" in known for kind in NodeKind)
    assert all(f"edge.{kind.words}" in known for kind in EdgeKind)
    assert all(f"component.{kind.value}" in known for kind in ComponentKind)


def test_libraries_are_what_npm_has() -> None:
    for library in libraries():
        assert hashlib.sha256(asset(library.file).encode()).hexdigest() == library.sha256
        assert library.integrity.startswith("sha512-")
        assert "Permission is hereby granted" in asset(library.licence_file)
        assert library.licence == "MIT"


def test_scripts_that_are_inlined_hold_nothing_that_ends_them() -> None:
    for name in (*(library.file for library in libraries()), "page.js", "look.js", "graph.js", "start.js"):
        text = asset(name)
        assert "</script" not in text.lower() and "<!--" not in text and "\r" not in text


def test_the_page_stands_alone_and_is_made_alike_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    graph, findings = big_graph(packages=3, modules=20, lacking=2)
    page = scan_html(material(findings, graph))
    assert page == scan_html(material(findings, graph))
    assert "2023-11-14 22:13 UTC" in page
    assert "default-src &#39;none&#39;" in page
    assert not re.search(r"""<(?:script|img|link|iframe)[^>]+(?:src|href)="?(?:https?:)?//""", page)
    assert not re.search(r"<[^>]+\son[a-z]+=", re.sub(r"<script.*?</script>", "", page, flags=re.DOTALL))


@pytest.mark.parametrize("epoch", ["", "soon", "9" * 30])
def test_a_moment_that_is_none_is_not_used(monkeypatch: pytest.MonkeyPatch, epoch: str) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", epoch)
    assert " UTC by depfix " in scan_html(material([]))


def test_names_that_are_no_text_are_written_out() -> None:
    finding = missing("a\u202ellun\x00\udc80.dll", ("app.exe",))
    page = scan_html(material([finding]))
    page.encode()
    assert "a\\u202ellun\\x00\\udc80.dll" in page
