"""The host names of this installation."""

from django.conf import settings


def named_hosts() -> list[str]:
    """Return the hosts in ALLOWED_HOSTS that a link can lead to: no patterns like `.example.com` or `*`."""
    return [name for name in settings.ALLOWED_HOSTS if not name.startswith((".", "*"))]


def main_host() -> str:
    """Return the host for links that belong to no brand: the first one that a link can lead to."""
    return next(iter(named_hosts()), "localhost")
