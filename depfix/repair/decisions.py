"""Decides what cures a finding: a file, many, new content, a program that refuses less, or nothing and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

from depfix.checks.native_data import NATIVE
from depfix.closure.build import Closure
from depfix.closure.graph import Node, NodeKind
from depfix.closure.lacks import Lack
from depfix.dist.freezers import Freezer
from depfix.env.protocol import Environment
from depfix.frozen.guard import guard_problem
from depfix.knowledge.rules import rule
from depfix.model.finding import Finding
from depfix.model.names import fold
from depfix.model.plan import Action
from depfix.model.source import Provider
from depfix.repair.curable import ABI, BY_COPY, BY_REPLACEMENT, DATA, METADATA, MODULES, copied_in
from depfix.repair.cures import (
    NO_FITTING_FILE,
    Choice,
    from_dist,
    from_environments,
    module,
    replacement,
    stdlib_module,
)
from depfix.repair.deliveries import Delivery, deliver, deliver_data, deliver_metadata, rebuild_options
from depfix.repair.native_data import deliver_native_data
from depfix.repair.rebinding import Rewritten, rewritten
from depfix.wording.message import phrase, tabled

# A frozenset names the modules that the program is to refuse no longer, a text says why there is no cure.
Decision: TypeAlias = "Choice | Delivery | Rewritten | frozenset[str] | str"

DIST = Provider("dist")
_DELIVERED = {METADATA: deliver_metadata} | dict.fromkeys(DATA, deliver_data)


class Decider:
    """Decides on each finding alone, by what environments have and what the user allows.

    `completion`: packages inside the program may be completed; `lifts`: the program may be changed to refuse less.
    """

    def __init__(self, environments: Sequence[Environment], *, completion: bool, lifts: bool) -> None:
        self._environments = environments
        self._completion = completion
        self._lifts = lifts

    def decide(self, closure: Closure, finding: Finding, planned: Mapping[str, Action]) -> Decision:
        """Return what cures a finding, or why nothing does; `planned` are the actions planned so far."""
        special = self._decide_special(closure, finding)
        if special is not None:
            return special
        if finding.identity.endswith("\0target"):
            return tabled(rule(finding.rule).cure)  # the program is for another machine than the target
        of_file = finding.identity and finding.name in ("missing-vc-runtime", ABI)
        if of_file or finding.name in BY_REPLACEMENT:
            return (
                replacement(closure, self._environments, finding)
                if copied_in(finding)
                else tabled(rule(finding.rule).cure)
            )
        if finding.name in MODULES or finding.name == ABI:
            return self._decide_module(closure, finding)
        if finding.name in _DELIVERED:
            return _DELIVERED[finding.name](closure, self._environments, finding.subject)
        node = Node(NodeKind.MISSING, finding.subject)
        edges = [edge for edge in closure.graph.edges_to(node) if edge.expected == finding.identity]
        if finding.name not in BY_COPY or not edges:
            return tabled(rule(finding.rule).cure)
        absence = closure.world.system.absence(finding.subject)
        if finding.name == "absent-on-target" and absence is not None and absence.kind == "driver":
            return phrase("it comes with {absence}, and must not be carried along", absence=absence.words)
        if finding.name != "misplaced-dll":
            return from_environments(closure, self._environments, finding.subject, edges)
        found = from_dist(closure, finding.subject, edges)
        if isinstance(found, str):
            return found
        entry, destination = found
        moved = planned.get(fold(entry.path))  # on from where this plan first put it
        return Choice(entry.source, destination, moved.provider if moved else DIST)

    def _decide_special(self, closure: Closure, finding: Finding) -> Decision | None:
        """Choose for findings that no copy of the file they name cures."""
        if finding.name == "excluded-module-guard":
            return self._decide_guard(closure, finding)
        if finding.name == "machine-bound-path":
            return rewritten(closure, finding)
        if finding.identity.startswith(NATIVE):
            return deliver_native_data(closure, self._environments, finding)
        return None

    def _decide_guard(self, closure: Closure, finding: Finding) -> frozenset[str] | str:
        """Choose to let the program import what it refuses, if the user wants that and the program is understood."""
        names = closure.world.inside.refused_below(finding.subject)
        host = closure.world.tree.file(closure.world.dist.host.path)
        reason = guard_problem(host.source, names) if host is not None else phrase("the program is not there")
        if not self._lifts or reason:
            lifting = (
                phrase("--lift-guard cannot help: {reason}", reason=reason)
                if reason
                else phrase("or let --lift-guard change the program")
            )
            return phrase(
                "freeze again with --deployment or --no-deployment-flag=excluded-module-usage; {lifting}",
                lifting=lifting,
            )
        return names

    def _decide_module(self, closure: Closure, finding: Finding) -> Choice | Delivery | str:
        """Choose one extension module for a package that lacks it, else all that brings the module."""
        name = finding.subject
        # The finder serves a folder of the dist itself, which only Nuitka's programs import from.
        if finding.name == "hidden-module" and not (self._completion and closure.world.dist.freezer is Freezer.NUITKA):
            return phrase("freeze again with {rebuild_options}", rebuild_options=rebuild_options(closure, name))
        single: Choice | str = ""
        if finding.name == "missing-stdlib-module":
            single = stdlib_module(closure, self._environments, name)
        elif finding.name != "hidden-module" and closure.world.lacks.of(name) is not Lack.PROVIDED:
            single = module(closure, self._environments, name)
        if isinstance(single, Choice):
            return single
        whole = deliver(closure, self._environments, name)
        return single if isinstance(whole, str) and single.startswith(NO_FITTING_FILE) else whole
