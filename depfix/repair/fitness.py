"""Whether what an environment has fits what the dist has: Python, machine, whole files, and the versions of others.

What would fail for sure is declined with both versions; what metadata only ask for is a caution that the plan shows.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from depfix.closure.build import Closure
from depfix.closure.c_api import Offer, c_api_misfit, needed, offer_of, offered
from depfix.closure.graph import NodeKind
from depfix.closure.python_abi import forwarding_misfit, image_misfit, tag_misfit
from depfix.dist.tree import FileEntry, file_entry
from depfix.env.protocol import Distribution, Environment
from depfix.env.requirements import requirements, target_markers
from depfix.imports.finder import ModuleKind
from depfix.knowledge.c_apis import CApi, c_apis
from depfix.model.content import POINTER_SIZES, pointed_by, readable_hash
from depfix.model.image import Image, ImageProblem
from depfix.model.names import fold, join, normalised
from depfix.model.source import Candidate, Provider
from depfix.wording.message import joined, phrase, system_words

_IMAGES = (".pyd", ".dll")
_CODE = (*_IMAGES, ".py", ".pyc")
_TESTS = ("test", "tests", "testing")
_SHOWN = 2


def file_misfit(closure: Closure, candidate: Candidate) -> str:
    """Return why a single file cannot serve in the dist, an empty string if it can.

    It may be damaged, for another machine or Python, not what its package recorded, or of another version than the
    distribution in the dist that it would become a part of.
    """
    try:
        entry = file_entry(candidate.relative, candidate.path)
    except OSError as error:
        return system_words(error)
    return (
        _image_misfit(closure, entry)
        or _unlike_record(closure, entry, candidate)
        or _other_version(closure, candidate)
        or _c_api_misfit(closure, [entry])
    )


def distribution_misfit(closure: Closure, environment: Environment, distribution: Distribution) -> str:
    """Return why a whole distribution cannot serve in the dist, naming the file; an empty string if it can."""
    entries = list(_entries(environment, distribution))
    images = [entry for entry in entries if fold(entry.name).endswith(_IMAGES)]
    return (
        _python_misfit(closure, environment, images)
        or _machine_misfit(closure, images)
        or _damage(closure, environment, distribution, entries)
        or _other_release(closure, distribution, entries)
        or _c_api_misfit(closure, images)
        or _provider_misfit(closure, distribution, images)
    )


def with_caution(closure: Closure, distribution: Distribution) -> Provider:
    """Return who gives a distribution, with a note of each requirement that dist and distribution do not meet."""
    provider = distribution.provider
    found = list(_unmet(closure, distribution))
    more = phrase(" (and {number} more)", number=len(found) - _SHOWN) if len(found) > _SHOWN else ""
    words = joined("; ", filter(None, (provider.note, joined("; ", found[:_SHOWN]) + more)))
    return replace(provider, note=words)


# --- one file ---


def _image_misfit(closure: Closure, entry: FileEntry) -> str:
    world = closure.world
    image = world.facts.image(entry)
    if not isinstance(image, Image):
        return image.reason
    if not world.images.fits(image):
        return phrase(
            "it is {machine}, the program is {machine2}", machine=image.machine.words, machine2=world.dist.machine.words
        )
    if image.unsigned_bytes:
        return phrase(
            "it is cut off: {unsigned_bytes:,} bytes of its signature are missing", unsigned_bytes=image.unsigned_bytes
        )
    python = world.dist.python
    reason = image_misfit(python, image) or tag_misfit(python, world.dist.machine, entry.name)
    if reason or fold(entry.name) != "python3.dll":
        return reason
    return forwarding_misfit(python, entry.name, world.facts.exports(entry))


def _unlike_record(closure: Closure, entry: FileEntry, candidate: Candidate) -> str:
    if not candidate.sha256 or not fold(entry.name).endswith(_IMAGES):
        return ""
    known = closure.world.facts.remember(entry.source, "sha256", readable_hash)
    if known in ("", candidate.sha256.lower()):
        return ""
    return phrase(
        "it is damaged or was changed: its SHA-256 is not the one that {provider} recorded", provider=candidate.provider
    )


def _other_version(closure: Closure, candidate: Candidate) -> str:
    """Return why a file is not of the release that lies in the dist: a package of two releases runs by chance only."""
    owner = candidate.owner
    if owner is None or not candidate.package_path:
        return ""
    present = closure.world.distributions_named(owner.name)
    if not present or any(_same_version(one.version, owner.version) for one in present):
        return ""
    return phrase("it is of {owner}, the dist has {present}", owner=owner, present=present[0])


def _other_release(closure: Closure, distribution: Distribution, entries: list[FileEntry]) -> str:
    """Return why a distribution does not complete the one of its name whose code lies in the dist."""
    world = closure.world
    present = world.distributions_named(distribution.name)
    if not present or any(_same_version(one.version, distribution.version) for one in present):
        return ""
    roots = world.dist.layout.search_path
    code = (entry.path for entry in entries if fold(entry.name).endswith(_CODE))
    here = next((path for inner in code for root in roots if world.tree.file(path := join(root, inner))), "")
    return phrase("the dist has {present}, of which {here} is there", present=present[0], here=here) if here else ""


def _same_version(one: str, other: str) -> bool:
    from packaging.version import Version

    try:
        return Version(one).base_version == Version(other).base_version
    except ValueError:  # InvalidVersion, or a number of too many digits
        return one == other


# --- whole distributions ---


def _entries(environment: Environment, distribution: Distribution) -> Iterator[FileEntry]:
    for path in distribution.files:
        inner = environment.destination(path)
        if not any(part in _TESTS for part in fold(inner).split("/")[:-1]):
            try:
                yield file_entry(inner, path)
            except OSError:
                continue


def _python_misfit(closure: Closure, environment: Environment, images: list[FileEntry]) -> str:
    """Return why none of the extension modules is for the dist's Python, an empty string if one is or there are none.

    A module that does not tell by its name or its imports is for the Python of its environment.
    """
    world = closure.world
    own, theirs = world.version, environment.info.python_version
    reasons = []
    for entry in images:
        if fold(entry.name).endswith(".pyd"):
            reason = _python_reason(closure, entry, of_other=theirs not in (None, own))
            if not reason:
                return ""
            reasons.append((entry, reason))
    if not reasons:
        return ""
    if theirs not in (None, own):
        return phrase(
            "it is for Python {python}, the program has {own}.{own2}",
            python=environment.info.python,
            own=own[0],
            own2=own[1],
        )
    entry, reason = reasons[0]
    return phrase("{path}: {reason}", path=entry.path, reason=reason)


def _python_reason(closure: Closure, entry: FileEntry, *, of_other: bool) -> str:
    python = closure.world.dist.python
    image = closure.world.facts.image(entry)
    tag = entry.name[: -len(".pyd")].partition(".")[2]
    if fold(tag).startswith("abi3"):
        return ""
    reason = tag_misfit(python, closure.world.dist.machine, entry.name)
    if not reason and isinstance(image, Image):
        reason = image_misfit(python, image)
    is_told = bool(tag) or (
        isinstance(image, Image) and any(fold(name).startswith("python3") for name in image.imports)
    )
    return reason or ("" if is_told or not of_other else phrase("it does not tell"))


def _machine_misfit(closure: Closure, images: list[FileEntry]) -> str:
    """Return why no image of a distribution is for the dist's machine; some packages have DLLs for several."""
    found = [(entry, closure.world.facts.image(entry)) for entry in images]
    whole = [(entry, image) for entry, image in found if isinstance(image, Image)]
    if not whole or any(closure.world.images.fits(image) for _, image in whole):
        return ""
    entry, image = whole[0]
    return phrase(
        "{path} is {machine}, the program is {machine2}",
        path=entry.path,
        machine=image.machine.words,
        machine2=closure.world.dist.machine.words,
    )


def _damage(closure: Closure, environment: Environment, distribution: Distribution, entries: list[FileEntry]) -> str:
    bad = [(entry, reason) for entry in entries if (reason := _damage_of(closure, entry))]
    if not bad:
        return ""
    entry, reason = bad[0]
    more = phrase(" (and {number} more files of it)", number=len(bad) - 1) if len(bad) > 1 else ""
    cure = phrase(
        "install {distribution} {version} in {environment} again",
        distribution=distribution.name,
        version=distribution.version,
        environment=environment.info.spec,
    )
    return phrase("{path} is damaged{more}: {reason}; {cure}", path=entry.path, more=more, reason=reason, cure=cure)


def _damage_of(closure: Closure, entry: FileEntry) -> str:
    if fold(entry.name).endswith(_IMAGES):
        image = closure.world.facts.image(entry)
        if isinstance(image, ImageProblem):
            return image.reason if image.damaged else ""
        return (
            phrase("{unsigned_bytes:,} bytes of its signature are missing", unsigned_bytes=image.unsigned_bytes)
            if image.unsigned_bytes
            else ""
        )
    size = pointed_by(entry.source) if entry.size in POINTER_SIZES else None
    return (
        phrase("it is a git-lfs pointer to {size:,} bytes that were never fetched", size=size)
        if size is not None
        else ""
    )


# --- what other distributions need ---


def _c_api_misfit(closure: Closure, images: list[FileEntry]) -> str:
    """Return why an extension module does not run with what the dist, or else the environment, offers it."""
    modules = [entry for entry in images if fold(entry.name).endswith(".pyd")]
    for api in c_apis():
        needs = {entry.path: need for entry in modules if (need := needed(closure.world.facts, api, entry)) is not None}
        offer = _offer(closure, api) if needs else None
        for path, need in needs.items() if offer is not None else ():
            reason = c_api_misfit(api, need, offer) if offer is not None else ""
            if reason:
                return phrase("{path} is {reason}", path=path, reason=reason)
    return ""


def _offer(closure: Closure, api: CApi) -> Offer | None:
    here = offered(closure.world, api)
    if here is not None:
        return here
    for name in api.providers:
        found = closure.world.supply.module(name)
        if found is not None and found.kind is ModuleKind.EXTENSION and found.entry is not None:
            owner = closure.world.supply.distribution_of(name)
            return offer_of(closure.world.facts, api, found.entry, owner[1].version if owner is not None else "")
    return None


def _provider_misfit(closure: Closure, distribution: Distribution, images: list[FileEntry]) -> str:
    """Return why what the dist holds does not run with the version of a C interface that a distribution would bring."""
    world = closure.world
    for api in c_apis():
        names = {name.replace(".", "/") for name in api.providers}
        own = next((one for one in images if one.path.partition(".")[0] in names), None)
        offer = offer_of(world.facts, api, own, distribution.version) if own is not None else None
        for node in closure.graph.nodes() if offer is not None else ():
            entry = world.tree.file(node.name) if node.kind is NodeKind.IMAGE else None
            if entry is None or not fold(entry.name).endswith(".pyd") or offer is None:
                continue
            need = needed(world.facts, api, entry)
            reason = c_api_misfit(api, need, offer) if need is not None else ""
            if reason:
                return phrase("{path} in the dist is {reason}", path=entry.path, reason=reason)
    return ""


def _unmet(closure: Closure, distribution: Distribution) -> Iterator[str]:
    """Yield what a distribution requires and the dist has in another version, and the other way round."""
    world = closure.world
    markers = target_markers(world.version, world.dist.machine)
    for required in requirements(distribution.requires, markers):
        known = world.distributions_named(required.name)
        if known and not any(required.admits(one.version) for one in known):
            yield phrase(
                "it requires {required} {specifier}, the dist has {version}",
                required=required.name,
                specifier=required.specifier,
                version=known[0].version,
            )
    key = normalised(distribution.name)
    for present in world.distributions_named(key):
        if not _same_version(present.version, distribution.version):
            yield phrase("the metadata in the dist are of {present}", present=present)
    for present in world.distributions:
        for required in requirements(present.requires, markers):
            if normalised(required.name) == key and not required.admits(distribution.version):
                yield phrase(
                    "{present} in the dist requires {required} {specifier}",
                    present=present,
                    required=required.name,
                    specifier=required.specifier,
                )
