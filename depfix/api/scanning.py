"""Looking at dists: what is wrong, who needs what, what differs. Nothing is changed."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from depfix.api.choices import Choices, Path, cache_of, options_of, options_values, texts
from depfix.wording.message import phrase

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from depfix.closure.graph import Graph, Node
    from depfix.model.difference import Difference
    from depfix.model.finding import Finding
    from depfix.model.report import Report
    from depfix.pipeline import Assessment, Explanation

# What a report depends on, beside the dist.
_CHOICES = ("environments", "entries", "project", "report", "target", "select", "ignore")


def scan(path: Path, *, keep_report: bool = False, **choices: Unpack[Choices]) -> Report:
    """Return what is missing or wrong in the dist at `path`, with cures where an environment has them.

    With `keep_report` the whole report is kept for the next run, and shown again as long as nothing of all that it
    came from has changed; functions of `os` are watched meanwhile, so no other thread should work then. Raises
    InputError for a path, entry or environment that cannot be worked with.

    >>> report = depfix.scan("main.dist", env="conda:env")
    >>> [(finding.rule, finding.subject) for finding in report.findings]
    [('DF101', 'codec.dll'), ('DF103', 'tables.dll')]
    """
    dist = os.fspath(path)
    if keep_report:
        return _kept_or_scanned(dist, choices)
    from depfix import pipeline

    with options_of(dist, **choices) as options:
        return pipeline.scan(dist, options)


def _kept_or_scanned(dist: str, choices: Choices) -> Report:
    """Return the report of a scan: that of an earlier one, if nothing has changed of all that it came from."""
    from depfix.cache.reports import KeptReport

    values = options_values(**choices)
    environ = choices.get("environ", os.environ)
    projects = (values["project"], *(os.path.dirname(os.path.abspath(entry)) for entry in values["entries"]))
    with cache_of(dist, **choices) as cache:
        told = {name: values[name] for name in _CHOICES} | {"dist": dist}
        kept = KeptReport(cache, told, tuple(filter(os.path.isdir, (dist, *projects))), environ)
        found = kept.find()
        if found is not None:
            return found
        from depfix import pipeline

        kept.start()
        try:
            report = pipeline.scan(dist, pipeline.Options(**values | {"environ": kept.variables}, cache=cache))
        finally:
            kept.stop()
        reason = kept.keep(report)
        if reason and cache.is_on and "note" in choices:
            choices["note"](phrase("the report is not kept for the next run: {reason}", reason=reason))
    return report


def assess(path: Path, *, inventory: bool = False, graph: bool = False, **choices: Unpack[Choices]) -> Assessment:
    """As `scan`, with what the dist holds (`inventory`) and the graph of its needs (`graph`) where that is wanted."""
    from depfix import pipeline

    with options_of(path, **choices) as options:
        return pipeline.assess(os.fspath(path), options, inventory=inventory, graph=graph)


def why(path: Path, name: str, **choices: Unpack[Choices]) -> tuple[Explanation, ...]:
    """Return the chains that need a DLL, module or file, present or missing, shortest first.

    Raises UnknownNameError if nothing in the dist bears that name or needs it.

    >>> (found,) = depfix.why("main.dist", "codec.dll")
    >>> [edge.target.name for edge in found.chains[0]]
    ['imaging', 'imaging._core', 'imaging/_core.pyd', 'codec.dll']
    """
    from depfix import pipeline

    with options_of(path, **choices) as options:
        return pipeline.why(os.fspath(path), name, options)


def tree(path: Path, name: str = "", **choices: Unpack[Choices]) -> tuple[Graph, tuple[Node, ...]]:
    """Return the graph of what the dist needs, and the nodes that bear a name, or without one the program.

    Raises UnknownNameError if nothing in the dist bears that name.

    >>> graph, (program,) = depfix.tree("main.dist")
    >>> program.name, [node.name for node in graph.nodes() if node.name.endswith(".pyd")]
    ('app.exe', ['imaging/_core.pyd'])
    """
    from depfix import pipeline

    with options_of(path, **choices) as options:
        return pipeline.tree(os.fspath(path), name, options)


def diff(old: Path, new: Path, *, findings: bool = True, **choices: Unpack[Choices]) -> Difference:
    """Return what two builds of a program hold that differs; without `findings` neither is scanned: quicker.

    >>> depfix.diff("main.dist", "main.dist").files
    ()
    """
    from depfix import pipeline

    with options_of(old, new, **choices) as options:
        return pipeline.diff(os.fspath(old), os.fspath(new), options, findings=findings)


def is_copied_in(finding: Finding) -> bool:
    """Return True if a file that an environment may have could cure a finding of this kind."""
    from depfix.repair.curable import copied_in

    return copied_in(finding)


__all__ = ["assess", "diff", "is_copied_in", "scan", "texts", "tree", "why"]
