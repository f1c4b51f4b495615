"""Writes the reports of an audit, each form on its own: one that fails does not lose the others."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from depfix.cli.exits import CLEAN
from depfix.cli.outputs import make_folder, write_whole
from depfix.cli.terminal import hint, print_text, tell
from depfix.errors import DepfixError, WriteError
from depfix.reports.forms import Form, Material, form, form_names

if TYPE_CHECKING:
    from depfix.pipeline import Assessment
    from depfix.policy.judging import Judgement
    from depfix.policy.values import Policy

_ANNOTATIONS, _SUMMARY = "github", "markdown"  # forms that GitHub Actions takes


class Publisher:
    """The forms and folders of one audit. Made before the work, so that what cannot be written is told at once."""

    def __init__(self, folders: Sequence[str], policies: Sequence[Policy]) -> None:
        """Make the folders. Raises UnknownFormError, WriteError."""
        self.written: list[str] = []
        self._forms: dict[str, Form | DepfixError] = {}
        for policy in policies:
            for name in _names(policy):
                self._forms.setdefault(name, _loaded(name, asked=bool(policy.formats)))
        for folder in folders:
            make_folder(folder)

    @property
    def is_annotating(self) -> bool:
        """True if findings are printed as annotations of GitHub Actions."""
        return os.environ.get("GITHUB_ACTIONS") == "true" and _ANNOTATIONS in form_names()

    def needs_inventory(self, policy: Policy) -> bool:
        return any(isinstance(one, Form) and one.needs_inventory for one in self._of(policy))

    def place_of(self, folder: str) -> str:
        """Return where a user reads on: the text report of a folder, else the folder."""
        text = os.path.join(folder, "report.txt")
        return text if text in self.written else folder

    def publish(self, folder: str, policy: Policy, seen: Assessment, judgement: Judgement, *, verbose: bool) -> int:
        """Write every form of one dist, and tell GitHub Actions if it is what runs this. Return an exit code."""
        report = replace(seen.report, findings=judgement.findings)
        material = Material(report, judgement.verdict, judgement.accepted, seen.inventory, seen.graph, verbose=verbose)
        codes = [CLEAN]
        used: set[str] = set()
        for name, one in zip(_names(policy), self._of(policy), strict=True):
            file_name = one.file_name if isinstance(one, Form) and one.file_name not in used else f"{name}.report"
            used.add(file_name)
            codes.append(self._write(name, one, material, os.path.join(folder, file_name)))
        codes.append(_tell_actions(material, annotate=self.is_annotating))
        return max(codes)

    def _of(self, policy: Policy) -> list[Form | DepfixError]:
        return [self._forms[name] for name in _names(policy)]

    def _write(self, name: str, one: Form | DepfixError, material: Material, path: str) -> int:
        if isinstance(one, DepfixError):
            return _failed(name, one)
        try:
            write_whole(path, one.render(material))
        except Exception as error:  # of an extension, or a defect of ours: the other forms are worth having
            _remove(path)  # that of an earlier run would be taken for this one's
            return _failed(name, error)
        self.written.append(path)
        return CLEAN


def folders_of(dists: Sequence[str], output: str) -> list[str]:
    """Return the folder for the reports of each dist: `output` for one alone, else one in it by the dist's name.

    Raises OutputInsideDistError.
    """
    from depfix.dist.identify import dist_root
    from depfix.policy.errors import OutputInsideDistError

    place = os.path.realpath(output)
    for dist in dists:
        root = os.path.realpath(dist_root(dist))
        if f"{place}{os.sep}".startswith(f"{root}{os.sep}"):
            raise OutputInsideDistError(output, dist)
    if len(dists) == 1:
        return [output]
    names: list[str] = []
    for dist in dists:
        name = os.path.basename(os.path.realpath(dist)) or "dist"
        taken = {one.lower() for one in names}
        wanted = [name, *(f"{name}-{number}" for number in range(2, len(dists) + 1))]
        names.append(next(one for one in wanted if one.lower() not in taken))
    return [os.path.join(output, name) for name in names]


def _names(policy: Policy) -> tuple[str, ...]:
    return tuple(dict.fromkeys(policy.formats or form_names()))


def _loaded(name: str, *, asked: bool) -> Form | DepfixError:
    try:
        return form(name)
    except DepfixError as error:
        if asked:
            raise
        return error


def _failed(name: str, error: Exception) -> int:
    words = str(error) if isinstance(error, DepfixError) else f"{type(error).__name__}: {error}"
    tell(f" the report {name} could not be made: {words}", "error:", "red")
    if isinstance(error, DepfixError):
        hint(error.hint)
    return DepfixError.exit_code


def _remove(path: str) -> None:
    try:
        os.unlink(path)
    except OSError:
        return


def _tell_actions(material: Material, *, annotate: bool) -> int:
    """Print annotations, and add to the summary of the job, if GitHub Actions runs this.

    Source: GitHub Docs, "Workflow commands for GitHub Actions"
    https://docs.github.com/actions/writing-workflows/choosing-what-your-workflow-does/workflow-commands-for-github-actions
    """
    summary = os.environ.get("GITHUB_STEP_SUMMARY", "")
    try:
        if annotate:
            print_text(form(_ANNOTATIONS).render(material))
        if summary and _SUMMARY in form_names():
            _append(summary, form(_SUMMARY).render(material))
    except Exception as error:  # as of a form that is written
        return _failed("for GitHub Actions", error)
    return CLEAN


def _append(path: str, text: str) -> None:
    try:
        with open(path, "a", encoding="utf-8", newline="\n", errors="backslashreplace") as file:
            file.write(text)
    except OSError as error:
        raise WriteError(path, error.strerror or str(error)) from error
