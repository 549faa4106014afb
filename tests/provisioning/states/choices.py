"""What can happen, for Hypothesis to choose from."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import Any, TypeVar

import hypothesis.strategies as st

from provisioning import services
from provisioning.constant_contact import Meaning

Choice = TypeVar("Choice")
NONE, SECOND, LEASE, HOUR, WEEK = (
    timedelta(),
    timedelta(seconds=1),
    timedelta(seconds=60),
    timedelta(hours=1),
    timedelta(7),
)
NAMES = st.sampled_from(["annabel", "AnnaBel", "bertram", "cornelia", "dorothea", "ferdinand", "griselda"])
ORGANIZATIONS = st.sampled_from(["Acme", "Acme, Inc.", "Bakery"])
PICK = st.integers(min_value=0, max_value=11)
LAG = st.sampled_from([NONE, NONE, LEASE, 2 * HOUR, 52 * WEEK])
CREATING = st.sampled_from(
    ["answered", "lost", "lost", "swallowed", "late", "503"] * 3
    + [Meaning.REFUSED, Meaning.UNSENT, Meaning.OVER_RATE, Meaning.OVER_QUOTA, Meaning.STOP, Meaning.NOTHING_CREATED]
)
"""The course of a call that creates an account.

`answered`: all is well. `lost`: created, but the answer is lost. `swallowed`: neither created nor answered. `late`:
created later, without an answer. `503`: created later, after a 503.
"""
LISTING = st.sampled_from(["answered"] * 6 + ["empty", "repeated", Meaning.UNKNOWN, Meaning.STOP, Meaning.OVER_RATE])
VERBS = ["approve", "decline", "close", "erase", "retry", "look_up", "attach", "reject_username"]
Pause = timedelta | None
"""How long a worker is delayed; None: until any time, or forever, because it died."""
TIME = st.sampled_from([SECOND, LEASE + SECOND, HOUR, HOUR, WEEK + SECOND])
PAUSE: st.SearchStrategy[Pause] = st.sampled_from([NONE, NONE, NONE, SECOND, LEASE + SECOND, None])


def claim_any() -> Any:
    return services.claim_account() or services.claim_page()


Job = tuple[Callable[[], Any], str, timedelta, str, Pause, Pause]
JOB: st.SearchStrategy[Job] = st.tuples(
    st.sampled_from([services.claim_account, services.claim_page, claim_any]), CREATING, LAG, LISTING, PAUSE, PAUSE
)
JOBS = st.lists(JOB, min_size=1, max_size=8)
PROVIDERS = st.sampled_from(
    [("v2", "username", ""), *itertools.product(["v3"], ["username", "organization"], ["calibrated", ""])]
)
"""The API, what its list shows accounts by, and whether that is known from the start."""


def pick_of(choices: Iterable[Choice], pick: int) -> Choice:
    among = list(choices)
    return among[pick % len(among)]
