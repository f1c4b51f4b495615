"""What environments tell of files of the dist: theirs with the same content at the same place, or of the same name."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence

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


def claim_lent(ledger: Ledger, world: World, environments: Sequence[Environment], hashes: Mapping[str, str]) -> None:
    """Give files to the distributions and conda packages that an environment has them from, by their content."""
    for environment in environments:
        lender = Lender(environment, world)
        for entry in ledger.left():
            about = lender.about(entry, hashes.get(fold(entry.path), ""))
            if about is not None:
                ledger.claim(about, (entry.path,))


class Lender:
    """One environment, asked for files of the dist."""

    def __init__(self, environment: Environment, world: World) -> None:
        self._environment = environment
        self._world = world
        standard = {os.path.normcase(folder) for folder in environment.stdlib_folders}
        search_path = environment.search_path
        self._sites = [folder for folder in search_path if os.path.normcase(folder) not in standard]
        layout = world.dist.layout
        roots = {"", layout.packages, *layout.search_path}
        self._roots = sorted(roots, key=len, reverse=True)
        self._hashes: dict[str, dict[str, str]] = {}

    def about(self, entry: FileEntry, sha256: str) -> About | None:
        """Return who gave a file, None if the environment does not know it."""
        if not sha256:
            return None
        for path, distribution in self._at_place(entry):
            if self._sha256(distribution, path) == sha256:
                return self.words(distribution, "has the same file")
        return self._by_name(entry, sha256) if entry.kind is FileKind.IMAGE else None

    def owner_at_place(self, entry: FileEntry) -> Distribution | None:
        """Return who owns the file at the same place in the environment, whatever is in it."""
        return next((distribution for _, distribution in self._at_place(entry)), None)

    def words(self, distribution: Distribution, reason: str, confidence: Confidence = Confidence.CERTAIN) -> About:
        """Return what is known of a component that is a distribution of the environment."""
        is_conda = not distribution.folder
        source = f"{'conda-meta of ' if is_conda else ''}{_shown(self._environment.info.spec)}"
        rows = () if is_conda else fields(metadata_text(distribution.folder))
        return About(
            ComponentKind.CONDA if is_conda else ComponentKind.DISTRIBUTION,
            cleaned(distribution.name),
            cleaned(distribution.version),
            distribution.licence,
            supplier_of(rows),
            f"{source} {reason}".strip(),
            confidence,
            distribution.details,
        )

    def _at_place(self, entry: FileEntry) -> Iterator[tuple[str, Distribution]]:
        inner = self._inner(entry)
        for folder in self._sites:
            path = os.path.join(folder, *inner.split("/"))
            distribution = self._environment.distribution_of(path)
            if distribution is not None:
                yield path, distribution

    def _inner(self, entry: FileEntry) -> str:
        """Return the path of a file below the folder of the dist that modules are looked for in."""
        path = fold(entry.path)
        root = next(one for one in self._roots if not one or path.startswith(f"{fold(one)}/"))
        return entry.path[len(root) + 1 :] if root else entry.path

    def _by_name(self, entry: FileEntry, sha256: str) -> About | None:
        owned = list(self._owned(self._environment.find(entry.name)))
        for candidate, distribution in owned:
            if self._sha256(distribution, candidate.path, candidate.sha256) == sha256:
                return self.words(distribution, "has the same file")
        for candidate, distribution in owned[:1] if not fold(entry.name).endswith(".pyd") else ():
            if not candidate.package_path:
                return self._differing(entry, distribution)
        return None

    def _differing(self, entry: FileEntry, distribution: Distribution) -> About:
        """Return who has a DLL of that name with other content: it may have been signed, or be of another version."""
        known = self.words(distribution, "", Confidence.POSSIBLE)
        shown = f"{distribution.name} {distribution.version}".strip()
        source = known.evidence.strip()
        return About(
            known.kind,
            known.name,
            version_words(self._world.facts.version(entry)),
            known.licence,
            known.supplier,
            f"{source} has a {entry.name} of {cleaned(shown)} with other content",
            Confidence.POSSIBLE,
        )

    def _owned(self, candidates: Iterable[Candidate]) -> Iterator[tuple[Candidate, Distribution]]:
        for candidate in candidates:
            distribution = self._environment.distribution_of(candidate.path)
            if distribution is not None:
                yield candidate, distribution

    def _sha256(self, distribution: Distribution, path: str, recorded: str = "") -> str:
        """Return the hash of a file of the environment: as it was recorded, else as it is."""
        known = recorded or self._recorded(distribution).get(fold(path.replace(os.sep, "/")), "")
        return known or (readable_hash(path) if self._environment.ready(path) else "")

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
