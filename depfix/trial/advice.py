"""What to do about a cause: one sentence, and a command that can be pasted."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from depfix.knowledge.failures import UNKNOWN
from depfix.knowledge.rules import rule
from depfix.model.diagnosis import Cause
from depfix.model.finding import Confidence
from depfix.model.shell import quoted
from depfix.wording.message import phrase, tabled

_CURED_BY_COPIES = frozenset(
    (
        *(
            "missing-dll",
            "missing-delay-dll",
            "misplaced-dll",
            "missing-symbol",
            "wrong-machine",
            "missing-runtime-dll",
        ),
        *("missing-vc-runtime", "incomplete-gpu-runtime", "missing-module", "missing-stdlib-module", "abi-mismatch"),
        *("missing-extension-module", "missing-metadata", "hidden-module", "damaged-file", "missing-data-file"),
        *("missing-package-data", "missing-optional-module"),
    )
)
_REPLACES = frozenset(("missing-symbol", "wrong-machine", "damaged-file"))
_GUARD = "excluded-module-guard"
_ABOUT_INITIALISATION = phrase(
    "let the program load the newer copy of a library first, and look for two copies of one: of the "
    "Visual C++ runtime beside the program, of OpenMP, of a driver's DLLs"
)


@dataclass(frozen=True, slots=True)
class Question:
    """What a user asked: the log, as the command line names it, the dist, the environments and the scripts."""

    log: str = ""
    dist: str = ""
    environments: tuple[str, ...] = ()
    entries: tuple[str, ...] = ()

    @property
    def sources(self) -> str:
        given = [f"--env {quoted(spec)}" for spec in self.environments] or ["--env conda:NAME"]
        return " ".join((*given, *(f"--entry {quoted(path)}" for path in self.entries)))


def advised(causes: Iterable[Cause], question: Question) -> tuple[Cause, ...]:
    """Return causes with what to do about each."""
    return tuple(_advised(cause, question) for cause in causes)


def _advised(cause: Cause, question: Question) -> Cause:
    if cause.cause == UNKNOWN:
        return cause
    dist = quoted(question.dist or "main.dist")
    repair = f"depfix repair {dist} {question.sources}"
    if cause.cause == "dll-init-failed":
        return replace(cause, advice=_ABOUT_INITIALISATION, command=f"depfix scan {dist}")
    if cause.cause == _GUARD:
        return replace(cause, advice=_cure(cause), command=f"{repair} --lift-guard")
    if question.dist:
        return _with_dist(cause, repair, dist)
    if cause.cause in _CURED_BY_COPIES:
        log = quoted(question.log) if question.log else "LOG"
        command = f"depfix diagnose {log} --dist {dist} --env conda:NAME"
        return replace(
            cause,
            advice=phrase("let depfix look into the program's folder: it tells which file, and cures it"),
            command=command,
        )
    return replace(cause, advice=_cure(cause), command=f"depfix explain {cause.rule}" if cause.rule else "")


def _with_dist(cause: Cause, repair: str, dist: str) -> Cause:
    overwrite = " --overwrite" if cause.cause in _REPLACES else ""
    if cause.fix is not None:
        advice = phrase(
            "{provider} has it: copy it to {destination}",
            provider=cause.fix.provider or phrase("an environment"),
            destination=cause.fix.destination,
        )
        return replace(cause, advice=advice, command=repair + overwrite)
    if cause.cause in _CURED_BY_COPIES and cause.confidence is not Confidence.POSSIBLE:
        return replace(cause, advice=_cure(cause), command=repair + overwrite)
    if cause.cause in _CURED_BY_COPIES:
        return replace(cause, advice=phrase("see what else the folder lacks"), command=f"depfix scan {dist} --verbose")
    return replace(cause, advice=_cure(cause), command=f"depfix explain {cause.rule}" if cause.rule else "")


def _cure(cause: Cause) -> str:
    return tabled(rule(cause.rule).cure) if cause.rule else ""
