"""The sign-up page's tasks in the admin's overview."""

from typing import Any

from provisioning.admin_site.overview import Task
from signup import visitors


def hidden_visitors(**kwargs: Any) -> Task | None:
    """Warn that limits don't work well, because a proxy hides visitors' addresses."""
    if not visitors.are_hidden():
        return None
    return Task(
        "The reverse proxy hides visitors' addresses.",
        "",
        "All visitors share one limit, so some are turned away. Ask whoever runs this installation to set"
        " X-Forwarded-For and TRUSTED_PROXIES as docs/production.md says.",
    )
