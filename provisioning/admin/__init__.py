"""The admin for staff: every account, with the evidence of every call made for it.

Nothing here writes a state. Staff actions call `provisioning.services`.
"""

from provisioning.admin.accounts import AccountAdmin
from provisioning.admin.audit import AuditAdmin
from provisioning.admin.endpoints import DeliveryAdmin, EndpointAdmin
from provisioning.admin.notices import IncidentAdmin, NoticeRuleAdmin
from provisioning.admin.operations import GatewayAdmin, ListEntryAdmin, ListPassAdmin, WorkerAdmin
from provisioning.admin.staff import RoleAdmin, SecondFactorAdmin, StaffAdmin

__all__ = [
    "AccountAdmin",
    "AuditAdmin",
    "DeliveryAdmin",
    "EndpointAdmin",
    "GatewayAdmin",
    "IncidentAdmin",
    "ListEntryAdmin",
    "ListPassAdmin",
    "NoticeRuleAdmin",
    "RoleAdmin",
    "SecondFactorAdmin",
    "StaffAdmin",
    "WorkerAdmin",
]
