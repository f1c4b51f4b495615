"""The command line: the commands that depfix has, and what becomes of exceptions."""

from __future__ import annotations

import os
import sys
from importlib import import_module

import click

from depfix.cli.exits import CLEAN, INTERRUPTED, USAGE
from depfix.cli.language import choose_language, with_language, without_language
from depfix.cli.terminal import hint, tell
from depfix.cli.version import print_version
from depfix.errors import DepfixError
from depfix.wording.speech import said, say

_LIKE_WORDS = ("-?", "-V")  # options of other tools
_COMMANDS = {
    "scan": "depfix.cli.scan:scan",
    "repair": "depfix.cli.repair:repair",
    "audit": "depfix.cli.audit:audit",
    "undo": "depfix.cli.undo:undo",
    "verify": "depfix.cli.verify:verify",
    "diagnose": "depfix.cli.diagnose:diagnose",
    "diff": "depfix.cli.diff:diff",
    "why": "depfix.cli.why:why",
    "tree": "depfix.cli.tree:tree",
    "envs": "depfix.cli.envs:envs",
    "cache": "depfix.cli.cache:cache",
    "explain": "depfix.cli.explain:explain",
    "doctor": "depfix.cli.doctor:doctor",
    "nuitka-plugin": "depfix.cli.plugin:nuitka_plugin",
    "completion": "depfix.cli.completion:completion",
}


class LateGroup(click.Group):
    """Imports a command when it is asked for, so that each starts as quickly as it can alone."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Take the words of a command line; if the first is no command, perhaps in another order."""
        args = without_language(args)
        is_word = bool(args) and (not args[0].startswith("-") or args[0] in _LIKE_WORDS)
        if is_word and args[0] not in _COMMANDS and not ctx.resilient_parsing:
            from depfix.cli.understanding import understood

            args = understood(args, self.list_commands(ctx))
        return super().parse_args(ctx, args)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands."""
        return sorted({*_COMMANDS, *super().list_commands(ctx)})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command, None if there is none of this name; then all are there, for click to name a near one."""
        for name in (cmd_name,) if cmd_name in _COMMANDS else _COMMANDS:
            if name not in self.commands:
                module, _, attribute = _COMMANDS[name].partition(":")
                self.add_command(with_language(getattr(import_module(module), attribute)))
        return super().get_command(ctx, cmd_name)


@click.group(
    cls=LateGroup,
    invoke_without_command=True,
    subcommand_metavar="COMMAND [ARGS]...",
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.option(
    "--version",
    is_flag=True,
    expose_value=False,
    is_eager=True,
    callback=print_version,
    help="Show the version, those of the tables of facts, and the extensions.",
)
@click.pass_context
def cli(context: click.Context) -> None:
    """Find and repair what a frozen Python program for Windows lacks.

    \b
    depfix scan main.dist                        what is missing or wrong, and why
    depfix repair main.dist --env conda:NAME     copy it in, all of it or nothing
    depfix audit main.dist                       judge it before a release, every report in one run
    depfix undo main.dist                        put the folder back as it was
    depfix verify main.dist                      start it as on a clean machine
    depfix diagnose error.txt                    what a customer's error text means

    Exit codes: 0 clean, 1 findings, 2 wrong usage or input, 3 depfix could not do its work, 4 a repair was rolled back.
    """
    if context.invoked_subcommand is None:
        from depfix.cli.welcome import welcome

        welcome(context)


def main() -> None:
    """Run the command line; turn depfix's exceptions into messages, hints and exit codes."""
    choose_language()
    if "_DEPFIX_COMPLETE" in os.environ:
        from depfix.cli.shells import register

        register()
    try:
        with_language(cli).main(prog_name="depfix", standalone_mode=False)
    except click.exceptions.Abort:
        tell(" " + say("interrupted; nothing was left half done"), "stopped:", "yellow")
        sys.exit(INTERRUPTED)
    except KeyboardInterrupt:
        tell(" " + say("interrupted; nothing was left half done"), "stopped:", "yellow")
        sys.exit(INTERRUPTED)
    except click.ClickException as error:
        from depfix.cli.understanding import usage_hint

        error.show()
        usage_hint(error)
        sys.exit(USAGE)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(CLEAN)
    except DepfixError as error:
        tell(f" {said(error)}", "error:", "red")
        hint(error.hint)
        sys.exit(error.exit_code)
    except Exception as error:
        if os.environ.get("DEPFIX_DEBUG"):
            raise
        tell(" " + say("depfix failed: {type}: {error}", type=type(error).__name__, error=error), "error:", "red")
        hint(say("this is a defect of depfix; with DEPFIX_DEBUG=1 in the environment it shows where"))
        sys.exit(DepfixError.exit_code)
