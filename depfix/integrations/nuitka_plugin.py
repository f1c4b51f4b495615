"""A user plugin for Nuitka: scans, and on request repairs, the dist as soon as it is complete.

    nuitka --standalone --user-plugin="$(depfix nuitka-plugin)" app.py

Nuitka loads this file; depfix runs beside it as a process of its own, so neither sees the other's modules or memory,
and what depfix prints is seen while it works. In onefile mode the dist is looked at before it is packed.

Source: "Nuitka Plugin Interface", the class NuitkaPluginBase and `--user-plugin` https://nuitka.net/doc/ ; the hook
`onStandaloneDistributionFinished(dist_dir)` and `addPluginCommandLineOptions(group)` are alike in 1.9 to 4.3.
"""

from __future__ import annotations

import importlib.util
import os
import shlex
import shutil
import subprocess
import sys
from typing import Any

from nuitka.plugins.PluginBase import NuitkaPluginBase

_LEVELS = ("error", "warning", "never")
_CLEAN, _FINDINGS = 0, 1


class DepfixPlugin(NuitkaPluginBase):  # type: ignore[misc] # Nuitka has no types
    """Runs `depfix scan`, or `depfix repair`, on the finished dist."""

    plugin_name = "depfix"
    plugin_desc = "Find, and on request copy in, what the standalone distribution lacks."

    def __init__(
        self, depfix_fail_on: str, depfix_repair: bool, depfix_env: list[str] | None, depfix_args: list[str] | None
    ) -> None:
        """Take the values of the options, by the names under which they are added. Wrong ones end the build at once."""
        self._fail_on = depfix_fail_on
        self._command = "repair" if depfix_repair else "scan"
        self._environments = depfix_env or [_building_environment()]
        self._program = _program()
        try:
            self._more = [word for text in depfix_args or () for word in _words(text)]
        except ValueError as error:
            self.sysexit(f"--depfix-args: {error}", reporting=False)
        if depfix_fail_on not in _LEVELS:
            words = f"--depfix-fail-on={depfix_fail_on}: it is one of {', '.join(_LEVELS)}"
            self.sysexit(words, reporting=False)
        if not self._program:
            words = f"depfix is not installed for {sys.executable}, nor is it on PATH: pip install depfix"
            self.sysexit(words, reporting=False)

    @classmethod
    def addPluginCommandLineOptions(cls, group: Any) -> None:  # noqa: N802
        """Add the options of this plugin to those of Nuitka."""
        group.add_option(
            "--depfix-fail-on",
            action="store",
            dest="depfix_fail_on",
            default="never",
            help="Fail the build if there are such findings: error, warning or never. Default never.",
        )
        group.add_option(
            "--depfix-repair",
            action="store_true",
            dest="depfix_repair",
            default=False,
            help="Copy in what the distribution lacks, as 'depfix repair' does.",
        )
        group.add_option(
            "--depfix-env",
            action="append",
            dest="depfix_env",
            default=None,
            metavar="SPEC",
            help="Where files are taken from, as '--env' of depfix. Repeatable. Default: the environment that builds.",
        )
        group.add_option(
            "--depfix-args",
            action="append",
            dest="depfix_args",
            default=None,
            metavar="ARGS",
            help="More arguments of depfix, quoted as in a shell. Repeatable.",
        )

    def onStandaloneDistributionFinished(self, dist_dir: str) -> None:  # noqa: N802
        """Look at the finished dist; end the build if that was asked for and it is to fail."""
        if not os.path.isdir(dist_dir):
            return  # older ones call this for the file of a onefile program, too
        if os.name != "nt":
            self.warning("depfix looks at programs for Windows; this one is not looked at")
            return
        environments = [word for spec in self._environments for word in ("--env", spec)]
        options = ["--fail-on", self._fail_on, *(["--yes"] if self._command == "repair" else [])]
        arguments = [self._command, os.path.abspath(dist_dir), *environments, *options, *self._more]
        self.info(f"depfix {subprocess.list2cmdline(arguments)}")
        sys.stdout.flush()
        code = subprocess.call([*self._program, *arguments], stdin=subprocess.DEVNULL)
        self._tell(code)

    def _tell(self, code: int) -> None:
        if code == _CLEAN:
            return
        if code == _FINDINGS:
            words = "the distribution is not complete" if self._command == "scan" else "something is still wrong"
        else:
            words = f"depfix could not do its work (exit code {code})"
        if self._fail_on == "never":
            self.warning(words)
        else:
            self.sysexit(f"{words}, see above; --depfix-fail-on={self._fail_on} ends the build", reporting=False)


def _program() -> list[str]:
    """Return how depfix is started: by the Python that builds, else as what PATH has; empty if neither can."""
    if importlib.util.find_spec("depfix") is not None:
        return [sys.executable, "-m", "depfix"]
    found = shutil.which("depfix")
    return [found] if found else []


def _building_environment() -> str:
    """Return the environment that Nuitka runs in, as `--env` takes it.

    Nuitka runs Python without its module site, so sys.prefix may be that of the Python below a virtual environment.
    """
    scripts = os.path.dirname(sys.executable)
    for folder in (scripts, os.path.dirname(scripts)):
        if os.path.isfile(os.path.join(folder, "pyvenv.cfg")):
            return f"venv:{folder}"
    kind = "conda" if os.path.isdir(os.path.join(sys.prefix, "conda-meta")) else "python"
    return f"{kind}:{sys.prefix}"


def _words(text: str) -> list[str]:
    """Split arguments as a shell does, backslashes left as they are: they stand in paths. Raises ValueError."""
    words = shlex.shlex(text, posix=True, punctuation_chars=False)
    words.whitespace_split = True
    words.escape = words.commenters = ""
    return list(words)
