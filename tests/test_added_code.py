"""Code that a program brings in by itself: zips that it puts on the search path, scripts that it runs."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from depfix.pipeline import scan
from fixtures.windows_lab import embedded_python
from tests.conftest import DistMaker, put
from tests.test_distributions import HAS_STDLIB, options, program, words

SEARCHED = "import os, sys\nsys.path.insert(0, os.path.join(os.path.dirname(sys.executable), 'plugins.zip'))\n"
RUN = "import os, runpy, sys\nrunpy.run_path(os.path.join(os.path.dirname(sys.executable), 'jobs', 'job.py'))\n"


@pytest.fixture
def dist(make_dist: DistMaker) -> Path:
    """A dist whose Python DLL is a real one, so that it is known what is built in."""
    made = make_dist({}, HAS_STDLIB | {"Lib/runpy.py": ""})
    put(embedded_python() / "python310.dll", made / "python310.dll")
    return made


def modules_missed(dist: Path, entry: str) -> set[str]:
    found = scan(str(dist), options([], entry)).findings
    return words(one for one in found if one.rule.startswith("DF2"))


def zipped(path: Path, files: dict[str, str]) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in files.items():
            archive.writestr(name, text)


def test_a_zip_on_the_search_path_has_modules(dist: Path, tmp_path: Path) -> None:
    zipped(
        dist / "plugins.zip",
        {"plug/__init__.py": "from . import part\n", "plug/part.py": "import nowhere\n", "Upper.py": "", "ext.pyd": ""},
    )
    entry = program(tmp_path, f"{SEARCHED}import plug.part, Upper, upper, ext\n")
    assert modules_missed(dist, entry) == {"DF201 error nowhere", "DF201 error upper", "DF201 error ext"}
    found = scan(str(dist), options([], entry)).findings
    (nowhere,) = (one for one in found if one.subject == "nowhere")
    assert [(place.path, place.line) for place in nowhere.locations] == [("plugins.zip/plug/part.py", 1)]


@pytest.mark.parametrize("content", [b"", b"no zip", b"PK\x03\x04"])
def test_what_is_no_zip_has_none(dist: Path, tmp_path: Path, content: bytes) -> None:
    (dist / "plugins.zip").write_bytes(content)
    assert modules_missed(dist, program(tmp_path, f"{SEARCHED}import plug\n")) == {"DF201 error plug"}


def test_a_script_of_the_dist_is_run(dist: Path, tmp_path: Path) -> None:
    (dist / "jobs").mkdir()
    (dist / "jobs" / "job.py").write_text("def work():\n    import here\nif __name__ == '__main__':\n    work()\n")
    (dist / "here.py").write_text("import nowhere\n")
    assert modules_missed(dist, program(tmp_path, RUN)) == {"DF201 error nowhere"}
    (dist / "jobs" / "job.py").unlink()
    assert modules_missed(dist, program(tmp_path, RUN)) == set()
