"""Whether the program can be started at all on the Windows that it is checked for."""

from __future__ import annotations

from collections.abc import Iterator

from depfix.checks.findings import finding
from depfix.closure.build import Closure
from depfix.knowledge.targets import oldest_target, targets
from depfix.model.finding import Finding, Location
from depfix.model.names import base_name, fold
from depfix.wording.message import phrase


def check_target(closure: Closure) -> Iterator[Finding]:
    """Yield a finding if the target cannot run programs of this machine, or is older than the Python supports."""
    dist, target = closure.world.dist, closure.world.system.target
    program = dist.host.path
    if not target.runs(dist.machine):
        yield finding(
            "wrong-machine",
            fold(base_name(program)),
            phrase(
                "{program} is {machine}, and {target} runs no such program",
                program=program,
                machine=dist.machine.words,
                target=target.words,
            ),
            locations=(Location(program),),
            chain=(program,),
            identity=f"{program}\0target",
        )
    if dist.python is None:
        return
    oldest = targets()[oldest_target(dist.python.version)]
    order = list(dict.fromkeys(each.release for each in targets().values()))
    if order.index(target.release) < order.index(oldest.release):
        yield finding(
            "absent-on-target",
            fold(base_name(dist.python.path)),
            phrase(
                "Python {python} needs {oldest} or newer, and the target is {target}",
                python=dist.python.text,
                oldest=oldest.words,
                target=target.words,
            ),
            locations=(Location(dist.python.path),),
            chain=(program, dist.python.path),
            identity="python",
        )
