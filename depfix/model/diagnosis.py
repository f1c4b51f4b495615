"""Causes: what an error text says of the defect behind it."""

from __future__ import annotations

from dataclasses import dataclass

from depfix.model.finding import Confidence, Fix


@dataclass(frozen=True, slots=True)
class Cause:
    """One cause that an error text tells of.

    `cause` is the name of a rule, or `multiprocessing`, `excluded-module-guard`, `dll-init-failed`, `unknown`; `rule`
    the code of that rule, empty if it is none. `message` is one sentence, `why` what the text says of it, `advice` what
    to do, `command` what to type for it. `line` and `evidence` are the place in the text. `chain` and `fix` come from
    the findings of a dist; only with one that says the same is `confidence` certain.
    """

    cause: str
    rule: str
    confidence: Confidence
    subject: str
    message: str
    why: str = ""
    advice: str = ""
    command: str = ""
    line: int = 0
    evidence: str = ""
    chain: tuple[str, ...] = ()
    fix: Fix | None = None
