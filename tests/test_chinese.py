"""depfix in Chinese: what a person reads, and what stays as it is for machines."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from depfix.knowledge.rules import own_rules
from depfix.knowledge.tables import read_data
from depfix.trial.diagnosis import diagnose
from depfix.wording.speech import said, speaking, spoken
from tests.conftest import Cli, DistMaker

CHINESE = {"DEPFIX_LANG": "zh"}
# Three English words in a row are a sentence that nobody translated; these are texts of others, quoted as they are.
_SENTENCE = re.compile(r"(?<![\w\\/.`\"'(=-])[A-Za-z]?[a-z]+(?: [a-z]+){2,}")
_QUOTED = re.compile(
    r"(?s)\"[^\"]*\"|'[^']*'|`[^`]*`|“[^”]*”|\b[A-Z]\w+(?:Error|Pool): [^（）。；，]*|os error|depfix [a-z-]+ [^\n，。；]*|https?://\S+"
    r"|(?:Visual C\+\+|Wine|Process Monitor|Microsoft|Intel|Windows) [A-Za-z0-9. +-]*|eval .*|-m pip install \w+|import .*"
)


def english(text: str) -> list[str]:
    """Return what of a text is an English sentence."""
    return _SENTENCE.findall(_QUOTED.sub(" ", text))


@pytest.fixture
def rich(make_dist: DistMaker) -> Path:
    """Make a dist in which much is wrong."""
    dist = make_dist(
        {
            "pkg/core.pyd": ("need.dll", "VCRUNTIME140.dll", "nvcuda.dll", "mfplat.dll", "vcruntime140d.dll"),
            "pkg/other.cp311-win_amd64.pyd": ("python311.dll",),
            "bin/need.dll": (),
            "mkl_rt.2.dll": (),
            "libiomp5md.dll": (),
        },
        {
            "main.py": "import pkg, random\nfrom multiprocessing import Pool\nPool(3)\ninput()\nopen('out.txt', 'w')\nrandom.nothing\n",
            "random.py": "x = 1\n",
            "pkg/__init__.py": "from . import core, other, gone\nimport ssl, logging.handlers, nowhere\nopen('x.json')\n"
            "import importlib.metadata, os, ctypes, subprocess, sys, inspect\nimportlib.metadata.version('pkg')\n"
            "try:\n    import maybe\nexcept ImportError:\n    maybe = None\n"
            "os.add_dll_directory(r'C:\\Users\\me\\lib')\nctypes.CDLL('late.dll')\n"
            "open(os.path.join(os.path.dirname(__file__), 'table.bin'))\n"
            "subprocess.run([sys.executable, '-m', 'pip'])\ninspect.getsource(os)\n",
            "pkg/broken.py": "def (:\n",
            "qt.conf": "[Paths]\nPrefix = C:/Users/me/env/Library\n",
        },
    )
    (dist / "bad.dll").write_bytes(b"\0" * 99)
    (dist / "page.dll").write_bytes(b"<!DOCTYPE html>\n<html>")
    (dist / "kernel32.dll").write_bytes((dist / "bin" / "need.dll").read_bytes())
    return dist


def _told(one: Cli) -> str:
    return one.out + one.err


def test_a_scan_is_told_in_chinese(rich: Path, cli: Callable[..., Cli]) -> None:
    found = cli("scan", rich, "--entry", rich / "main.py", "-v", "--lang", "zh")
    assert found.code == 1
    assert not english(_told(found))
    assert "导入了它；dist 中没有，Windows 10 也不自带" in found.out or "导入了它；它在 bin/need.dll" in found.out
    assert "错误" in found.out and "引用链" in found.out and "提示:" in found.err
    assert len(re.findall(r"DF\d{3}", found.out)) > 12


def test_the_option_stands_anywhere_and_the_variable_and_the_system_count(rich: Path, cli: Callable[..., Cli]) -> None:
    runs = (
        cli("--lang", "zh", "scan", rich, "-q"),
        cli("scan", "--lang=zh", rich, "-q"),
        cli("scan", rich, "-q", environ=CHINESE),
        cli("scan", rich, "-q", environ={"LC_ALL": "zh_CN.UTF-8"}),
    )
    assert len({run.out for run in runs}) == 1 and "个错误" in runs[0].out
    assert "errors" in cli("scan", rich, "-q", "--lang", "en", environ=CHINESE).out
    wrong = cli("scan", rich, "--lang", "fr")
    assert wrong.code == 2 and "there are en, zh" in wrong.err


def test_machines_read_english_unless_a_language_is_asked_for(rich: Path, cli: Callable[..., Cli]) -> None:
    for form in ("json", "sarif", "junit", "github", "gitlab"):
        plain = cli("scan", rich, "--format", form, "-q", environ={"LC_ALL": "C"}).out
        assert plain == cli("scan", rich, "--format", form, "-q", environ={"LC_ALL": "zh_CN.UTF-8"}).out, form
        asked = cli("scan", rich, "--format", form, "-q", "--lang", "zh").out
        assert asked != plain and "导入" in asked, form
    english_report, chinese = (
        json.loads(cli("scan", rich, "--format", "json", "-q", "--lang", code).out) for code in ("en", "zh")
    )
    for one, other in zip(english_report["findings"], chinese["findings"], strict=True):
        assert {**one, "message": "", "no_fix": "", "trail": [], "fix": None, "searched": []} == {
            **other, "message": "", "no_fix": "", "trail": [], "fix": None, "searched": [],
        }  # fmt: skip


def test_a_kept_report_is_told_in_any_language(rich: Path, cli: Callable[..., Cli], tmp_path: Path) -> None:
    import os
    import time

    old = time.time() - 60
    for path in (*rich.rglob("*"), rich):
        os.utime(path, (old, old))
    environ = {"DEPFIX_CACHE_DIR": str(tmp_path / "cache")}
    first = cli("scan", rich, "--lang", "en", environ=environ).out
    again = cli("scan", rich, "--lang", "zh", environ=environ).out
    assert not english(again)
    assert cli("scan", rich, "--lang", "en", environ=environ).out == first
    assert again == cli("scan", rich, "--lang", "zh", "--no-cache").out


def test_a_group_of_a_plan_is_told_in_chinese(
    make_dist: DistMaker, make_conda: Callable[..., Path], cli: Callable[..., Cli]
) -> None:
    names = tuple(f"part{number}.dll" for number in range(4))
    dist = make_dist({"pkg/core.pyd": names}, {"pkg/__init__.py": "from . import core\n"})
    env = make_conda(dict.fromkeys((f"Library/bin/{name}" for name in names), ()))
    shown = cli("repair", dist, "--env", f"dir:{env}/Library/bin", "--dry-run", environ=CHINESE).out
    assert "\n复制 4 个文件，" in shown


def test_a_repair_and_its_end_are_told_in_chinese(
    make_dist: DistMaker, make_conda: Callable[..., Path], cli: Callable[..., Cli]
) -> None:
    dist = make_dist(
        {"pkg/core.pyd": ("need.dll", "gone.dll")}, {"pkg/__init__.py": "from . import core\nimport nowhere\n"}
    )
    env = make_conda({"Library/bin/need.dll": ("deeper.dll",), "Library/bin/deeper.dll": ()})
    runs = [
        cli("repair", dist, "--env", f"conda:{env}", "--dry-run", environ=CHINESE),
        cli("repair", dist, "--env", f"conda:{env}", environ=CHINESE),
        cli("undo", dist, "--list", environ=CHINESE),
        cli("undo", dist, environ=CHINESE),
        cli("undo", dist, environ=CHINESE),
        cli("repair", dist, "--env", f"dir:{dist}", environ=CHINESE),
        cli("repair", dist, environ=CHINESE),
    ]
    assert [run.code for run in runs[:5]] == [1, 1, 0, 0, 2]
    for run in runs:
        assert not english(_told(run)), run
    assert "已复制 2 个文件" in runs[1].out


def test_an_audit_is_told_in_chinese(rich: Path, cli: Callable[..., Cli], tmp_path: Path) -> None:
    policy = tmp_path / "depfix.toml"
    policy.write_text(
        'forbid-dlls = ["need*"]\nrequire-signature = ["app.exe", "none*.dll"]\nallow-licences = ["MIT"]\n'
        '[budgets]\nmax-size = 10\nmax-files = 1\n[[accept]]\nrule = "DF101"\nreason = "我们知道"\nexpires = 2020-01-01\n'
        '[[accept]]\nsubject = "nothing"\nreason = "没有"\n',
        encoding="utf-8",
    )
    out = tmp_path / "reports"
    audit = cli("audit", rich, "--config", policy, "--output-dir", out, "-v", environ={"LC_ALL": "zh_CN.UTF-8"})
    assert audit.code == 1 and not english(_told(audit)), _told(audit)
    for name in ("report.txt", "report.md"):
        assert not english((out / name).read_text(encoding="utf-8")), name
    assert "pkg/core.pyd imports it" in (out / "report.json").read_text(encoding="utf-8")
    page = (out / "report.html").read_text(encoding="utf-8")
    assert "导入了它" in page and "imports it" in page
    assert not english(_told(cli("audit", rich, "--config", policy, "--show-policy", environ=CHINESE)))
    policy.write_text("max-sise = 1\n[[accept]]\n[[dist]]\nfail-on = 3\n", encoding="utf-8")
    assert not english(_told(cli("audit", rich, "--config", policy, environ=CHINESE)))
    baseline = tmp_path / "baseline.json"
    cli("scan", rich, "--baseline", baseline, "--update-baseline", environ={"DEPFIX_LANG": "en"})
    text = baseline.read_text(encoding="utf-8")
    cli("scan", rich, "--baseline", tmp_path / "zh.json", "--update-baseline", environ=CHINESE)
    assert (tmp_path / "zh.json").read_text(encoding="utf-8") == text


WRONG = [
    ("scan", "nowhere.dist"),
    ("scan", "{file}"),
    ("scan", "{folder}"),
    ("scan", "{dist}", "--env", "conda:nosuch"),
    ("scan", "{dist}", "--env", "what:ever"),
    ("scan", "{dist}", "--env", "venv:{folder}"),
    ("scan", "{dist}", "--env", "python:{folder}"),
    ("scan", "{dist}", "--env", "wheels:{folder}"),
    ("scan", "{dist}", "--target", "win12"),
    ("scan", "{dist}", "--target", "win11-x86"),
    ("scan", "{dist}", "--select", "DF999"),
    ("scan", "{dist}", "--entry", "nowhere.py"),
    ("scan", "{dist}", "--report", "{file}"),
    ("scan", "{dist}", "--format", "word"),
    ("scan", "{dist}", "-o", "{folder}"),
    ("scan", "{dist}", "--update-baseline"),
    ("scan", "{dist}", "--baseline", "nowhere.json"),
    ("scan", "{dist}", "--nosuch"),
    ("scan",),
    ("scna", "{dist}"),
    ("scan", "{dist}", "--fail-on", "maybe"),
    ("repair", "{dist}", "--from-plan", "{file}"),
    ("repair", "{dist}", "--from-plan", "{file}", "--overwrite"),
    ("undo", "{dist}", "--to", "3"),
    ("undo", "{dist}", "--all", "--list"),
    ("why", "{dist}", "nothing.dll"),
    ("why", "{dist}", "need.dll"),
    ("tree", "{dist}", "pkg/core.pyd"),
    ("diff", "{dist}", "{dist}"),
    ("envs", "{dist}"),
    ("cache", "info"),
    ("diagnose", "{folder}"),
    ("diagnose", "0xC0000135"),
    ("diagnose", "ImportError: DLL load failed while importing core: 找不到指定的模块。", "--dist", "{dist}"),
    ("verify", "{dist}", "--trace", "{file}"),
    ("verify", "{dist}", "--exe", "none.exe"),
    ("explain", "DF000"),
    ("explain",),
]


@pytest.mark.parametrize("arguments", WRONG, ids=" ".join)
def test_errors_and_short_answers_are_told_in_chinese(
    make_dist: DistMaker, cli: Callable[..., Cli], tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    dist = make_dist({"pkg/core.pyd": ("need.dll",)}, {"pkg/__init__.py": "from . import core\n"})
    (tmp_path / "empty").mkdir()
    (tmp_path / "file.txt").write_text("x = 1\n", encoding="utf-8")
    names = {"dist": dist, "folder": tmp_path / "empty", "file": tmp_path / "file.txt"}
    told = cli(*(one.format(**names) for one in arguments), environ=CHINESE, cwd=tmp_path)
    assert re.search("[\u4e00-\u9fff]", _told(told)), told
    assert not english(_told(told)), told


def _commands() -> Iterator[tuple[str, ...]]:
    yield ()
    for name in (
        "scan",
        "repair",
        "audit",
        "undo",
        "verify",
        "diagnose",
        "diff",
        "why",
        "tree",
        "envs",
        "cache",
        "explain",
    ):
        yield (name,)
    yield from (("nuitka-plugin",), ("completion",), ("cache", "info"), ("cache", "clear"))


@pytest.mark.parametrize("command", list(_commands()), ids=" ".join)
def test_help_is_chinese(cli: Callable[..., Cli], command: tuple[str, ...]) -> None:
    told = cli(*command, "--help", "--lang", "zh").out
    assert "用法" in told and "显示本帮助并退出。" in told
    assert not english(re.sub(r"(?m)^ {2,}(?:nuitka|bash|zsh|fish|powershell) .*$", "", told))


def test_rules_are_explained_in_chinese(cli: Callable[..., Cli]) -> None:
    for rule in own_rules()[::12]:
        told = cli("explain", rule.code, environ=CHINESE).out
        assert "为什么会出错" in told and rule.name in told
        assert not english(told.partition("例子")[0]), told


@pytest.mark.parametrize("page", ["en", "zh", "other", "second"])
def test_every_known_error_text_is_diagnosed_in_chinese(page: str) -> None:
    rows = yaml.safe_load(
        (Path(__file__).parent.parent / "fixtures" / "error_texts" / f"{page}.yaml").read_text("utf-8")
    )
    texts = [str(row.get("text", "")) for row in (rows if isinstance(rows, list) else rows.get("texts", []))]
    assert len(texts) > 3
    for text in texts:
        for cause in diagnose(text):
            with speaking("zh"):
                one = spoken(cause)
            assert not english(f"{one.message}\n{one.why}\n{one.advice}"), (text, one)


def test_tables_hold_no_text_that_is_said_in_english_only() -> None:
    with speaking("zh"):
        from depfix.wording.message import tabled

        words = {row["words"] for row in json.loads(read_data("failures.json"))["failures"]} - {""}
        assert not [one for one in words if said(tabled(one)) == one]


def test_a_console_of_code_page_936_shows_it(rich: Path, cli: Callable[..., Cli]) -> None:
    odd = rich / "pkg" / "тест\u0e01\U0001f600.dll"
    odd.write_bytes(b"\0" * 9)
    told = cli("scan", rich, "-v", environ={**CHINESE, "PYTHONUTF8": "0", "PYTHONIOENCODING": "cp936:strict"})
    assert told.code == 1 and "Traceback" not in told.err
    assert "error:" not in told.err
