"""The admin site as the partner's desk: its frame, and the overview on its first page."""

from provisioning.admin_site.site import Site, record
from provisioning.admin_site.two_factor import is_from_identity_provider

__all__ = ["Site", "is_from_identity_provider", "record"]
