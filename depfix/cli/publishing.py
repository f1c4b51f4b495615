"""Writes the reports of an audit, each form on its own: one that fails does not lose the others."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from depfix.cli.exits import CLEAN
from depfix.cli.outputs import make_folder, write_whole
from depfix.cli.terminal import hint, print_text, tell
from depfix.errors import DepfixError, WriteError
from depfix.reports.forms import Form, Material, form, form_names
from depfix.wording.message import system_words
from depfix.wording.speech import said, say

if TYPE_CHECKING:
    from depfix.api.auditing import Judgement, Looked, Policy

_ANNOTATIONS, _SUMMARY = "github", "markdown"  # forms that GitHub Actions takes


class Publisher:
    """The forms of one audit, and the folder of each dist for them.

    Made before the work, so that what cannot be written is told at once.
    """

    def __init__(self, folders: Mapping[str, str], policies: Sequence[Policy]) -> None:
        """Make the folders, given by the paths of the dists. Raises UnknownFormError, WriteError."""
        self.written: list[str] = []
        self._folders = folders
        self._forms: dict[str, Form | DepfixError] = {}
        for policy in policies:
            for name in _names(policy):
                self._forms.setdefault(name, _loaded(name, asked=bool(policy.formats)))
        for folder in folders.values():
            make_folder(folder)

    @property
    def is_annotating(self) -> bool:
        """True if findings are printed as annotations of GitHub Actions."""
        return os.environ.get("GITHUB_ACTIONS") == "true" and _ANNOTATIONS in form_names()

    def needs_inventory(self, policy: Policy) -> bool:
        return any(isinstance(one, Form) and one.needs_inventory for one in self._of(policy))

    def place_of(self, dist: str) -> str:
        """Return where a user reads on: the text report of a dist, else the folder of its reports."""
        text = os.path.join(self._folders[dist], "report.txt")
        return text if text in self.written else self._folders[dist]

    def publish(self, one: Looked, judgement: Judgement, *, verbose: bool) -> int:
        """Write every form of one dist, and tell GitHub Actions if it is what runs this. Return an exit code."""
        seen, folder = one.seen, self._folders[one.path]
        report = replace(seen.report, findings=judgement.findings)
        material = Material(report, judgement.verdict, judgement.accepted, seen.inventory, seen.graph, verbose=verbose)
        codes = [CLEAN]
        used: set[str] = set()
        for name, made in zip(_names(one.policy), self._of(one.policy), strict=True):
            file_name = made.file_name if isinstance(made, Form) and made.file_name not in used else f"{name}.report"
            used.add(file_name)
            codes.append(self._write(name, made, material, os.path.join(folder, file_name)))
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
    words = said(error) if isinstance(error, DepfixError) else f"{type(error).__name__}: {error}"
    tell(" " + say("the report {name} could not be made: {words}", name=name, words=words), "error:", "red")
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
        return _failed(say("for GitHub Actions"), error)
    return CLEAN


def _append(path: str, text: str) -> None:
    try:
        with open(path, "a", encoding="utf-8", newline="\n", errors="backslashreplace") as file:
            file.write(text)
    except OSError as error:
        raise WriteError(path, system_words(error)) from error
