"""`manage.py serve`: run a whole installation with one command."""

from __future__ import annotations

import logging
import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from provisioning.management.processes import run_together

log = logging.getLogger(__name__)


class Command(BaseCommand):
    requires_system_checks = []  # Both processes run them.
    help = (
        "Run the web server and a worker until stopped. If one of them ends, the other is stopped too, so that a"
        " service manager can restart both."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--bind", default="127.0.0.1:8000", metavar="ADDRESS", help="(default: %(default)s)")

    def handle(self, *, bind: str, **options: Any) -> None:
        web = [sys.executable, "-m", "gunicorn", "--bind", bind]
        worker = [sys.executable, "manage.py", "provision"]
        if not run_together(web, worker, at_once=True):
            log.critical("The web server or the worker ended unexpectedly. See its output above.")
            sys.exit(1)
