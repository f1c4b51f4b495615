"""`depfix envs` as text and JSON."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from depfix.env.fit import Need, build_words
from depfix.env.protocol import EnvironmentInfo
from depfix.reports.text import Line
from depfix.reports.words import padded
from depfix.wording.speech import said, say, speaking_to_machines

Row = tuple[EnvironmentInfo, str | None]  # with why it does not fit; None where no dist was given


def environment_lines(rows: Sequence[Row], need: Need | None = None) -> Iterator[Line]:
    """Yield one line for each environment, and one for what is to be known of it."""
    if not rows:
        yield Line(say("no environment was found on this machine: --env names one by its folder"))
        return
    if need is not None:
        yield Line(say("the dist: {need}, {machine}", need=need.words, machine=need.machine.words))
        yield Line()
    width = max(len(info.spec) for info, _ in rows)
    kinds = max(len(info.kind) for info, _ in rows)
    for info, reason in rows:
        machine = said(info.machine.words) if info.machine is not None else "-"
        fits = say("fits") if reason == "" else ""
        root = info.root if info.root not in info.spec else ""
        text = f"  {padded(_python(info), 18)} {padded(machine, 15)} {info.kind:<{kinds}}  {root}"
        usable = not info.note and not reason
        yield Line(f"{text.rstrip()}  {fits}".rstrip(), f"{info.spec:<{width}}", "green" if usable else "yellow")
        yield from (Line(f"    {words}") for words in _remarks(info, reason))


def environments_json(rows: Sequence[Row]) -> str:
    """Return the environments as JSON; `fits` and `misfit` are there if a dist was given."""
    found = [
        {
            "spec": info.spec,
            "root": info.root,
            "kind": info.kind,
            "python": info.python or None,
            "machine": info.machine.value if info.machine is not None else None,
            "free_threaded": info.free_threaded,
            "debug": info.debug,
            "usable": not info.note,
            "note": info.note,
            "caveat": info.caveat,
            **({} if reason is None else {"fits": not reason, "misfit": reason}),
        }
        for info, reason in rows
    ]
    with speaking_to_machines():
        content = msgspec.json.encode(found, enc_hook=said)
    return msgspec.json.format(content, indent=2).decode("utf-8") + "\n"


def _python(info: EnvironmentInfo) -> str:
    version = info.python_version
    if version is None:
        return say("no Windows Python")
    return say("Python {build}", build=build_words(version, info.free_threaded, info.debug))


def _remarks(info: EnvironmentInfo, reason: str | None) -> Iterator[str]:
    if info.note:
        yield say("not usable: {note}", note=info.note)
    elif reason:
        yield say("does not fit: {reason}", reason=reason)
    if info.caveat:
        yield said(info.caveat)
