"""`manage.py demo`: run everything on one machine, for `make run`."""

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

from provisioning.management.commands.generate_secrets import new_secrets
from provisioning.management.processes import run_together
from provisioning.sandbox import TOKEN_PATH


class Command(BaseCommand):
    help = "Run the sign-up page, the worker, and the Constant Contact sandbox on this machine, with an admin login."
    requires_system_checks = ()

    def handle(self, **options: Any) -> None:
        if not (path := settings.BASE_DIR / ".env").exists():
            write_environment(path)
            self.stdout.write(f"Wrote {path} with new secrets.")
            self.stdout.flush()
            os.execv(sys.executable, [sys.executable, *sys.argv])  # Restart to read these settings.
        self.check()
        call_command("migrate", verbosity=0)
        page = self.free_port(8000)
        commands = [[sys.executable, "manage.py", "serve", "--bind", f"127.0.0.1:{page}"]]
        environment = {"CSRF_TRUSTED_ORIGINS": f"http://127.0.0.1:{page}"} | dict(os.environ)  # For links in notices.
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
            f"  Admin login       {admin_login()}\n"
            f"  Constant Contact  {provider.geturl()}{' (the sandbox)' if len(commands) > 1 else ''}\n\n"
            "Press Ctrl-C to stop. Your data is kept for the next run.\n\n"
        )
        self.stdout.flush()
        if not run_together(*commands, environment=environment):
            raise CommandError("One of the processes ended unexpectedly. See its output above.")

    def free_port(self, wanted: int) -> int:
        """Return the port `wanted`, or the next free one; if it is a different one, say so."""
        for port in range(wanted, 65536):
            with socket.socket() as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    probe.bind(("127.0.0.1", port))
                except OSError:
                    continue
                if port != wanted:
                    self.stdout.write(f"Port {wanted} is in use, so {port} is used instead.")
                return port
        raise CommandError(f"No port from {wanted} up is free.")


def write_environment(path: Path) -> None:
    values = {
        "DEBUG": "true",
        **new_secrets(),
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


def admin_login() -> str:
    """Return the admin login from `.env` for display. Creates the user if it does not exist yet."""
    name, password = (os.environ.get(f"DJANGO_SUPERUSER_{part}", "") for part in ("USERNAME", "PASSWORD"))
    if not (name and password):
        return "create one with `.venv/bin/python manage.py createsuperuser`"
    users = get_user_model().objects
    user = users.filter(username=name).first() or users.create_superuser(name, password=password)
    return f"{name}, password {password}" if user.check_password(password) else f"{name}, with the password you set"
