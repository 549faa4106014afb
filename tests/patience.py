"""The timeout of tests that wait for an event: long enough for any machine, so only a bug exceeds it."""

PATIENCE = 120.0
"""Seconds."""
