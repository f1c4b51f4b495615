"""What installers record of an environment's packages, and records that are damaged."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from depfix.env.records import egg_requirements, record_paths
from depfix.model.names import normalised
from fixtures.windows_lab import embedded_python
from tests.conftest import Forge, put
from tests.test_env_packages import SITE, dist_info, got, opened, places, python_at, write

MakeConda = Callable[..., Path]


def test_two_distributions_share_a_folder(tmp_path: Path) -> None:
    root = python_at(tmp_path / "py")
    record = {"ns-one": ["ns/one.py"], "ns-two": ["ns/two/__init__.py"], "a": ["a/__init__.py"], "a-extras": ["a/x.py"]}
    for name, paths in record.items():
        write(root, {**{f"{SITE}/{path}": "" for path in paths}, **dist_info(name, "1", paths)})
    write(root, {f"{SITE}/ns/nobodys.py": ""})
    environment = opened(f"python:{root}")
    for name, paths in record.items():
        found = got(environment, name)
        assert places(root / SITE, found.files) == sorted(paths)
        assert all(environment.distribution_of(str(root / SITE / path)) is found for path in paths)
        assert found.top_level == (paths[0].partition("/")[0],)
    assert environment.distribution_of(str(root / SITE / "ns" / "nobodys.py")) is None


def test_pip_over_conda(make_conda: MakeConda) -> None:
    root = make_conda({"Library/bin/native.dll": ()})
    paths = ["pkg/__init__.py", "pkg/new.py"]
    condas = ["Lib/site-packages/pkg/__init__.py", "Lib/site-packages/pkg/old.py", "Library/bin/native.dll"]
    write(root, {f"{SITE}/{path}": "" for path in (*paths, "pkg/old.py")})
    write(
        root, {"conda-meta/conda-pkg-1.0-0.json": json.dumps({"name": "conda-pkg", "version": "1.0", "files": condas})}
    )
    write(root, dist_info("pkg", "2.0", paths))
    (root / "conda-meta" / "native-1.2.3-0.json").unlink()
    environment = opened(f"conda:{root}")
    pip = environment.distribution_of(str(root / SITE / "pkg" / "__init__.py"))
    assert pip is not None
    assert (pip.name, pip.version, pip.shadowed_owner) == ("pkg", "2.0", "conda-pkg 1.0")
    assert places(root / SITE, pip.files) == sorted(paths)
    conda = environment.distribution_of(str(root / "Library" / "bin" / "native.dll"))
    assert conda is environment.distribution("Conda_Pkg")
    assert conda is not None
    assert places(root, conda.files) == ["Lib/site-packages/pkg/old.py", "Library/bin/native.dll"]
    assert places(root, conda.outside) == ["Library/bin/native.dll"]


def test_a_distribution_that_conda_installed_has_condas_dlls(make_conda: MakeConda, forge: Forge) -> None:
    root = make_conda({})
    put(forge("need.dll"), root / "Library" / "bin" / "need.dll")
    put(forge("need.dll"), root / SITE / "pkg" / "need.dll")
    info = dist_info("pkg", "2.0", ["pkg/need.dll"])
    files = [*info, "Lib/site-packages/pkg/need.dll", "Library/bin/need.dll", "Library/include/need.h", "Scripts/x.exe"]
    meta = json.dumps({"name": "py-pkg", "version": "2.0", "files": files, "paths_data": {"paths": [1, "x"]}})
    write(root, {**info, "Library/include/need.h": "", "Scripts/x.exe": "", "conda-meta/py-pkg-2.0-0.json": meta})
    environment = opened(f"conda:{root}")
    found = environment.distribution_of(str(root / "Library" / "bin" / "need.dll"))
    assert found is not None
    assert found is environment.distribution("pkg") is environment.distribution("py-pkg")
    assert (found.name, found.shadowed_owner, places(root, found.outside)) == ("pkg", "", ["Library/bin/need.dll"])
    assert len(found.files) == 4
    assert {str(one.provider) for one in environment.find("need.dll")} == {"py-pkg 2.0"}


def test_paths_that_lead_away_are_dropped(tmp_path: Path) -> None:
    root = python_at(tmp_path / "py")
    outside = write(tmp_path, {"secret.py": "", "secret.dll": ""}) / "secret.dll"
    record = [
        "ok.py",
        "./dotted.py",
        "back\\slash.py",
        '"with, comma.py"',
        "../../../secret.dll",
        "../../../../../../../../../../../../etc/passwd",
        "sub/../ok.py",
        str(outside),
        "C:\\Windows\\x.dll",
        "Z:\\x",
        "../../Scripts/tool.exe",
        "../../Library/bin/own.dll",
        "..",
        "",
        "/",
        "a\0b.py",
        "/".join(["x"] * 5000),
        "absent.py",
        "folder",
    ]
    names = ("ok.py", "dotted.py", "back/slash.py", "with, comma.py", "folder/x.py")
    write(root, {f"{SITE}/{name}": "" for name in names})
    write(root, {"Scripts/tool.exe": "", "Library/bin/own.dll": "", **dist_info("pkg", "1", record)})
    found = got(opened(f"python:{root}"), "pkg")
    expected = ["Lib/site-packages/back/slash.py", "Lib/site-packages/dotted.py", "Lib/site-packages/ok.py"]
    expected += ["Lib/site-packages/with, comma.py", "Library/bin/own.dll"]
    assert places(root, found.files) == expected
    assert places(root, found.outside) == ["Library/bin/own.dll"]


def test_old_installations_without_a_record(tmp_path: Path) -> None:
    root = python_at(tmp_path / "py")
    requires = "six\n\n[fast]\nnumpy>=1\n\n[:python_version<'3']\nenum34\n\n[fast:os_name=='nt']\npywin32\n"
    old = {
        "old.py": "",
        "old-1.0-py3.10.egg-info/PKG-INFO": "Metadata-Version: 1.0\nName: Old\nVersion: 1.0\n",
        "old-1.0-py3.10.egg-info/installed-files.txt": "../old.py\n../gone.py\nPKG-INFO\n../../../Library/bin/o.dll\n",
        "old-1.0-py3.10.egg-info/requires.txt": requires,
        "lone-2.0-py3.10.egg-info": "Metadata-Version: 1.0\nName: lone\nVersion: 2.0\n",
        "named.egg-info/PKG-INFO": "Name: named\nVersion: 3\n",
        "named.egg-info/top_level.txt": "named_pkg\nnamed_mod\n../os\n",
        "named_pkg/data/x.txt": "",
        "named_mod.py": "",
        "egg-4-py3.10.egg/EGG-INFO/PKG-INFO": "Name: egg\nVersion: 4\n",
        "egg-4-py3.10.egg/egg/__init__.py": "",
        "easy-install.pth": "import sys; sys.__plen = len(sys.path)\n./egg-4-py3.10.egg\n",
        "~ld-0.9.dist-info/METADATA": "Name: left-over\n",
    }
    write(root, {"Library/bin/o.dll": "", **{f"{SITE}/{name}": text for name, text in old.items()}})
    environment = opened(f"python:{root}")
    found = got(environment, "OLD")
    assert (found.name, found.version, found.top_level) == ("Old", "1.0", ("old",))
    here = places(root, found.files)
    assert here == [
        "Lib/site-packages/old-1.0-py3.10.egg-info/PKG-INFO",
        "Lib/site-packages/old.py",
        "Library/bin/o.dll",
    ]
    assert found.requires == (
        "six",
        'numpy>=1 ; extra == "fast"',
        "enum34 ; python_version<'3'",
        "pywin32 ; (os_name=='nt') and extra == \"fast\"",
    )
    assert [places(root / SITE, got(environment, "lone").files), got(environment, "lone").version] == [
        ["lone-2.0-py3.10.egg-info"],
        "2.0",
    ]
    named = got(environment, "named")
    assert named.top_level == ("named_mod",)  # the folder holds data only
    assert {"named_mod.py", "named_pkg/data/x.txt"} < set(places(root / SITE, named.files))
    assert not any(path.endswith("os.py") for path in named.files)
    egg = environment.distribution_of(str(root / SITE / "egg-4-py3.10.egg" / "egg" / "__init__.py"))
    assert egg is got(environment, "egg")
    assert {environment.destination(path) for path in egg.files} == {"egg/__init__.py", "EGG-INFO/PKG-INFO"}
    assert environment.distribution("left-over") is None


_FINDER = """from __future__ import annotations
import sys
MAPPING: dict[str, str] = {'flat': %r, 'deep.inner': %r, 'gone': '/nowhere/gone', 'other_name': %r}
NAMESPACES: dict[str, list[str]] = {}
"""


def test_editable_installations(tmp_path: Path) -> None:
    root, projects = python_at(tmp_path / "py"), tmp_path / "projects"
    sources = ("src/lib/srcpkg/__init__.py", "src/lib/other/__init__.py", "flat/flat/__init__.py", "flat/setup.py")
    more = ("deep/inner/mod.py", "h/hpkg/__init__.py", "h/hpkg/data.txt", "h/tests/__init__.py", "e/ed/__init__.py")
    write(projects, dict.fromkeys((*sources, *more, "h/hpkg/.git/x", "h/hpkg/__pycache__/a.pyc", "dev/dev.py"), ""))
    places_of = (str(projects / "flat" / "flat"), str(projects / "deep" / "inner"), str(projects / "flat" / "setup.py"))
    direct = json.dumps({"url": "file:///C:/x", "dir_info": {"editable": True}})
    editables = f"F.install()\nF.map_module('ed', {str(projects / 'e' / 'ed' / '__init__.py')!r})\n"
    write(
        root,
        {
            f"{SITE}/__editable__.src_pkg-1.pth": str(projects / "src" / "lib"),
            **dist_info("src-pkg", "1", ["__editable__.src_pkg-1.pth"], top_level__txt="srcpkg\n"),
            f"{SITE}/__editable___flat_1_finder.py": _FINDER % places_of,
            f"{SITE}/__editable__.flat-1.pth": "import __editable___flat_1_finder",
            **dist_info(
                "flat", "1", ["__editable__.flat-1.pth", "__editable___flat_1_finder.py"], direct_url__json=direct
            ),
            f"{SITE}/_editable_impl_hpkg.pth": str(projects / "h"),
            **dist_info("hpkg", "1", ["_editable_impl_hpkg.pth"], direct_url__json=direct),
            f"{SITE}/_editable_impl_ed.py": editables,
            **dist_info("ed", "1", ["_editable_impl_ed.py"], direct_url__json=direct),
            f"{SITE}/dev.egg-link": str(projects / "dev"),
            f"{SITE}/easy-install.pth": str(projects / "dev"),
            f"{SITE}/plain.py": "",
            f"{SITE}/plain.pth": "plain_folder\n",
            **dist_info("plain", "1", ["plain.py", "plain.pth"], direct_url__json='{"url": "x", "archive_info": {}}'),
        },
    )
    write(projects, {"dev/dev.egg-info/PKG-INFO": "Name: dev\nVersion: 1\n", "dev/dev.egg-info/top_level.txt": "dev\n"})
    environment = opened(f"python:{root}")
    on_path = [Path(path).relative_to(projects).as_posix() for path in environment.search_path[3:]]
    assert on_path == ["src/lib", "h", "dev", "flat", ".", "e"]
    expected = {
        "src-pkg": ["src/lib/srcpkg/__init__.py"],
        "flat": ["deep/inner/mod.py", "flat/flat/__init__.py", "flat/setup.py"],
        "hpkg": ["h/hpkg/__init__.py", "h/hpkg/data.txt"],
        "ed": ["e/ed/__init__.py"],
        "dev": ["dev/dev.egg-info/PKG-INFO", "dev/dev.egg-info/top_level.txt", "dev/dev.py"],
    }
    for name, files in expected.items():
        found = got(environment, name)
        assert found.is_editable, name
        assert places(projects, (path for path in found.files if path.startswith(str(projects)))) == files
        assert environment.distribution_of(str(projects / files[-1])) is found
    assert environment.destination(str(projects / "deep" / "inner" / "mod.py")) == "deep/inner/mod.py"
    assert not got(environment, "plain").is_editable
    assert environment.distribution_of(str(projects / "h" / "tests" / "__init__.py")) is None


# --- hostile input ---------------------------------------------------------------------------------------------------


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_damaged_records_raise_nothing(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    root = tmp_path_factory.mktemp("hostile")
    blob = st.binary(max_size=300) | st.text(max_size=300).map(lambda text: text.encode("utf-8", "surrogatepass"))
    names = ("METADATA", "RECORD", "direct_url.json", "top_level.txt")
    put(embedded_python() / "python.exe", root / "python.exe")
    os.link(embedded_python() / "python310.dll", root / "python310.dll")
    write(root, {f"{SITE}/pkg-1.dist-info/{name}": data.draw(blob) for name in names})
    write(root, {f"{SITE}/old.egg-info/{name}": data.draw(blob) for name in ("installed-files.txt", "requires.txt")})
    write(root, {"conda-meta/pkg-1-0.json": data.draw(blob), f"{SITE}/x.pth": data.draw(blob)})
    finder = b"MAPPING = {" + data.draw(blob) + b"}\nF.map_module(" + data.draw(blob) + b")\n"
    write(root, {f"{SITE}/__editable___x_finder.py": finder, f"{SITE}/lone.egg-info": data.draw(blob)})
    environment = opened(f"conda:{root}")
    for name in ("pkg", "old", "lone", "no"):
        environment.distribution(name)
    for path in (root / SITE / "x.pth", root / "conda-meta", root, Path("/"), Path("\0")):
        environment.distribution_of(str(path))
        environment.destination(str(path))
    write(root, {"pyvenv.cfg": data.draw(blob), "python310._pth": data.draw(blob)})
    assert opened(f"venv:{root}").search_path


@pytest.mark.parametrize("depth", [10, 100_000])
def test_deep_nesting_is_no_trap(make_conda: MakeConda, depth: int) -> None:
    root = make_conda({"Library/bin/need.dll": ()})
    write(root, {"conda-meta/deep-1-0.json": '{"name": "deep", "version": "1", "link": ' + "[" * depth})
    write(
        root, {f"{SITE}/__editable___x_finder.py": "MAPPING = {" + "(" * depth + "}", **dist_info("x", "1", ["x.py"])}
    )
    write(root, {f"{SITE}/x-1.dist-info/direct_url.json": '{"dir_info": {"x":' + "[" * depth})
    environment = opened(f"conda:{root}")
    assert got(environment, "x").files == ()
    assert environment.distribution("deep") is None
    assert got(environment, "need").outside == (str(root / "Library" / "bin" / "need.dll"),)


def test_names_and_requirements_as_the_standards_say() -> None:
    assert {normalised(name) for name in ("Foo.Bar", "foo-bar", "FOO__bar", "foo-._bar")} == {"foo-bar"}
    assert list(egg_requirements("a\n# b\n[:m]\nc\n")) == ["a", "c ; m"]
    assert record_paths('a.py,sha256=x,1\r\n"b,c.py",,\r\n"un""quoted.py",,\r\nd.py') == (
        "a.py",
        "b,c.py",
        'un"quoted.py',
        "d.py",
    )
