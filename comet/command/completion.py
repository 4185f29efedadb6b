"""
C{comet completion}: let a shell complete the words of the command.
"""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from comet.command.console import show

SHELLS = ("bash", "zsh", "fish")

# The name of the command, and the variable by which a shell asks it.
NAME = "comet"
VARIABLE = "_COMET_COMPLETE"


_HELP = """
Print a script with which a shell completes the words of this command. Add to the file with
which the shell begins:

\b
bash (~/.bashrc):  eval "$(comet completion bash)"
zsh (~/.zshrc):    eval "$(comet completion zsh)"
fish (~/.config/fish/config.fish):  comet completion fish | source
"""


@click.command("completion", help=_HELP, short_help="Print what completes these words in a shell.")
@click.argument("shell", type=click.Choice(SHELLS))
@click.pass_context
def completionCommand(context: click.Context, shell: str) -> None:
    """
    Print the script of a shell.
    """
    kind = get_completion_class(shell)
    # Each of these shells has one in click.
    assert kind is not None
    show(kind(context.find_root().command, {}, NAME, VARIABLE).source())
