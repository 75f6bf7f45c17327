"""The checks on functions of a program: what a term is made of besides its map."""

from __future__ import annotations

from . import checks
from .report import Check, SkippedError, registrar
from .subject import Faces, Subject

FUNCTION_CHECKS: dict[str, Check] = {}
check = registrar(FUNCTION_CHECKS)

check("value", "value is finite where the function is, and leaves its argument alone")(checks.everywhere(checks.finite))
check("convex", "value and domain are convex")(checks.everywhere(checks.convex))
check("gradient", "gradient is a subgradient of value")(checks.everywhere(checks.subgradient))
check("fenchel_young", "value(z) + conjugate(q) >= z.q for q in the domain: what every bound rests on")(
    checks.everywhere(checks.fenchel_young)
)
check("conjugate", "value(z) + conjugate(q) = z.q at q = gradient(z)")(checks.everywhere(checks.attained))
check("domain", "project_dual stays where it is inside, and the domain holds the segment to 0")(checks.everywhere(checks.domain))
check("cone", "what is declared a cone has a conjugate of 0 on a cone")(checks.everywhere(checks.cone))
check("prox", "prox minimises t value(p) + |p - z|^2 / 2, inside of the domain")(checks.everywhere(checks.prox))
check("moreau", "(z - prox(z)) / t is a subgradient at prox(z): conjugate and project_dual know it")(
    checks.everywhere(checks.moreau)
)
check("rows", "the least that the conic rows allow is the value")(checks.everywhere(checks.rows))


@check("dual_gauge", "norms: dual_gauge(q) scales q onto the border of the domain of the conjugate")
@checks.everywhere
def dual_gauge(f: Faces) -> None:
    if "dual_gauge" not in f.calls:
        raise SkippedError("it is no norm")
    checks.gauge(f)


check("torch", "the faces are the same on torch tensors")(checks.everywhere(checks.on_torch))

#: What a bound rests on: where one of these fails, a bound may be above the optimum.
SOUND = ("convex", "fenchel_young", "cone")


def broken(subject: Subject) -> str:
    """What of the faces that bounds rest on disagrees, in words; "" where nothing does."""
    from .report import run_checks

    chosen = {name: FUNCTION_CHECKS[name] for name in (*SOUND, "dual_gauge")}
    report = run_checks(chosen, subject, subject.title, None, raise_on_failure=False)
    return "; ".join(outcome.detail for outcome in report.failed)
