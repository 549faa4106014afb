"""How long a test waits for what must come: no machine is too slow for that, and only a fault takes longer."""

PATIENCE = 120.0
"""Seconds."""
