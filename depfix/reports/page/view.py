"""What the page shows of a report, laid out for its template."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from depfix.errors import UnknownRuleError
from depfix.knowledge.rules import Rule, rule
from depfix.model.finding import Finding, Severity
from depfix.model.inventory import Component, Inventory, InventoryFile
from depfix.model.names import fold
from depfix.model.report import Report
from depfix.model.shell import quoted
from depfix.reports.page.routes import without_line
from depfix.reports.page.treemap import Area, areas

if TYPE_CHECKING:
    from depfix.reports.forms import Material

_ASPECT = 2.6
_MOST_TILES = 40
_LEAST_SHARE = 0.002
_MOST_FILES = 10


@dataclass(frozen=True, slots=True)
class Card:
    """A finding with its number on the page, the component that it is in, and the command that cures it, if any."""

    number: int
    finding: Finding
    component: str
    repair: str


@dataclass(frozen=True, slots=True)
class Next:
    """What to type next: a command, and the key of the words that say what it does."""

    command: str
    words: str


@dataclass(frozen=True, slots=True)
class Tile:
    """An area of the picture of sizes. Without a component it stands for `others` small ones."""

    area: Area
    name: str
    kind: str
    size: int
    share: float
    others: int = 0


@dataclass(frozen=True, slots=True)
class Row:
    """A component in the table; `largest` are the first of its files by size, `share` is of the whole."""

    component: Component
    largest: tuple[InventoryFile, ...]
    share: float


def cards(report: Report, inventory: Inventory | None) -> tuple[Card, ...]:
    """Return the findings of a report in its order."""
    owners = _owners(inventory)
    repair = repair_command(report)
    return tuple(
        Card(number, finding, _component(finding, owners), repair if finding.fix else "")
        for number, finding in enumerate(report.findings)
    )


def repair_command(report: Report) -> str:
    """Return the command that repairs the dist from the environments that were asked."""
    options = "".join(f" --env {quoted(one.spec)}" for one in report.environments)
    return f"depfix repair {quoted(report.dist.root)}{options}"


def what_next(report: Report) -> Next:
    """Return what to type after a scan."""
    root = quoted(report.dist.root)
    if any(finding.fix for finding in report.findings):
        return Next(repair_command(report), "next.repair")
    serious = [finding for finding in report.findings if finding.severity is not Severity.INFO]
    if not serious:
        return Next(f"depfix verify {root}", "next.verify")
    if report.environments and all(finding.no_fix for finding in serious):
        return Next(f"depfix explain {serious[0].rule}", "next.why")
    return Next(f"depfix repair {root} --env conda:NAME", "next.environment")


def verdict_key(material: Material) -> str:
    """Return the key of the words for how a scan or audit ended."""
    if material.verdict.failed:
        return "failed"
    report = material.report
    return "passed" if report.count(Severity.ERROR) or report.count(Severity.WARNING) else "clean"


def broken_rules(findings: Iterable[Finding]) -> tuple[Rule, ...]:
    """Return the rules of these findings in the order of their codes; an extension's are not in the catalogue."""
    codes = sorted({finding.rule for finding in findings})
    return tuple(entry for entry in map(_rule, codes) if entry is not None)


def _rule(code: str) -> Rule | None:
    try:
        return rule(code)
    except UnknownRuleError:
        return None


def choices(values: Iterable[str]) -> tuple[tuple[str, int], ...]:
    """Return (value, how many) for a filter."""
    return tuple(sorted(Counter(values).items()))


def tiles(inventory: Inventory) -> tuple[Tile, ...]:
    """Return the areas of the picture of sizes; what is too small to be seen is one area."""
    sized = sorted((one for one in inventory.components if one.size), key=lambda one: -one.size)
    total = sum(one.size for one in sized)
    shown = [one for one in sized[:_MOST_TILES] if one.size >= total * _LEAST_SHARE]
    small = sized[len(shown) :]
    rest = sum(one.size for one in small)
    drawn = [(one.size, str(one), one.kind.value, 0) for one in shown]
    if small:
        drawn.append((rest, "", "others", len(small)))
        drawn.sort(key=lambda row: -row[0])
    spots = areas([row[0] for row in drawn], _ASPECT) if drawn else ()
    return tuple(
        Tile(spot, name, kind, size, size / total, others)
        for spot, (size, name, kind, others) in zip(spots, drawn, strict=True)
    )


def rows(inventory: Inventory) -> tuple[Row, ...]:
    """Return the components for the table."""
    total = inventory.size or 1
    return tuple(Row(one, _largest(one.files), one.size / total) for one in inventory.components)


def _largest(files: Sequence[InventoryFile]) -> tuple[InventoryFile, ...]:
    return tuple(sorted(files, key=lambda file: (-file.size, file.path))[:_MOST_FILES])


def _owners(inventory: Inventory | None) -> Mapping[str, str]:
    if inventory is None:
        return {}
    return {fold(file.path): component.name for component in inventory.components for file in component.files}


def _component(finding: Finding, owners: Mapping[str, str]) -> str:
    """Return the component whose file is wrong, or needs what is missing; empty if none is told."""
    places = [place.path for place in finding.locations]
    steps = [without_line(step) for step in reversed(finding.chain)]
    return next((owners[fold(path)] for path in (*places, *steps) if fold(path) in owners), "")
