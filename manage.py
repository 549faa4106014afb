#!/usr/bin/env python
"""Django's command line. `manage.py help` lists the commands."""

import os
import signal
import sys

from django.core.management import execute_from_command_line

from signup.version import VERSION


def run() -> None:
    try:
        if sys.argv[1:] in (["--version"], ["version"]):
            sys.stdout.write(f"{VERSION}\n")  # Django would print its own.
        else:
            execute_from_command_line(sys.argv)
    finally:
        sys.stdout.flush()


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "signup.settings")
    try:
        run()
    except BrokenPipeError:
        # Nobody reads the rest, as in `manage.py doctor | head`. End like other Unix programs: without a word.
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        signal.raise_signal(signal.SIGPIPE)
