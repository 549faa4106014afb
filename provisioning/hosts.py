"""The host names of this installation."""

from django.conf import settings
from django.http.request import split_domain_port


def named_hosts() -> list[str]:
    """Return the hosts in ALLOWED_HOSTS that a link can lead to: no patterns like `.example.com` or `*`."""
    return [name for name in settings.ALLOWED_HOSTS if not name.startswith((".", "*"))]


def main_host() -> str:
    """Return the host for links that belong to no brand: the first one that a link can lead to."""
    return next(iter(named_hosts()), "localhost")


def main_origin() -> str:
    """Return the address of that host, like `https://signup.example.com`.

    CSRF_TRUSTED_ORIGINS may have it with its port. Otherwise, in DEBUG, it is where `manage.py serve` listens.
    """
    host = main_host()
    for origin in settings.CSRF_TRUSTED_ORIGINS:
        if split_domain_port(origin.partition("://")[2])[0] == host:
            return str(origin)
    return f"http://{host}:8000" if settings.DEBUG else f"https://{host}"
