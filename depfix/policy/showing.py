"""A policy as it is in effect, with where each value is from: `depfix audit --show-policy`."""

from __future__ import annotations

from collections.abc import Iterator

from depfix.policy.values import Acceptance, Budgets, Policy
from depfix.reports.text import Line
from depfix.wording.message import phrase

_SHOWN = (
    "target",
    "entry",
    "env",
    "project-dir",
    "report",
    "select",
    "ignore",
    "fail-on",
    "formats",
    "output-dir",
    "baseline",
    "allow-dlls",
    "forbid-dlls",
    "allow-licences",
    "forbid-licences",
    "require-signature",
)


def policy_lines(dist: str, policy: Policy) -> Iterator[Line]:
    """Yield a policy as TOML, with a comment behind each value that is not the default."""
    of = phrase(" for {dist}", dist=dist) if dist else ""
    yield Line(
        phrase("# policy{of}: {file}", of=of, file=policy.file or phrase("no policy file, defaults and options"))
    )
    origins = dict(policy.origins)
    for key in _SHOWN:
        value = getattr(policy, key.replace("-", "_"))
        yield Line(f"{key} = {_toml(value)}{_from(origins.get(key, 'default'))}")
    yield from _budget_lines(policy.budgets, origins.get("budgets", "default"))
    for one in policy.accept:
        yield Line()
        yield from _acceptance_lines(one)
    yield Line()


def _budget_lines(budgets: Budgets, origin: str) -> Iterator[Line]:
    rows = (("max-size", budgets.size), ("max-files", budgets.files))
    shown = [f"{key} = {value}" for key, value in rows if value is not None]
    shown += [f"components.{_toml(name)} = {size}" for name, size in budgets.components]
    for row in shown:
        yield Line(f"budgets.{row}{_from(origin)}")


def _acceptance_lines(one: Acceptance) -> Iterator[Line]:
    yield Line(f"[[accept]]{_from(one.where)}")
    for key, value in (("rule", one.rules), ("subject", one.subjects), ("path", one.paths), ("reason", one.reason)):
        if value:
            yield Line(f"{key} = {_toml(value)}")
    if one.expires is not None:
        yield Line(f"expires = {one.expires.isoformat()}")


def _from(origin: str) -> str:
    return f"  # {origin}"


def _toml(value: object) -> str:
    """Return a text or a list of texts as TOML has it."""
    if isinstance(value, tuple):
        return f"[{', '.join(map(_toml, value))}]"
    text = str(value).replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join(char if char.isprintable() else f"\\U{ord(char):08x}" for char in text) + '"'
