"""The gateway: rate limit, daily quota, circuit breaker, stop and resume, shared by all workers.

Its state is one database row. Every call needs a permit from `acquire_permit()`. Permits are spaced evenly across all
workers, and counted per UTC day. `apply_answer()` pauses or stops all calls if an answer requires it:

- exceeding the rate limit or the quota pauses the gateway;
- a failed login, or a request refused as malformed, stops it until staff `resume()` it, because repeated failed logins
  lock the partner's account;
- answers that account creation never gives (404, a redirect, …), for three accounts in a row, also stop it: a setting
  is wrong;
- unclear answers (5xx, a timeout, HTML, …) and failed connections, five in a row for at least three accounts, open the
  circuit breaker: it pauses, longer each time, then lets one call at a time probe until one gets a clear answer.

One customer's input alone never causes any of this.
"""

from provisioning.gateway.breaker import apply_answer, failing_calls
from provisioning.gateway.permits import (
    CallNotPermitted,
    Permit,
    RateLimited,
    acquire_permit,
    expected_wait,
    is_page_next,
    wait_to_start,
)
from provisioning.gateway.row import (
    MAX_AHEAD,
    MAX_PAUSE,
    RESERVE,
    Pause,
    calls_today,
    current_pause,
    is_down_to_reserve,
    now,
    pages_today,
    resume,
    state,
    stop,
    until_reset,
)

__all__ = [
    "MAX_AHEAD",
    "MAX_PAUSE",
    "RESERVE",
    "CallNotPermitted",
    "Pause",
    "Permit",
    "RateLimited",
    "acquire_permit",
    "apply_answer",
    "calls_today",
    "current_pause",
    "expected_wait",
    "failing_calls",
    "is_down_to_reserve",
    "is_page_next",
    "now",
    "pages_today",
    "resume",
    "state",
    "stop",
    "until_reset",
    "wait_to_start",
]
