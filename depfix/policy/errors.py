"""What can be wrong with a policy file, a baseline, and the folder that reports are to go to."""

from __future__ import annotations

from depfix.errors import InputError


class PolicyError(InputError):
    """A policy file cannot be followed; `problems` are all that is wrong with it, as (line, words), line 0 unknown."""

    def __init__(self, path: str, problems: tuple[tuple[int, str], ...]) -> None:
        super().__init__(path, problems)
        self.path, self.problems = path, problems

    def __str__(self) -> str:
        rows = [f"line {line}: {words}" if line else words for line, words in self.problems]
        if len(rows) == 1:
            return f"{self.path}: {rows[0]}"
        return f"{self.path} has {len(rows)} problems\n" + "\n".join(f"  {row}" for row in rows)

    @property
    def hint(self) -> str:
        return "docs/policy.md lists the keys of a policy; `depfix audit --show-policy` prints the one in effect"


class BaselineError(InputError):
    """A baseline cannot be read, or is none."""

    def __init__(self, path: str, reason: str, advice: str = "") -> None:
        super().__init__(path, reason, advice)
        self.path, self.reason, self.advice = path, reason, advice

    def __str__(self) -> str:
        return f"cannot use the baseline {self.path}: {self.reason}"

    @property
    def hint(self) -> str:
        return self.advice or "take an earlier version of it; or remove it, and write it anew with --update-baseline"


class NoDistError(InputError):
    """An audit was asked for, and neither the command line nor the policy names a dist."""

    def __init__(self, policy: str = "") -> None:
        super().__init__(policy)
        self.policy = policy

    def __str__(self) -> str:
        return "no DIST is given" + (f", and {self.policy} has no section that names one" if self.policy else "")

    @property
    def hint(self) -> str:
        return "depfix audit main.dist, or [[dist]] with a path in the policy file"


class OutputInsideDistError(InputError):
    """Reports would be written into the dist that they are of."""

    def __init__(self, folder: str, dist: str) -> None:
        super().__init__(folder, dist)
        self.folder, self.dist = folder, dist

    def __str__(self) -> str:
        return f"the reports would lie in {self.folder}, inside of {self.dist}, and be shipped with it"

    @property
    def hint(self) -> str:
        return "give a folder elsewhere: --output-dir FOLDER"
