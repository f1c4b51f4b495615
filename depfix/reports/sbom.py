"""The inventory as a software bill of materials: CycloneDX 1.6 in JSON.

The same dist gives the same bytes: the serial number is made from the content, and there is no time unless
SOURCE_DATE_EPOCH gives one. Sources: "CycloneDX v1.6 JSON Reference" https://cyclonedx.org/docs/1.6/json/ ; "Package
URL specification" https://github.com/package-url/purl-spec ; "SOURCE_DATE_EPOCH specification"
https://reproducible-builds.org/specs/source-date-epoch/
"""

from __future__ import annotations

import os
import re
import uuid
from datetime import datetime, timezone
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from depfix.inventory.redistribution import redistribution_notes, redistribution_of
from depfix.model.finding import Confidence
from depfix.model.inventory import Component, ComponentKind, Inventory, InventoryFile
from depfix.model.names import base_name, normalised
from depfix.model.shown import shown
from depfix.reports.json import encoded
from depfix.wording.speech import said

if TYPE_CHECKING:
    from cyclonedx.model import Property
    from cyclonedx.model.component import Component as Row
    from cyclonedx.model.component_evidence import ComponentEvidence
    from cyclonedx.model.license import DisjunctiveLicense, LicenseExpression
    from packageurl import PackageURL

    from depfix.knowledge.redistribution import Redistribution
    from depfix.model.report import Report
    from depfix.reports.forms import Material

_NAMESPACE = uuid.UUID("6f1d6f0e-6d0f-5a0f-9f5e-2a0c5d1b7e53")  # of serial numbers of depfix, chosen once
_CPE = "cpe:2.3:a:python:python:{}:*:*:*:*:*:*:*"
_RELEASE = re.compile(r"\d+\.\d+\.\d+")
_SURE = {Confidence.CERTAIN: "1", Confidence.PROBABLE: "0.8", Confidence.POSSIBLE: "0.3"}
_LICENCE = re.compile(r"(?i)^the | licen[sc]e$")
_LATEST = 253402300799  # 9999-12-31T23:59:59Z, the last second that can be written
_BY_RECORD = (ComponentKind.DISTRIBUTION, ComponentKind.CONDA)


def sbom_json(material: Material) -> str:
    """Return the bill of materials of a dist, whose inventory is part of the material."""
    inventory = material.inventory if material.inventory is not None else Inventory(())
    return bill_of_materials(inventory, material.report, _time_given(os.environ.get("SOURCE_DATE_EPOCH", "")))


def bill_of_materials(inventory: Inventory, report: Report, when: datetime | None = None) -> str:
    """Return the bill of materials of a dist as JSON; `when` is the time that it bears, if any."""
    from cyclonedx.output.json import JsonV1Dot6

    found: dict[str, Any] = _loaded(JsonV1Dot6(_bom(inventory, report)).output_as_string())
    found["metadata"].pop("timestamp", None)  # the library puts in the present one
    found.pop("serialNumber", None)
    found = {"serialNumber": f"urn:uuid:{uuid.uuid5(_NAMESPACE, encoded(_sorted(found)))}", **found}
    if when is not None:
        found["metadata"]["timestamp"] = when.isoformat().replace("+00:00", "Z")
    return encoded(_sorted(found))


def _loaded(text: str) -> Any:
    import json

    return json.loads(text)


def _sorted(value: Any) -> Any:
    """Return a value of JSON with the keys of its objects in order."""
    if isinstance(value, dict):
        return {key: _sorted(value[key]) for key in sorted(value)}
    return [_sorted(each) for each in value] if isinstance(value, list) else value


def _time_given(text: str) -> datetime | None:
    known = text.isascii() and text.isdigit() and int(text[:20]) <= _LATEST
    return datetime.fromtimestamp(int(text), timezone.utc) if known else None


# --- the whole bill ---


def _bom(inventory: Inventory, report: Report) -> Any:
    from cyclonedx.model import Property
    from cyclonedx.model.bom import Bom, BomMetaData
    from cyclonedx.model.lifecycle import LifecyclePhase, PredefinedLifecycle
    from cyclonedx.model.tool import ToolRepository

    rows = {component.key: _component(component) for component in inventory.components}
    program = next((one for one in inventory.components if one.kind is ComponentKind.PROGRAM), None)
    facts = {"freezer": report.dist.freezer, "machine": report.dist.machine, "target": report.target}
    properties = [Property(name=f"depfix:{name}", value=shown(said(value))) for name, value in facts.items()]
    properties += [Property(name="depfix:unread", value=shown(f"{one.path}: {one.reason}")) for one in inventory.unread]
    metadata = BomMetaData(
        tools=ToolRepository(components=[_tool()]),
        component=rows[program.key] if program is not None else None,
        lifecycles=[PredefinedLifecycle(phase=LifecyclePhase.POST_BUILD)],
        properties=properties,
    )
    others = [row for key, row in rows.items() if program is None or key != program.key]
    bom = Bom(components=others, metadata=metadata, serial_number=_NAMESPACE)
    _depend(bom, inventory, rows, program)
    return bom


def _tool() -> Row:
    from cyclonedx.model.component import Component as Row
    from cyclonedx.model.component import ComponentType

    from depfix import __version__

    return Row(name="depfix", version=__version__, type=ComponentType.APPLICATION, bom_ref="tool:depfix")


def _depend(bom: Any, inventory: Inventory, rows: dict[str, Row], program: Component | None) -> None:
    """Register who needs which component. What nobody is known to need hangs on the program, which it comes with."""
    needed = {key for one in inventory.components for key in one.needs if key != one.key}
    loose = [one.key for one in inventory.components if one.key not in needed and one is not program]
    for one in inventory.components:
        wanted = [*one.needs, *loose] if one is program else one.needs
        bom.register_dependency(rows[one.key], [rows[key] for key in dict.fromkeys(wanted) if key in rows])


# --- one component ---


def _component(component: Component) -> Row:
    from cyclonedx.model.component import Component as Row

    purl = _purl(component)
    is_release = component.kind is ComponentKind.PYTHON and _RELEASE.fullmatch(component.version)
    return Row(
        name=shown(component.name) or "unknown",
        type=_type(component),
        version=shown(component.version) or None,
        bom_ref=shown(component.key),
        publisher=shown(component.supplier) or None,
        licenses=_licences(component.licence),
        purl=purl,
        cpe=_CPE.format(component.version) if is_release else None,
        properties=_properties(component),
        evidence=_evidence(component, purl),
        components=[_file(component, file) for file in component.files],
    )


def _type(component: Component) -> Any:
    from cyclonedx.model.component import ComponentType

    if component.kind is ComponentKind.PROGRAM:
        return ComponentType.APPLICATION
    return ComponentType.PLATFORM if component.kind is ComponentKind.PYTHON else ComponentType.LIBRARY


def _purl(component: Component) -> PackageURL | None:
    """Return the package URL of what comes from an index of packages; DLLs that nobody claims have none."""
    from packageurl import PackageURL

    name, version = shown(component.name).strip("/ "), shown(component.version) or None
    if not normalised(name).strip("-"):
        return None
    if component.kind is ComponentKind.DISTRIBUTION:
        return PackageURL("pypi", None, normalised(name), version)
    if component.kind is ComponentKind.CONDA:
        return PackageURL("conda", None, name.lower(), version, {key: shown(value) for key, value in component.details})
    if component.kind is ComponentKind.PYTHON:
        return PackageURL("generic", None, "python", version)
    return None


def _licences(licence: str) -> tuple[LicenseExpression | DisjunctiveLicense, ...]:
    """Return a licence by its SPDX identifier or as an SPDX expression where it is one, else by its name."""
    from cyclonedx.model.license import DisjunctiveLicense, LicenseAcknowledgement, LicenseExpression
    from cyclonedx.spdx import fixup_id, is_expression

    name, declared = shown(licence), LicenseAcknowledgement.DECLARED
    if not name:
        return ()
    plain = _LICENCE.sub("", name)
    known = fixup_id(name) or fixup_id(plain) or fixup_id(plain.replace(" ", "-"))  # "BSD 3-Clause License"
    if known is not None:
        return (DisjunctiveLicense(id=known, acknowledgement=declared),)
    if is_expression(name):
        return (LicenseExpression(name, acknowledgement=declared),)
    return (DisjunctiveLicense(name=name, acknowledgement=declared),)


def _properties(component: Component) -> list[Property]:
    rows = [
        ("kind", component.kind.value),
        ("evidence", component.evidence),
        ("confidence", component.confidence.value),
        ("chain", " > ".join(component.chain)),
        ("compiled-in", "true" if component.compiled_in else ""),
        ("size", str(component.size)),
        ("files", str(len(component.files))),
        *(("redistribution", _terms(note)) for note in redistribution_notes(component)),
    ]
    return _named(rows)


def _named(rows: list[tuple[str, str]]) -> list[Property]:
    from cyclonedx.model import Property

    return [Property(name=f"depfix:{name}", value=shown(said(value))) for name, value in rows if value]


def _terms(note: Redistribution) -> str:
    return f"{note.name} ({note.licence}): {note.terms}. See {note.source}"


def _evidence(component: Component, purl: PackageURL | None) -> ComponentEvidence | None:
    from cyclonedx.model.component_evidence import (
        AnalysisTechnique,
        ComponentEvidence,
        Identity,
        IdentityField,
        Method,
    )

    if component.kind is ComponentKind.PROGRAM or not component.evidence:
        return None
    technique = AnalysisTechnique.BINARY_ANALYSIS
    if component.kind in _BY_RECORD:
        technique = AnalysisTechnique.MANIFEST_ANALYSIS
    elif component.kind is ComponentKind.UNKNOWN:
        technique = AnalysisTechnique.FILENAME
    sure = Decimal(_SURE[component.confidence])
    field = IdentityField.PURL if purl is not None else IdentityField.NAME
    method = Method(technique=technique, confidence=sure, value=shown(component.evidence))
    return ComponentEvidence(identity=[Identity(field=field, confidence=sure, methods=[method])])


# --- one file ---


def _file(component: Component, file: InventoryFile) -> Row:
    """Return a file as a part of its component: a library of its own if a DLL says so, else a file."""
    from cyclonedx.model import HashAlgorithm, HashType
    from cyclonedx.model.component import Component as Row
    from cyclonedx.model.component import ComponentType

    identity, note = file.identity, redistribution_of(component, file)
    rows = [("path", file.path), ("size", str(file.size))]
    if identity is not None:
        rows.append(("evidence", identity.evidence))
        rows += [("redistribution", _terms(note))] if note is not None else []
    return Row(
        name=shown(identity.name if identity is not None else base_name(file.path)) or "unnamed",
        type=ComponentType.LIBRARY if identity is not None else ComponentType.FILE,
        version=shown(identity.version) or None if identity is not None else None,
        publisher=shown(identity.supplier) or None if identity is not None else None,
        licenses=_licences(identity.licence) if identity is not None else (),
        bom_ref=shown(f"file:{file.path}"),
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=file.sha256)] if file.sha256 else (),
        properties=_named(rows),
    )
