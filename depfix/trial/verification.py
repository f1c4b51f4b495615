"""Starts a dist as on a clean machine and says what was seen: copy, run, watch, compare, judge."""

from __future__ import annotations

import os
import re
import shutil
import sys
import tempfile
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import partial

from depfix.closure.build import Closure
from depfix.dist.identify import Dist
from depfix.knowledge.tables import vc_runtimes
from depfix.loader.system import CleanSystem
from depfix.model.finding import Finding
from depfix.model.machine import Machine
from depfix.model.names import base_name, fold
from depfix.model.run import Ended, Observed, Order, VerificationRun
from depfix.trial.clean import ODD, PLAIN, Copied, Copy, copy_dist, remove_folder, windows_environment
from depfix.trial.compare import compare
from depfix.trial.display import Display, has_xvfb, hidden_display, screenshot
from depfix.trial.failures import CannotRunError, UnfitChoiceError, UnknownProgramError
from depfix.trial.judge import Seen, judged
from depfix.trial.observed import Places, key, load
from depfix.trial.prefix import find_wine, run_prefix
from depfix.trial.traces import read_trace
from depfix.trial.watching import read_wine_log
from depfix.trial.wine_run import WineRun, native_only
from depfix.wording.message import phrase, system_words

_TEMPORARY = "/temp/"


def _silent(_message: str) -> None:
    return None


@dataclass(frozen=True, slots=True)
class Settings:
    """What a user chooses for a run; see `depfix verify --help`. `tell` is told what is being done."""

    exe: str = ""
    arguments: tuple[str, ...] = ()
    timeout: float = 60.0
    alive: float = 0.0
    expect: str = ""
    cwd: str = "dist"
    odd_path: bool = False
    language: str = ""
    link: bool = False
    prefix: str = ""
    screenshot: str = ""
    trace: str = ""
    environ: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    tell: Callable[[str], None] = _silent
    copied: Copied | None = None


@dataclass(frozen=True, slots=True)
class _Raw:
    """What a way of running gives: the end of the program, what was seen, and facts around it."""

    how: str
    place: str
    ended: Ended | None
    observed: Observed
    is_own: Callable[[str], bool]
    strange_loads: bool
    display: str = ""
    written: tuple[str, ...] = ()
    spoilt: tuple[str, ...] = ()
    picture: bytes = b""


def verify_dist(
    dist: Dist, system: CleanSystem, settings: Settings, closure: Closure | None = None
) -> tuple[VerificationRun, tuple[Finding, ...]]:
    """Run a program of the dist, or read a trace of such a run, and return what was seen with the findings.

    Raises UnknownProgramError, UnfitChoiceError and TraceNotReadError for what the user gave, CannotRunError if Windows
    programs cannot be run here.
    """
    program = chosen_program(dist, settings.exe)
    order = Order(program, settings.arguments, settings.timeout, settings.alive, settings.expect, settings.cwd)
    if settings.trace:
        raw = _from_trace(dist, program, settings)
    elif sys.platform == "win32":
        raw = _on_windows(dist, order, settings)
    else:
        raw = _under_wine(dist, system, order, settings)
    comparison = compare(raw.observed, closure) if closure is not None else None
    seen = Seen(program, order, raw.ended, raw.observed, system, closure, comparison, raw.is_own, raw.strange_loads)
    run = VerificationRun(
        raw.how,
        program,
        raw.place,
        order,
        raw.ended,
        seen.failure,
        raw.observed,
        comparison,
        raw.display,
        raw.written,
        raw.spoilt,
        raw.picture,
    )
    return run, judged(seen)


def chosen_program(dist: Dist, name: str) -> str:
    """Return the dist-relative path of the program to start: the one named, else the one that hosts Python."""
    if not name:
        return dist.host.path
    wanted = fold(base_name(name))
    for program in dist.programs:
        if wanted in (fold(program.path), fold(program.path).removesuffix(".exe")):
            return program.path
    raise UnknownProgramError(name, tuple(program.path for program in dist.programs))


def check_settings(dist: Dist, settings: Settings) -> None:
    """Raise what `verify_dist` would raise of the user's choices and of this machine, before any work is done."""
    chosen_program(dist, settings.exe)
    if settings.trace:
        return
    if sys.platform != "win32":
        find_wine(settings.environ)
        if dist.machine is not Machine.AMD64:
            raise CannotRunError(
                phrase("the program is {machine}, and Wine runs 64-bit (amd64) ones here", machine=dist.machine.words)
            )
    if settings.cwd not in ("dist", "elsewhere") and not os.path.isdir(settings.cwd):
        raise UnfitChoiceError(
            settings.cwd, phrase("no such folder"), phrase("--cwd takes dist, elsewhere or a folder")
        )
    if settings.language and (sys.platform == "win32" or not re.fullmatch(r"[a-z]{2,3}_[A-Z]{2}", settings.language)):
        known = phrase("it is chosen for Wine alone, as zh_CN, ja_JP or de_DE; Windows has its own")
        raise UnfitChoiceError(settings.language, phrase("no language that can be chosen here"), known)
    if settings.screenshot:
        if sys.platform == "win32" or not has_xvfb(settings.environ):
            raise UnfitChoiceError(
                settings.screenshot,
                phrase("a picture is taken of Xvfb's screen, which is not here"),
                phrase("install Xvfb (xvfb)"),
            )


# --- a trace ---------------------------------------------------------------------------------------------------------


def _from_trace(dist: Dist, program: str, settings: Settings) -> _Raw:
    programs = (program,) if settings.exe else tuple(one.path for one in dist.programs)
    trace = read_trace(settings.trace, dist.tree, programs)
    return _Raw(trace.kind, trace.root, None, trace.observed, _is_temporary, strange_loads=True)


def _is_temporary(path: str) -> bool:
    """Return True for a file that a program unpacked for itself."""
    return _TEMPORARY in key(path)


# --- under Wine ------------------------------------------------------------------------------------------------------


def _under_wine(dist: Dist, system: CleanSystem, order: Order, settings: Settings) -> _Raw:
    wine = find_wine(settings.environ)
    with ExitStack() as stack:
        prefix = stack.enter_context(run_prefix(wine, settings.environ, settings.prefix, settings.tell))
        display = stack.enter_context(hidden_display(settings.environ))
        _draw_on("x11" if display is not None else "null", prefix / "user.reg")
        top = prefix / "drive_c" / (ODD if settings.odd_path else PLAIN)[0]
        folder = prefix.joinpath("drive_c", *(ODD if settings.odd_path else PLAIN))
        if top.exists():
            remove_folder(top)  # of an earlier run in a prefix that is kept
        native = native_only(vc_runtimes(), system.has)
        run = WineRun(wine, prefix, str(folder), native, display.name if display is not None else "", settings.language)
        ready = stack.enter_context(run.services())  # they come up while the dist is copied
        settings.tell(phrase("copying the dist"))
        copy = copy_dist(dist.root, str(folder), link=settings.link, copied=settings.copied)
        ready()
        pictures: list[bytes] = []
        settings.tell(phrase("running {program} under {version}", program=order.program, version=wine.version))
        ended = run.run(order, partial(_take_picture, display, settings.screenshot, pictures))
        observed = read_wine_log(ended.log, Places(dist.tree, (run.windows_path(),)))
        return _finished(
            _Raw(
                wine.version,
                run.windows_path(),
                ended,
                observed,
                lambda path: key(path).startswith("c:/"),  # the drive of this run: what it wrote itself
                strange_loads=False,
                display="Xvfb" if display is not None else "",
                picture=b"".join(pictures),
            ),
            copy,
        )


def _take_picture(display: Display | None, wanted: str, pictures: list[bytes]) -> None:
    if display is not None and wanted:
        pictures.append(screenshot(display))


def _draw_on(driver: str, registry: os.PathLike[str]) -> None:
    """Choose Wine's driver for windows: without one that works, a program cannot even make a hidden one."""
    with open(registry, encoding="utf-8", errors="surrogateescape", newline="") as file:
        text = file.read()
    with open(registry, "w", encoding="utf-8", errors="surrogateescape", newline="") as file:
        file.write(re.sub(r'"Graphics"="\w+"', f'"Graphics"="{driver}"', text))


def _finished(raw: _Raw, copy: Copy) -> _Raw:
    return replace(
        raw,
        observed=replace(raw.observed, read=copy.read()),
        written=copy.written(),
        spoilt=copy.spoilt(),
    )


# --- on Windows ------------------------------------------------------------------------------------------------------


def _on_windows(dist: Dist, order: Order, settings: Settings) -> _Raw:
    from depfix.trial.windows_debug import run_debugged

    top = tempfile.mkdtemp(prefix="depfix-")
    try:
        settings.tell(phrase("copying the dist"))
        folder = os.path.join(top, *(ODD if settings.odd_path else PLAIN))
        copy = copy_dist(dist.root, folder, link=settings.link, copied=settings.copied)
        env = windows_environment(settings.environ)
        places = {"dist": folder, "elsewhere": env.get("USERPROFILE", top)}
        settings.tell(phrase("running {program}", program=order.program))
        command = [os.path.join(folder, *order.program.split("/")), *order.arguments]
        try:
            ended, loads, statuses = run_debugged(command, places.get(order.cwd, order.cwd), env, order)
        except OSError as error:
            raise CannotRunError(
                phrase("Windows does not start {program}: {error}", program=order.program, error=system_words(error))
            ) from error
        mapped = Places(dist.tree, (folder, os.path.realpath(folder)))
        observed = Observed(tuple(dict.fromkeys(load(path, mapped) for path in loads)), statuses=statuses)
        return _finished(_Raw("Windows", folder, ended, observed, partial(_is_below, top), strange_loads=True), copy)
    finally:
        remove_folder(top)
        shutil.rmtree(top, ignore_errors=True)


def _is_below(top: str, path: str) -> bool:
    return key(path).startswith(f"{key(top)}/") or _is_temporary(path)
