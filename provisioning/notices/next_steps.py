"""What staff do about an incident, and on which page: for notices, and for the admin."""

from __future__ import annotations

from dataclasses import dataclass

from django.urls import reverse

from provisioning.models import Incident

Kind = Incident.Kind


@dataclass(frozen=True)
class NextStep:
    """What staff do about an incident, and the page for it."""

    advice: str
    page: str
    """The name of the page's URL."""
    query: str = ""

    @property
    def url(self) -> str:
        return reverse(self.page) + self.query


ACCOUNTS, WORKERS = "admin:provisioning_account_changelist", "admin:provisioning_worker_changelist"
ENDPOINTS, SENDING = "admin:provisioning_endpoint_changelist", "admin:provisioning_gateway_changelist"
NEXT_STEPS = {
    Kind.STOPPED: NextStep("Fix the cause, then resume sending", "admin:index"),
    Kind.APPROVAL: NextStep("Approve or decline what is held", "admin:provisioning_account_held"),
    Kind.CORRECTION: NextStep("Correct what was refused, or wait for the customer", ACCOUNTS, "?state__exact=rejected"),
    Kind.DECISION: NextStep("See what is known, and decide", ACCOUNTS, "?show=lost"),
    Kind.WORKER: NextStep("Ask whoever runs this installation to check it", WORKERS),
    Kind.ENDPOINT: NextStep("Fix the receiver or the URL, then switch it on again", ENDPOINTS),
    Kind.QUOTA: NextStep("You don't need to do anything. See today's calls", SENDING),
}


def next_step(incident: Incident) -> NextStep:
    return NEXT_STEPS[Kind(incident.kind)]
