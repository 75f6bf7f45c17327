"""The conformance kit: what every backend, loss, penalty and function passes, ours and yours.

from relumodel.testing import check_backend

report = check_backend(MySolver())  # raises ConformanceError, an AssertionError, that lists every failure
print(report)

Each check runs alone, `check_backend(MySolver(), only=["quiet"])`; what a backend does not offer is skipped by name, with the
reason. The small problems have answers worked out by hand or by other means than a solver. `check_loss`, `check_penalty` and
`check_function` do the same for what models and programs are made of: whether the faces of a class belong to one function.
"""

from . import conduct, forms, honesty, programs  # noqa: F401  (they register their checks)
from .kit import CHECKS, Check, ConformanceError, Outcome, Report, check_backend
from .own import FUNCTION_CHECKS, LOSS_CHECKS, PENALTY_CHECKS, check_function, check_loss, check_penalty

__all__ = [
    "CHECKS",
    "FUNCTION_CHECKS",
    "LOSS_CHECKS",
    "PENALTY_CHECKS",
    "Check",
    "ConformanceError",
    "Outcome",
    "Report",
    "check_backend",
    "check_function",
    "check_loss",
    "check_penalty",
]
