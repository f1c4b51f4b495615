"""Checks: the graph of the closure in, findings out. A check prints nothing and changes nothing."""

from depfix.checks.run import run_checks

__all__ = ["run_checks"]
