"""What the tests share: compiled Windows files, small dists, the command line, the real torch story."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from fixtures.audit_hook import sitecustomize as audit_hook
from fixtures.compile_c import compile_c
from fixtures.link_image import keep
from fixtures.link_image import zig as zig
from fixtures.windows_lab import CACHE, torch_story, wine_problem

PYTHON_DLL = "python310.dll"
# The files that take minutes, longest first: where several processes test, the others fill the gaps.
LONG = (
    "doc_blocks",
    "windows",
    "nuitka_programs",
    "nuitka_plugin",
    "image_classifier",
    "torch",
    "verify_lab",
    "numpy_abi",
    "wheels",
    "other_packages",
    "diagnose_lab",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    ranks = {f"test_{name}": rank for rank, name in enumerate(LONG)}
    items.sort(key=lambda item: ranks.get(item.path.stem, len(ranks)))


def not_on_windows(reason: str) -> pytest.MarkDecorator:
    """Leave a test out on Windows: it is about what only other systems have."""
    return pytest.mark.skipif(sys.platform == "win32", reason=f"Windows: {reason}")


def not_under_wine(reason: str) -> pytest.MarkDecorator:
    """Leave a test out where Wine stands in for Windows: it is about what Wine does not have."""
    return pytest.mark.skipif("DEPFIX_WINE" in os.environ, reason=f"Wine: {reason}")


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep what depfix keeps between runs to this run of the tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DEPFIX_CACHE_DIR", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session", autouse=True)
def executed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Watch that depfix executes nothing of what it analyses, here and in children; return the file of what it did."""
    notes = tmp_path_factory.mktemp("audit") / "executed.txt"
    notes.touch()
    roots = (str(tmp_path_factory.getbasetemp()), str(CACHE), tempfile.gettempdir(), "/var/tmp", "/dev/shm")
    own = (str(Path(__file__).parent.parent), sys.prefix, sys.base_prefix)
    audit_hook.install(roots, own, str(notes))
    return notes


@pytest.fixture(autouse=True)
def nothing_is_executed(executed: Path) -> Iterator[None]:
    """Fail a test in which depfix executed something that it analyses."""
    yield
    if executed.stat().st_size:
        found = executed.read_text("utf-8")
        executed.write_text("")
        pytest.fail(f"depfix executed what it analyses:\n{found}")


@dataclass(frozen=True)
class Cli:
    """How a run of the command line ended."""

    code: int
    out: str
    err: str


MODULE = (sys.executable, "-m", "depfix")
SCRIPT = (str(Path(sys.executable).with_name("depfix")),)


def run_depfix(
    *arguments: object,
    environ: dict[str, str] | None = None,
    cwd: Path | None = None,
    program: tuple[str, ...] = MODULE,
) -> Cli:
    """Run `depfix` as a user would, in a process of its own, with no environment to be found unless given."""
    env = {name: value for name, value in os.environ.items() if not name.startswith(("CONDA", "MAMBA"))}
    env |= {"HOME": str(CACHE / "nobody"), "PYTHONUTF8": "1"} | (environ or {})
    if arguments[:1] != ("verify",):  # which executes, and gives its environment on
        paths = (audit_hook.child_environment()["PYTHONPATH"], env.get("PYTHONPATH", ""))
        env |= audit_hook.child_environment() | {"PYTHONPATH": os.pathsep.join(filter(None, paths))}
    done = subprocess.run(
        [*program, *map(str, arguments)],
        env=env,
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        encoding="utf-8",
        errors="backslashreplace",
        check=False,
    )
    return Cli(done.returncode, done.stdout, done.stderr)


@pytest.fixture(scope="session")
def cli() -> Callable[..., Cli]:
    return run_depfix


class Forge:
    """Compiles tiny Windows files that import each other; each is made once and kept in the cache."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __call__(self, name: str, needs: Iterable[str] = (), *, machine: str = "amd64") -> Path:
        """Return a file called `name` whose import directory names `needs`; a suffix of .exe makes a program."""
        needs = tuple(needs)
        key = hashlib.sha256(repr((name, needs, machine, "v2")).encode()).hexdigest()[:16]
        output = self._folder / key / name
        if not output.exists():
            scratch = self._folder / f"{key}-{os.getpid()}"
            scratch.mkdir(parents=True, exist_ok=True)
            links = [self._library(need, scratch / "links", machine) for need in needs]
            source = scratch / "source.c"
            source.write_text(_c_source(name, needs))
            compile_c(source, scratch / name, links=links, machine=machine)
            keep(scratch, self._folder / key)
        return output

    def _library(self, name: str, folder: Path, machine: str) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        source = folder / f"{_symbol(name)}.c"
        source.write_text(_c_source(name, ()))
        return compile_c(source, folder / name, machine=machine).with_suffix(".lib")


def _symbol(name: str) -> str:
    return "".join(character if character.isalnum() else "_" for character in name)


def _c_source(name: str, needs: Iterable[str]) -> str:
    symbols = [_symbol(need) for need in needs]
    declared = "".join(f"__declspec(dllimport) int call_{symbol}(void);\n" for symbol in symbols)
    total = " + ".join(f"call_{symbol}()" for symbol in symbols) or "1"
    if name.endswith(".exe"):
        return f"{declared}int main(void) {{ return {total}; }}\n"
    return f"{declared}__declspec(dllexport) int call_{_symbol(name)}(void) {{ return {total}; }}\n"


@pytest.fixture(scope="session")
def forge() -> Forge:
    folder = CACHE / "forge"
    folder.mkdir(parents=True, exist_ok=True)
    return Forge(folder)


class DistMaker:
    """Makes small dists: a program that hosts Python 3.10, and whatever files a test names."""

    def __init__(self, forge: Forge, folder: Path) -> None:
        self._forge = forge
        self._folder = folder

    def __call__(
        self,
        images: Mapping[str, tuple[str, ...]] | None = None,
        sources: Mapping[str, str] | None = None,
        *,
        name: str = "main.dist",
        python: bool = True,
        machine: str = "amd64",
    ) -> Path:
        """Return a dist; `images` maps paths to the DLL names that each imports, `sources` paths to texts."""
        root = self._folder / name
        needs = (PYTHON_DLL,) if python else ()
        put(self._forge("app.exe", needs, machine=machine), root / "app.exe")
        if python:
            put(self._forge(PYTHON_DLL, machine=machine), root / PYTHON_DLL)
        for path, imported in (images or {}).items():
            put(self._forge(Path(path).name, imported, machine=machine), root / path)
        for path, text in (sources or {}).items():
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_text(text, encoding="utf-8")
        return root


@pytest.fixture
def make_dist(forge: Forge, tmp_path: Path) -> DistMaker:
    return DistMaker(forge, tmp_path)


@pytest.fixture
def make_conda(forge: Forge, tmp_path: Path) -> Callable[..., Path]:
    """Make a conda-shaped Windows environment with these files: {path: imported names}."""

    def make(images: dict[str, tuple[str, ...]], *, name: str = "env", machine: str = "amd64") -> Path:
        root = tmp_path / name
        (root / "conda-meta").mkdir(parents=True)
        put(forge(PYTHON_DLL, machine=machine), root / PYTHON_DLL)
        put(forge("python.exe", (PYTHON_DLL,), machine=machine), root / "python.exe")
        for path, imported in images.items():
            put(forge(Path(path).name, imported, machine=machine), root / path)
            stem = Path(path).stem
            record = f'{{"name": "{stem}", "version": "1.2.3", "files": ["{path}"], "depends": []}}'
            (root / "conda-meta" / f"{stem}-1.2.3-0.json").write_text(record)
        return root

    return make


def put(source: Path, target: Path) -> Path:
    """Copy a file to a place whose folders may not exist yet."""
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(source, target)
    return target


def snapshot(root: Path) -> dict[str, tuple[str, int]]:
    """Return {path: (SHA-256 or "folder", mtime in ns)} of everything below a folder."""
    found = {}
    for path in sorted(root.rglob("*")):
        content = "folder" if path.is_dir() else hashlib.sha256(path.read_bytes()).hexdigest()
        found[path.relative_to(root).as_posix()] = (content, path.stat().st_mtime_ns)
    return found


@pytest.fixture(scope="session")
def wine() -> None:
    """Fail with what to install if Windows programs cannot be run."""
    problem = wine_problem()
    if problem:
        pytest.fail(f"these tests run real Windows programs: {problem}")


@pytest.fixture(scope="session")
def torch_master(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The real conda-shaped environment with torch, and the dist that lacks what stayed in it. Not to be changed."""
    return torch_story(tmp_path_factory.mktemp("torch"))


def linked_copy(source: Path, target: Path) -> Path:
    """Copy a folder by hard links: quick, and safe as long as files are replaced and never written in place."""
    shutil.copytree(source, target, copy_function=os.link)
    return target


@pytest.fixture
def torch_dist(torch_master: tuple[Path, Path], tmp_path: Path) -> Iterator[Path]:
    dist = linked_copy(torch_master[1], tmp_path / "torch dist")
    yield dist
    shutil.rmtree(dist, ignore_errors=True)


def delay_loading_dll(folder: Path, name: str, delayed: str) -> Path:
    """Return a DLL whose delay-load directory names `delayed`, as Microsoft's linker writes it."""
    sources = {
        "callee": f"__declspec(dllexport) int call_{_symbol(delayed)}(void) {{ return 1; }}",
        "caller": f"__declspec(dllimport) int call_{_symbol(delayed)}(void);\n"
        f"__declspec(dllexport) int call_later(void) {{ return call_{_symbol(delayed)}(); }}",
        "helper": "void *__delayLoadHelper2(void *a, void *b) { (void)a; (void)b; return 0; }",
    }
    folder.mkdir(parents=True, exist_ok=True)
    for stem, text in sources.items():
        (folder / f"{stem}.c").write_text(text)
    compile_c(folder / "callee.c", folder / delayed)
    for stem in ("caller", "helper"):
        zig("cc", "-target", "x86_64-windows-gnu", "-c", f"{stem}.c", "-o", f"{stem}.obj", cwd=folder)
    link = ("lld-link", "-dll", "-noentry", f"-out:{name}", "caller.obj", "helper.obj", "-export:call_later")
    zig(*link, Path(delayed).with_suffix(".lib").name, f"-delayload:{delayed}", cwd=folder)
    return folder / name
