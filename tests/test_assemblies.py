"""Side-by-side assemblies: manifests embedded and in files, private assemblies, those of Windows, those of Visual C++.

That a private assembly comes before the program's directory is in test_loader_table, beside Wine's answer; how the parts
of a manifest are read is in test_pe.
"""

from __future__ import annotations

import hashlib
import re
import shutil
from collections.abc import Mapping
from pathlib import Path

import pytest

from depfix.knowledge.tables import assemblies, debug_redistributables, has_assembly
from depfix.loader.assemblies import external_manifest, manifest_places
from depfix.model.finding import Finding
from depfix.model.image import Assembly, Image
from depfix.pe.manifest import read_manifest
from depfix.pe.reader import read_image
from depfix.pipeline import Options, scan, why
from fixtures.compile_c import compile_c
from fixtures.windows_lab import CACHE
from tests.conftest import DistMaker, Forge, delay_loading_dll, put, run_depfix, zig
from tests.test_tables import URL, column, rows

HEAD = '<assembly xmlns="urn:schemas-microsoft-com:asm.v1" manifestVersion="1.0">'
WINDOWS_7 = "{35138b9a-5d96-4fbd-8e2d-a2440225f93a}"
SUPPORTED_OS = (
    '<compatibility xmlns="urn:schemas-microsoft-com:compatibility.v1"><application>'
    f'<supportedOS Id="{WINDOWS_7}"/></application></compatibility>'
)


def identity(name: str, machine: str = "amd64", more: str = "") -> str:
    return f'<assemblyIdentity type="win32" name="{name}" version="1.0.0.0" processorArchitecture="{machine}" {more}/>'


def needing(*names: str, machine: str = "amd64", more: str = "") -> str:
    """Return the manifest of a program that needs assemblies."""
    needs = (needed(name, machine, more) for name in names)
    return f"{HEAD}{identity('program', machine)}{''.join(needs)}</assembly>"


def needed(name: str, machine: str = "amd64", more: str = "") -> str:
    return f"<dependency><dependentAssembly>{identity(name, machine, more)}</dependentAssembly></dependency>"


def holding(name: str, *files: str, machine: str = "amd64", more: str = "") -> str:
    """Return the manifest of an assembly."""
    return f"{HEAD}{identity(name, machine, more)}{''.join(f'<file name={file!r}/>' for file in files)}</assembly>"


def embed(forge: Forge, name: str, manifest: str, needs: tuple[str, ...] = (), *, number: int = 1) -> Path:
    """Return a program or DLL with an embedded manifest, made once and kept in the cache."""
    key = hashlib.sha256(repr((name, manifest, needs, number)).encode()).hexdigest()[:16]
    folder = CACHE / "assemblies" / key
    if not (folder / name).exists():
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "a.manifest").write_text(manifest)
        (folder / "a.rc").write_text(f'{number} 24 "a.manifest"\n')
        zig("rc", "a.rc", cwd=folder)
        symbols = [need.replace(".", "_") for need in needs]
        calls = "".join(f"__declspec(dllimport) int call_{symbol}(void);\n" for symbol in symbols)
        own = "main" if name.endswith(".exe") else f"__declspec(dllexport) call_{name.replace('.', '_')}"
        total = " + ".join(f"call_{symbol}()" for symbol in symbols) or "1"
        (folder / "a.c").write_text(f"{calls}int {own}(void) {{ return {total}; }}\n")
        links = [forge(need).with_suffix(".lib") for need in needs]
        compile_c(folder / "a.c", folder / name, links=[folder / "a.res", *links])
    return folder / name


class AssemblyDist:
    """A folder with a program that imports x.dll (or `needs`), and what a test puts beside it."""

    def __init__(self, forge: Forge, root: Path) -> None:
        self.root = root
        self._forge = forge

    def program(
        self, manifest: str = "", *, needs: tuple[str, ...] = ("x.dll",), machine: str = "amd64"
    ) -> AssemblyDist:
        """Add the program with its manifest in a file beside it."""
        put(self._forge("app.exe", needs, machine=machine), self.root / "app.exe")
        return self.texts({"app.exe.manifest": manifest} if manifest else {})

    def dlls(self, *paths: str, needs: tuple[str, ...] = (), machine: str = "amd64") -> AssemblyDist:
        for path in paths:
            put(self._forge(Path(path).name.lower(), needs, machine=machine), self.root / path)
        return self

    def texts(self, files: Mapping[str, str | bytes]) -> AssemblyDist:
        for path, text in files.items():
            (self.root / path).parent.mkdir(parents=True, exist_ok=True)
            (self.root / path).write_bytes(text if isinstance(text, bytes) else text.encode())
        return self

    def findings(self, target: str = "") -> list[Finding]:
        return list(scan(str(self.root), Options(environ={}, target=target)).findings)

    def brief(self, target: str = "") -> set[tuple[str, str, str]]:
        return {(one.rule, one.severity.value, one.subject) for one in self.findings(target)}

    def place(self, name: str) -> list[str]:
        """Return the nodes that a DLL name leads to."""
        return [one.node.name for one in why(str(self.root), name, Options(environ={}))]


@pytest.fixture
def dist(forge: Forge, tmp_path: Path) -> AssemblyDist:
    return AssemblyDist(forge, tmp_path / "dist")


# --- private assemblies ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("folder", ["asm/", "", "ASM/", "de-DE/asm/", "de-DE/"])
def test_a_private_assembly_is_found(dist: AssemblyDist, folder: str) -> None:
    more = 'language="de-DE"' if "de" in folder else ""
    dist.program(needing("asm", more=more)).dlls(f"{folder}x.dll")
    dist.texts({f"{folder}asm.manifest": holding("asm", "x.dll", more=more)})
    assert dist.findings() == []
    assert dist.place("x.dll") == [f"{folder}x.dll"]


def test_without_the_programs_manifest_it_is_but_a_folder(dist: AssemblyDist) -> None:
    dist.program().dlls("asm/x.dll").texts({"asm/asm.manifest": holding("asm", "x.dll")})
    assert dist.brief() == {("DF103", "error", "x.dll")}


def test_an_embedded_manifest_counts_as_one_in_a_file(dist: AssemblyDist, forge: Forge) -> None:
    put(embed(forge, "app.exe", needing("asm"), ("x.dll",)), dist.root / "app.exe")
    assert dist.brief() == {("DF101", "error", "asm"), ("DF101", "error", "x.dll")}
    dist.dlls("asm/x.dll").texts({"asm/asm.manifest": holding("asm", "x.dll")})
    assert dist.findings() == []
    assert dist.place("x.dll") == ["asm/x.dll"]


def test_an_embedded_manifest_hides_the_one_in_a_file(dist: AssemblyDist, forge: Forge) -> None:
    put(embed(forge, "app.exe", needing(), ("x.dll",)), dist.root / "app.exe")
    dist.dlls("x.dll").texts({"app.exe.manifest": needing("asm")})
    assert dist.findings() == []


def test_an_assembly_may_be_a_dll_with_its_manifest_in_it(dist: AssemblyDist, forge: Forge) -> None:
    dist.program(needing("x"))
    put(embed(forge, "x.dll", holding("x", "x.dll")), dist.root / "x" / "x.dll")
    assert dist.findings() == []
    assert dist.place("x.dll") == ["x/x.dll"]


def test_a_missing_assembly_is_an_error(dist: AssemblyDist) -> None:
    found = dist.program(needing("Some.Asm"), needs=()).findings()
    assert [(one.rule, one.severity.value, one.confidence.value) for one in found] == [("DF101", "error", "certain")]
    assert (found[0].subject, found[0].chain) == ("some.asm", ("app.exe", "some.asm"))
    assert [place.path for place in found[0].locations] == ["app.exe"]
    words = "app.exe needs the side-by-side assembly some.asm, and neither Windows 10 nor the folder of app.exe has its"
    assert found[0].message.startswith(words)
    assert run_depfix("scan", dist.root, "-q").code == 1


def test_its_dlls_alone_are_no_assembly(dist: AssemblyDist) -> None:
    assert dist.program(needing("asm")).dlls("asm/x.dll").brief() >= {("DF101", "error", "asm")}


def test_each_missing_assembly_is_told(dist: AssemblyDist) -> None:
    dist.program(needing("one", "Microsoft.Windows.Common-Controls", "two", "three"), needs=())
    dist.texts({"two/two.manifest": holding("two")})
    assert dist.brief() == {("DF101", "error", "one"), ("DF101", "error", "three")}


def test_what_the_dlls_of_an_assembly_need(dist: AssemblyDist) -> None:
    dist.program(needing("asm")).dlls("asm/x.dll", needs=("deep.dll",))
    dist.texts({"asm/asm.manifest": holding("asm", "x.dll")})
    assert dist.findings()[0].chain == ("app.exe", "asm/x.dll", "deep.dll")
    assert dist.brief() == {("DF101", "error", "deep.dll")}
    dist.dlls("asm/deep.dll")
    assert dist.brief() == {("DF103", "error", "deep.dll")}  # its folder is no place that is searched
    dist.texts({"asm/asm.manifest": holding("asm", "x.dll", "deep.dll")})
    assert dist.findings() == []


def test_an_assembly_of_a_32_bit_program(dist: AssemblyDist) -> None:
    dist.program(needing("asm", machine="x86"), machine="x86").dlls("asm/x.dll", machine="x86")
    dist.texts({"asm/asm.manifest": holding("asm", "x.dll", machine="x86")})
    assert dist.findings() == []


def test_the_manifest_of_an_extension_module(make_dist: DistMaker, forge: Forge) -> None:
    source = "from . import core"
    root = make_dist({}, {"pkg/__init__.py": source})
    put(embed(forge, "core.pyd", needing("asm"), ("x.dll",), number=2), root / "pkg" / "core.pyd")
    dist = AssemblyDist(forge, root)
    assert dist.brief() == {("DF101", "error", "asm"), ("DF101", "error", "x.dll")}
    assert dist.findings()[0].chain[:2] == ("app.exe", "pkg/__init__.py:1")
    dist.dlls("pkg/asm/x.dll").texts({"pkg/asm/asm.manifest": holding("asm", "x.dll")})
    assert dist.findings() == []
    shutil.move(root / "pkg" / "asm", root / "asm")
    assert ("DF101", "error", "asm") in dist.brief()  # the folder of the module counts, not the program's
    dist.texts({"pkg/__init__.py": f"try:\n    {source}\nexcept ImportError:\n    core = None"})
    assert ("DF101", "warning", "asm") in dist.brief()


def test_where_the_manifest_of_a_private_assembly_may_lie() -> None:
    plain = ("app/asm.dll", "app/asm.manifest", "app/asm/asm.dll", "app/asm/asm.manifest")
    for language in ("", "*", "neutral"):
        assert manifest_places(Assembly("asm", "1.0.0.0", "amd64", "", language), "app") == plain
    german = tuple(f"app/de/{path.removeprefix('app/')}" for path in plain)
    assert manifest_places(Assembly("asm", "1.0.0.0", "amd64", "", "de"), "app") == (*german, *plain)
    assert external_manifest("app.exe", is_dll=False) == "app.exe.manifest"


def test_a_file_of_a_private_assembly_is_missing(dist: AssemblyDist) -> None:
    """The program dies with 0xC0000135 under Wine 8, and a copy beside it does not help."""
    dist.program(needing("asm")).texts({"asm/asm.manifest": holding("asm", "x.dll")})
    found = dist.findings()
    assert [(one.rule, one.severity.value, one.subject) for one in found] == [("DF101", "error", "x.dll")]
    assert (found[0].chain, found[0].identity) == (("app.exe", "x.dll"), "asm/x.dll")
    assert found[0].trail == ("private side-by-side assembly: asm",)
    assert found[0].message == "app.exe imports it; an assembly has it at asm/x.dll, which is not there"
    dist.dlls("x.dll")
    assert dist.brief() == {("DF103", "error", "x.dll")}
    assert dist.findings()[0].message.endswith("; a copy is at x.dll, where it does not count")
    dist.dlls("asm/x.dll")
    assert dist.findings() == []


def test_a_missing_file_of_an_assembly_is_put_where_it_belongs(dist: AssemblyDist) -> None:
    dist.program(needing("asm")).dlls("x.dll").texts({"asm/asm.manifest": holding("asm", "x.dll")})
    assert run_depfix("repair", dist.root).code == 0
    assert (dist.root / "asm" / "x.dll").exists()
    assert dist.findings() == []


def test_a_file_of_an_assembly_that_nobody_imports_is_no_need(dist: AssemblyDist) -> None:
    dist.program(needing("asm")).dlls("asm/x.dll").texts({"asm/asm.manifest": holding("asm", "x.dll", "y.dll")})
    assert dist.findings() == []


def test_an_assembly_that_an_assembly_needs(dist: AssemblyDist) -> None:
    """It is looked for beside the program, as Wine 8 does: the folder of the assembly is none to look in."""
    nested = holding("asm", "x.dll").replace("</assembly>", f"{needed('second')}</assembly>")
    dist.program(needing("asm")).dlls("asm/x.dll").texts({"asm/asm.manifest": nested})
    found = dist.findings()
    assert [(one.rule, one.severity.value, one.subject) for one in found] == [("DF101", "error", "second")]
    assert found[0].chain == ("app.exe", "asm/asm.manifest", "second")
    words = (
        "asm/asm.manifest needs the side-by-side assembly second, and neither Windows 10 nor the folder of app.exe has"
    )
    assert found[0].message.startswith(words)
    dist.texts({"asm/second/second.manifest": holding("second")})
    assert dist.brief() == {("DF101", "error", "second")}
    back = holding("second", "z.dll").replace("</assembly>", f"{needed('asm')}</assembly>")
    dist.texts({"second/second.manifest": back})  # the two need each other
    assert dist.findings() == []
    dist.program(needing("asm"), needs=("x.dll", "z.dll"))
    assert dist.brief() == {("DF101", "error", "z.dll")}
    dist.dlls("second/z.dll")
    assert dist.findings() == []


@pytest.mark.parametrize(
    ("manifest", "words"),
    [
        (holding("other", "x.dll"), "asm/asm.manifest is of the assembly other"),
        (holding("asm", "x.dll").replace("1.0.0.0", "2.0.0.0"), "asm/asm.manifest is of version 2.0.0.0, not 1.0.0.0"),
        (holding("asm", "x.dll", machine="x86"), "asm/asm.manifest is of machine x86, not amd64"),
        (f'{HEAD}<file name="x.dll"/></assembly>', "asm/asm.manifest does not say which assembly it is"),
        ("<assembly", "asm/asm.manifest cannot be read"),
    ],
)
def test_a_manifest_of_another_assembly_does_not_count(dist: AssemblyDist, manifest: str, words: str) -> None:
    dist.program(needing("asm")).dlls("asm/x.dll").texts({"asm/asm.manifest": manifest})
    found = {one.subject: one.message for one in dist.findings()}
    assert found["asm"] == f"app.exe needs the side-by-side assembly asm, and {words}"


def test_the_first_manifest_of_an_assembly_decides(dist: AssemblyDist) -> None:
    dist.program(needing("asm")).dlls("asm/x.dll", "asm.dll")  # a DLL of that name without a manifest is passed by
    dist.texts({"asm/asm.manifest": holding("ASM", "x.dll", machine="AMD64")})
    assert dist.findings() == []
    dist.texts({"asm.manifest": holding("asm", "x.dll")})
    assert dist.brief() == {("DF103", "error", "x.dll")}


def test_a_delay_load_from_an_assembly(dist: AssemblyDist, tmp_path: Path) -> None:
    dist.program(needing("asm"), needs=("lazy.dll",))
    put(delay_loading_dll(tmp_path / "made", "lazy.dll", "x.dll"), dist.root / "lazy.dll")
    dist.dlls("asm/x.dll").texts({"asm/asm.manifest": holding("asm", "x.dll")})
    assert dist.place("x.dll") == ["asm/x.dll"]
    (dist.root / "asm" / "x.dll").unlink()
    assert ("DF102", "warning", "x.dll") in dist.brief()


# --- assemblies of Windows, and of Visual C++ ------------------------------------------------------------------------


@pytest.mark.parametrize("target", ["win7", "win8.1-n", "win10", "win11", "server-core"])
def test_assemblies_of_windows_are_there(dist: AssemblyDist, target: str) -> None:
    names = ("Microsoft.Windows.Common-Controls", "Microsoft.Windows.GdiPlus", "Microsoft.Windows.Newer")
    dist.program(needing(*names, more='publicKeyToken="6595b64144ccf1df" language="*"'), needs=())
    assert [one for one in dist.findings(target) if not one.subject.startswith("api-ms-win-crt-")] == []


@pytest.mark.parametrize("target", ["win7", "win10", "win11"])
@pytest.mark.parametrize("name", ["Microsoft.VC90.MFC", "Microsoft.VC80.ATL", "Microsoft.VC90.OpenMP"])
def test_assemblies_of_visual_cpp_are_not(dist: AssemblyDist, name: str, target: str) -> None:
    found = [one for one in dist.program(needing(name), needs=()).findings(target) if one.subject == name.lower()]
    assert [(one.rule, one.severity.value, one.confidence.value) for one in found] == [("DF107", "error", "certain")]
    assert f"app.exe needs the side-by-side assembly {name.lower()}, and neither Windows" in found[0].message
    assert found[0].message.endswith(f"it belongs to Visual C++ {'2008' if '90' in name else '2005'}")


@pytest.mark.parametrize("name", ["Microsoft.VC90.DebugCRT", "microsoft.vc80.debugmfc"])
def test_a_debug_assembly_is_a_debug_runtime(dist: AssemblyDist, name: str) -> None:
    found = dist.program(needing(name), needs=()).findings("win11")
    assert [(one.rule, one.severity.value, one.subject) for one in found] == [("DF112", "error", name.lower())]
    assert "it is the debug runtime" in found[0].message


def test_a_runtime_that_windows_11_has(dist: AssemblyDist) -> None:
    name = "Microsoft.VC90.CRT"
    dist.program(needing(name), needs=("msvcr90.dll", "msvcp90.dll"))
    assert dist.findings("win11") == []
    dist.program("", needs=("msvcr90.dll",)).texts({"app.exe.manifest": needing()})
    assert dist.brief("win11") == {("DF107", "error", "msvcr90.dll")}  # who does not name the assembly gets nothing


def test_gdi_plus_of_windows_7_is_in_an_assembly(dist: AssemblyDist) -> None:
    dist.program(needs=("gdiplus.dll",))
    assert [one for one in dist.findings("win7") if one.subject == "gdiplus.dll"] == []


def test_a_runtime_that_the_dist_carries(dist: AssemblyDist) -> None:
    name = "Microsoft.VC90.MFC"
    dist.program(needing(name), needs=("mfc90.dll",))
    assert dist.brief() == {("DF107", "error", name.lower()), ("DF107", "error", "mfc90.dll")}
    dist.dlls(f"{name}/mfc90.dll").texts({f"{name}/{name}.manifest": holding(name, "mfc90.dll")})
    assert dist.findings() == []


def test_names_of_assemblies_compare_without_case() -> None:
    assert has_assembly("MICROSOFT.Windows.Common-Controls")
    assert not has_assembly("Microsoft.VC90.mfc")
    assert not has_assembly("somebody.else")
    assert not has_assembly("Microsoft.WindowsX")
    assert [name for name in assemblies() if name != name.lower()] == []


def test_the_table_of_assemblies() -> None:
    redistributables = set(column("vc-runtime.tsv", 1))
    debug = {f"microsoft.vc{version}.debug{part}" for version in (80, 90) for part in ("crt", "mfc")}
    for name, present, files, brought_by, source in rows("assemblies.tsv"):
        assert re.fullmatch(r"microsoft\.(windows|vc[0-9]+)\.[a-z-]+", name)
        assert present in ("yes", "no")
        dlls = files.split(",") if files else []
        assert dlls == sorted(file for file in dlls if re.fullmatch(r"[a-z0-9]+\.dll", file))
        assert present == "yes" or not dlls
        assert brought_by in redistributables or (present, brought_by) == ("yes", ""), name
        assert (name in debug) == (brought_by in debug_redistributables())
        assert URL.search(source)


# --- what a manifest says besides ------------------------------------------------------------------------------------


@pytest.mark.parametrize("target", ["win7", "win10", "win11"])
def test_supported_systems_are_read_and_nothing_is_claimed(dist: AssemblyDist, forge: Forge, target: str) -> None:
    """A system that is not named starts the program all the same, as an older one would look to it."""
    manifest = needing().replace("</assembly>", f"{SUPPORTED_OS}</assembly>")
    dist.program(manifest, needs=())
    beside = read_manifest(dist.root / "app.exe.manifest")
    assert beside is not None
    assert beside.supported_os == (WINDOWS_7,)
    image = read_image(put(embed(forge, "app.exe", manifest), dist.root / "embedding.exe"))
    assert isinstance(image, Image)
    assert image.manifest == beside
    assert [one for one in dist.findings(target) if not one.subject.startswith("api-ms-win-crt-")] == []


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_encodings_of_manifests(dist: AssemblyDist, encoding: str) -> None:
    dist.program(needs=()).texts({"app.exe.manifest": needing("asm").encode(encoding)})
    assert dist.brief() == {("DF101", "error", "asm")}


# --- what cannot be read ---------------------------------------------------------------------------------------------

DAMAGED: dict[str, str | bytes] = {
    "cut off": needing("asm")[:-20],
    "empty": "",
    "NULs": b"\0" * 64,
    "not XML": b"MZ\x90\0 no manifest",
    "another root": "<html/>",
    "unknown encoding": '<?xml version="1.0" encoding="klingon"?><assembly/>',
    "entities": '<!DOCTYPE a [<!ENTITY b "c">]><assembly>&b;</assembly>',
    "very deep": "<assembly>" * 100_000,
    "no attributes": f"{HEAD}<dependency><dependentAssembly><assemblyIdentity/></dependentAssembly></dependency><file/></assembly>",
}


@pytest.mark.parametrize("kind", DAMAGED)
def test_a_damaged_manifest_of_a_program_does_not_end_the_scan(dist: AssemblyDist, kind: str) -> None:
    dist.program(needs=("gone.dll",)).texts({"app.exe.manifest": DAMAGED[kind]})
    told = set() if kind == "no attributes" else {("DF501", "warning", "app.exe.manifest")}
    assert dist.brief() == {("DF101", "error", "gone.dll"), *told}


@pytest.mark.parametrize("kind", DAMAGED)
def test_a_damaged_manifest_of_an_assembly_is_none(dist: AssemblyDist, kind: str) -> None:
    dist.program(needing("asm")).dlls("asm/x.dll").texts({"asm/asm.manifest": DAMAGED[kind]})
    told = set() if kind == "no attributes" else {("DF501", "warning", "asm/asm.manifest")}
    assert dist.brief() == {("DF101", "error", "asm"), ("DF103", "error", "x.dll"), *told}


def test_a_damaged_manifest_in_an_image(dist: AssemblyDist, forge: Forge) -> None:
    put(embed(forge, "app.exe", "<assembly", ("gone.dll",)), dist.root / "app.exe")
    done = run_depfix("scan", dist.root)
    assert (done.code, "Traceback" in done.err, "depfix failed" in done.err) == (1, False, False)
    assert "gone.dll" in done.out
    told = [one for one in dist.findings() if one.rule == "DF501"]
    assert [(one.subject, one.chain) for one in told] == [("app.exe", ("app.exe",))]
    assert "Windows refuses to load" in told[0].message


def test_a_damaged_manifest_of_an_extension_module_is_told_with_its_chain(make_dist: DistMaker, forge: Forge) -> None:
    root = make_dist({}, {"pkg/__init__.py": "from . import core"})
    put(embed(forge, "core.pyd", "<assembly", number=2), root / "pkg" / "core.pyd")
    found = AssemblyDist(forge, root).findings()
    assert [(one.rule, one.subject) for one in found] == [("DF501", "pkg/core.pyd")]
    assert found[0].chain == ("app.exe", "pkg/__init__.py:1", "pkg/core.pyd")


def test_a_folder_in_the_place_of_a_manifest(dist: AssemblyDist) -> None:
    dist.program(needing("asm"), needs=())
    (dist.root / "asm" / "asm.manifest").mkdir(parents=True)
    assert dist.brief() == {("DF101", "error", "asm")}
