"""The checks before a process starts. They write to the log, so that each line has the log's format."""

from __future__ import annotations

import logging
import sys
from io import StringIO

from django.core.management import call_command
from django.core.management.base import CommandError, SystemCheckError

log = logging.getLogger(__name__)

_passed = False
"""Whether this process, or the one that it is a fork of, has passed the checks."""


def check(*, deploy: bool = False) -> None:
    """Run the system checks and check the sealing keys, once. If anything is wrong, end the process with status 1."""
    global _passed
    if _passed:
        return
    said, warned = StringIO(), StringIO()
    try:
        call_command("check", deploy=deploy, stdout=said, stderr=warned, no_color=True)
        call_command("check_keys", verbosity=0)
    except (SystemCheckError, CommandError) as error:
        log.critical("%s", error)
        sys.exit(1)
    if warned.getvalue():
        log.warning("%s", warned.getvalue().strip())
    else:
        log.info("%s", said.getvalue().strip())
    _passed = True
