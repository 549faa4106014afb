"""`manage.py purge`: erase the personal data of old accounts."""

from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from provisioning import services


class Command(BaseCommand):
    help = "Erase the personal data of old accounts. If RETENTION_DAYS is set, workers do this automatically."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--days", type=int, default=settings.RETENTION_DAYS, help="erase accounts older than this many days"
        )

    def handle(self, *, days: int, **options: Any) -> None:
        if days < 1:
            raise CommandError("Give an age with --days, or set RETENTION_DAYS.")
        erased = 0
        while some := services.purge(days):
            erased += some
        self.stdout.write(f"Accounts erased: {erased}")
