"""The doctor: checks an installation from end to end, and says what each finding means and how to fix it."""

from signup.doctor.examination import examine, keep
from signup.doctor.findings import Finding, Level

__all__ = ["Finding", "Level", "examine", "keep"]
