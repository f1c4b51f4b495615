"""Messages: English texts that know what they were made of, and the language that is chosen for them."""

from __future__ import annotations

import pickle

import pytest

from depfix.cache.codec import Codec
from depfix.cli.wrapping import wrapped
from depfix.model.finding import Confidence, Finding, Fix, Severity
from depfix.model.shown import cells
from depfix.reports.words import padded
from depfix.wording.choice import asked_language, language_named, system_language
from depfix.wording.message import Message, counted, joined, phrase, tabled
from depfix.wording.speech import said, say, speaking, spoken


def test_a_message_is_its_english_text() -> None:
    told = phrase("no such folder")
    assert told == "no such folder" and hash(told) == hash("no such folder")
    assert said(told) == "no such folder"
    with speaking("zh"):
        assert said(told) == "没有这个文件夹"
        assert told == "no such folder"


def test_messages_hold_messages_numbers_and_errors() -> None:
    inner = phrase("it is a file, not a folder")
    outer = phrase("environment {spec}: {reason}", spec="dir:x", reason=inner)
    assert outer == "environment dir:x: it is a file, not a folder"
    with speaking("zh"):
        assert said(outer) == "环境 dir:x：它是文件，不是文件夹"
        assert say("there are more than {most:,} files", most=1234567) == "超过 1,234,567 个文件"
    assert phrase("{path}: {reason}", path="a", reason=ValueError("b")) == "a: b"


@pytest.mark.parametrize(
    "name", ["{reason}.dll", "%s.dll", "{0}", "{", "{spec!r}", "{spec:>99}", "100%", "{{x}}", r"\1"]
)
def test_a_value_is_put_in_once_and_never_looked_at_again(name: str) -> None:
    told = phrase(
        "environment {spec}: {reason}", spec=name, reason=phrase("cannot read {path}: {reason}", path=name, reason="x")
    )
    assert told == f"environment {name}: cannot read {name}: x"
    with speaking("zh"):
        assert said(told) == f"环境 {name}：无法读取 {name}：x"
    assert said(tabled(name)) == name


def test_what_is_counted_has_the_form_of_its_number() -> None:
    one, many = (counted(number, "{number} file", "{number} files") for number in (1, 2))
    assert (one, many) == ("1 file", "2 files")
    with speaking("zh"):
        assert (said(one), said(many)) == ("1 个文件", "2 个文件")


def test_joined_messages_stay_messages() -> None:
    assert type(joined(", ", ["a", "b"])) is str
    told = joined("; ", [phrase("no such folder"), "x.dll"]) + "!"
    assert told == "no such folder; x.dll!"
    with speaking("zh"):
        assert said(told) == "没有这个文件夹；x.dll!"
        assert said("see: " + phrase("no such folder")) == "see: 没有这个文件夹"


def test_messages_survive_the_cache_and_other_processes() -> None:
    told = phrase("environment {spec}: {reason}", spec="{x}", reason=counted(3, "{number} file", "{number} files"))
    finding = Finding("DF101", "missing-dll", Severity.ERROR, Confidence.CERTAIN, "x.dll", told, (), (), no_fix=told)
    codec = Codec(Finding, Severity, Confidence)
    for again in (pickle.loads(pickle.dumps(finding)), codec.decode(codec.encode(finding))):
        assert again == finding and again.fingerprint == finding.fingerprint
        with speaking("zh"):
            assert said(again.message) == "环境 {x}：3 个文件"


def test_a_report_is_said_as_a_whole() -> None:
    fix = Fix("copy", "a", "b", "c", phrase("no such folder"))
    finding = Finding(
        "DF101", "missing-dll", Severity.ERROR, Confidence.CERTAIN, "x", phrase("it is no file"), (), (), fix
    )
    assert spoken(finding) is finding
    with speaking("zh"):
        told = spoken((finding, "plain"))
        assert told[0].message == "它不是文件" and told[0].fix is not None and told[0].fix.note == "没有这个文件夹"
        assert told[0].fingerprint == finding.fingerprint and not isinstance(told[0].message, Message)


@pytest.mark.parametrize(
    ("name", "language"),
    [("zh", "zh"), ("zh-CN", "zh"), ("zh_CN.UTF-8", "zh"), ("ZH_TW", "zh"), ("en", "en"), ("en_GB.UTF-8", "en"),
     ("C", "en"), ("C.UTF-8", "en"), ("POSIX", "en"), ("de_DE", ""), ("", ""), ("zhx", "")],
)  # fmt: skip
def test_languages_have_many_names(name: str, language: str) -> None:
    assert language_named(name) == language


@pytest.mark.parametrize(
    ("arguments", "environ", "asked"),
    [
        (["--lang", "zh", "scan", "x"], {}, "zh"),
        (["scan", "x", "--lang=zh"], {}, "zh"),
        (["--lang", "en", "scan", "--lang", "zh"], {}, "zh"),
        (["scan", "x"], {"DEPFIX_LANG": "zh_CN"}, "zh"),
        (["scan", "x", "--lang", "en"], {"DEPFIX_LANG": "zh"}, "en"),
        (["verify", "x", "--", "--lang", "zh"], {}, ""),
        (["scan", "x", "--lang"], {}, ""),
        (["scan", "x"], {"LANG": "zh_CN.UTF-8"}, ""),
    ],
)
def test_what_is_asked_for_comes_first(arguments: list[str], environ: dict[str, str], asked: str) -> None:
    assert asked_language(arguments, environ) == asked


@pytest.mark.skipif("os.name == 'nt'")
@pytest.mark.parametrize(
    ("environ", "language"),
    [
        ({"LANG": "zh_CN.UTF-8"}, "zh"),
        ({"LC_ALL": "en_US.UTF-8", "LANG": "zh_CN.UTF-8"}, "en"),
        ({"LC_MESSAGES": "zh_CN", "LANG": "en_US"}, "zh"),
        ({"LANG": "de_DE.UTF-8"}, "en"),
        ({}, "en"),
    ],
)
def test_the_system_says_the_rest(environ: dict[str, str], language: str) -> None:
    assert system_language(environ) == language


def test_chinese_takes_two_cells() -> None:
    assert cells("错误") == 4 and padded("错误", 9) == "错误     " and padded("error", 9) == "error    "
    lines = wrapped("", "它是指向文件夹之外的链接，不会跟随（见 C:\\发 布\\main.dist）。", 20)
    assert all(cells(line) <= 20 for line in lines)
    assert not any(line.lstrip().startswith(tuple("，。）")) or line.endswith("（") for line in lines)
    assert "C:\\发" in "".join(lines)
