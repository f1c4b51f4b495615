"""The reader of sources against Python's own compiler: each IMPORT_NAME is found, with its context.

What the reader leaves out must be dead on Windows: it lies in a branch that the reader decided, or behind one that
leaves. The context is compared with what the reader of bytecode, which shares no code for it, sees in the compiled code.
"""

from __future__ import annotations

import ast
import dis
import marshal
import re
import sys
import sysconfig
import warnings
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import CodeType

import pytest

from depfix.imports.bytecode import read_code
from depfix.imports.interpreter import Interpreter
from depfix.imports.reader import read_source
from depfix.imports.uses import ImportUse, SourceFacts, SourceTarget, Where
from fixtures.windows_lab import download

TARGET = SourceTarget((sys.version_info[0], sys.version_info[1]))
PACKAGES = (
    "numpy==1.26.4",
    "torch==1.13.1",
    "scipy==1.15.2",
    "pandas==2.2.3",
    "scikit-learn==1.6.1",
    "numba==0.60.0",
    "sympy==1.13.3",
    "networkx==3.2.1",
    "pyarrow==19.0.1",
    "pillow==11.1.0",
    "joblib==1.4.2",
    "cryptography==44.0.1",
)
SAMPLE = 40  # sources of each package
# What a test that the target decides speaks of.
OF_THE_TARGET = re.compile(
    r"platform|os\.name|version|win32|windows|posix|darwin|java|TYPE_CHECKING|maxsize|linux|\bnt\b|_MS_WIN|PY[23]|"
    r"hasattr|__file__|environ|_WIN|unix|macos|AIX|getpid|fork|standalone",
    re.IGNORECASE,
)
# Tests that the reader decides by what the module itself says, although somebody else may change it: the only ones.
BY_ITSELF = {
    "__name__ == '__main__'": "what is read here is imported, and no program's own script",
    "'__main__' == __name__": "the same",
    "_false": "a constant: written so that no compiler sees the import",
    "debug": "a switch of the module that its user may set",
    "not debug": "the same",
    "check_home is not None": "a parameter, as the module's own call gives it",
}
Key = tuple[int, int, str, tuple[str, ...]]


@dataclass
class Followed:
    """The syntax tree that the reader followed, and the blocks of statements that it entered."""

    tree: ast.Module = field(default_factory=lambda: ast.Module([], []))
    entered: dict[int, list[ast.stmt]] = field(default_factory=dict)


@pytest.fixture
def followed(monkeypatch: pytest.MonkeyPatch) -> Followed:
    """Watch the reader."""
    seen = Followed()
    read, block = Interpreter.read, Interpreter._block

    def watched_read(self: Interpreter, tree: ast.Module) -> None:
        seen.tree = tree
        seen.entered = {}
        read(self, tree)

    def watched_block(self: Interpreter, body: list[ast.stmt]) -> bool:
        seen.entered[id(body)] = body
        return block(self, body)

    monkeypatch.setattr(Interpreter, "read", watched_read)
    monkeypatch.setattr(Interpreter, "_block", watched_block)
    return seen


# --- what the compiler says ---


def compiled_imports(code: CodeType, in_function: bool = False) -> Iterator[tuple[Key, bool]]:
    """Yield the import statements of a code object: line, level, module, names; whether it is in a function."""
    in_function = in_function or bool(code.co_flags & 1 and not code.co_name.startswith("<generic parameters"))
    constants: list[object] = []
    line = code.co_firstlineno
    for instruction in dis.get_instructions(code):
        if sys.version_info >= (3, 11):
            line = (instruction.positions.lineno if instruction.positions is not None else None) or line
        elif instruction.starts_line is not None:
            line = instruction.starts_line
        if instruction.opname in ("LOAD_CONST", "LOAD_SMALL_INT"):
            constants.append(instruction.argval)
        elif instruction.opname == "IMPORT_NAME":
            level, names = constants[-2:]
            assert isinstance(level, int)
            yield (line, level, instruction.argval, names if isinstance(names, tuple) else ()), in_function
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            yield from compiled_imports(inner, in_function)


# --- why the reader leaves something out ---


def why_dead(followed: Followed, line: int) -> str:
    """Return the test by which the reader left out a line, an empty string if nothing decided that."""
    body: list[ast.stmt] = followed.tree.body
    while True:
        for statement in body:
            if statement.lineno <= line <= (statement.end_lineno or 0):
                break
            gone = leaving_test(followed, statement)
            if gone and id(body) in followed.entered:
                return gone
        else:
            return ""
        if isinstance(statement, ast.If):
            chosen = [id(branch) in followed.entered for branch in (statement.body, statement.orelse)]
            inside = statement.orelse and statement.orelse[0].lineno <= line
            if any(chosen) and not chosen[bool(inside)]:
                return ast.unparse(statement.test)
        blocks = [block for block in blocks_of(statement) if block[0].lineno <= line <= (block[-1].end_lineno or 0)]
        if not blocks:
            return ""
        body = blocks[0]


def blocks_of(statement: ast.stmt) -> Iterator[list[ast.stmt]]:
    for _, value in ast.iter_fields(statement):
        if isinstance(value, list) and value:
            if isinstance(value[0], ast.stmt):
                yield value
            for part in value:
                if isinstance(part, (ast.ExceptHandler, ast.match_case)):
                    yield part.body


def leaving_test(followed: Followed, statement: ast.stmt) -> str:
    """Return the test of an `if` of which only the branch is followed that leaves, an empty string if it is none."""
    if not isinstance(statement, ast.If):
        return ""
    branches = (statement.body, statement.orelse)
    chosen = [branch for branch in branches if id(branch) in followed.entered]
    if len(chosen) != 1 or not chosen[0]:
        return ""
    last = chosen[0][-1]
    inner = leaving_test(followed, last)
    return ast.unparse(statement.test) if inner or isinstance(last, (ast.Return, ast.Raise)) else ""


# --- one source ---


def statements(facts: SourceFacts) -> dict[Key, list[Where]]:
    found: dict[Key, list[Where]] = {}
    for use in facts.uses:
        if isinstance(use, ImportUse) and not use.mentioned:
            found.setdefault((use.where.line, use.level, use.module, use.names), []).append(use.where)
    return found


@dataclass
class Tally:
    """What was compared, and what differs."""

    sources: int = 0
    imports: int = 0
    dead: dict[str, str] = field(default_factory=dict)  # by test: the first place
    contexts: int = 0
    problems: list[str] = field(default_factory=list)
    other_contexts: list[str] = field(default_factory=list)

    def compare(self, name: str, data: bytes, followed: Followed) -> None:
        """Compare what the reader finds in one source with the compiler."""
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                code = compile(data, name, "exec", dont_inherit=True)
        except (SyntaxError, ValueError):
            return  # of another version of Python
        facts = read_source(data, TARGET)
        if facts.error:
            self.problems.append(f"{name}: {facts.error}")
            return
        self.sources += 1
        found = statements(facts)
        for key, in_function in compiled_imports(code):
            self.imports += 1
            if key not in found:
                self._left_out(name, key, followed)
            elif not in_function and any(where.deferred for where in found[key]):
                self.problems.append(f"{name}: {key} is said to be in a function")
            elif in_function and not any(where.deferred for where in found[key]):
                self._called(name, key, code)
        self._contexts(name, found, statements(read_code(marshal.dumps(code), TARGET)))

    def _left_out(self, name: str, key: Key, followed: Followed) -> None:
        test = why_dead(followed, key[0])
        if not test:
            self.problems.append(f"{name}: {key} is not found")
        elif not OF_THE_TARGET.search(test) and test not in BY_ITSELF:
            self.problems.append(f"{name}: {key} is left out because of `{test}`")
        self.dead.setdefault(test, f"{name}:{key[0]}")

    def _called(self, name: str, key: Key, code: CodeType) -> None:
        """A function that the reader takes for called on import must be mentioned somewhere outside of functions."""
        if not {each.co_name for each in functions_with(code, key[0])} & mentioned_on_import(code):
            self.problems.append(f"{name}: {key} is said to run on import")

    def _contexts(self, name: str, found: dict[Key, list[Where]], compiled: dict[Key, list[Where]]) -> None:
        for key in found.keys() & compiled.keys():
            one, other = found[key][0], compiled[key][0]
            if (one.deferred, one.function) != (other.deferred, other.function):
                continue  # functions are followed through calls in one reader, and not in the other
            self.contexts += 1
            for absent in (False, True):
                if one.strength(load=False, absent=absent) != other.strength(load=False, absent=absent):
                    self.other_contexts.append(f"{name}: {key[:3]}: {one} and {other}")


def functions_with(code: CodeType, line: int) -> list[CodeType]:
    found = [code]
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            found += functions_with(inner, line)
    return [each for each in found if each.co_firstlineno <= line]


def mentioned_on_import(code: CodeType) -> set[str]:
    names = set(code.co_names)
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            names |= mentioned_on_import(inner)
    return names


# --- the sources ---


def stdlib_sources() -> Iterator[tuple[str, bytes]]:
    root = Path(sysconfig.get_paths()["stdlib"])
    for path in sorted(root.rglob("*.py")):
        parts = path.relative_to(root).parts
        if "site-packages" not in parts and not {"test", "tests", "idle_test"} & set(parts):
            yield "/".join(parts), path.read_bytes()


def package_sources(requirement: str) -> Iterator[tuple[str, bytes]]:
    with zipfile.ZipFile(download(requirement)) as archive:
        names = [name for name in archive.namelist() if name.endswith(".py")]
        for name in names[:: max(1, len(names) // SAMPLE)]:
            yield name, archive.read(name)


def test_each_import_of_the_standard_library_is_found(followed: Followed) -> None:
    tally = Tally()
    for name, data in stdlib_sources():
        tally.compare(name, data, followed)
    assert tally.sources > 600 and tally.imports > 3500
    assert tally.problems == []
    assert any("win32" in test or "os.name" in test for test in tally.dead)
    assert tally.contexts > 3000
    assert len(tally.other_contexts) * 500 < tally.contexts, tally.other_contexts


@pytest.mark.lab
@pytest.mark.parametrize("requirement", PACKAGES)
def test_each_import_of_a_large_package_is_found(requirement: str, followed: Followed) -> None:
    tally = Tally()
    for name, data in package_sources(requirement):
        tally.compare(name, data, followed)
    assert tally.sources >= 30 and tally.imports > 60
    assert tally.problems == []
    assert len(tally.other_contexts) * 50 <= tally.contexts, tally.other_contexts
