"""`depfix diagnose`: what a customer's error text says of its cause, alone and together with the dist that failed."""

from __future__ import annotations

import io
import json
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import jsonschema
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from depfix.errors import LogNotReadError
from depfix.knowledge.failures import causes, code_of, code_texts, codes, failures
from depfix.knowledge.rules import rules
from depfix.model.diagnosis import Cause
from depfix.model.finding import Confidence
from depfix.reports.json import schema
from depfix.trial.decoding import decoded, read_log, read_stream
from depfix.trial.diagnosis import diagnose
from fixtures.error_corpus import HELD_OUT, ErrorText, error_texts
from tests.conftest import Cli

Run = Callable[..., Cli]
OWN_CAUSES = {"multiprocessing", "dll-init-failed", "unknown"}
POSTED = "Windows' own text, as posted in public repositories"
IN_TABLE = [row for row in codes().values() if row.cause != "unknown"]
CHINESE = "ImportError: DLL load failed while importing _C: 找不到指定的模块。"
TRACEBACK = """Traceback (most recent call last):
  File "main.py", line 1, in <module>
    import pkg.core
ImportError: DLL load failed while importing core: The specified module could not be found.
"""


def first(text: str) -> Cause:
    found = diagnose(text)
    assert found, text
    return found[0]


def told(text: str) -> tuple[str, str]:
    """Return cause and subject of the best answer."""
    found = diagnose(text)
    return (found[0].cause, found[0].subject) if found else ("unknown", "")


# --- the corpus ------------------------------------------------------------------------------------------------------


def is_right(row: ErrorText) -> bool:
    return told(row.text)[0] == row.cause


def test_the_corpus_is_as_wide_as_it_is_said_to_be() -> None:
    texts = error_texts()
    spoken = Counter(row.language for row in texts)
    assert len({row.id for row in texts}) == len(texts) >= 140
    assert sum(count for language, count in spoken.items() if language.startswith("zh")) >= 18
    assert {"de", "ru", "ja", "ko", "fr", "pt", "es", "it"} <= spoken.keys()
    assert sum(row.cause == "unknown" for row in texts) >= 10
    assert {row.id for row in texts} >= HELD_OUT
    assert [row.id for row in texts if not row.url.startswith("https://") or not row.title] == []
    assert {row.cause for row in texts} <= {rule.name for rule in rules()} | OWN_CAUSES


def test_the_corpus_is_told_right() -> None:
    misses = [(row.id, row.cause, told(row.text)) for row in error_texts() if not is_right(row)]
    assert len(misses) <= 0.05 * len(error_texts()), misses
    subjects = [row for row in error_texts() if row.subject and is_right(row)]
    wrong = [(row.id, row.subject, told(row.text)[1]) for row in subjects if told(row.text)[1] != row.subject]
    assert len(wrong) <= 0.05 * len(subjects), wrong


def test_a_text_alone_is_never_certain() -> None:
    assert [
        row.id for row in error_texts() for cause in diagnose(row.text) if cause.confidence.value == "certain"
    ] == []


def test_what_is_no_such_error_stays_unknown() -> None:
    unknown = [row for row in error_texts() if row.cause == "unknown"]
    assert [row.id for row in unknown if told(row.text)[0] != "unknown"] == []
    for text in ("hello", "KeyError: 'price'", "Module not found: Error: Can't resolve 'x'", "42"):
        assert told(text)[0] == "unknown"


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "gbk", "gb18030"])
def test_chinese_texts_are_told_in_every_encoding(encoding: str) -> None:
    rows = [row for row in error_texts() if row.language == "zh-CN"]
    read = {row.id: decoded([row.text.replace("\n", "\r\n").encode(encoding, "replace")]) for row in rows}
    assert [row.id for row in rows if told(read[row.id])[0] != row.cause] == []


# --- the table -------------------------------------------------------------------------------------------------------


def test_every_row_of_the_table_has_a_source_and_a_known_cause() -> None:
    names = {rule.name for rule in rules()} | OWN_CAUSES
    assert set(causes()) <= names
    sources = [row.source for row in codes().values()] + [row.source for row in code_texts()]
    sources += [row.source for _, row in failures()]
    assert [source for source in sources if not source.startswith(("https://", POSTED))] == []
    assert len({row.id for _, row in failures()}) == len(failures())
    assert [row.id for _, row in failures() if not row.has] == []


def test_a_pattern_matches_only_where_its_literal_stands() -> None:
    """Each text of the corpus gives the same hits if a pattern is tried on it all."""
    for row in error_texts():
        for pattern, failure in failures():
            match = pattern.search(row.text)
            if match is not None:
                assert any(has in row.text.lower() for has in failure.has), (row.id, failure.id)


def test_groups_that_the_table_names_are_in_its_patterns() -> None:
    for pattern, failure in failures():
        named = set(re.findall(r"\{(\w+)\}", failure.subject + failure.words))
        assert named <= set(pattern.groupindex), failure.id


@pytest.mark.parametrize("row", code_texts(), ids=lambda row: f"{row.code}-{row.language}")
def test_what_windows_says_is_told_in_every_language_without_a_number(row: object) -> None:
    assert hasattr(row, "text")
    assert hasattr(row, "code")
    found = first(f"ImportError: DLL load failed while importing _x: {row.text}.")
    assert found.cause == codes()[row.code].cause
    if found.cause not in ("unknown", "missing-data-file"):
        assert found.subject == "_x"


# --- numbers ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("number", "code"),
    [
        *(("0xC0000135", "0xC0000135"), ("c0000135", "0xC0000135"), ("-1073741515", "0xC0000135")),
        *(("3221225781", "0xC0000135"), ("0xc000007b", "0xC000007B"), ("0xc00007b", "0xC000007B")),
        *(
            ("-1066598274", "0xC06D007E"),
            ("0x8007007e", "126"),
            ("-2147024770", "126"),
            ("0x7e", "126"),
            ("126", "126"),
        ),
        *(
            ("14001", "14001"),
            ("4294967296", ""),
            ("-9999999999", ""),
            ("999999", ""),
            ("", ""),
            ("0xg", ""),
            ("-", ""),
        ),
    ],
)
def test_a_number_is_one_in_every_form(number: str, code: str) -> None:
    assert code_of(number) == code


@pytest.mark.parametrize("row", [row for row in IN_TABLE if row.code.startswith("0x")], ids=lambda row: row.code)
def test_an_exit_code_alone_is_told(row: object) -> None:
    assert hasattr(row, "code")
    assert hasattr(row, "cause")
    value = int(row.code, 16)
    forms = (row.code, row.code.lower(), str(value), str(value - 2**32), f"exit code {value}", f"({row.code.lower()})")
    assert {form: first(form).cause for form in forms} == dict.fromkeys(forms, row.cause)
    assert {first(form).confidence for form in forms} <= {Confidence.PROBABLE, Confidence.POSSIBLE}


@pytest.mark.parametrize("number", ["126", "127", "193", "1114", "14001"])
def test_an_error_of_windows_is_told_by_its_number_in_any_language(number: str) -> None:
    for text in (
        f"OSError: [WinError {number}] Qwertz uiop",
        f"[WinError {number} ] 乱码",
        f"LoadLibrary failed with error {number}",
    ):
        assert first(text).cause.replace("runtime-", "") == codes()[number].cause
    assert first(f"ImportError: DLL load failed while importing a: [WinError {number}] ???").subject == "a"


# --- what stands around an error -------------------------------------------------------------------------------------


def test_of_linked_tracebacks_the_root_counts() -> None:
    text = TRACEBACK + "\nDuring handling of the above exception, another exception occurred:\n\n"
    text += TRACEBACK.replace("importing core", "importing other")
    assert [cause.subject for cause in diagnose(text)] == ["core", "other"]
    apart = TRACEBACK + "\n" + TRACEBACK.replace("importing core", "importing other")
    assert [cause.subject for cause in diagnose(apart)] == ["other", "core"]  # the last is what ended the program


def test_prefixes_colours_and_escapes_do_not_matter() -> None:
    prefixed = "".join(f"2026-11-22 10:00:01,123 ERROR [main] {line}\n" for line in TRACEBACK.splitlines())
    coloured = decoded([TRACEBACK.replace("ImportError", "\x1b[1;31mImportError\x1b[0m").encode()])
    escaped = json.dumps({"level": "error", "exception": TRACEBACK})
    for text in (prefixed, coloured, escaped, TRACEBACK.replace("\n", "\r\n"), TRACEBACK.upper()):
        assert told(decoded([text.encode()]))[0] == "missing-dll", text
    assert first(prefixed).line == 4


def test_a_path_is_told_relative_to_the_program() -> None:
    places = {
        "C:\\\\Users\\\\me\\\\AppData\\\\Local\\\\Temp\\\\_MEI12345\\\\certifi\\\\cacert.pem": "certifi/cacert.pem",
        "C:\\Temp\\onefile_123_456\\pkg\\table.csv": "pkg/table.csv",
        "D:\\work\\main.dist\\pkg\\deep\\table.csv": "pkg/deep/table.csv",
        "D:\\app\\_internal\\pkg\\table.csv": "pkg/table.csv",
    }
    for path, inside in places.items():
        text = f"FileNotFoundError: [Errno 2] No such file or directory: '{path}'"
        assert told(text) == ("missing-package-data", inside)
    assert told("FileNotFoundError: [Errno 2] No such file or directory: 'config.ini'")[0] == "missing-data-file"


def test_who_loads_it_tells_of_an_error_that_names_nothing() -> None:
    text = 'Traceback (most recent call last):\n  File "main.py", line 3, in <module>\n    lib = CDLL("geo.dll")\n'
    text += '  File "ctypes\\__init__.py", line 356, in __init__\nOSError: [WinError 126] 找不到指定的模块。\n'
    assert told(text) == ("missing-runtime-dll", "geo.dll")


# --- encodings and sizes ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "gbk"])
def test_encodings_are_recognised(encoding: str) -> None:
    assert decoded([f"{CHINESE}\r\n".encode(encoding)]) == f"{CHINESE}\n"
    assert decoded([CHINESE.encode() + b"\r\n" + "找不到\r\n".encode("gbk")]) == f"{CHINESE}\n找不到\n"
    assert decoded(["Módulo não encontrado".encode("cp1252")]) == "Módulo não encontrado"


@pytest.mark.parametrize("content", [b"", b"  \r\n\t", b"\0" * 100, b"MZ\x90\0" + bytes(range(256)) * 50])
def test_what_is_no_text_is_refused(content: bytes) -> None:
    with pytest.raises(LogNotReadError):
        decoded([content])


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16-le"])
def test_a_big_log_is_read_at_both_ends_in_little_time(tmp_path: Path, encoding: str) -> None:
    line = "2026-11-22 10:00:01 INFO worker 17 finished, error 0, DLL load failed count 0, no module named nothing\n"
    log = tmp_path / "big.log"
    with log.open("w", encoding=encoding, newline="") as file:
        file.write(TRACEBACK)
        for _ in range(500):
            file.write(line * 2000)
        file.write(TRACEBACK.replace("importing core", "importing other"))
    start = time.monotonic()
    text = read_log(str(log))
    assert {cause.subject for cause in diagnose(text)} >= {"core", "other"}
    assert len(text) < 6 << 20
    assert time.monotonic() - start < 20
    with log.open("rb") as stream:
        assert told(read_stream(io.BytesIO(stream.read(8 << 20))))[0] == "missing-dll"


@settings(deadline=None, max_examples=150)
@given(st.binary(max_size=3000))
def test_no_bytes_make_it_fail(content: bytes) -> None:
    try:
        text = decoded([content])
    except LogNotReadError:
        return
    assert all(cause.confidence is not Confidence.CERTAIN for cause in diagnose(text))


PIECES = st.sampled_from(
    [has for _, row in failures() for has in row.has]
    + [row.text for row in code_texts()]
    + [
        "'",
        '"',
        "\n",
        "Traceback (most recent call last):\n",
        'File "a\\b.py", line 1, in x\n',
        "0xC0000135",
        "a.dll",
        "\\",
    ]
    + ["C:\\Program Files\\x", " " * 300, "x" * 400, "İ", "WinError 126", "--multiprocessing-fork", "1" * 50]
)


@settings(deadline=None, max_examples=150)
@given(st.lists(PIECES, max_size=40))
@example(["dll load failed"] * 40)
def test_no_mixture_of_its_own_words_makes_it_fail(pieces: list[str]) -> None:
    for cause in diagnose("".join(pieces)):
        assert cause.message
        assert cause.confidence is not Confidence.CERTAIN


@pytest.mark.parametrize("has", sorted({has for _, row in failures() for has in row.has}))
def test_the_time_grows_with_the_text_and_no_faster(has: str) -> None:
    for filling in ("a", " ", "'", '"', "\\", "a.dll ", "\n", ".", "/x"):
        text = (has + filling * 200) * 40 + filling * 20000
        start = time.monotonic()
        diagnose(text)
        assert time.monotonic() - start < 3, (has, filling)


# --- the command -----------------------------------------------------------------------------------------------------


def test_a_file_standard_input_or_the_message_itself(cli: Run, tmp_path: Path) -> None:
    log = tmp_path / "crash log.txt"
    log.write_bytes(TRACEBACK.encode("utf-16"))
    of_file = cli("diagnose", log)
    assert (of_file.code, of_file.err) == (1, "")
    assert "core, or a DLL that it needs, is missing" in of_file.out.splitlines()[0]
    assert f'depfix diagnose "{log}" --dist main.dist' in of_file.out
    assert of_file.out.isascii()
    piped = subprocess.run(
        [sys.executable, "-m", "depfix", "diagnose"], input=TRACEBACK.encode(), capture_output=True, check=False
    )
    assert (piped.returncode, b"core, or a DLL" in piped.stdout) == (1, True)
    assert cli("diagnose", TRACEBACK.splitlines()[-1]).out.splitlines()[0] == of_file.out.splitlines()[0]
    assert cli("diagnose", "-1073741515").out == cli("diagnose", "--", "-1073741515").out
    assert cli("diagnose", "0xC0000135").out.splitlines()[0] == cli("diagnose", "3221225781").out.splitlines()[0]


def test_exit_codes(cli: Run, tmp_path: Path) -> None:
    assert cli("diagnose", "0xC0000135").code == 1
    nothing = cli("diagnose", "KeyError: 'price'")
    assert nothing.code == 0
    assert "--dist main.dist" in nothing.out
    assert cli("diagnose", "OSError: [WinError 1455] The paging file is too small").code == 0
    log = tmp_path / "empty.log"
    log.write_bytes(b"")
    (tmp_path / "binary.log").write_bytes(b"MZ\x90\0" + bytes(range(256)) * 50)
    for given_log, word in (
        (log, "it is empty"),
        (tmp_path, "it is a folder"),
        (tmp_path / "nosuch.log", "there is no such file"),
        ("my log.txt", "there is no such file"),
        (tmp_path / "binary.log", "it is no text"),
        ("-", "it is empty"),
    ):
        refused = cli("diagnose", given_log)
        assert (refused.code, refused.out) == (2, "")
        assert word in refused.err
        assert "hint: " in refused.err
    assert cli("diagnose", "0xC0000135", "--dist", tmp_path / "none").code == 2
    assert "No such option" in cli("diagnose", "--dst").err
    assert cli("diagnose", "0xC0000135", "-o", tmp_path / "no" / "out.txt").code == 3


def test_the_json_has_what_it_promises(cli: Run, tmp_path: Path) -> None:
    report = json.loads(cli("diagnose", TRACEBACK, "--format", "json").out)
    assert report["schema_version"] == 1
    (cause,) = report["causes"]
    assert {"cause", "rule", "confidence", "subject", "message", "fix"} <= cause.keys()
    assert (cause["cause"], cause["rule"], cause["confidence"]) == ("missing-dll", "DF101", "probable")
    assert (cause["subject"], cause["fix"], cause["evidence"]["line"]) == ("core", None, 4)
    one = {"$defs": json.loads(schema())["$defs"], "$ref": "#/$defs/cause"}
    assert report["causes"]
    for cause in report["causes"]:
        jsonschema.validate(cause, one)
    assert json.loads(cli("diagnose", "nothing here", "--format", "json").out)["causes"] == []
    written = tmp_path / "out.json"
    assert cli("diagnose", TRACEBACK, "--format", "json", "-o", written).out == ""
    assert json.loads(written.read_text("utf-8")) == report
