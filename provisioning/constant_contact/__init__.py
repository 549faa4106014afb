"""The client of Constant Contact's partner API: `connect()` gives one, each of its calls returns an `Answer`.

It knows no model and no settings, raises nothing for what the provider or the network does, and lets out no secret:
what leaves is an `Answer` whose texts are masked.
"""

from provisioning.constant_contact.answers import Answer, Entry, Meaning, Problem
from provisioning.constant_contact.client import Client, Credentials
from provisioning.constant_contact.v2 import V2
from provisioning.constant_contact.v3 import V3

__all__ = ["Answer", "Client", "Credentials", "Entry", "Meaning", "Problem", "connect"]


DIALECTS = {"v2": V2, "v3": V3}


def connect(api: str, credentials: Credentials, *, timeout: float) -> Client:
    """A client of the API `v2` or `v3` for one thread; `timeout` is the longest that a call may take, in seconds."""
    return DIALECTS[api](credentials, timeout=timeout)
