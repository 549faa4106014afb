"""What the page adds to the staff's overview."""

from typing import Any

from provisioning.admin_site.overview import Task
from signup import visitors


def hidden_visitors(**kwargs: Any) -> Task | None:
    """Say that limits work badly, because a proxy keeps visitors' addresses to itself."""
    if not visitors.are_hidden():
        return None
    return Task(
        "The reverse proxy does not say where visitors come from.",
        "",
        "They share one limit, so some are turned away. Whoever runs this installation must set X-Forwarded-For and"
        " TRUSTED_PROXIES as docs/production.md says.",
    )
