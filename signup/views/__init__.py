"""The customers' views: the form, and the page that shows the progress of their account."""

from signup.views.account import correction, progress, progress_page, reopen, status
from signup.views.form import csrf_failure, language, sign_up

__all__ = [
    "correction",
    "csrf_failure",
    "language",
    "progress",
    "progress_page",
    "reopen",
    "sign_up",
    "status",
]
