"""The steps from an empty installation to a live sign-up page, which the overview shows until all are done."""

from __future__ import annotations

from dataclasses import dataclass

from django.http import HttpRequest

from provisioning.signals import setting_up

PERMISSION = "auth.add_user"
"""The permission of those who set an installation up: administrators."""


@dataclass(frozen=True)
class Step:
    """One step, what is done or left to do, and the page for it."""

    name: str
    is_done: bool
    text: str
    url: str


def steps_for(request: HttpRequest) -> list[Step]:
    """Return all steps as long as one is left for this staff member to do."""
    if not request.user.has_perm(PERMISSION):
        return []
    answers: list[tuple[object, list[Step]]] = setting_up.send(Step)  # type: ignore[assignment]  # by its contract
    steps = [step for _receiver, steps in answers for step in steps]
    return [] if all(step.is_done for step in steps) else steps
