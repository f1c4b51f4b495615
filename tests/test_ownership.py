"""Whose a file is: version, licence and recorded hash; pip over conda; what leads out of an environment."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import shutil
import sysconfig
from collections.abc import Callable
from pathlib import Path

import importlib_metadata
import pytest

from depfix.env.licences import licence_of, python_file_licence, short_licence
from depfix.env.links import refused
from depfix.env.open import open_environment
from depfix.env.packages import PackageFolder
from depfix.env.protocol import Environment
from depfix.env.records import metadata_text, record_hashes, strays
from depfix.knowledge.tables import licence_classifiers
from depfix.model.names import normalised
from depfix.model.source import Candidate
from fixtures.windows_lab import download, embedded_python
from tests.conftest import Cli, DistMaker, Forge, put, snapshot
from tests.test_distributions import HAS_STDLIB
from tests.test_env_packages import SITE, dist_info, embeddable_at, got, opened, pip_install, places, python_at, write

MakeConda = Callable[..., Path]
Run = Callable[..., Cli]


def only(environment: Environment, name: str) -> Candidate:
    (found,) = environment.find(name)
    return found


def sha(path: Path | str) -> str:
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


def record_row(name: str, content: bytes) -> str:
    digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
    return f"{name},sha256={digest},{len(content)}"


# --- what real installers wrote --------------------------------------------------------------------------------------


def assert_as_importlib_metadata(site: Path, root: Path) -> int:
    folder = PackageFolder(str(site), str(root))
    own = {one.key: one for one in folder.installed}
    compared = 0
    for theirs in importlib_metadata.distributions(path=[str(site)]):
        one = own[normalised(theirs.metadata["Name"])]
        assert (one.name, one.version) == (theirs.metadata["Name"], theirs.version)
        rows = theirs.files or []
        assert sorted(one.recorded or ()) == sorted(str(row).replace(os.sep, "/") for row in rows)
        hashed = {
            str(row).replace(os.sep, "/").lower(): base64.urlsafe_b64decode(row.hash.value + "==").hex()
            for row in rows
            if row.hash is not None and row.hash.mode == "sha256"
        }
        assert one.hashes == hashed
        assert list(one.requires) == list(theirs.requires or [])
        compared += len(rows)
    return compared


def test_the_running_environment_reads_as_importlib_metadata_reads_it() -> None:
    """pip's and uv's real records: scripts outside, names with commas, thousands of files."""
    site = Path(sysconfig.get_path("purelib"))
    assert assert_as_importlib_metadata(site, Path(sysconfig.get_path("data"))) > 1000


@pytest.fixture(scope="module")
def stocked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A real Windows Python with real wheels. Not to be changed."""
    root = embeddable_at(tmp_path_factory.mktemp("owned") / "py")
    for requirement in ("numpy==1.26.4", "cffi==1.17.1", "six==1.17.0", "tbb==2021.13.1", "jinja2==3.1.5"):
        pip_install(root, download(requirement))
    return root


def test_real_wheels_read_as_importlib_metadata_reads_them(stocked: Path) -> None:
    assert assert_as_importlib_metadata(stocked / SITE, stocked) > 1000


def test_real_files_have_owner_licence_and_the_hash_that_they_have(stocked: Path) -> None:
    environment = opened(f"python:{stocked}")
    openblas = next(path.name for path in (stocked / SITE / "numpy.libs").iterdir() if "openblas" in path.name)
    for name, owner, licence in (
        (openblas, "numpy 1.26.4", "BSD"),
        ("_cffi_backend.cp310-win_amd64.pyd", "cffi 1.17.1", "MIT"),
        ("tbb12.dll", "tbb 2021.13.1", ""),
    ):
        found = only(environment, name)
        assert str(found.provider) == owner
        assert found.sha256 == sha(found.path)
        assert (licence in found.provider.licence) if licence else found.provider.licence
        assert (found.provider.note, found.refused) == ("", "")
    licences = {name: got(environment, name).licence for name in ("numpy", "cffi", "six", "jinja2")}
    assert licences == {"numpy": "BSD", "cffi": "MIT", "six": "MIT", "jinja2": "BSD"}
    assert got(environment, "numpy").provider.licence == "BSD"


def test_what_comes_with_python_is_pythons(stocked: Path, tmp_path: Path) -> None:
    for environment in (opened(f"python:{stocked}"), opened(f"python:{python_at(tmp_path / 'py')}")):
        licences = {
            name: (str(only(environment, name).provider), only(environment, name).provider.licence)
            for name in ("python310.dll", "_ssl.pyd", "libffi-7.dll", "vcruntime140.dll")
        }
        assert licences == {
            "python310.dll": ("Python 3.10", "PSF-2.0"),
            "_ssl.pyd": ("Python 3.10", "PSF-2.0"),
            "libffi-7.dll": ("Python 3.10", "MIT"),
            "vcruntime140.dll": ("Python 3.10", ""),
        }
    put(embedded_python() / "libffi-7.dll", tmp_path / "py" / "mine.dll")
    mine = only(opened(f"python:{tmp_path / 'py'}"), "mine.dll")
    assert (mine.owner, mine.sha256) == (None, "")
    assert (mine.provider.name, mine.provider.note) == (f"python:{tmp_path / 'py'}", "owned by no package")


# --- licences --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "licence"),
    [
        ([("license-expression", "MIT OR Apache-2.0"), ("license", "other")], "MIT OR Apache-2.0"),
        ([("classifier", "License :: OSI Approved :: MIT License")], "MIT"),
        ([("license", "BSD-3-Clause"), ("classifier", "License :: OSI Approved :: BSD License")], "BSD-3-Clause"),
        ([("license", "Apache License, Version 2.0"), ("classifier", "License :: OSI Approved :: Apache Software License")], "Apache-2.0"),
        ([("license", "Copyright (c) 2005-2023, NumPy Developers. All rights"), ("classifier", "License :: OSI Approved :: BSD License")], "BSD"),
        ([("license", "MIT License Copyright (c) 2020 Someone Permission is hereby granted, free of charge, to any")], "MIT License"),
        ([("license", "UNKNOWN"), ("classifier", "License :: OSI Approved")], ""),
        ([("license", "LICENSE.txt")], ""),
        ([("classifier", "License :: OSI Approved :: MIT License"), ("classifier", "License :: OSI Approved :: Apache Software License")], "MIT / Apache-2.0"),
        ([("classifier", "License :: Other/Proprietary License")], "proprietary"),
        ([("classifier", "License :: OSI Approved :: A License Of Tomorrow")], "A License Of Tomorrow"),
        ([("license", "x" * 5000)], ""),
        ([], ""),
    ],
)  # fmt: skip
def test_a_licence_is_told_in_few_words(fields: list[tuple[str, str]], licence: str) -> None:
    assert licence_of(fields) == licence


def test_every_licence_of_the_tables_is_short() -> None:
    assert all(0 < len(name) < 30 for name in licence_classifiers().values())
    assert python_file_licence("libcrypto-3-x64.dll") == "Apache-2.0"
    assert python_file_licence("_ssl.pyd") == "PSF-2.0"
    assert short_licence("\n\n  MIT\nmore\n") == "MIT"


def test_conda_meta_gives_licence_and_hash(make_conda: MakeConda) -> None:
    root = make_conda({"Library/bin/need.dll": (), "Library/bin/text.dll": ()})
    path = root / "Library" / "bin" / "need.dll"
    rows = [
        {"_path": "Library/bin/NEED.dll", "sha256": "0" * 64, "sha256_in_prefix": sha(path).upper()},
        {"_path": "Library/bin/text.dll", "sha256": "1" * 64},
        {"_path": "Library/bin/odd.dll", "sha256": "not a hash"},
    ]
    files = ["Library/bin/need.dll", "Library/bin/text.dll"]
    about = {"name": "need", "version": "1.2.3", "license": "BSD-3-Clause AND MIT", "files": files}
    (root / "conda-meta" / "text-1.2.3-0.json").unlink()
    (root / "conda-meta" / "need-1.2.3-0.json").write_text(json.dumps({**about, "paths_data": {"paths": rows}}))
    environment = opened(f"conda:{root}")
    found = only(environment, "need.dll")
    assert (str(found.provider), found.provider.licence, found.sha256) == (
        "need 1.2.3", "BSD-3-Clause AND MIT", sha(path),
    )  # fmt: skip
    assert only(environment, "text.dll").sha256 == "1" * 64
    assert got(environment, "need").licence == "BSD-3-Clause AND MIT"
    (root / "conda-meta" / "need-1.2.3-0.json").write_text(json.dumps({**about, "paths_data": {"paths": 3}}))
    assert only(opened(f"conda:{root}"), "need.dll").sha256 == ""


@pytest.mark.parametrize("text", ["", "a", "a,sha256=", "a,sha256=!!,3", "a,md5=xx,1", '"a,sha256=x', "\0,sha256=AA,"])
def test_a_damaged_record_has_no_hashes(text: str) -> None:
    assert record_hashes(text) == {}


# --- pip over conda --------------------------------------------------------------------------------------------------


def test_pip_over_conda_is_told_file_by_file(make_conda: MakeConda, forge: Forge) -> None:
    root = make_conda({"Library/bin/both.dll": (), "Lib/site-packages/pkg/old.dll": ()})
    (root / "conda-meta" / "old-1.2.3-0.json").unlink()
    conda = ["Lib/site-packages/pkg/core.dll", "Lib/site-packages/pkg/old.dll"]
    about = {"name": "pkg", "version": "1.0", "license": "MIT", "files": conda}
    (root / "conda-meta" / "pkg-1.0-0.json").write_text(json.dumps(about))
    put(forge("core.dll"), root / SITE / "pkg" / "core.dll")
    core = (root / SITE / "pkg" / "core.dll").read_bytes()
    record = [record_row("pkg/core.dll", core).removesuffix(",,"), "../../Library/bin/both.dll,,"]
    files = dist_info("pkg", "2.0", [], RECORD="\n".join(record))
    write(root, files)
    environment = opened(f"conda:{root}")
    provider = only(environment, "core.dll").provider
    assert (str(provider), provider.note) == ("pkg 2.0", "put over conda's pkg 1.0")
    assert only(environment, "core.dll").sha256 == sha(root / SITE / "pkg" / "core.dll")
    left = only(environment, "old.dll").provider
    assert (str(left), left.note) == ("pkg 1.0", "left of conda's pkg: pip put pkg 2.0 over it")
    both = only(environment, "both.dll").provider
    assert str(both) == "both 1.2.3"
    assert both.note == "pkg 2.0, which pip installed, has it in its RECORD, too"
    assert got(environment, "pkg").provider.note == "put over conda's pkg 1.0"


# --- what leads out --------------------------------------------------------------------------------------------------

STRAYS = ["../../../../outside.dll", "/etc/passwd", "C:\\Windows\\x.dll", "\\\\server\\share\\x.dll", "a/../../b.py", "\\\\.\\nul"]  # fmt: skip


@pytest.mark.parametrize("stray", STRAYS)
def test_a_record_that_leads_out_is_named_and_not_followed(tmp_path: Path, stray: str) -> None:
    root = python_at(tmp_path / "py")
    write(tmp_path, {"outside.dll": "MZ"})
    write(root, {f"{SITE}/pkg/__init__.py": "", **dist_info("pkg", "1", ["pkg/__init__.py", stray])})
    found = got(opened(f"python:{root}"), "pkg")
    assert places(root, found.files)[-1] == "Lib/site-packages/pkg/__init__.py"
    assert all(path.startswith(str(root)) for path in found.files)
    assert len(found.left_out) == 1
    assert "leads out of the environment" in found.provider.note
    assert stray in found.provider.note


@pytest.mark.parametrize("stray", ["../outside.dll", "/etc/passwd", "C:\\x.dll", "\\\\server\\x", "a/../../../b"])
def test_condas_record_that_leads_out_is_named(make_conda: MakeConda, tmp_path: Path, stray: str) -> None:
    root = make_conda({"Library/bin/need.dll": ()})
    write(tmp_path, {"outside.dll": "MZ"})
    about = {"name": "need", "version": "1.2.3", "files": ["Library/bin/need.dll", stray]}
    (root / "conda-meta" / "need-1.2.3-0.json").write_text(json.dumps(about))
    found = got(opened(f"conda:{root}"), "need")
    assert places(root, found.files) == ["Library/bin/need.dll"]
    assert stray in found.provider.note


def test_names_of_devices_are_left_out_and_named(tmp_path: Path) -> None:
    root = python_at(tmp_path / "py")
    names = ["pkg/__init__.py", "pkg/aux.py", "pkg/con/x.py", "pkg/a?b.py", "pkg/end.", "pkg/config.py"]
    write(root, {**{f"{SITE}/{name}": "" for name in names}, **dist_info("pkg", "1", names)})
    found = got(opened(f"python:{root}"), "pkg")
    assert {Path(path).name for path in found.files if "dist-info" not in path} == {"__init__.py", "config.py"}
    assert len(found.left_out) == 4
    assert "aux.py is a device in Windows" in " ".join(found.left_out)


@pytest.mark.parametrize("line", ["../../../outside", "..\\..\\..\\outside", "\\\\server\\share", "//server/share"])
def test_a_pth_line_that_leads_out_is_not_followed_and_named(tmp_path: Path, line: str) -> None:
    root = python_at(tmp_path / "py")
    write(tmp_path, {"outside/secret.py": ""})
    write(root, {f"{SITE}/evil.pth": line + "\n", f"{SITE}/good.pth": "inner\n", f"{SITE}/inner/x.py": ""})
    environment = opened(f"python:{root}")
    assert not any("outside" in folder for folder in environment.search_path)
    assert str(root / SITE / "inner") in environment.search_path
    assert "evil.pth" in environment.info.caveat


def test_a_link_that_leads_out_is_refused_and_one_that_stays_is_not(forge: Forge, tmp_path: Path) -> None:
    root = python_at(tmp_path / "py")
    put(forge("out.dll"), tmp_path / "elsewhere" / "out.dll")
    put(forge("in.dll"), root / "Lib" / "real" / "in.dll")
    write(
        root, {f"{SITE}/pkg/__init__.py": "", **dist_info("pkg", "1", ["pkg/__init__.py", "pkg/out.dll", "pkg/in.dll"])}
    )
    (root / SITE / "pkg" / "out.dll").symlink_to(tmp_path / "elsewhere" / "out.dll")
    (root / SITE / "pkg" / "in.dll").symlink_to(root / "Lib" / "real" / "in.dll")
    environment = opened(f"python:{root}")
    assert "outside the environment" in only(environment, "out.dll").refused
    assert only(environment, "in.dll").refused == ""
    found = got(environment, "pkg")
    assert [Path(path).name for path in found.files if path.endswith(".dll")] == ["in.dll"]
    assert "out.dll" in found.provider.note
    linked = tmp_path / "linked"  # the environment itself may be reached through a link
    linked.symlink_to(root)
    assert only(opened(f"python:{linked}"), "in.dll").refused == ""


def test_an_editable_project_is_no_link_that_leads_out(tmp_path: Path) -> None:
    root = python_at(tmp_path / "py")
    write(tmp_path, {"project/pkg/__init__.py": "", "project/pkg/real.py": ""})
    link = tmp_path / "project" / "pkg" / "link.py"
    link.symlink_to(tmp_path / "project" / "pkg" / "real.py")
    direct = json.dumps({"url": "file:///x", "dir_info": {"editable": True}})
    files = dist_info("pkg", "1", ["pkg.pth"], direct_url__json=direct)
    write(root, {f"{SITE}/pkg.pth": f"{tmp_path / 'project'}\n", **files})
    environment = opened(f"python:{root}")
    found = got(environment, "pkg")
    assert {Path(path).name for path in found.files} >= {"__init__.py", "real.py", "link.py"}
    assert found.left_out == ()
    assert environment.refusal(str(link)) == ""


def test_a_folder_of_dlls_with_a_link_that_leads_out(forge: Forge, tmp_path: Path) -> None:
    put(forge("need.dll"), tmp_path / "elsewhere" / "need.dll")
    put(forge("other.dll"), tmp_path / "dlls" / "other.dll")
    (tmp_path / "dlls" / "need.dll").symlink_to(tmp_path / "elsewhere" / "need.dll")
    environment = opened(f"dir:{tmp_path / 'dlls'}")
    assert "outside the environment" in only(environment, "need.dll").refused
    assert only(environment, "other.dll").refused == ""


def test_many_files_are_looked_at_at_once() -> None:
    asked: list[str] = []

    def refusal(path: str) -> str:
        asked.append(path)
        return "no" if path.endswith("link.py") else ""

    root = os.path.join(os.sep, "py")
    paths = [os.path.join(root, *name.split("/")) for name in ("a.py", "link.py", "nul.txt", "comm/x.py", "con.d/y.py")]
    assert list(refused(paths, root, refusal)) == [paths[1], paths[2], paths[4]]
    assert asked == paths


def test_strays_are_only_what_leads_elsewhere() -> None:
    assert strays("a/b.py,,\n../../Scripts/x.exe,,\n./c.py,,\n") == ()
    assert strays('a,,\r\n"/b,c",,\r\nd:x,,\r\n') == ("/b,c", "d:x")


# --- in a plan -------------------------------------------------------------------------------------------------------


def test_a_plan_says_owner_licence_and_what_was_left_out(
    cli: Run, make_dist: DistMaker, make_conda: MakeConda, forge: Forge, tmp_path: Path
) -> None:
    dist = make_dist({"pkg/core.pyd": ("need.dll", "free.dll")}, {"pkg/__init__.py": ""})
    root = make_conda({"Library/bin/need.dll": ()})
    put(forge("free.dll"), root / "Library" / "bin" / "free.dll")
    about = {"name": "need", "version": "1.2.3", "license": "Zlib", "files": ["Library/bin/need.dll"]}
    (root / "conda-meta" / "need-1.2.3-0.json").write_text(json.dumps(about))
    shown = cli("repair", dist, "--env", f"conda:{root}", "--dry-run").out
    assert "need 1.2.3, Zlib" in shown
    assert f"conda:{root}, owned by no package" in shown
    rows = json.loads(cli("repair", dist, "--env", f"conda:{root}", "--dry-run", "--format", "json").out)
    licences = {row["destination"]: (row["provider"], row["licence"]) for row in rows["plan"]["actions"]}
    assert licences["need.dll"] == ("need 1.2.3", "Zlib")


def test_a_repair_writes_nothing_through_a_link(
    cli: Run, make_dist: DistMaker, make_conda: MakeConda, forge: Forge, tmp_path: Path
) -> None:
    dist = make_dist({"pkg/core.pyd": ("need.dll",)}, {"pkg/__init__.py": ""})
    root = make_conda({"Library/bin/need.dll": ()})
    put(root / "Library" / "bin" / "need.dll", tmp_path / "secret" / "need.dll")
    (root / "Library" / "bin" / "need.dll").unlink()
    (root / "Library" / "bin" / "need.dll").symlink_to(tmp_path / "secret" / "need.dll")
    before = snapshot(dist)
    done = cli("repair", dist, "--env", f"conda:{root}", "--yes")
    assert done.code == 1
    assert "outside the environment" in done.out + done.err
    assert snapshot(dist) == before


def test_a_package_with_a_link_is_delivered_without_it_and_named(
    cli: Run, make_dist: DistMaker, tmp_path: Path
) -> None:
    dist = make_dist({}, HAS_STDLIB)
    entry = write(tmp_path / "src", {"app.py": "import pkg\nimport pkg.mod\n"}) / "app.py"
    root = python_at(tmp_path / "py")
    names = ["pkg/__init__.py", "pkg/mod.py", "pkg/secret.py"]
    write(root, {**{f"{SITE}/{name}": "" for name in names[:2]}, **dist_info("pkg", "1", names)})
    write(tmp_path, {"secret.py": "PASSWORD = 1\n"})
    (root / SITE / "pkg" / "secret.py").symlink_to(tmp_path / "secret.py")
    done = cli("repair", dist, "--env", f"python:{root}", "--entry", entry, "--yes")
    assert (dist / SITE / "pkg" / "mod.py").is_file(), done
    assert not (dist / SITE / "pkg" / "secret.py").exists()
    assert "secret.py" in done.out
    loose = python_at(tmp_path / "loose")  # without any record: a tree that nobody owns
    shutil.copytree(root / SITE / "pkg", loose / SITE / "pkg", symlinks=True)
    other = make_dist({}, HAS_STDLIB, name="other.dist")
    done = cli("repair", other, "--env", f"python:{loose}", "--entry", entry, "--yes")
    assert (other / SITE / "pkg" / "mod.py").is_file(), done
    assert not (other / SITE / "pkg" / "secret.py").exists()
    assert "secret.py" in done.out


def test_open_environment_is_lazy_about_licences(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = python_at(tmp_path / "py")
    for number in range(30):
        write(root, {f"{SITE}/p{number}/x.dll": "MZ", **dist_info(f"p{number}", "1", [f"p{number}/x.dll"])})
    read: list[str] = []
    original = metadata_text

    def watched(folder: str) -> str:
        read.append(folder)
        return original(folder)

    monkeypatch.setattr("depfix.env.packages.metadata_text", watched)
    environment = open_environment(f"python:{root}", {})
    assert environment.info.python == "3.10"
    assert read == []
    got(environment, "p7")
    assert [Path(folder).name for folder in read] == ["p7-1.dist-info"]
