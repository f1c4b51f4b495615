"""The data files about Windows and about packages: what each promises, held against every row of it."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import depfix.knowledge
from depfix.errors import DataFileError
from depfix.knowledge import families, rules, stdlib, tables, targets
from depfix.loader.system import CleanSystem
from depfix.model.finding import Severity
from depfix.model.machine import Machine

DATA = Path(depfix.knowledge.__file__).parent / "data"
TABLES = sorted(path.name for path in DATA.glob("*.tsv"))
RELEASES = ("7sp1", "8.1", "10", "11")
MACHINES = (Machine.X86, Machine.AMD64, Machine.ARM64)
COLUMNS = {
    **dict.fromkeys(
        ("api-sets-10.0.17134.tsv", "api-sets-additions.tsv", "api-sets-win7.tsv", "api-sets-win8.1.tsv"), 3
    ),
    **dict.fromkeys(("system-dlls-amd64.tsv", "system-dlls-arm64.tsv", "system-dlls-x86.tsv", "stdlib-modules.tsv"), 2),
    **dict.fromkeys(("features.tsv", "python-targets.tsv", "stdlib-extensions.tsv"), 3),
    **dict.fromkeys(("feature-kinds.tsv", "process-starters.tsv", "redistributable-system.tsv", "vc-runtime.tsv"), 4),
    "frozen-calls.tsv": 6,
    "redistribution.tsv": 7,
    "assemblies.tsv": 5,
    **dict.fromkeys(("known-dlls.tsv", "environment-places.tsv"), 1),
    **dict.fromkeys(("licence-classifiers.tsv", "python-libraries.tsv"), 2),
    "environment-kinds.tsv": 4,
    "file-readers.tsv": 5,
    "text-configurations.tsv": 6,
    **dict.fromkeys(("opcodes.tsv", "targets.tsv"), 8),
}
# Columns that may be empty: an edition, emulation, a maker that no resource names, DLLs of an assembly and what brings it, who carries a runtime, needs of two kinds.
MAY_BE_EMPTY = {
    "targets.tsv": {3, 5},
    "assemblies.tsv": {2, 3},
    "vc-runtime.tsv": {2},
    "stdlib-extensions.tsv": {1, 2},
    "text-configurations.tsv": {1},
    "redistribution.tsv": {3},
}
IN_ORDER_OF_AGE = {"python-targets.tsv", "stdlib-extensions.tsv", "targets.tsv"}
GROUPED = {
    "environment-kinds.tsv",
    "environment-places.tsv",
    "assemblies.tsv",
    "feature-kinds.tsv",
    "redistributable-system.tsv",
    "text-configurations.tsv",
    "vc-runtime.tsv",
}
API_SETS = {"api-sets-win7.tsv": "7sp1", "api-sets-win8.1.tsv": "8.1", "api-sets-10.0.17134.tsv": "10"}
# Hosts of API sets that a vanilla client lacks: they come with a server role, containers, Hyper-V, an optional feature
# or a later update.
OPTIONAL_HOSTS = {
    *("ntdsa.dll", "ntdsatq.dll", "browser.dll", "gamemonitor.dll", "vmcompute.dll", "vmhgs.dll", "cmclient.dll"),
    "laps.dll",
}
URL = re.compile(r"https?://[\w.-]+\.[a-z]+(/|\b)")


def lines(name: str) -> list[str]:
    return (DATA / name).read_text(encoding="utf-8").splitlines()


def head(name: str) -> list[str]:
    return [line for line in lines(name) if line.startswith("#")]


def rows(name: str) -> list[list[str]]:
    return [line.split("\t") for line in lines(name) if not line.startswith("#")]


def column(name: str, index: int = 0) -> list[str]:
    return [row[index] for row in rows(name)]


def everywhere() -> frozenset[str]:
    """Return the names that some Windows has for processes of some machine."""
    return frozenset(column("system-dlls-x86.tsv") + column("system-dlls-amd64.tsv") + column("system-dlls-arm64.tsv"))


# --- every table -----------------------------------------------------------------------------------------------------


def test_every_data_file_is_known_here() -> None:
    assert set(TABLES) == COLUMNS.keys()
    assert {path.name for path in DATA.iterdir()} == {
        *TABLES,
        "c-apis.json",
        "failures.json",
        "families.json",
        "native-data.json",
        "rules.json",
    }


@pytest.mark.parametrize("name", TABLES)
def test_a_table_says_what_it_holds_and_where_its_facts_are_from(name: str) -> None:
    comments = head(name)
    assert lines(name)[: len(comments)] == comments  # all of them before the first row
    what, word, source = " ".join(line.removeprefix("#").strip() for line in comments).partition("provenance:")
    assert word
    assert ":" in what or "Extension modules" in what  # what a row is: its columns
    assert URL.search(source) or "listings of Microsoft's installation media" in source


@pytest.mark.parametrize("name", TABLES)
def test_rows_are_whole(name: str) -> None:
    assert b"\r" not in (DATA / name).read_bytes()
    assert (DATA / name).read_text(encoding="utf-8").endswith("\n")
    assert {len(row) for row in rows(name)} == {COLUMNS[name]}
    assert [row for row in rows(name) for cell in row if cell != cell.strip()] == []
    empty = {index for row in rows(name) for index, cell in enumerate(row) if not cell}
    assert empty <= MAY_BE_EMPTY.get(name, set())


@pytest.mark.parametrize("name", TABLES)
def test_keys_are_unique_and_in_order(name: str) -> None:
    keys = column(name)
    assert [key for key, count in Counter(keys).items() if count > 1] == []
    if name not in IN_ORDER_OF_AGE | GROUPED:
        assert keys == sorted(keys)
    if not name.startswith(
        (
            "stdlib-",
            "opcodes",
            "licence-",
            "environment-places",
            "file-readers",
            "process-",
            "frozen-",
            "redistribution.",
        )
    ):  # names of modules and instructions compare with case, names of DLLs do not
        assert [key for key in keys if key != key.lower()] == []


@pytest.mark.parametrize(
    "name", ["features.tsv", "known-dlls.tsv", "redistributable-system.tsv", "vc-runtime.tsv", "system-dlls-amd64.tsv"]
)
def test_dll_names_are_file_names(name: str) -> None:
    assert [key for key in column(name) if not re.fullmatch(r"[a-z0-9][a-z0-9_.+-]*\.(dll|drv)", key)] == []


# --- the inventories of Windows --------------------------------------------------------------------------------------


@pytest.mark.parametrize("machine", MACHINES)
def test_releases_of_an_inventory(machine: Machine) -> None:
    known = RELEASES[2:] if machine is Machine.ARM64 else RELEASES
    for name, text in rows(f"system-dlls-{machine.value}.tsv"):
        releases = text.split(",")
        assert releases == [one for one in known if one in releases], name
    for release in known:
        assert len(tables.system_dlls(release, machine)) > 1400


def test_every_target_has_the_core_of_windows_on_each_of_its_machines() -> None:
    core = ("kernel32.dll", "kernelbase.dll", "user32.dll", "ole32.dll", "advapi32.dll", "msvcrt.dll", "ws2_32.dll")
    for target in targets.targets().values():
        for machine in target.machines:
            assert [name for name in core if not CleanSystem(target, machine).has(name)] == []


def test_known_dlls_are_parts_of_windows() -> None:
    for release in ("10", "11"):
        assert set(column("known-dlls.tsv")) <= tables.system_dlls(release, Machine.AMD64)


def test_the_visual_cpp_runtime_is_no_part_of_windows() -> None:
    assert set(column("vc-runtime.tsv")).isdisjoint(everywhere())
    assert set(column("vc-runtime.tsv")).isdisjoint(column("features.tsv"))
    assert set(column("vc-runtime.tsv")).isdisjoint(column("redistributable-system.tsv"))


def test_what_may_be_carried_is_a_part_of_windows() -> None:
    windows = CleanSystem(targets.targets()["win11"], Machine.AMD64)
    for name, why, words, source in rows("redistributable-system.tsv"):
        assert name in everywhere() or windows.api_set_host(name), name
        assert why in ("redistributable", "other-project")
        assert words
        assert URL.search(source) or "file list" in source


# --- the Visual C++ runtimes -----------------------------------------------------------------------------------------


def test_kinds_of_the_visual_cpp_runtime() -> None:
    for name, redistributable, packages, kind in rows("vc-runtime.tsv"):
        assert kind in ("release", "debug", "tools")
        assert ("debug" in redistributable) == (kind == "debug"), name
        assert not packages or kind == "release"
        assert [one for one in packages.split(", ") if one and not re.fullmatch(r"[a-z0-9][a-z0-9_-]*", one)] == []


def test_every_debug_runtime_has_its_release_runtime() -> None:
    kinds = dict(zip(column("vc-runtime.tsv"), column("vc-runtime.tsv", 3), strict=True))
    released = {name for name, kind in kinds.items() if kind == "release"} | {"ucrtbase.dll"}
    for name in (name for name, kind in kinds.items() if kind == "debug"):
        stem = name.removesuffix(".dll")
        twins = {f"{stem[:at]}{stem[at + 1 :]}.dll" for at, letter in enumerate(stem) if letter == "d"}
        assert twins & released, name


@pytest.mark.parametrize("toolset", ["80", "90", "100", "110", "120", "140"])
def test_the_runtime_of_every_toolset_is_there(toolset: str) -> None:
    crt = ("vcruntime140", "vcruntime140_1") if toolset == "140" else (f"msvcr{toolset}",)
    for stem in (*crt, f"msvcp{toolset}", f"mfc{toolset}", f"mfc{toolset}u"):
        assert tables.vc_runtimes()[f"{stem}.dll"].kind == "release"


# --- API sets --------------------------------------------------------------------------------------------------------

ALL_API_SETS = sorted([*API_SETS, "api-sets-additions.tsv"])


@pytest.mark.parametrize("name", ALL_API_SETS)
def test_api_sets_are_well_formed(name: str) -> None:
    image = r"[a-z0-9_.-]+\.(dll|drv|sys|exe)"
    for key, _, hosts in rows(name):
        assert re.fullmatch(r"(api|ext)(-[a-z0-9]+)+-l[0-9]+-[0-9]+-[0-9]+", key)
        assert re.fullmatch(rf"(-|{image})?(,{image}>({image})?)*", hosts), key


@pytest.mark.parametrize("name", API_SETS)
def test_the_compared_part_of_an_api_set(name: str) -> None:
    """Windows 7 and 8.1 compare whole names, Windows 10 all but the last number."""
    for key, length, _ in rows(name):
        assert key[: int(length)] == (key.rpartition("-")[0] if "10.0" in name else key)


@pytest.mark.parametrize("name", ALL_API_SETS)
def test_api_sets_lead_to_parts_of_windows(name: str) -> None:
    releases = (API_SETS[name],) if name in API_SETS else ("10", "11")
    inventory = frozenset().union(*(tables.system_dlls(release, Machine.AMD64) for release in releases))
    hosts = {host.partition(",")[0] for host in column(name, 2)} - {"", "-"}
    absent = {host for host in hosts - inventory if not host.endswith(".sys")}  # drivers are loaded into no process
    assert absent <= OPTIONAL_HOSTS


@pytest.mark.parametrize("machine", MACHINES)
def test_api_sets_that_programs_import_have_their_host(machine: Machine) -> None:
    """The sets of import libraries lead to DLLs that a process of each machine has."""
    prefixes = ("api-ms-win-core-", "api-ms-win-crt-", "api-ms-win-security-", "api-ms-win-eventing-")
    hosts = {host for name, host in tables.api_sets("win10").items() if name.startswith(prefixes) and host}
    absent = {host for host in hosts if host not in tables.system_dlls("10", machine) and host.endswith(".dll")}
    # of the broker and the resource monitor, which are services and thus 64-bit processes
    assert absent == ({"bi.dll", "appsruprov.dll"} if machine is Machine.X86 else set())


@pytest.mark.parametrize(("schema", "release"), [("win7", "7sp1"), ("win8.1", "8.1")])
def test_the_stub_files_of_old_windows_are_api_sets(schema: str, release: str) -> None:
    stubs = {
        name.removesuffix(".dll")
        for machine in (Machine.AMD64, Machine.X86)
        for name in tables.system_dlls(release, machine)
        if name.startswith(("api-", "ext-"))
    }
    assert len(stubs) >= 35
    assert stubs <= tables.api_sets(schema).keys()


def test_added_api_sets_are_newer_than_the_table() -> None:
    builds = set(column("api-sets-additions.tsv", 1))
    assert {int(build) > 17134 for build in builds} == {True}
    assert tables.newer_api_sets().keys().isdisjoint(tables.api_sets("win10"))
    assert len(tables.newer_api_sets()) == len(rows("api-sets-additions.tsv"))  # no set twice by its compared part


# --- the standard library --------------------------------------------------------------------------------------------

EXTENSIONS = {
    *("_asyncio", "_bz2", "_ctypes", "_decimal", "_elementtree", "_hashlib", "_lzma", "_multiprocessing"),
    *(
        "_overlapped",
        "_queue",
        "_socket",
        "_sqlite3",
        "_ssl",
        "_tkinter",
        "pyexpat",
        "select",
        "unicodedata",
        "winsound",
    ),
}
SINCE = {"_uuid": 9, "_zoneinfo": 9, "_wmi": 12}
UNTIL = {"_msi": 12}


def test_extension_modules_of_the_standard_library() -> None:
    versions = list(dict.fromkeys(key.partition(" ")[0] for key in column("stdlib-extensions.tsv")))
    assert versions == ["3.8", "3.9", "3.10", "3.11", "3.12", "3.13"]
    for version in versions:
        minor = int(version.partition(".")[2])
        expected = EXTENSIONS | {name for name, since in SINCE.items() if minor >= since}
        expected |= {name for name, until in UNTIL.items() if minor <= until}
        assert stdlib.stdlib_extensions((3, minor)) == expected


def test_needs_of_the_standard_library() -> None:
    for key, surely, perhaps in rows("stdlib-extensions.tsv"):
        assert re.fullmatch(r"3\.[0-9]+ \w+(\.\w+)*", key)
        names = [[one for one in text.split(",") if one] for text in (surely, perhaps)]
        assert names == [sorted(set(one)) for one in names], key
        assert any(names)
        assert not set(names[0]) & set(names[1]), key


@pytest.mark.parametrize("minor", range(8, 14))
def test_modules_that_cannot_do_without_their_extension(minor: int) -> None:
    needs = stdlib.stdlib_needs((3, minor))
    for extension in ("_ctypes", "_socket", "_ssl", "_bz2", "_lzma", "_tkinter"):
        assert extension in needs[extension[1:]].surely
    for module, extension in (("selectors", "select"), ("asyncio", "_overlapped"), ("xml.parsers.expat", "pyexpat")):
        assert extension in needs[module].surely
    assert "sqlite3" in needs
    assert "_queue" in (*needs["queue"].surely, *needs["queue"].perhaps)


@pytest.mark.parametrize(("version", "like"), [((3, 7), (3, 8)), ((3, 14), (3, 13)), ((3, 10), (3, 10))])
def test_another_python_is_held_against_the_nearest(version: tuple[int, int], like: tuple[int, int]) -> None:
    assert stdlib.stdlib_needs(version) == stdlib.stdlib_needs(like)


# --- families --------------------------------------------------------------------------------------------------------


def family_file() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((DATA / "families.json").read_text(encoding="utf-8"))
    return found


def test_families_are_complete() -> None:
    found = family_file()
    assert all(found["provenance"])
    keys = [family["key"] for family in found["families"]]
    assert len(set(keys)) == len(keys)
    for family in found["families"]:
        assert family.keys() == {"key", "words", "trigger", "source", "members"}
        assert all(family.values()), family["key"]
        for member in family["members"]:
            optional = {"if_named", "named", "chosen_by", "chosen_name"}
            assert member.keys() - optional == {"name", "folders", "need", "group", "why"}
            assert member["why"], member["name"]


def test_members_of_families() -> None:
    for pattern, family in families.families():
        names = [member.name for member in family.members]
        assert len(set(names)) == len(names), family.key
        for member in family.members:
            known = {*pattern.groupindex, "named"} if member.named else set(pattern.groupindex)
            assert set(re.findall(r"{(\w+)}", member.name)) <= known, member.name
            plain = re.sub(r"{\w+}", "", member.name.replace("{named}", "1.dll"))
            assert re.fullmatch(r"[a-z0-9][a-z0-9_.+-]*\.dll", plain), member.name
            assert not pattern.fullmatch(plain), f"{family.key} triggers itself"
            assert [one for one in member.folders if one.startswith("/") or "\\" in one or one.endswith("/")] == []
            assert member.need in ("required", "processor", "optional")


def test_a_group_offers_a_choice_of_one_need() -> None:
    for _, family in families.families():
        for group in {member.group for member in family.members} - {""}:
            members = [member for member in family.members if member.group == group]
            assert len(members) > 1, family.key
            assert {member.need for member in members} == {"required"}


def test_one_name_triggers_one_family() -> None:
    patterns = [pattern for pattern, _ in families.families()]
    names = {re.sub(r"{\w+}", suffix, member.name) for _, family in families.families() for member in family.members
             for suffix in ("", ".2")}  # fmt: skip
    names |= {"mkl_rt.2.dll", "qt5gui.dll", "qt6gui_conda.dll", "cudnn64_9.dll", "nvrtc64_120_0.dll", "tbb12.dll",
              "onnxruntime_pybind11_state.cp310-win_amd64.pyd", "cupti64_2023.3.1.dll", "libiomp5md.dll"}  # fmt: skip
    assert {name: count for name in names if (count := sum(bool(one.fullmatch(name)) for one in patterns)) > 1} == {}


# --- rules -----------------------------------------------------------------------------------------------------------


def test_rules_are_complete() -> None:
    found = json.loads((DATA / "rules.json").read_text(encoding="utf-8"))
    fields = {"code", "name", "severity", "summary", "why", "example", "cure", "safety"}
    for one in found:
        assert one.keys() == fields
        assert all(isinstance(text, str) and text == text.strip() and text for text in one.values()), one["code"]
        assert re.fullmatch(r"DF[0-9]{3}", one["code"])
        assert re.fullmatch(r"[a-z]+(-[a-z]+)+", one["name"])
        assert one["severity"] in {severity.value for severity in Severity}
        assert one["summary"].endswith(".")
        assert one["why"].endswith((".", ")"))
        assert one["safety"].startswith(("safe: ", "replaces a file; ", "nothing is changed"))
    codes = [one["code"] for one in found]
    assert codes == sorted(set(codes))
    assert len({one["name"] for one in found}) == len(found)


def test_rules_that_code_names_are_in_the_catalogue() -> None:
    known = {one.name for one in rules.rules()}
    package = Path(depfix.knowledge.__file__).parent.parent
    named = set()
    for path in (package / "checks").glob("*.py"):
        named |= set(re.findall(r'finding\(\s*"([a-z-]+)"', path.read_text(encoding="utf-8")))
    assert len(named) > 8
    assert named <= known


# --- what a damaged table is answered with ---------------------------------------------------------------------------

SOURCE = "# provenance: a test\n"


@pytest.mark.parametrize(
    ("load", "text", "words"),
    [
        (tables.known_dlls.__wrapped__, "# no source\nntdll.dll\n", "where its facts are from"),
        (tables.known_dlls.__wrapped__, "", "where its facts are from"),
        (tables.known_dlls.__wrapped__, SOURCE + "ntdll.dll\nntdll.dll\n", "stands there twice"),
        (lambda: tables.system_dlls.__wrapped__("10", Machine.AMD64), SOURCE + "ntdll.dll\t10\n", "core of Windows"),
        (lambda: tables.api_sets.__wrapped__("win10"), SOURCE + "kernel32\t8\tx.dll\n", "unexpected row"),
        (lambda: tables.api_sets.__wrapped__("win10"), SOURCE + "api-x\n", "unexpected row"),
        (lambda: tables.api_sets.__wrapped__("win10"), SOURCE + "api-ms-x-l1-1-0\t13\tx.dll\n", "1 API sets"),
        (tables.vc_runtimes.__wrapped__, SOURCE + "msvcp140.dll\tx\t\trelease\n", "vcruntime140.dll"),
        (tables.vc_runtimes.__wrapped__, SOURCE + "vcruntime140.dll\tx\t\tother\n", "kind"),
    ],
)
def test_a_damaged_table_is_told(
    monkeypatch: pytest.MonkeyPatch, load: Callable[[], object], text: str, words: str
) -> None:
    monkeypatch.setattr(tables, "read_data", lambda _name: text.encode())
    with pytest.raises(DataFileError, match=re.escape(words)):
        load()


def test_a_table_that_is_not_there_is_told() -> None:
    with pytest.raises(DataFileError) as caught:
        tables.read_rows("no-such-table.tsv")
    assert caught.value.exit_code == 3
    assert caught.value.hint
