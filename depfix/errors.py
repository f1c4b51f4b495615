"""Exceptions: depfix itself could not work. A defect of the dist is a `Finding`, never an exception.

Every exception keeps its facts as fields, builds its text in `__str__`, and survives pickling, because it may cross a
process border. `exit_code` is what the command line ends with (docs/usage.md), `hint` what the user can do next.
"""

from __future__ import annotations

from depfix.wording.message import phrase


class DepfixError(Exception):
    """Base of all exceptions of depfix. Its arguments are its fields, in order."""

    exit_code = 3

    @property
    def hint(self) -> str:
        """One sentence that says what to do next, or an empty string."""
        return ""


class InputError(DepfixError):
    """The user named something that cannot be worked with."""

    exit_code = 2


class DistNotFoundError(InputError):
    """There is nothing at the path of the dist."""

    def __init__(self, path: str, near: str = "") -> None:
        super().__init__(path, near)
        self.path, self.near = path, near

    def __str__(self) -> str:
        return phrase("no such folder: {path}", path=self.path)

    @property
    def hint(self) -> str:
        return (
            phrase("did you mean {near}?", near=self.near)
            if self.near
            else phrase("give the folder that the freezer wrote, such as main.dist")
        )


class NotAFolderError(InputError):
    """The path of the dist is a file."""

    def __init__(self, path: str, parent: str) -> None:
        super().__init__(path, parent)
        self.path, self.parent = path, parent

    def __str__(self) -> str:
        return phrase("{path} is a file, not a folder", path=self.path)

    @property
    def hint(self) -> str:
        return phrase("depfix looks at whole folders; the one around this file is {parent}", parent=self.parent)


class UnreadableFolderError(InputError):
    """The dist cannot be listed."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(path, reason)
        self.path, self.reason = path, reason

    def __str__(self) -> str:
        return phrase("cannot read the folder {path}: {reason}", path=self.path, reason=self.reason)

    @property
    def hint(self) -> str:
        return phrase("check its permissions, or run as the user that built it")


class NoProgramError(InputError):
    """The folder holds no Windows program to start from."""

    def __init__(self, path: str, problems: tuple[str, ...], candidates: tuple[str, ...]) -> None:
        super().__init__(path, problems, candidates)
        self.path, self.problems, self.candidates = path, problems, candidates

    def __str__(self) -> str:
        detail = f" ({'; '.join(self.problems)})" if self.problems else ""
        return phrase("no Windows program (.exe) in {path}{detail}", path=self.path, detail=detail)

    @property
    def hint(self) -> str:
        if self.candidates:
            return phrase("a program is in {candidate}: scan that folder", candidate=self.candidates[0])
        return phrase("give the folder that holds the program's .exe, such as main.dist")


class EntryNotFoundError(InputError):
    """A file given with --entry cannot be read."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(path, reason)
        self.path, self.reason = path, reason

    def __str__(self) -> str:
        return phrase("cannot read the entry {path}: {reason}", path=self.path, reason=self.reason)

    @property
    def hint(self) -> str:
        return phrase("--entry takes the program's own Python script, the one that was frozen")


class ProjectNotFoundError(InputError):
    """A folder given with --project-dir cannot be read."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(path, reason)
        self.path, self.reason = path, reason

    def __str__(self) -> str:
        return phrase("cannot read the project {path}: {reason}", path=self.path, reason=self.reason)

    @property
    def hint(self) -> str:
        return phrase("--project-dir takes the folder that the program is started from while it is written")


class LogNotReadError(InputError):
    """A log given to `depfix diagnose` cannot be read, or is no text."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(path, reason)
        self.path, self.reason = path, reason

    def __str__(self) -> str:
        return phrase("cannot read {path}: {reason}", path=self.path, reason=self.reason)

    @property
    def hint(self) -> str:
        return phrase(
            "give the error text: a log file, `-` and the text on standard input, or the message itself in quotes"
        )


class ReportNotReadError(InputError):
    """A file given with --report is no compilation report that can be read."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(path, reason)
        self.path, self.reason = path, reason

    def __str__(self) -> str:
        return phrase("cannot read the compilation report {path}: {reason}", path=self.path, reason=self.reason)

    @property
    def hint(self) -> str:
        return phrase("Nuitka writes one with --report=FILE; without it the program itself is read")


class UnknownEnvironmentError(InputError):
    """An environment specification names nothing on this machine."""

    def __init__(self, spec: str, reason: str, near: str = "", known: tuple[str, ...] = ()) -> None:
        super().__init__(spec, reason, near, known)
        self.spec, self.reason, self.near, self.known = spec, reason, near, known

    def __str__(self) -> str:
        return phrase("environment {spec}: {reason}", spec=self.spec, reason=self.reason)

    @property
    def hint(self) -> str:
        if self.near:
            return phrase("did you mean {near}?", near=self.near)
        if self.known:
            return phrase("found here: {known}", known=", ".join(self.known))
        kinds = phrase(
            "conda:NAME, conda:FOLDER, venv:FOLDER, python:FOLDER, wheels:FOLDER, or dir:FOLDER with the DLLs"
        )
        return phrase("give {kinds}; `depfix envs` lists what is found here", kinds=kinds)


class WrongEnvironmentError(InputError):
    """The environment exists, but Windows files cannot come from it."""

    def __init__(self, spec: str, reason: str, advice: str = "") -> None:
        super().__init__(spec, reason, advice)
        self.spec, self.reason, self.advice = spec, reason, advice

    def __str__(self) -> str:
        return phrase("environment {spec}: {reason}", spec=self.spec, reason=self.reason)

    @property
    def hint(self) -> str:
        return self.advice or phrase(
            "depfix needs the Windows environment that the program was built from, or a copy of it"
        )


class NoEnvironmentError(InputError):
    """A repair needs files from an environment, and none was given or found."""

    def __init__(self, wanted: tuple[str, ...], known: tuple[str, ...]) -> None:
        super().__init__(wanted, known)
        self.wanted, self.known = wanted, known

    def __str__(self) -> str:
        return phrase("no environment to take {wanted} from", wanted=", ".join(self.wanted))

    @property
    def hint(self) -> str:
        if self.known:
            first, others = self.known[0], ", ".join(self.known[1:])
            if others:
                return phrase("add --env {known} (or: {others})", known=first, others=others)
            return phrase("add --env {known}", known=first)
        return phrase("add --env conda:NAME (or conda:FOLDER, venv:FOLDER, python:FOLDER, wheels:FOLDER, dir:FOLDER)")


class UnknownRuleError(InputError):
    """A rule code or name does not exist."""

    def __init__(self, rule: str, near: str = "") -> None:
        super().__init__(rule, near)
        self.rule, self.near = rule, near

    def __str__(self) -> str:
        return phrase("no such rule: {rule}", rule=self.rule)

    @property
    def hint(self) -> str:
        return (
            phrase("did you mean {near}?", near=self.near) if self.near else phrase("`depfix explain` lists the rules")
        )


class UnknownTargetError(InputError):
    """`--target` names no Windows that depfix knows; `why` says what is known."""

    def __init__(self, name: str, near: str, why: str) -> None:
        super().__init__(name, near, why)
        self.name, self.near, self.why = name, near, why

    def __str__(self) -> str:
        return phrase("no such target: {name}; {why}", name=self.name, why=self.why)

    @property
    def hint(self) -> str:
        return phrase("did you mean {near}?", near=self.near) if self.near else ""


class UnknownNameError(InputError):
    """`why` was asked about a name that nothing in the dist bears or needs."""

    def __init__(self, name: str, near: str = "") -> None:
        super().__init__(name, near)
        self.name, self.near = name, near

    def __str__(self) -> str:
        return phrase("nothing in the dist is called {name}, and nothing there needs it", name=self.name)

    @property
    def hint(self) -> str:
        return (
            phrase("did you mean {near}?", near=self.near)
            if self.near
            else phrase("give a DLL (name.dll), a module (pkg.sub) or a path in the dist")
        )


class DataFileError(DepfixError):
    """A data file of depfix is damaged: an invariant does not hold."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(name, reason)
        self.name, self.reason = name, reason

    def __str__(self) -> str:
        return phrase("depfix's own data file {name} is damaged: {reason}", name=self.name, reason=self.reason)

    @property
    def hint(self) -> str:
        return phrase("install depfix again")


class WriteError(DepfixError):
    """A file that the user asked for (-o, --plan) cannot be written."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(path, reason)
        self.path, self.reason = path, reason

    def __str__(self) -> str:
        return phrase("cannot write {path}: {reason}", path=self.path, reason=self.reason)


class ExtensionError(DepfixError):
    """An extension that another distribution brings cannot be used."""

    def __init__(self, name: str, provider: str, reason: str) -> None:
        super().__init__(name, provider, reason)
        self.name, self.provider, self.reason = name, provider, reason

    def __str__(self) -> str:
        return phrase(
            "the extension {name} of {provider} cannot be used: {reason}",
            name=repr(self.name),
            provider=self.provider,
            reason=self.reason,
        )

    @property
    def hint(self) -> str:
        return phrase("mend or uninstall that distribution")


class UnknownFormError(InputError):
    """There is no such format of reports."""

    def __init__(self, name: str, known: tuple[str, ...], near: str = "") -> None:
        super().__init__(name, known, near)
        self.name, self.known, self.near = name, known, near

    def __str__(self) -> str:
        return phrase("no such format: {name}; there are {known}", name=self.name, known=", ".join(self.known))

    @property
    def hint(self) -> str:
        return phrase("did you mean {near}?", near=self.near) if self.near else ""
