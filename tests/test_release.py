"""What is published: the wheel and the sdist, and the conda recipe."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from fixtures.release import check, installing, sources
from fixtures.release.places import StepError, run, version, wheel


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel and the sdist, built with what is installed."""
    folder = tmp_path_factory.mktemp("built")
    check.build(folder, "--no-isolation")
    return folder


def test_the_wheel_and_the_sdist_are_what_an_index_takes_and_hold_the_checkout(built: Path) -> None:
    assert "files in the sdist" in check.check_contents(built)


def test_the_wheel_works_where_nothing_else_is(built: Path) -> None:
    assert f"depfix, version {version()}" in installing.try_out(installing.by_uv, wheel(built))


def test_the_recipe_asks_for_what_the_project_asks_for() -> None:
    assert sources.check_recipe().startswith(f"depfix {version()}, ")


def test_a_requirement_that_the_recipe_lacks_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    text = sources.RECIPE.read_text("utf-8").replace("    - rich >=13.0\n", "    - rich >=12.0\n")
    (tmp_path / "recipe.yaml").write_text(text, encoding="utf-8")
    monkeypatch.setattr(sources, "RECIPE", tmp_path / "recipe.yaml")
    with pytest.raises(StepError, match=r"add \['rich >=13.0'\], remove \['rich >=12.0'\]"):
        sources.check_recipe()


def test_version_changelog_and_tag_agree() -> None:
    assert version() in sources.check_version()
    with pytest.raises(StepError, match=f"is not v{version()}"):
        sources.check_version("v0.0.0")


def test_a_release_needs_its_day_in_the_changelog(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    text = "# Changelog\n\n## [Unreleased]\n\n### Added\n\n- Something.\n"
    monkeypatch.setattr(sources, "ROOT", tmp_path)
    (tmp_path / "CHANGELOG.md").write_text(text)
    assert sources.check_version().endswith("below [Unreleased]")
    with pytest.raises(StepError, match="has no heading"):
        sources.check_version(f"v{version()}")
    (tmp_path / "CHANGELOG.md").write_text(f"# Changelog\n\n## [{version()}] - 2026-12-01\n\n- Something.\n")
    assert sources.check_version(f"v{version()}").endswith("with its day")
    (tmp_path / "CHANGELOG.md").write_text("# Changelog\n\n## [Unreleased]\n\n## [0.0.1] - 2020-01-01\n\n- Old.\n")
    with pytest.raises(StepError, match="nothing below"):
        sources.check_version()


def test_a_step_that_fails_says_what_was_run() -> None:
    with pytest.raises(StepError, match=r"-c raise SystemExit\(3\): exit code 3"):
        run([sys.executable, "-c", "raise SystemExit(3)"])
