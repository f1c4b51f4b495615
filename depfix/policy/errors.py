"""What can be wrong with a policy file, a baseline, and the folder that reports are to go to."""

from __future__ import annotations

from depfix.errors import InputError
from depfix.wording.message import joined, phrase


class PolicyError(InputError):
    """A policy file cannot be followed; `problems` are all that is wrong with it, as (line, words), line 0 unknown."""

    def __init__(self, path: str, problems: tuple[tuple[int, str], ...]) -> None:
        super().__init__(path, problems)
        self.path, self.problems = path, problems

    def __str__(self) -> str:
        rows = [
            phrase("line {line}: {words}", line=line, words=words) if line else words for line, words in self.problems
        ]
        if len(rows) == 1:
            return phrase("{path}: {problem}", path=self.path, problem=rows[0])
        head = phrase("{path} has {number} problems", path=self.path, number=len(rows))
        return joined("\n  ", (head, *rows))

    @property
    def hint(self) -> str:
        return phrase(
            "docs/policy.md lists the keys of a policy; `depfix audit --show-policy` prints the one in effect"
        )


class BaselineError(InputError):
    """A baseline cannot be read, or is none."""

    def __init__(self, path: str, reason: str, advice: str = "") -> None:
        super().__init__(path, reason, advice)
        self.path, self.reason, self.advice = path, reason, advice

    def __str__(self) -> str:
        return phrase("cannot use the baseline {path}: {reason}", path=self.path, reason=self.reason)

    @property
    def hint(self) -> str:
        return self.advice or phrase(
            "take an earlier version of it; or remove it, and write it anew with --update-baseline"
        )


class NoDistError(InputError):
    """An audit was asked for, and neither the command line nor the policy names a dist."""

    def __init__(self, policy: str = "") -> None:
        super().__init__(policy)
        self.policy = policy

    def __str__(self) -> str:
        if self.policy:
            return phrase("no DIST is given, and {policy} has no section that names one", policy=self.policy)
        return phrase("no DIST is given")

    @property
    def hint(self) -> str:
        return phrase("depfix audit main.dist, or [[dist]] with a path in the policy file")


class OutputInsideDistError(InputError):
    """Reports would be written into the dist that they are of."""

    def __init__(self, folder: str, dist: str) -> None:
        super().__init__(folder, dist)
        self.folder, self.dist = folder, dist

    def __str__(self) -> str:
        return phrase(
            "the reports would lie in {folder}, inside of {dist}, and be shipped with it",
            folder=self.folder,
            dist=self.dist,
        )

    @property
    def hint(self) -> str:
        return phrase("give a folder elsewhere: --output-dir FOLDER")
