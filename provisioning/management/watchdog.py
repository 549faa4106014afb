"""A watchdog that ends this process if it hangs. A service manager restarts it, and others take over its claims.

It is Python's `faulthandler`, whose timer works even if no other thread runs. It writes to stderr where each thread
was, without any values.
"""

from __future__ import annotations

import faulthandler
import sys


def end_in(seconds: float) -> None:
    """End this process with status 1 after that time, unless this is called again before."""
    faulthandler.dump_traceback_later(seconds, exit=True, file=sys.__stderr__)  # type: ignore[arg-type]
