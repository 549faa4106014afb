from tests.provisioning.admin.conftest import admin_client, as_role, make, nothing_cached, quick_pages

__all__ = ["admin_client", "as_role", "make", "nothing_cached", "quick_pages"]
