"""The admin site as the partner's desk: its frame, and the overview on its first page."""

from provisioning.desk.site import Desk, record

__all__ = ["Desk", "record"]
