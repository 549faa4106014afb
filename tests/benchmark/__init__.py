"""How fast this installation is, beside the least that Django can do: `python -m tests.benchmark --help`."""
