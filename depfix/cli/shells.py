"""How depfix speaks with shells about completion, where click's own way does not do."""

from __future__ import annotations

import os

from click.shell_completion import BashComplete, CompletionItem, ShellComplete, add_completion_class, split_arg_string

_BASH = """\
%(complete_func)s() {
    local IFS=$'\\n' type value
    COMPREPLY=()
    while IFS=',' read -r type value; do
        case $type in
            dir) compopt -o dirnames ;;
            file) compopt -o default ;;
            open) compopt -o nospace; COMPREPLY+=("$value") ;;
            plain) COMPREPLY+=("$value") ;;
        esac
    done < <(COMP_LINE="${COMP_LINE:0:COMP_POINT}" COMP_WORDBREAKS="$COMP_WORDBREAKS" \\
        %(complete_var)s=bash_complete "$1" 2>/dev/null)
}
complete -o nosort -F %(complete_func)s %(prog_name)s
"""

_POWERSHELL = """\
Register-ArgumentCompleter -Native -CommandName %(prog_name)s -ScriptBlock {
    param($wordToComplete, $commandAst, $cursorPosition)
    $before = $commandAst.CommandElements | Where-Object { $_.Extent.StartOffset -lt $cursorPosition }
    $constant = [System.Management.Automation.Language.StringConstantExpressionAst]
    $typed = @($before | ForEach-Object { if ($_ -is $constant) { $_.Value } else { $_.Extent.Text } })
    if (-not $wordToComplete) { $typed += '' }
    $env:COMP_WORDS = $typed -join "`n"
    $env:%(complete_var)s = 'powershell_complete'
    try {
        $found = @(& %(prog_name)s 2>$null)
    } finally {
        Remove-Item -Path 'Env:COMP_WORDS', 'Env:%(complete_var)s' -ErrorAction SilentlyContinue
    }
    foreach ($line in $found) {
        $type, $value, $words = $line -split "`t", 3
        if ($type -ne 'plain') {
            $paths = @(Get-ChildItem -Path "$value*" -Directory:($type -eq 'dir') -ErrorAction SilentlyContinue)
            foreach ($path in $paths) {
                $text = $path.Name
                $above = Split-Path -Path "$value*"
                if ($above) { $text = Join-Path $above $text }
                if ($text -match '\\s') { $text = "'" + $text.Replace("'", "''") + "'" }
                [System.Management.Automation.CompletionResult]::new($text, $path.Name, 'ProviderItem', $path.FullName)
            }
        } elseif ($value) {
            $text = $value
            if ($text -match '\\s') { $text = "'" + $text.Replace("'", "''") + "'" }
            if (-not $words) { $words = $value }
            [System.Management.Automation.CompletionResult]::new($text, $value, 'ParameterValue', $words)
        }
    }
}
"""


class BashColonComplete(BashComplete):
    """Bash, for which a colon ends a word: `--env conda:app` comes in three words, and only the last is replaced.

    So the line itself is read, and of each value only what stands behind its last colon so far is offered. Source: GNU
    Bash manual, "Programmable Completion" and COMP_WORDBREAKS
    https://www.gnu.org/software/bash/manual/html_node/Programmable-Completion.html
    """

    source_template = _BASH

    def source(self) -> str:
        """Return the script; whether this machine's bash is new enough is not asked, it may be meant for another."""
        return ShellComplete.source(self)

    def get_completion_args(self) -> tuple[list[str], str]:
        """Return the whole words before the cursor, and the one that was begun."""
        line = os.environ.get("COMP_LINE", "")
        words = split_arg_string(line)[1:]
        return (words, "") if line[-1:].isspace() else (words[:-1], "".join(words[-1:]))

    def format_completion(self, item: CompletionItem) -> str:
        """Return a line for the script."""
        if item.type != "plain":
            return f"{item.type},{item.value}"
        begun = os.environ.get("COMP_LINE", "").rpartition(" ")[2]
        value = str(item.value)
        quoted = "'" in begun or '"' in begun
        if ":" in begun and ":" in os.environ.get("COMP_WORDBREAKS", ":") and not quoted:
            value = value[begun.partition("=")[2].rfind(":") + 1 if begun.startswith("-") else begun.rfind(":") + 1 :]
        return f"{'open' if value.endswith((':', '/')) else 'plain'},{value if quoted else _escaped(value)}"


class PowerShellComplete(ShellComplete):
    """PowerShell 5.1 and newer. click has one since 8.5, which takes the backslashes out of paths.

    Source: Microsoft Learn, "Register-ArgumentCompleter"
    https://learn.microsoft.com/powershell/module/microsoft.powershell.core/register-argumentcompleter
    """

    name = "powershell"
    source_template = _POWERSHELL

    def get_completion_args(self) -> tuple[list[str], str]:
        """Return the whole words before the cursor, and the one that was begun: the script gives one a line."""
        words = os.environ.get("COMP_WORDS", "").split("\n")[1:]
        return words[:-1], "".join(words[-1:])

    def format_completion(self, item: CompletionItem) -> str:
        """Return a line for the script."""
        return "\t".join((item.type, str(item.value), " ".join((item.help or "").split())))


def register() -> None:
    """Tell click of the shells that depfix serves itself."""
    add_completion_class(BashColonComplete, "bash")
    add_completion_class(PowerShellComplete, "powershell")


def _escaped(value: str) -> str:
    """Return a value as it is typed in bash, without quotes."""
    return "".join(f"\\{each}" if each in " \t'\"\\$`!&|;<>()[]{}*?#~" else each for each in value)
