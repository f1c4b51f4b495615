"""What a user can give in the place of a dist that is none, and what to give instead."""

from __future__ import annotations

from depfix.errors import InputError
from depfix.wording.message import phrase


class NotADistError(InputError):
    """The path is no folder of a frozen program: `what` says what it is instead, `advice` what to do."""

    def __init__(self, path: str, what: str, advice: str) -> None:
        super().__init__(path, what, advice)
        self.path, self.what, self.advice = path, what, advice

    def __str__(self) -> str:
        return phrase("{path} is {what}", path=self.path, what=self.what)

    @property
    def hint(self) -> str:
        return self.advice
