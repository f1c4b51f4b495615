"""The command line: the commands that depfix has, and what becomes of exceptions."""

from __future__ import annotations

import os
import sys

import click

from depfix.cli.audit import audit
from depfix.cli.completion import completion, prepare_completion
from depfix.cli.diagnose import diagnose
from depfix.cli.diff import diff
from depfix.cli.envs import envs
from depfix.cli.exits import CLEAN, INTERRUPTED, USAGE
from depfix.cli.explain import explain
from depfix.cli.plugin import nuitka_plugin
from depfix.cli.repair import repair
from depfix.cli.scan import scan
from depfix.cli.terminal import hint, tell
from depfix.cli.tree import tree
from depfix.cli.undo import undo
from depfix.cli.verify import verify
from depfix.cli.version import print_version
from depfix.cli.why import why
from depfix.errors import DepfixError

_OBJECTS_BETWEEN_COLLECTIONS = 100_000


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option(
    "--version",
    is_flag=True,
    expose_value=False,
    is_eager=True,
    callback=print_version,
    help="Show the version, those of the tables of facts, and the extensions.",
)
def cli() -> None:
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


cli.add_command(scan)
cli.add_command(repair)
cli.add_command(audit)
cli.add_command(undo)
cli.add_command(verify)
cli.add_command(diagnose)
cli.add_command(diff)
cli.add_command(why)
cli.add_command(tree)
cli.add_command(envs)
cli.add_command(explain)
cli.add_command(nuitka_plugin)
cli.add_command(completion)


def main() -> None:
    """Run the command line; turn depfix's exceptions into messages, hints and exit codes."""
    import gc

    gc.set_threshold(_OBJECTS_BETWEEN_COLLECTIONS, 50, 100)  # hardly anything that a scan keeps is garbage
    prepare_completion()
    try:
        cli.main(prog_name="depfix", standalone_mode=False)
    except click.exceptions.Abort:
        tell(" interrupted; nothing was left half done", "stopped:", "yellow")
        sys.exit(INTERRUPTED)
    except KeyboardInterrupt:
        tell(" interrupted; nothing was left half done", "stopped:", "yellow")
        sys.exit(INTERRUPTED)
    except click.ClickException as error:
        error.show()
        sys.exit(USAGE)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(CLEAN)
    except DepfixError as error:
        tell(f" {error}", "error:", "red")
        hint(error.hint)
        sys.exit(error.exit_code)
    except Exception as error:
        if os.environ.get("DEPFIX_DEBUG"):
            raise
        tell(f" depfix failed: {type(error).__name__}: {error}", "error:", "red")
        hint("this is a defect of depfix; with DEPFIX_DEBUG=1 in the environment it shows where")
        sys.exit(DepfixError.exit_code)
