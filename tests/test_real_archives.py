"""Real programs of PyInstaller and cx_Freeze: what is in their archives, against their own lists."""

from __future__ import annotations

import ast
import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from depfix.dist.tree import read_tree
from depfix.frozen.archive import Archive, Joined
from depfix.frozen.archives import read_archives
from depfix.frozen.builtin import builtin_modules, frozen_modules
from depfix.frozen.contents import Storage
from depfix.frozen.packed import recognise_packed
from depfix.frozen.pyinstaller import read_pyinstaller
from fixtures import archive_lab
from fixtures.windows_lab import embedded_python, run


def rows_of(path: Path) -> list[tuple[str, str, str]]:
    """Return the entries that PyInstaller wrote down: (name, file, kind)."""
    return next(part for part in ast.literal_eval(path.read_text()) if isinstance(part, list) and part)


def part_of(found: Archive | Joined | None, words: str) -> Archive:
    assert isinstance(found, Joined)
    return next(part for part in found.parts if words in part.origin)


def compare_with_the_tables(name: str, found: Archive | Joined | None) -> None:
    work = archive_lab.build(name) / "build" / "app"
    said = {row[0]: Path(str(row[1]).replace("\\", "/")).stem for row in rows_of(work / "PYZ-00.toc")}
    pyz = part_of(found, "pyz in")
    assert set(pyz.modules) == set(said)
    real = {module: stem for module, stem in said.items() if stem not in ("-", "None")}
    assert {module for module in real if pyz.modules[module].is_package} == {
        m for m, s in real.items() if s == "__init__"
    }
    own = [row[0] for row in rows_of(work / "PKG-00.toc") if row[2] in ("PYMODULE", "PYSOURCE")]
    assert {("__main__" if one == "app" else one) for one in own} == set(part_of(found, "the archive in").modules)
    main = found.code("__main__") if found is not None else None
    assert main is not None and b"this is the script of the program" in main


def loaders_of(said: dict[str, Any]) -> dict[str, str]:
    """Return {module: loader}, without the second name that os gives to ntpath."""
    return {module: loader for module, loader in said["loaders"].items() if module != "os.path"}


@pytest.mark.lab
@pytest.mark.parametrize("name", ["onedir", "old-onedir", "onefile"])
def test_pyinstaller_says_the_same(name: str) -> None:
    found = read_pyinstaller(read_tree(str(archive_lab.dist_of(name))), "app.exe")
    assert found is not None and found.problem == ""
    compare_with_the_tables(name, found)
    assert {
        module
        for module in found.modules.values()
        if module.storage is Storage.BYTECODE and found.code(module.name) is None
    } == set()


@pytest.mark.lab
@pytest.mark.parametrize("name", ["onedir", "old-onedir"])
def test_what_a_pyinstaller_program_imports(name: str, tmp_path: Path) -> None:
    """Each loaded module is where the reader says, and files in the folders of its packages are found or hidden."""
    folder = tmp_path / "dist"
    shutil.copytree(archive_lab.dist_of(name), folder)
    found = read_pyinstaller(read_tree(str(folder)), "app.exe")
    assert isinstance(found, Joined)
    home = folder / ("_internal" if (folder / "_internal").is_dir() else ".")
    packages = ("json", "mypkg", "email", "encodings", "collections")
    for package in packages:
        (home / package).mkdir(exist_ok=True)
        (home / package / "added.py").write_text("")
    done = archive_lab.run_program(folder, *[f"{package}.added" for package in packages])
    said = json.loads(done.out)
    base = part_of(found, "base_library.zip")
    for module, loader in loaders_of(said).items():
        if loader.startswith("Pyi"):
            assert module in found.modules and module not in base.modules
        if loader == "zipimporter":
            assert module in base.modules
    seen = {package: said["found"][f"{package}.added"] is None for package in packages}
    assert seen == {package: found.hides(package) for package in packages}
    assert seen == {"json": False, "mypkg": False, "email": False, "encodings": True, "collections": True}


@pytest.mark.lab
def test_files_in_a_real_onefile_program() -> None:
    tree = read_tree(str(archive_lab.dist_of("onefile")))
    found = read_archives(tree, "app.exe", "", "none")
    assert isinstance(found, Joined)
    rows = rows_of(archive_lab.build("onefile") / "build" / "app" / "PKG-00.toc")
    said = {row[0].replace("\\", "/") for row in rows if row[2] in ("BINARY", "EXTENSION", "DATA")}
    assert {name for name, _ in found.files} == said
    extensions = {
        row[0].replace("\\", "/").partition(".")[0].replace("/", ".") for row in rows if row[2] == "EXTENSION"
    }
    assert {name for name, one in found.modules.items() if one.storage is Storage.EXTENSION} == extensions
    assert "markupsafe._speedups" in extensions
    assert "onefile" in recognise_packed(tree, "app.exe")
    assert recognise_packed(read_tree(str(archive_lab.dist_of("onedir"))), "app.exe") == ""


@pytest.mark.lab
def test_a_real_encrypted_program() -> None:
    found = read_pyinstaller(read_tree(str(archive_lab.dist_of("encrypted"))), "app.exe")
    assert found is not None and "encrypted (--key)" in found.problem
    assert "mypkg.sub" in found.modules and found.code("mypkg.sub") is None
    compare_with_the_tables("encrypted", found)


@pytest.mark.lab
def test_a_real_program_without_an_archive() -> None:
    """Its modules are files, and no business of the reader; the script still is in the program."""
    folder = archive_lab.dist_of("noarchive")
    found = read_pyinstaller(read_tree(str(folder)), "app.exe")
    assert found is not None and found.code("__main__") is not None and found.problem == ""
    assert (folder / "_internal" / "mypkg" / "sub.pyc").exists() and "mypkg.sub" not in found.modules


@pytest.mark.lab
@pytest.mark.parametrize(("name", "hidden"), [("cx_freeze", False), ("cx_freeze-zipped", True)])
def test_a_real_cx_freeze_program(name: str, hidden: bool, tmp_path: Path) -> None:
    folder = tmp_path / "dist"
    shutil.copytree(archive_lab.dist_of(name), folder)
    packages = ("json", "mypkg", "email")
    for package in packages:
        (folder / "lib" / package).mkdir(exist_ok=True)
        (folder / "lib" / package / "added.py").write_text("")
    found = read_archives(read_tree(str(folder)), "app.exe", "python310.dll", "cx_freeze")
    assert found is not None and found.problem == ""
    done = archive_lab.run_program(folder, *[f"{package}.added" for package in packages])
    said = json.loads(done.out)
    zipped = {module for module, loader in loaders_of(said).items() if loader == "zipimporter"}
    assert zipped and zipped <= set(found.modules) and all(found.code(module) for module in zipped)
    assert ("markupsafe._speedups" in found.modules) == hidden  # the loader knows it by name, beside the zip
    assert {found.hides(package) for package in packages} == {hidden}
    assert {said["found"][f"{package}.added"] is None for package in packages} == {hidden}
    log = (archive_lab.build(name) / "log.txt").read_text()
    listed = set(re.findall(r"^[mP] (\S+) +\S.*\.pyc?\s*$", log, re.MULTILINE))
    lib = archive_lab.dist_of(name) / "lib"
    loose = {".".join(path.relative_to(lib).with_suffix("").parts) for path in lib.rglob("*.pyc")}
    inside = {module for module, one in found.modules.items() if one.storage is Storage.BYTECODE}
    assert inside | {module.removesuffix(".__init__") for module in loose} == listed | {"__main__"}
    main = found.code("__main__")
    assert main is not None and b"this is the script of the program" in main


@pytest.mark.lab
@pytest.mark.parametrize("version", ["3.8", "3.9", "3.10", "3.11", "3.12", "3.13"])
def test_modules_of_real_python_dlls(version: str) -> None:
    home = embedded_python() if version == "3.10" else archive_lab.python_of(version)
    ask = "import sys, _imp; print(sorted(sys.builtin_module_names)); print(sorted(_imp._frozen_module_names()))"
    if version in ("3.8", "3.9", "3.10"):
        ask = "import sys, _imp; print(sorted(sys.builtin_module_names)); print([])"
    environment = [] if (home / f"python{version.replace('.', '')}.zip").exists() else ["-S", "-E"]
    done = run([home / "python.exe", *environment, "-c", ask], cwd=home)
    builtin, frozen = map(ast.literal_eval, done.out.splitlines())
    tree, dll = read_tree(str(home)), f"python{version.replace('.', '')}.dll"
    assert builtin_modules(tree, dll) == set(builtin)
    bootstrap = {"_frozen_importlib", "_frozen_importlib_external", "zipimport"}
    found = frozen_modules(tree, dll)
    assert found == set(frozen) if frozen else found - {"__hello__", "__phello__", "__phello__.spam"} == bootstrap
    assert read_archives(tree, "python.exe", dll, "python") is not None or version == "3.8"
