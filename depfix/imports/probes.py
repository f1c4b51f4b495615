"""Conditions that tell whether modules can be imported: find_spec, and flags that a guarded import sets."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping

from depfix.imports.uses import ImportUse, Use
from depfix.imports.values import Choice, Constant, Probe, Reference, Value, truth

_NOTHING: frozenset[str] = frozenset()
# Modules of the standard library that Windows has and other systems have not, and the reverse.
# Source: "The Python Standard Library", MS Windows and Unix Specific Services https://docs.python.org/3/library/
_ON_WINDOWS = frozenset("msvcrt winreg winsound nt _winapi _overlapped".split())
_ELSEWHERE = frozenset("posix pwd grp fcntl termios resource syslog crypt spwd nis _posixsubprocess _scproxy".split())


def on_target(modules: Iterable[str]) -> bool | None:
    """Return True if Windows has all of these modules, False if it lacks one of them, None if that is not known."""
    named = frozenset(modules)
    if named & _ELSEWHERE:
        return False
    return True if named and named <= _ON_WINDOWS else None


def known_by(value: Value) -> tuple[frozenset[str], frozenset[str]]:
    """Return the modules that can be imported when a value is true, and when it is false."""
    if isinstance(value, Probe):
        return value.when_true, value.when_false
    if not isinstance(value, Choice):
        return _NOTHING, _NOTHING
    references = [one.name for one in value.values if isinstance(one, Reference)]
    nothing = [one for one in value.values if isinstance(one, Constant) and not one.value]
    if len(references) != 1 or not nothing or len(value.values) != 1 + len(nothing):
        return _NOTHING, _NOTHING
    return _with_top(references[0]), _NOTHING  # `x = None` where the import of x failed


def negated(value: Value) -> Probe | None:
    """Return the opposite of a condition, None if it tells nothing of modules."""
    when_true, when_false = known_by(value)
    return Probe(when_false, when_true) if when_true or when_false else None


def joined(values: Iterable[Value], *, decides: bool) -> Probe | None:
    """Return what `and` makes of conditions, with `decides` what `or` does; None if they tell nothing of modules."""
    found = [known_by(value) for value in values]
    trues, falses = [when_true for when_true, _ in found], [when_false for _, when_false in found]
    every, some = (falses, trues) if decides else (trues, falses)
    union, common = _NOTHING.union(*every), some[0].intersection(*some)
    if not union and not common:
        return None
    return Probe(common, union) if decides else Probe(union, common)


def compared(kind: ast.cmpop, left: Value, right: Value) -> Probe | None:
    """Return what a comparison with None, True or False tells of modules, None if nothing."""
    if not isinstance(right, Constant) or not (right.value is None or isinstance(right.value, bool)):
        return None
    when_true, when_false = known_by(left)
    if not when_true and not when_false:
        return None
    same = isinstance(kind, (ast.Is, ast.Eq))
    if not same and not isinstance(kind, (ast.IsNot, ast.NotEq)):
        return None
    return Probe(when_true, when_false) if same is bool(right.value) else Probe(when_false, when_true)


def covers(probed: frozenset[str], module: str) -> bool:
    """Return True if a module is one of those that were probed, or has one of them above or below it."""
    return any(
        one == module or one.startswith(f"{module}.") or (module.startswith(one) and module[len(one)] == ".")
        for one in probed
    )


def modules_of(uses: Iterable[Use]) -> frozenset[str]:
    """Return the modules that import statements name; relative ones have their dots."""
    found: set[str] = set()
    for use in uses:
        if isinstance(use, ImportUse) and not use.where.deferred:
            if use.module:
                found |= _with_top("." * use.level + use.module)
            else:
                found.update("." * use.level + name for name in use.names)
    return frozenset(found)


def needs_of(uses: Iterable[Use]) -> frozenset[str]:
    """Return what import statements need: modules, as `modules_of` has them, and `module:name` for names of them."""
    found = set(modules_of(uses))
    for use in uses:
        if isinstance(use, ImportUse) and not use.where.deferred and use.module:
            module = "." * use.level + use.module
            found.update(f"{module}:{name}" for name in use.names if name != "*")
    return frozenset(found)


def flags(
    succeeded: Mapping[str, Value], start: Mapping[str, Value], failed: list[dict[str, Value]], modules: frozenset[str]
) -> dict[str, Value]:
    """Return a probe for each name that is true if the imports of a `try` succeeded and false otherwise, or vice versa.

    `failed` are the names at the end of each handler, `start` those before the `try`.
    """
    found: dict[str, Value] = {}
    there = on_target(modules)
    for name, value in succeeded.items():
        if not isinstance(value, Constant):
            continue
        others = [start.get(name) if scope.get(name) == value else scope.get(name) for scope in failed]
        if others and all(isinstance(one, Constant) and bool(one.value) is not truth(value) for one in others):
            if there is not None:
                found[name] = Constant(bool(truth(value)) is there)
            else:
                found[name] = Probe(modules) if truth(value) else Probe(_NOTHING, modules)
    return found


def _with_top(name: str) -> frozenset[str]:
    return frozenset((name,)) if name.startswith(".") else frozenset((name, name.partition(".")[0]))
