"""
Where the command C{comet} begins; also as C{python -m comet.command.entry}.
"""

from __future__ import annotations

import sys

from comet.command.codes import FAILED


def main() -> int:
    """
    Run the command that the words of this process name.

    @return: The exit code.
    """
    try:
        import click  # noqa: F401
    except ImportError:
        print(
            "comet: the command needs a package that is not installed: "
            "pip install 'comet-push[cli]'",
            file=sys.stderr,
        )
        return FAILED
    from comet.command.program import run

    return run()


if __name__ == "__main__":
    sys.exit(main())
