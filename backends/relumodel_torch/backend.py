"""Backend "torch": the first-order engine on the CPU, a CUDA device or Apple's."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar

from relumodel.backend import BackendError, Options, Program, RawSolution, package_missing, solve_parts
from relumodel.program.tensors import Tensors
from relumodel_admm.backend import AdmmBackend
from relumodel_admm.first_order import ITERATIONS, PRECISIONS, bytes_needed, precision, solve
from relumodel_admm.normal_system import STEPS

DEVICES = ("cpu", "cuda", "mps")


class TorchBackend:
    """ADMM on two-layer programs, in torch tensors. It takes what "admm" takes and does the same iterations."""

    name = "torch"
    accepts = Program
    shards = True
    supports: ClassVar[set[str]] = AdmmBackend.supports
    options: ClassVar[dict[str, str]] = {
        "device": "where the iteration is computed: cpu, cuda, cuda:1, ..., or mps (cpu)",
        "dtype": f"its precision, {' or '.join(PRECISIONS)}; what is proved is proved in float64 (float64; float32 on mps)",
        "checkpoint": AdmmBackend.options["checkpoint"],
        "max_iter": f"largest number of iterations ({ITERATIONS})",
        "cg_steps": f"steps of conjugate gradients in one iteration ({STEPS})",
    }

    def unavailable(self) -> str | None:
        return package_missing("torch", "torch")

    def declines(self, problem: Program) -> str | None:
        return AdmmBackend().declines(problem)

    def bytes_needed(self, problem: Program) -> float:
        """What the iteration holds; nothing is known of the device before `solve`, which compares with a CUDA device itself."""
        return bytes_needed(problem.parts[0], 4)

    def reluctant(self, problem: Program, tol: float) -> bool:
        """Always: "auto" cannot know that a device is free, and on the CPU "admm" has an interior point as well."""
        return True

    def solve(self, problem: Program, options: Options) -> RawSolution:
        import torch

        with problem.ranks.together():
            device = _device(options.extra.get("device", "cpu"), torch)
            dtype = precision(options, "float32" if device.startswith("mps") else "float64")
            if device.startswith("mps") and dtype == "float64":
                raise BackendError("device 'mps' computes in float32 only; leave dtype out, or use device='cpu' for float64.")
            _must_fit(problem.parts[0], device, dtype, torch)
        problem.ranks.agree({"dtype": dtype, **{name: options.extra.get(name) for name in ("max_iter", "cg_steps")}})
        with torch.inference_mode():
            answer = solve_parts(problem, options, lambda part, asked: solve(part, asked, Tensors(dtype, device)))
        return replace(answer, message=f"{answer.message}, {dtype} on {device}")


def _device(asked: Any, torch: Any) -> str:
    """A device that is there, or an error that says which are."""
    kind, _, number = str(asked).partition(":")
    if kind not in DEVICES or (number and not (kind == "cuda" and number.isdigit())):
        raise BackendError(f"device must be one of {', '.join(DEVICES)}, or cuda:1 for the second; got {asked!r}.")
    there = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    missing = not there[kind] or (number != "" and int(number) >= torch.cuda.device_count())
    if missing:
        known = ", ".join(name for name, present in there.items() if present)
        raise BackendError(f"device {str(asked)!r} is not here: torch {torch.__version__} sees {known}. Use one of these.")
    return str(asked)


def _must_fit(problem: Program, device: str, dtype: str, torch: Any) -> None:
    """An error before the work starts where a CUDA device's free memory is less than what the iteration holds."""
    if not device.startswith("cuda"):
        return
    needed, free = bytes_needed(problem, 4 if dtype == "float32" else 8), torch.cuda.mem_get_info(device)[0]
    if needed > 0.9 * free:
        smaller = "fewer patterns" if dtype == "float32" else "dtype='float32' or fewer patterns"
        raise BackendError(
            f"The iteration would need about {needed / 2**30:.1f} GiB of {device}, which has {free / 2**30:.1f} free; "
            f"try {smaller}."
        )
