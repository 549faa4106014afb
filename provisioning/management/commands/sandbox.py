"""`manage.py sandbox`: run the sandbox, to try the page before you have credentials."""

from __future__ import annotations

import argparse
import signal
import threading
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from provisioning.sandbox import FAULTS, Provider, Server


class Command(BaseCommand):
    help = "Run a sandbox of Constant Contact's partner API on this machine, with this installation's credentials."
    requires_system_checks = []  # It needs only the credentials; the site may not be set up yet.

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        faults = "\n".join(f"  {name:13} {fault.description}" for name, fault in FAULTS.items())
        kwargs |= {
            "formatter_class": argparse.RawDescriptionHelpFormatter,
            "epilog": "A username that begins with one of these words and a dot, like reset-after.anna,\n"
            f"triggers the fault the first time it is sent:\n{faults}",
        }
        return super().create_parser(prog_name, subcommand, **kwargs)

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--port", type=int, default=8008, help="port to listen on; 0 picks a free one (default: %(default)s)"
        )
        parser.add_argument(
            "--latency", type=float, default=0, metavar="SECONDS", help="delay before every answer (default: none)"
        )
        parser.add_argument("--rate", type=int, metavar="CALLS", help="calls per second (default: no limit)")
        parser.add_argument("--quota", type=int, metavar="CALLS", help="calls per UTC day (default: no limit)")
        parser.add_argument("--file", type=Path, metavar="PATH", help="keep the accounts in this file across restarts")

    def handle(self, *, port: int, file: Path | None, **options: Any) -> None:
        names = ("CONSTANT_CONTACT_API_KEY", "CONSTANT_CONTACT_USERNAME", "CONSTANT_CONTACT_PASSWORD")
        if missing := [name for name in names if not getattr(settings, name)]:
            raise CommandError(f"Set {', '.join(missing)} first, to any value: the page uses them to log in here.")
        credentials = (getattr(settings, name) for name in names)
        limits = {name: options[name] for name in ("latency", "rate", "quota")}
        try:
            provider = Provider(*credentials, api=settings.CONSTANT_CONTACT_API, **limits, file=file)
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", error)
            raise CommandError(f"Can't keep accounts in {file}: {reason}.") from None
        try:
            server = Server(provider, port)
        except (OSError, OverflowError) as error:
            reason = getattr(error, "strerror", error)
            raise CommandError(f"Can't use port {port}: {reason}. Choose another with --port.") from None
        stop = threading.Event()
        for signum in (signal.SIGTERM, signal.SIGINT):
            signal.signal(signum, lambda *_: stop.set())
        with server:
            self.stdout.write(f"The sandbox is listening on {server.url}")
            self.stdout.flush()
            stop.wait()
