"""A plan as text: file by file where there are few, by what they belong to where there are many."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from depfix.model.names import base_name, fold, plain_path
from depfix.model.plan import Action, Kept, Plan
from depfix.model.report import Report
from depfix.model.source import Provider
from depfix.reports.groups import EACH
from depfix.reports.text import Line, count, declined_words, head, size
from depfix.reports.words import padded
from depfix.wording.message import phrase
from depfix.wording.speech import said, say, spoken

_INDENT = " " * 9
_MOST_SINGLE = 3  # files of one provider for one finding that are shown one by one
_MOST_PLACES = 4
ACTIONS = {
    "copy": phrase("copy"),
    "replace": phrase("replace"),
    "write": phrase("write"),
    "patch": phrase("patch"),
}


def plan_lines(report: Report) -> Iterator[Line]:
    """Yield a plan as a user decides on it: every file or group of files, where it comes from, who needs it."""
    report = spoken(report)
    plan = report.plan or Plan((), ())
    yield from head(report)
    yield Line()
    groups = _groups(plan.actions)
    width = max((len(group[0].destination) for group in groups if len(group) <= _MOST_SINGLE), default=0)
    for group in groups:
        if len(group) > _MOST_SINGLE:
            yield from _group_lines(group)
            continue
        for action in group:
            yield from _action_lines(action, width)
    for row in plan.declined:
        yield Line(f" {row.subject} ({row.rule}): {row.reason}", say("declined"), "yellow")
    yield from _kept_lines(plan)
    for path in plan.long_paths(report.dist.root.replace("\\", "/").rpartition("/")[2]):
        words = say("{path} is so long a path that Windows may not open it where the program is installed", path=path)
        yield Line(f" {words}", say("warning"), "yellow")
    yield Line()
    if plan.left_out:
        yield Line(
            say(
                "{files}, {size}, of these packages left out: not reached",
                files=count(plan.left_out, "file"),
                size=size(plan.saved),
            )
        )
    yield Line(
        say(
            "{files} to copy, {size}; {declined}",
            files=count(len(plan.actions), "file"),
            size=size(plan.size),
            declined=declined_words(plan),
        )
    )


def repair_list_lines(dist: str, repairs: Sequence[tuple[int, str, int, int, str]]) -> Iterator[Line]:
    """Yield the repairs of a dist, the last one first: (number, when in ISO 8601, files, bytes, what)."""
    for number, when, files, total, what in reversed(repairs):
        date = when[:16].replace("T", " ") if when else padded(say("unknown date"), 16)
        yield Line(f"{number:4}  {date}  {count(files, 'file'):>10}  {size(total):>9}  {what}")
    yield Line(
        say(
            "{repairs} of {dist} can be undone, the uppermost first; times are in UTC",
            repairs=count(len(repairs), "repair"),
            dist=dist,
        )
    )


def _label(word: str) -> str:
    return f"{_INDENT}{padded(word, 11)}"


def _groups(actions: Sequence[Action]) -> list[list[Action]]:
    """Return the actions by what they belong to, or who needs them, in the order in which they are met."""
    found: dict[tuple[object, ...], list[Action]] = {}
    for action in actions:
        belongs = action.chain[:-1] if _is_subject(action) else action.subject
        found.setdefault((action.rule, belongs, action.provider, action.action), []).append(action)
    return list(found.values())


def _is_subject(action: Action) -> bool:
    """Return True for a file that is missed itself, as a DLL is; not for those of a package that is missed."""
    return fold(base_name(action.destination)) == fold(action.subject) and len(action.chain) > 1


def _action_lines(action: Action, width: int) -> Iterator[Line]:
    yield Line(
        f" {action.destination:<{width}}  {size(action.size):>9}  {_given_by(action)}",
        said(ACTIONS[action.action]),
        "green",
    )
    if action.action != "write":
        yield Line(plain_path(action.source), label=_label(say("from")))
    yield Line(" > ".join(action.chain), label=_label(say("needed by")))


def _group_lines(group: Sequence[Action]) -> Iterator[Line]:
    first = group[0]
    total = sum(action.size for action in group)
    if _is_subject(first):
        yield Line(
            " "
            + say(
                "{files}, {size}, of {given_by}",
                files=count(len(group), "file"),
                size=size(total),
                given_by=_given_by(first),
            ),
            said(ACTIONS[first.action]),
            "green",
        )
        yield Line(", ".join(action.destination for action in group), label=_INDENT)
        folders = dict.fromkeys(plain_path(one.source)[: -len(base_name(one.source))] for one in group)
        yield Line(", ".join(folders), label=_label(say("from")))
        yield Line(" > ".join((*first.chain[:-1], said(EACH))), label=_label(say("needed by")))
        return
    places = _places(group)
    more = say(" and {number} more", number=len(places) - _MOST_PLACES) if len(places) > _MOST_PLACES else ""
    yield Line(
        " "
        + say(
            "{subject}: {files}, {size}, of {given_by}",
            subject=first.subject,
            files=count(len(group), "file"),
            size=size(total),
            given_by=_given_by(first),
        ),
        said(ACTIONS[first.action]),
        "green",
    )
    yield Line(f"{', '.join(places[:_MOST_PLACES])}{more}", label=_label(say("to")))
    yield Line(plain_path(first.source), label=_label(say("from")))
    yield Line(" > ".join(first.chain), label=_label(say("needed by")))


def _given_by(action: Action) -> str:
    """Return who gives a file, with the licence and what there is to know of it."""
    provider = action.provider
    return ", ".join(filter(None, (str(provider), provider.licence, provider.note)))


def _kept_lines(plan: Plan) -> Iterator[Line]:
    """Yield what stays though a package has other content of it: the first few of each package."""
    by_provider: dict[Provider, list[Kept]] = {}
    for row in plan.kept:
        by_provider.setdefault(row.provider, []).append(row)
    for provider, rows in by_provider.items():
        for row in rows[:_MOST_SINGLE]:
            words = say(
                "{path} has other content than in {provider} ({there}; there {offered}); --overwrite replaces it",
                path=row.destination,
                provider=provider,
                there=row.there,
                offered=row.offered,
            )
            yield Line(f" {words}", say("kept"), "yellow")
        if len(rows) > _MOST_SINGLE:
            yield Line(
                " "
                + say(
                    "{number:,} more files of {provider} likewise", number=len(rows) - _MOST_SINGLE, provider=provider
                ),
                say("kept"),
                "yellow",
            )


def _places(group: Sequence[Action]) -> list[str]:
    """Return the folders and files of the dist that a group fills, below what all of them share."""
    parts = [action.destination.split("/") for action in group]
    depth = 0
    while all(len(one) > depth + 1 and one[depth] == parts[0][depth] for one in parts):
        depth += 1
    depth = max(depth, 1)
    found = ["/".join(one[:depth]) + ("/" if len(one) > depth else "") for one in parts]
    return list(dict.fromkeys(found))
