"""A client for Constant Contact's partner API: `connect()` returns one, and each call on it returns an `Answer`.

It uses no models and no settings, raises no exception for provider or network failures, and leaks no secrets: all
text in an `Answer` is masked.
"""

from provisioning.constant_contact.answers import Answer, Entry, Meaning, Problem
from provisioning.constant_contact.client import Client, Credentials, trusted_authorities
from provisioning.constant_contact.masking import mask_words
from provisioning.constant_contact.v2 import V2
from provisioning.constant_contact.v3 import V3

__all__ = [
    "Answer",
    "Client",
    "Credentials",
    "Entry",
    "Meaning",
    "Problem",
    "connect",
    "mask_words",
    "trusted_authorities",
]

DIALECTS = {"v2": V2, "v3": V3}


def connect(api: str, credentials: Credentials, *, timeout: float) -> Client:
    """Return a client for the API `v2` or `v3`, for one thread; `timeout` limits each call as a whole, in seconds."""
    return DIALECTS[api](credentials, timeout=timeout)
