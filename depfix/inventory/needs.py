"""Who needs which component: the surest and shortest chain to each, and which components need which."""

from __future__ import annotations

from depfix.closure.build import Closure
from depfix.closure.graph import Edge, Graph, Node, NodeKind, chain_texts
from depfix.imports.finder import ModuleKind
from depfix.imports.uses import Strength
from depfix.inventory.ledger import Key, Ledger
from depfix.model.inventory import ComponentKind

_IN_FILES = (NodeKind.IMAGE, NodeKind.DATA)


class Needs:
    """The graph of a closure, folded to components."""

    def __init__(self, ledger: Ledger, closure: Closure) -> None:
        self._ledger = ledger
        self._closure = closure
        self._program = ledger.keys(ComponentKind.PROGRAM)[0]
        self._python = next(iter(ledger.keys(ComponentKind.PYTHON)), None)
        self._owners: dict[Node, Key | None] = {}
        self._best: dict[Key, tuple[int, int, int, str]] = {}
        self._chains: dict[Key, tuple[Edge, ...]] = {}
        self._needs: dict[Key, dict[Key, None]] = {}
        self._read(closure.graph)

    def chain(self, key: Key) -> tuple[str, ...]:
        """Return the steps from the program to the first node of a component, empty if nothing is known to need it."""
        found = self._chains.get(key)
        if not found:
            return ()
        steps = chain_texts(found, self._closure.graph.root)
        last = found[-1].target.name
        return steps if len(steps) > 1 or last == steps[-1] else (*steps, last)

    def of(self, key: Key) -> tuple[Key, ...]:
        """Return which components a component needs, in their order."""
        return tuple(sorted(self._needs.get(key, ()), key=lambda one: (one[0].value, *one[1:])))

    def _read(self, graph: Graph) -> None:
        for node in graph.nodes():
            strength, key = graph.strength(node), self._owner(node)
            if strength is not None and key is not None and key != self._program:
                chain = graph.chain(node)
                rank = (-strength, len(chain), node.name.count("."), node.name)
                if key not in self._best or rank < self._best[key]:
                    self._best[key], self._chains[key] = rank, chain
        for edge in graph.edges():
            strength = graph.edge_strength(edge)
            source, target = self._owner(edge.source), self._owner(edge.target)
            if strength is not None and strength > Strength.POSSIBLE and source is not None and target is not None:
                if source != target:
                    self._needs.setdefault(source, {})[target] = None

    def _owner(self, node: Node) -> Key | None:
        if node not in self._owners:
            self._owners[node] = self._find_owner(node)
        return self._owners[node]

    def _find_owner(self, node: Node) -> Key | None:
        if node.kind is NodeKind.PROGRAM:
            return self._program
        if node.kind in _IN_FILES:
            return self._ledger.owner(node.name)
        if node.kind is not NodeKind.MODULE:
            return None
        found = self._closure.world.walker.find(node.name)
        if found is None or found.is_provided:
            return None
        if found.entry is not None:
            return self._ledger.owner(found.entry.path) or self._program  # else it is the program's, outside the dist
        if found.kind is not ModuleKind.FROZEN:
            return None
        of_python = self._closure.world.is_stdlib_name(node.name) and self._python
        return self._ledger.owner_inside(node.name) or of_python or self._program
