"""Admins for staff's users, their roles, and their second factors.

Administrators manage users, but can't give anyone more permissions than they have themselves. Only superusers manage
superusers, and the permissions of groups. Nobody gives permissions to individual users.
"""

from provisioning.admin.staff.roles import RoleAdmin
from provisioning.admin.staff.second_factors import SecondFactorAdmin
from provisioning.admin.staff.users import StaffAdmin

__all__ = ["RoleAdmin", "SecondFactorAdmin", "StaffAdmin"]
