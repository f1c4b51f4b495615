"""Follows the instructions of one code object as they can run, and tells under which circumstances each does."""

from __future__ import annotations

from collections.abc import Iterator
from heapq import heappop, heappush
from itertools import accumulate

from depfix.imports.guards import FOR_IMPORTS, Guards, clauses_guard
from depfix.imports.machine import Machine, Scope
from depfix.imports.opcodes import NO_TARGET, ExceptionTable, Instructions
from depfix.imports.stack import Slot
from depfix.imports.uses import SourceTarget

_ENDS = frozenset(("RETURN_VALUE", "RETURN_CONST", "RAISE_VARARGS", "RERAISE"))
_SETUPS = frozenset(("SETUP_FINALLY", "SETUP_WITH", "SETUP_ASYNC_WITH"))
_UNCOUNTED = frozenset(("FOR_ITER", "SEND", "CALL_FINALLY"))  # what they pass over does run
_ALWAYS = frozenset(("JUMP_FORWARD", "JUMP_ABSOLUTE", "JUMP_BACKWARD", "JUMP_BACKWARD_NO_INTERRUPT"))
_LOADS = frozenset(("LOAD_NAME", "LOAD_GLOBAL"))
_ATTRIBUTES = frozenset(("LOAD_ATTR", "LOAD_METHOD"))
_WITH = frozenset(("WITH_EXCEPT_START", "WITH_CLEANUP_START"))
_BESIDE_TYPES = frozenset(
    ("DUP_TOP", "COPY", "SWAP", "BUILD_LIST", "BUILD_TUPLE", "PUSH_NULL", "LOAD_DEREF", "LOAD_FAST")
)
_EXCEPTION_MATCH = 10  # the argument of COMPARE_OP before Python 3.9
_LONGEST_TYPE = 48  # instructions of the expression behind `except`
_MOST_CLAUSES = 64
_DEEPEST_BLOCK = 64
_MOST_STEPS = 200_000  # for the handlers of one code object
_NEAR = 10  # instructions between the call of a context manager's `__enter__` and what it protects

Blocks = tuple[int, object] | None  # where exceptions are handled up to Python 3.10: innermost block, blocks around it


class Follower(Machine):
    """Follows a code object: what runs if nothing fails first, then the handlers of exceptions."""

    def __init__(self, instructions: Instructions, target: SourceTarget, scopes: list[Scope]) -> None:
        super().__init__(instructions, target, scopes)
        self.exceptional = False  # only reached by an exception
        self._table = ExceptionTable(instructions) if self.version >= (3, 11) else None
        self._blocks: Blocks = None
        self._pushed = 0  # keeps blocks from being compared
        self._visited = bytearray(len(instructions.names))
        self._targets = {target for target in instructions.targets if target >= 0}
        self._waiting: list[tuple[int, int, Blocks]] = []  # what control reaches by jumps
        self._failing: list[tuple[int, int, Blocks]] = []  # what exceptions reach
        self._passed = [0] * (len(instructions.names) + 1)  # by how many jumps more an instruction is passed over
        self._passed_until = 0
        self._loop_ends = _loop_ends(instructions)
        self._in_loop = [0] * (len(instructions.names) + 1)
        for head, end in self._loop_ends.items():
            self._in_loop[head] += 1
            self._in_loop[end] -= 1
        self._in_loop = list(accumulate(self._in_loop))
        self._setups = {
            instructions.targets[index]: index for index, name in enumerate(instructions.names) if name in _SETUPS
        }
        self._handlers = HandlerReader(instructions, self._table)

    def follow(self) -> None:
        """Follow everything that can run."""
        self._add(self._waiting, 0, None)
        self._drain()
        self._passed = list(accumulate(self._passed))
        self.exceptional = True
        while self._failing:
            index, _, blocks = heappop(self._failing)
            self._add(self._waiting, index, blocks)
            self._drain()

    def conditional(self, index: int) -> bool:
        """Return True if a jump that depends on something passes over an instruction; to be asked after `follow`."""
        return self._passed[index] > 0

    def perhaps_again(self, index: int) -> bool:
        """Return True if the instruction at hand is passed over by a jump, or in a loop: to be asked on the way."""
        return index < self._passed_until or self._in_loop[index] > 0

    def guards(self) -> Guards:
        """Return which failures of the instruction at hand are let pass."""
        found = Guards()
        for target in self._handlers_at(self.index):
            found = found | self._handlers.guards(target, self._first_protected(target))
        return found

    def entered(self, manager: Slot) -> None:
        """Take note of a `with` block."""
        if manager.suppressed:
            self._handlers.suppressed[self.index] = manager.suppressed

    def handlers(self) -> tuple[int, ...]:
        """Return the handlers of the instruction at hand, each by its first instruction."""
        return tuple(self._handlers_at(self.index))

    def clauses_for_imports(self, handler: int) -> Iterator[range]:
        """Yield the instructions of each `except` clause that is there for imports that fail, and for nothing else."""
        return self._handlers.clauses_for_imports(handler)

    # --- blocks ---

    def _add(self, heap: list[tuple[int, int, Blocks]], index: int, blocks: Blocks) -> None:
        if 0 <= index < len(self._visited) and not self._visited[index]:
            self._pushed += 1
            heappush(heap, (index, self._pushed, blocks))

    def _drain(self) -> None:
        while self._waiting:
            index, _, self._blocks = heappop(self._waiting)
            if not self._visited[index]:
                self.stack.clear()
                end = self._run(index)
                for target in self._table.targets(index, end) if self._table is not None else ():
                    self._add(self._failing, target, None)

    def _run(self, index: int) -> int:
        """Follow instructions from one on as long as control just goes on; return where it ends."""
        names, targets, visited = self.ins.names, self.ins.targets, self._visited
        while index < len(names) and not visited[index]:
            visited[index] = 1
            if index in self._targets:
                self.stack.clear()
            name = names[index]
            if targets[index] != NO_TARGET:
                if not self._jump(index, name, targets[index]):
                    return index + 1
            else:
                self.step(index)
                if name in _ENDS:
                    return index + 1
                if name in ("POP_BLOCK", "POP_EXCEPT"):
                    self._blocks = _outer(self._blocks)
            index += 1
        return index

    def _jump(self, index: int, name: str, target: int) -> bool:
        """Follow a jump; return True if control may go on behind it."""
        if name in _SETUPS:
            self.step(index)
            self._add(self._failing, target, (NO_TARGET, self._blocks))
            self._blocks = (target, self._blocks)
            return True
        if name in _ALWAYS:
            self._add(self._waiting, target, self._blocks)
            if target > index:
                self._pass_over(index, target)
            return False
        taken = None if name in _UNCOUNTED else self._taken(name)
        self.step(index)
        if taken is not False:
            self._add(self._waiting, target, self._blocks)
            if taken is None and name not in _UNCOUNTED:
                self._pass_over(index, target if target > index else self._loop_ends.get(target, index))
        return taken is not True

    def _taken(self, name: str) -> bool | None:
        """Return True if a conditional jump is surely taken, False if it surely is not."""
        known = self.truth()
        if known is None or "NONE" in name or "EXC" in name:
            return None
        return known is ("IF_TRUE" in name)

    def _pass_over(self, index: int, target: int) -> None:
        """Take note that a jump passes over what lies between; what leaves a `while` loop does not count."""
        if self.exceptional or target <= index + 1:
            return
        if self._leaves_loop(index, target):
            return
        self._passed_until = max(self._passed_until, target)
        self._passed[index + 1] += 1
        self._passed[target] -= 1

    def _leaves_loop(self, index: int, target: int) -> bool:
        """Return True if a jump is the test of a `while` loop, which ends right before its target."""
        names, targets = self.ins.names, self.ins.targets
        back = targets[target - 1] if names[target - 1] not in _SETUPS else NO_TARGET
        if back != index + 1 or names[target - 1] not in _ALWAYS:
            return 0 <= back <= index + 1
        # Python 3.12 and 3.13 repeat the test, as a jump out of the loop and one back to what follows the first test.
        return targets[target - 2] == target and names[target - 2] == names[index]

    # --- exceptions ---

    def _handlers_at(self, index: int) -> Iterator[int]:
        """Yield where the exceptions of an instruction are handled, the innermost handler first."""
        if self._table is None:
            blocks = self._blocks
            for _ in range(_DEEPEST_BLOCK):
                if blocks is None:
                    return
                if blocks[0] != NO_TARGET:
                    yield blocks[0]
                blocks = _outer(blocks)
            return
        for _ in range(_DEEPEST_BLOCK):
            index = self._table.handler(index)
            if index == NO_TARGET:
                return
            yield index

    def _first_protected(self, target: int) -> int:
        if self._table is not None:
            return self._table.first.get(target, NO_TARGET)
        return self._setups.get(target, NO_TARGET)


def _outer(blocks: Blocks) -> Blocks:
    return blocks[1] if blocks is not None else None  # type: ignore[return-value]


def _loop_ends(instructions: Instructions) -> dict[int, int]:
    """Return {first instruction of a loop: what comes behind its last one}.

    Handlers stand at the end since Python 3.11, and their jumps back to where the program goes on are no loops.
    """
    found: dict[int, int] = {}
    if all(target > index or target == NO_TARGET for index, target in enumerate(instructions.targets)):
        return found
    usual = _reached(instructions)
    for index, target in enumerate(instructions.targets):
        if NO_TARGET < target <= index and usual[index]:
            found[target] = index + 1
    return found


def _reached(instructions: Instructions) -> bytearray:
    """Return which instructions control can reach if nothing fails."""
    names, targets = instructions.names, instructions.targets
    seen = bytearray(len(names))
    todo = [0]
    while todo:
        index = todo.pop()
        while index < len(names) and not seen[index]:
            seen[index] = 1
            if targets[index] != NO_TARGET and names[index] not in _SETUPS:
                todo.append(targets[index])
            if names[index] in _ENDS or names[index] in _ALWAYS:
                break
            index += 1
    return seen


class HandlerReader:
    """Reads the handlers of exceptions of one code object.

    `suppressed` are the exceptions that a `with suppress(...)` lets pass, by the instruction that enters it.
    """

    def __init__(self, instructions: Instructions, table: ExceptionTable | None) -> None:
        self._table = table
        self.suppressed: dict[int, frozenset[str]] = {}
        self._ins = instructions
        self._known: dict[int, Guards] = {}
        self._steps = 0

    def guards(self, target: int, protected: int) -> Guards:
        """Return what a handler lets pass; `protected` is the first instruction that it protects."""
        if target not in self._known:
            names = self._ins.names
            index = target + (names[target] == "PUSH_EXC_INFO")
            if index < len(names) and names[index] in _WITH:
                near = range(protected, max(-1, protected - _NEAR), -1)
                caught = next((self.suppressed[each] for each in near if each in self.suppressed), frozenset())
                self._known[target] = clauses_guard([(caught, False)])
            else:
                self._known[target] = clauses_guard(self._clauses(index))
        return self._known[target]

    def clauses_for_imports(self, target: int) -> Iterator[range]:
        """Yield the instructions of each clause of a handler that names exceptions of imports only."""
        index = target + (self._ins.names[target] == "PUSH_EXC_INFO")
        for _ in range(_MOST_CLAUSES):
            found, jump = self._matched(index)
            if jump == NO_TARGET:
                return
            index = self._ins.targets[jump]
            if found and found <= FOR_IMPORTS:
                yield range(jump + 1, index)

    def _clauses(self, index: int) -> Iterator[tuple[set[str], bool]]:
        """Yield the exceptions of each `except` clause, and whether it surely leaves."""
        for _ in range(_MOST_CLAUSES):
            if not NO_TARGET < index < len(self._ins.names) or self._steps > _MOST_STEPS:
                return
            if self._ins.names[index] == "POP_TOP":
                yield {"BaseException"}, self._leaves(index)
                return
            found, jump = self._matched(index)
            if jump == NO_TARGET:
                return
            yield found, self._leaves(jump + 1)
            index = self._ins.targets[jump]

    def _matched(self, index: int) -> tuple[set[str], int]:
        """Return the exceptions that a clause names, and the jump to the next clause; NO_TARGET if it is none."""
        names: list[str] = []
        for place in range(index, min(index + _LONGEST_TYPE, len(self._ins.names) - 1)):
            operation = self._ins.names[place]
            self._steps += 1
            if operation in _LOADS:
                names.append(self._name(place))
            elif operation in _ATTRIBUTES and names:
                names[-1] = self._name(place)
            elif operation == "JUMP_IF_NOT_EXC_MATCH":
                return set(names), place
            elif self._is_match(place):
                jumps = (each for each in range(place + 1, min(place + 4, len(self._ins.names))))
                return set(names), next((each for each in jumps if self._ins.targets[each] >= 0), NO_TARGET)
            elif operation not in _BESIDE_TYPES:
                break
        return set(), NO_TARGET

    def _is_match(self, index: int) -> bool:
        operation = self._ins.names[index]
        old = operation == "COMPARE_OP" and self._ins.arguments[index] == _EXCEPTION_MATCH
        return operation in ("CHECK_EXC_MATCH", "CHECK_EG_MATCH") or old

    def _name(self, index: int) -> str:
        operation, number, version = self._ins.names[index], self._ins.arguments[index], self._ins.code.version
        shifted = (3, 11) if operation == "LOAD_GLOBAL" else (3, 12)
        if operation in ("LOAD_GLOBAL", "LOAD_ATTR") and version >= shifted:
            number >>= 1
        names = self._ins.code.names
        return names[number] if number < len(names) else ""

    def _leaves(self, index: int) -> bool:
        """Return True if a handler surely ends in `raise` or ends the program: it never pops its exception."""
        names, targets = self._ins.names, self._ins.targets
        todo, seen = [(index, 0)], set[int]()  # with how many `try` blocks are around, up to Python 3.10
        while todo:
            place, depth = todo.pop()
            while NO_TARGET < place < len(names) and place not in seen:
                seen.add(place)
                self._steps += 1
                if names[place] == "POP_EXCEPT" or self._steps > _MOST_STEPS:
                    return False
                if names[place] in _ENDS or self._ends_program(place):
                    if depth > 0 or self._is_caught(place):
                        return False
                    break
                depth += self._opens(place)
                if targets[place] != NO_TARGET and names[place] not in _SETUPS:
                    todo.append((targets[place], depth))
                    if names[place] in _ALWAYS:
                        break
                place += 1
        return True

    def _opens(self, index: int) -> int:
        """Return 1 for what opens a `try` block up to Python 3.10, -1 for what closes one, else 0.

        `except ... as name` has a block of its own, which only forgets the name.
        """
        name, target = self._ins.names[index], self._ins.targets[index]
        if name == "POP_BLOCK":
            return -1
        return int(name in _SETUPS and self._ins.names[target] not in ("LOAD_CONST", "BEGIN_FINALLY"))

    def _is_caught(self, index: int) -> bool:
        """Return True if exceptions of an instruction in a handler have a handler there, since Python 3.11."""
        target = self._table.handler(index) if self._table is not None else NO_TARGET
        return target != NO_TARGET and self._ins.names[target] == "PUSH_EXC_INFO"

    def _ends_program(self, index: int) -> bool:
        names = self._ins.names
        if index == 0 or names[index] not in _ATTRIBUTES or names[index - 1] not in _LOADS:
            return False
        return (self._name(index - 1), self._name(index)) in (("sys", "exit"), ("os", "_exit"), ("os", "abort"))
