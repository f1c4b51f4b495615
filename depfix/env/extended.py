"""The kinds of environments that other distributions add: `--env SCHEME:VALUE`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

from depfix.env.archives import Wanted
from depfix.env.protocol import Environment, EnvironmentInfo
from depfix.extensions import ENVIRONMENTS, Extension, extensions
from depfix.wording.message import phrase


@dataclass(frozen=True, slots=True)
class EnvironmentExtension:
    """What an entry point of `depfix.environments` names; the entry point is called as the scheme.

    `open` is given VALUE, the whole `SCHEME:VALUE`, and what the dist takes. It raises UnknownEnvironmentError if there
    is no such thing, WrongEnvironmentError if Windows files cannot come from it.
    """

    scheme: str
    open: Callable[[str, str, Wanted], Environment]


def extension_schemes() -> tuple[str, ...]:
    """Return the schemes that extensions add."""
    return tuple(extension.name for extension in extensions(ENVIRONMENTS))


def open_extended(scheme: str, value: str, spec: str, wanted: Wanted) -> Environment:
    """Return the environment that an extension opens. Raises ExtensionError, and what it raises itself of depfix's."""
    extension = next(one for one in extensions(ENVIRONMENTS) if one.name == scheme)
    loaded = extension.load()
    if not isinstance(loaded, EnvironmentExtension):
        found = type(loaded).__name__
        raise extension.failure(
            phrase("{environments} takes an EnvironmentExtension, not {found}", environments=ENVIRONMENTS, found=found)
        )
    if loaded.scheme != scheme:
        raise extension.failure(
            phrase(
                "its scheme is {scheme}, its entry point is called {scheme2}",
                scheme=repr(loaded.scheme),
                scheme2=repr(scheme),
            )
        )
    opened = extension.call(loaded.open, value, spec, wanted)
    absent = [name for name in _asked() if not hasattr(type(opened), name)]
    if absent:
        raise extension.failure(phrase("its environment lacks {absent}", absent=", ".join(absent)))
    guarded = cast(Environment, _Guarded(extension, opened))
    if not isinstance(guarded.info, EnvironmentInfo):
        raise extension.failure(
            phrase("its environment's info is no EnvironmentInfo but {type}", type=type(guarded.info).__name__)
        )
    return guarded


class _Guarded:
    """An environment whose failures name the extension that it is of."""

    def __init__(self, extension: Extension, environment: Environment) -> None:
        self._extension = extension
        self._environment = environment

    def __getattr__(self, name: str) -> Any:
        found = self._extension.call(getattr, self._environment, name)
        return partial(self._extension.call, found) if callable(found) else found


def _asked() -> tuple[str, ...]:
    """Return what an environment has to answer."""
    return tuple(name for name in vars(Environment) if not name.startswith("_"))
