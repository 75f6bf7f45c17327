"""The conformance kit: what every backend passes, ours and yours.

from relumodel.testing import check_backend

report = check_backend(MySolver())  # raises ConformanceError, an AssertionError, that lists every failure
print(report)

Each check runs alone, `check_backend(MySolver(), only=["quiet"])`; what a backend does not offer is skipped by name, with the
reason. The small problems have answers worked out by hand or by other means than a solver.
"""

from . import conduct, forms, honesty, programs  # noqa: F401  (they register their checks)
from .kit import CHECKS, Check, ConformanceError, Outcome, Report, check_backend

__all__ = ["CHECKS", "Check", "ConformanceError", "Outcome", "Report", "check_backend"]
