"""Every command block of every page is run, in both languages, and printed what the page shows; and the harness itself."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from fixtures.doc_blocks.compare import agrees, as_on_pages, renewed
from fixtures.doc_blocks.pages import PageError, Session, all_pages, escaping, language_of, sessions, shown
from fixtures.doc_blocks.shell import Outcome, lab_problem, needs_wine, problem, run
from fixtures.doc_blocks.workspaces import WORKSPACES
from fixtures.windows_lab import kept_alive

PAGES = all_pages()
SESSIONS = [session for page in PAGES for session in sessions(page)]
CHINESE = [page for page in PAGES if language_of(page) == "zh"]


@pytest.fixture(scope="module")
def wine_alive() -> Iterator[None]:
    with kept_alive():
        yield


@pytest.mark.lab
@pytest.mark.parametrize("session", SESSIONS, ids=lambda session: session.name)
def test_the_page_shows_what_is_printed(session: Session, request: pytest.FixtureRequest) -> None:
    if needs_wine(session):
        if missing := lab_problem():
            pytest.fail(f"this page runs real Windows programs: {missing}")
        request.getfixturevalue("wine_alive")
    outcomes = run(session)
    for command, outcome in zip(session.commands, outcomes, strict=True):
        wrong = problem(command, outcome)
        where = f"{shown(session.page)}:{command.lines[0]}: $ {command.text}"
        hint = f"python -m fixtures.doc_blocks --write {shown(session.page)}"
        assert not wrong, "\n".join([where, wrong, *outcome.lines, f"if that is right: {hint}"])


@pytest.mark.parametrize("page", PAGES, ids=shown)
def test_no_command_of_a_page_escapes(page: Path) -> None:
    found = escaping(page)
    assert not found, "\n".join(found)


def test_every_workspace_that_a_page_names_exists_and_is_used() -> None:
    named = {session.workspace for session in SESSIONS}
    assert named <= set(WORKSPACES)
    assert all((make.__doc__ or "").endswith(".") for make in WORKSPACES.values())


@pytest.mark.parametrize("page", CHINESE, ids=shown)
def test_a_page_and_its_chinese_have_the_same_commands(page: Path) -> None:
    """Only comments differ: no command asks for Chinese, for the reader's system speaks it."""
    english = page.with_name(re.sub(r"\.zh(-CN)?\.md$", ".md", page.name))
    assert [typed(session) for session in sessions(page)] == [typed(session) for session in sessions(english)]


def typed(session: Session) -> tuple[str, list[str]]:
    texts = [re.sub(r"\s+#\s.*", "", command.text) for command in session.commands]
    return session.workspace, texts


# --- the harness -----------------------------------------------------------------------------------------------------

PAGE = """# Title

<!-- workspace: empty -->

```console
$ echo one; echo two >&2; exit_code=7
one
two
$ printf 'no end of line'  # a comment
no end of line
```

Words.

```console
$ cd /; pwd; echo $exit_code
/
7
$ pwd; (exit 4)  # exit code 4
/
$ echo $?
4
$ echo a \\
>   b
a b
```

<!-- workspace: empty -->

```console
$ pwd; ls
...
```
"""


@pytest.fixture
def page(tmp_path: Path) -> Path:
    (tmp_path / "page.md").write_text(PAGE)
    return tmp_path / "page.md"


def test_a_session_is_one_shell_in_a_new_folder(page: Path) -> None:
    first, second = sessions(page)
    for session in (first, second):
        for command, outcome in zip(session.commands, run(session), strict=True):
            assert problem(command, outcome) == "", outcome
    assert run(second) == [Outcome(("/tmp/app",), 0)]
    lines = PAGE.splitlines()
    assert [lines[slice(*command.lines)] for command in first.commands] == [list(one.shown) for one in first.commands]


def test_a_page_in_chinese_is_run_as_its_reader_sees_it(page: Path) -> None:
    page.write_text("<!-- workspace: empty -->\n\n```console\n$ depfix --help\n```\n")
    for name, first in (("p.md", "Usage: depfix"), ("p.zh.md", "用法: depfix"), ("P.zh-CN.md", "用法: depfix")):
        (session,) = sessions(page.replace(page.with_name(name)))
        page = session.page
        assert run(session)[0].lines[0].startswith(first)


@pytest.mark.parametrize(
    ("old", "new", "wrong"),
    [
        ("one\ntwo\n", "one\n", "it printed something else"),
        ("one\ntwo\n", "two\none\n", "it printed something else"),
        ("one\ntwo\n", "one\ntwo\nthree\n", "it printed something else"),
        ("one\ntwo\n", "", "it printed something else"),
        ("# exit code 4", "", "exit code 4; if that is right, say it on the page: # exit code 4"),
        ("# exit code 4", "# exit code 2", "exit code 4, where the page says 2"),
        ("# exit code 4", "# 退出码 4", ""),
    ],
)
def test_what_a_page_says_wrongly_is_found(page: Path, old: str, new: str, wrong: str) -> None:
    page.write_text(PAGE.replace(old, new, 1))
    (session, _) = sessions(page)
    said = [problem(command, outcome) for command, outcome in zip(session.commands, run(session), strict=True)]
    assert [one for one in said if one] == ([wrong] if wrong else [])


@pytest.mark.parametrize(
    ("shown_lines", "printed", "same"),
    [
        ("a|b", "a|b", True),
        ("a|b", "a|b|c", False),
        ("a|...", "a", True),
        ("a|...", "a|b|c", True),
        ("...|c", "a|b|c", True),
        ("...|c", "a|b|c|d", False),
        ("a|...|b|c|...|d", "a|b|x|b|c|d", True),
        ("a|...|c|b|...|d", "a|b|x|b|c|d", False),
        ("a|...|a", "a", False),
        ("a ... b", "a x b", False),
        ("took 1.2 s", "took 13 s", True),
        ("...", "", True),
    ],
)
def test_what_agrees(shown_lines: str, printed: str, same: bool) -> None:
    assert agrees(shown_lines.split("|"), printed.split("|") if printed else []) == same


@pytest.mark.parametrize(
    ("shown_lines", "printed", "now", "left_out"),
    [
        ("", "a|b", "a|b", True),
        ("a|...", "a|b", "a|...", True),
        (
            "the first line|...|the last line",
            "the 1st line|x|y|the last line!",
            "the 1st line|...|the last line!",
            True,
        ),
        ("first line|second line|...", "first line|2nd line|x|y", "first line|2nd line|...", True),
        ("a first line|...|gone entirely|...|the last", "a first line|x|the last", "a first line|x|the last", False),
        (
            "...|error one|its cause|...|the verdict",
            "x|error 1|the cause|y|the verdict",
            "...|error 1|the cause|...|the verdict",
            True,
        ),
    ],
)
def test_a_page_is_written_anew(shown_lines: str, printed: str, now: str, left_out: bool) -> None:
    lines = shown_lines.split("|") if shown_lines else []
    assert renewed(lines, printed.split("|")) == (now.split("|"), left_out)


def test_the_folder_has_one_name_on_all_pages() -> None:
    printed = r"/tmp/x1y2/main.dist Z:\tmp\x1y2\a.exe 'Z:\\tmp\\x1y2\\b' /tmp/x1y2 z:/tmp/x1y2/c /tmp/x1y2z"
    shown_line = r"/tmp/app/main.dist C:\app\a.exe 'C:\\app\\b' /tmp/app C:/app/c /tmp/x1y2z"
    assert as_on_pages(printed, Path("/tmp/x1y2")) == [shown_line]


@pytest.mark.parametrize(
    ("text", "escapes"),
    [
        ("```bash\nls\n```", True),
        ("```sh\ndepfix scan\n```", True),
        ("```\n$ ls\n```", True),
        ("```text\ndepfix scan main.dist\n```", True),
        ("    depfix scan main.dist\n", True),
        ("    pip install depfix\n", True),
        ("1. first\n\n       $ ls\n", True),
        ("!!! note\n\n    ```console\n    $ ls\n    ```\n", True),
        ("```text\nOSError: [WinError 126]\n```", False),
        ("```yaml\n- run: depfix audit\n```", False),
        ("```powershell\ndepfix completion powershell | Invoke-Expression\n```", False),
    ],
)
def test_commands_that_nobody_runs_are_found(page: Path, text: str, escapes: bool) -> None:
    page.write_text(f"# Title\n\n{text}\n")
    assert bool(escaping(page)) == escapes


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("```console\n$ ls\n```", "no <!-- workspace: NAME --> above"),
        ("<!-- workspace: empty -->\n\n- x\n\n  ```console\n  $ ls\n  ```", "put it at the margin"),
        ("<!-- workspace: empty -->\n\n```console\nls\n```", "begins with a line"),
    ],
)
def test_a_page_that_cannot_be_run_is_refused(page: Path, text: str, wrong: str) -> None:
    page.write_text(text)
    with pytest.raises(PageError, match=re.escape(wrong)) as caught:
        sessions(page)
    assert "page.md:" in str(caught.value)
