"""DLLs that some load will not find: DF101, DF102, DF103, DF106, DF107, DF108, DF112; DF501 for unread manifests."""

from __future__ import annotations

from collections.abc import Iterator

from depfix.checks.abi import is_another_python
from depfix.checks.findings import confidence_of, finding, is_by_choice, locations_of, severity_of, surest_first
from depfix.checks.runtimes import is_debug
from depfix.closure.build import Closure
from depfix.closure.graph import Edge, EdgeKind, Node, NodeKind, chain_texts
from depfix.closure.world import World
from depfix.imports.uses import Strength
from depfix.knowledge.tables import VcRuntime, assemblies, debug_redistributables, vc_runtimes
from depfix.knowledge.targets import Feature
from depfix.loader.resolve import trail_texts
from depfix.model.finding import Confidence, Finding, Location, Severity
from depfix.model.image import Image
from depfix.model.names import fold
from depfix.wording.message import phrase

_DEBUG = phrase("it is the debug runtime, which only developers' machines have and nobody may ship")


def check_missing(closure: Closure) -> Iterator[Finding]:
    """Yield one finding for each DLL name that some load will not find.

    On a target that cannot run the program at all, nothing of Windows is looked for: DF105 has told that already.
    """
    runs = closure.world.system.target.runs(closure.world.dist.machine)
    needs: dict[tuple[Node, str], list[Edge]] = {}
    for edge in closure.graph.edges():
        if edge.target.kind is NodeKind.MISSING and not is_another_python(closure.world, edge):
            needs.setdefault((edge.target, edge.expected), []).append(edge)
    for (node, _), edges in needs.items():
        rows = surest_first(closure.graph, edges)
        if rows and (runs or closure.world.system.absence(node.name) is None):
            yield _missing(closure, node.name, rows)
    yield from _unread_manifests(closure)


def _unread_manifests(closure: Closure) -> Iterator[Finding]:
    """Yield DF501 for each side-by-side manifest of a reached image that cannot be read."""
    told = {fold(skipped.path) for skipped in closure.world.tree.skipped}
    for node in closure.graph.nodes():
        if node.kind not in (NodeKind.PROGRAM, NodeKind.IMAGE) or closure.graph.strength(node) is None:
            continue
        for path, reason in closure.world.manifests.unread(node.name):
            if fold(path) in told:
                continue
            told.add(fold(path))
            chain = chain_texts(closure.graph.chain(node), closure.graph.root)
            yield finding(
                "not-looked-at",
                path,
                phrase(
                    "{path}: {reason}; Windows refuses to load {node} with a manifest that it cannot read, and the "
                    "assemblies that this one names are unknown",
                    path=path,
                    reason=reason,
                    node=node.name,
                ),
                locations=(Location(path),),
                chain=chain if path == node.name else (*chain, path),
                identity="manifest",
            )


def _missing(closure: Closure, name: str, rows: list[tuple[Strength, Edge]]) -> Finding:
    elsewhere = copies_in_dist(closure.world, name)
    absence = closure.world.system.absence(name)

    def weight(row: tuple[Strength, Edge]) -> tuple[Severity, Confidence]:
        return _weight(_rule_name(closure.world, name, row[1], bool(elsewhere), absence), row[0], row[1], absence)

    deciding = min(rows, key=lambda row: (weight(row)[0].rank, _kind_rank(row[1].kind)))
    edge = deciding[1]
    severity, confidence = weight(deciding)
    if severity is Severity.ERROR and is_by_choice(closure, edge):
        severity, confidence = Severity.WARNING, Confidence.PROBABLE
    alike = [row for row in rows if row[1].kind is edge.kind]
    needing = [row[1] for row in (deciding, *alike, *rows)]
    surer = [each for each in needing if each.kind is not EdgeKind.NAMED]
    chain, last = chain_texts(closure.graph.chain(edge.source), closure.graph.root), _last_steps(edge, name)
    if len(last) > 1 and len(chain) > 1 and chain[-1] == edge.source.name:
        chain = chain[:-1]  # the place in its source says more than its name
    return finding(
        _rule_name(closure.world, name, edge, bool(elsewhere), absence),
        name,
        _message(closure.world, name, edge, elsewhere, absence, len({row[1].source for row in alike})),
        severity=severity,
        confidence=confidence,
        locations=locations_of(surer or needing),
        chain=(*chain, *last),
        trail=trail_texts(edge.trail),
        identity=edge.expected,
    )


def _kind_rank(kind: EdgeKind) -> int:
    return next(rank for rank, kinds in enumerate(_ORDER) if kind in kinds)


_ORDER = (
    (EdgeKind.STATIC, EdgeKind.FORWARD, EdgeKind.ASSEMBLY),
    (EdgeKind.LOAD,),
    (EdgeKind.FAMILY,),
    (EdgeKind.DELAY,),
    tuple(EdgeKind),
)


def _last_steps(edge: Edge, name: str) -> tuple[str, ...]:
    if edge.kind is EdgeKind.LOAD and edge.path:
        return (f"{edge.path}:{edge.line}", edge.expected or name)
    if edge.kind is EdgeKind.ASSEMBLY and edge.path:
        return (edge.path, name)
    return (name,)


def _rule_name(world: World, name: str, edge: Edge, elsewhere: bool, absence: Feature | None) -> str:
    runtime = vc_runtimes().get(name)
    if is_debug(world, name):
        return "debug-runtime"
    if edge.kind is EdgeKind.ASSEMBLY:
        brought_by = assemblies()[name].redistributable if name in assemblies() else ""
        if brought_by in debug_redistributables():
            return "debug-runtime"
        return "missing-vc-runtime" if brought_by else "missing-dll"
    of_assembly = _is_of_assembly(edge)
    if edge.expected and not of_assembly:
        return "missing-runtime-dll"
    if elsewhere:
        return "misplaced-dll"
    if absence is not None and not of_assembly:
        return "absent-on-target"
    if edge.kind is EdgeKind.DELAY:
        return "missing-delay-dll"
    if runtime is not None:
        return "missing-vc-runtime"
    return "missing-dll" if edge.kind in _ORDER[0] else "missing-runtime-dll"


def _is_of_assembly(edge: Edge) -> bool:
    """Return True if a side-by-side assembly says where the DLL is: no other place counts then."""
    return bool(edge.expected) and edge.kind in (EdgeKind.STATIC, EdgeKind.FORWARD, EdgeKind.DELAY)


def _weight(rule_name: str, strength: Strength, edge: Edge, absence: Feature | None) -> tuple[Severity, Confidence]:
    if edge.kind is EdgeKind.NAMED:
        if strength >= Strength.PROBABLE:
            return Severity.WARNING, Confidence.PROBABLE
        return Severity.INFO, Confidence.POSSIBLE
    if edge.kind is EdgeKind.LOAD and edge.strength is not Strength.REQUIRED and not edge.note:
        return Severity.INFO, Confidence.POSSIBLE  # such code copes, or may never run
    if edge.kind is EdgeKind.DELAY:
        return Severity.WARNING, confidence_of(strength)
    if rule_name == "misplaced-dll" and edge.unsure:
        return Severity.WARNING, Confidence.POSSIBLE  # code inside the program may add its folder
    if rule_name == "absent-on-target" and absence is not None and absence.kind == "driver":
        return Severity.WARNING, confidence_of(strength)  # who has the device has the driver
    if rule_name == "absent-on-target" and absence is not None and not absence.sure:
        severity = Severity.INFO if strength is Strength.POSSIBLE else Severity.WARNING
        return severity, confidence_of(min(strength, Strength.PROBABLE))
    if edge.kind is EdgeKind.FAMILY:
        return severity_of(strength), confidence_of(min(strength, Strength.PROBABLE))
    return severity_of(strength), confidence_of(strength)


def copies_in_dist(world: World, name: str) -> tuple[str, ...]:
    """Return the dist-relative paths of loadable files of that name, wherever they lie."""
    found = []
    for entry in world.tree.named(name):
        image = world.facts.image(entry)
        if isinstance(image, Image) and world.images.fits(image):
            found.append(entry.path)
    return tuple(found)


def _message(
    world: World, name: str, edge: Edge, elsewhere: tuple[str, ...], absence: Feature | None, count: int
) -> str:
    windows = world.system.target.words
    who = edge.path or edge.source.name
    others = phrase(" (and {count} more need it)", count=count - 1) if count > 1 else ""
    verb = phrase("loads") if edge.kind is EdgeKind.LOAD else edge.kind.words
    note = phrase("; {note}", note=edge.note) if edge.note else ""
    if edge.kind is EdgeKind.ASSEMBLY:
        return phrase(
            "{who} {verb} {name}{others}{words}",
            who=who,
            verb=verb,
            name=name,
            others=others,
            words=_assembly_words(name, edge, windows),
        )
    if _is_of_assembly(edge):
        there = (
            phrase("; a copy is at {elsewhere}, where it does not count", elsewhere=elsewhere[0]) if elsewhere else ""
        )
        return phrase(
            "{who} {verb} it{others}; an assembly has it at {expected}, which is not there{there}",
            who=who,
            verb=verb,
            others=others,
            expected=edge.expected,
            there=there,
        )
    if edge.expected:
        return phrase(
            "{who} loads {expected}, which is not there{others}{note}",
            who=who,
            expected=edge.expected,
            others=others,
            note=note,
        )
    if is_debug(world, name):
        return phrase("{who} {verb} it{others}; {debug}", who=who, verb=verb, others=others, debug=_DEBUG)
    where = "".join(elsewhere[:1])
    if elsewhere and edge.unsure:
        return phrase(
            "{who} {verb} it{others}; it is at {where}, found only if code inside the program adds that folder",
            who=who,
            verb=verb,
            others=others,
            where=where,
        )
    if elsewhere:
        return phrase(
            "{who} {verb} it{others}; it is at {where}, where this load does not look{note}",
            who=who,
            verb=verb,
            others=others,
            where=where,
            note=note,
        )
    if absence is not None:
        lacks = phrase("{windows} does not have it", windows=windows)
        if not absence.sure:
            lacks = phrase("{windows} may lack it", windows=windows)
        told = phrase(
            "{who} {verb} it{others}; {lacks}: it comes with {feature}",
            who=who,
            verb=verb,
            others=others,
            lacks=lacks,
            feature=absence.words,
        )
        return _without_driver(told, edge.kind, who) if absence.kind == "driver" else told
    runtime = vc_runtimes().get(name)
    if runtime is not None:
        return phrase(
            "{who} {verb} it{others}; {runtime}",
            who=who,
            verb=verb,
            others=others,
            runtime=_runtime_words(runtime, windows),
        )
    return phrase(
        "{who} {verb} it{others}; it is neither in the dist nor in {windows}{note}",
        who=who,
        verb=verb,
        others=others,
        windows=windows,
        note=note,
    )


def _without_driver(told: str, kind: EdgeKind, who: str) -> str:
    """Add what becomes of a load where the device is absent, and with it its driver."""
    if kind is EdgeKind.STATIC:
        return phrase(
            "{told}, which must not be carried along; where it is absent {who} does not load", told=told, who=who
        )
    if kind is EdgeKind.DELAY:
        return phrase(
            "{told}, which must not be carried along; where it is absent {who} loads, and fails when it first uses it",
            told=told,
            who=who,
        )
    if kind is EdgeKind.LOAD:
        return phrase(
            "{told}, which must not be carried along; where it is absent this load fails, as it does without a device",
            told=told,
        )
    return told


def _assembly_words(name: str, edge: Edge, windows: str) -> str:
    if edge.note:
        return phrase(", and {note}", note=edge.note)
    words = phrase(
        ", and neither {windows} nor the folder of {source} has its manifest", windows=windows, source=edge.source.name
    )
    brought_by = assemblies()[name].redistributable if name in assemblies() else ""
    if brought_by in debug_redistributables():
        return phrase(
            "{words}: it is the debug runtime, which only developers' machines have and nobody may ship", words=words
        )
    return phrase("{words}: it belongs to {brought_by}", words=words, brought_by=brought_by) if brought_by else words


def _runtime_words(runtime: VcRuntime, windows: str) -> str:
    if runtime.kind == "tools":
        return phrase(
            "it comes with {redistributable}, and no redistributable has it", redistributable=runtime.redistributable
        )
    return phrase(
        "it belongs to {redistributable}, which {windows} does not have by itself",
        redistributable=runtime.redistributable,
        windows=windows,
    )
