"""Files of an environment that must not be taken: links that lead out of it, and names that Windows reads otherwise."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property

from depfix.env.listing import path_key
from depfix.model.names import unsafe_name
from depfix.wording.message import phrase

# Only a path with one of these is looked at closely: what no name in Windows may hold, its last dot or space, devices.
_SUSPECT = re.compile(
    r'[<>:"|?*\\\x00-\x09\x0b-\x1f]|[. ](?:/|$)|(?:^|/)(?:con|prn|aux|nul|com|lpt)(?:in\$|out\$|[^/a-z_-])?(?:[./ ]|$)',
    re.IGNORECASE | re.MULTILINE,
)


class Boundary:
    """The folders that the files of an environment may really lie in.

    `roots` are those of the environment, `sources` gives more when a file lies in none of them: editable projects.
    """

    def __init__(self, roots: Iterable[str], sources: Callable[[], Iterable[str]] = tuple) -> None:
        self._roots = tuple(roots)
        self._sources = sources
        self._folders: dict[str, str] = {}

    def refusal(self, path: str) -> str:
        """Return why an absolute file must not be taken, an empty string if it may be.

        A file that does not lie in the environment at all, as one that was unpacked, is none of its concern.
        """
        folder = os.path.dirname(path)
        if folder not in self._folders:
            self._folders[folder] = self._leads_out(folder)
        reason = self._folders[folder]
        if not reason and os.path.islink(path):
            reason = self._leads_out(path)
        return reason or unsafe_name(os.path.basename(path))

    def _leads_out(self, path: str) -> str:
        if not _is_below(path, self._roots):
            return ""
        real = os.path.realpath(path)
        if _is_below(real, self._real_roots) or _is_below(real, self._real_sources):
            return ""
        return phrase("{path} is a link to {real}, outside the environment", path=path, real=real)

    @cached_property
    def _real_roots(self) -> tuple[str, ...]:
        return tuple(map(os.path.realpath, self._roots))

    @cached_property
    def _real_sources(self) -> tuple[str, ...]:
        return tuple(map(os.path.realpath, self._sources()))


def refused(paths: Sequence[str], root: str, refusal: Callable[[str], str]) -> dict[str, str]:
    """Return {path: why it must not be taken} of many absolute paths, most of which lie below `root`."""
    found = {path: reason for path in paths if (reason := refusal(path))}
    inner = [path.removeprefix(root).lstrip(os.sep) for path in paths]
    text = "\n".join(inner)
    if os.sep != "/":
        text = text.replace(os.sep, "/")
    if not _SUSPECT.search(text):
        return found
    for path, name in zip(paths, inner, strict=True):
        reason = unsafe_name(name.replace(os.sep, "/")) if path not in found else ""
        if reason:
            found[path] = reason
    return found


def _is_below(path: str, folders: Iterable[str]) -> bool:
    key = path_key(path)
    return any(key == (folder := path_key(one)) or key.startswith(folder + "/") for one in folders)
