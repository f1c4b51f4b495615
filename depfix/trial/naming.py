"""Which cause a failure stands for, and of what: by the number of Windows, or by what bears the name."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from depfix.knowledge.failures import BY_DLL, BY_MODULE, BY_NUMBER, BY_PATH, UNKNOWN, codes, own_folders
from depfix.knowledge.stdlib import stdlib_modules
from depfix.knowledge.tables import vc_runtimes
from depfix.model.finding import Confidence
from depfix.model.names import base_name
from depfix.trial.messages import Frame, Hit
from depfix.wording.message import Message, joined, phrase, places, tabled

_VERSIONS = tuple((3, minor) for minor in range(8, 15))
_NO_FILE = "2"
_LOADS = re.compile(
    r"(?:CDLL|WinDLL|OleDLL|PyDLL|LoadLibrary(?:Ex)?[AW]?|dlopen)\(\s*r?[\"'](?P<name>[^\"'\n]{1,200})[\"']"
)
_STARTS = re.compile(
    r"(?:Popen|run|call|check_call|check_output|startfile|system)\(\s*[\[(]?\s*r?[\"'](?P<name>[^\"'\n ]{1,200})[\"' ]"
)
_ROOTS = (
    re.compile(r"(?:^|/)_MEI\w{1,12}/"),
    re.compile(r"(?:^|/)onefil[e~][^/]{0,60}/", re.IGNORECASE),
    re.compile(r"[^/]{1,100}\.(?:dist|DIS)/"),
    re.compile(r"~\d\.DIS/", re.IGNORECASE),
    re.compile(r"/_internal/"),
    re.compile(r"/site-packages/", re.IGNORECASE),
    re.compile(r"/(?:base_)?library\.zip/", re.IGNORECASE),
)
_CRT_SETS, _API_SETS = "api-ms-win-crt-", ("api-ms-win-", "ext-ms-win-")
_LIBRARY = (".dll", ".pyd", ".drv", ".ocx", ".exe")


@dataclass(frozen=True, slots=True)
class Told:
    """What a failure says: a cause, how surely, of what, and why; `path` is the subject as a path, if it is one."""

    cause: str
    confidence: Confidence
    subject: str
    words: str
    path: str = ""


def told_by(hit: Hit) -> Told:
    """Return what one failure says of its cause."""
    failure = hit.failure
    subject = _filled(failure.subject, hit.groups)
    words = _words(failure.words, hit.groups)
    if failure.cause == BY_NUMBER:
        return _by_number(hit, subject, words)
    if failure.cause == BY_DLL:
        return Told(_cause_of_dll(subject), failure.confidence, _dll_name(subject), words, subject)
    if failure.cause == BY_MODULE:
        cause = "missing-stdlib-module" if is_stdlib(subject) else "missing-module"
        return Told(cause, failure.confidence, subject.rstrip("."), words)
    if failure.cause == BY_PATH or "path" in failure.subject:
        return _by_path(failure.cause, failure.confidence, subject, words)
    name = _dll_name(subject) if "dll" in failure.subject or "plugin" in failure.subject else subject
    return Told(failure.cause, failure.confidence, name, words, subject)


@lru_cache(maxsize=256)
def is_stdlib(module: str) -> bool:
    """Return True for a module of the standard library of any Python that is known."""
    return any(module in stdlib_modules(version) for version in _VERSIONS)


def _filled(template: str, groups: dict[str, str]) -> str:
    """Return a template with its groups; one that did not match becomes nothing."""
    return re.sub(r"\{(\w+)\}", lambda match: groups.get(match[1], ""), template)


def _words(template: str, groups: dict[str, str]) -> str:
    names = places(template)
    return Message(template, tuple((name, groups.get(name, "")) for name in sorted(names)))


def _by_number(hit: Hit, subject: str, words: str) -> Told:
    failure = hit.failure
    code = codes().get(hit.code)
    loads = _named_in(hit.frames, _LOADS)
    by_name = failure.runtime or (failure.generic and _within(hit.frames, "ctypes"))
    if code is None:
        if subject.lower().endswith(_LIBRARY) or not failure.generic:
            return Told("missing-dll", Confidence.POSSIBLE, _dll_name(subject), words, subject)
        return Told(UNKNOWN, Confidence.POSSIBLE, "", words)
    if hit.code == _NO_FILE and failure.generic:
        return _no_file(hit)
    cause = code.cause
    if cause == "missing-dll" and by_name:
        cause, subject = "missing-runtime-dll", subject or loads
    text = joined("; ", filter(None, (tabled(code.words), words)))
    return Told(cause, code.confidence, _dll_name(subject), text, subject)


def _no_file(hit: Hit) -> Told:
    """Return what error 2 means that names no file: a program that is started, mostly."""
    words = tabled(codes()[_NO_FILE].words)
    if _within(hit.frames, "multiprocessing"):
        return Told("multiprocessing", Confidence.POSSIBLE, "", phrase("a worker process could not be started"))
    if not _within(hit.frames, "subprocess"):
        return Told("missing-data-file", Confidence.POSSIBLE, "", words)
    name = _named_in(hit.frames, _STARTS)
    if base_name(name).lower().removesuffix(".exe") in ("python", "pythonw", "python3", "py", "pip"):
        return Told(
            "python-not-there", Confidence.PROBABLE, name, phrase("the program starts Python, which is not there")
        )
    return Told(
        "missing-data-file", Confidence.PROBABLE, name, phrase("a program that is to be started is not there"), name
    )


def _by_path(cause: str, confidence: Confidence, path: str, words: str) -> Told:
    inside = inside_path(path)
    name = base_name(path)
    if cause != BY_PATH:
        return Told(cause, confidence, inside or name, words, path)
    if name.lower().endswith(_LIBRARY[:2]):
        return Told("missing-dll", confidence, _dll_name(path), words, path)
    parts = inside.split("/")
    if len(parts) > 1 and parts[0].lower() not in own_folders():
        return Told("missing-package-data", confidence, inside, words, path)
    return Told("missing-data-file", confidence, inside or name, words, path)


def inside_path(path: str) -> str:
    """Return a path of an error relative to the program's folder, with `/`; an empty string if it tells none."""
    slashed = re.sub(r"[\\/]+", "/", path)
    ends = [match.end() for pattern in _ROOTS for match in pattern.finditer(slashed[:1000])]
    if ends:
        return slashed[max(ends) :].strip("/")
    absolute = slashed.startswith("/") or slashed[1:2] == ":"
    return "" if absolute else slashed.removeprefix("./").strip("/")


def _cause_of_dll(path: str) -> str:
    """Return what is wrong if a DLL is not found: the Universal CRT comes with updates, other API sets with Windows."""
    name = base_name(path).lower()
    runtime = vc_runtimes().get(name)
    if runtime is not None:
        return "debug-runtime" if runtime.kind == "debug" else "missing-vc-runtime"
    if name.startswith(_CRT_SETS) or name == "ucrtbase.dll":
        return "missing-vc-runtime"
    return "absent-on-target" if name.startswith(_API_SETS) else "missing-dll"


def _dll_name(subject: str) -> str:
    """Return the file name of a DLL in lower case; what is no file name stays as it is."""
    name = base_name(re.sub(r"[\\/]+", "/", subject))
    return name.lower() if name.lower().endswith(_LIBRARY) or ("." not in name and "\\" in subject) else subject


def _within(frames: tuple[Frame, ...], package: str) -> bool:
    """Return True if one of the last frames is of a package or module of the standard library."""
    part = re.compile(rf"(?:^|[\\/]){package}(?:[\\/]|\.pyc?$)")
    return any(part.search(frame.path) or package in frame.function for frame in frames[-4:])


def _named_in(frames: tuple[Frame, ...], pattern: re.Pattern[str]) -> str:
    """Return the literal that the innermost source line gives to a call."""
    found = (pattern.search(frame.source) for frame in reversed(frames))
    return next((match["name"] for match in found if match is not None), "")
