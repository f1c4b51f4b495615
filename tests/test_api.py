"""The Python API: the examples of its pages are what it prints, and it keeps its promises to who calls it."""

from __future__ import annotations

import doctest
import inspect
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import depfix
from depfix.errors import DepfixError, InputError
from depfix.repair.errors import PlanOutdatedError
from fixtures.demo import make_small_story
from tests.conftest import snapshot

ROOT = Path(__file__).parent.parent
PAGES = ("python-api.md", "python-api.zh.md")
FLAGS = doctest.NORMALIZE_WHITESPACE | doctest.IGNORE_EXCEPTION_DETAIL


@pytest.fixture(scope="module")
def master(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small dist, and the conda environment that it was built from, compiled once."""
    root = tmp_path_factory.mktemp("story")
    make_small_story(root)
    return root


@pytest.fixture
def story(master: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The current folder, with `main.dist` and `env`, and no environment active."""
    for name in ("main.dist", "env"):
        shutil.copytree(master / name, tmp_path / name)
    for name in [name for name in os.environ if name.startswith(("CONDA", "MAMBA", "VIRTUAL_ENV"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    yield tmp_path


@pytest.mark.parametrize("page", PAGES)
def test_the_examples_of_the_page_are_what_happens(page: str, story: Path) -> None:
    text = (ROOT / "docs" / page).read_text("utf-8")
    blocks = re.findall(r"^```pycon\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    example = doctest.DocTestParser().get_doctest("".join(blocks), {}, page, page, 0)
    assert len(example.examples) > 20
    _run(example, page)


def _documented() -> list[str]:
    return [name for name in depfix.__all__ if ">>> " in (inspect.getdoc(getattr(depfix, name)) or "")]


@pytest.mark.parametrize("name", _documented())
def test_the_examples_of_a_function_are_what_happens(name: str, story: Path) -> None:
    text = inspect.getdoc(getattr(depfix, name)) or ""
    _run(doctest.DocTestParser().get_doctest(text, {"depfix": depfix}, name, name, 0), name)


def _run(example: doctest.DocTest, name: str) -> None:
    told: list[str] = []
    doctest.DocTestRunner(optionflags=FLAGS).run(example, out=told.append)
    assert not told, f"{name}:\n{''.join(told)}"


def test_the_main_functions_have_examples_and_all_have_words() -> None:
    assert {"scan", "plan_repair", "apply", "undo", "why", "diagnose", "environments", "audit"} <= set(_documented())
    assert all(inspect.getdoc(getattr(depfix, name)) for name in depfix.__all__ if name != "__version__")


def test_both_pages_have_the_same_examples() -> None:
    pages = [(ROOT / "docs" / page).read_text("utf-8") for page in PAGES]
    code = [re.findall(r"^(?:>>>|\.\.\.) (.*)$", text, re.MULTILINE) for text in pages]
    assert code[0] == code[1]


def test_every_name_is_on_the_page_and_can_be_had() -> None:
    page = (ROOT / "docs" / PAGES[0]).read_text("utf-8")
    assert sorted(depfix.__all__) == depfix.__all__
    for name in depfix.__all__:
        assert getattr(depfix, name) is not None and name in dir(depfix)
        kind = getattr(depfix, name)
        if inspect.isfunction(kind):
            assert f"`{name}(" in page, name
    with pytest.raises(AttributeError, match="nothing"):
        _ = depfix.nothing  # type: ignore[attr-defined]


def test_the_package_that_has_the_name_of_no_function() -> None:
    """`import depfix.verify` would put a module in the place of the function."""
    folder = ROOT / "depfix"
    modules = {path.stem for path in folder.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()}
    assert not modules & set(depfix.__all__)


def test_importing_it_loads_nothing() -> None:
    code = "import sys; before = set(sys.modules); import depfix; print(sorted(set(sys.modules) - before))"
    done = subprocess.run([sys.executable, "-S", "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert set(re.findall(r"'(.*?)'", done.stdout)) <= {"depfix", "__future__"}


def test_planning_writes_nothing_and_a_plan_is_carried_out_as_it_is(story: Path) -> None:
    before = snapshot(story)
    plan = depfix.plan_repair(Path("main.dist"), env="conda:env", cache=False)
    assert snapshot(story) == before
    planned = [action.destination for action in plan.actions]
    copied: list[int] = []
    report = depfix.apply(plan, copied=lambda files, _size: copied.append(files))
    assert report.applied and sum(copied) == len(planned)
    new = snapshot(story / "main.dist").keys() - {path.removeprefix("main.dist/") for path in before}
    assert new == set(planned)


def test_a_plan_is_refused_if_the_dist_has_changed_since(story: Path) -> None:
    plan = depfix.plan_repair("main.dist", env="conda:env")
    (story / "main.dist" / "new.txt").write_text("new")
    before = snapshot(story / "main.dist")
    with pytest.raises(PlanOutdatedError, match=r"new\.txt"):
        depfix.apply(plan)
    assert snapshot(story / "main.dist") == before


def test_a_plan_is_refused_if_a_file_of_the_dist_has_other_content_of_the_same_size(story: Path) -> None:
    plan = depfix.plan_repair("main.dist", env="conda:env")
    source = story / "main.dist" / "imaging" / "__init__.py"
    source.write_bytes(source.read_bytes().replace(b"imaging", b"damaged"))
    with pytest.raises(PlanOutdatedError, match="a file of the dist"):
        depfix.apply(plan)


def test_a_plan_without_actions_changes_nothing(story: Path) -> None:
    before = snapshot(story)
    plan = depfix.plan_repair("main.dist", select=["DF401"], cache=False)
    assert not plan.actions and not depfix.apply(plan).applied
    assert snapshot(story) == before


def test_wrong_input_is_an_error_of_depfix(story: Path) -> None:
    for call in (
        lambda: depfix.scan("nowhere"),
        lambda: depfix.scan("main.dist", env="conda:nowhere"),
        lambda: depfix.scan("main.dist", target="win12"),
        lambda: depfix.scan("main.dist", select="DF999"),
        lambda: depfix.plan_repair("main.dist"),
        lambda: depfix.read_plan("main.dist", "nowhere.json"),
        lambda: depfix.why("main.dist", "nothing.dll"),
        lambda: depfix.undo("main.dist"),
        lambda: depfix.audit(),
        lambda: depfix.audit("main.dist", config="nowhere.toml"),
        lambda: depfix.diagnose("text", "nowhere"),
        lambda: depfix.read_log("nowhere.txt"),
        lambda: depfix.read_baseline("nowhere.json"),
        lambda: depfix.explain("DF999"),
        lambda: depfix.environments("nowhere"),
        lambda: depfix.verify("main.dist", exe="nowhere.exe"),
    ):
        with pytest.raises(DepfixError) as error:
            call()
        assert str(error.value)
    with pytest.raises(InputError):
        depfix.diff("main.dist", "nowhere")


def test_a_keyword_that_does_not_exist_is_named(story: Path) -> None:
    with pytest.raises(TypeError, match="environment"):
        depfix.scan("main.dist", environment="conda:env")  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="timeot"):
        depfix.verify("main.dist", timeot=3)  # type: ignore[call-arg]


def test_paths_may_be_objects(story: Path) -> None:
    script = story / "app.py"
    script.write_text("import imaging\n")
    report = depfix.scan(story / "main.dist", entry=script, project=story, env=[f"conda:{story / 'env'}"])
    assert report.reach == "entry"
    assert depfix.diff(story / "main.dist", story / "main.dist").appeared == ()


def test_an_audit_follows_the_policy_and_what_the_call_says(story: Path) -> None:
    (story / "depfix.toml").write_text('env = ["conda:env"]\n[[accept]]\nrule = "DF101"\nreason = "known"\n')
    (one,) = depfix.audit("main.dist")
    assert one.failed and [finding.rule for finding in one.report.findings] == ["DF103"]
    assert [row.reason for row in one.judgement.accepted] == ["known"]
    (one,) = depfix.audit("main.dist", fail_on="never", ignore="misplaced-dll")
    assert not one.failed and one.report.findings == ()


def test_threads_do_not_get_in_each_others_way(story: Path) -> None:
    shutil.copytree("main.dist", "other.dist")
    alone = [finding.subject for finding in depfix.scan("main.dist", env="conda:env").findings]
    with ThreadPoolExecutor(3) as pool:
        found = list(pool.map(lambda name: depfix.scan(name, env="conda:env"), ["main.dist", "other.dist"] * 3))
        plan = pool.submit(depfix.plan_repair, "main.dist", env="conda:env").result()
        assert pool.submit(depfix.apply, plan).result().applied
    assert all([finding.subject for finding in report.findings] == alone for report in found)
    assert depfix.undo("main.dist")


def test_a_baseline_accepts_what_it_holds(story: Path) -> None:
    from depfix.api.baselines import baseline_text, updated

    report = depfix.scan("main.dist")
    Path("baseline.json").write_text(baseline_text(updated("baseline.json", report.findings[:1], None)))
    left, accepted = depfix.without_accepted(report, depfix.read_baseline("baseline.json"))
    assert [len(report.findings), len(left.findings), len(accepted)] == [2, 1, 1]


def test_it_changes_nothing_in_the_process(story: Path, capfd: pytest.CaptureFixture[str]) -> None:
    before = (os.getcwd(), dict(os.environ), os.stat, list(sys.path))
    told: list[str] = []
    depfix.scan("main.dist", env="conda:env", progress=lambda what, _done, _all: told.append(what), note=told.append)
    assert (os.getcwd(), dict(os.environ), os.stat, list(sys.path)) == before
    assert told and capfd.readouterr() == ("", "")
