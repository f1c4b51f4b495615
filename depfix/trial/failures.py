"""Why a program could not be started or watched at all."""

from __future__ import annotations

from depfix.errors import DepfixError, InputError
from depfix.wording.message import phrase


class CannotRunError(DepfixError):
    """Windows programs cannot be run here; `cure` says what to install."""

    def __init__(self, reason: str, cure: str = "") -> None:
        super().__init__(reason, cure)
        self.reason, self.cure = reason, cure

    def __str__(self) -> str:
        return phrase("the program could not be run: {reason}", reason=self.reason)

    @property
    def hint(self) -> str:
        return self.cure


class UnknownProgramError(InputError):
    """`--exe` names no program of the dist."""

    def __init__(self, name: str, programs: tuple[str, ...]) -> None:
        super().__init__(name, programs)
        self.name, self.programs = name, programs

    def __str__(self) -> str:
        return phrase("there is no program {name} in the folder", name=self.name)

    @property
    def hint(self) -> str:
        return phrase("there is {programs}", programs=", ".join(self.programs))


class TraceNotReadError(InputError):
    """A file given with --trace is no trace that is known."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(path, reason)
        self.path, self.reason = path, reason

    def __str__(self) -> str:
        return phrase("cannot read the trace {path}: {reason}", path=self.path, reason=self.reason)

    @property
    def hint(self) -> str:
        return phrase(
            "known are Wine's log (WINEDEBUG=+loaddll,err+module), dlltracer's output, and CSV of Process Monitor"
        )


class UnfitChoiceError(InputError):
    """A folder, or what was chosen for a run, cannot be used; `advice` says what to do."""

    def __init__(self, choice: str, reason: str, advice: str = "") -> None:
        super().__init__(choice, reason, advice)
        self.choice, self.reason, self.advice = choice, reason, advice

    def __str__(self) -> str:
        return phrase("{choice}: {reason}", choice=self.choice, reason=self.reason)

    @property
    def hint(self) -> str:
        return self.advice
