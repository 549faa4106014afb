"""The admin site as the partner's desk: its frame, and the overview on its first page."""

from provisioning.admin_site.site import Site, record

__all__ = ["Site", "record"]
