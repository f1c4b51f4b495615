"""`depfix completion`: the script that makes a shell complete what is typed behind `depfix`."""

from __future__ import annotations

import click

from depfix.cli.terminal import print_text

_VARIABLE = "_DEPFIX_COMPLETE"  # as click makes it of the program's name
_SHELLS = ("bash", "zsh", "fish", "powershell")


@click.command()
@click.argument("shell", type=click.Choice(_SHELLS))
def completion(shell: str) -> None:
    """Print the script that makes a shell complete commands, options and their values.

    \b
    bash        eval "$(depfix completion bash)"      in ~/.bashrc (bash 4.4 or newer)
    zsh         eval "$(depfix completion zsh)"       in ~/.zshrc, behind compinit
    fish        depfix completion fish > ~/.config/fish/completions/depfix.fish
    powershell  depfix completion powershell | Out-String | Invoke-Expression     in $PROFILE
    """
    from click.shell_completion import get_completion_class

    from depfix.cli.shells import register

    register()
    made = get_completion_class(shell)
    if made is not None:
        print_text(made(click.get_current_context().find_root().command, {}, "depfix", _VARIABLE).source())
