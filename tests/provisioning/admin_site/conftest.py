from tests.provisioning.admin.conftest import as_role, desk, make, nothing_cached, quick_pages

__all__ = ["as_role", "desk", "make", "nothing_cached", "quick_pages"]
