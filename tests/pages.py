"""What tests of the HTML report share: made-up reports and graphs of any size, and a browser that tells what happens."""

from __future__ import annotations

import time
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from depfix.closure.graph import Edge, EdgeKind, Graph, Node, NodeKind
from depfix.imports.uses import Strength
from depfix.model.audit import Accepted, Verdict
from depfix.model.finding import Confidence, Finding, Fix, Location, Severity
from depfix.model.inventory import Component, ComponentKind, Inventory, InventoryFile
from depfix.model.report import DistSummary, EnvironmentSummary, Report
from depfix.reports.forms import Material
from fixtures.windows_lab import download

ROOT = Node(NodeKind.PROGRAM, "app.exe")
CHROMIUM = "/usr/bin/chromium"
ARGUMENTS = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync"
).split()
AXE = "axe-playwright-python==0.1.7"  # carries Deque's axe-core 4.11, which checks pages for accessibility


def need(graph: Graph, source: Node, target: Node, kind: EdgeKind = EdgeKind.IMPORT, **more: Any) -> Node:
    """Add an edge that is sure to be needed, and return its target."""
    graph.add(Edge(source, target, kind, more.pop("strength", Strength.REQUIRED), **more))
    return target


def missing(subject: str, chain: Sequence[str] = (), **more: Any) -> Finding:
    """Return a finding about a DLL that is missing."""
    values: dict[str, Any] = {
        "rule": "DF101",
        "name": "missing-dll",
        "severity": Severity.ERROR,
        "confidence": Confidence.CERTAIN,
        "message": f"{chain[-1] if chain else 'app.exe'} imports it; it is neither in the dist nor in Windows 10",
        "locations": (Location(chain[-1] if chain else "app.exe"),),
    }
    return Finding(subject=subject, chain=(*chain, subject), **values | more)


def big_graph(packages: int, modules: int, lacking: int) -> tuple[Graph, list[Finding]]:
    """Return a graph of packages with many modules each, `lacking` of which have a .pyd whose DLL is missing."""
    graph = Graph(ROOT)
    findings = []
    for package in range(packages):
        top = need(graph, ROOT, Node(NodeKind.MODULE, f"package{package}"), path="main.py", line=package + 1)
        above = top
        for module in range(modules):
            node = need(graph, above, Node(NodeKind.MODULE, f"package{package}.part{module}"))
            need(graph, node, Node(NodeKind.MODULE, f"package{(package + 1) % packages}.part{module // 2}"))
            need(graph, node, Node(NodeKind.SYSTEM, "kernel32.dll"), EdgeKind.STATIC)
            above = node if module % 7 == 0 else top
            if module < lacking:
                file = f"package{package}/part{module}.pyd"
                image = need(graph, node, Node(NodeKind.IMAGE, file), EdgeKind.FILE)
                name = f"helper{package}_{module}.dll"
                need(graph, image, Node(NodeKind.MISSING, name), EdgeKind.STATIC)
                findings.append(missing(name, ("app.exe", f"package{package}/__init__.py:3", file)))
    graph.settle()
    return graph, findings


def inventory(count: int = 12) -> Inventory:
    """Return an inventory of components of every kind, the largest first."""
    kinds = tuple(ComponentKind)
    rows = [
        Component(
            kinds[number % len(kinds)],
            f"component{number}",
            f"1.{number}",
            "MIT" if number % 2 else "",
            f"component{number}-1.{number}.dist-info",
            tuple(
                InventoryFile(f"package{number}/file{each}.py", 90_000_000 // (number + 1) ** 2 // 3, "0" * 64, False)
                for each in range(3)
            ),
            ("app.exe", "main.py:1", f"package{number}/__init__.py:2"),
        )
        for number in range(count)
    ]
    return Inventory(tuple(rows))


def material(findings: Sequence[Finding], graph: Graph | None = None, **more: Any) -> Material:
    """Return what a form is made from, for these findings."""
    summary = DistSummary("build/main.dist", "nuitka", "Nuitka 2.8", "3.10", "amd64", ("app.exe",), 900, 40)
    environment = EnvironmentSummary("conda:app", "/envs/app", "conda", "3.10")
    report = Report(summary, "win10", "Windows 10", "entry", (environment,), tuple(findings), inside="are 12 modules")
    values: dict[str, Any] = {"inventory": inventory(), "graph": graph}
    return Material(report, Verdict(bool(findings), "error"), **values | more)


def accepted(finding: Finding) -> Accepted:
    return Accepted(finding, "depfix.toml", "the customer's driver brings it", "2027-03-31")


def fix(name: str) -> Fix:
    return Fix("copy", f"/envs/app/Library/bin/{name}", name, "helper 1.2.3 (conda)", "needed by two packages")


@dataclass
class Opened:
    """A page in a browser, with all that went wrong in it and all that it asked for."""

    page: Any
    problems: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)


@contextmanager
def opened(browser: Any, file: Path, **options: Any) -> Iterator[Opened]:
    """Open a file as a user would, in a window of its own with these options; nothing may go wrong in it."""
    context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}, "locale": "en-GB"} | options)
    context.set_default_timeout(120_000)  # on a machine that has more to do
    seen = Opened(context.new_page())
    seen.page.on("console", lambda message: seen.problems.append(f"{message.type}: {message.text}"))
    seen.page.on("pageerror", lambda error: seen.problems.append(str(error)))
    seen.page.on("request", lambda request: seen.requests.append(request.url))
    try:
        seen.page.goto(file.as_uri())
        yield seen
    finally:
        context.close()
    assert seen.problems == []
    assert [url for url in seen.requests if not url.startswith(("file:", "data:"))] == []


def until(page: Any, expression: str) -> None:
    """Wait until an expression is true; the page's policy forbids Playwright's own way, which evaluates text there."""
    ending = time.monotonic() + 120
    while not page.evaluate(expression):
        assert time.monotonic() < ending, expression
        page.wait_for_timeout(50)


def axe_script() -> str:
    """Return axe-core as a script."""
    with zipfile.ZipFile(download(AXE)) as wheel:
        return wheel.read("axe_playwright_python/axe.min.js").decode()
