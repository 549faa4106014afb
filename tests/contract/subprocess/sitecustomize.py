"""Observation of `manage.py sandbox`: Python imports this at startup if PYTHONPATH names this directory."""

import os
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).parents[3]


class Observe(MetaPathFinder):
    """Imports the observer when the command is about to be imported, because Django is set up by then."""

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> None:
        if name == "provisioning.management.commands.sandbox" and "pytest" not in sys.modules:
            sys.meta_path.remove(self)
            sys.path.append(str(ROOT))  # After the product's own directory, which may be a copy of it.
            from tests.contract import observer

            observer.report_to = Path(os.environ["CONTRACT_VIOLATIONS"])


sys.meta_path.insert(0, Observe())
