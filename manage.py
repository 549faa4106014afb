#!/usr/bin/env python
"""Django's command line. `manage.py help` lists the commands."""

import os
import sys

from django.core.management import execute_from_command_line

from signup.version import VERSION

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "signup.settings")
    if sys.argv[1:] in (["--version"], ["version"]):
        sys.stdout.write(f"{VERSION}\n")  # Django would print its own.
    else:
        execute_from_command_line(sys.argv)
