"""What others may want to hear of: `provisioning` itself listens to none of it."""

from django.dispatch import Signal

moved = Signal()
"""An account has moved, within the transaction of the move: `account` as it was read before, `to` its new state."""
chores = Signal()
"""A worker does its chores, about once a second. Receivers must be quick; their exceptions are logged, and no more."""
to_do = Signal()
"""The overview asks what waits for staff. Receivers return an `admin_site.overview.Task`, or None."""
