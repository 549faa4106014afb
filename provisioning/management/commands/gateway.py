"""`manage.py gateway`: show or resume the gateway to Constant Contact."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import Error

from provisioning import gateway
from provisioning.database import describe, limit_statements

TIME = "%Y-%m-%d %H:%M:%S UTC"


class Command(BaseCommand):
    help = "Show the status of the gateway to Constant Contact, or resume it once the cause of a stop is fixed."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("do", nargs="?", choices=["resume"], help="resume sending after a stop or a pause")

    def handle(self, *, do: str | None, **options: Any) -> None:
        limit_statements()
        try:
            if do == "resume":
                gateway.resume()
            self.show()
        except Error as error:
            raise CommandError(describe(error)) from None

    def show(self) -> None:
        pause, row = gateway.current_pause(), gateway.state()
        if pause is None:
            self.stdout.write("Running: calls are being made.")
        elif pause.until:
            self.stdout.write(f"Paused until {pause.until:{TIME}}: {pause.reason}")
        else:
            self.stdout.write(f"Stopped since {row.stopped_at:{TIME}}: {pause.reason}")
            self.stdout.write("Once the cause is fixed, run: manage.py gateway resume")
        self.stdout.write(f"Calls today: {gateway.calls_today()} of {settings.CONSTANT_CONTACT_DAILY_QUOTA}")
        self.stdout.write(f"Rate: {settings.CONSTANT_CONTACT_RATE:g} per second")
