"""`manage.py backup`: write a backup while the installation keeps running."""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from provisioning import backups


class Command(BaseCommand):
    help = "Write a backup of the database to a new file. Keep SEALING_KEYS as well, in a different place."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("path", type=Path, help="a new file, or - for standard output")

    def handle(self, *, path: Path, **options: Any) -> None:
        try:
            if str(path) == "-":
                write_to_stdout()
            elif path.exists():
                raise CommandError(f"{path} already exists. Choose a new name.")
            else:
                backups.write(path)
                self.stdout.write(f"Wrote {path} ({path.stat().st_size:,} bytes).")
        except BrokenPipeError:
            raise  # `manage.py` ends the command.
        except (backups.BackupFailed, OSError) as error:
            raise CommandError(str(error)) from None


def write_to_stdout() -> None:
    """Write only a backup that is complete."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "backup"
        backups.write(path)
        with path.open("rb") as file:
            shutil.copyfileobj(file, sys.stdout.buffer)
