"""Actions on a sign-up through the API: correct it like a customer, or act like staff."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction

from provisioning import rules, services
from provisioning.admin.actions import ACTIONS, Action
from provisioning.models import Account, AuditEntry, IllegalMove, MovedMeanwhile
from signup import abuse, write_lock
from signup.api import creation, problems
from signup.api.models import ApiKey
from signup.api.problems import Problem

VERBS: Mapping[str, Action] = {
    action.name.replace("_", "-"): action
    for action in ACTIONS
    if action.name in {"approve", "decline", "retry", "look_up", "close"}
}
"""The last part of an address → the action of the admin that it stands for."""

NO_TEXT = ValidationError("Enter text.", code="type")


def correct(key: ApiKey, account: Account, values: Mapping[str, Any]) -> None:
    """Send a rejected sign-up again with new values. Raises Problem."""
    if account.state != Account.State.REJECTED:
        raise Problem("state", state=account.state)
    together = {name: getattr(account, name) for name in rules.CUSTOMER_PROPERTIES} | dict(values)
    try:
        cleaned = rules.clean(together, only=set(values))
        email = str(cleaned.get("email", account.email))
        with write_lock.hold(), transaction.atomic():  # It stays counted if the username is taken.
            hold = abuse.record_api_call(str(key.pk), uuid.uuid4(), email, account.host, str(account.reference))
        with write_lock.hold():
            services.correct(account, values, hold=hold, agent=key.agent)
    except ValidationError as problem:
        raise creation.problem_with_suggestions(problem, together) from None
    except (IllegalMove, MovedMeanwhile):
        raise Problem("moved") from None


def act(key: ApiKey, account: Account, verb: str, values: Mapping[str, Any]) -> None:
    """Do what staff can do, and record which key did it. Raises Problem."""
    action = VERBS[verb]
    if wrong := {name: NO_TEXT for name, value in values.items() if not isinstance(value, str | None)}:
        raise problems.problem_with_values(ValidationError(wrong))
    form = action.form(values)
    if not form.is_valid():
        raise problems.problem_with_values(ValidationError(form.errors.as_data()))
    detail = action.describe(account, form.cleaned_data)
    entry = AuditEntry(account=account, agent=key.agent, what=action.done, detail=detail)
    try:
        action.perform(account, form.cleaned_data, entry.save)
    except IllegalMove:
        raise Problem("state", state=account.state) from None
    except MovedMeanwhile:
        raise Problem("moved") from None
