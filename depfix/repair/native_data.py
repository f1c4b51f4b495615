"""Brings the data that native libraries read from an environment to where the library, or its package, looks."""

from __future__ import annotations

import posixpath
from collections.abc import Sequence

from depfix.checks.native_data import NATIVE
from depfix.closure.build import Closure
from depfix.closure.native_data import NativeNeed, offered, owner_of
from depfix.env.protocol import Environment
from depfix.model.finding import Finding
from depfix.model.names import join
from depfix.model.source import unowned
from depfix.repair.deliveries import Delivery, Piece, safe
from depfix.wording.message import joined, phrase


def deliver_native_data(closure: Closure, environments: Sequence[Environment], finding: Finding) -> Delivery | str:
    """Return the files of a finding of a library's data, or why there are none."""
    need = next((one for one in closure.native if _is_of(one, finding)), None)
    if need is None:
        return phrase("it is there")
    if need.home is None:
        variables = joined(phrase(" or "), need.row.variables)
        return phrase(
            "no folder of the dist is searched for it; let the program set {variables} before it is loaded",
            variables=variables,
        )
    if not environments:
        return phrase("no environment was given to take it from")
    home = "" if need.home == "." else need.home
    for environment in environments:
        owner = owner_of(closure.world, need.reader.name)
        rows = tuple(offered(closure.world, (environment,), need.row, need.groups, owner))
        if rows:
            pieces = tuple(Piece(path, posixpath.normpath(join(home, inner))) for path, inner in rows)
            inside = tuple(piece for piece in pieces if not piece.destination.startswith(".."))
            distribution = environment.distribution_of(rows[0][0])
            provider = distribution.provider if distribution is not None else unowned(environment.info.spec)
            return safe(environments, Delivery(inside, provider))
    return phrase("not found in {environments}", environments=", ".join(one.info.spec for one in environments))


def _is_of(need: NativeNeed, finding: Finding) -> bool:
    return not need.found and finding.identity == f"{NATIVE}{need.row.key}" and finding.subject == need.subject
