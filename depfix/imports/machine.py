"""Follows instructions with a stack of what is known of the values on it.

Only what import statements, tests of the target, calls by name, functions and classes need is followed. Any other
instruction empties the stack.
"""

from __future__ import annotations

from collections.abc import Callable

from depfix.imports.known import facts_of, pure_calls
from depfix.imports.marshal import CodeValue, ConstantValue
from depfix.imports.methods import attribute_of, call_method
from depfix.imports.opcodes import Instructions
from depfix.imports.stack import (
    CLASS_BUILDER,
    DEEPEST,
    NOTHING,
    NULL,
    ImportNote,
    Slot,
    Stack,
    texts_of_tuple,
    value_of,
)
from depfix.imports.uses import SourceTarget
from depfix.imports.values import UNKNOWN, Constant, Method, Reference, Value

_IMPORT_STAR = 2  # the argument of CALL_INTRINSIC_1
Scope = dict[str, Value]


class Machine(Stack):
    """Follows the instructions of one code object; hooks tell a subclass of what it asks for.

    `scopes` are the names of the module and, in a class or function, those of its own.
    """

    def __init__(self, instructions: Instructions, target: SourceTarget, scopes: list[Scope]) -> None:
        super().__init__(instructions.code.version)
        self.ins = instructions
        self.code = instructions.code
        self.scopes = scopes
        self.index = 0
        self._facts = facts_of(target)
        self._calls = pure_calls(target)
        self._keywords: tuple[ConstantValue, ...] = ()

    # --- hooks ---

    def stored(self, name: str, slot: Slot) -> None:
        """Take note that a name is bound."""

    def imported(self, note: ImportNote) -> None:
        """Take note of an import statement."""

    def called(self, function: Slot, arguments: list[Slot], keywords: dict[str, Slot]) -> Slot | None:
        """Take note of a call; return its value, or None if it is an ordinary call."""
        return None

    def entered(self, manager: Slot) -> None:
        """Take note of a `with` block."""

    def loaded(self, code: CodeValue) -> None:
        """Take note of the code object of a function or class."""

    def mentioned(self, name: str, *, attribute: bool) -> None:
        """Take note that a name or an attribute is read."""

    # --- steps ---

    def step(self, index: int) -> None:
        """Follow one instruction, jumps as if they were not taken."""
        self.index = index
        handler = _HANDLERS.get(self.ins.names[index])
        if handler is None or len(self.stack) > DEEPEST:
            self.stack.clear()
        if handler is not None:
            handler(self, self.ins.arguments[index])

    def _named(self, number: int, names: tuple[str, ...] | None = None) -> str:
        names = self.code.names if names is None else names
        return names[number] if number < len(names) else ""

    # --- constants and names ---

    def _constant(self, number: int) -> None:
        value = self.code.consts[number] if number < len(self.code.consts) else None
        if isinstance(value, CodeValue):
            self.loaded(value)
            self.stack.append(Slot(code=value))
        else:
            self.stack.append(Slot(value_of(value), parts=texts_of_tuple(value)))

    def _small_int(self, number: int) -> None:
        self.push(Constant(number))

    def _lookup(self, name: str) -> Value:
        for scope in reversed(self.scopes):
            if name in scope:
                return scope[name]
        return self._facts.get(f"builtins.{name}") or Reference(f"builtins.{name}")

    def _load_name(self, number: int) -> None:
        name = self._named(number)
        self.mentioned(name, attribute=False)
        self.push(self._lookup(name), name)

    def _load_global(self, number: int) -> None:
        null = self.version >= (3, 11) and number & 1
        if null and self.version < (3, 13):
            self.stack.append(NULL)
        self._load_name(number >> 1 if self.version >= (3, 11) else number)
        if null and self.version >= (3, 13):
            self.stack.append(NULL)

    def _load_local(self, number: int) -> None:
        name = self._named(number, self.code.variables)
        self.push(self.scopes[-1].get(name, UNKNOWN), name)

    def _load_locals(self, number: int) -> None:
        self._load_local(number >> 4)
        self._load_local(number & 15)

    def _load_cell(self, number: int) -> None:
        name = self._named(number, self.code.cells)
        found = next((scope[name] for scope in reversed(self.scopes[1:]) if name in scope), UNKNOWN)
        self.push(found, name)

    def _load_attribute(self, number: int) -> None:
        method = False
        if self.version >= (3, 12):
            method, number = bool(number & 1), number >> 1
        self._attribute(number)
        if method:
            self.stack.append(NULL)

    def _load_method(self, number: int) -> None:
        self._attribute(number)
        self.stack.append(NULL)

    def _attribute(self, number: int) -> None:
        owner, name = self.pop(), self._named(number)
        self.mentioned(name, attribute=True)
        written = f"{owner.written}.{name}" if owner.written else ""
        if isinstance(owner.value, Reference):
            dotted = f"{owner.value.name}.{name}"
            self.push(self._facts.get(dotted) or Reference(dotted), written)
        else:
            self.push(attribute_of(owner.value, name) or Method(owner.value, name), written)

    # --- stores ---

    def _store_name(self, number: int) -> None:
        self._store(self._named(number))

    def _store_local(self, number: int) -> None:
        self._store(self._named(number, self.code.variables))

    def _store_cell(self, number: int) -> None:
        self._store(self._named(number, self.code.cells))

    def _store_locals(self, number: int) -> None:
        self._store_local(number >> 4)
        self._store_local(number & 15)

    def _store_and_load(self, number: int) -> None:
        self._store_local(number >> 4)
        self._load_local(number & 15)

    def _store(self, name: str) -> None:
        slot = self.pop()
        if slot.note is not None and slot.member and slot.note.names and name != slot.member:
            slot.note.aliases.append((name, slot.member))
        self.stored(name, slot)

    # --- imports ---

    def _import_name(self, number: int) -> None:
        level, wanted = self.take(2)
        names = tuple(each.written for each in wanted.parts)
        depth = level.value.value if isinstance(level.value, Constant) else 0
        module = self._named(number)
        note = ImportNote(self.index, module, names, depth if isinstance(depth, int) and 0 <= depth < 256 else 0)
        self.imported(note)
        bound = "." * note.level + module if names else module.partition(".")[0]
        self.stack.append(Slot(Reference(bound), note=note))

    def _import_from(self, number: int) -> None:
        owner, name = self.stack[-1] if self.stack else NOTHING, self._named(number)
        value: Value = UNKNOWN
        if isinstance(owner.value, Reference):
            dotted = f"{owner.value.name}.{name}"
            value = self._facts.get(dotted) or Reference(dotted)
        self.stack.append(Slot(value, note=owner.note, member=name))

    def _intrinsic(self, number: int) -> None:
        if number == _IMPORT_STAR:
            self.pop()
        self.pop()
        self.push()

    # --- functions, classes, calls ---

    def _make_function(self, flags: int) -> None:
        if self.version < (3, 11):
            self.pop()
        function = self.pop()
        if self.version < (3, 13):
            self.take((flags & 15).bit_count())
        self.stack.append(function)

    def _function_attribute(self, _: int) -> None:
        function = self.pop()
        self.pop()
        self.stack.append(function)

    def _build_class(self, _: int) -> None:
        self.stack.append(CLASS_BUILDER)

    def _keyword_names(self, number: int) -> None:
        names = self.code.consts[number] if number < len(self.code.consts) else ()
        self._keywords = names if isinstance(names, tuple) else ()

    def _call(self, count: int) -> None:
        names, self._keywords = self._keywords, ()
        self._invoke(count, names, two=self.version >= (3, 11))

    def _call_method(self, count: int) -> None:
        self._invoke(count, (), two=True)

    def _call_keywords(self, count: int) -> None:
        names = tuple(each.written for each in self.pop().parts)
        self._invoke(count, names, two=self.version >= (3, 11))

    def _invoke(self, count: int, names: tuple[ConstantValue, ...], *, two: bool) -> None:
        """Call what lies below the arguments: a function, since 3.11 and for methods with NULL or `self` beside it."""
        arguments = self.take(count)
        function = self.pop()
        if two:
            other = self.pop()
            if function is NULL:
                function = other
            elif other is not NULL and other is not NOTHING:
                function, arguments = other, [function, *arguments]
        keywords: dict[str, Slot] = {}
        if names and len(names) <= len(arguments):
            given = arguments[len(arguments) - len(names) :]
            keywords = {name: slot for name, slot in zip(names, given, strict=True) if isinstance(name, str)}
            arguments = arguments[: len(arguments) - len(names)]
        noted = self.called(function, arguments, keywords)
        self.stack.append(noted if noted is not None else self._result(function, arguments, keywords))

    def _result(self, function: Slot, arguments: list[Slot], keywords: dict[str, Slot]) -> Slot:
        values = [each.value for each in arguments]
        named = {name: each.value for name, each in keywords.items()}
        value: Value = UNKNOWN
        if isinstance(function.value, Reference):
            pure = self._calls.get(function.value.name)
            value = pure(values, named) if pure is not None else UNKNOWN
        elif isinstance(function.value, Method):
            value = call_method(function.value.receiver, function.value.name, values, named)
        return Slot(value, made_by=function.last)

    def _enter(self, _: int) -> None:
        self.entered(self.stack[-1] if self.stack else NOTHING)
        self.stack.clear()

    def _null(self, _: int) -> None:
        self.stack.append(NULL)


_Handler = Callable[[Machine, int], None]
_EFFECTS: dict[int, tuple[str, ...]] = {
    # How many values an instruction takes, if nothing else about it matters.
    0: (
        "NOP", "RESUME", "SETUP_ANNOTATIONS", "NOT_TAKEN", "PRECALL", "MAKE_CELL", "COPY_FREE_VARS", "GEN_START",
        "POP_BLOCK", "SETUP_FINALLY", "TO_BOOL", "JUMP_FORWARD", "JUMP_ABSOLUTE", "JUMP_BACKWARD", "DELETE_NAME",
    ),
    1: (
        "POP_TOP", "LIST_APPEND", "LIST_EXTEND", "SET_ADD", "SET_UPDATE", "DICT_UPDATE", "DICT_MERGE", "DELETE_ATTR",
        "POP_JUMP_IF_FALSE", "POP_JUMP_IF_TRUE", "POP_JUMP_IF_NONE", "POP_JUMP_IF_NOT_NONE",
        "POP_JUMP_FORWARD_IF_FALSE", "POP_JUMP_FORWARD_IF_TRUE", "POP_JUMP_FORWARD_IF_NONE",
        "POP_JUMP_FORWARD_IF_NOT_NONE", "POP_JUMP_BACKWARD_IF_FALSE", "POP_JUMP_BACKWARD_IF_TRUE",
        "JUMP_IF_FALSE_OR_POP", "JUMP_IF_TRUE_OR_POP", "IMPORT_STAR",
    ),
    2: ("STORE_ATTR", "DELETE_SUBSCR", "MAP_ADD"),
    3: ("STORE_SUBSCR",),
}  # fmt: skip
_RESULTS: dict[int, tuple[str, ...]] = {
    # The same, if it gives an unknown value.
    0: ("LOAD_CLOSURE", "LOAD_ASSERTION_ERROR", "LOAD_COMMON_CONSTANT", "LOAD_LOCALS"),
    1: ("UNARY_NEGATIVE", "UNARY_POSITIVE", "UNARY_INVERT", "GET_ITER"),
    2: (
        "BINARY_ADD", "BINARY_AND", "BINARY_FLOOR_DIVIDE", "BINARY_LSHIFT", "BINARY_MATRIX_MULTIPLY", "BINARY_MODULO",
        "BINARY_MULTIPLY", "BINARY_OR", "BINARY_POWER", "BINARY_RSHIFT", "BINARY_SUBTRACT", "BINARY_TRUE_DIVIDE",
        "BINARY_XOR",
    ),
}  # fmt: skip


def _taking(count: int) -> _Handler:
    def handler(machine: Machine, _: int) -> None:
        if count:
            machine.take(count)

    return handler


def _giving(count: int) -> _Handler:
    def handler(machine: Machine, _: int) -> None:
        machine.take(count)
        machine.push()

    return handler


_HANDLERS: dict[str, _Handler] = {
    **{name: _taking(count) for count, names in _EFFECTS.items() for name in names},
    **{name: _giving(count) for count, names in _RESULTS.items() for name in names},
    "LOAD_CONST": Machine._constant,
    "LOAD_SMALL_INT": Machine._small_int,
    "LOAD_NAME": Machine._load_name,
    "LOAD_GLOBAL": Machine._load_global,
    **dict.fromkeys(("LOAD_FAST", "LOAD_FAST_CHECK", "LOAD_FAST_BORROW", "LOAD_FAST_AND_CLEAR"), Machine._load_local),
    **dict.fromkeys(("LOAD_FAST_LOAD_FAST", "LOAD_FAST_BORROW_LOAD_FAST_BORROW"), Machine._load_locals),
    **dict.fromkeys(("LOAD_DEREF", "LOAD_CLASSDEREF"), Machine._load_cell),
    "LOAD_ATTR": Machine._load_attribute,
    "LOAD_METHOD": Machine._load_method,
    **dict.fromkeys(("STORE_NAME", "STORE_GLOBAL"), Machine._store_name),
    "STORE_FAST": Machine._store_local,
    "STORE_DEREF": Machine._store_cell,
    "STORE_FAST_STORE_FAST": Machine._store_locals,
    "STORE_FAST_LOAD_FAST": Machine._store_and_load,
    "IMPORT_NAME": Machine._import_name,
    "IMPORT_FROM": Machine._import_from,
    "CALL_INTRINSIC_1": Machine._intrinsic,
    "COMPARE_OP": Machine.do_compare,
    "CONTAINS_OP": Machine.do_contains,
    "IS_OP": Machine.do_is,
    "UNARY_NOT": Machine.do_not,
    "BINARY_SUBSCR": Machine.do_subscript,
    "BINARY_OP": Machine.do_binary_operator,
    "BINARY_SLICE": Machine.do_slice,
    "BUILD_SLICE": Machine.do_build_slice,
    "BUILD_TUPLE": Machine.do_build_tuple,
    **dict.fromkeys(("BUILD_LIST", "BUILD_SET", "BUILD_STRING"), Machine.do_build),
    "BUILD_MAP": Machine.do_build_map,
    "BUILD_CONST_KEY_MAP": Machine.do_build_keyed_map,
    "COPY": Machine.do_copy,
    "SWAP": Machine.do_swap,
    "DUP_TOP": lambda machine, _: machine.do_copy(1),
    "ROT_TWO": lambda machine, _: machine.do_swap(2),
    "ROT_THREE": Machine.do_rotate_three,
    "MAKE_FUNCTION": Machine._make_function,
    "SET_FUNCTION_ATTRIBUTE": Machine._function_attribute,
    "LOAD_BUILD_CLASS": Machine._build_class,
    "KW_NAMES": Machine._keyword_names,
    **dict.fromkeys(("CALL", "CALL_FUNCTION"), Machine._call),
    "CALL_METHOD": Machine._call_method,
    **dict.fromkeys(("CALL_KW", "CALL_FUNCTION_KW"), Machine._call_keywords),
    "PUSH_NULL": Machine._null,
    **dict.fromkeys(
        ("BEFORE_WITH", "BEFORE_ASYNC_WITH", "SETUP_WITH", "SETUP_ASYNC_WITH", "LOAD_SPECIAL"), Machine._enter
    ),
}
