"""Side-by-side manifests, embedded or in a file of their own.

Source: Microsoft Learn, "Manifest Files Reference"
https://learn.microsoft.com/windows/win32/sbscs/manifest-files-reference
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

from depfix.model.image import Assembly, Manifest
from depfix.wording.message import phrase

_LARGEST = 1 << 20


class _NoDoctype(ElementTree.TreeBuilder):
    """Builds the tree of a document without a document type: entities of it could be of any size."""

    def doctype(self, *_names: str | None) -> None:
        raise ValueError(phrase("it has a document type declaration"))


def read_manifest(path: str | Path) -> Manifest | None:
    """Return the manifest in a file of its own, None if there is no such file. Never raises."""
    try:
        with open(path, "rb") as file:
            return parse_manifest(file.read(_LARGEST + 1))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        return _unreadable(phrase("it cannot be read ({reason})", reason=reason.lower()))


def parse_manifest(data: bytes) -> Manifest:
    """Return what a manifest says, its `problem` set if the XML cannot be read. Never raises.

    Elements count by their local names: their namespaces (asm.v1 to asm.v3, compatibility.v1) differ by age only. An
    identity without a name identifies nothing and is left out.
    """
    if len(data) > _LARGEST:
        return _unreadable(phrase("it is larger than {largest:,} bytes", largest=_LARGEST))
    try:
        parser = ElementTree.XMLParser(target=_NoDoctype())
        parser.feed(_without_padding(data))
        root = parser.close()
    except (ElementTree.ParseError, ValueError, LookupError, RecursionError) as error:
        return _unreadable(phrase("its XML cannot be read: {error}", error=error))
    if _local(root) != "assembly":
        return _unreadable(phrase("its root element is {local}, not assembly", local=_local(root)))
    return Manifest(
        identity=next(_named(_children(root, "assemblyIdentity")), None),
        dependencies=tuple(_named(_below(root, "dependency", "dependentAssembly", "assemblyIdentity"))),
        files=tuple(one.get("name", "") for one in _children(root, "file") if one.get("name")),
        supported_os=tuple(
            one.get("Id", "").lower() for one in _below(root, "compatibility", "application", "supportedOS")
        ),
        problem="",
    )


def _unreadable(problem: str) -> Manifest:
    return Manifest(None, (), (), (), problem)


def _without_padding(data: bytes) -> bytes:
    """Return a document without the NULs that some tools append; in UTF-16 these are pairs."""
    if data[:2] not in (b"\xff\xfe", b"\xfe\xff"):
        return data.rstrip(b"\0")
    end = len(data) & ~1
    while end > 2 and data[end - 2 : end] == b"\0\0":
        end -= 2
    return data[:end]


def _named(elements: Iterator[ElementTree.Element]) -> Iterator[Assembly]:
    return (_assembly(one) for one in elements if one.get("name"))


def _assembly(element: ElementTree.Element) -> Assembly:
    return Assembly(
        name=element.get("name", ""),
        version=element.get("version", ""),
        machine=element.get("processorArchitecture", ""),
        token=element.get("publicKeyToken", ""),
        language=element.get("language", ""),
    )


def _below(element: ElementTree.Element, first: str, *rest: str) -> Iterator[ElementTree.Element]:
    for child in _children(element, first):
        if rest:
            yield from _below(child, *rest)
        else:
            yield child


def _children(element: ElementTree.Element, name: str) -> Iterator[ElementTree.Element]:
    return (child for child in element if _local(child) == name)


def _local(element: ElementTree.Element) -> str:
    return str(element.tag).rpartition("}")[2]
