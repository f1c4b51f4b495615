"""Which kinds of findings a file could cure. The command line asks, so nothing large is imported here."""

from __future__ import annotations

from depfix.model.finding import Finding
from depfix.model.names import fold

BY_REPLACEMENT = frozenset(("wrong-machine", "missing-symbol", "damaged-file"))
MODULES = frozenset(("missing-module", "missing-extension-module", "missing-stdlib-module", "hidden-module"))
ABI = "abi-mismatch"  # with an identity it is of a file that is loaded, else of a module that is not found
BY_COPY = frozenset(
    "missing-dll missing-delay-dll misplaced-dll missing-runtime-dll missing-vc-runtime absent-on-target".split()
)
METADATA = "missing-metadata"
DATA = frozenset(("missing-package-data", "missing-data-file"))


def copied_in(finding: Finding) -> bool:
    """Return True if a file that an environment may have could cure a finding of this kind."""
    if finding.name in ("wrong-machine", "damaged-file", ABI) and (finding.identity or finding.name != ABI):
        return fold(finding.identity).endswith((".dll", ".pyd"))  # no program, and not what the target does not run
    if finding.name == "absent-on-target" and finding.identity:
        return False  # the target is too old for Python itself
    return finding.name in BY_COPY | BY_REPLACEMENT | MODULES | DATA | {METADATA, ABI}
