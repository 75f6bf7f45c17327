"""Steps, then repair and measurement: what `BatchProgram.solve` does."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np
from array_api_compat import array_namespace
from numpy.typing import NDArray

from ..certify.bound import relative_gap
from ..certify.contradiction import refuse_above
from ..declared import number, whole
from ..errors import InputError, InputTypeError, MissingPackageError
from ..program.arrays import Arrays
from ..program.tensors import Tensors
from ..resources.deadline import limited
from ..resources.progress import progress_line
from ..solve.protocol import Options
from .passes import Measured, measure, repaired, tighten
from .solution import BatchSolution
from .start import start_of
from .steps import Steps

if TYPE_CHECKING:
    from .program import BatchProgram

PRECISIONS = ("float32", "float64")

OWN = "each block with its own pattern"


def solve(
    program: BatchProgram,
    epochs: int,
    device: str | None,
    dtype: str,
    seed: int,
    tol: float,
    time_limit: float | None,
    verbose: bool,
    callback: Any,
    warm_start: Any,
) -> BatchSolution:
    """See `BatchProgram.solve`."""
    epochs, seed = whole(epochs, "epochs", low=1), whole(seed, "seed")
    tol = number(tol, "tol", above=0)
    limit = None if time_limit is None else number(time_limit, "time_limit", above=0)
    if callback is not None and not callable(callback):
        raise InputTypeError(f"callback must be callable; got {callback!r}.")
    start = start_of(program, warm_start)
    arrays, exact = _arrays(device, dtype)
    with (
        limited(limit) as deadline,
        _inference(arrays),
        np.errstate(over="ignore", invalid="ignore", divide="ignore"),
        progress_line(bool(verbose)) as line,
    ):
        options = Options(tol, limit, deadline=deadline)
        options.callback = lambda progress: (line(progress), callback is not None and callback(progress))[1]
        steps = Steps(program, arrays, epochs, seed, start)
        begun = steps.run(options, line)
        if options.error is not None:
            raise options.error
        out = _measured(program, exact, steps, options, begun, start)
    if verbose:
        print(out)
    return out


def _measured(
    program: BatchProgram, arrays: Arrays, steps: Steps, options: Options, begun: int, start: NDArray[np.float64] | None
) -> BatchSolution:
    """The best of the candidates on all of the data, the start among them, and the bound."""
    last = arrays.give(steps.arrays.take(steps.last()))
    measured, dual, lengths = measure(program, arrays, last, (steps.rho, steps.width))
    bound = dual.bound(program.model.penalty, last.shape[-1])
    if program.copies == 2:
        bound = max(bound, tighten(program, arrays, dual).bound(program.model.penalty, last.shape[-1]))
    candidates = [(measured, f"the last iterate, {OWN}" if program.copies == 2 else "the last iterate")]
    estimates = [line.objective for line in options.history]
    if steps.best.epoch not in (0, begun) and steps.best.estimate < estimates[-1]:
        early = arrays.give(steps.arrays.take(steps.blocks(steps.best.factors, steps.best.live)))
        kind = f", {OWN}" if program.copies == 2 else ""
        candidates.append((measure(program, arrays, early)[0], f"the iterate after epoch {steps.best.epoch}{kind}"))
    if measured.violation > 0:
        moved = repaired(last, lengths, program.layer(arrays).gates, program.witness(arrays))
        candidates.append((measure(program, arrays, moved)[0], "the last iterate, moved into the cones along its witnesses"))
    if start is not None:
        candidates.append((measure(program, arrays, arrays.give(start))[0], "the start"))
    zero = Measured(array_namespace(last).zeros_like(last), sum(float(f.value(np.zeros_like(q))) for f, q in dual.losses))
    if not any(_value(candidate) <= zero.objective for candidate in candidates):
        candidates.append((zero, "the network without neurons"))
    best, how = min(candidates, key=_value)
    refuse_above(bound, zero.objective, program.model.loss, program.model.penalty)
    if best.violation == 0:  # else it is not a point of the program, and may be better than all that are
        refuse_above(bound, best.objective, program.model.loss, program.model.penalty)
    gap = relative_gap(best.objective, bound)
    status = "optimal" if gap <= options.tol and not options.deadline.interrupted else options.stopped or "tolerance not reached"
    others = "; ".join(f"{text}: {other.objective:.6g}" for other, text in candidates if other is not best)
    message = f"{how}{f' ({others})' if others else ''}"
    if best.violation > 0:
        message += "; it is not a point of the compiled program, to which the bound refers"
    return BatchSolution(
        program=program,
        status=status,
        objective=best.objective,
        bound=bound,
        gap=gap,
        violation=best.violation,
        unrepaired=measured.violation,
        point=arrays.take(array_namespace(best.blocks).reshape(best.blocks, (-1,))),
        epochs=begun,
        time=time.perf_counter() - options.started,
        tol=options.tol,
        history=options.history,
        message=message,
    )


def _value(candidate: tuple[Measured, str]) -> float:
    value = candidate[0].objective
    return value if math.isfinite(value) else math.inf


def _arrays(device: str | None, dtype: str) -> tuple[Arrays, Arrays]:
    """Those of the steps, and those of measurements, in float64."""
    if dtype not in PRECISIONS:
        raise InputError(f"dtype must be one of {', '.join(PRECISIONS)}; got {dtype!r}.")
    torch_here = find_spec("torch") is not None
    if device is None or (device == "cpu" and not torch_here):
        return Arrays(dtype), Arrays()
    if not torch_here:
        raise MissingPackageError(
            f"device={device!r} needs torch, which is not installed (pip install 'relumodel[torch]'); or pass None."
        )
    import torch

    kind, colon, number = str(device).partition(":")
    there = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    count = torch.cuda.device_count() if kind == "cuda" else 1
    if not there.get(kind, False) or (colon and not (number.isdecimal() and int(number) < count)):
        known = ", ".join(repr(name) for name, present in there.items() if present)
        raise InputError(f"device {device!r} is not here: torch {torch.__version__} sees {known}; None is NumPy.")
    if kind == "mps":  # it has float32 only
        return Tensors("float32", str(device)), Arrays()
    return Tensors(dtype, str(device)), Tensors("float64", str(device))


@contextmanager
def _inference(arrays: Arrays) -> Iterator[None]:
    """Nothing is recorded for gradients."""
    context: Any = nullcontext()
    if isinstance(arrays, Tensors):
        import torch

        context = torch.inference_mode()
    with context:
        yield
