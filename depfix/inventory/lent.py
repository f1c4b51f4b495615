"""What environments tell of files of the dist: theirs with the same content at the same place, or of the same name."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from depfix.closure.world import World
from depfix.dist.tree import FileEntry, FileKind
from depfix.env.protocol import Distribution, Environment
from depfix.env.records import fields, metadata_text, read_text, record_hashes
from depfix.inventory.identities import cleaned, version_words
from depfix.inventory.installed import supplier_of
from depfix.inventory.ledger import About, Ledger
from depfix.model.content import readable_hash
from depfix.model.finding import Confidence
from depfix.model.inventory import ComponentKind
from depfix.model.names import base_name, fold
from depfix.model.source import Candidate
from depfix.wording.message import phrase

_SAME = phrase("has the same file")


def claim_lent(ledger: Ledger, lenders: Sequence[Lender], hashes: Mapping[str, str]) -> None:
    """Give files to the distributions that an environment has the same file of, at the same place."""
    for lender in lenders:
        for entry in ledger.left():
            about = lender.same_at_place(entry, hashes.get(fold(entry.path), ""))
            if about is not None:
                ledger.claim(about, (entry.path,))


def claim_named(ledger: Ledger, lenders: Sequence[Lender], hashes: Mapping[str, str]) -> None:
    """Give DLLs and extension modules to the packages that an environment has one of that name from."""
    for lender in lenders:
        for entry in ledger.left():
            if entry.kind is FileKind.IMAGE:
                about = lender.of_name(entry, hashes.get(fold(entry.path), ""))
                if about is not None:
                    ledger.claim(about, (entry.path,))


class Lender:
    """One environment, asked for files of the dist."""

    def __init__(self, environment: Environment, world: World) -> None:
        self.environment = environment
        self._world = world
        standard = {os.path.normcase(folder) for folder in environment.stdlib_folders}
        search_path = environment.search_path
        self._sites = [folder for folder in search_path if os.path.normcase(folder) not in standard]
        layout = world.dist.layout
        roots = {"", layout.packages, *layout.search_path}
        self._roots = sorted(roots, key=len, reverse=True)
        self._hashes: dict[str, dict[str, str]] = {}
        self._known: dict[tuple[str, str], About] = {}

    def same_at_place(self, entry: FileEntry, sha256: str) -> About | None:
        """Return who has the same file at its place, None if nobody or if it could not be read."""
        for path, distribution in self._at_place(entry) if sha256 else ():
            if self._sha256(distribution, path) == sha256:
                return self.words(distribution, _SAME)
        return None

    def owner_at_place(self, entry: FileEntry) -> Distribution | None:
        """Return who owns the file at the same place in the environment, whatever is in it."""
        return next((distribution for _, distribution in self._at_place(entry)), None)

    def words(self, distribution: Distribution, reason: str, confidence: Confidence = Confidence.CERTAIN) -> About:
        """Return what is known of a component that is a distribution of the environment."""
        key = (distribution.name, distribution.folder)
        if key not in self._known:
            self._known[key] = self._read(distribution)
        known = self._known[key]
        return replace(
            known,
            evidence=phrase("{evidence} {reason}", evidence=known.evidence, reason=reason)
            if known.evidence
            else reason,
            confidence=confidence,
        )

    def _read(self, distribution: Distribution) -> About:
        is_conda = not distribution.folder
        source = f"{'conda-meta of ' if is_conda else ''}{_shown(self.environment.info.spec)}"
        rows = () if is_conda else fields(metadata_text(distribution.folder))
        return About(
            ComponentKind.CONDA if is_conda else ComponentKind.DISTRIBUTION,
            cleaned(distribution.name),
            cleaned(distribution.version),
            distribution.licence,
            supplier_of(rows),
            source,
            details=distribution.details,
        )

    def _at_place(self, entry: FileEntry) -> Iterator[tuple[str, Distribution]]:
        inner = self._inner(entry)
        for folder in self._sites:
            path = os.path.join(folder, *inner.split("/"))
            distribution = self.environment.distribution_of(path)
            if distribution is not None:
                yield path, distribution

    def _inner(self, entry: FileEntry) -> str:
        """Return the path of a file below the folder of the dist that modules are looked for in."""
        path = fold(entry.path)
        root = next(one for one in self._roots if not one or path.startswith(f"{fold(one)}/"))
        return entry.path[len(root) + 1 :] if root else entry.path

    def of_name(self, entry: FileEntry, sha256: str) -> About | None:
        """Return who has an image of that name: with the same content, or a DLL outside of packages with another."""
        owned = list(self._owned(self.environment.find(entry.name)))
        for candidate, distribution in owned:
            if self._sha256(distribution, candidate.path, candidate.sha256) == sha256:
                return self.words(distribution, _SAME)
        for candidate, distribution in owned[:1] if not fold(entry.name).endswith(".pyd") else ():
            if not candidate.package_path:
                return self._differing(entry, distribution)
        return None

    def _differing(self, entry: FileEntry, distribution: Distribution) -> About:
        """Return who has a DLL of that name with other content: it may have been signed, or be of another version."""
        package = cleaned(f"{distribution.name} {distribution.version}".strip())
        known = self.words(
            distribution,
            phrase("has a {entry} of {package} with other content", entry=entry.name, package=package),
            Confidence.POSSIBLE,
        )
        return replace(known, version=version_words(self._world.facts.version(entry)), details=())

    def _owned(self, candidates: Iterable[Candidate]) -> Iterator[tuple[Candidate, Distribution]]:
        for candidate in candidates:
            distribution = self.environment.distribution_of(candidate.path)
            if distribution is not None:
                yield candidate, distribution

    def _sha256(self, distribution: Distribution, path: str, recorded: str = "") -> str:
        """Return the hash of a file of the environment: as it was recorded, else as it is."""
        known = recorded or self._recorded(distribution).get(fold(path.replace(os.sep, "/")), "")
        return known or (readable_hash(path) if self.environment.ready(path) else "")

    def _recorded(self, distribution: Distribution) -> dict[str, str]:
        folder = distribution.folder
        if folder and folder not in self._hashes:
            site = os.path.dirname(folder).replace(os.sep, "/")
            rows = record_hashes(read_text(os.path.join(folder, "RECORD")))
            self._hashes[folder] = {fold(f"{site}/{path}"): sha256 for path, sha256 in rows.items()}
        return self._hashes.get(folder, {})


def _shown(spec: str) -> str:
    """Return an environment as an inventory names it: the same on each machine, wherever its folder is."""
    kind, _, place = spec.partition(":")
    name = base_name(place.rstrip("/\\"))
    return f"{kind}:{name}"
