"""depfix: find and repair what a frozen Python program for Windows lacks.

    import depfix

    report = depfix.scan("main.dist", env="conda:app")
    plan = depfix.plan_repair("main.dist", env="conda:app")
    depfix.apply(plan)

See docs/python-api.md. What is named here is loaded when it is first used, so that `import depfix` takes no time.
"""

from __future__ import annotations

TYPE_CHECKING = False  # type checkers know it by its name; to import typing takes longer than all the rest
if TYPE_CHECKING:
    from depfix.api.auditing import Audit, audit
    from depfix.api.baselines import Baseline, read_baseline, without_accepted
    from depfix.api.choices import Choices
    from depfix.api.doctoring import doctor
    from depfix.api.locating import dists_in, locate
    from depfix.api.machine import Environments, environments, explain, rules, targets
    from depfix.api.repairing import apply, plan_repair, read_plan, recover, repairs, undo
    from depfix.api.scanning import assess, diff, scan, tree, why
    from depfix.api.verifying import TrialChoices, diagnose, read_log, verify
    from depfix.errors import DepfixError, InputError
    from depfix.model.finding import Confidence, Finding, Fix, Location, Severity
    from depfix.model.plan import Action, Declined, Plan
    from depfix.model.report import Report
    from depfix.pipeline import Assessment, RepairPlan

__version__ = "0.1.0"
__all__ = [
    "Action",
    "Assessment",
    "Audit",
    "Baseline",
    "Choices",
    "Confidence",
    "Declined",
    "DepfixError",
    "Environments",
    "Finding",
    "Fix",
    "InputError",
    "Location",
    "Plan",
    "RepairPlan",
    "Report",
    "Severity",
    "TrialChoices",
    "__version__",
    "apply",
    "assess",
    "audit",
    "diagnose",
    "diff",
    "dists_in",
    "doctor",
    "environments",
    "explain",
    "locate",
    "plan_repair",
    "read_baseline",
    "read_log",
    "read_plan",
    "recover",
    "repairs",
    "rules",
    "scan",
    "targets",
    "tree",
    "undo",
    "verify",
    "why",
    "without_accepted",
]

# {module: what is taken from it}
_PLACES = {
    "api.auditing": "Audit audit",
    "api.baselines": "Baseline read_baseline without_accepted",
    "api.choices": "Choices",
    "api.doctoring": "doctor",
    "api.locating": "dists_in locate",
    "api.machine": "Environments environments explain rules targets",
    "api.repairing": "apply plan_repair read_plan recover repairs undo",
    "api.scanning": "assess diff scan tree why",
    "api.verifying": "TrialChoices diagnose read_log verify",
    "errors": "DepfixError InputError",
    "model.finding": "Confidence Finding Fix Location Severity",
    "model.plan": "Action Declined Plan",
    "model.report": "Report",
    "pipeline": "Assessment RepairPlan",
}


if not TYPE_CHECKING:  # who checks types is told of names that do not exist

    def __getattr__(name: str) -> object:
        """Load what is named above. Source: PEP 562, "Module __getattr__" https://peps.python.org/pep-0562/"""
        from importlib import import_module

        module = next((place for place, names in _PLACES.items() if name in names.split()), "")
        if not module:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        found: object = getattr(import_module(f"{__name__}.{module}"), name)
        globals()[name] = found
        return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
