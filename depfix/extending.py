"""What an extension of depfix imports: all that docs/extending.md speaks of, and nothing else.

Names that are here stay, with their meaning, until the next major version; every other module of depfix may change.
"""

from __future__ import annotations

from depfix.checks.extended import CheckExtension
from depfix.checks.findings import finding
from depfix.closure.build import Closure
from depfix.closure.graph import Edge, EdgeKind, Graph, Node, NodeKind
from depfix.dist.tree import FileEntry, FileKind, Tree
from depfix.env.archives import Wanted
from depfix.env.extended import EnvironmentExtension
from depfix.env.folder import FolderEnvironment
from depfix.env.protocol import Distribution, Environment, EnvironmentInfo
from depfix.errors import InputError, UnknownEnvironmentError, WrongEnvironmentError
from depfix.knowledge.rules import Rule
from depfix.model.audit import Accepted, Verdict
from depfix.model.finding import Confidence, Finding, Fix, Location, Severity
from depfix.model.inventory import Component, ComponentKind, Inventory, InventoryFile
from depfix.model.machine import Machine
from depfix.model.report import DistSummary, EnvironmentSummary, Report
from depfix.model.source import Candidate, Provider
from depfix.reports.forms import Form, Material

__all__ = [
    "Accepted",
    "Candidate",
    "CheckExtension",
    "Closure",
    "Component",
    "ComponentKind",
    "Confidence",
    "DistSummary",
    "Distribution",
    "Edge",
    "EdgeKind",
    "Environment",
    "EnvironmentExtension",
    "EnvironmentInfo",
    "EnvironmentSummary",
    "FileEntry",
    "FileKind",
    "Finding",
    "Fix",
    "FolderEnvironment",
    "Form",
    "Graph",
    "InputError",
    "Inventory",
    "InventoryFile",
    "Location",
    "Machine",
    "Material",
    "Node",
    "NodeKind",
    "Provider",
    "Report",
    "Rule",
    "Severity",
    "Tree",
    "UnknownEnvironmentError",
    "Verdict",
    "Wanted",
    "WrongEnvironmentError",
    "finding",
]
