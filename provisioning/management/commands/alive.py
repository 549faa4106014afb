"""`manage.py alive`: the health check of a worker's container."""

from __future__ import annotations

import socket
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import Error

from provisioning.database import describe
from provisioning.models import Worker


class Command(BaseCommand):
    help = "Succeed if a worker on this host has reported within the last minute."
    requires_system_checks = []  # The worker itself has passed them.

    def handle(self, **options: Any) -> None:
        host = socket.gethostname()
        try:
            is_alive = Worker.objects.alive().filter(name__startswith=f"{host}:").exists()
        except Error as error:
            raise CommandError(describe(error)) from None
        if not is_alive:
            raise CommandError(f"No worker on {host} has reported within the last minute.")
        self.stdout.write("A worker is running.")
