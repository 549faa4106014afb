"""Benchmarks of the product against a minimal Django site: `python -m tests.benchmark --help`."""
