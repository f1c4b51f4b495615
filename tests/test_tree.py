"""`depfix tree`, and `depfix why` for what it shows."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from importlib.resources import files
from itertools import pairwise
from pathlib import Path
from typing import Any

import jsonschema
import networkx
import pytest

from depfix.closure.graph import Edge, EdgeKind, Graph, Node, NodeKind
from depfix.imports.uses import Strength
from depfix.pipeline import Options, tree
from depfix.reports.text import Line
from depfix.reports.tree import tree_json, tree_lines, tree_value
from fixtures.windows_lab import lay_out_flat
from tests.conftest import Cli, DistMaker, Forge, put

Run = Callable[..., Cli]


@pytest.fixture
def dist(make_dist: DistMaker) -> Path:
    return make_dist(
        {"pkg/core.pyd": ("need.dll", "shared.dll", "KERNEL32.dll"), "pkg/fast.pyd": ("shared.dll",), "shared.dll": ()},
        {"pkg/__init__.py": "from . import core\ntry:\n    from . import fast\nexcept ImportError:\n    pass\n"},
    )


# --- on a dist ---


def test_the_tree_of_a_program(cli: Run, dist: Path) -> None:
    shown = cli("tree", dist)
    assert shown.code == 0
    assert shown.err == ""
    lines = shown.out.splitlines()
    windows = [line for line in lines if "`-- of Windows: " in line]
    assert len(windows) == 5
    assert [line for line in lines if line not in windows] == [
        "app.exe",
        "|-- imports python310.dll",
        "|-- starts with pkg",
        "|   |-- imports pkg.core   (pkg/__init__.py:1)",
        "|   |   `-- is the file pkg/core.pyd",
        "|   |       |-- imports shared.dll",
        "|   |       |-- imports need.dll   [MISSING]",
        "|   `-- imports pkg.fast   (pkg/__init__.py:3)   [optional]",
        "|       `-- is the file pkg/fast.pyd",
        "|           |-- imports shared.dll   [see above]",
    ]


def test_depth_says_what_it_leaves_out(cli: Run, dist: Path) -> None:
    one = cli("tree", dist, "pkg", "--depth", 1).out.splitlines()
    assert one == [
        "pkg",
        "|-- imports pkg.core   (pkg/__init__.py:1)   [1 need not shown]",
        "`-- imports pkg.fast   (pkg/__init__.py:3)   [optional, 1 need not shown]",
    ]
    assert cli("tree", dist, "pkg", "--depth", 0).out.splitlines() == ["pkg", "`-- 2 needs not shown"]
    assert cli("tree", dist, "--depth", -1).code == 2


@pytest.mark.parametrize("name", ["core.pyd", "pkg/core.pyd", "PKG\\Core.pyd"])
def test_the_tree_of_one_file(cli: Run, dist: Path, name: str) -> None:
    shown = cli("tree", dist, name).out.splitlines()
    assert shown[0] == "pkg/core.pyd"
    assert "|-- imports need.dll   [MISSING]" in shown
    assert not [line for line in shown if "pkg.core" in line]


def test_the_tree_of_a_missing_dll_and_of_a_module(cli: Run, dist: Path) -> None:
    assert cli("tree", dist, "need.dll").out == "need.dll  MISSING\n"
    assert cli("tree", dist, "kernel32.dll").out == "kernel32.dll  part of Windows\n"
    assert cli("tree", dist, "pkg.core").out.splitlines()[1] == "`-- is the file pkg/core.pyd"


def test_a_name_that_nothing_bears(cli: Run, dist: Path, forge: Forge) -> None:
    refused = cli("tree", dist, "ned.dll")
    assert refused.code == 2
    assert "nothing in the dist is called ned.dll" in refused.err
    assert "hint: did you mean need.dll" in refused.err
    put(forge("alone.dll"), dist / "alone.dll")
    assert "nothing that depfix can see needs it" in cli("tree", dist, "alone.dll").out
    assert cli("tree", dist.parent / "gone").code == 2


def test_the_tree_below_a_script(cli: Run, dist: Path, tmp_path: Path) -> None:
    script = tmp_path / "main.py"
    script.write_text("def later():\n    import pkg.fast\n\nlater()\nimport pkg.gone\n")
    shown = cli("tree", dist, "main.py", "--entry", script).out
    assert re.match(r"<.*main\.py>\n", shown)
    assert re.search(r"imports pkg\.fast   \(.*main\.py:2\)", shown)
    assert re.search(r"imports pkg\.gone   \(.*main\.py:5\)   \[MISSING\]", shown)
    why = cli("why", dist, "pkg.gone", "--entry", script)
    assert why.code == 0
    assert "pkg.gone  a missing module" in why.out
    assert re.search(r"imports pkg\.gone   \(.*main\.py:5\)", why.out)


def test_json_and_a_file(cli: Run, dist: Path, tmp_path: Path) -> None:
    out = tmp_path / "tree.json"
    assert cli("tree", dist, "--format", "json", "-o", out).out == ""
    value = json.loads(out.read_text("utf-8"))
    assert value == json.loads(cli("tree", dist, "--format", "json").out)
    checked(value)
    names = [node["name"] for node in value["nodes"]]
    core = value["nodes"][names.index("pkg.core")]
    assert core["depth"] == 2
    assert value["nodes"][core["needs"][0]["node"]]["name"] == "pkg/core.pyd"
    need = next(row for row in value["nodes"][names.index("pkg")]["needs"] if row["strength"] == "optional")
    assert (need["path"], need["line"], need["how"]) == ("pkg/__init__.py", 3, "import")
    assert {node["kind"] for node in value["nodes"]} >= {"program", "module", "image", "system", "missing"}
    text = tmp_path / "tree.txt"
    cli("tree", dist, "-o", text)
    assert text.read_text("utf-8") == cli("tree", dist).out
    assert cli("tree", dist, "-o", tmp_path / "no" / "such").code == 3


def checked(value: dict[str, Any]) -> None:
    """Assert that a tree fits its schema, and that every node of it stands there once."""
    jsonschema.validate(value, json.loads((files("depfix.reports") / "schema" / "tree.schema.json").read_text("utf-8")))
    rows = [(node["kind"], node["name"]) for node in value["nodes"]]
    assert len(rows) == len(set(rows))
    assert all(need["node"] < len(rows) for node in value["nodes"] for need in node["needs"])


# --- on a real one ---


def test_the_tree_of_a_real_dist(tmp_path: Path) -> None:
    root = lay_out_flat(tmp_path / "dist", ("shapely==2.0.7",))
    (library,) = root.glob("shapely.libs/geos-*.dll")
    library.unlink()
    graph, tops = tree(str(root), "", Options(environ={}))
    lines = [line.lead + line.text for line in tree_lines(graph, tops, "")]
    (user,) = (node for node in graph.nodes() if node.name.startswith("shapely.libs/geos_c"))
    alone = [line.lead + line.text for line in tree_lines(graph, [user], "", 1)]
    assert alone[0] == user.name
    assert f"|-- imports {library.name.lower()}   [MISSING]" in alone
    assert any(line.endswith(f"imports {library.name.lower()}   [MISSING]") for line in lines)
    assert any(f"imports {user.name}" in line and "[see" not in line for line in lines)
    assert any(re.search(r"imports shapely\.\w+   \(shapely/\S+\.py:\d+\)", line) for line in lines)
    reached = {graph.root, *networkx.descendants(graph.digraph(), graph.root)}
    value = tree_value(graph, tops)
    checked(value)
    assert {(node["kind"], node["name"]) for node in value["nodes"]} == {(one.kind.value, one.name) for one in reached}  # type: ignore[attr-defined]
    text = "\n".join(lines)
    assert not [node for node in reached if node.name not in text]
    expanded = [line.split("is the file ")[1] for line in lines if "is the file" in line and "[see" not in line]
    assert len(expanded) == len(set(expanded)) > 10


# --- on drawn graphs ---


def module(name: str) -> Node:
    return Node(NodeKind.MODULE, name)


def drawn(*rows: tuple[str, str], strength: Strength = Strength.REQUIRED) -> Graph:
    graph = Graph(Node(NodeKind.PROGRAM, "app.exe"))
    for source, target in rows:
        start = graph.root if source == "app.exe" else module(source)
        graph.add(Edge(start, module(target), EdgeKind.IMPORT, strength, path=f"{source}.py", line=1))
    graph.settle()
    return graph


def texts(graph: Graph, most: int | None = None) -> list[str]:
    return [f"{line.lead}{line.text}" for line in tree_lines(graph, [graph.root], "", most)]


def test_a_node_is_expanded_where_it_is_nearest_to_the_program() -> None:
    graph = drawn(("app.exe", "a"), ("a", "b"), ("b", "c"), ("c", "d"), ("app.exe", "c"), ("d", "a"))
    assert texts(graph) == [
        "app.exe",
        "|-- imports a   (app.exe.py:1)",
        "|   `-- imports b   (a.py:1)",
        "|       `-- imports c   (b.py:1)   [see below]",
        "`-- imports c   (app.exe.py:1)",
        "    `-- imports d   (c.py:1)",
        "        `-- imports a   (d.py:1)   [see above]",
    ]


def test_what_the_depth_cuts_off_is_not_referred_to() -> None:
    graph = drawn(("app.exe", "a"), ("a", "b"), ("b", "c"), ("c", "a"))
    assert texts(graph, 2)[-1] == "    `-- imports b   (a.py:1)   [1 need not shown]"
    value = tree_value(graph, [graph.root], 2)
    assert [(node["name"], len(node["needs"]), node["more"]) for node in value["nodes"]] == [  # type: ignore[attr-defined]
        ("app.exe", 1, 0),
        ("a", 1, 0),
        ("b", 0, 1),
    ]


def test_of_two_needs_for_one_target_the_surest_is_shown() -> None:
    graph = drawn(("app.exe", "a"))
    for strength, line in ((Strength.POSSIBLE, 3), (Strength.PROBABLE, 4)):
        graph.add(Edge(module("a"), module("b"), EdgeKind.HIDDEN, strength, asked=str(line), path="a.py", line=line))
    graph.add(Edge(module("a"), module("a"), EdgeKind.IMPORT, Strength.REQUIRED))
    graph.add(Edge(module("a"), module("c"), EdgeKind.HIDDEN, Strength.POSSIBLE))
    graph.settle()
    assert texts(graph)[2:] == ["    |-- may import b   (a.py:4)", "    `-- may import c   [possible]"]


def test_a_very_long_chain_and_many_needs() -> None:
    names = ["app.exe", *(f"m{number}" for number in range(3000))]
    graph = drawn(*pairwise(names))
    assert len(texts(graph)) == 3001
    assert json.loads(tree_json(graph, [graph.root]))["nodes"][-1]["depth"] == 3000
    wide = drawn(*(("app.exe", f"m{number}") for number in range(3000)))
    assert len(texts(wide)) == 3001


def test_names_that_are_no_text_survive() -> None:
    graph = drawn(("app.exe", "a\udcff"))
    assert "a\\udcff" in tree_json(graph, [graph.root]) or "\udcff" not in tree_json(graph, [graph.root])


def test_missing_needs_are_coloured() -> None:
    graph = drawn(("app.exe", "a"))
    graph.add(Edge(module("a"), Node(NodeKind.MISSING, "x.dll"), EdgeKind.STATIC, Strength.REQUIRED))
    graph.add(Edge(module("a"), Node(NodeKind.NO_MODULE, "a.x"), EdgeKind.IMPORT, Strength.OPTIONAL))
    graph.settle()
    lines = list(tree_lines(graph, [graph.root], ""))
    assert lines[2:] == [
        Line("", "    |-- imports x.dll   [MISSING]", "red"),
        Line("", "    `-- imports a.x   [MISSING, optional]", "yellow"),
    ]
