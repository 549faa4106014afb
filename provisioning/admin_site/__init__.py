"""The admin site: its frame, its overview, and how staff log in.

It is separate from `provisioning.admin` because Django imports the default admin site before it discovers the admins
that register with it.
"""

from provisioning.admin_site.addresses import is_admin, page_or_index
from provisioning.admin_site.identity import is_from_identity_provider
from provisioning.admin_site.sessions import (
    ask_to_reauthenticate,
    has_authenticated_lately,
    record_authentication,
    show_sessions,
)
from provisioning.admin_site.site import Site, record
from provisioning.admin_site.throttling import is_known_browser, remember_browser

__all__ = [
    "Site",
    "ask_to_reauthenticate",
    "has_authenticated_lately",
    "is_admin",
    "is_from_identity_provider",
    "is_known_browser",
    "page_or_index",
    "record",
    "record_authentication",
    "remember_browser",
    "show_sessions",
]
