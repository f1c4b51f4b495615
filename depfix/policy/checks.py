"""DF701 over-budget, DF702 forbidden-dll, DF703 forbidden-licence, DF704 unsigned-file: what a policy asks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase

from depfix.checks.findings import finding
from depfix.closure.graph import Graph, Node, NodeKind, chain_texts
from depfix.dist.tree import FileEntry, Tree
from depfix.knowledge.redistribution import redistribution
from depfix.model.finding import Finding, Location, Severity
from depfix.model.inventory import Component, ComponentKind, Inventory
from depfix.model.names import base_name, fold
from depfix.pe.authenticode import Signature, read_signing
from depfix.policy.globs import first_match, matches
from depfix.policy.licences import Licences
from depfix.policy.values import Policy
from depfix.reports.words import count, size
from depfix.wording.message import phrase

_MOST_NAMED = 4


@dataclass(frozen=True, slots=True)
class Shipped:
    """What is judged: the files of a dist, who needs them, and the inventory if the policy asks for it."""

    tree: Tree
    graph: Graph | None = None
    inventory: Inventory | None = None


def check_policy(policy: Policy, shipped: Shipped) -> tuple[Finding, ...]:
    """Return what a policy objects to in a dist, without those of ignored rules."""
    found = [
        *_over_budget(policy, shipped),
        *_components_over_budget(policy, shipped),
        *_dlls(policy, shipped),
        *_licences(policy, shipped),
        *_signatures(policy, shipped),
    ]
    return tuple(one for one in found if one.rule not in policy.ignore)


# --- budgets ---


def _over_budget(policy: Policy, shipped: Shipped) -> Iterator[Finding]:
    entries = list(shipped.tree)
    budgets = policy.budgets
    total = sum(entry.size for entry in entries)
    if budgets.size is not None and total > budgets.size:
        largest = _largest(entries, by_size=True)
        message = phrase(
            "the dist has {size}, {size2} more than the {size3} allowed",
            size=size(total),
            size2=size(total - budgets.size),
            size3=size(budgets.size),
        )
        place = policy.place("budgets")
        yield finding(
            "over-budget",
            "size",
            phrase("{message}; most of it is {largest}", message=message, largest=largest),
            locations=place,
        )
    if budgets.files is not None and len(entries) > budgets.files:
        largest = _largest(entries, by_size=False)
        message = phrase(
            "the dist has {number:,} files, {number2:,} more than allowed",
            number=len(entries),
            number2=len(entries) - budgets.files,
        )
        place = policy.place("budgets")
        yield finding(
            "over-budget",
            "files",
            phrase("{message}; most of them are in {largest}", message=message, largest=largest),
            locations=place,
        )


def _components_over_budget(policy: Policy, shipped: Shipped) -> Iterator[Finding]:
    for component in shipped.inventory.components if shipped.inventory is not None else ():
        for pattern, limit in policy.budgets.components:
            if component.size > limit and fnmatchcase(component.name.lower(), pattern.lower()):
                yield _component(policy, component, limit)
                break


def _component(policy: Policy, component: Component, limit: int) -> Finding:
    files = count(len(component.files), "file")
    return finding(
        "over-budget",
        component.name,
        phrase(
            "{component} has {size} in {files}; {size2} are allowed",
            component=component,
            size=size(component.size),
            files=files,
            size2=size(limit),
        ),
        locations=policy.place("budgets"),
        chain=component.chain,
        identity="component",
    )


def _largest(entries: list[FileEntry], *, by_size: bool) -> str:
    total: Counter[str] = Counter()
    for entry in entries:
        folder, slash, _ = entry.path.partition("/")
        total[folder + slash] += entry.size if by_size else 1
    rows = sorted(total.items(), key=lambda row: (-row[1], row[0]))[:_MOST_NAMED]
    return ", ".join(f"{name} ({size(number) if by_size else f'{number:,}'})" for name, number in rows)


# --- DLLs ---


def _dlls(policy: Policy, shipped: Shipped) -> Iterator[Finding]:
    for entry in shipped.tree.images():
        pattern = first_match(policy.forbid_dlls, entry.path)
        if pattern:
            yield _dll(shipped, entry, phrase('the policy forbids it: forbid-dlls has "{pattern}"', pattern=pattern))
        elif policy.allow_dlls and fold(entry.name).endswith(".dll") and not first_match(policy.allow_dlls, entry.path):
            yield _dll(shipped, entry, phrase("it is not among those that allow-dlls of the policy names"))


def _dll(shipped: Shipped, entry: FileEntry, words: str) -> Finding:
    chain = _chain(shipped.graph, entry)
    needed = "" if chain else phrase("; nothing that depfix can see needs it")
    place = (Location(entry.path),)
    return finding(
        "forbidden-dll",
        entry.path,
        phrase("{path} is shipped, and {words}{needed}", path=entry.path, words=words, needed=needed),
        locations=place,
        chain=chain,
    )


def _chain(graph: Graph | None, entry: FileEntry) -> tuple[str, ...]:
    """Return the steps from the program to a file, empty if nothing is known to need it."""
    if graph is None:
        return ()
    wanted = fold(entry.path)
    nodes = [
        one for one in graph.nodes() if one.kind in (NodeKind.IMAGE, NodeKind.PROGRAM) and fold(one.name) == wanted
    ]
    return _steps(graph, nodes[0]) if nodes else ()


def _steps(graph: Graph, node: Node) -> tuple[str, ...]:
    chain = graph.chain(node)
    return chain_texts(chain, graph.root) if chain else ()


# --- licences ---


def _licences(policy: Policy, shipped: Shipped) -> Iterator[Finding]:
    if shipped.inventory is None or not (policy.allow_licences or policy.forbid_licences):
        return
    licences = Licences(policy.allow_licences, policy.forbid_licences)
    for component in shipped.inventory.components:
        if component.kind is not ComponentKind.PROGRAM and not licences.permits(component.licence):
            yield _licence(component)
        for file in component.files:
            inner = file.identity
            if inner is not None and inner.licence and not licences.permits(inner.licence):
                message = phrase(
                    "{inner} in {component} is under {licence}, which the policy does not allow",
                    inner=inner,
                    component=component,
                    licence=inner.licence,
                )
                place = (Location(file.path),)
                yield finding("forbidden-licence", file.path, message, locations=place, identity=inner.licence)


def _licence(component: Component) -> Finding:
    if component.licence:
        message = phrase(
            "{component} is under {licence}, which the policy does not allow",
            component=component,
            licence=component.licence,
        )
    else:
        message = phrase(
            "nothing says under which licence {component} is, and the policy allows only some{terms}",
            component=component,
            terms=_terms(component),
        )
    places = tuple(Location(file.path) for file in component.files[:_MOST_NAMED])
    told = component.licence or "unknown"
    return finding(
        "forbidden-licence",
        component.name,
        phrase("{message} (known by: {evidence})", message=message, evidence=component.evidence),
        locations=places,
        chain=component.chain,
        identity=told,
    )


def _terms(component: Component) -> str:
    """Return where the terms stand under which the DLLs of a known product are passed on."""
    known = (redistribution(fold(base_name(file.path)), component.supplier) for file in component.files)
    found = next(filter(None, known), None)
    return (
        phrase("; on what terms it is passed on stands at {source}", source=found.source) if found is not None else ""
    )


# --- signatures ---


def _signatures(policy: Policy, shipped: Shipped) -> Iterator[Finding]:
    images = shipped.tree.images()
    for pattern in policy.require_signature:
        if not any(matches(pattern, entry.path) for entry in images):
            message = phrase(
                'require-signature of the policy has "{pattern}", and no image of the dist is called so',
                pattern=pattern,
            )
            place = policy.place("require-signature")
            yield finding(
                "unsigned-file", pattern, message, severity=Severity.WARNING, locations=place, identity="nothing"
            )
    for entry in images:
        words = _unsigned(entry) if first_match(policy.require_signature, entry.path) else ""
        if words:
            message = phrase("{path} has to be signed, and {words}", path=entry.path, words=words)
            yield finding("unsigned-file", entry.path, message, locations=(Location(entry.path),))


def _unsigned(entry: FileEntry) -> str:
    """Return why an image does not count as signed, an empty string if it does."""
    signing = read_signing(entry.source)
    if signing.state is Signature.INTACT:
        return ""
    return signing.reason or phrase("it has no signature")
