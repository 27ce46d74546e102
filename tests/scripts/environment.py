"""Finds the Python environment that a test needs."""

import importlib.util
import os
import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
SKIPPED = 77


def require(part, *modules):
    """Restarts the test with the Python of `scripts/bootstrap PART` if this one lacks a module. Without that Python,
    the test is skipped."""
    missing = [module for module in modules if importlib.util.find_spec(module) is None]
    if not missing:
        return
    python = ROOT / f"build/bin/{part}-python"
    if os.environ.get("TRAINYARD_TEST_PYTHON") == str(python) or not os.access(python, os.X_OK):
        print(f"skipped: {', '.join(missing)} missing: run scripts/bootstrap {part}")
        sys.exit(SKIPPED)
    os.environ["TRAINYARD_TEST_PYTHON"] = str(python)
    os.execv(python, [str(python), *sys.argv])
