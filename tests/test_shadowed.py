"""DF209: modules of the program that hide others of their name, and modules that are there twice."""

from __future__ import annotations

from pathlib import Path

import pytest

from depfix.model.finding import Finding
from depfix.pipeline import Options, scan
from fixtures import nuitka_lab
from fixtures.nuitka_programs import PROGRAMS, REQUIREMENTS
from tests.conftest import DistMaker

Files = dict[str, str]


def findings(dist: Path, *entries: Path, environments: tuple[str, ...] = ()) -> list[Finding]:
    options = Options(environ={}, entries=tuple(map(str, entries)), environments=environments)
    return [one for one in scan(str(dist), options).findings if one.rule == "DF209"]


def brief(found: list[Finding]) -> list[tuple[str, str]]:
    return [(one.subject, one.severity.value) for one in found]


def project(folder: Path, files: Files) -> Path:
    """Write the sources of a program; return its script."""
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text, encoding="utf-8")
    return folder / "main.py"


def venv(folder: Path, files: Files, name: str, version: str = "2.1") -> str:
    """Make a virtual environment for Windows with one distribution of these files."""
    site = folder / "Lib" / "site-packages"
    info = site / f"{name}-{version}.dist-info"
    info.mkdir(parents=True)
    (folder / "pyvenv.cfg").write_text("home = C:\\Python310\nversion = 3.10.0\n")
    project(site, files)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    (info / "RECORD").write_text("".join(f"{path},,\n" for path in files) + f"{info.name}/RECORD,,\n")
    return f"venv:{folder}"


def record(dist: Path, name: str, *paths: str) -> None:
    """Write the dist-info of a distribution that installed these files."""
    info = dist / f"{name}-1.2.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.2\n")
    (info / "RECORD").write_text("".join(f"{path},,\n" for path in paths))


# --- the program's project ---

USER = {"user/__init__.py": "from queue import LifoQueue\n"}


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"main.py": "import user\n", "queue.py": "def work(): ...\n"}, [("queue", "warning")]),
        ({"main.py": "import user\n", "queue/__init__.py": ""}, [("queue", "warning")]),
        ({"main.py": "import user\n", "queue/notes.txt": ""}, []),  # a folder without code hides nothing
        ({"main.py": "import user\n", "helpers.py": ""}, []),
        ({"main.py": "import user, random\n", "random.py": "def work(): ...\n"}, []),  # nobody else imports it
        ({"main.py": "import user, helper\n", "helper.py": "import queue\n", "string.py": ""}, []),
    ],
)
def test_a_module_with_a_name_of_the_standard_library(
    make_dist: DistMaker, tmp_path: Path, files: Files, expected: list[tuple[str, str]]
) -> None:
    dist = make_dist(sources=USER)
    assert brief(findings(dist, project(tmp_path / "project", files))) == expected


def test_it_says_who_gets_the_wrong_one(make_dist: DistMaker, tmp_path: Path) -> None:
    script = project(tmp_path / "project", {"main.py": "import user\n", "queue.py": "def work(): ...\n"})
    (found,) = findings(make_dist(sources=USER), script)
    assert found.message.startswith(
        "queue.py may hide the standard library's queue: user/__init__.py:1 takes LifoQueue from it, "
        "which the file does not have"
    )
    assert found.confidence.value == "possible"  # what is in the program is not known here


def test_a_module_with_the_name_of_a_distribution(make_dist: DistMaker, tmp_path: Path) -> None:
    """A name matters only if a distribution of that name is installed and somebody else imports it."""
    files = {"main.py": "import user, utils\n", "utils.py": "def work(): ...\n"}
    script = project(tmp_path / "project", files)
    dist = make_dist(sources={"user/__init__.py": "import utils\n"})
    environment = venv(tmp_path / "env", {"utils/__init__.py": "def other(): ...\n"}, "python-utils")
    (found,) = findings(dist, script, environments=(environment,))
    assert found.message.startswith(
        "utils.py may hide that of python-utils 2.1 utils: user/__init__.py:1 imports utils"
    )
    assert findings(dist, script) == []  # without the environment nothing is known of another


def test_the_project_itself_in_the_environment(make_dist: DistMaker, tmp_path: Path) -> None:
    files = {"main.py": "import user, utils\n", "utils.py": "def work(): ...\n"}
    script = project(tmp_path / "project", files)
    dist = make_dist(sources={"user/__init__.py": "import utils\n"})
    environment = venv(tmp_path / "env", {"utils.py": files["utils.py"]}, "the-program")
    assert findings(dist, script, environments=(environment,)) == []


# --- the dist ---


def test_a_file_instead_of_a_recorded_package(make_dist: DistMaker) -> None:
    sources = {"attr.py": "def mine(): ...\n", "user/__init__.py": "from attr import define\n"}
    dist = make_dist(sources=sources)
    record(dist, "attrs", "attr/__init__.py", "attr/_make.py")
    (found,) = findings(dist)
    assert (found.subject, found.severity.value, found.confidence.value) == ("attr", "error", "certain")
    assert "attr.py hides that of attrs 1.2 attr: user/__init__.py:1 takes define from it" in found.message
    assert found.chain[-2:] == ("user/__init__.py:1", "attr")


@pytest.mark.parametrize(
    ("text", "importer", "expected"),
    [
        ("define = 1\n", "from attr import define\n", [("attr", "warning")]),  # it may want more of it elsewhere
        ("def __getattr__(name): ...\n", "from attr import define\n", [("attr", "warning")]),
        ("from other import *\n", "from attr import define\n", [("attr", "warning")]),
        ("", "try:\n    from attr import define\nexcept ImportError:\n    pass\n", [("attr", "warning")]),
        ("", "def later():\n    from attr import define\n", [("attr", "warning")]),
        ("", "import attr.validators\n", [("attr", "error")]),
        ("", "import other\n", []),
        ("", "try:\n    import other\nexcept ImportError:\n    from attr import define\n", [("attr", "warning")]),
    ],
)
def test_only_what_surely_fails_is_an_error(
    make_dist: DistMaker, text: str, importer: str, expected: list[tuple[str, str]]
) -> None:
    dist = make_dist(sources={"attr.py": text, "user/__init__.py": importer})
    record(dist, "attrs", "attr/__init__.py")
    assert brief(findings(dist)) == expected


def test_what_the_distribution_itself_installed(make_dist: DistMaker) -> None:
    dist = make_dist(sources={"attr/__init__.py": "", "user/__init__.py": "from attr import define\n", "six.py": ""})
    record(dist, "attrs", "attr/__init__.py")
    record(dist, "six", "six.py")
    assert findings(dist) == []


def test_a_package_and_a_module_of_one_name(make_dist: DistMaker) -> None:
    dist = make_dist(sources={"pkg/__init__.py": "", "pkg.py": "", "data.py": "", "data/table.txt": ""})
    (found,) = findings(dist)
    assert (found.subject, found.severity.value) == ("pkg", "warning")
    assert "the package pkg/__init__.py is imported, never pkg.py" in found.message
    record(dist, "pkg", "pkg/__init__.py", "pkg.py")  # so installed by click-plugins 1.1.1.2
    assert findings(dist) == []


def test_an_extension_module_beside_its_source(make_dist: DistMaker) -> None:
    """So are packages made that Cython or mypyc compiled."""
    dist = make_dist({"pkg/core.pyd": ()}, {"pkg/__init__.py": "from . import core\n", "pkg/core.py": ""})
    assert findings(dist) == []


# --- real programs of Nuitka ---

MAIN = "import queue\nimport multiprocessing.queues\nprint('started', multiprocessing.queues.__name__)\n"
OWN = "def work():\n    return 1\n"
OPTIONS = ("--include-module=multiprocessing.queues",)


@pytest.fixture(scope="module")
def shadowing(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shadowing")
    project(folder, {"main.py": MAIN, "queue.py": OWN})
    return nuitka_lab.build(folder, OPTIONS)


@pytest.mark.lab
@pytest.mark.usefixtures("wine")
def test_a_real_program_with_the_wrong_queue_does_not_start(shadowing: Path) -> None:
    code, out, err = nuitka_lab.run(shadowing / "main.dist" / "main.exe")
    assert code != 0 and "started" not in out
    assert "cannot import name" in err and "from 'queue'" in err
    (found,) = findings(shadowing / "main.dist", shadowing / "main.py")
    assert (found.subject, found.severity.value) == ("queue", "error")
    assert found.message.startswith("queue.py hides the standard library's queue: ")


@pytest.mark.lab
@pytest.mark.parametrize("name", ["matrix", "notes"])
def test_real_programs_are_silent(name: str) -> None:
    program = next(one for one in PROGRAMS if one.name == name)
    build = nuitka_lab.build(program.path, (*program.options, "--deployment"), requirements=REQUIREMENTS)
    environment = f"python:{nuitka_lab.environment(REQUIREMENTS)}"
    assert findings(build / "main.dist", build / "main.py", environments=(environment,)) == []
