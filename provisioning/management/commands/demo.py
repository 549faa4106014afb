"""`manage.py demo`: what `make run` runs."""

from __future__ import annotations

import os
import secrets
import socket
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError

from provisioning.management.commands.generate_secrets import fresh
from provisioning.management.processes import run_together
from provisioning.sandbox import TOKEN_PATH


class Command(BaseCommand):
    help = "Run the page, the worker and a stand-in for Constant Contact on this machine, with an admin log-in."
    requires_system_checks = ()

    def handle(self, **options: Any) -> None:
        if not (path := settings.BASE_DIR / ".env").exists():
            write_environment(path)
            self.stdout.write(f"Wrote {path} with fresh secrets.")
            self.stdout.flush()
            os.execv(sys.executable, [sys.executable, *sys.argv])  # Start again, with these settings read.
        self.check()
        call_command("migrate", verbosity=0)
        page = self.free_port(8000)
        commands = [[sys.executable, "manage.py", "serve", "--bind", f"127.0.0.1:{page}"]]
        environment = dict(os.environ)
        provider = urlsplit(settings.CONSTANT_CONTACT_URL)
        if provider.hostname == "127.0.0.1":
            sandbox = self.free_port(provider.port or 80)
            provider = provider._replace(netloc=f"127.0.0.1:{sandbox}")
            environment["CONSTANT_CONTACT_URL"] = provider.geturl()
            environment["CONSTANT_CONTACT_TOKEN_URL"] = provider._replace(path=TOKEN_PATH).geturl()
            commands.insert(
                0, [sys.executable, "manage.py", "sandbox", "--port", str(sandbox), "--file", "sandbox.jsonl"]
            )
        self.stdout.write(
            f"\n  Sign-up page      http://127.0.0.1:{page}/\n"
            f"  Admin             http://127.0.0.1:{page}/admin/\n"
            f"  Admin's log-in    {log_in()}\n"
            f"  Constant Contact  {provider.geturl()}{' (the sandbox)' if len(commands) > 1 else ''}\n\n"
            "Ctrl-C ends it all; the next run carries on where this one was.\n\n"
        )
        self.stdout.flush()
        if not run_together(*commands, environment=environment):
            raise CommandError("One of the processes ended by itself; its last words are above.")

    def free_port(self, wanted: int) -> int:
        """The port `wanted`, or the next one that nobody listens on, which is then said."""
        for port in range(wanted, 65536):
            with socket.socket() as attempt:
                attempt.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    attempt.bind(("127.0.0.1", port))
                except OSError:
                    continue
                if port != wanted:
                    self.stdout.write(f"Port {wanted} is taken, so {port} is used instead.")
                return port
        raise CommandError(f"No port from {wanted} on is free.")


def write_environment(path: Path) -> None:
    values = {
        "DEBUG": "true",
        **fresh(),
        "CONSTANT_CONTACT_URL": "http://127.0.0.1:8008",
        "CONSTANT_CONTACT_API_KEY": secrets.token_urlsafe(9),
        "CONSTANT_CONTACT_USERNAME": "partner",
        "CONSTANT_CONTACT_PASSWORD": secrets.token_urlsafe(9),
        "CONSTANT_CONTACT_OAUTH2_TOKEN": "true",
        "DJANGO_SUPERUSER_USERNAME": "admin",
        "DJANGO_SUPERUSER_PASSWORD": secrets.token_urlsafe(9),
    }
    path.touch(0o600)
    path.write_text("".join(f"{name}={value}\n" for name, value in values.items()))


def log_in() -> str:
    """The admin log-in of `.env`, in words; made where there is no such user yet."""
    name, password = (os.environ.get(f"DJANGO_SUPERUSER_{part}", "") for part in ("USERNAME", "PASSWORD"))
    if not (name and password):
        return "make one with `.venv/bin/python manage.py createsuperuser`"
    users = get_user_model().objects
    user = users.filter(username=name).first() or users.create_superuser(name, password=password)
    return f"{name}, password {password}" if user.check_password(password) else f"{name}, with the password you gave it"
