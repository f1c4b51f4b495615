"""All checks, in one order."""

from __future__ import annotations

from depfix.checks.abi import check_abi
from depfix.checks.behaviour import check_behaviour
from depfix.checks.bound import check_bound
from depfix.checks.bundled import check_bundled
from depfix.checks.conflicts import check_conflicts, check_openmp
from depfix.checks.damaged import check_damaged
from depfix.checks.data import check_data
from depfix.checks.environments import check_environments
from depfix.checks.extended import check_extended
from depfix.checks.gpu import check_backends, check_gpu
from depfix.checks.images import check_images
from depfix.checks.metadata import check_metadata
from depfix.checks.missing import check_missing
from depfix.checks.modules import check_modules
from depfix.checks.native_data import check_native_data, without_repeated
from depfix.checks.protection import check_protection
from depfix.checks.runtimes import check_runtimes
from depfix.checks.shadowed import check_shadowed
from depfix.checks.skipped import check_skipped
from depfix.checks.symbols import check_symbols
from depfix.checks.target import check_target
from depfix.checks.unreached import check_unreached
from depfix.checks.versions import check_versions
from depfix.closure.build import Closure
from depfix.model.finding import Finding


def run_checks(closure: Closure) -> tuple[Finding, ...]:
    """Return every finding of a closure, those of extensions too, worst first, then by rule and subject."""
    found = [*check_target(closure), *check_missing(closure), *check_modules(closure), *check_metadata(closure)]
    native = [*check_native_data(closure)]
    found += [*without_repeated(closure, check_data(closure), native), *native, *check_bound(closure)]
    found += check_behaviour(closure)
    found += [*check_images(closure), *check_damaged(closure), *check_versions(closure)]
    found += check_abi(closure, found)
    found += [*check_symbols(closure), *check_runtimes(closure), *check_bundled(closure)]
    found += [*check_conflicts(closure), *check_openmp(closure, one_process=closure.from_program)]
    found += [
        *check_gpu(closure, found),
        *check_backends(closure),
        *check_shadowed(closure),
        *check_protection(closure),
    ]
    found += check_environments(closure, found)
    found += check_skipped(closure)
    found += check_unreached(closure, {finding.subject for finding in found})
    found += check_extended(closure)
    return tuple(sorted(found, key=lambda finding: (finding.severity.rank, finding.rule, finding.subject)))
