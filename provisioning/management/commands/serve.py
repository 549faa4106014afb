"""`manage.py serve`: run a whole installation with one command."""

from __future__ import annotations

import logging
import sys
from functools import partial
from typing import Any

from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandParser
from django.core.servers.basehttp import get_internal_wsgi_application
from gunicorn.app import wsgiapp

from provisioning.management.commands import provision
from provisioning.management.processes import run_together

log = logging.getLogger(__name__)


class Command(BaseCommand):
    requires_system_checks = []  # `signup.wsgi` runs them.
    help = (
        "Run the web server and a worker until stopped. If one of them ends, the other is stopped too, so that a"
        " service manager can restart both."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--bind",
            default="127.0.0.1:8000",
            metavar="ADDRESS",
            help="address and port to listen on (default: %(default)s)",
        )

    def handle(self, *, bind: str, **options: Any) -> None:
        get_internal_wsgi_application()  # Loads the site, so that both processes share its memory.
        if not run_together(partial(run_web_server, bind), partial(call_command, provision.Command()), at_once=True):
            log.critical("The web server or the worker ended unexpectedly. See its output above.")
            sys.exit(1)


def run_web_server(bind: str) -> None:
    sys.argv = ["gunicorn", "--bind", bind]
    wsgiapp.run()
