"""`manage.py restore`: replace the database with a backup."""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser

from provisioning import backups
from provisioning.models import Worker


class Command(BaseCommand):
    help = "Restore a backup, and apply migrations. Sending stays stopped until you resume it."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("path", type=Path, help="a backup, or - for standard input")
        parser.add_argument("--replace", action="store_true", help="replace a database that has accounts")

    def handle(self, *, path: Path, replace: bool, **options: Any) -> None:
        with tempfile.NamedTemporaryFile() as piped:
            if str(path) == "-":
                shutil.copyfileobj(sys.stdin.buffer, piped)
                piped.flush()
                path = Path(piped.name)
            self.restore(path, replace)

    def restore(self, path: Path, replace: bool) -> None:
        if not path.is_file():
            raise CommandError(f"There is no file {path}.")
        if backups.has_accounts():
            if not replace:
                raise CommandError(
                    "The database already has accounts. To replace them, back it up first, then add --replace."
                )
            if Worker.objects.alive().exists():
                raise CommandError("A worker is running. Stop the page and all workers first.")
        try:
            backups.read(path)
        except backups.BackupFailed as error:
            raise CommandError(str(error)) from None
        call_command("migrate", verbosity=0)
        Worker.objects.all().delete()
        backups.mark_as_restored()
        call_command("check_keys", stdout=self.stdout)
        self.stdout.write("Restored. Sending is stopped. Before you resume it, check what docs/operations.md lists.")
