"""Signals: what happened, for packages that the sender doesn't know."""

from django.dispatch import Signal

submitted = Signal()
"""A sign-up was stored; sent inside its transaction. `account` is the new account."""
moved = Signal()
"""An account has moved; sent inside the move's transaction. `account` is as read before it, `to` is the new state."""
erased = Signal()
"""An account's personal data was erased; sent inside the transaction, for packages that hold more of it."""
describing = Signal()
"""Events about `accounts` are being sent, which are primary keys. Receivers return a dict of further fields for each of
them; none is personal."""
gateway_changed = Signal()
"""The gateway was stopped, paused, or resumed; sent inside the transaction that did it."""
chores = Signal()
"""A worker is doing its chores, about once a second. Receivers must be quick; their exceptions are only logged.
`ending` is an event that is set when the worker is to end: threads that receivers start must end soon then."""
worked = Signal()
"""A worker's job has ended. `job` is its name, `started` a time in nanoseconds, `error` the exception
that ended it, or None."""
to_do = Signal()
"""The overview is collecting tasks for staff. Receivers return an `admin_site.tasks.Task`, or None."""
setting_up = Signal()
"""The overview is collecting the steps to a live page. Receivers return a list of `admin_site.steps.Step`."""
examined = Signal()
"""The page on health is asking for the last check of the installation. Receivers return an `admin_site.health.Check`,
or None if there has been none."""
