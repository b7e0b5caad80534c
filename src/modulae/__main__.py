"""The command line, thin over the public functions: `python -m modulae demo | train | … | report`."""

from __future__ import annotations

import os
import sys
from typing import NoReturn

from modulae._cli.messages import CommandError, in_options, warnings_in_a_line
from modulae._cli.parser import parse
from modulae._cli.processes import n_processes
from modulae._cli.run import run

INTERRUPTED = 130
"""What a shell reports for Ctrl-C."""


def main(arguments: list[str] | None = None) -> int:
    """Run one command; 0 if it worked, 1 if the input was at fault, 2 if the words were."""
    options = parse(sys.argv[1:] if arguments is None else arguments)
    try:
        with warnings_in_a_line(options):
            run(options)
    except KeyboardInterrupt:
        print("modulae: interrupted", file=sys.stderr)
        return INTERRUPTED
    except (OSError, ImportError, ValueError, LookupError, TypeError, FloatingPointError) as error:
        # a KeyError shows its message in quotes when printed as it is
        message = str(error.args[0] if isinstance(error, KeyError) else error)
        message = message if isinstance(error, CommandError) else in_options(message, options)
        print(f"modulae: error{_where()}: {message}", file=sys.stderr)
        return 1
    return 0


def command() -> NoReturn:
    """Run one command, and end the process with its code."""
    code = main()
    if code:  # HDF5 crashes at the end of a process over a file that it could not finish, so don't let it try
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)


def _where() -> str:
    """Which of several processes speaks."""
    return f" (process {os.environ.get('RANK')} of {n_processes()})" if n_processes() > 1 else ""


if __name__ == "__main__":
    command()
