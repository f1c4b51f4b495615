"""What a log says: the errors that the table knows, each with its number, its frames and its place.

All of it is one pass over the text: a literal of each failure is looked for, and its pattern is tried around that place
alone, so that the time grows with the text and never faster.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass

from depfix.knowledge.failures import BY_NUMBER, Failure, code_of, code_texts, failures
from depfix.model.finding import Confidence
from depfix.wording.message import phrase

_MOST_HITS = 200  # of one failure, from each end of the text
_BEFORE, _AFTER, _LINES_AFTER = 500, 1500, 3
_MOST_FRAME_LINES = 200
_NUMBER_WITHIN = 500
_SHOWN = 300
_MOST_IN_LINE = 20
_NEAR = 3
_BESIDE = 40  # lines between a text that hides its cause, and the cause
_ESCAPED = "Traceback (most recent call last):\\n"
_TRACEBACK = "Traceback (most recent call last)"
_LINKS = ("During handling of the above exception", "was the direct cause of the following exception")
_FRAME = re.compile(
    r'File ["\u201c]?(?P<path>[^"\u201c\u201d\n]{1,400})["\u201d]?, line (?P<line>\d{1,7})'
    r"(?:, in (?P<function>[^\n]{1,200}))?"
)
_NUMBERS = re.compile(
    r"WinError (?P<winerror>-?\d{1,10})"
    r"|(?<![\w.])(?:error|errno|code|错误代码|错误|錯誤|fehler|fehlercode|erreur|errore|erro|código|codigo|ошибка|エラー|오류)"
    r"[ :#=]{0,3}\(?(?P<named>-?(?:0x[0-9a-f]{1,8}|\d{1,10}))\b"
    r"|(?<![\w.])(?P<status>0x[0-9a-f]{6,8}|-1\d{9}|3\d{9})\b",
    re.IGNORECASE,
)
_STATUS = re.compile(
    r"(?<![\w.-])(?P<code>0x[ce][0-9a-f]{6,7}|-1\d{9}|3[2-9]\d{8}|(?-i:c0000[01]\w\w))(?![\w.])", re.IGNORECASE
)
_ALONE = re.compile(
    r"[\W_]*(?:(?:process )?(?:exit(?:ed)?|return|error|status)[ a-z]{0,20})?[ :=#]*"
    r"(?P<code>-?(?:0x)?[0-9a-f]{3,10})\W*",
    re.IGNORECASE,
)
_IN_THE_TABLE = phrase("the numbers themselves, see the codes of this table")
NUMBER = Failure("number", (), "", BY_NUMBER, Confidence.POSSIBLE, "", "", _IN_THE_TABLE, generic=True)


@dataclass(frozen=True, slots=True)
class Frame:
    """One line of a traceback: the file as the text spells it, and the source line below it if that is shown."""

    path: str
    function: str
    source: str


@dataclass(frozen=True, slots=True)
class Hit:
    """One error that a text tells of.

    `groups` are those of the failure's pattern, `code` the number of Windows that stands with it, `traceback` counts
    the tracebacks up to it, `chain` numbers those that Python linked to one.
    """

    failure: Failure
    start: int
    line: int
    evidence: str
    groups: dict[str, str]
    code: str
    frames: tuple[Frame, ...]
    traceback: int
    chain: int


def hits_of(text: str) -> tuple[Hit, ...]:
    """Return the errors that a text tells of, in its order; what hides its cause only if nothing else is there."""
    if _ESCAPED in text:  # a traceback inside a string of JSON or of Python
        text = text.replace("\\r\\n", "\n").replace("\\n", "\n").replace('\\"', '"')
    page = _Page(text)
    by_line: dict[int, list[Hit]] = {}
    for pattern, failure in failures():
        for match in page.matches(pattern, failure):
            row = by_line.setdefault(page.line_of(match.start()), [])
            if all(abs(hit.start - match.start()) >= _SHOWN for hit in row[:_MOST_IN_LINE]):
                row.append(page.hit(failure, match))
    found = [*(hit for row in by_line.values() for hit in row), *page.numbers()]
    found.sort(key=lambda hit: hit.start)
    if len(found) > 2 * _MOST_HITS:
        found = found[:_MOST_HITS] + found[-_MOST_HITS:]
    return tuple(_standing(found))


def _standing(found: list[Hit]) -> Iterator[Hit]:
    """Yield the hits that stand for themselves."""
    telling = [hit for hit in found if not hit.failure.generic]
    causes = [hit for hit in telling if not hit.failure.masks]
    for hit in found:
        if hit.failure.generic and any(abs(hit.line - one.line) <= _NEAR for one in telling):
            continue
        if hit.failure.masks and any(_goes_with(hit, one) for one in (*causes, *_generic_but(found, hit))):
            continue
        yield hit


def _generic_but(found: list[Hit], masked: Hit) -> Iterator[Hit]:
    return (hit for hit in found if hit.failure.generic and hit is not masked and abs(hit.line - masked.line) > _NEAR)


def _goes_with(masked: Hit, hit: Hit) -> bool:
    return hit.chain == masked.chain > 0 or abs(hit.line - masked.line) <= _BESIDE


class _Page:
    """A text with its lines, and where its tracebacks begin."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.lowered = _lowered(text)
        self._starts = [0, *(match.end() for match in re.finditer("\n", text))]
        self._tracebacks = [match.start() for match in re.finditer(re.escape(_TRACEBACK), text)]
        self._chains = self._chain_numbers()

    def line_of(self, offset: int) -> int:
        """Return the number of a line, from 1."""
        return bisect_right(self._starts, offset)

    def _begin(self, line: int) -> int:
        return self._starts[min(line, len(self._starts)) - 1]

    def _end(self, line: int) -> int:
        return self._starts[line] - 1 if line < len(self._starts) else len(self.text)

    def _chain_numbers(self) -> list[int]:
        """Return for what precedes all tracebacks, and for each of these, the number of its chain, from 1."""
        found: list[int] = []
        links = sorted(match.start() for link in _LINKS for match in re.finditer(re.escape(link), self.text))
        for index, start in enumerate(self._tracebacks):
            before = self._tracebacks[index - 1] if index else start
            linked = bisect_right(links, start) > bisect_right(links, before)
            found.append(found[-1] + (not linked) if found else 1)
        first = self._tracebacks[0] if self._tracebacks else len(self.text)
        return [int(bool(links) and links[0] < first), *found]  # its first traceback may have lost its head

    def matches(self, pattern: re.Pattern[str], failure: Failure) -> Iterator[re.Match[str]]:
        """Yield each match of a failure's pattern."""
        seen = set()
        for literal in failure.has:
            for offset in _places(self.lowered, literal):
                line = self.line_of(offset)
                begin = max(self._begin(line), offset - _BEFORE)
                match = pattern.search(self.text, begin, min(self._end(line + _LINES_AFTER), offset + _AFTER))
                if match is not None and match.start() not in seen:
                    seen.add(match.start())
                    yield match

    def numbers(self) -> Iterator[Hit]:
        """Yield the exit codes and the texts of Windows that stand anywhere."""
        alone = _ALONE.fullmatch(self.text[: _SHOWN * 2]) if len(self.text) < _SHOWN else None
        if alone is not None and code_of(alone["code"]):
            yield self.hit(NUMBER, alone)
            return
        for number, match in enumerate(_STATUS.finditer(self.text)):
            if number >= _MOST_HITS:
                break
            if code_of(match["code"]):
                yield self.hit(NUMBER, match)
        for row in (row for row in code_texts() if not row.beside):
            offset = self.lowered.rfind(row.text)
            said = re.compile(re.escape(row.text)).match(self.lowered, offset) if offset >= 0 else None
            if said is not None:
                yield self.hit(NUMBER, said, row.code)

    def hit(self, failure: Failure, match: re.Match[str], code: str = "") -> Hit:
        """Return a hit with everything that stands around it."""
        start = match.start()
        line = self.line_of(start)
        groups = {name: value for name, value in match.groupdict().items() if value}
        index = bisect_right(self._tracebacks, start)
        evidence = self.text[max(self._begin(line), start - _SHOWN) : min(self._end(line), start + _SHOWN)].strip()
        told = code or code_of(groups.get("code", "")) or self._code_at(match)
        chain = self._chains[index]
        return Hit(failure, start, line, evidence, groups, told, tuple(self._frames(line, index)), index, chain)

    def _code_at(self, match: re.Match[str]) -> str:
        """Return the number of Windows that stands in or behind a match, by itself or as a text of some language."""
        begin = max(self._begin(self.line_of(match.start())), match.start() - _SHOWN)
        end = min(self._end(self.line_of(match.end()) + _LINES_AFTER), match.end() + _NUMBER_WITHIN)
        for number in _NUMBERS.finditer(self.text, begin, end):
            code = code_of(number["winerror"] or number["named"] or number["status"])
            if code:
                return code
        behind = self.lowered[begin:end]
        places = [(behind.find(row.text), row.code) for row in code_texts() if row.text in behind]
        return min(places)[1] if places else ""

    def _frames(self, line: int, index: int) -> Iterator[Frame]:
        """Yield the frames of the traceback that ends with an error, outermost first."""
        head = self._tracebacks[index - 1] if index else 0
        begin = max(head, self._begin(max(1, line - _MOST_FRAME_LINES)))
        for match in _FRAME.finditer(self.text, begin, self._begin(line)):
            below = self.line_of(match.start()) + 1
            source = self.text[self._begin(below) : min(self._end(below), self._begin(below) + _SHOWN)]
            yield Frame(match["path"], match["function"] or "", source.strip() if below < line else "")


def _places(text: str, literal: str) -> list[int]:
    """Return where a literal stands, of many the first and the last."""
    found: list[int] = []
    offset = text.find(literal)
    while offset >= 0 and len(found) < _MOST_HITS:
        found.append(offset)
        offset = text.find(literal, offset + 1)
    if offset < 0:
        return found
    first, end = found[-1], len(text)
    last: list[int] = []
    while len(last) < _MOST_HITS:
        offset = text.rfind(literal, first + 1, end)
        if offset < 0:
            break
        last.append(offset)
        end = offset + len(literal) - 1
    return found + last[::-1]


def _lowered(text: str) -> str:
    """Return a text in lower case, character by character: a few letters become two, and places must not move."""
    lowered = text.lower()
    if len(lowered) == len(text):
        return lowered
    return "".join(char.lower() if len(char.lower()) == 1 else char for char in text)
