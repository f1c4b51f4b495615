"""What code does that is otherwise in a frozen program, as tables: a source and what is found in it."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from depfix.imports.behaviour import may_behave
from depfix.imports.reader import read_source
from depfix.imports.uses import BehaviourUse, SourceTarget
from depfix.knowledge.conduct import frozen_calls, process_starters
from depfix.pipeline import Options, scan
from fixtures.behaviour_programs import take_console
from tests.conftest import Cli, DistMaker

TARGET = SourceTarget((3, 11))
GUARD = 'if __name__ == "__main__":\n'


def conduct(source: str, *rules: str, program: bool = True) -> list[tuple[int, str, str]]:
    """Return (line, rule, subject) of what a source does; `?` after the rule: it is not sure to happen."""
    facts = read_source(textwrap.dedent(source).encode(), TARGET, is_program=program)
    assert not facts.error
    found = [use for use in facts.uses if isinstance(use, BehaviourUse) and (not rules or use.rule in rules)]
    rows = [
        (use.where.line, use.rule + "?" * (use.where.deferred or use.where.conditional), use.subject) for use in found
    ]
    return sorted(dict.fromkeys(rows))


# --- processes -------------------------------------------------------------------------------------------------------

MP, CF = "import multiprocessing\n", "from concurrent.futures import ProcessPoolExecutor\n"
DL, JL = "from torch.utils.data import DataLoader\n", "from joblib import Parallel, delayed\n"


@pytest.mark.parametrize(
    ("source", "sure"),
    [
        (MP + "multiprocessing.Pool(4)", True),
        (MP + "p = multiprocessing.Process(target=print)\np.start()", True),
        (MP + "p = multiprocessing.Process(target=print)", None),
        (MP + "ps = [multiprocessing.Process(target=print) for i in range(3)]\nfor p in ps:\n    p.start()", True),
        (MP + "context = multiprocessing.get_context('spawn')\ncontext.Pool()", True),
        (MP + "with multiprocessing.Manager() as manager:\n    pass", True),
        (MP + "multiprocessing.cpu_count()", None),
        ("import multiprocessing as mp\nfrom multiprocessing import Pool\nwith Pool() as pool:\n    pool.map(len, [])", True),
        ("from multiprocessing.pool import ThreadPool\nThreadPool(4)", None),
        ("from multiprocessing.dummy import Pool\nPool(4)", None),
        (CF + "with ProcessPoolExecutor() as pool:\n    pool.submit(print)", True),
        (CF + "pool = ProcessPoolExecutor()\npool.map(print, [])", True),
        (CF + "pool = ProcessPoolExecutor()", False),
        ("import concurrent.futures\nconcurrent.futures.ThreadPoolExecutor().submit(print)", None),
        ("import torch.multiprocessing as mp\nmp.spawn(print, nprocs=2)", True),
        (DL + "for batch in DataLoader([], num_workers=2):\n    pass", True),
        (DL + "for index, batch in enumerate(DataLoader([], 8, True, None, None, 2)):\n    pass", True),
        (DL + "loader = DataLoader([], num_workers=2)", False),
        (DL + "for batch in DataLoader([]):\n    pass", None),
        (DL + "for batch in DataLoader([], num_workers=0):\n    pass", None),
        (DL + "import os\nfor batch in DataLoader([], num_workers=os.cpu_count()):\n    pass", True),
        (JL + "Parallel(n_jobs=-1)(delayed(len)(x) for x in [])", True),
        (JL + "Parallel(2)(delayed(len)(x) for x in [])", True),
        (JL + "Parallel()(delayed(len)(x) for x in [])", None),
        (JL + "Parallel(n_jobs=1)(delayed(len)(x) for x in [])", None),
        (JL + "Parallel(n_jobs=4, backend='threading')(delayed(len)(x) for x in [])", None),
        (JL + "Parallel(n_jobs=4, prefer='threads')(delayed(len)(x) for x in [])", None),
    ],
)  # fmt: skip
def test_what_starts_processes(source: str, sure: bool | None) -> None:
    found = conduct(source, "process-start")
    assert (any(not rule.endswith("?") for _, rule, _ in found) if found else None) is sure
    guarded = source.splitlines()
    start = next(index for index, line in enumerate(guarded) if not line.startswith(("import ", "from ")))
    kept = "\n".join([*guarded[:start], GUARD.strip(), *("    " + line for line in guarded[start:])])
    assert bool(conduct(kept, "process-start")) is bool(found)
    assert conduct(kept, "unguarded-multiprocessing") == []
    unguarded = conduct(source, "unguarded-multiprocessing")
    assert any(not rule.endswith("?") for _, rule, _ in unguarded) is (sure is True)


def test_a_child_runs_the_script_under_another_name() -> None:
    source = """
        import multiprocessing
        def work(): pass
        def main():
            multiprocessing.Pool()
        if __name__ != "__mp_main__":
            pass
        if __name__ == "__main__":
            main()
        else:
            multiprocessing.freeze_support()
    """
    assert conduct(source, "unguarded-multiprocessing") == []
    assert [row[0] for row in conduct(source, "process-start")] == [5]


def test_what_workers_repeat() -> None:
    source = """
        import torch, pandas as pd, json
        from multiprocessing import Pool
        model = torch.load("model.pt")
        def table(): return pd.read_csv("table.csv")
        data = table()
        if __name__ == "__main__":
            more = torch.load("other.pt")
            Pool(2).map(len, [])
    """
    assert conduct(source, "repeated-by-workers") == [
        (4, "repeated-by-workers", "torch.load"),
        (5, "repeated-by-workers", "pandas.read_csv"),
    ]
    assert conduct(source.replace("Pool(2).map(len, [])", "pass"), "repeated-by-workers") == []  # no workers


def test_freeze_support_before_and_under_the_guard() -> None:
    early = "import multiprocessing\nmultiprocessing.freeze_support()\nmultiprocessing.Pool()\n"
    assert [row[1] for row in conduct(early, "freeze-support", "early-freeze-support")] == [
        "early-freeze-support",
        "freeze-support",
    ]
    late = f"import multiprocessing\n{GUARD}    multiprocessing.freeze_support()\n    multiprocessing.Pool()\n"
    assert [row[1] for row in conduct(late, "freeze-support", "early-freeze-support")] == ["freeze-support"]


# --- a Python --------------------------------------------------------------------------------------------------------

SUB = "import os, subprocess, sys\n"


@pytest.mark.parametrize(
    ("source", "subject"),
    [
        ("subprocess.run([sys.executable, '-m', 'pip', 'install', 'x'])", "-m"),
        ("subprocess.check_call([sys.executable, '-c', 'pass'])", "-c"),
        ("subprocess.Popen([sys.executable, 'worker.py'])", "worker.py"),
        ("subprocess.run([sys.executable, '-mpip', 'list'])", "-mpip"),
        ("subprocess.run(args=[sys.executable, '-u', 'x.py'])", "-u"),
        ("subprocess.Popen([sys.executable] + sys.argv)", "restart"),
        ("subprocess.Popen([sys.executable, *sys.argv])", "restart"),
        ("os.execv(sys.executable, [sys.executable] + sys.argv)", "restart"),
        ("os.execl(sys.executable, sys.executable, *sys.argv)", "restart"),
        ("subprocess.run([sys.executable])", "restart"),
        ("os.system(f'{sys.executable} -m pip install x')", "-m"),
        ("os.system(sys.executable + ' -m pip install x')", "-m"),
        ("python = sys.executable\nsubprocess.run([python, '-m', 'x'])", "-m"),
        ("subprocess.run(['python', 'x.py'])", "by name"),
        ("subprocess.run('pip install x', shell=True)", "by name"),
        ("os.system('python -m x')", "by name"),
        ("os.popen('py -3.11 x.py')", "by name"),
        ("subprocess.run(['git', 'log'])", ""),
        ("subprocess.run(['pythonista', 'x'])", ""),
        ("subprocess.run([os.path.join(os.path.dirname(sys.executable), 'helper.exe')])", ""),
        ("subprocess.run(command)", ""),
        ("subprocess.run([])", ""),
        ("subprocess.run()", ""),
        ("print(sys.executable)", ""),
        ("try:\n    subprocess.run([sys.executable, '-m', 'x'])\nexcept FileNotFoundError:\n    pass", ""),
    ],
)
def test_commands_that_need_a_python(source: str, subject: str) -> None:
    found = conduct(SUB + source, "python-not-there")
    assert [row[2] for row in found] == ([subject] if subject else [])
    assert not any(row[1].endswith("?") for row in found)


def test_a_python_in_a_function_that_may_be_called() -> None:
    source = "import subprocess, sys\ndef install():\n    subprocess.run([sys.executable, '-m', 'pip'])\n"
    assert conduct(source, "python-not-there") == [(3, "python-not-there?", "-m")]


# --- sources and caches ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("import inspect\ndef f(): pass\ninspect.getsource(f)", [(3, "source-needed", "<function>")]),
        ("import inspect, json\ninspect.getsource(json.dumps)", [(2, "source-needed", "json.dumps")]),
        ("from inspect import getsourcelines\ngetsourcelines(x)", [(2, "source-needed", "builtins.x")]),
        ("import inspect\ntry:\n    inspect.getsource(len)\nexcept OSError:\n    pass", []),
        ("import inspect\ninspect.signature(len)", []),
        ("import torch\n@torch.jit.script\ndef f(x): return x", [(2, "source-needed", "<function>")]),
        ("import torch\ndef f(x): return x\ng = torch.jit.script(f)", [(3, "source-needed", "<function>")]),
        ("import torch\ng = torch.jit.load('x.pt')", []),
        ("import numba\n@numba.njit(cache=True)\ndef f(x): return x", [(2, "unwritable-cache", "numba.njit")]),
        ("from numba import jit\n@jit(nopython=True, cache=True)\ndef f(x): return x", [(2, "unwritable-cache", "numba.jit")]),
        ("import numba\n@numba.njit\ndef f(x): return x\n@numba.njit(cache=False)\ndef g(x): return x", []),
    ],
)  # fmt: skip
def test_sources_and_caches(source: str, found: list[tuple[int, str, str]]) -> None:
    assert conduct(source, "source-needed", "unwritable-cache") == found


# --- files and the console -------------------------------------------------------------------------------------------

BESIDE, CURRENT = "beside the program", "in the current directory"
PATHS = "import os, sys, pathlib, logging, sqlite3, shutil\n"


@pytest.mark.parametrize(
    ("source", "place"),
    [
        ("open(os.path.join(os.path.dirname(__file__), 'x.json'), 'w')", BESIDE),
        ("open(os.path.dirname(sys.executable) + '/x.log', mode='a')", BESIDE),
        ("(pathlib.Path(__file__).parent / 'x.txt').write_text('x')", BESIDE),
        ("pathlib.Path(__file__).with_name('x.txt').write_text('x')", BESIDE),
        ("(pathlib.Path(__file__).parent / 'x.txt').open('w')", BESIDE),
        ("os.makedirs(os.path.join(os.path.dirname(os.path.abspath(__file__)), 'out'), exist_ok=True)", BESIDE),
        ("logging.FileHandler(os.path.join(os.path.dirname(__file__), 'x.log'))", BESIDE),
        ("logging.basicConfig(filename='x.log')", CURRENT),
        ("open('x.txt', 'w')", CURRENT),
        ("open('./out/x.txt', 'xb')", CURRENT),
        ("open(os.path.join(os.getcwd(), 'x.txt'), 'w')", CURRENT),
        ("sqlite3.connect('data.db')", CURRENT),
        ("sqlite3.connect(':memory:')", ""),
        ("shutil.copy('a', 'b')", CURRENT),
        ("open('x.txt')", ""),
        ("open('x.txt', 'rb')", ""),
        ("open(name, 'w')", ""),
        ("open(os.path.expanduser('~/x.txt'), 'w')", ""),
        ("open(os.path.join(os.environ['LOCALAPPDATA'], 'x.txt'), 'w')", ""),
        ("open('C:\\\\data\\\\x.txt', 'w')", ""),
        ("open(os.devnull, 'w')", ""),
        ("open('nul', 'w')", ""),
        ("try:\n    open('x.txt', 'w')\nexcept OSError:\n    pass", ""),
    ],
)
def test_where_files_are_written(source: str, place: str) -> None:
    assert [row[2] for row in conduct(PATHS + source, "writes-beside-program")] == ([place] if place else [])


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("import sys\nsys.stdout.write('x')", [(2, "console-output", "stdout")]),
        ("import sys\nsys.stderr.flush()", [(2, "console-output", "stderr")]),
        ("import sys\nsys.stdout.buffer.write(b'x')", [(2, "console-output", "stdout")]),
        ("import sys\nif sys.stdout.isatty(): pass", [(2, "console-output", "stdout")]),
        ("import sys\nif sys.stdout is not None:\n    sys.stdout.write('x')", []),
        ("import sys\nif sys.stdout and sys.stdout.isatty(): pass", []),
        ("import sys\nif hasattr(sys.stdout, 'reconfigure'):\n    sys.stdout.reconfigure()", []),
        ("import sys\ntry:\n    sys.stdout.write('x')\nexcept AttributeError:\n    pass", []),
        ("import sys\nprint('x', file=sys.stderr)", [(2, "console-input", "ends")]),
        ("import faulthandler\nfaulthandler.enable()", [(2, "console-output", "faulthandler.enable")]),
        ("import faulthandler\nfaulthandler.enable(open('x', 'w'))", []),
        ("import os, sys\nsys.stdout = open(os.devnull, 'w')", [(2, "output-given", "stdout")]),
        ("name = input('? ')", [(1, "console-input", "input")]),
        ("try:\n    input()\nexcept EOFError:\n    pass", []),
        ("import sys\nfor line in sys.stdin.readlines(): pass", [(2, "console-input", "stdin")]),
        ("print(1)\nprint(2)", [(1, "console-input", "ends"), (2, "console-input", "ends")]),
        ("print(1)\ninput()", [(2, "console-input", "input")]),
        ("import argparse\nprint(1)", []),
        ("import time\nprint(1)\ntime.sleep(3)", []),
    ],
)
def test_the_console(source: str, found: list[tuple[int, str, str]]) -> None:
    assert conduct(source, "console-output", "console-input", "output-given") == found


# --- packages --------------------------------------------------------------------------------------------------------


def test_of_packages_only_what_their_import_does() -> None:
    assert may_behave(b"import sys\ndef f():\n    return sys.stdout.isatty()\n") is False
    plain = "import sys\nCOLOURS = sys.stdout.isatty()\ndef f():\n    sys.stdout.write('x')\n"
    assert may_behave(plain.encode())
    assert conduct(plain, program=False) == [(2, "console-output", "stdout")]
    assert conduct("open('x', 'w')\ninput()\nprint(1)\n", program=False) == []
    assert conduct("import multiprocessing\nmultiprocessing.Pool()\n", program=False) == []


def test_tables_are_read() -> None:
    assert process_starters()["multiprocessing.Pool"].terms == ()
    assert process_starters()["joblib.Parallel"].prepares
    rules = {row.rule for row in frozen_calls().values()}
    assert rules == {
        *("source-needed", "unwritable-cache", "writes-beside-program", "repeated-by-workers"),
        *("console-output", "console-input", "freeze-support"),
    }


@pytest.mark.parametrize(
    "source", ["open()", "import subprocess\nsubprocess.run(**x)", "print(*a, **b)", "import os\nos.execl()"]
)
def test_calls_without_arguments_are_read(source: str) -> None:
    assert read_source(source.encode(), TARGET, is_program=True).error == ""


# --- findings --------------------------------------------------------------------------------------------------------


@pytest.fixture
def frozen(make_dist: DistMaker) -> Path:
    """Return a folder that looks as PyInstaller makes it."""
    return make_dist({}, {"base_library.zip": ""})


def write(path: Path, content: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, encoding="utf-8")


def found(dist: Path, project: Path, source: str, others: dict[str, str] | None = None) -> list[tuple[str, str, str]]:
    """Return (rule, severity, subject) of what is said of how a program behaves."""
    for name, text in ({"main.py": source} | (others or {})).items():
        write(project / name, text)
    report = scan(str(dist), Options(environ={}, entries=(str(project / "main.py"),)))
    return [(one.rule, one.severity.value, one.subject) for one in report.findings if one.rule.startswith("DF4")]


POOL = "import multiprocessing\ndef main():\n    multiprocessing.Pool(2)\n"


def test_findings_of_a_program_and_of_its_project(frozen: Path, tmp_path: Path) -> None:
    guarded = f"{POOL}{GUARD}    main()\n"
    assert found(frozen, tmp_path / "a", guarded) == [("DF402", "error", "main.py")]
    assert found(frozen, tmp_path / "b", POOL + "main()\n") == [("DF401", "error", "main.py")]
    assert found(frozen, tmp_path / "c", f"{POOL}{GUARD}    multiprocessing.freeze_support()\n    main()\n") == []
    assert found(frozen, tmp_path / "d", POOL) == []  # nothing calls it
    called = f"import sys, work\n{GUARD}    work.main()\n    sys.stdin\n"
    assert found(frozen, tmp_path / "e", called, {"work.py": POOL}) == [("DF402", "warning", "work")]
    asked = f"import sys, work\n{GUARD}    if sys.argv: work.main()\n"
    python = "import subprocess, sys\ndef main():\n    subprocess.run([sys.executable, '-m', 'pip'])\n"
    assert found(frozen, tmp_path / "f", asked, {"work.py": python}) == [("DF404", "warning", "work")]
    assert found(frozen, tmp_path / "g", asked, {"work.py": python.replace("main", "other")}) == []


def test_a_plain_python_has_a_python(make_dist: DistMaker, tmp_path: Path) -> None:
    dist = make_dist({}, {})
    source = "import inspect, subprocess, sys\nsubprocess.run([sys.executable, '-m', 'x'])\ndef f(): pass\n"
    assert found(dist, tmp_path / "a", source + "inspect.getsource(f)\nopen('x', 'w')\nprint(1)\n") == []
    assert found(dist, tmp_path / "b", POOL + "main()\n") == [("DF401", "error", "main.py")]


def test_one_finding_for_all_places(frozen: Path, tmp_path: Path) -> None:
    source = "import os\nHERE = os.path.dirname(__file__)\n" + "open(HERE + '/x', 'w')\n" * 3 + "open('y', 'a')\n"
    write(tmp_path / "main.py", source)
    report = scan(str(frozen), Options(environ={}, entries=(str(tmp_path / "main.py"),)))
    (finding,) = [one for one in report.findings if one.rule == "DF408"]
    assert [(one.path, one.line) for one in finding.locations] == [("main.py", 3), ("main.py", 4), ("main.py", 5)]
    assert finding.chain[-1] == "main.py:3"
    assert finding.fix is None


def test_a_stream_that_is_given_is_there(frozen: Path, tmp_path: Path) -> None:
    take_console(next(frozen.glob("*.exe")))
    writes = "import os, sys\nsys.stderr.write('x')\n"
    assert found(frozen, tmp_path / "a", writes) == [("DF410", "error", "main.py")]
    given = "import os, sys\nif not sys.stderr:\n    sys.stderr = open(os.devnull, 'w')\nimport later\n"
    assert found(frozen, tmp_path / "b", given, {"later.py": writes}) == []


def test_the_command_line_takes_them_as_other_findings(
    frozen: Path, tmp_path: Path, cli: Callable[..., Cli], make_conda: Callable[..., Path]
) -> None:
    entry = tmp_path / "main.py"
    write(entry, f"{POOL}{GUARD}    main()\n")
    done = cli("scan", frozen, "--entry", entry)
    assert done.code == 1
    assert "DF402 missing-freeze-support  main.py" in done.out
    write(entry, f"{POOL}    multiprocessing.freeze_support()\nopen('x.txt', 'w')\n")
    assert cli("scan", frozen, "--entry", entry).code == 0  # a remark
    write(entry, f"{POOL}{GUARD}    main()\n")
    tree = cli("tree", frozen, "--entry", entry)
    assert (tree.code, "process-start" in tree.out) == (0, False)
    why = cli("why", frozen, "process-start", "--entry", entry)
    assert why.code == 0
    assert "something that frozen programs do otherwise" in why.out
    environment = make_conda({})
    repaired = cli("repair", frozen, "--env", f"conda:{environment}", "--entry", entry, "--yes")
    assert repaired.code == 1
    assert "DF402" in repaired.out
